"""Controls that can void an audit or bar PASS (METHOD §6). Those about shifted cohorts: `shift_controls`.

Each function returns one outcome with its one consequence. What cannot run says why and is not applicable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit
from scipy.stats import fisher_exact

from audit_core.blind import stratified_folds
from audit_core.calibration import binomial_lower, exceedance_p
from audit_core.copies import COPY_EPOCHS, counted
from audit_core.detectors.seam import Detector, Labelled, Signals
from audit_core.ranking import auroc
from audit_core.results import Consequence, ControlName, ControlOutcome, ControlStatus, Interval, Role
from audit_core.samples import Settings
from audit_core.shares import finely, percent

Floats = NDArray[np.float64]

FOLDS = 5
FISHER_LEVEL = 0.001
CONTROL_LEVEL = 0.001
POST_RELEASE_LEVEL = 0.01
"""Chance below which flagged post-release studies cap the tier. At .05 every 25th true FAIL would be lost."""
STANDARD_ERRORS = 3.0
LEAST_CONTROLS = 10


def outcome(
    name: ControlName,
    failed: bool,
    consequence: Consequence,
    sentence: str,
    numbers: Mapping[str, float] | None = None,
) -> ControlOutcome:
    """An outcome of a control that ran."""
    status = ControlStatus.FAILED if failed else ControlStatus.PASSED
    return ControlOutcome(name.value, status, consequence, sentence, dict(numbers or {}))


def not_applicable(name: ControlName, consequence: Consequence, why: str) -> ControlOutcome:
    """An outcome of a control that this cohort does not allow."""
    return ControlOutcome(name.value, ControlStatus.NOT_APPLICABLE, consequence, why)


def unscored_control(pairs: Mapping[Role, tuple[int, int]], settings: Settings) -> ControlOutcome:
    """Too many failures in a role, or unequally many between roles, void the run.

    Args:
        pairs: role -> (pairs without a score, pairs in all).
        settings: `max_unscored_share`.
    """
    shares = {role: failed / total for role, (failed, total) in pairs.items() if total}
    if not shares:
        return not_applicable(ControlName.UNSCORED, Consequence.VOID, "There are no pairs.")
    worst = max(shares, key=lambda role: shares[role])
    tested = [counts for counts in pairs.values() if counts[1]]
    unequal = min(
        (float(fisher_exact([[a, m - a], [b, n - b]]).pvalue) for (a, m), (b, n) in combinations(tested, 2)),
        default=1.0,
    )
    failed = shares[worst] > settings.max_unscored_share or unequal < FISHER_LEVEL
    total = sum(count for count, _ in pairs.values())
    return outcome(
        ControlName.UNSCORED,
        failed,
        Consequence.VOID,
        f"{total} of {sum(n for _, n in pairs.values())} pairs have no score; the largest share is "
        f"{finely(shares[worst])} ({worst.value}), {finely(settings.max_unscored_share)} is allowed; "
        f"difference between roles p = {unequal:.2g}.",
        {"unscored": float(total), "worst_share": shares[worst], "fisher_p": unequal},
    )


def label_permutation(
    detector: Detector, signals: Signals, refs: Labelled, settings: Settings, rng: np.random.Generator
) -> ControlOutcome:
    """Refit on permuted labels; held-out references must then not be told apart.

    Every pair keeps its one cosine per slice, with the mean of all members: permuted labels say nothing about
    who is in that mean, so no fold's mean is needed, and none would fit folds that are dealt out anew.

    Folds are dealt out anew within the permuted classes. Given the folds, held-out labels are then a uniform
    deal independent of the training labels, so each permutation's AUROC has mean exactly .5 and the
    permutations are independent given the data. Fold AUROCs of one permutation do move together, so the
    standard error comes from the spread over permutations (never below the rank statistic's own), with
    Student's factor for its few draws. An alarm must be confirmed by a second, fresh set: a leak repeats
    itself, chance does not.

    Args:
        detector: the deciding detector.
        signals: rows of the references only; captures and R stay as they are.
        refs: their labels; `rows` must count them 0 … n−1.
        settings: permutations and what the detector needs.
        rng: the audit's generator.
    """
    mean, error = _permuted(detector, signals, refs, settings, rng)
    failed = mean > 0.5 + STANDARD_ERRORS * error
    if failed:
        mean, error = _permuted(detector, signals, refs, settings, rng)
        failed = mean > 0.5 + STANDARD_ERRORS * error
    return outcome(
        ControlName.LABEL_PERMUTATION,
        failed,
        Consequence.VOID,
        f"With the members' labels shuffled {settings.permutations} times, {detector.name} separates "
        f"held-out references with AUROC {mean:.3f}; up to {0.5 + STANDARD_ERRORS * error:.3f} is chance.",
        {"auroc": mean, "standard_error": error, "permutations": float(settings.permutations)},
    )


def _permuted(
    detector: Detector, signals: Signals, refs: Labelled, settings: Settings, rng: np.random.Generator
) -> tuple[float, float]:
    """Mean AUROC over one set of permutations, and its standard error."""
    draws, signals = settings.permutations, signals.without_fold_sums()
    values, null = np.empty(draws), 0.0
    for draw in range(draws):
        member = rng.permutation(refs.member)
        folds = stratified_folds(member, FOLDS, rng)
        found = detector.score(signals, Labelled(refs.rows, member, folds), settings)
        values[draw], null = _within_folds(found.scores[folds, refs.rows], member, folds)
    student = float(-stdtrit(draws - 1, ndtr(-STANDARD_ERRORS))) / STANDARD_ERRORS
    spread = max(float(values.std(ddof=1)) * student, null)
    return float(values.mean()), spread / math.sqrt(draws)


def _within_folds(scores: Floats, member: NDArray[np.bool_], folds: NDArray[np.int64]) -> tuple[float, float]:
    """Mean AUROC within folds and its standard deviation under the null; a fold without scores is .5."""
    found, variance = [], []
    for fold in range(int(folds.max()) + 1):
        up, down = scores[(folds == fold) & member], scores[(folds == fold) & ~member]
        m, n = up.size, down.size
        variance.append((m + n + 1) / (12.0 * m * n))
        found.append(auroc(up, down) if np.isfinite(up).all() and np.isfinite(down).all() else 0.5)
    return float(np.mean(found)), math.sqrt(float(np.mean(variance)) / len(found))


def halves(count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The two halves of the calibration controls: those that play target, those that stay controls."""
    order = np.random.default_rng([seed, count]).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])


