"""The exported image is of nobody: the profile is applied, and what it leaves is found."""

from __future__ import annotations

import io
from collections.abc import Callable
from csv import DictReader
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.datadict import DicomDictionary, tag_for_keyword
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medio.errors import MedioError
from medio.identity import identity_values
from medio.profile import Handles, Replacements, deidentified, handles_of
from medio.residual import Scan
from medio.technical import is_technical
from tests.medio.objects import code, dataset, image, jpeg_image, part10, structured_report

PATIENT, IDENTIFIER, BIRTH = "Canary^Adelheid^Maria", "CAN-0042-77", "19520229"
PSEUDONYM = "P-0123456789abcdef01234567"


def _patient(**attributes: Any) -> FileDataset:
    pixels = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)
    given = {"PatientName": PATIENT, "PatientID": IDENTIFIER, "PatientBirthDate": BIRTH}
    return image(pixels, **(given | attributes))


def _answers(handles: Handles) -> Replacements:
    return Replacements(PSEUDONYM, {uid: f"2.25.{77 + place}" for place, uid in enumerate(handles.uids)})


def _cleaned(data: bytes) -> FileDataset:
    result = deidentified(data, _answers(handles_of(data)))
    assert result.residue() == ()
    return dcmread(io.BytesIO(result.data))


def _inside(holder: str, keyword: str, value: str) -> Callable[[FileDataset], None]:
    def seed(ds: FileDataset) -> None:
        item = Dataset()
        setattr(item, keyword, value)
        setattr(ds, holder, Sequence([item]))

    return seed


def _at(tag: int, vr: str, value: Any) -> Callable[[FileDataset], None]:
    return lambda ds: ds.add_new(tag, vr, value)


def _private(vr: str, value: Any) -> Callable[[FileDataset], None]:
    return lambda ds: ds.private_block(0x0019, "CANARY", create=True).add_new(1, vr, value)


def _private_nested(ds: FileDataset) -> None:
    item = Dataset()
    item.private_block(0x0029, "CANARY", create=True).add_new(1, "LO", "Adelheid Canary")
    ds.ReferencedStudySequence = Sequence([item])


def _deep(ds: FileDataset) -> None:
    inner: Dataset = ds
    for _ in range(6):
        item = Dataset()
        inner.RelatedSeriesSequence = Sequence([item])
        inner = item
    inner.PatientName = PATIENT


def _preamble(ds: FileDataset) -> None:
    ds.preamble = b"CANARY ADELHEID".ljust(128, b"\0")


def _meta(keyword: str, value: Any) -> Callable[[FileDataset], None]:
    return lambda ds: setattr(ds.file_meta, keyword, value)


def _private_meta(ds: FileDataset) -> None:
    ds.file_meta.PrivateInformationCreatorUID = "1.2.3.99"
    ds.file_meta.PrivateInformation = b"Canary, Adelheid"


def _after_pixels(ds: FileDataset) -> None:
    ds.PixelData += b"CANARY^ADELHEID "


def _set(keyword: str, value: Any) -> Callable[[FileDataset], None]:
    return lambda ds: setattr(ds, keyword, value)


SEEDS: dict[str, Callable[[FileDataset], None]] = {
    "comment": _set("ImageComments", "seen with Mrs. Canary"),
    "patient comment": _set("PatientComments", "ADELHEID CANARY, born 29.02.1952"),
    "history": _set("AdditionalPatientHistory", "MRN 004277? no: CAN-0042-77"),
    "study description": _set("StudyDescription", "CT CANARY"),
    "series description": _set("SeriesDescription", "canary, adelheid"),
    "protocol": _set("ProtocolName", "CAN004277"),
    "other ids": _set("OtherPatientIDs", ["X1", IDENTIFIER]),
    "other names": _set("OtherPatientNames", "Canary^A"),
    "alias in a sequence": _inside("OtherPatientIDsSequence", "PatientID", IDENTIFIER),
    "request": _inside("RequestAttributesSequence", "RequestedProcedureDescription", "for A. Canary"),
    "reason in a request": _inside("RequestAttributesSequence", "ReasonForTheRequestedProcedure", "Canary"),
    "manufacturer": _set("Manufacturer", "Canary"),
    "software": _set("SoftwareVersions", ["1.0", "Adelheid"]),
    "window explanation": _set("WindowCenterWidthExplanation", "CANARY"),
    "code meaning": _set("AnatomicRegionSequence", [code("Lung of Canary")]),
    "short date": _set("RescaleType", "29.02.52"),
    "device id": _set("DeviceID", IDENTIFIER),
    "private text": _private("LO", PATIENT),
    "private text without borders": _private("LO", "xxAdelheidxx"),
    "private bytes": _private("OB", b"\x01\x02CANARY^ADELHEID\x03"),
    "private utf-16": _private("OB", "Adelheid Canary".encode("utf-16-le")),
    "private unknown": _private("UN", b"29/02/1952"),
    "private uid": _private("UI", "1.2.3.4"),
    "private in a sequence": _private_nested,
    "unknown element": _at(0x00084321, "LO", "Canary"),
    "retired element": _at(0x00080001, "UL", 5),
    "overlay label": _at(0x60001500, "LO", "CANARY"),
    "overlay bits": _at(0x60003000, "OW", b"CANARY^ADELHEID "),
    "curve": _at(0x50003000, "OW", b"CANARY^ADELHEID "),
    "six levels down": _deep,
    "preamble": _preamble,
    "sender in the file header": _meta("SourceApplicationEntityTitle", "CANARY"),
    "private file header": _private_meta,
    "after the last pixel": _after_pixels,
    "trailing padding": _at(0xFFFCFFFC, "OB", b"Adelheid Canary\0"),
    "uid in text": _set("DerivationDescription", "from 1.2.3.4"),
    "date in words": _set("DetectorDescription", "of Feb 29, 1952"),
    "referenced image": _inside("ReferencedImageSequence", "ReferencedSOPInstanceUID", "1.2.3.1"),
}
_SAYS_NOTHING = {"retired element"}  # its seed is no identity: it only shows that the element goes


