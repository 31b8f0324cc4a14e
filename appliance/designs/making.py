"""Drawing a design: patients of a selection in, a sealed assignment out. Nothing leaves here."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from appliance.cohorts import pair_rows
from appliance.designs import draw, outgoing, shelf
from appliance.designs.assignment import Arm, Assignment, Left, PlacedCanary, PlacedPatient
from appliance.errors import UsageError
from appliance.frames import FRAME, packed
from appliance.likeness import fingerprints
from appliance.sealed import REPORT_TEXT
from appliance.selection import PairRow, chosen
from appliance.views import Progress
from medio.canary import Canary, Manner, canary, form_of
from medio.deidentify import pseudonym
from medio.duplicates import picture_groups
from medio.ingest import read_content

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.designs.shelf import Design
    from appliance.workspace.rows import StoredInstance, StoredReport
    from appliance.workspace.workspace import Workspace

LEAST_IN_ARM = 10  # patients to be expected; fewer prove nothing, whatever the coins say
LEAST_CANARIES, MOST_CANARIES = 8, 1024


@dataclass(frozen=True, slots=True)
class DesignRequest:
    """What the officer asked for.

    Attributes:
        patients: a list, a query or `all`, as for a cohort: whose studies are about to leave.
        canaries: how many are made; each is planted by a fair coin. 0 for none.
        hold_back: share of patients whose coin says "held back", as written.
    """

    name: str
    patients: str
    canaries: int
    hold_back: str


def check(request: DesignRequest) -> None:
    """Refuse what has no meaning before anything is looked at.

    Raises:
        UsageError: share or number of canaries.
    """
    draw.share_of(request.hold_back)
    if request.canaries and not LEAST_CANARIES <= request.canaries <= MOST_CANARIES:
        raise UsageError(
            f"{request.canaries} canaries are too few or too many",
            f"{LEAST_CANARIES} to {MOST_CANARIES}, or 0 for none; with 64 of them a bound can reach 2.3",
        )


def begun(
    workspace: Workspace, request: DesignRequest, before: Design | None, step: Callable[[Progress], None]
) -> Assignment:
    """The sealed draw of a request: a new one, or the one that was cut off.

    Raises:
        UsageError: the selection is too small, or the draw that was cut off was for another one.
        CannotWrite: the disk is full or refuses.
    """
    rows, digest = asked(workspace, request)
    if before is None:
        assignment = drawn(workspace, request, rows, digest, step)
        shelf.keep(workspace, assignment)
        return assignment
    cut_off = before.assignment
    same = (digest, request.canaries, request.hold_back)
    if (cut_off.asked, len(cut_off.canaries), cut_off.hold_back) != same:
        raise UsageError(
            f"a draw for {request.name} was cut off, and it was for other patients or options",
            "give the same patients and options to go on with it, or choose another name",
        )
    return cut_off


def asked(workspace: Workspace, request: DesignRequest) -> tuple[list[PairRow], str]:
    """The pairs of the selection, and a digest that tells the same selection again.

    Raises:
        UsageError: the selection cannot be read or names nothing.
    """
    rows = sorted(chosen(request.patients, pair_rows(workspace), "patients"), key=lambda pair: pair.pair_id)
    return rows, hashlib.sha256("\n".join(row.pair_id for row in rows).encode()).hexdigest()


def drawn(
    workspace: Workspace,
    request: DesignRequest,
    rows: Sequence[PairRow],
    digest: str,
    step: Callable[[Progress], None],
) -> Assignment:
    """Throw every coin once.

    Raises:
        UsageError: too few patients for the share.
    """
    seed, share = secrets.token_bytes(draw.SEED_BYTES), draw.share_of(request.hold_back)
    people, shared = _people(workspace, rows)
    expected = min(share, 1 - share) * len(people)
    if expected < LEAST_IN_ARM:
        raise UsageError(
            f"{len(people)} patients are too few: {float(expected):.1f} can be expected in the smaller half",
            f"select more patients, or a share nearer to 0.5; {LEAST_IN_ARM} are the least that say anything",
        )
    patients = [
        PlacedPatient(patient, min(found), arm, tuple(pair.pair_id for pair in found[patient]))
        for found in people.values()
        for arm in (Arm.HELD_BACK if draw.stays(seed, min(found), share) else Arm.RELEASED,)
        for patient in sorted(found)
    ]
    names = draw.canary_ids(seed, request.canaries)
    manner = _manner(workspace, [row for row in rows if row.who in people])
    make, canaries = _maker(workspace, seed, manner), []
    for done, name in enumerate(names, 1):
        canaries.append(_placed(workspace, seed, name, make(name)))
        step(Progress("canaries", done, len(names), "canaries"))
    whole = sorted(patients, key=lambda one: one.patient)
    return Assignment(
        name=request.name,
        seed=seed.hex(),
        asked=digest,
        drawn_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        hold_back=request.hold_back,
        guesses=draw.guesses(names),
        patients=tuple(whole),
        canaries=tuple(canaries),
        left=Left(shared, _earlier(workspace, whole)),
        files=outgoing.digests(outgoing.content(whole, canaries, make)),
    )


def maker(workspace: Workspace, assignment: Assignment) -> outgoing.Maker:
    """What makes the canaries of a draw again, from its seed: for writing them out."""
    wanted = {pair for one in assignment.patients for pair in one.pairs}
    rows = [row for row in pair_rows(workspace, standing=False) if row.pair_id in wanted]
    return _maker(workspace, bytes.fromhex(assignment.seed), _manner(workspace, rows))


def taken(workspace: Workspace) -> frozenset[str]:
    """Patient ids and accession numbers that exist: none of them goes to a canary."""
    catalogue = workspace.catalogue
    rows: tuple[StoredInstance | StoredReport, ...] = (*catalogue.instances(), *catalogue.reports())
    return frozenset(number for row in rows for number in (row.PatientID, row.AccessionNumber))


def _people(workspace: Workspace, rows: Sequence[PairRow]) -> tuple[dict[str, dict[str, list[PairRow]]], int]:
    """Person -> pseudonym -> pairs, without those who share a picture with somebody else; and how many.

    Were one of two held back and the other released, the model would have seen the picture it must not know.
    """
    prints = fingerprints(workspace, {row.pair_id for row in rows})
    alike: set[str] = set()
    for group in picture_groups([prints[row.pair_id] for row in rows]):
        persons = {rows[index].who for index in group}
        alike |= persons if len(persons) > 1 else set()
    people: dict[str, dict[str, list[PairRow]]] = {}
    for row in rows:
        if row.who not in alike:
            people.setdefault(row.who, {}).setdefault(row.patient, []).append(row)
    return people, len(alike)


def _earlier(workspace: Workspace, patients: Iterable[PlacedPatient]) -> int:
    before = {
        one.person
        for other in shelf.assignments(workspace)
        for one in other.patients
        if one.arm is Arm.RELEASED
    }
    return len(before & {one.person for one in patients})


def _maker(workspace: Workspace, seed: bytes, manner: Manner) -> outgoing.Maker:
    """Makes canaries, planted or not: planted ones are held against the picture and words of the others."""
    numbers = taken(workspace)

    def make(name: str) -> Canary:
        return canary(draw.canary_key(seed, name), max(1, draw.copies(seed, name)), manner, numbers)

    return make


def _placed(workspace: Workspace, seed: bytes, name: str, one: Canary) -> PlacedCanary:
    """Picture and text as an ingest of the canary's files would read them, sealed."""
    image, report = read_content(one.studies[0].image), read_content(one.studies[0].report)
    if image.frame is None or not report.reports:
        raise UsageError("a canary cannot be read back", "see `gradaudit doctor`")
    pixels, text = packed(image.frame.pixels), report.reports[0].text.encode()
    planted = one.studies if draw.copies(seed, name) else ()
    return PlacedCanary(
        canary=name,
        copies=len(planted),
        patient=pseudonym(workspace.keys.pseudonym.raw, one.person.IssuerOfPatientID, one.person.PatientID),
        patient_id=one.person.PatientID,
        accessions=tuple(study.AccessionNumber for study in planted),
        studies=tuple(study.StudyInstanceUID for study in planted),
        frame_object=workspace.vault.put(FRAME, pixels),
        height=image.frame.pixels.shape[0],
        width=image.frame.pixels.shape[1],
        text_object=workspace.vault.put(REPORT_TEXT, text),
        image=hashlib.sha256(pixels).hexdigest(),
        text=hashlib.sha256(text).hexdigest(),
    )


def _manner(workspace: Workspace, rows: Sequence[PairRow]) -> Manner:
    """How the studies look that the canaries will lie among."""
    images = {image.content_digest: image for image in workspace.catalogue.instances()}
    own = [images[row.image_digest] for row in rows]
    days = sorted(row.study_date[:8] for row in rows if len(row.study_date) >= 8) or [
        f"{date.today():%Y%m%d}"
    ]
    return Manner(
        issuer=Counter(image.IssuerOfPatientID for image in own).most_common(1)[0][0],
        patient_id=form_of([image.PatientID for image in own]),
        accession=form_of([image.AccessionNumber for image in own]),
        first=f"{days[0][:4]}-{days[0][4:6]}-{days[0][6:8]}",
        last=f"{days[-1][:4]}-{days[-1][4:6]}-{days[-1][6:8]}",
    )
