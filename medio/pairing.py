"""Images and reports -> pairs, by study UID, then accession number. Ambiguity is reported, never guessed.

Works on records alone, so pairing can be repeated over everything a site has whenever files arrive.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from medio.records import Instance, Pair, PairRule, Report

_RANK = {"corrected": 3, "final": 2, "unknown": 1, "preliminary": 0}
_DERIVED = {  # drawn over an image by software: not what a vision-language model was shown
    "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "label map",
    "1.2.840.10008.5.1.4.1.1.30": "parametric map",
    "1.2.840.10008.5.1.4.1.1.481.2": "dose",
}


@dataclass(frozen=True, slots=True)
class PairableImage:
    """An image as pairing needs it: the record, and which frame stands for it."""

    instance: Instance
    frame_rule: str


@dataclass(frozen=True, slots=True)
class Unpaired:
    """One image or report without a partner, and why as a stable code."""

    content_digest: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pairing:
    """What became of every image and report; `superseded` reports gave way to a later or more final one."""

    pairs: tuple[Pair, ...]
    unpaired_images: tuple[Unpaired, ...]
    unpaired_reports: tuple[Unpaired, ...]
    superseded: tuple[Unpaired, ...]


def pair(images: Iterable[PairableImage], reports: Iterable[Report]) -> Pairing:
    """Join each image with the one report that describes its study.

    They join when both name the same StudyInstanceUID, else the same AccessionNumber, and the same patient.
    An accession number may cover several studies: a report of another study joins only when no image of that
    study is known, as with structured reports that were filed as a study of their own.
    The order of the inputs does not matter; equal content counts once.

    Returns:
        Pairs sorted by pair id; the others with reasons: `derived-object`, `no-patient-id`, `no-handle`,
        `no-report`, `no-image`, `patient-contradiction`, `report-without-patient`, `ambiguous-report`,
        `instance-contradiction`.
    """
    by_digest = {image.instance.content_digest: image for image in images}
    index = _Index(
        {report.content_digest: report for report in reports}.values(),
        {image.instance.StudyInstanceUID for image in by_digest.values()},
    )
    contradicted = _contradicted([image.instance for image in by_digest.values()])
    joined: list[tuple[PairableImage, Report, PairRule]] = []
    unpaired: list[Unpaired] = []
    for digest, image in sorted(by_digest.items()):
        found = _partner(image.instance, index, contradicted)
        if isinstance(found, str):
            unpaired.append(Unpaired(digest, found))
        else:
            joined.append((image, *found))
    used = {report.content_digest for _, report, _ in joined}
    left = [report for report in index.reports if report.content_digest not in used]
    superseded = [report for report in left if report.content_digest in index.superseded]
    alone = [report for report in left if report.content_digest not in index.superseded]
    return Pairing(
        pairs=_pairs(joined),
        unpaired_images=tuple(unpaired),
        unpaired_reports=_sorted(Unpaired(r.content_digest, index.why_alone(r)) for r in alone),
        superseded=_sorted(Unpaired(r.content_digest, "superseded") for r in superseded),
    )


class _Index:
    """Reports by handle. Remembers what each lookup decided, so reasons can be told afterwards."""

    def __init__(self, reports: Iterable[Report], studies_with_images: Set[str]) -> None:
        self.studies_with_images = studies_with_images
        self.reports = sorted(reports, key=lambda report: report.content_digest)
        self.by_study: Mapping[str, list[Report]] = _grouped(self.reports, lambda r: (r.StudyInstanceUID,))
        self.by_accession: Mapping[str, list[Report]] = _grouped(
            self.reports, lambda r: (r.AccessionNumber, *r.other_accessions)
        )
        self.superseded: set[str] = set()
        self._reasons: dict[str, str] = {}

    def note(self, reports: Iterable[Report], reason: str) -> None:
        """Remember why these reports met an image and did not join it."""
        for report in reports:
            self._reasons.setdefault(report.content_digest, reason)

    def why_alone(self, report: Report) -> str:
        """Reason code for a report that no image took."""
        if not report.StudyInstanceUID and not report.AccessionNumber:
            return "no-handle"
        return self._reasons.get(report.content_digest, "no-image")


def _grouped(
    reports: Sequence[Report], handles: Callable[[Report], tuple[str, ...]]
) -> Mapping[str, list[Report]]:
    groups: dict[str, list[Report]] = defaultdict(list)
    for report in reports:
        for handle in handles(report):
            if handle:
                groups[handle].append(report)
    return groups


def _contradicted(instances: Sequence[Instance]) -> set[str]:
    """Digests of instances that share a SOPInstanceUID with other content: one of them lies."""
    by_uid: dict[str, list[str]] = defaultdict(list)
    for instance in instances:
        if instance.SOPInstanceUID:
            by_uid[instance.SOPInstanceUID].append(instance.content_digest)
    return {digest for digests in by_uid.values() if len(digests) > 1 for digest in digests}


def _partner(image: Instance, index: _Index, contradicted: set[str]) -> tuple[Report, PairRule] | str:
    """The image's report and the rule that found it, or a reason code."""
    if image.SOPClassUID in _DERIVED:
        return "derived-object"
    if image.content_digest in contradicted:
        return "instance-contradiction"
    if not image.PatientID:
        return "no-patient-id"
    if not image.StudyInstanceUID and not image.AccessionNumber:
        return "no-handle"
    for rule, candidates in (
        (PairRule.STUDY, index.by_study.get(image.StudyInstanceUID, [])),
        (PairRule.ACCESSION, index.by_accession.get(image.AccessionNumber, [])),
    ):
        candidates = _of_study(image, candidates, index.studies_with_images)
        if not candidates:
            continue
        candidates = _of_accession(image, candidates)
        chosen = _chosen(image, candidates)
        if isinstance(chosen, str):
            index.note(candidates, chosen)
            return chosen
        index.superseded.update(r.content_digest for r in candidates if r is not chosen)
        return chosen, rule
    return "no-report"


