"""Why a pair is a pair, what found no partner, and what is there twice. Shows patient data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from appliance import sealed
from appliance.cohorts import pair_rows
from appliance.errors import UsageError
from appliance.joining import pairing
from appliance.views import DuplicateView, PairView, Progress, UnpairedView, VersionView
from appliance.workspace.rows import StoredInstance, StoredPair, StoredReport
from appliance.workspace.workspace import Workspace
from medio.duplicates import Fingerprint, image_hash, picture_groups, text_groups, text_triples
from medio.pairing import REASONS, Unpaired

_MIN_PREFIX = 6  # hex digits by which a pair may be named
_IMAGE = (
    *("PatientID", "IssuerOfPatientID", "StudyInstanceUID", "AccessionNumber", "PlacerOrderNumber"),
    *("FillerOrderNumber", "StudyDate", "Modality", "BodyPartExamined", "InstitutionName"),
    *("SOPInstanceUID", "TransferSyntaxUID", "content_digest"),
)
_REPORT = (
    *("PatientID", "IssuerOfPatientID", "StudyInstanceUID", "AccessionNumber", "PlacerOrderNumber"),
    *("FillerOrderNumber", "StudyDate", "Modality", "source", "status", "issued", "content_digest"),
)


def unpaired(workspace: Workspace) -> tuple[UnpairedView, ...]:
    """Every image and report that is in no pair, by reason; earlier versions and copies last."""
    found = pairing(workspace)
    images = {row.content_digest: row for row in workspace.catalogue.instances()}
    reports = {row.content_digest: row for row in workspace.catalogue.reports()}
    rows = [_unpaired_image(one, images[one.content_digest]) for one in found.unpaired_images]
    rows += [_unpaired_report(one, reports[one.content_digest]) for one in found.unpaired_reports]
    rows.sort(key=lambda row: (row.reason, row.patient_id, row.study_date, row.content_digest))
    gone = [_unpaired_report(one, reports[one.content_digest]) for one in found.superseded]
    return (*rows, *gone)


def show(workspace: Workspace, name: str) -> PairView:
    """One pair whole.

    Args:
        name: the pair id, or enough of its first digits.

    Raises:
        UsageError: no such pair, or several.
    """
    pair = _named(workspace, name)
    image = workspace.catalogue.instance(pair.image_digest)
    report = workspace.catalogue.report(pair.report_digest)
    assert image is not None and report is not None  # a pair is stored after both
    found = pairing(workspace)
    given_way = [one for one in found.superseded if one.by == pair.report_digest]
    (row,) = (row for row in pair_rows(workspace, standing=False) if row.pair_id == pair.pair_id)
    return PairView(
        pair_id=pair.pair_id,
        patient=pair.patient,
        standing=pair.standing,
        rule=pair.rule,
        note=pair.note,
        frame_rule=pair.frame_rule,
        image=_facts(image, _IMAGE),
        report=_facts(report, _REPORT),
        versions=tuple(_versions(workspace, report, given_way, pair.standing)),
        copies=tuple(one.content_digest for one in found.unpaired_images if one.by == pair.image_digest),
        places=row.places,
    )


def duplicates(workspace: Workspace, step: Callable[[Progress], None]) -> tuple[DuplicateView, ...]:
    """Images and reports that show the same as another, group by group.

    The slices of one series are alike by nature: a group inside one series is left out.
    """
    catalogue = workspace.catalogue
    images, reports = catalogue.instances(), catalogue.reports()
    paired: dict[str, str] = {}
    for pair in catalogue.pairs():
        if pair.standing:
            paired |= {pair.image_digest: pair.pair_id, pair.report_digest: pair.pair_id}
    prints = []
    for done, image in enumerate(images, 1):
        prints.append(Fingerprint(image_hash(sealed.frame(workspace, image)), b""))
        step(Progress("compare", done, len(images) + len(reports), "objects"))
    texts = []
    for done, report in enumerate(reports, 1):
        texts.append(Fingerprint("", text_triples(sealed.text(workspace, report.text_object))))
        step(Progress("compare", len(images) + done, len(images) + len(reports), "objects"))
    pictures = [[images[index] for index in group] for group in picture_groups(prints)]
    groups: list[tuple[str, Sequence[StoredInstance | StoredReport]]] = [
        ("picture", group) for group in pictures if len({image.SeriesInstanceUID for image in group}) > 1
    ]
    groups += [("text", [reports[index] for index in group]) for group in text_groups(texts)]
    return tuple(
        _duplicate(number, kind, group, one, paired)
        for number, (kind, group) in enumerate(groups, 1)
        for one in group
    )


def _named(workspace: Workspace, name: str) -> StoredPair:
    exact = workspace.catalogue.pair(name)
    if exact is not None:
        return exact
    found = [pair for pair in workspace.catalogue.pairs() if pair.pair_id.startswith(name)]
    if len(name) < _MIN_PREFIX or len(found) != 1:
        problem = f"{len(found)} pairs have an id" if len(found) > 1 else "no pair has an id"
        raise UsageError(
            f"{problem} that begins like this", "the first digits of an id as `gradaudit pairs ls` shows it"
        )
    return found[0]


def _versions(
    workspace: Workspace, report: StoredReport, given_way: Sequence[Unpaired], standing: bool
) -> Iterator[VersionView]:
    """The history of a report, oldest first; the version that stands last."""
    rows = [(workspace.catalogue.report(one.content_digest), one.reason) for one in given_way]
    earlier = sorted((row.issued, row.content_digest, row, reason) for row, reason in rows if row is not None)
    for _, _, row, reason in earlier:
        yield VersionView(row.content_digest, row.status, row.issued, row.source, reason)
    state = "stands" if standing else "superseded"
    yield VersionView(report.content_digest, report.status, report.issued, report.source, state)


def _facts(row: StoredInstance | StoredReport, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(getattr(row, name))) for name in names if getattr(row, name))


def _unpaired_image(one: Unpaired, row: StoredInstance) -> UnpairedView:
    return _unpaired("image", one, row, row.Modality, "", "DICOM")


def _unpaired_report(one: Unpaired, row: StoredReport) -> UnpairedView:
    return _unpaired("report", one, row, row.Modality, row.status, row.source)


def _unpaired(
    kind: str, one: Unpaired, row: StoredInstance | StoredReport, modality: str, status: str, source: str
) -> UnpairedView:
    return UnpairedView(
        kind=kind,
        content_digest=row.content_digest,
        reason=one.reason,
        why=REASONS[one.reason],
        patient_id=row.PatientID,
        accession=row.AccessionNumber,
        study_uid=row.StudyInstanceUID,
        study_date=row.StudyDate,
        modality=modality,
        status=status,
        source=source,
        by=one.by,
    )


def _duplicate(
    number: int,
    kind: str,
    group: Sequence[StoredInstance | StoredReport],
    one: StoredInstance | StoredReport,
    paired: Mapping[str, str],
) -> DuplicateView:
    return DuplicateView(
        group=number,
        kind=kind,
        content_digest=one.content_digest,
        patient_id=one.PatientID,
        accession=one.AccessionNumber,
        study_date=one.StudyDate,
        source=one.source if isinstance(one, StoredReport) else one.Modality,
        pair_id=paired.get(one.content_digest, ""),
        patients=len({(other.PatientID, other.IssuerOfPatientID) for other in group}),
    )
