"""DICOM objects of the demo: Secondary Capture images (PS3.3 A.8.1), Basic Text SR reports (A.35.1)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, JpegImagePlugin
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    BasicTextSRStorage,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    SecondaryCaptureImageStorage,
)

from appliance.demo.people import ISSUER, UID_ROOT, Patient

_IMPLEMENTATION = UID_ROOT + "303964157925398425219462094153421365881"
_MODALITY = {"CHEST": "DX", "ABD": "CT", "HEAD": "OT"}  # VQA-RAD does not say which heads are CT and which MR
_BODY_PART = {"CHEST": "CHEST", "ABD": "ABDOMEN", "HEAD": "HEAD"}
_SAMPLING_444 = 0  # Pillow's name for unsubsampled chroma


def secondary_capture(person: Patient, jpeg: bytes) -> bytes:
    """A Part 10 file with this JPEG encapsulated as it is."""
    ds = _study(person, SecondaryCaptureImageStorage, "image", JPEGBaseline8Bit)
    ds.Modality = _MODALITY[person.organ]
    ds.SeriesInstanceUID = person.uid("image series")
    ds.SeriesNumber = 1
    ds.InstanceNumber = 1
    ds.BodyPartExamined = _BODY_PART[person.organ]
    ds.PatientOrientation = ""
    ds.Laterality = ""
    ds.ConversionType = "DI"
    ds.BurnedInAnnotation = "NO"
    with Image.open(io.BytesIO(jpeg)) as picture:
        columns, rows = picture.size
        colour = picture.mode == "RGB"
        full = colour and JpegImagePlugin.get_sampling(picture) == _SAMPLING_444
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = ("YBR_FULL" if full else "YBR_FULL_422") if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = rows, columns
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.LossyImageCompression = "01"
    ds.LossyImageCompressionRatio = f"{rows * columns * ds.SamplesPerPixel / len(jpeg):.2f}"
    ds.LossyImageCompressionMethod = "ISO_10918_1"
    ds.PixelData = encapsulate([jpeg])
    ds["PixelData"].VR = "OB"
    return _bytes(ds)


def basic_text_sr(person: Patient, lines: Sequence[str]) -> bytes:
    """A final report with one TEXT item per line, and the image as evidence."""
    ds = _study(person, BasicTextSRStorage, "report", ExplicitVRLittleEndian)
    ds.Modality = "SR"
    ds.SeriesInstanceUID = person.uid("report series")
    ds.SeriesNumber = 2
    ds.InstanceNumber = 1
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.ContentDate, ds.ContentTime = person.StudyDate, person.StudyTime
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
    ds.PerformedProcedureCodeSequence = []
    ds.CurrentRequestedProcedureEvidenceSequence = [_evidence(person)]
    ds.ValueType = "CONTAINER"
    ds.ContinuityOfContent = "SEPARATE"
    ds.ConceptNameCodeSequence = [_code("18748-4", "LN", "Diagnostic imaging report")]
    ds.ContentSequence = [_text_item(line) for line in lines]
    return _bytes(ds)


def _study(person: Patient, sop_class: str, which: str, syntax: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = person.uid(which)
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = _IMPLEMENTATION
    meta.ImplementationVersionName = "GRADAUDIT_DEMO"
    ds = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, person.uid(which)
    ds.StudyDate, ds.StudyTime = person.StudyDate, person.StudyTime
    ds.AccessionNumber = person.AccessionNumber
    ds.Manufacturer = "GradAudit demo"
    ds.ReferringPhysicianName = ""
    ds.StudyID = ""
    ds.PatientName, ds.PatientID = person.PatientName, person.PatientID
    ds.IssuerOfPatientID = ISSUER
    ds.PatientBirthDate, ds.PatientSex = person.PatientBirthDate, person.PatientSex
    ds.StudyInstanceUID = person.uid("study")
    return ds


def _evidence(person: Patient) -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID = SecondaryCaptureImageStorage
    image.ReferencedSOPInstanceUID = person.uid("image")
    series = Dataset()
    series.SeriesInstanceUID = person.uid("image series")
    series.ReferencedSOPSequence = [image]
    study = Dataset()
    study.StudyInstanceUID = person.uid("study")
    study.ReferencedSeriesSequence = [series]
    return study


def _text_item(line: str) -> Dataset:
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "TEXT"
    item.ConceptNameCodeSequence = [_code("QA", "99GRADAUDIT", "Question and answer")]
    item.TextValue = line
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _bytes(ds: FileDataset) -> bytes:
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def jpeg_of(path: Path) -> bytes:
    """The JPEG inside one of the demo's images, without the byte that pads it to even length."""
    from pydicom import dcmread
    from pydicom.encaps import get_frame

    data: bytes = get_frame(dcmread(path).PixelData, 0)
    return data[: data.rindex(b"\xff\xd9") + 2]