def _header(ds: FileDataset) -> Scan:
    """What is searched for: from the header alone, without the seed."""
    return Scan(identity_values(ds), ("1.2.3.4", "1.2.3", "1.2.3.1"))


@pytest.mark.parametrize("place", [name for name in SEEDS if name not in _SAYS_NOTHING])
def test_the_scan_finds_identity_wherever_it_was_left(place: str) -> None:
    """Without de-identification, a value seeded into this place is seen; without the seed it is not."""
    ds = _patient()
    scan = _header(ds)
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "AccessionNumber"):
        setattr(ds, keyword, "")
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "2.25.7"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.IssuerOfPatientID = "2.25.8", "2.25.9", ""
    assert scan.hits(part10(ds)) == ()
    SEEDS[place](ds)
    assert scan.hits(part10(ds))


@pytest.mark.parametrize("place", SEEDS)
def test_the_profile_leaves_nothing_where_it_was_seeded(place: str) -> None:
    """With de-identification, the same seed is gone and the image is unchanged."""
    ds = _patient()
    SEEDS[place](ds)
    result = _cleaned(part10(ds))
    assert result.PixelData == _patient().PixelData
    assert not [element for element in result.iterall() if element.tag.is_private]


_TEXT_VRS = {"LO", "SH", "ST", "LT", "UT", "UC", "PN", "AE", "UR"}
_PLAIN_TAGS = [  # every text attribute that may stand in an image, but for what is made anew
    tag
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items()
    if vr in _TEXT_VRS and 0x0008 <= tag >> 16 < 0x5000 and keyword not in ("PatientID", "PatientName")
]


def test_text_stays_only_where_it_is_known_to_be_technical() -> None:
    """Words that no header repeats, in every text attribute there is: what stays is on the list."""
    ds = _patient(BitsStored=16)
    for tag in _PLAIN_TAGS:
        vr = DicomDictionary[tag][0]
        ds.add_new(tag, vr, f"http://Xq{tag:08x}w" if vr == "UR" else f"Xq{tag:08x}w")
    stays = {element.tag for element in _cleaned(part10(ds)) if f"Xq{element.tag:08x}w" in str(element.value)}
    assert len(_PLAIN_TAGS) > 700
    assert {tag for tag in stays if not is_technical(tag, DicomDictionary[tag][0])} == set()
    assert tag_for_keyword("ConvolutionKernel") in stays
    assert tag_for_keyword("PatientBirthDateInAlternativeCalendar") not in stays


def test_letters_apart_are_read_together() -> None:
    """A technical text that spells the name with gaps goes."""
    for apart in ("C a n a r y", "Adel-heid", "can\u200bary", "CAN 0042 77"):
        assert "ConvolutionKernel" not in _cleaned(
            part10(_patient(SpecificCharacterSet="ISO_IR 192", ConvolutionKernel=apart))
        )
    assert _cleaned(part10(_patient(ConvolutionKernel="B 31 f"))).ConvolutionKernel == "B 31 f"


def test_sealed_originals_and_recorded_sound_go() -> None:
    """What is encrypted or spoken cannot be searched."""
    ds = _patient()
    for holder, keyword in (
        ("EncryptedAttributesSequence", "EncryptedContent"),
        ("WaveformSequence", "WaveformPaddingValue"),
    ):
        item = Dataset()
        item.add_new(tag_for_keyword(keyword) or 0, "OB", b"Xq7Word ")
        setattr(ds, holder, Sequence([item]))
    cleaned = _cleaned(part10(ds))
    assert "EncryptedAttributesSequence" not in cleaned
    assert "WaveformSequence" not in cleaned


def test_the_result_says_what_was_done() -> None:
    """Pseudonym, new UIDs, empty dates, and the profile's own declarations (PS3.15 E.1.1)."""
    result = _cleaned(part10(_patient(StudyTime="101500", PatientSex="F", ProtocolName="CHEST")))
    assert (result.PatientID, str(result.PatientName)) == (PSEUDONYM, PSEUDONYM)
    assert (result.PatientIdentityRemoved, result.LongitudinalTemporalInformationModified) == (
        "YES",
        "REMOVED",
    )
    assert result.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert result.PatientBirthDate == ""
    assert result.StudyDate == ""
    assert result.SOPInstanceUID == result.file_meta.MediaStorageSOPInstanceUID != "1.2.3.4"
    assert "ProtocolName" not in result or result.ProtocolName == "REMOVED"
    assert result.preamble == b"\0" * 128


