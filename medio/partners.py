"""The search for each image's report: handle by handle, strongest first, then by patient and date."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date

from medio.claims import Claim
from medio.records import Instance, PairRule, Report
from medio.versions import SameWords, Standing, chains, of_equal_standing, standing

WINDOW_DAYS = 1  # an examination around midnight, or dated by another clock, is at most a day off

CONTRADICTION = "handle-contradiction"
_ELSEWHERE = "elsewhere"  # the report names another examination: no partner, and no contradiction
_RADIOGRAPHS = frozenset({"CR", "DX", "XR", "RG"})  # one examination under the names of its detectors


@dataclass(frozen=True, slots=True)
class Match:
    """The report found for an image, by which rule, and what else there is to know."""

    rule: PairRule
    standing: Standing
    notes: tuple[str, ...] = ()

    @property
    def report(self) -> Report:
        """The version that stands."""
        return self.standing.report


class Search:
    """Reports by handle, among the images of a site. Remembers why a report met an image and did not join."""

    def __init__(
        self, images: Sequence[Instance], claims: Sequence[Claim], window_days: int, same_words: SameWords
    ) -> None:
        self._images = images
        self._claims = {claim.report.content_digest: claim for claim in claims}
        self._window_days = window_days
        self._same_words = same_words
        self._reasons: dict[str, str] = {}
        self._met: set[str] = set()  # reports with a handle that some image has as well
        self._by_study = _grouped(claims, lambda claim: claim.studies)
        self._by_accession = _grouped(claims, lambda claim: claim.accessions)
        self._by_placer = _grouped(claims, lambda claim: (claim.placer,))
        self._by_filler = _grouped(claims, lambda claim: (claim.filler,))
        self._by_patient = _grouped(claims, lambda claim: claim.patient_ids)
        self._known_studies = {image.StudyInstanceUID for image in images} - {""}
        self._studies_of_accession = _values(images, lambda image: image.AccessionNumber)
        self._dates_of_patient: dict[str, dict[str, set[date]]] = defaultdict(lambda: defaultdict(set))
        for image in images:
            day = _day(image.StudyDate)
            if day is not None:
                self._dates_of_patient[image.PatientID][_study(image)].add(day)

    def matches(self) -> dict[str, Match | str]:
        """Image digest -> its match, or a reason code."""
        found: dict[str, Match | str] = {}
        for image in self._images:
            by_handle = self._by_handle(image) if image.PatientID else "no-patient-id"
            if by_handle is not None:
                found[image.content_digest] = by_handle
        taken = {
            _study(image) for image in self._images if isinstance(found.get(image.content_digest), Match)
        }
        for image in self._images:
            if image.content_digest not in found:
                by_date = self._by_date(image) if _study(image) not in taken else None
                found[image.content_digest] = by_date or ("no-report" if _handles(image) else "no-handle")
        return self._of_one_patient(found)

    def why_alone(self, digest: str) -> str:
        """Reason code for a report that no image took."""
        claim = self._claims[digest]
        if claim.problem:
            return claim.problem
        if digest in self._reasons:
            return self._reasons[digest]
        named = claim.studies or claim.accessions or claim.placer or claim.filler
        return "no-image" if named or (claim.date and claim.patient_ids) else "no-handle"

    # -- by handle -----------------------------------------------------------------------------------------

    def _by_handle(self, image: Instance) -> Match | str | None:
        for rule, claims in self._candidates(image):
            self._met.update(claim.report.content_digest for claim in claims)
            kept = [(claim, self._against(image, rule, claim)) for claim in claims]
            fitting = [claim for claim, against in kept if not against]
            contradicting = [claim for claim, against in kept if against == CONTRADICTION]
            self._note(contradicting, CONTRADICTION)
            if fitting:
                return self._chosen(image, rule, fitting)
            if contradicting:
                return CONTRADICTION
        return None

    def _candidates(self, image: Instance) -> Iterator[tuple[PairRule, list[Claim]]]:
        yield PairRule.STUDY, self._by_study.get(image.StudyInstanceUID, [])
        yield PairRule.ACCESSION, self._by_accession.get(image.AccessionNumber, [])
        placer, filler = image.PlacerOrderNumber, image.FillerOrderNumber
        straight = self._by_placer.get(placer, []) + self._by_filler.get(filler, [])
        swapped = self._by_placer.get(filler, []) + self._by_filler.get(placer, [])
        # A number in the other's place is a number of another kind unless the patient is the same.
        yield PairRule.ORDER, _once(straight + [c for c in swapped if same_patient(image, c.report)])

    def _against(self, image: Instance, rule: PairRule, claim: Claim) -> str:
        """What speaks against joining: nothing, another examination, or a contradiction."""
        if rule is PairRule.STUDY:
            return self._other_accession(image, claim)
        if _other_study(image, claim):
            if claim.studies & self._known_studies:
                return _ELSEWHERE
            if not claim.filed:
                return CONTRADICTION
        if rule is PairRule.ACCESSION:
            return ""
        number = self._stated(claim)
        if _differ(image.AccessionNumber, number) and image.AccessionNumber not in claim.accessions:
            return _ELSEWHERE if number in self._studies_of_accession else CONTRADICTION
        return _other_order(image, claim)

    def _other_accession(self, image: Instance, claim: Claim) -> str:
        """A report of the image's study whose accession number is that of other images."""
        if image.AccessionNumber in claim.accessions:
            return ""
        studies = self._studies_of_accession.get(self._stated(claim), frozenset())
        if image.StudyInstanceUID in studies:
            return _ELSEWHERE if image.AccessionNumber else ""
        return CONTRADICTION if studies - claim.studies else ""

    def _stated(self, claim: Claim) -> str:
        """The accession number a report names; its own order number counts where images have it as theirs."""
        number = claim.report.AccessionNumber
        return number if number in self._studies_of_accession else claim.accession

    def _chosen(self, image: Instance, rule: PairRule, claims: list[Claim]) -> Match | str:
        """The one report that stands, or why none can be told."""
        claims = [claim for claim in claims if not _other_study(image, claim)] or claims
        claims = _of_accession(image, claims)
        versions = self._versions_by_accession(image, claims) if rule is PairRule.STUDY else []
        reason = _refusal(image, claims)
        pool = [claim.report for claim in claims + versions]
        stands = standing(pool, self._same_words) if not reason else None
        if stands is None:
            self._note(claims, reason or "ambiguous-report")
            return reason or "ambiguous-report"
        (claim,) = (claim for claim in claims + versions if claim.report is stands.report)
        rule = PairRule.ACCESSION if claim in versions else rule
        return Match(rule, stands, tuple(_notes(image, rule, claim)))

    def _versions_by_accession(self, image: Instance, claims: Sequence[Claim]) -> list[Claim]:
        """Other versions and copies of these reports, sent by accession number alone.

        Only where the number stands for one study. Another text of equal standing is no version: the report
        that names the study is then the one.
        """
        number = image.AccessionNumber
        if self._studies_of_accession.get(number) != frozenset({image.StudyInstanceUID}):
            return []
        reports = [claim.report for claim in claims]
        return [
            claim
            for claim in self._by_accession.get(number, [])
            if claim not in claims
            and not (claim.problem or self._against(image, PairRule.ACCESSION, claim))
            and same_patient(image, claim.report)
            and not any(_differ(claim.filler, other.filler) for other in claims)
            and (
                not of_equal_standing(claim.report, reports)
                or all(self._same_words(claim.report, other) for other in reports)
            )
        ]

    def _note(self, claims: Iterable[Claim], reason: str) -> None:
        for claim in claims:
            self._reasons.setdefault(claim.report.content_digest, reason)

    # -- by patient and date -------------------------------------------------------------------------------

    def _by_date(self, image: Instance) -> Match | str | None:
        """The only report on the only examination of the patient in the window."""
        day = _day(image.StudyDate)
        if day is None:
            return None
        claims = [
            claim
            for claim in self._by_patient.get(image.PatientID, [])
            if self._near(day, claim.date) and self._unbound(image, claim)
        ]
        if not claims:
            return None
        reason = _refusal(image, claims)
        if not reason and (self._studies_near(image, claims) > 1 or self._chains(claims) > 1):
            reason = "ambiguous-date"
        if not reason and any(_other_modality(image, claim) for claim in claims):
            reason = "modality-contradiction"
        stands = standing([claim.report for claim in claims], self._same_words) if not reason else None
        if stands is None:
            self._note(claims, reason or "ambiguous-report")
            return reason or "ambiguous-report"
        apart = abs((_day(stands.report.StudyDate) or day) - day).days
        return Match(PairRule.DATE, stands, (f"{apart} day apart",) if apart else ())

    def _unbound(self, image: Instance, claim: Claim) -> bool:
        """No handle of the report points to another examination, and no image has taken it by one."""
        return not (
            claim.problem
            or claim.report.content_digest in self._met
            or (claim.studies and (not claim.filed or claim.studies & self._known_studies))
            or _differ(image.AccessionNumber, self._stated(claim))
            or _other_order(image, claim)
        )

    def _studies_near(self, image: Instance, claims: Sequence[Claim]) -> int:
        """Examinations of the patient with images in the window of any of these reports."""
        studies = self._dates_of_patient[image.PatientID]
        return sum(
            any(self._near(day, claim.date) for day in days for claim in claims) for days in studies.values()
        )

    def _chains(self, claims: Sequence[Claim]) -> int:
        return chains([claim.report for claim in claims], self._same_words)

    def _near(self, day: date, other: str) -> bool:
        there = _day(other)
        return there is not None and abs((there - day).days) <= self._window_days

    # -- one patient a report ------------------------------------------------------------------------------

    def _of_one_patient(self, found: dict[str, Match | str]) -> dict[str, Match | str]:
        """A report that would join images of two patients joins none."""
        patients: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for image in self._images:
            match = found[image.content_digest]
            if isinstance(match, Match):
                patients[match.report.content_digest].add((image.PatientID, image.IssuerOfPatientID))
        shared = {digest for digest, who in patients.items() if _several(who)}
        self._note((self._claims[digest] for digest in sorted(shared)), "patient-contradiction")
        return {
            digest: "patient-contradiction"
            if isinstance(match, Match) and match.report.content_digest in shared
            else match
            for digest, match in found.items()
        }


