"""Which lower bounds on ε an audit of patients may print, and from which counts (METHOD §7).

Never for convenience cohorts, and never where the control that should bear the design out did not pass. The
threshold comes from references; targets and calibration controls are only counted.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from audit_core.epsilon import BETA, one_run_lower, two_sample_lower
from audit_core.results import Design, EpsilonBound

Floats = NDArray[np.float64]

LEAST = 10
"""Patients on either side, for a threshold and for a rate."""
FIXED_TAIL = 0.05
"""Share of fitting controls beyond the threshold where no members can choose it."""


def epsilon_bounds(
    targets: Floats,
    calibration: Floats,
    members: Floats,
    fitting: Floats,
    design: Design,
    borne_out: bool,
    rng: np.random.Generator,
) -> tuple[EpsilonBound, ...]:
    """The bounds that the design allows.

    Args:
        targets: [m] scores of the patients in question.
        calibration: [n] scores of the calibration controls.
        members: scores of known members; empty without any.
        fitting: scores of the fitting controls.
        design: how roles were told apart.
        borne_out: the blind baseline of targets passed: data alone do not contradict the design.
        rng: pairs patients up.
    """
    if design is Design.CONVENIENCE or not borne_out or min(targets.size, calibration.size) < LEAST:
        return ()
    found = []
    if fitting.size >= LEAST:
        found.append(_separation(targets, calibration, _threshold(members, fitting)))
    if design is Design.COMMITTED:
        found.append(_one_run(targets, calibration, rng))
    return tuple(found)


def _threshold(members: Floats, fitting: Floats) -> float:
    """Where references give the largest bound; without members, the fitting controls' fixed tail."""
    ordered = np.sort(fitting)[::-1]
    fixed = float(ordered[int(FIXED_TAIL * ordered.size)])
    if members.size < LEAST:
        return fixed
    best = max(
        (
            two_sample_lower(
                int((members > cut).sum()), members.size, int((fitting > cut).sum()), fitting.size
            ),
            cut,
        )
        for cut in np.unique(ordered).tolist()
    )
    return best[1] if best[0] > 0.0 else fixed


def _separation(targets: Floats, calibration: Floats, threshold: float) -> EpsilonBound:
    """Both rates beyond the threshold. Patients of one model are no runs of their own, hence the caveat."""
    hits, false = int((targets > threshold).sum()), int((calibration > threshold).sum())
    lower = two_sample_lower(hits, targets.size, false, calibration.size)
    told = "no separation is shown"
    if lower > 0.0:
        told = f"the first share is at least {math.exp(lower):.1f} times the second (ln {lower:.2f}, 95 %)"
    counts = {"targets": targets.size, "beyond": hits, "controls": calibration.size, "controls beyond": false}
    return EpsilonBound(
        "empirical separation",
        lower,
        1.0 - BETA,
        counts,
        f"Beyond a threshold set on other patients lie {hits} of {targets.size} patients in question and "
        f"{false} of {calibration.size} controls: {told}. It describes this model and is no bound on privacy "
        "loss.",
    )


def _one_run(targets: Floats, calibration: Floats, rng: np.random.Generator) -> EpsilonBound:
    """Which of two was handed over? One guess for the half of the pairs whose scores differ most.

    Roles are of fixed size, so single patients' coins are not independent any more. Where a target and a
    control are put together at random, which of the two was handed over is a fair coin of its own for each
    couple. It puts one patient in another's place, so that is the change ε speaks of.
    """
    couples = min(targets.size, calibration.size)
    gap = rng.permutation(targets)[:couples] - rng.permutation(calibration)[:couples]
    guesses = math.ceil(couples / 2)
    asked = gap[np.argsort(-np.abs(gap), kind="stable")[:guesses]]
    right = int((asked > 0.0).sum())
    lower = one_run_lower(right, guesses)
    shown = f"epsilon is at least {lower:.2f}" if lower > 0.0 else "nothing is shown"
    told = (
        f"Of {couples} couples of a patient in question and a control, {guesses} were guessed by score and "
        f"{right} rightly: {shown}, for one patient in another's place."
    )
    return EpsilonBound(
        "one run", lower, 1 - BETA, {"couples": couples, "guesses": guesses, "right": right}, told
    )