def test_handles_are_replaced_alike_everywhere() -> None:
    """A reference to another object still points to it after both were exported."""
    ds = _patient()
    SEEDS["referenced image"](ds)
    handles = handles_of(part10(ds))
    assert (handles.PatientID, handles.IssuerOfPatientID) == (IDENTIFIER, "SITE")
    assert handles.uids == ("1.2.3", "1.2.3.1", "1.2.3.4")
    result = dcmread(io.BytesIO(deidentified(part10(ds), _answers(handles)).data))
    assert result.ReferencedImageSequence[0].ReferencedSOPInstanceUID == result.SeriesInstanceUID == "2.25.78"
    assert result.SOPClassUID == ds.SOPClassUID


def test_a_uid_without_a_replacement_does_not_stay() -> None:
    """Nothing of the original goes through because an answer was missing."""
    data = part10(_patient(FrameOfReferenceUID="1.2.3.55"))
    answers = _answers(handles_of(data))
    partial = Replacements(PSEUDONYM, {k: v for k, v in answers.uids.items() if k != "1.2.3.55"})
    result = deidentified(data, partial)
    assert b"1.2.3.55" not in result.data
    assert result.residue() == ()


def test_compressed_pixels_stay_as_they_are() -> None:
    """Frames are copied, not coded again."""
    ds = jpeg_image(np.arange(64 * 48, dtype=np.uint8).reshape(64, 48))
    ds.PatientName = PATIENT
    assert _cleaned(part10(ds)).PixelData == ds.PixelData


def test_a_name_inside_a_compressed_frame_is_seen() -> None:
    """A comment in a JPEG frame is not removed by the profile, so the file may not be written."""
    pixels, buffer = np.zeros((64, 48), np.uint8), io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", comment=b"acquired for Mrs. Canary")
    ds = jpeg_image(pixels, buffer.getvalue())
    ds.PatientName = PATIENT
    data = part10(ds)
    assert {hit.kind for hit in deidentified(data, _answers(handles_of(data))).residue()} == {"part"}


def test_a_deflated_file_is_searched_inflated() -> None:
    """What is compressed as a whole could not be searched, so it is written plain."""
    ds = _patient()
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    result = _cleaned(part10(ds))
    assert result.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


@pytest.mark.parametrize(
    "reason, make",
    [
        ("structured-content", lambda: structured_report([], PatientName=PATIENT)),
        ("no-pixels", lambda: dataset(sop_class="1.2.840.10008.5.1.4.1.1.104.1")),
        ("no-sop-class", lambda: _patient(SOPInstanceUID="")),
    ],
)
def test_what_cannot_be_cleaned_is_refused(reason: str, make: Callable[[], FileDataset]) -> None:
    """Free text and objects without identity of their own have no place in an export."""
    with pytest.raises(MedioError) as refused:
        handles_of(part10(make()))
    assert refused.value.reason == reason


def test_a_syntax_that_cannot_be_written_is_refused() -> None:
    """Deflated frames may be read, and still not be written."""
    data = part10(jpeg_image(np.zeros((64, 48), np.uint8)))
    with pytest.raises(MedioError) as refused:
        handles_of(data.replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.8.1\0"))
    assert refused.value.reason == "unwritable-syntax"


def test_an_overlay_in_the_pixels_is_refused() -> None:
    """Writing in the unused bits of the pixels survives any change of the header."""
    ds = _patient()
    ds.add_new(0x60000102, "US", 12)
    with pytest.raises(MedioError, match="overlay") as refused:
        handles_of(part10(ds))
    assert refused.value.reason == "embedded-overlay"


def test_errors_do_not_quote_the_file() -> None:
    """A reason may stand in a log."""
    for ds in (structured_report([], PatientName=PATIENT), dataset(PatientName=PATIENT)):
        with pytest.raises(MedioError) as refused:
            handles_of(part10(ds))
        assert "Canary" not in str(refused.value)


def test_real_objects_keep_pixels_and_lose_identity(real_data: Path) -> None:
    """Of the corpus's images nearly all can be exported; nothing that is left anywhere goes out."""
    rows = DictReader((real_data / "dicom" / "MANIFEST.csv").open())
    reasons: list[str] = []
    for row in (row for row in rows if row["expect"] == "accept" and int(row["bytes"]) < 1 << 20):
        data = (real_data / "dicom" / row["file"]).read_bytes()
        try:
            result = deidentified(data, _answers(handles_of(data)))
        except MedioError as refused:
            reasons.append(refused.reason)
            continue
        reasons.append("residual-identity" if result.residue() else "")
    assert len(reasons) > 150
    assert reasons.count("") >= 0.9 * len(reasons)
    assert set(reasons) <= {"", "residual-identity", "embedded-overlay", "no-sop-class"}
