"""DICOM bytes -> a dataset we trust far enough, and its Instance record.

pydicom raises almost anything on damaged input, pads what is missing and inflates without limit. This file is
the wall: bounded input goes in, one of medio's errors or a checked dataset comes out. What an audit relies on
(structure, UIDs, patient, accession) is validated; everything else is tolerated.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medio.errors import MedioError, NotReadable
from medio.records import Instance

MAX_FILE_BYTES = 1 << 30
MAX_INFLATED_BYTES = 1 << 30
MAX_INFLATE_RATIO = 100  # SECURITY §5
_UID = re.compile(r"[0-9.]{1,64}")
_MAX_HANDLE = 256  # characters; LO allows 64, some systems write more
_DICOMDIR = "1.2.840.10008.1.3.10"
_SR_CLASSES = "1.2.840.10008.5.1.4.1.1.88."
_KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_IMAGE_WORDS = ("Rows", "Columns", "PhotometricInterpretation")
_ATTRIBUTES = (  # technical facts only, for the blind baseline; no name, date of birth or free text
    "Manufacturer",
    "ManufacturerModelName",
    "Rows",
    "Columns",
    "BitsStored",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "KVP",
    "SliceThickness",
    "MagneticFieldStrength",
    "ViewPosition",
    "LossyImageCompression",
    "ConversionType",
)


class ObjectKind(StrEnum):
    """What a DICOM object is to an audit."""

    IMAGE = "image"
    REPORT = "report"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A parsed object: the record, and the dataset its pixels or content tree are read from.

    Attributes:
        reason: of a document, the code that says what it is; else empty.
    """

    kind: ObjectKind
    instance: Instance
    dataset: Any  # pydicom.Dataset
    reason: str = ""


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
        raise NotReadable(reason, f"{reason} ({type(error).__name__})") from error


def read_dicom(data: bytes) -> DicomFile:
    """Parse a Part 10 file, or a bare dataset whose start is unmistakable.

    Args:
        data: the whole file.

    Raises:
        NotReadable: not DICOM, damaged, cut short, or beyond the limits.
    """
    dataset = _parse(data)
    with wall("bad-elements"):
        kind, reason = _kind(dataset)
        instance = _instance(dataset, hashlib.sha256(data).hexdigest())
    return DicomFile(kind, instance, dataset, reason)


def looks_like_dicom(data: bytes) -> bool:
    """Whether these bytes start as a Part 10 file, or as a dataset without preamble."""
    return data[128:132] == b"DICM" or _starts_as_dataset(data)


def text_of(dataset: Any, keyword: str) -> str:
    """One attribute as trimmed text; empty when absent, undecodable or absurdly long."""
    try:
        value = dataset.get(keyword)
        text = "" if value is None else str(value).strip("\0 \t\r\n")
    except Exception:  # noqa: BLE001 - converting a damaged value may raise anything; a tolerated value is then absent
        return ""
    return text if len(text) <= _MAX_HANDLE and text.isprintable() else ""


def uid_of(dataset: Any, keyword: str) -> str:
    """A UID that is one (PS3.5 §9.1 characters and length), else empty: a malformed UID joins nothing."""
    return valid_uid(text_of(dataset, keyword))


def valid_uid(text: str) -> str:
    """`text` when it may serve as a UID, else empty."""
    return text if _UID.fullmatch(text) and any(digit.isdigit() for digit in text) else ""


def date_of(text: str) -> str:
    """`YYYYMMDD` from a DA (also the old dotted form) or a timestamp, else empty."""
    match = re.match(r"(\d{4})\.?(\d{2})\.?(\d{2})", text)
    found = "".join(match.groups()) if match else ""
    return "" if found == "00000000" else found


class _Watched(io.BytesIO):
    """Bytes that remember when a reader wanted more than there was.

    pydicom returns short values without complaint, so a file cut in the middle looks whole.
    """

    cut = False

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise NotReadable("deflate", "a deflated part outside the bounded path")
        got = super().read(size)
        if len(got) < size and any(got):  # zero padding at the end is harmless
            self.cut = True
        return got


def _parse(data: bytes) -> Any:
    if len(data) > MAX_FILE_BYTES:
        raise NotReadable("too-large", f"more than {MAX_FILE_BYTES} bytes")
    if not looks_like_dicom(data):
        raise NotReadable("not-dicom", "neither a DICM prefix nor the start of a dataset")
    with wall("not-dicom"):
        watched = _Watched(data)
        if DeflatedExplicitVRLittleEndian.encode() in data[:65536] and (end := _meta_end(data)):
            dataset, watched = _inflated(data, end)
        else:
            dataset = dcmread(watched, force=data[128:132] != b"DICM")
            if data[128:132] != b"DICM":
                _state_syntax(dataset)
        if len(dataset) == 0:
            raise NotReadable("empty-dataset", "no elements after the header")
        if watched.cut or any(_is_short(element) for element in dataset.values()):
            raise NotReadable("truncated", "the file ends inside an element")
    return dataset


