"""From a committed design to the cohort that a model is audited on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from appliance.cohort_request import CohortRequest
from appliance.cohorts import check_references, freeze_picked, pair_rows
from appliance.designs.assignment import Arm
from appliance.designs.losses import remaining, taken_out_of
from appliance.designs.shelf import Design
from appliance.designs.views import ReleaseRow
from appliance.errors import UsageError
from appliance.evidence.verify_evidence import canonical
from appliance.selection import PairRow, chosen
from appliance.workspace.workspace import Workspace
from audit_core.results import Design as DesignWord
from medio.records import Cohort


@dataclass(frozen=True, slots=True)
class RevealRequest:
    """What the officer asked for.

    Attributes:
        members: known members who have no coin, a list or a query; "" with references L4 and L5.
        without: patients who must not be counted: withdrawn, or gone although held back; a list or a query.
            The same ones at every reveal.
    """

    name: str
    model: str
    policy: str
    members: str = ""
    references: str = "L5"
    without: str = ""
    fitting_share: float = 0.4
    seed: int = 0


def cohort_of(workspace: Workspace, design: Design, request: RevealRequest) -> Cohort:
    """Freeze the cohort of a design: released against held back, as the coins had it.

    Raises:
        UsageError: a selection cannot be read, a named member has a coin, or too few are left.
    """
    rows = pair_rows(workspace, standing=False)
    out = chosen(request.without, rows, "without") if request.without else []
    roles, losses = remaining(design, rows, out)
    members = chosen(request.members, rows, "member") if request.members else []
    if members:
        check_members(design, rows, members)
        roles["member"] = tuple(members)
    word = DesignWord.COMMITTED if losses.tolerable else DesignWord.RANDOM
    asked = CohortRequest(
        name=request.name,
        selections={},
        design=word,
        references=request.references,
        fitting_share=request.fitting_share,
        seed=request.seed,
    )
    check_references(asked, {role for role, found in roles.items() if found})
    cohort = freeze_picked(workspace, asked, roles, design.assignment.commitment)
    return replace(cohort, warnings=(*losses.sentences(), *cohort.warnings))


def terms_of(workspace: Workspace, design: Design, request: RevealRequest) -> str:
    """What is settled with the first reveal and repeated by every later one, as one canonical line.

    Whoever could name others once the scores are known would choose who is counted, and in which half.

    Raises:
        UsageError: the selection of those who must not be counted cannot be read.
    """
    out = chosen(request.without, pair_rows(workspace, standing=False), "without") if request.without else []
    settled = {
        "commitment": design.assignment.commitment,
        "fitting_share": repr(request.fitting_share),
        "format": "gradaudit-design-terms-1",
        "seed": str(request.seed),
        "without": sorted(taken_out_of(design, out)),
    }
    return canonical(settled).decode()


def check_terms(design: Design, terms: str) -> None:
    """Refuse a reveal under other terms than the first one's.

    Args:
        terms: hex digest of this reveal's.

    Raises:
        UsageError: the design was opened under others.
    """
    if design.opened is None or (design.terms is not None and design.terms.detail_digest == terms):
        return
    raise UsageError(
        f"design {design.assignment.name} was first revealed with other patients taken out, or with another "
        "--fitting-share: who is counted is settled before any result is known",
        "give the same --without and --fitting-share as then; where somebody withdrew since, freeze what is "
        "left by `gradaudit cohort create` as --design convenience, which is no evidence by design any more",
    )


def release_rows(workspace: Workspace, design: Design) -> tuple[ReleaseRow, ...]:
    """Who may leave, by pseudonym, with the handles of their studies; planted canaries among them."""
    by_id = {row.pair_id: row for row in pair_rows(workspace, standing=False)}
    found = []
    for one in design.assignment.patients:
        rows = [by_id[pair] for pair in one.pairs if pair in by_id]
        if one.arm is Arm.RELEASED and rows:
            accessions = tuple(sorted({row.accession for row in rows}))
            found.append(ReleaseRow(one.patient, rows[0].patient_id, accessions))
    for canary in design.assignment.canaries:
        if canary.copies:
            found.append(ReleaseRow(canary.patient, canary.patient_id, tuple(sorted(canary.accessions))))
    return tuple(sorted(found, key=lambda row: row.pseudonym))


def check_members(design: Design, rows: Sequence[PairRow], members: Sequence[PairRow]) -> None:
    """Refuse known members who have a coin: whoever names them would choose what is left of the targets.

    Args:
        rows: all pairs of the workspace; another pseudonym of somebody with a coin is told by them.

    Raises:
        UsageError: a named member was held back, so it left although its coin said no; or was released.
    """
    arms = {one.patient: one.arm for one in design.assignment.patients}
    people = {row.who: arms[row.patient] for row in rows if row.patient in arms}
    placed = {row.who: arms.get(row.patient, people.get(row.who)) for row in members}
    held = sum(arm is Arm.HELD_BACK for arm in placed.values())
    if held:
        raise UsageError(
            f"{held} of the named members were held back: they left although their coins said no, or "
            "the list is wrong",
            "if they left, take them out with --without and say so; a vendor that names them had them from "
            "elsewhere",
        )
    released = sum(arm is Arm.RELEASED for arm in placed.values())
    if released:
        raise UsageError(
            f"{released} of the named members were released under this design: they are what is asked about, "
            "and what is left of the released would be chosen by whoever named them",
            "name members who are no part of the design, or leave --members and --references out",
        )
