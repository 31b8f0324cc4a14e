"""Controls that ask whether a shift between cohorts explains the signal (METHOD §6): they cap the tier."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from audit_core.blind import BlindResult
from audit_core.controls import not_applicable, outcome
from audit_core.ranking import auroc, rank_test_p
from audit_core.results import Consequence, ControlName, ControlOutcome
from audit_core.samples import Settings
from audit_core.shares import percent

Floats = NDArray[np.float64]

BLIND_LIMIT = 0.55
STRATA = 10
SEPARATION_LEVEL = 0.05
CONDITIONAL_DRAWS = 9_999


def blind_control(name: ControlName, blind: BlindResult, detector_auroc: float | None) -> ControlOutcome:
    """Roles that data alone can tell apart cap the tier at E2.

    Args:
        name: `BLIND_MEMBERS` or `BLIND_TARGETS`.
        blind: the contrast's result.
        detector_auroc: the deciding detector on the same contrast; its excess is always printed. None
            where it gives these pairs no score (as published, references have none).
    """
    failed = blind.best_ci.low > BLIND_LIMIT
    beside = "The deciding detector scores no references."
    excess = {}
    if detector_auroc is not None:
        beside = (
            f"The deciding detector is {detector_auroc - blind.auroc:+.3f} from the blind AUROC of "
            f"{blind.auroc:.3f}."
        )
        excess = {"excess": detector_auroc - blind.auroc}
    return outcome(
        name,
        failed,
        Consequence.TIER_E2,
        f"Without the model, {blind.best_block} predicts the role with AUROC {blind.best_auroc:.3f} "
        f"(interval from {blind.best_ci.low:.3f}; the limit is {BLIND_LIMIT}). {beside}",
        {
            "auroc": blind.auroc,
            "best_auroc": blind.best_auroc,
            "best_low": blind.best_ci.low,
            **excess,
        },
    )


def conditional_test(
    scores: Floats, target: NDArray[np.bool_], blind: Floats, level: float, rng: np.random.Generator
) -> ControlOutcome:
    """Are targets still higher among pairs that data alone judge alike? If not, the tier is at most E1.

    Rank sum within strata of the blind score, permuted within strata (van Elteren's statistic). The blind
    score is also regressed out of the ranks first: within a tenth of a strongly shifted cohort targets
    still have higher blind scores, and what is left over would pass for memory.

    Args:
        scores: [n] deciding detector, targets and calibration controls.
        target: [n].
        blind: [n] out-of-fold blind scores of the same pairs.
        level: `alpha_review`, or `alpha_fail` where a blind gate failed: strata can only hold still what
            the blind score sees, so a known shift must be outweighed by far, not by a hair.
        rng: the audit's generator.
    """
    strata = np.floor(STRATA * (rankdata(blind, method="ordinal") - 1) / blind.size).astype(np.int64)
    statistic, drawn = 0.0, np.zeros(CONDITIONAL_DRAWS)
    informative = 0
    for stratum in range(STRATA):
        inside = np.flatnonzero(strata == stratum)
        chosen = target[inside]
        if not 0 < chosen.sum() < inside.size:
            continue
        informative += 1
        ranks = _without_blind(rankdata(scores[inside]), rankdata(blind[inside])) / (inside.size + 1)
        statistic += float(ranks[chosen].sum())
        dealt = rng.permuted(np.tile(ranks, (CONDITIONAL_DRAWS, 1)), axis=1)
        drawn += dealt[:, : int(chosen.sum())].sum(axis=1)
    p = (1.0 + float((drawn >= statistic - 1e-9).sum())) / (CONDITIONAL_DRAWS + 1.0)
    return outcome(
        ControlName.CONDITIONAL,
        not p < level,
        Consequence.TIER_E1,
        f"Among pairs that data alone judge alike ({informative} of {STRATA} groups hold both roles), "
        f"targets score higher with p = {p:.2g}; {level:g} is needed.",
        {"p": p, "strata": float(informative)},
    )


def _without_blind(ranks: Floats, blind: Floats) -> Floats:
    """Ranks less their least-squares line on the blind ranks."""
    centred = blind - blind.mean()
    spread = float(centred @ centred)
    if spread == 0.0:
        return ranks
    left: Floats = ranks - centred * float(centred @ (ranks - ranks.mean())) / spread
    return left


def reference_model_control(
    differences: Floats | None, target: NDArray[np.bool_], settings: Settings
) -> ControlOutcome:
    """Is the model higher on targets than its base is? If not, the data explain the signal, not the model.

    Args:
        differences: [n] model minus base, larger = more member-like, targets and calibration controls.
        target: [n].
        settings: `alpha_review` is the level.
    """
    name = ControlName.REFERENCE_MODEL
    if differences is None:
        return not_applicable(
            name, Consequence.TIER_E1, "No base or older version of the model is registered."
        )
    p = rank_test_p(differences[target], differences[~target])
    larger = "larger" if p < settings.alpha_review else "not larger"
    value = auroc(differences[target], differences[~target])
    return outcome(
        name,
        not p < settings.alpha_review,
        Consequence.TIER_E1,
        f"The model's gain over its base is {larger} on targets than on controls: AUROC {value:.3f}, "
        f"p = {p:.2g}.",
        {"p": p, "auroc": value},
    )


def shuffled_control(
    right: tuple[Floats, Floats] | None, wrong: tuple[Floats, Floats] | None
) -> ControlOutcome:
    """A diagnosis: how much of the separation is left when reports change patients.

    Args:
        right: scores of the exposed group and of controls with their own reports.
        wrong: the same patients with another patient's report.
    """
    name = ControlName.SHUFFLED
    if right is None or wrong is None or min(part.size for part in (*right, *wrong)) == 0:
        return not_applicable(name, Consequence.NONE, "Shuffled pairs were not read.")
    own, other = auroc(*right), auroc(*wrong)
    if rank_test_p(*right) >= SEPARATION_LEVEL:
        told = "there is too little separation to divide."
        share = float("nan")
    else:
        share = min(max(1.0 - (other - 0.5) / (own - 0.5), 0.0), 1.0)
        told = f"about {percent(share)} of the memory hangs on the pair, the rest on one half alone."
    numbers = {"own_auroc": own, "shuffled_auroc": other}
    if np.isfinite(share):
        numbers["pair_share"] = share
    return outcome(
        name,
        False,
        Consequence.NONE,
        f"By loss, own reports give AUROC {own:.3f}, shuffled ones {other:.3f}: {told}",
        numbers,
    )
