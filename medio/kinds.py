"""What a DICOM object is to an audit, by its SOP class and what it holds (PS3.4 B.5, PS3.6 A).

An object is an image when it has pixels, whatever its class is called: private classes, and classes younger
than this table, are read all the same. Structured reports and documents are told apart by class.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from medio.elements import uid_of
from medio.errors import NotReadable

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_IMAGE_WORDS = ("Rows", "Columns", "PhotometricInterpretation")
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_SR_CLASSES = f"{_STORAGE}88."
_KEY_OBJECT_SELECTION = f"{_STORAGE}88.59"
DICOMDIR = "1.2.840.10008.1.3.10"

# Classes, and families of classes (ending in a dot), that come without pixels; the first that fits counts.
_DOCUMENTS = {
    DICOMDIR: "dicomdir",
    _KEY_OBJECT_SELECTION: "key-object",
    f"{_STORAGE}9.": "waveform",
    f"{_STORAGE}11.": "presentation-state",
    f"{_STORAGE}104.": "encapsulated-document",
    f"{_STORAGE}481.3": "rt-structure-set",
    f"{_STORAGE}481.5": "rt-plan",
    f"{_STORAGE}481.8": "rt-plan",
    f"{_STORAGE}481.": "rt-object",
    f"{_STORAGE}66.1": "registration",
    f"{_STORAGE}66.2": "fiducials",
    f"{_STORAGE}66.3": "registration",
    f"{_STORAGE}66.5": "surface-segmentation",
    f"{_STORAGE}66.6": "tractography",
    f"{_STORAGE}66": "raw-data",
    f"{_STORAGE}67": "value-mapping",
    f"{_STORAGE}68.": "surface-scan",
    f"{_STORAGE}4.2": "spectroscopy",
    f"{_STORAGE}78.": "ophthalmic-measurement",
    f"{_STORAGE}79.": "ophthalmic-measurement",
    "1.2.840.10008.5.1.4.31": "worklist",
    "1.2.840.10008.3.1.2.3.": "procedure-step",
    "1.2.840.10008.5.1.4.34.": "procedure-step",
    "1.2.840.10008.5.1.4.38.": "hanging-protocol",
    "1.2.840.10008.5.1.4.39.": "colour-palette",
    "1.2.840.10008.5.1.4.43.": "implant-template",
}


class ObjectKind(StrEnum):
    """What a DICOM object is to an audit."""

    IMAGE = "image"
    REPORT = "report"
    DOCUMENT = "document"


def kind_of(dataset: Any) -> tuple[ObjectKind, str]:
    """The kind of an object; of a document also the code that says what it is.

    `no-pixels` is a header that describes an image and has none; `document-not-report` a class without a name
    of its own here.

    Raises:
        NotReadable: elements, but nothing that makes them an object.
    """
    sop_class = sop_class_of(dataset)
    if sop_class.startswith(_SR_CLASSES) and sop_class != _KEY_OBJECT_SELECTION:
        return ObjectKind.REPORT, ""
    if any(keyword in dataset for keyword in PIXELS):
        return ObjectKind.IMAGE, ""
    if (reason := _document_reason(sop_class)) is not None:
        return ObjectKind.DOCUMENT, reason
    if not sop_class and not uid_of(dataset, "SOPInstanceUID"):
        raise NotReadable("no-sop-class", "elements, but no object: neither class, instance nor pixels")
    if all(keyword in dataset for keyword in _IMAGE_WORDS):
        return ObjectKind.DOCUMENT, "no-pixels"
    return ObjectKind.DOCUMENT, "document-not-report"


def sop_class_of(dataset: Any) -> str:
    """SOP Class UID, else the one in the file's header, else empty."""
    meta = getattr(dataset, "file_meta", None)
    return uid_of(dataset, "SOPClassUID") or (uid_of(meta, "MediaStorageSOPClassUID") if meta else "")


def _document_reason(sop_class: str) -> str | None:
    for known, reason in _DOCUMENTS.items():
        if sop_class == known or (known.endswith(".") and sop_class.startswith(known)):
            return reason
    return None
