"""Dataset inference: are the targets as a set unlike the controls? Shown, and decides nothing (METHOD §7).

Maini, Jia, Papernot & Dziedzic 2024, *LLM Dataset Inference: Did you train on my dataset?* A weighted sum of
many weak signals is learnt on half of the patients and tested on the other half. It looks for any difference,
of whatever direction and cause, so it is printed beside the same test of controls against controls.

Letters: N patients, d signals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ttest_ind

from audit_core import logistic
from audit_core.cohort import Rows
from audit_core.detectors.base_referenced import differences
from audit_core.readings.prices import OF_REFERENCES
from audit_core.results import DatasetInference, Role
from audit_core.samples import Settings

Floats = NDArray[np.float64]

SPLITS = 20
C = 0.1
WITHIN = 3.0
"""Standard deviations of the learning half beyond which a signal is cut: one wild value moves no mean."""
LEAST = 20
"""Patients a group needs: ten to learn from, ten to test on."""
LEVEL = 0.05


def dataset_inference(rows: Rows, settings: Settings) -> DatasetInference:
    """Targets against all controls, and controls against controls.

    Signals are those that no reference pair took part in (scalars but for readings that compare a pair with
    references, and differences to the base), so fitting controls are as good as calibration controls here.

    Args:
        rows: the scored pairs; one judged pair per patient counts.
        settings: the seed.
    """
    targets, controls = rows.of(Role.TARGET), rows.of(Role.FITTING, Role.CALIBRATION)
    names, signals_Nd = _signals(rows)
    if not names or min(targets.size, controls.size) < LEAST:
        why = f"A group has fewer than {LEAST} patients" if names else "There are no signals to weigh"
        return DatasetInference(None, None, 0, names, f"{why}; sets are not compared.")
    rng = np.random.default_rng([settings.seed, 7])
    p = combined_p(signals_Nd[targets], signals_Nd[controls], rng)
    null_p = None
    if controls.size >= 2 * LEAST:
        dealt = rng.permutation(controls)
        half = dealt.size // 2
        null_p = combined_p(signals_Nd[dealt[:half]], signals_Nd[dealt[half:]], rng)
    return DatasetInference(p, null_p, SPLITS, names, _sentence(p, null_p, len(names)))


def combined_p(first_Nd: Floats, second_Nd: Floats, rng: np.random.Generator, splits: int = SPLITS) -> float:
    """Twice the median p over random halvings, at most 1.

    That is a p-value however the splits depend on each other (Rüger 1978; Meinshausen et al. 2009).

    Args:
        first_Nd: signals of one group, at least two patients a half.
        second_Nd: of the other.
        rng: draws the halvings.
        splits: how many.
    """
    return min(1.0, 2.0 * float(np.median([_one_split(first_Nd, second_Nd, rng) for _ in range(splits)])))


def _one_split(first_Nd: Floats, second_Nd: Floats, rng: np.random.Generator) -> float:
    """One-sided Welch p on one half of a ridge-logistic score learnt on the other half."""
    first, second = rng.permutation(first_Nd), rng.permutation(second_Nd)
    a, b = len(first) // 2, len(second) // 2
    learn = np.concatenate([first[:a], second[:b]])
    centre, spread = learn.mean(axis=0), learn.std(axis=0)
    scale = np.where(spread > 1e-12, spread, np.inf)  # a signal without spread has no vote

    def standardised(values: Floats) -> Floats:
        cut: Floats = np.clip((values - centre) / scale, -WITHIN, WITHIN)
        return cut

    weights, _ = logistic.fit(standardised(learn), np.arange(a + b) < a, C)
    up, down = standardised(first[a:]) @ weights, standardised(second[b:]) @ weights
    if np.ptp(np.concatenate([up, down])) == 0.0:
        return 1.0
    return float(ttest_ind(up, down, equal_var=False, alternative="greater").pvalue)


def _signals(rows: Rows) -> tuple[tuple[str, ...], Floats]:
    """Names and [N, d] of the signals that every pair has and no reference pair took part in."""
    scalars, compared = rows.signals.table.scalars, OF_REFERENCES.values()
    found = {name: values for name, values in scalars.items() if name not in compared}
    found |= {f"{name} minus base": values for name, values in differences(rows.signals).items()}
    whole = {name: values for name, values in found.items() if np.isfinite(values).all()}
    return tuple(whole), np.column_stack(list(whole.values())) if whole else np.empty((rows.signals.pairs, 0))


def _sentence(p: float, null_p: float | None, signals: int) -> str:
    found = "differ" if p < LEVEL else "are not shown to differ"
    said = f"As sets, patients in question and controls {found} in {signals} signals (p = {p:.2g})"
    if null_p is None:
        return f"{said}. Controls were too few to be compared with each other, so nothing checks this number."
    if null_p < LEVEL:
        return f"{said}, but so do controls from controls (p = {null_p:.2g}): the number says nothing."
    return (
        f"{said}; controls and controls: p = {null_p:.2g}. A difference may have any direction and cause; it "
        "decides nothing."
    )
