"""Small medical objects made by hand, so that every test knows the right answer."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

from medio.records import Instance, Report, ReportSource

CT = "1.2.840.10008.5.1.4.1.1.2"
SC = "1.2.840.10008.5.1.4.1.1.7"
SR = "1.2.840.10008.5.1.4.1.1.88.11"


def dataset(sop_class: str = CT, syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> FileDataset:
    """A dataset with the identity every object has, plus these attributes."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    meta.TransferSyntaxUID = syntax
    ds = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, "1.2.3.4"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    ds.PatientID, ds.IssuerOfPatientID, ds.AccessionNumber = "PAT1", "SITE", "ACC1"
    ds.StudyDate, ds.Modality = "20240102", "CT"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def image(pixels: NDArray[Any], photometric: str = "MONOCHROME2", **attributes: Any) -> FileDataset:
    """An uncompressed image of [H, W], [H, W, 3] or, with NumberOfFrames given, [N, H, W] values."""
    ds = dataset(**attributes)
    colour = pixels.shape[-1] == 3 and pixels.ndim >= 3
    ds.Rows, ds.Columns = pixels.shape[-3:-1] if colour else pixels.shape[-2:]
    ds.SamplesPerPixel = 3 if colour else 1
    if colour:
        ds.PlanarConfiguration = attributes.get("PlanarConfiguration", 0)
    ds.PhotometricInterpretation = photometric
    ds.BitsAllocated = pixels.dtype.itemsize * 8
    ds.BitsStored = attributes.get("BitsStored", ds.BitsAllocated)
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
    return ds


def jpeg_image(pixels: NDArray[np.uint8], coded: bytes | None = None) -> FileDataset:
    """A Secondary Capture with a JPEG inside; `coded` replaces the bytes but not the header."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    ds = image(pixels, "YBR_FULL_422" if pixels.ndim == 3 else "MONOCHROME2", sop_class=SC)
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.PixelData = encapsulate([coded if coded is not None else buffer.getvalue()])
    ds["PixelData"].is_undefined_length = True
    return ds


def part10(ds: FileDataset) -> bytes:
    """The object as a file."""
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def code(meaning: str) -> Dataset:
    """A coded concept with this meaning."""
    coded = Dataset()
    coded.CodeValue, coded.CodingSchemeDesignator, coded.CodeMeaning = "1", "99TEST", meaning
    return coded


def content(kind: str, name: str, relationship: str = "CONTAINS", **attributes: Any) -> Dataset:
    """One node of an SR content tree."""
    node = Dataset()
    node.RelationshipType, node.ValueType = relationship, kind
    node.ConceptNameCodeSequence = [code(name)]
    for keyword, value in attributes.items():
        setattr(node, keyword, value)
    return node


def structured_report(items: list[Dataset], **attributes: Any) -> FileDataset:
    """A Basic Text SR with these nodes."""
    ds = dataset(SR, **attributes)
    ds.Modality, ds.ValueType = "SR", "CONTAINER"
    ds.ConceptNameCodeSequence = [code("Radiology report")]
    ds.ContentSequence = items
    return ds


def oru(*segments: str, head: str = "MSH|^~\\&|RIS|H|PACS|H|20240102030405||ORU^R01|1|P|2.5.1") -> bytes:
    """A message of these segments after MSH and PID."""
    return "\r".join((head, "PID|1||PAT1^^^SITE^MR||DOE^JANE", *segments)).encode() + b"\r"


def instance(digest: str = "i1", **changes: Any) -> Instance:
    """An image record."""
    facts: dict[str, Any] = {
        "content_digest": digest,
        "SOPInstanceUID": f"1.2.{digest[1:]}",
        "SOPClassUID": CT,
        "SeriesInstanceUID": "1.2.3.1",
        "StudyInstanceUID": "1.2.3",
        "AccessionNumber": "ACC1",
        "PatientID": "PAT1",
        "IssuerOfPatientID": "",
        "StudyDate": "20240102",
        "Modality": "CT",
        "BodyPartExamined": "CHEST",
        "TransferSyntaxUID": str(ExplicitVRLittleEndian),
        "NumberOfFrames": 1,
    }
    return Instance(**facts | changes)


def report(digest: str = "r1", **changes: Any) -> Report:
    """A report record of the same study as `instance`."""
    facts: dict[str, Any] = {
        "content_digest": digest,
        "source": ReportSource.HL7V2,
        "PatientID": "PAT1",
        "IssuerOfPatientID": "",
        "StudyInstanceUID": "1.2.3",
        "AccessionNumber": "ACC1",
        "StudyDate": "20240102",
        "text": f"Text of {digest}.",
        "status": "final",
        "issued": "20240102030405",
    }
    return Report(**facts | changes)
