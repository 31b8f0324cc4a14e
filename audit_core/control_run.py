"""Runs every control that the cohort allows, in the order of METHOD §6."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from audit_core.blind import blind_baseline
from audit_core.cohort import Rows
from audit_core.controls import (
    control_against_control,
    label_permutation,
    not_applicable,
    positive_control,
    post_release_control,
    unscored_control,
)
from audit_core.detectors.base_referenced import differences
from audit_core.detectors.seam import Labelled, all_detectors
from audit_core.policy import WITHOUT_MEMBERS
from audit_core.ranking import Resampler, auroc
from audit_core.readings.prices import OF_REFERENCES
from audit_core.results import Consequence, ControlName, ControlOutcome, ControlStatus, Interval, Role
from audit_core.samples import PairFacts, Settings
from audit_core.scoring import Scored
from audit_core.shift_controls import (
    blind_control,
    conditional_test,
    reference_model_control,
    shuffled_control,
)
from audit_core.signals import SignalTable
from audit_core.thresholds import LABELS_READ

LEAST_BLIND = 10
MEMBERS_IN_THEIR_OWN_MEAN = (
    "As published, known members are in the mean they are compared with: that they are found shows nothing."
)
SCORED_ROLES = (Role.CALIBRATION, Role.TARGET, Role.POST_RELEASE)
"""Roles whose scores are judged, and not only learnt from."""
DIFFERENCES = ("neg_loss", "minkpp")


@dataclass(frozen=True, slots=True)
class ControlRun:
    """Everything the controls look at."""

    rows: Rows
    refs: Labelled
    decider: Scored
    facts: tuple[PairFacts, ...]
    settings: Settings
    identity: ControlOutcome
    positives: Sequence[tuple[str, float, Interval]]
    shuffled: SignalTable | None

    def stream(self, number: int) -> np.random.Generator:
        """A random stream of its own for each control."""
        return np.random.default_rng([self.settings.seed, 3, number])


def run_controls(run: ControlRun) -> tuple[ControlOutcome, ...]:
    """All outcomes; none is left out, what cannot run says why."""
    calibration = run.decider.at(run.rows.of(Role.CALIBRATION))
    members = _blind_members(run)
    targets, conditional = _target_contrast(run, members)
    return (
        run.identity,
        unscored(run.rows, run.facts, run.settings, run.decider),
        _label_permutation(run),
        control_against_control(calibration, run.settings),
        _positive(run),
        members,
        targets,
        conditional,
        _reference_model(run),
        post_release_control(run.decider.at(run.rows.of(Role.POST_RELEASE)), calibration, run.settings),
        _shuffled(run),
    )


def unscored(
    rows: Rows, facts: Sequence[PairFacts], settings: Settings, decider: Scored | None = None
) -> ControlOutcome:
    """The unscored control over all pairs of every role.

    A pair that was read and that the deciding detector cannot score is as lost as one that was not read.
    Asked of those it judges; whether it scores references is its own affair (as published, it scores none).
    """
    total = Counter(fact.role for fact in facts)
    failed = Counter(fact.role for fact in facts if fact.pair_id in rows.unscored)
    if decider is not None:
        silent = zip(rows.facts, np.isfinite(decider.values), strict=True)
        failed += Counter(fact.role for fact, scored in silent if fact.role in SCORED_ROLES and not scored)
    return unscored_control({role: (failed[role], total[role]) for role in sorted(total)}, settings)


def _label_permutation(run: ControlRun) -> ControlOutcome:
    detector = all_detectors()[run.decider.name]
    if run.settings.as_published:
        return not_applicable(
            ControlName.LABEL_PERMUTATION,
            Consequence.VOID,
            "As published, all references chose the slices: none is held out to be told apart.",
        )
    if set(detector.readings) & set(OF_REFERENCES):
        told = not_applicable(
            ControlName.LABEL_PERMUTATION,
            Consequence.VOID,
            f"The deciding detector, {detector.name}, reads every pair beside known members or fitting "
            "controls: labels were in its numbers before it scored, and shuffling them takes a new run.",
        )
        return replace(told, numbers={LABELS_READ: 1.0})
    if not detector.fitted:
        return not_applicable(
            ControlName.LABEL_PERMUTATION,
            Consequence.VOID,
            f"The deciding detector, {detector.name}, learns nothing from labels.",
        )
    alone = run.rows.signals.without_fold_sums().take(run.refs.rows)
    refs = replace(run.refs, rows=np.arange(run.refs.rows.size, dtype=np.int64))
    return label_permutation(detector, alone, refs, run.settings, run.stream(0))


def _positive(run: ControlRun) -> ControlOutcome:
    if run.settings.as_published:
        return not_applicable(ControlName.POSITIVE, Consequence.BARS_PASS, MEMBERS_IN_THEIR_OWN_MEAN)
    return positive_control(run.positives, _fixed_direction(run), run.settings.spike_in_epochs)


def _fixed_direction(run: ControlRun) -> tuple[str, float, Interval] | None:
    """Members against fitting controls by a detector whose direction training itself fixes."""
    if run.settings.references in WITHOUT_MEMBERS:
        return None
    detector = all_detectors()["base_referenced" if differences(run.rows.signals) else "rank_average"]
    none = np.array([], dtype=np.int64)
    unlabelled = Labelled(none, none.astype(np.bool_), none)
    scores = detector.score(run.rows.signals, unlabelled, run.settings).scores[-1]
    members, controls = (scores[run.rows.of(role)] for role in (Role.MEMBER, Role.FITTING))
    members, controls = members[np.isfinite(members)], controls[np.isfinite(controls)]
    if min(members.size, controls.size) < LEAST_BLIND:
        return None
    draws = Resampler(members.size, controls.size, run.settings.bootstrap, run.stream(4))
    return detector.name, auroc(members, controls), draws.interval(members, controls)


def _blind_members(run: ControlRun) -> ControlOutcome:
    name = ControlName.BLIND_MEMBERS
    if run.settings.references in WITHOUT_MEMBERS:
        return not_applicable(name, Consequence.TIER_E2, "There are no known members.")
    members, controls = run.rows.of(Role.MEMBER), run.rows.of(Role.FITTING, Role.CALIBRATION)
    if min(members.size, controls.size) < LEAST_BLIND:
        return not_applicable(name, Consequence.TIER_E2, "There are fewer than ten patients on a side.")
    everyone = np.concatenate([members, controls])
    blind = blind_baseline(
        [run.rows.facts[row] for row in everyone],
        np.arange(everyone.size) < members.size,
        run.settings.bootstrap,
        run.stream(1),
    )
    if run.settings.as_published:
        return blind_control(name, blind, None)
    found = _auroc_or_half(run.decider.at(members), run.decider.at(run.rows.of(Role.FITTING)))
    return blind_control(name, blind, found)


def _target_contrast(run: ControlRun, members: ControlOutcome) -> tuple[ControlOutcome, ControlOutcome]:
    """The second blind baseline and the conditional test, which stratifies by its scores."""
    name, conditional = ControlName.BLIND_TARGETS, ControlName.CONDITIONAL
    target, controls = run.rows.of(Role.TARGET), run.rows.of(Role.FITTING, Role.CALIBRATION)
    if min(target.size, controls.size) < LEAST_BLIND:
        why = "There are fewer than ten patients on a side."
        return (
            not_applicable(name, Consequence.TIER_E2, why),
            not_applicable(conditional, Consequence.TIER_E1, why),
        )
    everyone = np.concatenate([target, controls])
    is_target = np.arange(everyone.size) < target.size
    blind = blind_baseline(
        [run.rows.facts[row] for row in everyone], is_target, run.settings.bootstrap, run.stream(2)
    )
    calibration = run.rows.of(Role.CALIBRATION)
    found = _auroc_or_half(run.decider.at(target), run.decider.at(calibration))
    scores = run.decider.values[everyone]
    compared = (is_target | np.isin(everyone, calibration)) & np.isfinite(scores)
    gate = blind_control(name, blind, found)
    failed = ControlStatus.FAILED in (gate.status, members.status)
    level = run.settings.alpha_fail if failed else run.settings.alpha_review
    return gate, conditional_test(
        scores[compared], is_target[compared], blind.scores[compared], level, run.stream(3)
    )


def _auroc_or_half(up: NDArray[np.float64], down: NDArray[np.float64]) -> float:
    return auroc(up, down) if up.size and down.size else 0.5


def _reference_model(run: ControlRun) -> ControlOutcome:
    rows = np.concatenate([run.rows.of(Role.TARGET), run.rows.of(Role.CALIBRATION)])
    gains = differences(run.rows.signals)
    is_target = np.arange(rows.size) < run.rows.of(Role.TARGET).size
    if not gains:
        return reference_model_control(None, is_target, run.settings)
    # Pre-registered: mean rank of the gains in loss and in Min-K%++; ranks over these pairs only.
    ranks = [rankdata(gains[name][rows]) for name in DIFFERENCES]
    return reference_model_control(np.mean(ranks, axis=0), is_target, run.settings)


def _shuffled(run: ControlRun) -> ControlOutcome:
    """Members against controls by loss, or targets where there are no members."""
    if run.shuffled is None:
        return shuffled_control(None, None)
    exposed = Role.TARGET if run.settings.references in WITHOUT_MEMBERS else Role.MEMBER
    wrong = {
        pair: float(value)
        for pair, value in zip(run.shuffled.pair_ids, run.shuffled.scalars["neg_loss"], strict=True)
        if np.isfinite(value)
    }
    own = run.rows.signals.table.scalars["neg_loss"]
    right_pair, wrong_pair = [], []
    for roles in ((exposed,), (Role.FITTING, Role.CALIBRATION)):
        both = [row for row in run.rows.of(*roles) if run.rows.facts[row].pair_id in wrong]
        right_pair.append(own[both])
        wrong_pair.append(np.array([wrong[run.rows.facts[row].pair_id] for row in both]))
    return shuffled_control((right_pair[0], right_pair[1]), (wrong_pair[0], wrong_pair[1]))
