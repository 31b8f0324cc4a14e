"""Lower bounds on the privacy loss ε, from counts alone (METHOD §7).

A bound speaks about differential privacy only where membership was drawn by coins; whoever prints one sees to
that. Both are for δ = 0. Nothing here looks at scores: thresholds and numbers of guesses are fixed before.
"""

from __future__ import annotations

import math

from scipy.special import logit

from audit_core.calibration import binomial_lower, binomial_upper

BETA = 0.05
"""Error allowed to a bound: the true ε lies under it in at most this share of audits."""


def one_run_lower(correct: int, guesses: int, beta: float = BETA) -> float:
    """ε lower bound from one training run with many coins.

    Largest ε with P[Bin(guesses, e^ε/(1+e^ε)) ≥ correct] < beta; the share solving this with equality is the
    exact binomial lower bound. Steinke, Nasr & Jagielski 2023, *Privacy Auditing with One (1) Training Run*,
    Theorem 2.1 (pure ε).

    Args:
        correct: guesses that were right, 0 … guesses.
        guesses: pairs about which "in" or "out" was said, their number fixed beforehand; each of them was
            in training by a fair coin of its own. Abstentions do not count.
        beta: error of the bound, between 0 and 1.

    Returns:
        ε ≥ 0, finite; 0.0 says that nothing is shown.

    Raises:
        ValueError: counts that cannot be, or an error outside (0, 1).
    """
    _possible(correct, guesses, "guesses")
    _is_error(beta)
    return max(0.0, float(logit(binomial_lower(correct, guesses, beta))))


def two_sample_lower(tp: int, members: int, fp: int, controls: int, beta: float = BETA) -> float:
    """ε lower bound from the rates above one threshold: ln(TPR_L / FPR_U), METHOD §7.

    As a bound on ε it needs patients that are runs of their own; within one model they are not, and it is an
    empirical separation (`audit_core.bounds`). Each rate has its exact one-sided bound at beta/2, so both
    hold together with 1 − beta. Only this branch is computed: the better of two would need a further split.

    Args:
        tp: members beyond the threshold, 0 … members.
        members: all of them, independent, one score per patient.
        fp: controls beyond the threshold, 0 … controls.
        controls: all of them. The threshold was fixed beforehand or on other pairs.
        beta: error of the bound, between 0 and 1.

    Returns:
        ln of the ratio, at least 0.0 and finite.

    Raises:
        ValueError: counts that cannot be, or an error outside (0, 1).
    """
    _possible(tp, members, "members")
    _possible(fp, controls, "controls")
    _is_error(beta)
    seen = binomial_lower(tp, members, beta / 2)
    clean = binomial_upper(fp, controls, beta / 2)
    return math.log(seen / clean) if seen > clean else 0.0


def _possible(count: int, total: int, word: str) -> None:
    if total < 1 or not 0 <= count <= total:
        raise ValueError(f"{count} of {total} {word} is no count")


def _is_error(beta: float) -> None:
    if not 0.0 < beta < 1.0:
        raise ValueError("the error of a bound lies between 0 and 1")
