"""The vocabulary of medical data: frozen records with DICOM's own keywords. Nothing here reads a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Outcome(StrEnum):
    """What became of one file; the last two are set aside, all others taken in.

    Every DICOM object without an image is a `document`, whether or not a report was taken from it. `order`
    stands for every valid message or resource that is no imaging report: order, laboratory, administration.
    """

    IMAGE = "image"
    DOCUMENT = "document"
    REPORT = "report"
    ORDER = "order"
    EMPTY_REPORT = "empty_report"
    STUDY = "study"
    UNSUPPORTED = "unsupported"
    REJECTED = "rejected"


class ReportSource(StrEnum):
    """Which kind of object a report came from."""

    SR = "DICOM SR"
    ENCAPSULATED = "DICOM Encapsulated Document"
    HL7V2 = "HL7 v2 ORU^R01"
    FHIR = "FHIR DiagnosticReport"
    CDA = "CDA"
    PDF = "PDF"
    TABLE = "CSV table"
    PLAIN = "plain text"


class Role(StrEnum):
    """What a pair is in a cohort (DESIGN §4); the values are the audit's own."""

    MEMBER = "member"
    FITTING = "fitting"  # control half used for mask and fusion
    CALIBRATION = "calibration"  # control half used for p-values
    TARGET = "target"
    BANK = "bank"
    POST_RELEASE = "post_release"
    CANARY = "canary"  # made-up pair of a design, planted or not; never a patient


class PairRule(StrEnum):
    """Why an image and a report belong together, strongest first."""

    STUDY = "StudyInstanceUID"
    ACCESSION = "AccessionNumber"
    ORDER = "order number"  # placer or filler
    DATE = "patient and date"


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM image instance, read and validated; pixels not yet decoded.

    Attributes:
        content_digest: hex SHA-256 of the file's bytes.
        StudyDate: DICOM DA, `YYYYMMDD` or empty.
        attributes: the allow-listed technical attributes (Manufacturer, KVP, Rows …) for the blind baseline.
        PlacerOrderNumber: (0040,2016), of the request that asked for the study.
        FillerOrderNumber: (0040,2017).
        identity: header values that name a person, a place or an event, for masking previews and for the
            residual scan of an export. Never leaves the catalogue.
    """

    content_digest: str
    SOPInstanceUID: str
    SOPClassUID: str
    SeriesInstanceUID: str
    StudyInstanceUID: str
    AccessionNumber: str
    PatientID: str
    IssuerOfPatientID: str
    StudyDate: str
    Modality: str
    BodyPartExamined: str
    TransferSyntaxUID: str
    NumberOfFrames: int
    attributes: Mapping[str, str | float] = field(default_factory=dict)
    PlacerOrderNumber: str = ""
    FillerOrderNumber: str = ""
    InstitutionName: str = ""
    identity: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Text that describes a study, from whatever object carried it.

    Attributes:
        text: the narrative exactly as an audit will use it, newline-separated items.
        status: preliminary | final | corrected | unknown.
        issued: time of issue, `YYYYMMDDHHMMSS` or less, empty when unknown; orders versions of a report.
        OtherPatientIDs: further ids the sender gives the same patient.
        other_accessions: weaker candidates for the accession number, from fields where some senders put it.
        PlacerOrderNumber: ORC-2 / OBR-2, or a FHIR identifier of type PLAC.
        FillerOrderNumber: ORC-3 / OBR-3, or a FHIR identifier of type FILL.
        study_references: FHIR ids of the studies described (`ImagingStudy/xyz`), for resources sent apart.
        identity: as in Instance, from PID and the like.
        Modality: of the images described, where the sender says it as a DICOM code (OBR-24); may be empty.
    """

    content_digest: str
    source: ReportSource
    PatientID: str
    IssuerOfPatientID: str
    StudyInstanceUID: str
    AccessionNumber: str
    StudyDate: str
    text: str
    status: str
    issued: str = ""
    OtherPatientIDs: tuple[str, ...] = ()
    other_accessions: tuple[str, ...] = ()
    PlacerOrderNumber: str = ""
    FillerOrderNumber: str = ""
    study_references: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()
    Modality: str = ""


@dataclass(frozen=True, slots=True)
class Study:
    """A study as another system describes it (FHIR ImagingStudy): handles without pixels or text.

    Attributes:
        reference: the resource's id, `ImagingStudy/xyz`; reports sent apart name it.
    """

    content_digest: str
    reference: str
    StudyInstanceUID: str
    AccessionNumber: str
    PatientID: str
    IssuerOfPatientID: str
    StudyDate: str
    Modality: str


@dataclass(frozen=True, slots=True)
class Frame:
    """One display-ready frame: uint8 [H, W, 3], not always writeable, and the rule that chose it.

    Attributes:
        warnings: stable codes; what the header said about showing it and was not followed, or did not say.
    """

    pixels: NDArray[np.uint8]
    frame_rule: str  # "only frame", "middle frame of N"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PixelStatistics:
    """All stored values of an instance as pydicom's `pixel_array` gives them by default.

    YBR as RGB, palette colours as indices, before any LUT; all frames.

    Attributes:
        shape: [H, W], with frames before and samples after where there are several.
    """

    shape: tuple[int, ...]
    dtype: str
    minimum: float
    maximum: float
    mean: float


@dataclass(frozen=True, slots=True)
class FileContent:
    """What one file held.

    Attributes:
        reason: stable code; why an accepted file gives no more than it does, such as `no-text-layer`.
        instance: of every DICOM object.
        frame: of every image.
        reports: also of a document: the text of a structured report or of an encapsulated PDF.
        skipped: reason codes of messages in the file that gave no report.
        warnings: stable codes; what was tolerated and may matter.
    """

    outcome: Outcome
    reason: str = ""
    instance: Instance | None = None
    frame: Frame | None = None
    statistics: PixelStatistics | None = None
    reports: tuple[Report, ...] = ()
    studies: tuple[Study, ...] = ()
    skipped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """One image with its report, of one patient. Handles are digests of content, never names."""

    pair_id: str  # hex SHA-256 over image digest and report digest
    PatientID: str
    StudyInstanceUID: str
    StudyDate: str
    Modality: str
    BodyPartExamined: str
    image_digest: str
    report_digest: str
    rule: PairRule
    frame_rule: str
    IssuerOfPatientID: str = ""
    AccessionNumber: str = ""
    note: str = ""  # e.g. "image 2 of 3 with this report"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One pair's place in a cohort."""

    pair_id: str
    patient: str  # pseudonym, one for all pairs of a person
    role: Role


@dataclass(frozen=True, slots=True)
class Cohort:
    """A frozen, patient-disjoint set of pairs with roles.

    Attributes:
        design: committed | random | convenience.
        references: L1 … L5, where known members come from.
        seed: of the draw that split the controls.
        assignments: sorted by pair id.
        digest: hex SHA-256 over format, design, references, seed, pair ids and roles.
        warnings: what may mislead, in numbers of patients; no part of the digest.
        commitment: of the design whose coins gave the roles, hex SHA-256; "" where there was none. Part of
            the digest where there is one.
    """

    name: str
    design: str
    references: str
    seed: int
    assignments: tuple[Assignment, ...]
    digest: str
    warnings: tuple[str, ...] = ()
    commitment: str = ""
