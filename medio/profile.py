"""PS3.15 Basic Application Level Confidentiality Profile: one DICOM image -> the same image of nobody.

What is to be done with which attribute is the table of dicom-anonymizer (PS3.15 2026c, Table E.1-1); it is
applied here, to every level of nesting, and beyond the table: all private, unknown, curve and overlay
elements go, all dates and times, all text that is not known to be technical; every UID that is not DICOM's
own is replaced. No option of the profile is used; structured content and encapsulated documents are free
text and are refused.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as table
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.pixels.utils import get_expected_length
from pydicom.sequence import Sequence
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless

from medio.dicom import DicomFile, ObjectKind, read_dicom, wall
from medio.errors import NotReadable, NotSupported
from medio.identity import all_identity_values
from medio.layout import UNNAMED
from medio.residual import Hit, Scan
from medio.technical import is_technical

METHOD: Final = "PS3.15 2026c Basic Profile, no options; GradAudit Appliance"
_PROFILE: Final = ("113100", "DCM", "Basic Application Confidentiality Profile")
_IMPLEMENTATION: Final = "2.25.318094277241838451620316263462372094573"
_STANDARD_ROOT: Final = "1.2.840.10008."
_MAX_UIDS: Final = 20_000
_MAX_DEPTH: Final = 32
_SEALED: Final[frozenset[int]] = frozenset({0x04000500, 0x54000100})  # encrypted originals, recorded sound
_FREE_VRS: Final = frozenset({"ST", "LT", "UT", "UR", "AE", "UN", "PN", "DA", "DT", "TM"})
_DUMMIES: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("LO", "SH", "ST", "LT", "UT", "UC", "CS", "AE", "PN"), "REMOVED"),
    **dict.fromkeys(("IS", "DS"), "0"),
    **dict.fromkeys(("US", "SS", "UL", "SL", "UV", "SV", "FL", "FD"), 0),
    "DA": "19000101",
    "TM": "000000",
    "DT": "19000101000000",
    "AS": "000Y",
}
# Where the table leaves a choice by type of object, a dummy of the right form keeps every type valid.
_ACTIONS: Final[Mapping[int, str]] = {
    (tag[0] << 16) + tag[1]: action
    for action, tags in {
        "dummy": table.D_TAGS + table.Z_D_TAGS + table.X_D_TAGS + table.X_Z_D_TAGS,
        "empty": table.Z_TAGS + table.X_Z_TAGS,
        "remove": table.X_TAGS,
        "uid": table.U_TAGS + table.X_Z_U_STAR_TAGS,
    }.items()
    for tag in tags
    if len(tag) == 2
}


@dataclass(frozen=True, slots=True)
class Handles:
    """What has to be replaced alike in every file of a site, for whoever holds the key.

    Attributes:
        uids: every UID of the object that is not DICOM's own, sorted.
    """

    PatientID: str
    IssuerOfPatientID: str
    uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replacements:
    """The answer to `Handles`: a pseudonym, or empty where there is no patient id; old UID -> new UID."""

    patient: str
    uids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Deidentified:
    """An object without identity, not yet searched for what is left.

    Attributes:
        data: the whole file.
        pixels: the value of its pixel data element.
        compressed: whether that value is compressed.
        scan: what must not be in it.
    """

    data: bytes
    pixels: bytes
    compressed: bool
    scan: Scan

    def residue(self) -> tuple[Hit, ...]:
        """Where identity is left; a file with any may not be written."""
        return self.scan.hits(self.data, self.pixels, self.compressed)


def handles_of(data: bytes) -> Handles:
    """What `deidentified` needs replacements for.

    Raises:
        NotReadable: not DICOM, damaged, or beyond the limits.
        NotSupported: the object is none that this profile can clean.
    """
    file = image_of(data)
    with wall("bad-elements"):
        uids = tuple(sorted(set(_uids(file.dataset, 0))))
    if len(uids) > _MAX_UIDS:
        raise NotReadable("too-large", f"more than {_MAX_UIDS} UIDs")
    return Handles(file.instance.PatientID, file.instance.IssuerOfPatientID, uids)


def scan_of(dataset: Any) -> Scan:
    """What must not be found in an export of this original, taken before anything is cleaned."""
    placeholders = {*map(str, _DUMMIES.values()), *_DUMMIES}
    values = tuple(value for value in all_identity_values(dataset) if value not in placeholders)
    return Scan(values, tuple(sorted(set(_uids(dataset, 0)))))


def deidentified(data: bytes, given: Replacements) -> Deidentified:
    """Apply the profile to one image; pixels stay as they are.

    Args:
        data: the original file.
        given: replacements for its `handles_of`; a UID without one is removed.

    Raises:
        NotReadable, NotSupported: as `handles_of`.
    """
    dataset = image_of(data).dataset
    with wall("bad-elements"):
        old, scan = dataset.file_meta, scan_of(dataset)
        _clean(dataset, given, 0)
        _drop_repeated(dataset, scan)
        _declare(dataset, given.patient)
        dataset.file_meta = _file_meta(dataset, old.TransferSyntaxUID)
        dataset.preamble = b"\0" * 128
        encapsulated = "PixelData" in dataset and dataset["PixelData"].is_undefined_length
        if "PixelData" in dataset and not encapsulated:
            _cut_to_image(dataset)
        buffer = io.BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
    compressed = encapsulated and dataset.file_meta.TransferSyntaxUID != RLELossless  # runs of grey levels
    return Deidentified(buffer.getvalue(), _pixel_value(dataset), compressed, scan)


def image_of(data: bytes) -> DicomFile:
    """The object, if this profile can clean it.

    Raises:
        NotReadable, NotSupported: as `handles_of`.
    """
    file = read_dicom(data)
    if file.kind is ObjectKind.REPORT:
        raise NotSupported(
            "structured-content", "a structured report is free text; the profile cannot clean it"
        )
    if file.kind is not ObjectKind.IMAGE:
        raise NotSupported(
            "no-pixels", "only images are exported; this object holds text or data of another kind"
        )
    with wall("bad-elements"):
        if any(_drawn_in_pixels(element) for element in file.dataset.group_dataset(0x6000)):
            raise NotSupported("embedded-overlay", "an overlay is drawn in the unused bits of the pixels")
        if not (file.instance.SOPClassUID and file.instance.SOPInstanceUID):
            raise NotReadable("no-sop-class", "the file does not say which object of which class it is")
        if not file.instance.TransferSyntaxUID:
            raise NotReadable("no-transfer-syntax", "the file does not say how it is encoded")
        syntax = file.instance.TransferSyntaxUID
        if syntax in UNNAMED or not UID(syntax).is_transfer_syntax:
            raise NotSupported("unwritable-syntax", "a file of this transfer syntax cannot be written here")
    return file


def _drawn_in_pixels(element: Any) -> bool:
    """Overlay Bit Position > 0 with no Overlay Data of its own (retired, PS3.3 2004)."""
    return bool(element.tag.element == 0x0102 and element.value)


def _uids(level: Dataset, depth: int) -> Iterator[str]:
    for tag in list(level.keys()):
        if _is_unwanted(tag):
            continue
        element = level[tag]
        if element.VR == "SQ" and depth < _MAX_DEPTH:
            for item in element.value or ():
                yield from _uids(item, depth + 1)
        elif element.VR == "UI":
            yield from filter(_is_own, _values(element))


def _values(element: Any) -> list[str]:
    value = element.value
    several = value if isinstance(value, MultiValue | list) else [value]
    return [str(one) for one in several if one]


def _is_own(uid: str) -> bool:
    return not uid.startswith(_STANDARD_ROOT)


def _clean(level: Dataset, given: Replacements, depth: int) -> None:
    """One level of nesting, in place."""
    if depth > _MAX_DEPTH:
        raise NotReadable("nesting", "sequences are nested too deeply")
    for tag in list(level.keys()):
        if _is_unwanted(tag):
            del level[tag]
            continue
        element, action = level[tag], _ACTIONS.get(tag, "")
        if action == "remove" or (not action and not _may_stay(element)):
            del level[tag]
        elif action == "dummy":
            _dummy(level, element, given, depth)
        elif action == "empty":
            element.value = Sequence() if element.VR == "SQ" else None
        elif element.VR == "SQ":
            for item in element.value or ():
                _clean(item, given, depth + 1)
        elif element.VR == "UI":
            _replace_uids(level, element, given)


def _may_stay(element: Any) -> bool:
    """Whether the table's silence lets an element through: numbers, codes, and words on the technique."""
    if element.tag in _SEALED:
        return False
    return element.VR not in _FREE_VRS and is_technical(element.tag, element.VR)


