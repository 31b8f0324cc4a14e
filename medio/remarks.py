"""What an auditor should know about an image that was taken in all the same, as stable codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from medio.dicom import DicomFile
from medio.elements import text_of
from medio.layout import PixelLayout

_LOSSY = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 53, 55, 81, 111, 112))
_HANDLES = {
    "PatientID": "no-patient-id",
    "StudyInstanceUID": "no-study-uid",
    "SOPInstanceUID": "no-instance-uid",
}
_OVERLAYS = 0x60  # first byte of groups 6000 to 60FF


def header_remarks(file: DicomFile) -> tuple[str, ...]:
    """What the header of an image leaves out or contradicts.

    no-patient-id, no-study-uid, no-instance-uid: absent, or nothing that can serve as one · unreadable-date:
    a study date that is none · header-disagrees: file header and object name different classes or instances ·
    transfer-syntax-assumed: the file names none; it is the one its bytes showed.
    """
    return tuple(_header(file))


def pixel_remarks(dataset: Any, layout: PixelLayout) -> tuple[str, ...]:
    """What the header says about the pixels that no frame shows.

    lossy: the pixels went through lossy compression · bytes-after-pixels: more bytes than the frames need ·
    high-bit-ignored: values are said to lie elsewhere than in the lowest bits · overlays-left-out: graphics
    beside the pixels are not drawn · burned-in-annotation: the header says that the pixels hold text.
    """
    return tuple(_pixels(dataset, layout))


def _header(file: DicomFile) -> Iterator[str]:
    for keyword, code in _HANDLES.items():
        if not getattr(file.instance, keyword):
            yield code
    if not file.instance.StudyDate and text_of(file.dataset, "StudyDate"):
        yield "unreadable-date"
    meta = getattr(file.dataset, "file_meta", None)
    for stated, found in (
        ("MediaStorageSOPClassUID", file.instance.SOPClassUID),
        ("MediaStorageSOPInstanceUID", file.instance.SOPInstanceUID),
    ):
        if meta is not None and text_of(meta, stated) not in ("", found):
            yield "header-disagrees"
            break
    if file.is_syntax_assumed:
        yield "transfer-syntax-assumed"


def _pixels(dataset: Any, layout: PixelLayout) -> Iterator[str]:
    if layout.transfer_syntax in _LOSSY or text_of(dataset, "LossyImageCompression") == "01":
        yield "lossy"
    if layout.surplus_bytes > 1:  # one pads to an even length
        yield "bytes-after-pixels"
    if text_of(dataset, "HighBit") not in ("", str(layout.bits_stored - 1)):
        yield "high-bit-ignored"
    tags = dataset.keys()  # the dataset itself yields elements, and converts them all
    if any(tag >> 24 == _OVERLAYS for tag in tags):
        yield "overlays-left-out"
    if text_of(dataset, "BurnedInAnnotation") == "YES":
        yield "burned-in-annotation"
