"""DICOM bytes -> a dataset we trust far enough, and its Instance record.

pydicom raises almost anything on damaged input, pads what is missing and inflates without limit. This file is
the wall: bounded input goes in, one of medio's errors or a checked dataset comes out. What an audit relies on
(structure, UIDs, patient, accession) is validated; everything else is tolerated.
"""

from __future__ import annotations

import hashlib
import io
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydicom import dcmread
from pydicom.datadict import DicomDictionary
from pydicom.dataset import FileDataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medio.elements import date_of, text_of, uid_of, valid_uid
from medio.errors import MedioError, NotReadable
from medio.identity import identity_values
from medio.kinds import ObjectKind, kind_of, sop_class_of
from medio.projection import TECHNICAL
from medio.records import Instance

__all__ = [
    "DicomFile",
    "ObjectKind",
    "date_of",
    "looks_like_dicom",
    "read_dicom",
    "text_of",
    "uid_of",
    "valid_uid",
    "wall",
]

MAX_FILE_BYTES = 1 << 30
MAX_INFLATED_BYTES = 1 << 30
MAX_INFLATE_RATIO = 100  # SECURITY §5
HARMLESS_BYTES = 1 << 23  # inflated; a plain picture of this size may be packed as well as it can
MAX_READS = 400_000  # and one in 32 bytes: a gigabyte of empty elements would become 50 of objects
MAX_SEQUENCE_BYTES = 1 << 26  # of one sequence of stated length; parsed, it takes some twenty times as much
MAX_SEQUENCE_ITEMS = 200_000  # of one with all that are in it: two seconds of parsing
_SMALL_SEQUENCE = 1 << 16  # bytes; whatever is in it costs less than looking
_ITEM_TAGS = ((b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0"), (b"\xff\xfe\xe0\x00", b"\xff\xfe\xe0\x0d"))
MAX_SEARCHED_BYTES = 1 << 28  # and 16 times the file, for sequences inside sequences
_SEARCH_BYTES = 8192  # what pydicom reads at a time while it searches
_UNDEFINED = 0xFFFFFFFF  # as a length
_REQUESTS = ("RequestAttributesSequence", "ReferencedRequestSequence")


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A parsed object: the record, and the dataset its pixels or content tree are read from.

    Attributes:
        reason: of a document, the code that says what it is; else empty.
        is_syntax_assumed: the file names no transfer syntax; it is the one its bytes showed.
    """

    kind: ObjectKind
    instance: Instance
    dataset: Any  # pydicom.Dataset
    reason: str = ""
    is_syntax_assumed: bool = False


@contextmanager
def wall(reason: str) -> Iterator[None]:
    """Turn whatever a vendor library raises inside into NotReadable(reason).

    Raises:
        MedioError: ours pass unchanged; nesting that exhausts the stack is `nesting`, memory `too-large`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # texts of pydicom's warnings quote element values
            yield
    except MedioError:
        raise
    except RecursionError as error:
        raise NotReadable("nesting", "sequences are nested too deeply") from error
    except MemoryError as error:
        raise NotReadable("too-large", "the object claims more memory than there is") from error
    except Exception as error:  # the border: pydicom and decoders document no closed set of errors
        if isinstance(error.__context__, MedioError):
            raise error.__context__ from None  # pydicom puts its own in place of whatever a read raises
        raise NotReadable(reason, f"{reason} ({type(error).__name__})") from error


def read_dicom(data: bytes) -> DicomFile:
    """Parse a Part 10 file, or a bare dataset whose start is unmistakable.

    Args:
        data: the whole file.

    Raises:
        NotReadable: not DICOM, damaged, cut short, or beyond the limits.
    """
    dataset, is_syntax_assumed = _parse(data)
    with wall("bad-elements"):
        kind, reason = kind_of(dataset)
        instance = _instance(dataset, hashlib.sha256(data).hexdigest())
    return DicomFile(kind, instance, dataset, reason, is_syntax_assumed)


def looks_like_dicom(data: bytes) -> bool:
    """Whether these bytes start as a Part 10 file, or as a dataset without preamble."""
    return data[128:132] == b"DICM" or _starts_as_dataset(data)


class _Watched(io.BytesIO):
    """Bytes that remember when a reader wanted more than there was, and end a search that never ends.

    pydicom returns short values without complaint, so a file cut in the middle looks whole. For each value of
    undefined length it searches the rest of the file: thousands without their end would take minutes.
    """

    cut = False
    searched = 0

    def __init__(self, data: bytes) -> None:
        super().__init__(data)  # shares the bytes, as long as nobody asks for the buffer
        self._searchable = MAX_SEARCHED_BYTES + 16 * len(data)

    def read(self, size: int | None = -1, /, *, _read: Any = io.BytesIO.read) -> bytes:
        got: bytes = _read(self, size)
        if size is None or size < 0:
            raise NotReadable("deflate", "a deflated part outside the bounded path")
        if len(got) < size and any(got):  # zero padding at the end is harmless
            self.cut = True
        if size >= _SEARCH_BYTES:
            self.searched += len(got)
            if self.searched > self._searchable:
                raise NotReadable("nesting", "values of undefined length without their end")
        return got


class _Counted(_Watched):
    """The same for large files, where the number of elements must have an end."""

    reads = 0

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._allowed = MAX_READS + len(data) // 32

    def read(self, size: int | None = -1, /, *, _read: Any = _Watched.read) -> bytes:
        self.reads += 1
        if self.reads > self._allowed:
            raise NotReadable("too-many-elements", "more elements than any object has")
        got: bytes = _read(self, size)
        return got


def _watched(data: bytes) -> _Watched:
    return _Counted(data) if len(data) > MAX_READS else _Watched(data)


def _parse(data: bytes) -> tuple[Any, bool]:
    """The dataset, and whether its transfer syntax is a conclusion."""
    if len(data) > MAX_FILE_BYTES:
        raise NotReadable("too-large", f"more than {MAX_FILE_BYTES} bytes")
    if not looks_like_dicom(data):
        raise NotReadable("not-dicom", "neither a DICM prefix nor the start of a dataset")
    with wall("not-dicom"):
        watched, is_assumed = _watched(data), False
        if DeflatedExplicitVRLittleEndian.encode() in data[:65536] and (end := _meta_end(data)):
            dataset, watched = _inflated(data, end)
        else:
            dataset = dcmread(watched, force=data[128:132] != b"DICM")
            if data[128:132] != b"DICM":
                is_assumed = _state_syntax(dataset)
        if len(dataset) == 0:
            raise NotReadable("empty-dataset", "no elements after the header")
        if watched.cut or _is_short(next(reversed(dataset.values()))):
            raise NotReadable("truncated", "the file ends inside an element")
        for element in dataset.values():
            _check_sequence(element)
    return dataset, is_assumed


def _state_syntax(dataset: Any) -> bool:
    """A bare dataset states no transfer syntax; uncompressed pixels need only the one its parsing showed."""
    implicit, little = dataset.original_encoding
    if dataset.file_meta.get("TransferSyntaxUID") or implicit is None or dataset.get("PixelData") is None:
        return False
    if dataset["PixelData"].is_undefined_length:
        return False
    plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    dataset.file_meta.TransferSyntaxUID = plain if little else ExplicitVRBigEndian
    return True


def _is_short(element: Any) -> bool:
    """A value with fewer bytes than its length field says."""
    if not getattr(element, "is_raw", False) or element.value is None or element.length == _UNDEFINED:
        return False
    return bool(len(element.value) < element.length)


def _check_sequence(element: Any) -> None:
    """Refuse a sequence of stated length that nobody should parse; pydicom does so at the first look into it.

    An item of undefined length whose end is missing makes it search the rest of the sequence, for each item.
    """
    if not getattr(element, "is_raw", False) or not _SMALL_SEQUENCE < element.length < _UNDEFINED:
        return
    if element.VR != "SQ" and DicomDictionary.get(element.tag, ("",))[0] != "SQ":
        return
    items, ends, undefined = 0, 0, 0
    for item, end in _ITEM_TAGS:
        items, ends = items + element.value.count(item), ends + element.value.count(end)
        undefined += element.value.count(item + b"\xff\xff\xff\xff")
    if element.length > MAX_SEQUENCE_BYTES or items > MAX_SEQUENCE_ITEMS:
        raise NotReadable("too-many-elements", "a sequence longer than any object has")
    if undefined > ends:
        raise NotReadable("nesting", "items of undefined length without their end")


def _starts_as_dataset(data: bytes) -> bool:
    """First element of group 0002 or 0008, with a VR or a length that fits (PS3.5 §7.1)."""
    if len(data) < 16 or data[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08"):
        return False
    if data[4:6].isalpha() and data[4:6].isupper():
        return True
    return data[:1] == b"\x08" and int.from_bytes(data[4:8], "little") <= 256


def _meta_end(data: bytes) -> int:
    """Where the group 0002 elements end when they name the deflated syntax, else 0 (PS3.10 §7.1)."""
    place, deflated = 132 if data[128:132] == b"DICM" else 0, False
    while data[place : place + 2] == b"\x02\x00":
        long_form = data[place + 4 : place + 6] in (b"OB", b"OW", b"UN", b"UT", b"SQ", b"UC", b"UR")
        head, size = (12, data[place + 8 : place + 12]) if long_form else (8, data[place + 6 : place + 8])
        end = place + head + int.from_bytes(size, "little")
        if data[place + 2 : place + 4] == b"\x10\x00":
            deflated = data[place + head : end].rstrip(b"\0 ") == DeflatedExplicitVRLittleEndian.encode()
        place = end
    return place if deflated else 0


def _inflated(data: bytes, meta_end: int) -> tuple[Any, _Watched]:
    """Inflate with a ceiling, then parse. A 2 MB file can otherwise become gigabytes (SECURITY §5)."""
    ceiling = min(MAX_INFLATED_BYTES, max(HARMLESS_BYTES, MAX_INFLATE_RATIO * (len(data) - meta_end)))
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = stream.decompress(data[meta_end:], ceiling)
    except zlib.error as error:
        raise NotReadable("deflate", "the deflated part is damaged") from error
    if not stream.eof:
        reason = "deflate-ratio" if len(plain) >= ceiling else "truncated"
        raise NotReadable(reason, f"inflating stopped after {len(plain)} bytes")
    header = dcmread(_Watched(data[:meta_end]), force=True, stop_before_pixels=True)
    watched = _watched(plain)
    dataset = read_dataset(watched, is_implicit_VR=False, is_little_endian=True)
    whole = FileDataset("", dataset, header.preamble, header.file_meta, False, True)
    return whole, watched


def _instance(dataset: Any, digest: str) -> Instance:
    meta = getattr(dataset, "file_meta", None)
    return Instance(
        content_digest=digest,
        SOPInstanceUID=uid_of(dataset, "SOPInstanceUID"),
        SOPClassUID=sop_class_of(dataset),
        SeriesInstanceUID=uid_of(dataset, "SeriesInstanceUID"),
        StudyInstanceUID=uid_of(dataset, "StudyInstanceUID"),
        AccessionNumber=_requested(dataset, "AccessionNumber"),
        PatientID=text_of(dataset, "PatientID"),
        IssuerOfPatientID=text_of(dataset, "IssuerOfPatientID"),
        StudyDate=date_of(text_of(dataset, "StudyDate")),
        Modality=text_of(dataset, "Modality"),
        BodyPartExamined=text_of(dataset, "BodyPartExamined"),
        TransferSyntaxUID=uid_of(meta, "TransferSyntaxUID") if meta else "",
        NumberOfFrames=_frames(dataset),
        attributes=dict(_attributes(dataset)),
        PlacerOrderNumber=_requested(dataset, "PlacerOrderNumberImagingServiceRequest"),
        FillerOrderNumber=_requested(dataset, "FillerOrderNumberImagingServiceRequest"),
        InstitutionName=text_of(dataset, "InstitutionName"),
        identity=identity_values(dataset),
    )


def _requested(dataset: Any, keyword: str) -> str:
    """An attribute of the request: the object's own, else the one its request items agree on."""
    if own := text_of(dataset, keyword):
        return own
    items = [item for name in _REQUESTS for item in (dataset.get(name) or ())]
    found = {text_of(item, keyword) for item in items} - {""}
    return found.pop() if len(found) == 1 else ""


def _frames(dataset: Any) -> int:
    text = text_of(dataset, "NumberOfFrames")
    return int(text) if text.isdecimal() and 0 < int(text) < 1 << 31 else 1


def _attributes(dataset: Any) -> Iterator[tuple[str, str | float]]:
    for keyword in TECHNICAL:
        text = text_of(dataset, keyword)
        if not text:
            continue
        try:
            number = float(text)
        except ValueError:
            yield keyword, text[:64]
            continue
        yield keyword, number if abs(number) < 1e12 else text[:64]  # also not NaN: JSON has none