def same_patient(image: Instance, report: Report) -> bool:
    """Same id, and issuers that agree where both are given in the same kind of name."""
    if image.PatientID not in (report.PatientID, *report.OtherPatientIDs):
        return False
    if image.PatientID != report.PatientID:
        return True  # the issuer given is that of the report's first id
    one, other = image.IssuerOfPatientID.casefold(), report.IssuerOfPatientID.casefold()
    return not (_differ(one, other) and _kind(one) == _kind(other))


def _several(patients: Set[tuple[str, str]]) -> bool:
    """More than one person; a modality that leaves the issuer out does not make another one."""
    return len({number for number, _ in patients}) > 1 or len({issuer for _, issuer in patients} - {""}) > 1


def _kind(issuer: str) -> str:
    """How an issuer is named: a name in DICOM, often an object identifier in HL7 v2, an address in FHIR."""
    if issuer.replace(".", "").isdecimal():
        return "object identifier"
    return "address" if ":" in issuer else "name"


def _refusal(image: Instance, claims: Sequence[Claim]) -> str:
    """Why these reports cannot be told apart or are not of this patient; empty when they may stand."""
    for claim in claims:
        if claim.problem:
            return claim.problem
    if any(not claim.report.PatientID for claim in claims):
        return "report-without-patient"
    if any(not same_patient(image, claim.report) for claim in claims):
        return "patient-contradiction"
    if len({claim.report.AccessionNumber for claim in claims} - {""}) > 1:
        return "ambiguous-report"  # two requests, two reports, and the image names neither
    others = {claim.studies for claim in claims if image.StudyInstanceUID not in claim.studies}
    if len(others - {frozenset()}) > 1:
        return "ambiguous-report"  # two studies under one accession number
    return ""


