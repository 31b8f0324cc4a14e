"""Images and reports -> pairs: by study UID, accession number, order number, then patient and date.

Works on records alone, so pairing can be repeated over everything a site has whenever files arrive.
Ambiguity and contradiction are reported, never guessed; a weaker handle never overrules a stronger one.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from medio.claims import Studies
from medio.partners import WINDOW_DAYS, Match, Search
from medio.records import Instance, Pair, Report, Study
from medio.versions import SameWords, equal_text

_DERIVED = {  # drawn over an image by software: not what a vision-language model was shown
    "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "label map",
    "1.2.840.10008.5.1.4.1.1.30": "parametric map",
    "1.2.840.10008.5.1.4.1.1.481.2": "dose",
}


REASONS: Mapping[str, str] = {  # why an image or a report is in no pair
    "derived-object": "drawn over an image by software: no picture of its own",
    "instance-contradiction": "two files claim to be the same object and show different pictures",
    "copy": "the same content as another file, by another route or in another transfer syntax",
    "superseded": "a later or more final version took its place",
    "no-patient-id": "the image names no patient",
    "no-handle": "it names no study, accession number, order or date to be found by",
    "no-report": "no report names this study, and none stands alone near its date",
    "no-image": "no image of the study it names is here",
    "patient-contradiction": "image and report agree on the study and not on the patient",
    "report-without-patient": "the report names no patient, so nobody can say whose it is",
    "handle-contradiction": "its handles point to two different studies",
    "ambiguous-report": "several reports claim this study, and none is a later version of another",
    "ambiguous-study": "the reference leads to several studies",
    "ambiguous-date": "the patient has several examinations or reports near this date",
    "modality-contradiction": "the report near this date is on another modality",
}


@dataclass(frozen=True, slots=True)
class PairableImage:
    """An image as pairing needs it.

    Attributes:
        frame_rule: which frame of the instance stands for it.
        frame: a name of the picture: equal names, equal pixels.
    """

    instance: Instance
    frame_rule: str
    frame: str = ""


SamePicture = Callable[[PairableImage, PairableImage], bool]


@dataclass(frozen=True, slots=True)
class Unpaired:
    """One image or report that is in no pair, and why as a stable code.

    Attributes:
        by: digest of the image or report that stands in its place, for a copy or an earlier version.
    """

    content_digest: str
    reason: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Pairing:
    """What became of every image and report; `superseded` reports gave way to the one they name."""

    pairs: tuple[Pair, ...]
    unpaired_images: tuple[Unpaired, ...]
    unpaired_reports: tuple[Unpaired, ...]
    superseded: tuple[Unpaired, ...]


def equal_frame(one: PairableImage, other: PairableImage) -> bool:
    """Pixel for pixel."""
    return bool(one.frame) and one.frame == other.frame


def pair(
    images: Iterable[PairableImage],
    reports: Iterable[Report],
    studies: Iterable[Study] = (),
    *,
    window_days: int = WINDOW_DAYS,
    same_words: SameWords = equal_text,
    same_picture: SamePicture = equal_frame,
) -> Pairing:
    """Join each image with the one report that describes its study.

    The rules, in order: the same StudyInstanceUID, AccessionNumber, placer's or filler's order number; last,
    the only report on the only examination of this patient within `window_days`. Always the same patient.
    The order of the inputs does not matter; equal content counts once.

    Args:
        studies: what FHIR ImagingStudy resources say, for reports that refer to them.
        same_words: asked only where two reports of equal standing claim one examination.
        same_picture: asked only where two images share a SOPInstanceUID.

    Returns:
        Pairs sorted by pair id; the others with reasons, listed in docs/pairing-and-cohorts.md.
    """
    by_digest = {image.instance.content_digest: image for image in images}
    by_report = {report.content_digest: report for report in reports}
    alone = _set_apart([image for _, image in sorted(by_digest.items())], same_picture)
    usable = [image.instance for digest, image in sorted(by_digest.items()) if digest not in alone]
    known = Studies(studies)
    search = Search(
        usable, [known.claim(by_report[digest]) for digest in sorted(by_report)], window_days, same_words
    )
    found = search.matches()
    matches = {digest: match for digest, match in found.items() if isinstance(match, Match)}
    reasons = {
        digest: Unpaired(digest, reason) for digest, reason in found.items() if isinstance(reason, str)
    }
    used = {match.report.content_digest for match in matches.values()}
    superseded = _superseded(matches.values(), used)
    return Pairing(
        pairs=_pairs(by_digest, matches),
        unpaired_images=_sorted([*alone.values(), *reasons.values()]),
        unpaired_reports=_sorted(
            Unpaired(digest, search.why_alone(digest))
            for digest in by_report.keys() - used - superseded.keys()
        ),
        superseded=_sorted(superseded.values()),
    )


def _set_apart(images: Sequence[PairableImage], same_picture: SamePicture) -> dict[str, Unpaired]:
    """Images that cannot stand in a pair, whatever reports there are."""
    apart: dict[str, Unpaired] = {}
    by_uid: dict[str, list[PairableImage]] = defaultdict(list)
    for image in images:
        instance = image.instance
        if instance.SOPClassUID in _DERIVED:
            apart[instance.content_digest] = Unpaired(instance.content_digest, "derived-object")
        elif instance.SOPInstanceUID:
            by_uid[instance.SOPInstanceUID].append(image)
    for first, *others in by_uid.values():
        # The same object in another transfer syntax is a copy; with another content, one of them lies.
        contradicted = any(not _copy(first, other, same_picture) for other in others)
        for image in (first, *others) if contradicted else others:
            digest = image.instance.content_digest
            apart[digest] = (
                Unpaired(digest, "instance-contradiction")
                if contradicted
                else Unpaired(digest, "copy", first.instance.content_digest)
            )
    return apart


def _copy(one: PairableImage, other: PairableImage, same_picture: SamePicture) -> bool:
    """The same picture of the same patient and study."""
    same_handles = all(
        getattr(one.instance, name) == getattr(other.instance, name)
        for name in ("PatientID", "IssuerOfPatientID", "StudyInstanceUID", "AccessionNumber")
    )
    return same_handles and same_picture(one, other)


def _superseded(matches: Iterable[Match], used: set[str]) -> dict[str, Unpaired]:
    """Reports that gave way to one in a pair, and are in no pair themselves."""
    given_way: dict[str, Unpaired] = {}
    for match in matches:
        by = match.report.content_digest
        for reason, reports in (("superseded", match.standing.superseded), ("copy", match.standing.copies)):
            for digest in (report.content_digest for report in reports):
                if digest not in used:
                    given_way.setdefault(digest, Unpaired(digest, reason, by))
    return given_way


def _pairs(images: Mapping[str, PairableImage], matches: Mapping[str, Match]) -> tuple[Pair, ...]:
    sharing: dict[str, list[str]] = defaultdict(list)
    for digest, match in matches.items():
        sharing[match.report.content_digest].append(digest)
    pairs = []
    for digest, match in matches.items():
        others = sharing[match.report.content_digest]
        place = f"image {others.index(digest) + 1} of {len(others)} with this report"
        notes = (*((place,) if len(others) > 1 else ()), *match.notes)
        pairs.append(_pair(images[digest], match, "; ".join(notes)))
    return tuple(sorted(pairs, key=lambda one: one.pair_id))


def pair_id(image_digest: str, report_digest: str) -> str:
    """Hex SHA-256 over both digests: the same content gives the same pair at any time."""
    return hashlib.sha256(f"pair {image_digest} {report_digest}".encode()).hexdigest()


def _pair(image: PairableImage, match: Match, note: str) -> Pair:
    instance, report = image.instance, match.report
    return Pair(
        pair_id=pair_id(instance.content_digest, report.content_digest),
        PatientID=instance.PatientID,
        StudyInstanceUID=instance.StudyInstanceUID,
        StudyDate=instance.StudyDate,
        Modality=instance.Modality,
        BodyPartExamined=instance.BodyPartExamined,
        image_digest=instance.content_digest,
        report_digest=report.content_digest,
        rule=match.rule,
        frame_rule=image.frame_rule,
        IssuerOfPatientID=instance.IssuerOfPatientID,
        AccessionNumber=instance.AccessionNumber or report.AccessionNumber,
        note=note,
    )


def _sorted(found: Iterable[Unpaired]) -> tuple[Unpaired, ...]:
    return tuple(sorted(found, key=lambda one: one.content_digest))
