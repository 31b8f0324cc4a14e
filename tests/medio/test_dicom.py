from __future__ import annotations

import struct
import time
import zlib

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medio.dicom import ObjectKind, read_dicom, valid_uid
from medio.errors import MedioError, NothingToUse, NotReadable
from tests.medio.objects import dataset, image, part10, structured_report

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)


def refused(data: bytes) -> str:
    """The reason code with which these bytes are refused."""
    with pytest.raises(MedioError) as caught:
        read_dicom(data)
    return caught.value.reason


def test_an_image_gives_its_record() -> None:
    """Identity and technical attributes come out under their DICOM keywords."""
    file = read_dicom(part10(image(GREY, Manufacturer="ACME", KVP="120")))
    found = file.instance
    assert file.kind is ObjectKind.IMAGE
    assert (found.StudyInstanceUID, found.PatientID, found.AccessionNumber) == ("1.2.3", "PAT1", "ACC1")
    assert (found.attributes["Manufacturer"], found.attributes["KVP"]) == ("ACME", 120.0)
    assert (found.attributes["Rows"], found.StudyDate) == (8.0, "20240102")


def test_names_never_enter_the_attributes() -> None:
    """Only the technical allow-list leaves the dataset."""
    found = read_dicom(part10(image(GREY, PatientName="DOE^JANE", StudyDescription="secret"))).instance
    assert not any("DOE" in str(value) or "secret" in str(value) for value in found.attributes.values())


@pytest.mark.parametrize("kept", [140, 300, -1, -40])
def test_a_file_cut_anywhere_is_refused(kept: int) -> None:
    """pydicom reads short values silently; we do not."""
    whole = part10(image(GREY + 1))
    assert refused(whole[:kept]) in ("truncated", "empty-dataset", "not-dicom")


def test_zero_padding_after_the_dataset_is_harmless() -> None:
    """Some archives pad files to a block size."""
    assert read_dicom(part10(image(GREY)) + bytes(13)).instance.PatientID == "PAT1"


def test_other_bytes_are_not_dicom() -> None:
    """Text, noise and nothing are refused by name."""
    for data in (b"", b"hello", bytes(500), b"\xff" * 500):
        assert refused(data) == "not-dicom"


def test_a_bare_dataset_is_read_and_its_syntax_stated() -> None:
    """A dataset without preamble and header is taken when its start is unmistakable."""
    for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
        whole = part10(image(GREY, syntax=syntax))
        found = read_dicom(whole[_header_end(whole) :])
        assert (found.instance.PatientID, found.dataset.file_meta.TransferSyntaxUID) == ("PAT1", syntax)


def test_an_object_without_pixels_or_text_is_a_document() -> None:
    """Valid objects that are no image are set aside, not failed."""
    header = image(GREY)
    del header.PixelData
    for data, reason in (
        (part10(dataset("1.2.3.4.5.6")), "document-not-report"),
        (part10(dataset("1.2.840.10008.5.1.4.1.1.481.5")), "rt-plan"),
        (part10(dataset("1.2.840.10008.5.1.4.1.1.9.1.1")), "waveform"),
        (part10(dataset("1.2.840.10008.5.1.4.1.1.88.59")), "key-object"),
        (part10(header), "no-pixels"),
    ):
        found = read_dicom(data)
        assert (found.kind, found.reason) == (ObjectKind.DOCUMENT, reason)


def test_structured_reports_are_recognised() -> None:
    """SR objects go to the report readers."""
    assert read_dicom(part10(structured_report([]))).kind is ObjectKind.REPORT


def test_a_malformed_uid_joins_nothing() -> None:
    """What is no UID counts as absent, so it can never pair two studies."""
    with pytest.warns(UserWarning):
        ds = image(GREY, StudyInstanceUID="../../etc/passwd")
    assert read_dicom(part10(ds)).instance.StudyInstanceUID == ""
    assert [valid_uid(text) for text in ("1.2", "...", "1" * 65, "1.2a", "")] == ["1.2", "", "", "", ""]


def _header_end(whole: bytes) -> int:
    return 132 + 12 + int(struct.unpack_from("<I", whole, 132 + 8)[0])


def _deflated(plain: bytes) -> bytes:
    """A deflated Part 10 file whose dataset is `plain` (explicit VR little endian bytes)."""
    whole = part10(dataset(syntax=DeflatedExplicitVRLittleEndian))
    press = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return whole[: _header_end(whole)] + press.compress(plain) + press.flush()


def test_several_values_where_the_standard_has_one_stand_as_in_the_file() -> None:
    """No Python list in a record."""
    found = read_dicom(part10(image(GREY, Modality="CT\\MR", PatientID="A\\B")))
    assert ("CT\\MR", "A\\B") == (found.instance.Modality, found.instance.PatientID)


def test_a_deflated_object_is_read() -> None:
    """The bounded path gives the same record as pydicom's own."""
    ds = image(GREY)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    file = read_dicom(part10(ds))
    assert (file.kind, file.instance.PatientID) == (ObjectKind.IMAGE, "PAT1")
    assert file.instance.TransferSyntaxUID == DeflatedExplicitVRLittleEndian


def test_a_plain_picture_may_be_deflated_to_nothing() -> None:
    """Blank frames and phantoms shrink a thousand times, and do no harm."""
    blank = b"\x08\x00\x16\x00UI\x04\x001.2\0" + b"\x09\x00\x01\x10OB\0\0" + struct.pack("<I", 1 << 22)
    assert read_dicom(_deflated(blank + bytes(1 << 22))).instance.SOPClassUID == "1.2"


def test_a_deflate_bomb_is_refused_quickly() -> None:
    """Inflating stops at the ratio instead of filling the memory."""
    bomb = _deflated(b"\x09\x00\x01\x10OB\0\0" + struct.pack("<I", 1 << 28) + bytes(1 << 28))
    assert len(bomb) < 1 << 20
    started = time.process_time()
    assert refused(bomb) == "deflate-ratio"
    assert time.process_time() - started < 2.0


def test_a_damaged_deflated_part_is_refused() -> None:
    """Cut or scrambled deflate streams have their own reasons."""
    whole = _deflated(bytes(range(256)) * 40)
    assert refused(whole[:-6]) == "truncated"
    assert refused(whole[:-200] + b"\xff" * 200) in ("deflate", "truncated")


def test_endless_nesting_is_refused() -> None:
    """Sequences in sequences exhaust the parser's stack, not ours."""
    deeper = b"\x08\x00\x10\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    back = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert refused(part10(dataset()) + deeper * 20_000 + back * 20_000) == "nesting"


def test_our_own_reasons_pass_the_wall_unchanged() -> None:
    """The wall rewrites foreign errors only, and quotes no values."""
    from medio.dicom import wall

    with pytest.raises(NothingToUse), wall("other"):
        raise NothingToUse("kept", "as it was")
    with pytest.raises(NotReadable) as caught, wall("other"):
        raise KeyError("JANE DOE")
    assert caught.value.reason == "other" and "JANE" not in str(caught.value)