def _is_unwanted(tag: Any) -> bool:
    """Private, unknown, a stray item, or of a curve 50xx or an overlay 60xx (PS3.5 §7.6)."""
    return bool(
        tag.is_private or tag not in DicomDictionary or tag.group == 0xFFFE or tag.group >> 8 in (0x50, 0x60)
    )


def _drop_repeated(level: Dataset, scan: Scan) -> None:
    """Text that the table lets stay goes when it repeats a name, an id or a date of the header."""
    for element in list(level):
        if element.VR == "SQ":
            for item in element.value or ():
                _drop_repeated(item, scan)
        elif element.VR in ("LO", "SH", "UC") and _repeats("\\".join(_values(element)), scan):
            del level[element.tag]


def _repeats(text: str, scan: Scan) -> bool:
    """Whether a text holds identity as it is, or without what stands between its letters and figures."""
    bare = "".join(sign for sign in text if sign.isalnum())
    return bool(scan.hits(text.encode()) or scan.hits(bare.encode()))


def _replace_uids(level: Dataset, element: Any, given: Replacements) -> None:
    new = [given.uids.get(uid, "") if _is_own(uid) else uid for uid in _values(element)]
    if not all(new):
        del level[element.tag]
    else:
        element.value = new[0] if len(new) == 1 else new or None


