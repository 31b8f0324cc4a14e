"""Evidence tiers over every combination of design, references and outcomes, against METHOD §7 read aloud."""

from __future__ import annotations

from itertools import product

from audit_core.controls import not_applicable, outcome
from audit_core.results import (
    Consequence,
    ControlName,
    ControlOutcome,
    ControlStatus,
    Design,
    References,
    Tier,
)
from audit_core.tiers import evidence_tier

PASSED, FAILED, ABSENT = ControlStatus.PASSED, ControlStatus.FAILED, ControlStatus.NOT_APPLICABLE
CONSEQUENCE = {
    ControlName.BLIND_MEMBERS: Consequence.TIER_E2,
    ControlName.BLIND_TARGETS: Consequence.TIER_E2,
    ControlName.CONDITIONAL: Consequence.TIER_E1,
    ControlName.REFERENCE_MODEL: Consequence.TIER_E1,
    ControlName.POST_RELEASE: Consequence.TIER_E1,
}
Statuses = tuple[ControlStatus, ...]


def control(name: ControlName, status: ControlStatus) -> ControlOutcome:
    if status is ABSENT:
        return not_applicable(name, CONSEQUENCE[name], "It cannot run.")
    return outcome(name, status is FAILED, CONSEQUENCE[name], "It ran.")


def claimed(fires: bool, design: Design, references: References, statuses: Statuses) -> Tier:
    """What the five sentences of METHOD §7 give, strongest first."""
    members, targets, conditional, reference, post = statuses
    if not fires:
        return Tier.E0
    shift_excluded = conditional is PASSED and reference is not FAILED and post is not FAILED
    if not shift_excluded:
        return Tier.E1
    no_members = references in (References.L4, References.L5)  # then there is no member contrast to gate
    gates = targets is PASSED and (members is PASSED or (no_members and members is ABSENT))
    if gates and design is Design.COMMITTED:
        return Tier.E4
    if gates and design is Design.RANDOM:
        return Tier.E3
    return Tier.E2


def test_every_combination_has_the_tier_of_its_sentence() -> None:
    """All combinations of firing, design, references and five controls agree with the sentences."""
    seen = set()
    for fires, design, references in product((False, True), Design, References):
        for statuses in product(ControlStatus, repeat=5):
            if references in (References.L4, References.L5) and statuses[0] is not ABSENT:
                continue  # this control cannot run without members
            controls = [control(name, status) for name, status in zip(CONSEQUENCE, statuses, strict=True)]
            tier = evidence_tier(fires, design, references, controls)
            assert tier is claimed(fires, design, references, statuses), (design, references, statuses)
            seen.add(tier)
    assert seen == set(Tier)


def test_controls_that_were_not_run_prove_nothing() -> None:
    """A list without the conditional test stays at E1; without the gates at E2."""
    assert evidence_tier(True, Design.COMMITTED, References.L1, []) is Tier.E1
    only = [control(ControlName.CONDITIONAL, PASSED)]
    assert evidence_tier(True, Design.COMMITTED, References.L1, only) is Tier.E2


def test_a_voiding_control_changes_no_tier() -> None:
    """Tiers answer to shift alone: what voids an audit is the verdict's first line, not a lower tier."""
    passed = [control(name, PASSED) for name in CONSEQUENCE]
    voided = outcome(ControlName.UNSCORED, True, Consequence.VOID, "Too many.")
    assert evidence_tier(True, Design.RANDOM, References.L2, [*passed, voided]) is Tier.E3
