"""Evidence tiers E0–E4: how much the cohort's design lets the number prove (METHOD §7)."""

from __future__ import annotations

from collections.abc import Sequence

from audit_core.policy import WITHOUT_MEMBERS
from audit_core.results import (
    Consequence,
    ControlName,
    ControlOutcome,
    ControlStatus,
    Design,
    References,
    Tier,
)

CAPS = {Consequence.TIER_E1: Tier.E1, Consequence.TIER_E2: Tier.E2}


def evidence_tier(
    fires: bool, design: Design, references: References, controls: Sequence[ControlOutcome]
) -> Tier:
    """The tier of an audit.

    E3 and E4 need the blind gates *passed*: not applicable is not enough. Without members (L4, L5) nothing is
    fitted on a member contrast, so only the target gate is asked for.

    Args:
        fires: the rank test is significant, or a patient is flagged.
        design: how the roles were told apart, as declared with the cohort.
        references: where members come from.
        controls: outcomes of the audit's controls.
    """
    if not fires:
        return Tier.E0
    status = {control.name: control.status for control in controls}
    failed = [control for control in controls if control.status is ControlStatus.FAILED]
    cap = min([CAPS[control.consequence] for control in failed if control.consequence in CAPS] + [Tier.E4])
    if status.get(ControlName.CONDITIONAL) is not ControlStatus.PASSED:
        cap = min(cap, Tier.E1)
    gates = [ControlName.BLIND_TARGETS]
    if references not in WITHOUT_MEMBERS:
        gates.append(ControlName.BLIND_MEMBERS)
    if any(status.get(gate) is not ControlStatus.PASSED for gate in gates):
        cap = min(cap, Tier.E2)
    by_design = {Design.COMMITTED: Tier.E4, Design.RANDOM: Tier.E3, Design.CONVENIENCE: Tier.E2}[design]
    return min(cap, by_design)