def control_against_control(scores: Floats, settings: Settings) -> ControlOutcome:
    """Half of the calibration controls play target; more flagged than the level allows voids the run.

    Fails when the 99.9 % Clopper-Pearson bound is above the level and the exact chance of so many is below
    .001. The second condition is needed because p-values against the same twenty controls move together.
    """
    name = ControlName.CONTROL_AGAINST_CONTROL
    if scores.size < 2 * LEAST_CONTROLS:
        return not_applicable(
            name, Consequence.VOID, f"{scores.size} calibration controls cannot be halved into tens."
        )
    playing, staying = halves(scores.size, settings.seed)
    share, bound, chance = _flagged_share(scores[staying], scores[playing], settings.control_alpha)
    return outcome(
        name,
        bound > settings.control_alpha and chance < CONTROL_LEVEL,
        Consequence.VOID,
        f"Of {playing.size} controls playing target, {percent(share)} are beyond the "
        f"{percent(settings.control_alpha)} threshold of the other {staying.size}; so many by chance: "
        f"p = {chance:.2g}.",
        {"share": share, "lower_bound": bound, "p": chance},
    )


def _flagged_share(controls: Floats, scores: Floats, alpha: float) -> tuple[float, float, float]:
    """Share with p ≤ α, its 99.9 % lower bound, and the exact chance of at least so many.

    With fewer than 1/α − 1 controls no p-value reaches α: the finest level there is stands in for it.
    """
    level = max(alpha, 1.0 / (controls.size + 1.0))
    count, chance = exceedance_p(controls, scores, level)
    return count / scores.size, binomial_lower(count, scores.size, 0.001), chance


def post_release_control(scores: Floats, controls: Floats, settings: Settings) -> ControlOutcome:
    """Studies newer than the model cannot be members; if they are flagged, something else is measured."""
    name = ControlName.POST_RELEASE
    if not scores.size:
        return not_applicable(name, Consequence.TIER_E1, "The cohort has no studies newer than the model.")
    share, bound, chance = _flagged_share(controls, scores, settings.control_alpha)
    return outcome(
        name,
        chance < POST_RELEASE_LEVEL,
        Consequence.TIER_E1,
        f"Of {scores.size} patients with studies newer than the model, {percent(share)} are beyond the "
        f"controls' {percent(settings.control_alpha)} threshold; so many by chance: p = {chance:.2g}.",
        {"share": share, "lower_bound": bound, "p": chance},
    )


def positive_control(
    found: Sequence[tuple[str, float, Interval]],
    fixed: tuple[str, float, Interval] | None = None,
    epochs: int = 1,
) -> ControlOutcome:
    """Known members must be found, or where there are none the spike-in's pairs; otherwise PASS is barred.

    A spike-in that is found cannot make up for members that are not: they were trained on as targets may have
    been, so an audit blind to them is blind to such targets too. A fitted detector takes its direction from
    the labels: were members and controls exchanged, it would find the controls. So members must not lie below
    controls for a detector whose direction is fixed.

    Args:
        found: basis, AUROC and interval for each positive the audit has; the first one counts.
        fixed: name, AUROC and interval, members against controls, of a detector that learns nothing from
            labels; None where there are no members.
        epochs: the throw-away copy was trained for, told where the spike-in counts: with enough of them
            anything is found, so PASS takes one (`policy.decide`).
    """
    name = ControlName.POSITIVE
    if not found:
        return not_applicable(
            name, Consequence.BARS_PASS, "There are neither known members nor a spike-in to look for."
        )
    basis, value, interval = found[0]
    seen = interval.low > 0.5
    numbers = {"auroc": value, "low": interval.low, "high": interval.high}
    sentence = (
        f"Known positives ({basis}) are {'found' if seen else 'not found'}: AUROC {value:.3f}, 95 % "
        f"interval {interval.low:.3f} to {interval.high:.3f}."
    )
    if basis == "spike-in":
        numbers[COPY_EPOCHS] = float(epochs)
        sentence += f" The throw-away copy was trained for {counted(epochs, 'epoch')}."
    exchanged = fixed is not None and fixed[2].high < 0.5
    if fixed is not None:
        numbers |= {"fixed_auroc": fixed[1], "fixed_low": fixed[2].low, "fixed_high": fixed[2].high}
    if fixed is not None and exchanged:
        sentence += (
            f" But {fixed[0]}, which learns nothing from labels, puts members below controls (AUROC "
            f"{fixed[1]:.3f}, interval up to {fixed[2].high:.3f}): they may have been exchanged."
        )
    return outcome(name, exchanged or not seen, Consequence.BARS_PASS, sentence, numbers)
