"""Canaries of a design: scored beside the audit by its deciding detector, then compared by what was planted.

Whoever scores does not know which canary was planted: the plan joins the scores in `canary_report`, outside
the process that saw the model. Canaries are no patients: no count, share or p-value of patients changes.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audit_core.epsilon import one_run_lower
from audit_core.ranking import auroc, rank_test_p
from audit_core.results import CanaryDose, CanaryReport, Finding, Role, Score, Unscored

if TYPE_CHECKING:
    from audit_core.samples import PairFacts, Settings
    from audit_core.signals import SignalTable

Floats = NDArray[np.float64]


def canary_findings(
    table: SignalTable,
    base: SignalTable | None,
    facts: Sequence[PairFacts],
    canaries: Sequence[PairFacts],
    settings: Settings,
) -> tuple[Finding, ...]:
    """One finding per canary with the deciding detector's score, or why there is none.

    Args:
        table, base: signals of patients and canaries alike.
        facts: the patients' pairs, by which the detector is chosen and fitted.
        canaries: facts of the canaries.
        settings: of the audit.
    """
    from audit_core.cohort import references, scored_rows
    from audit_core.detectors.seam import all_detectors
    from audit_core.scoring import deciding_detector, score_apart

    rows, beside = (scored_rows(table, base, some, settings) for some in (facts, canaries))
    refs = references(rows, settings)
    name = deciding_detector(settings, rows.signals, refs)
    missing = all_detectors()[name].missing(rows.signals, refs)
    found: dict[str, Score | Unscored] = {pair: Unscored(why) for pair, why in beside.unscored.items()}
    if missing or not beside.facts:
        found |= {fact.pair_id: Unscored(missing) for fact in beside.facts}
    else:
        values = score_apart(beside.signals, name, rows, refs, settings)
        for fact, value in zip(beside.facts, values.tolist(), strict=True):
            finite = np.isfinite(value)
            found[fact.pair_id] = Score(value) if finite else Unscored("the score is not a number")
    return tuple(
        Finding(fact.pair_id, fact.patient, Role.CANARY, False, {name: found[fact.pair_id]}, None, False, {})
        for fact in canaries
    )


def canary_report(scores: Mapping[str, float], copies: Mapping[str, int], guesses: int) -> CanaryReport:
    """Planted against never-planted canaries.

    Args:
        scores: canary -> score, larger = more member-like; one without a score is left out.
        copies: canary -> copies planted, 0 for none; every canary of the design, planted by a fair coin each.
        guesses: how many canaries are guessed, fixed before any model was seen: the upper half of them
            "planted", the lower half "never planted". A guess that cannot be made counts as wrong.

    Raises:
        ValueError: a score belongs to no canary, or more guesses than canaries.
    """
    if set(scores) - set(copies) or not 0 <= guesses <= len(copies):
        raise ValueError("scores and guesses are of the design's canaries")
    planted = sum(number > 0 for number in copies.values())
    never = _scores_of(scores, copies, {0})
    doses = sorted({number for number in copies.values() if number})
    everyone = _scores_of(scores, copies, set(doses))
    correct = _correct(scores, copies, guesses // 2)
    both = bool(everyone.size and never.size)
    report = CanaryReport(
        ids=len(copies),
        planted=planted,
        unscored=len(copies) - len(scores),
        doses=tuple(_dose(number, _scores_of(scores, copies, {number}), never) for number in doses),
        p_value=rank_test_p(everyone, never) if both else None,
        auroc=auroc(everyone, never) if both else None,
        guesses=2 * (guesses // 2),
        correct=correct,
        epsilon_lower=one_run_lower(correct, 2 * (guesses // 2)) if guesses > 1 else None,
        sentence="",
    )
    return _said(report, never.size)


def _scores_of(scores: Mapping[str, float], copies: Mapping[str, int], wanted: set[int]) -> Floats:
    return np.array([value for name, value in sorted(scores.items()) if copies[name] in wanted])


def _correct(scores: Mapping[str, float], copies: Mapping[str, int], each: int) -> int:
    """Right guesses among the `each` highest and the `each` lowest scores; ties go by the canary's name."""
    order = sorted(scores, key=lambda name: (scores[name], name))
    each = min(each, len(order) // 2)
    low, high = order[:each], order[len(order) - each :]
    return sum(copies[name] == 0 for name in low) + sum(copies[name] > 0 for name in high)


def _dose(number: int, found: Floats, never: Floats) -> CanaryDose:
    ranks = tuple(sorted(1 + int((never >= value).sum()) for value in found.tolist()))
    tested = bool(found.size and never.size)
    return CanaryDose(number, ranks, rank_test_p(found, never) if tested else None)


def _said(report: CanaryReport, never: int) -> CanaryReport:
    start = f"{report.planted} of {report.ids} canaries were planted, by a coin each"
    if report.p_value is None or report.auroc is None:
        return replace(report, sentence=f"{start}; they cannot be compared, since one side has no score.")
    lines = [
        f"{start}: planted against never planted, AUROC {report.auroc:.2f}, rank test p = "
        f"{_p(report.p_value)}."
    ]
    ranks = [f"{dose.copies}: {statistics.median(dose.ranks):g}" for dose in report.doses if dose.ranks]
    lines.append(f"Median rank by copies, 1 is above all {never} never planted: {', '.join(ranks)}.")
    if report.epsilon_lower is not None:
        bound = (
            f"epsilon is at least {report.epsilon_lower:.2f} for a canary with all its copies (95 %, one run)"
        )
        shown = bound if report.epsilon_lower > 0.0 else "that shows no epsilon above 0"
        lines.append(f"{report.correct} of {report.guesses} guesses are right: {shown}.")
    if report.unscored:
        lines.append(f"{report.unscored} canaries have no score.")
    return replace(report, sentence=" ".join(lines))


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"