def _dummy(level: Dataset, element: Any, given: Replacements, depth: int) -> None:
    """A value of the right form that says nothing; in a sequence, for everything inside."""
    if element.VR == "SQ":
        for item in element.value or ():
            _clean(item, given, depth + 1)
            for inner in list(item):
                _dummy(item, inner, given, depth + 1)
    elif element.VR == "UI":
        _replace_uids(level, element, given)
    elif element.VR in _DUMMIES:
        element.value = _DUMMIES[element.VR]
    else:
        del level[element.tag]


def _declare(dataset: Any, patient: str) -> None:
    dataset.PatientID = dataset.PatientName = patient
    dataset.PatientIdentityRemoved = "YES"
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    dataset.DeidentificationMethod = METHOD
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = _PROFILE
    dataset.DeidentificationMethodCodeSequence = Sequence([code])


def _file_meta(dataset: Any, syntax: str) -> FileMetaDataset:
    """A fresh header: the old one may name the sender and hold private information."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    # A deflated file could not be searched for what is left.
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == DeflatedExplicitVRLittleEndian else syntax
    meta.ImplementationClassUID = _IMPLEMENTATION
    return meta


def _cut_to_image(dataset: Any) -> None:
    """Bytes after the last pixel are no image."""
    length = get_expected_length(dataset)
    dataset.PixelData = dataset.PixelData[: length + length % 2]


def _pixel_value(dataset: Any) -> bytes:
    for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"):
        if keyword in dataset:
            return bytes(dataset[keyword].value)
    raise NotReadable("no-pixels", "there is no pixel data")