def _chosen(image: Instance, candidates: Sequence[Report]) -> Report | str:
    """The one report that stands, or why none can be told."""
    if any(not report.PatientID for report in candidates):
        return "report-without-patient"
    if any(not _same_patient(image, report) for report in candidates):
        return "patient-contradiction"
    if len({report.AccessionNumber for report in candidates} - {""}) > 1:
        return "ambiguous-report"  # two requests, two reports, and the image names neither
    if len({report.StudyInstanceUID for report in candidates} - {""}) > 1:
        return "ambiguous-report"  # two studies under one accession number
    return _standing(candidates) or "ambiguous-report"


def _of_accession(image: Instance, candidates: list[Report]) -> list[Report]:
    """The reports that also name the image's accession number, when there are any."""
    named = [report for report in candidates if report.AccessionNumber == image.AccessionNumber]
    return named if image.AccessionNumber and named else candidates


def _of_study(image: Instance, candidates: list[Report], studies_with_images: Set[str]) -> list[Report]:
    """Reports of the image's study or of no stated study; else those of studies without any image."""
    own = [report for report in candidates if not _other_study(image, report)]
    return own or [r for r in candidates if r.StudyInstanceUID not in studies_with_images]


def _other_study(image: Instance, report: Report) -> bool:
    """Both name a study, and not the same."""
    return bool(
        image.StudyInstanceUID
        and report.StudyInstanceUID
        and image.StudyInstanceUID != report.StudyInstanceUID
    )


def _same_patient(image: Instance, report: Report) -> bool:
    """Same id, and issuers that agree where both are given."""
    if image.PatientID not in (report.PatientID, *report.OtherPatientIDs):
        return False
    if image.PatientID != report.PatientID:
        return True  # the issuer given is that of the report's first id
    return not (
        image.IssuerOfPatientID
        and report.IssuerOfPatientID
        and image.IssuerOfPatientID != report.IssuerOfPatientID
    )


def _standing(candidates: Sequence[Report]) -> Report | None:
    """The version that stands: corrected, final, preliminary, then the latest; None for a tie."""
    best = max(_order(report) for report in candidates)
    first, *others = [report for report in candidates if _order(report) == best]
    return first if all(other.text == first.text for other in others) else None


def _order(report: Report) -> tuple[int, str]:
    return _RANK.get(report.status, 1), report.issued.ljust(14, "0")


def _pairs(joined: Sequence[tuple[PairableImage, Report, PairRule]]) -> tuple[Pair, ...]:
    totals: dict[str, int] = defaultdict(int)
    for _, report, _ in joined:
        totals[report.content_digest] += 1
    seen: dict[str, int] = defaultdict(int)
    pairs = []
    for image, report, rule in joined:
        seen[report.content_digest] += 1
        total = totals[report.content_digest]
        note = f"image {seen[report.content_digest]} of {total} with this report" if total > 1 else ""
        pairs.append(_pair(image, report, rule, note))
    return tuple(sorted(pairs, key=lambda one: one.pair_id))


def pair_id(image_digest: str, report_digest: str) -> str:
    """Hex SHA-256 over both digests: the same content gives the same pair at any time."""
    return hashlib.sha256(f"pair {image_digest} {report_digest}".encode()).hexdigest()


def _pair(image: PairableImage, report: Report, rule: PairRule, note: str) -> Pair:
    instance = image.instance
    return Pair(
        pair_id=pair_id(instance.content_digest, report.content_digest),
        PatientID=instance.PatientID,
        StudyInstanceUID=instance.StudyInstanceUID,
        StudyDate=instance.StudyDate,
        Modality=instance.Modality,
        BodyPartExamined=instance.BodyPartExamined,
        image_digest=instance.content_digest,
        report_digest=report.content_digest,
        rule=rule,
        frame_rule=image.frame_rule,
        IssuerOfPatientID=instance.IssuerOfPatientID,
        AccessionNumber=instance.AccessionNumber or report.AccessionNumber,
        note=note,
    )


def _sorted(found: Iterable[Unpaired]) -> tuple[Unpaired, ...]:
    return tuple(sorted(found, key=lambda one: one.content_digest))
