"""Whether a cohort is what a design committed to, and whether a model can have seen any of it."""

from __future__ import annotations

from appliance.designs import draw, shelf
from appliance.designs.assignment import Arm
from appliance.designs.shelf import Design
from appliance.errors import IntegrityError, UsageError
from appliance.evidence.log import EvidenceLog
from appliance.workspace.workspace import Workspace
from audit_core.results import Design as DesignWord
from medio.records import Cohort, Role


def behind(workspace: Workspace, log: EvidenceLog, cohort: Cohort, released: str) -> Design | None:
    """The design whose coins gave a cohort its roles, verified; None where the cohort names none.

    Raises:
        UsageError: the cohort calls itself committed and names no design, the model is older than the
            commitment, or controls were released under another design.
        IntegrityError: the commitment is not in the log, its coins do not follow from its seed, or the
            cohort's roles are not those it committed to.
    """
    if not cohort.commitment:
        if cohort.design == DesignWord.COMMITTED:
            raise UsageError(
                f"cohort {cohort.name} calls itself committed and names no design that could be verified",
                "freeze it again as --design random, or use `gradaudit design reveal`",
            )
        return None
    design = next(
        (one for one in shelf.designs(workspace, log) if one.assignment.commitment == cohort.commitment), None
    )
    if design is None or design.committed is None:
        raise IntegrityError(
            f"the log holds no commitment for cohort {cohort.name}", "restore the workspace from a backup"
        )
    check_coins(design)
    _check_roles(design, cohort)
    check_release(design, released)
    return design


def check_coins(design: Design) -> None:
    """Throw every coin again: arms, canaries, copies and guesses must follow from the seed.

    Raises:
        IntegrityError: somebody chose; the commitment then commits to a choice.
    """
    found = design.assignment
    seed, share = bytes.fromhex(found.seed), draw.share_of(found.hold_back)
    names = draw.canary_ids(seed, len(found.canaries))
    same = (
        all((one.arm is Arm.HELD_BACK) == draw.stays(seed, one.person, share) for one in found.patients)
        and sorted(names) == sorted(one.canary for one in found.canaries)
        and all(one.copies == draw.copies(seed, one.canary) for one in found.canaries)
        and found.guesses == draw.guesses(names)
    )
    if not same:
        raise IntegrityError(
            f"design {found.name} is committed, and its arms or canaries do not follow from its seed",
            "somebody chose instead of drawing: it is no evidence; draw a new design",
        )


def check_release(design: Design, released: str) -> None:
    """Refuse a model that cannot have seen anything of this design.

    Its audit would compare two groups that were equally unknown to it, and could only look reassuring.

    Raises:
        UsageError: the model was released before the day after the commitment.
    """
    entry = design.committed
    if entry is not None and released and released <= entry.claimed_utc[:10]:
        raise UsageError(
            f"the model was released on {released}, the design was committed on {entry.claimed_utc[:10]}: "
            "nothing that left under it can be in this model",
            "audit it on a cohort of studies that left before its release; use this design for a later model",
        )


def _check_roles(design: Design, cohort: Cohort) -> None:
    elsewhere = {
        pair for one in design.assignment.patients if one.person in design.elsewhere for pair in one.pairs
    }
    if any(one.pair_id in elsewhere for one in cohort.assignments):
        raise UsageError(
            f"controls of cohort {cohort.name} were released under another design since",
            "freeze it again with `gradaudit design reveal`",
        )
    arms = {pair: one.arm for one in design.assignment.patients for pair in one.pairs}
    wanted = {Role.TARGET: Arm.RELEASED, Role.FITTING: Arm.HELD_BACK, Role.CALIBRATION: Arm.HELD_BACK}
    for one in cohort.assignments:
        arm = arms.get(one.pair_id)
        if arm is not wanted.get(one.role):  # whoever is neither target nor control has no coin
            raise IntegrityError(
                f"roles of cohort {cohort.name} are not those that its design committed to",
                "freeze it again with `gradaudit design reveal`",
            )