def _of_accession(image: Instance, claims: list[Claim]) -> list[Claim]:
    """The reports that also name the image's accession number, when there are any."""
    named = [claim for claim in claims if claim.report.AccessionNumber == image.AccessionNumber]
    return named if image.AccessionNumber and named else claims


def _notes(image: Instance, rule: PairRule, claim: Claim) -> Iterator[str]:
    if claim.resolved and rule is PairRule.STUDY:
        yield "study named by an ImagingStudy"
    if _other_study(image, claim):
        yield "report filed as a study of its own"
    if _differ(image.AccessionNumber, claim.accession) and image.AccessionNumber not in claim.accessions:
        yield "accession numbers differ"
    straight = (image.PlacerOrderNumber and image.PlacerOrderNumber == claim.placer) or (
        image.FillerOrderNumber and image.FillerOrderNumber == claim.filler
    )
    if rule is PairRule.ORDER and not straight:
        yield "order numbers in each other's place"


def _other_study(image: Instance, claim: Claim) -> bool:
    """Both name a study, and not the same."""
    return bool(image.StudyInstanceUID and claim.studies) and image.StudyInstanceUID not in claim.studies


def _other_order(image: Instance, claim: Claim) -> str:
    """One order may be filled several times; one filling never comes from two orders."""
    if (image.PlacerOrderNumber, image.FillerOrderNumber) == (claim.filler, claim.placer):
        return ""
    if _differ(image.FillerOrderNumber, claim.filler) and image.FillerOrderNumber != claim.placer:
        return _ELSEWHERE
    if _differ(image.PlacerOrderNumber, claim.placer) and image.PlacerOrderNumber != claim.filler:
        return CONTRADICTION
    return ""


def _other_modality(image: Instance, claim: Claim) -> bool:
    one, other = image.Modality.upper(), claim.modality.upper()
    return _differ(one, other) and not {one, other} <= _RADIOGRAPHS


def _differ(one: str, other: str) -> bool:
    """Both given, and not the same."""
    return bool(one and other) and one != other


def _handles(image: Instance) -> bool:
    return bool(
        image.StudyInstanceUID or image.AccessionNumber or image.PlacerOrderNumber or image.FillerOrderNumber
    )


def _study(image: Instance) -> str:
    """What counts as one examination; an image that names no study is one by itself."""
    return image.StudyInstanceUID or image.content_digest


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:8])
    except ValueError:
        return None


def _grouped(claims: Iterable[Claim], handles: Callable[[Claim], Iterable[str]]) -> Mapping[str, list[Claim]]:
    groups: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        for handle in handles(claim):
            if handle:
                groups[handle].append(claim)
    return dict(groups)


def _values(images: Iterable[Instance], handle: Callable[[Instance], str]) -> Mapping[str, frozenset[str]]:
    groups: dict[str, set[str]] = defaultdict(set)
    for image in images:
        if handle(image):
            groups[handle(image)].add(image.StudyInstanceUID)
    return {name: frozenset(found) for name, found in groups.items()}


def _once(claims: Iterable[Claim]) -> list[Claim]:
    return list({claim.report.content_digest: claim for claim in claims}.values())