def _state_syntax(dataset: Any) -> None:
    """A bare dataset states no transfer syntax; uncompressed pixels need only the one its parsing showed."""
    implicit, little = dataset.original_encoding
    if dataset.file_meta.get("TransferSyntaxUID") or implicit is None or dataset.get("PixelData") is None:
        return
    if not dataset["PixelData"].is_undefined_length:
        plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = plain if little else ExplicitVRBigEndian


def _is_short(element: Any) -> bool:
    """A value with fewer bytes than its length field says (0xFFFFFFFF = undefined)."""
    if not getattr(element, "is_raw", False) or element.value is None or element.length == 0xFFFFFFFF:
        return False
    return bool(len(element.value) < element.length)


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
    ceiling = min(MAX_INFLATED_BYTES, MAX_INFLATE_RATIO * (len(data) - meta_end))
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = stream.decompress(data[meta_end:], ceiling)
    except zlib.error as error:
        raise NotReadable("deflate", "the deflated part is damaged") from error
    if not stream.eof:
        reason = "deflate-ratio" if len(plain) >= ceiling else "truncated"
        raise NotReadable(reason, f"inflating stopped after {len(plain)} bytes")
    header = dcmread(_Watched(data[:meta_end]), force=True, stop_before_pixels=True)
    watched = _Watched(plain)
    dataset = read_dataset(watched, is_implicit_VR=False, is_little_endian=True)
    whole = FileDataset("", dataset, header.preamble, header.file_meta, False, True)
    return whole, watched


def _kind(dataset: Any) -> tuple[ObjectKind, str]:
    sop_class = _sop_class(dataset)
    if sop_class.startswith(_SR_CLASSES) and sop_class != _KEY_OBJECT_SELECTION:
        return ObjectKind.REPORT, ""
    if any(keyword in dataset for keyword in _PIXELS):
        return ObjectKind.IMAGE, ""
    if sop_class == _DICOMDIR:
        return ObjectKind.DOCUMENT, "dicomdir"
    if not sop_class and not uid_of(dataset, "SOPInstanceUID"):
        raise NotReadable("no-sop-class", "elements, but no object: neither class, instance nor pixels")
    if all(keyword in dataset for keyword in _IMAGE_WORDS):
        return ObjectKind.DOCUMENT, "no-pixels"
    return ObjectKind.DOCUMENT, "document-not-report"


def _sop_class(dataset: Any) -> str:
    meta = getattr(dataset, "file_meta", None)
    return uid_of(dataset, "SOPClassUID") or (uid_of(meta, "MediaStorageSOPClassUID") if meta else "")


def _instance(dataset: Any, digest: str) -> Instance:
    meta = getattr(dataset, "file_meta", None)
    return Instance(
        content_digest=digest,
        SOPInstanceUID=uid_of(dataset, "SOPInstanceUID"),
        SOPClassUID=_sop_class(dataset),
        SeriesInstanceUID=uid_of(dataset, "SeriesInstanceUID"),
        StudyInstanceUID=uid_of(dataset, "StudyInstanceUID"),
        AccessionNumber=text_of(dataset, "AccessionNumber"),
        PatientID=text_of(dataset, "PatientID"),
        IssuerOfPatientID=text_of(dataset, "IssuerOfPatientID"),
        StudyDate=date_of(text_of(dataset, "StudyDate")),
        Modality=text_of(dataset, "Modality"),
        BodyPartExamined=text_of(dataset, "BodyPartExamined"),
        TransferSyntaxUID=uid_of(meta, "TransferSyntaxUID") if meta else "",
        NumberOfFrames=_frames(dataset),
        attributes=dict(_attributes(dataset)),
    )


def _frames(dataset: Any) -> int:
    text = text_of(dataset, "NumberOfFrames")
    return int(text) if text.isdecimal() and 0 < int(text) < 1 << 31 else 1


def _attributes(dataset: Any) -> Iterator[tuple[str, str | float]]:
    for keyword in _ATTRIBUTES:
        text = text_of(dataset, keyword)
        if not text:
            continue
        try:
            number = float(text)
        except ValueError:
            yield keyword, text[:64]
            continue
        yield keyword, number if abs(number) < 1e12 else text[:64]  # also not NaN: JSON has none
