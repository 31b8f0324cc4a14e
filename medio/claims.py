"""What a report says it describes: its own handles, and those of the FHIR ImagingStudy it refers to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from medio.records import Report, ReportSource, Study

# A DICOM document's own StudyInstanceUID says where it was filed; that of a message says what it describes.
_FILED = (ReportSource.SR, ReportSource.ENCAPSULATED)


@dataclass(frozen=True, slots=True)
class Claim:
    """One report with every handle that its examination may be known by.

    Attributes:
        report: with the patient of the study it refers to, where it names none itself.
        studies: StudyInstanceUIDs; several for a report on several studies.
        accession: the accession number it states; empty where that is but its own order number.
        accessions: all candidates, the weaker ones among them.
        placer, filler: order numbers; empty when unknown.
        date, modality: of the examination, `YYYYMMDD` and a DICOM code; empty when unknown.
        filed: the study UID may be that of the document alone.
        resolved: the study is known through an ImagingStudy only.
        problem: reason code why nothing may be joined with it.
    """

    report: Report
    studies: frozenset[str]
    accession: str
    accessions: frozenset[str]
    placer: str
    filler: str
    date: str
    modality: str
    filed: bool
    resolved: bool = False
    problem: str = ""

    @property
    def patient_ids(self) -> tuple[str, ...]:
        """Every id the sender gives the patient."""
        return tuple(dict.fromkeys(filter(None, (self.report.PatientID, *self.report.OtherPatientIDs))))


class Studies:
    """Study records by the two handles a report may refer to them by."""

    def __init__(self, studies: Iterable[Study]) -> None:
        self._by_reference: Mapping[str, list[Study]] = defaultdict(list)
        self._by_accession: Mapping[str, list[Study]] = defaultdict(list)
        for study in sorted(studies, key=lambda one: one.content_digest):
            self._by_reference[study.reference].append(study)
            self._by_accession[study.AccessionNumber].append(study)

    def claim(self, report: Report) -> Claim:
        """What `report` says, its references resolved."""
        own = _claim(report)
        found = [self._by_reference[name] for name in report.study_references if name in self._by_reference]
        if not found and report.AccessionNumber and not report.StudyInstanceUID:
            found = [same for same in [self._by_accession.get(report.AccessionNumber, [])] if same]
        if not found:
            return own
        meant: list[Study] = []
        for known in found:
            fitting = [study for study in known if not _other_patient(report, study)]
            if not fitting:
                return replace(own, problem="patient-contradiction")
            if len({study.StudyInstanceUID for study in fitting}) > 1:
                return replace(own, problem="ambiguous-study")
            meant += fitting
        return _joined(own, meant)


def _claim(report: Report) -> Claim:
    orders = (report.PlacerOrderNumber, report.FillerOrderNumber)
    return Claim(
        report=report,
        studies=frozenset(filter(None, (report.StudyInstanceUID,))),
        accession="" if report.AccessionNumber in orders else report.AccessionNumber,
        accessions=frozenset(filter(None, (report.AccessionNumber, *report.other_accessions))),
        placer=report.PlacerOrderNumber,
        filler=report.FillerOrderNumber,
        date=report.StudyDate[:8],
        modality=report.Modality,
        filed=report.source in _FILED,
    )


def _joined(own: Claim, meant: Sequence[Study]) -> Claim:
    """The report's handles and those of the studies it refers to."""
    uids = frozenset(study.StudyInstanceUID for study in meant if study.StudyInstanceUID)
    if own.studies and uids and not own.studies & uids and not own.filed:
        return replace(own, problem="handle-contradiction")
    numbers = {study.AccessionNumber for study in meant} - {""}
    dates = {study.StudyDate[:8] for study in meant} - {""}
    modalities = {study.Modality for study in meant} - {""}
    report = own.report
    if not report.PatientID:
        report = replace(report, PatientID=meant[0].PatientID, IssuerOfPatientID=meant[0].IssuerOfPatientID)
    return replace(
        own,
        report=report,
        studies=uids or own.studies,
        accession=own.accession or (numbers.pop() if len(numbers) == 1 else ""),
        accessions=own.accessions | {study.AccessionNumber for study in meant if study.AccessionNumber},
        date=dates.pop() if len(dates) == 1 else own.date,
        modality=modalities.pop() if len(modalities) == 1 else own.modality,
        filed=own.filed and not uids,
        resolved=bool(uids) and not own.studies,
    )


def _other_patient(report: Report, study: Study) -> bool:
    """Both name a patient, and not the same."""
    ids = {report.PatientID, *report.OtherPatientIDs} - {""}
    return bool(study.PatientID and ids) and study.PatientID not in ids
