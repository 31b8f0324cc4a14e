"""What the catalogue stores, one frozen row type per table. DICOM facts keep their DICOM keywords.

All of it may hold PHI and stays inside SQLCipher; `appliance.api` decides what a screen may see of it.
Documents are plain JSON: strings, whole numbers, finite floats, lists and mappings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One DICOM instance whose frame is in the vault.

    Attributes:
        content_digest: hex SHA-256 of the file as it came.
        attributes: allow-listed technical attributes, for the blind baseline.
        frame_object: vault object of kind `frame`: uint8, row by row, one value a pixel when grey, else RGB.
        frame_rule: which frame, such as "only frame".
        identity: header values that name a person, a place or an event, for masking.
        warnings: stable codes of what was tolerated.
    """

    content_digest: str
    StudyInstanceUID: str
    SeriesInstanceUID: str
    SOPInstanceUID: str
    AccessionNumber: str
    PatientID: str
    IssuerOfPatientID: str
    StudyDate: str
    Modality: str
    BodyPartExamined: str
    TransferSyntaxUID: str
    attributes: Mapping[str, Any]
    frame_object: str
    frame_rule: str
    height: int
    width: int
    SOPClassUID: str = ""
    NumberOfFrames: int = 1
    PlacerOrderNumber: str = ""
    FillerOrderNumber: str = ""
    InstitutionName: str = ""
    identity: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredReport:
    """One report whose text is in the vault (kind `report-text`, UTF-8).

    Attributes:
        issued: time of issue, for the order of versions; empty when unknown.
        OtherPatientIDs: further ids the sender gives the same patient.
        other_accessions: weaker candidates for the accession number.
        study_references: FHIR ids of the studies described.
        identity: as in StoredInstance.
        Modality: of the images described, where the sender says it.
    """

    content_digest: str
    source: str
    StudyInstanceUID: str
    AccessionNumber: str
    PatientID: str
    IssuerOfPatientID: str
    StudyDate: str
    status: str
    text_object: str
    issued: str = ""
    OtherPatientIDs: tuple[str, ...] = ()
    other_accessions: tuple[str, ...] = ()
    PlacerOrderNumber: str = ""
    FillerOrderNumber: str = ""
    study_references: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()
    Modality: str = ""


@dataclass(frozen=True, slots=True)
class StoredStudy:
    """A study as another system described it; handles only."""

    content_digest: str
    reference: str
    StudyInstanceUID: str
    AccessionNumber: str
    PatientID: str
    IssuerOfPatientID: str
    StudyDate: str
    Modality: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file that was taken in, whatever it gave: the same bytes are never read again.

    Attributes:
        content_digest: hex SHA-256 of the file as it came.
        outcome: image, document, report, order, empty_report or study.
        reason: why it gave no more than it did, else empty.
    """

    content_digest: str
    outcome: str
    reason: str
    taken_utc: str


@dataclass(frozen=True, slots=True)
class StoredPair:
    """One image with its report, of one patient.

    Attributes:
        note: what else there is to know, such as "image 2 of 3 with this report".
        standing: False once a later report, or a contradiction, took its place; it stays for frozen cohorts.
    """

    pair_id: str
    patient: str  # pseudonym
    StudyInstanceUID: str
    StudyDate: str
    Modality: str
    BodyPartExamined: str
    image_digest: str
    report_digest: str
    rule: str
    frame_rule: str
    standing: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One file that could not be used, and why."""

    content_digest: str
    reason: str  # short stable code
    message: str
    name_hmac: str  # keyed handle of the file name: names hold patients' names
    set_aside_utc: str


@dataclass(frozen=True, slots=True)
class StoredModel:
    """One registered model; what is known about it is the registry's document."""

    name: str
    document: Mapping[str, Any]
    registered_utc: str


@dataclass(frozen=True, slots=True)
class StoredCohort:
    """One frozen cohort; its document holds roles, design and pair ids."""

    name: str
    digest: str
    document: Mapping[str, Any]
    created_utc: str


@dataclass(frozen=True, slots=True)
class StoredAudit:
    """One audit: running, interrupted, done or failed. `result` names no pair and no patient.

    Attributes:
        state: "running", "interrupted" (can be resumed), "done" or "failed".
        verdict: the word, "" while there is none.
        findings_object: name of the sealed batch of findings, "" while there is none.
        digests: what was used: policy, cohort, model, code; under `asked` how the policy was named, and under
            `policy_version` its version.
    """

    audit_id: str
    model: str
    cohort: str
    policy: str
    started_utc: str
    finished_utc: str = ""
    state: str = "running"
    verdict: str = ""
    why: str = ""
    result: Mapping[str, Any] | None = None
    findings_object: str = ""
    digests: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is in the catalogue."""

    studies: int
    instances: int
    reports: int
    pairs: int
    patients: int  # distinct pseudonyms with a pair
    quarantined: int
    documents: int = 0  # taken in, neither image nor report


@dataclass(frozen=True, slots=True)
class Added:
    """What one call newly stored; the rest was known already."""

    instances: int
    reports: int
    studies: int
    files: int
    quarantined: int
