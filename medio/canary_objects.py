"""DICOM objects of a canary: a Computed Radiography image (PS3.3 A.2), a Basic Text SR report (A.35.1)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    BasicTextSRStorage,
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
)

_BITS = 12


@dataclass(frozen=True, slots=True)
class Person:
    """A made-up patient; field names are DICOM keywords."""

    PatientName: str
    PatientID: str
    IssuerOfPatientID: str
    PatientBirthDate: str
    PatientSex: str


@dataclass(frozen=True, slots=True)
class CanaryStudy:
    """One study that carries a canary; `image` and `report` are DICOM Part 10 files."""

    StudyInstanceUID: str
    AccessionNumber: str
    StudyDate: str
    StudyTime: str
    image: bytes = b""
    report: bytes = b""

    def with_files(self, image: bytes, report: bytes) -> CanaryStudy:
        """The same study with its two files."""
        return replace(self, image=image, report=report)


def image_object(
    person: Person, study: CanaryStudy, series: str, instance: str, stored: NDArray[np.uint16]
) -> bytes:
    """A frontal chest radiograph, uncompressed, 12 of 16 bits, shown with its whole range.

    Args:
        series, instance: UIDs.
        stored: [rows, columns] values 0 … 4095.
    """
    ds = _object(person, study, ComputedRadiographyImageStorage, series, instance)
    ds.Modality = "CR"
    ds.SeriesNumber = ds.InstanceNumber = 1
    ds.BodyPartExamined, ds.ViewPosition = "CHEST", "PA"
    ds.PatientOrientation, ds.Laterality = ["L", "F"], ""
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.KVP, ds.PlateID = "125", ""
    ds.BurnedInAnnotation = "NO"
    ds.Rows, ds.Columns = stored.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, _BITS, _BITS - 1, 0
    ds.WindowCenter, ds.WindowWidth = str(1 << (_BITS - 1)), str(1 << _BITS)
    ds.LossyImageCompression = "00"
    ds.PixelData = stored.astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    return _bytes(ds)


def report_object(
    person: Person,
    study: CanaryStudy,
    series: str,
    instance: str,
    image: Sequence[str],
    findings: Sequence[str],
    impression: str,
) -> bytes:
    """A final report: one item a finding, one for the impression; the image as evidence.

    Args:
        image: UIDs of the image's series and of the image.
    """
    ds = _object(person, study, BasicTextSRStorage, series, instance)
    ds.Modality = "SR"
    ds.SeriesNumber, ds.InstanceNumber = 2, 1
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.ContentDate, ds.ContentTime = study.StudyDate, study.StudyTime
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
    ds.PerformedProcedureCodeSequence = []
    ds.CurrentRequestedProcedureEvidenceSequence = [_evidence(study, *image)]
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = [_code("18748-4", "LN", "Diagnostic imaging report")]
    finding, conclusion = ("59776-5", "LN", "Findings"), ("19005-8", "LN", "Impression")
    ds.ContentSequence = [*(_text(finding, line) for line in findings), _text(conclusion, impression)]
    return _bytes(ds)


def _object(person: Person, study: CanaryStudy, kind: str, series: str, instance: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = kind, instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = kind, instance
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study.StudyInstanceUID, series
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber = study.StudyDate, study.StudyTime, study.AccessionNumber
    ds.StudyID, ds.ReferringPhysicianName, ds.Manufacturer = "", "", ""
    ds.PatientName, ds.PatientID = person.PatientName, person.PatientID
    ds.IssuerOfPatientID = person.IssuerOfPatientID
    ds.PatientBirthDate, ds.PatientSex = person.PatientBirthDate, person.PatientSex
    return ds


def _evidence(study: CanaryStudy, series: str, instance: str) -> Dataset:
    image, of_series, of_study = Dataset(), Dataset(), Dataset()
    image.ReferencedSOPClassUID = ComputedRadiographyImageStorage
    image.ReferencedSOPInstanceUID = instance
    of_series.SeriesInstanceUID, of_series.ReferencedSOPSequence = series, [image]
    of_study.StudyInstanceUID, of_study.ReferencedSeriesSequence = study.StudyInstanceUID, [of_series]
    return of_study


def _text(concept: tuple[str, str, str], line: str) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    item.ConceptNameCodeSequence = [_code(*concept)]
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
