"""Lower bounds on the privacy loss ε, from counts alone (METHOD §7).

A bound speaks about differential privacy only where membership was drawn by coins; whoever prints one sees to
that. Both are for δ = 0 unless a δ is given. Nothing here looks at scores: thresholds and numbers of guesses
are fixed before.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import bdtrc, expit, logit

from audit_core.calibration import binomial_lower, binomial_upper

BETA = 0.05
"""Error allowed to a bound: the true ε lies under it in at most this share of audits."""
_PRECISION = 1e-9  # of an ε that is searched for; the low end is told


def one_run_lower(
    correct: int, guesses: int, beta: float = BETA, *, delta: float = 0.0, coins: int = 0
) -> float:
    """ε lower bound from one training run with many coins, at a δ.

    Largest ε that `one_run_p` rejects at beta. At δ = 0 that is the largest ε with
    P[Bin(guesses, e^ε/(1+e^ε)) ≥ correct] < beta; the share solving this with equality is the exact binomial
    lower bound. Steinke, Nasr & Jagielski 2023, *Privacy Auditing with One (1) Training Run*, Theorem 2.1
    (pure ε) and Theorem 5.2 with Appendix D (δ > 0).

    Args:
        correct: guesses that were right, 0 … guesses.
        guesses: pairs about which "in" or "out" was said, their number fixed beforehand; each of them was
            in training by a fair coin of its own. Abstentions do not count.
        beta: error of the bound, between 0 and 1.
        delta: of the (ε, δ) in question, 0 or more and under 1.
        coins: fair coins that were thrown, guessed or not; asked for where delta is above 0.

    Returns:
        ε ≥ 0, finite; 0.0 says that nothing is shown.

    Raises:
        ValueError: counts that cannot be, or an error or a δ out of range.
    """
    _possible(correct, guesses, "guesses")
    _is_error(beta)
    exact = max(0.0, float(logit(binomial_lower(correct, guesses, beta))))
    if delta == 0.0:
        return exact
    low, high = 0.0, exact  # a δ only takes away from the bound
    if one_run_p(correct, guesses, 0.0, delta, coins) >= beta:
        return 0.0
    while high - low > _PRECISION:
        middle = (low + high) / 2
        if one_run_p(correct, guesses, middle, delta, coins) < beta:
            low = middle
        else:
            high = middle
    return low


def one_run_p(correct: int, guesses: int, epsilon: float, delta: float, coins: int) -> float:
    """Largest chance of so many right guesses under any (ε, δ)-private training.

    f(v) + 2·m·δ·max_i (f(v−i) − f(v))/i over i = 1 … v, with f(v) = P[Bin(r, e^ε/(1+e^ε)) ≥ v], v right
    guesses of r, and m coins. Steinke, Nasr & Jagielski 2023, Theorem 5.2 and Appendix D.

    Args:
        correct: v, 0 … guesses.
        guesses: r, at most `coins`.
        epsilon: 0 or more.
        delta: 0 or more and under 1.
        coins: m.

    Returns:
        A p-value: under such training it is at most x with a chance of at most x.

    Raises:
        ValueError: counts that cannot be, or ε or δ out of range.
    """
    _possible(correct, guesses, "guesses")
    if not 0.0 <= delta < 1.0 or not 0.0 <= epsilon < math.inf or (delta and coins < guesses):
        raise ValueError("δ lies in [0, 1), ε is finite, and no more is guessed than there are coins")
    tails = np.append(bdtrc(np.arange(correct), guesses, expit(epsilon))[::-1], 1.0)  # f(v), f(v−1) … f(0)
    if not correct:
        return 1.0
    gained = (tails[1:] - tails[0]) / np.arange(1, correct + 1)
    return float(min(1.0, tails[0] + 2.0 * coins * delta * gained.max()))


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
