"""What an officer and a reader of numbers see of the detectors: reports, histogram, what weighed in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from audit_core.cohort import Rows
from audit_core.policy import WITHOUT_MEMBERS
from audit_core.ranking import Resampler, auroc, operating_point, roc_curve
from audit_core.results import DetectorReport, Histogram, Interval, OperatingPoint, Role
from audit_core.round_grid import FINE, round_edges
from audit_core.samples import Settings
from audit_core.scoring import Scored

Floats = NDArray[np.float64]

ALPHAS = (0.05, 0.01)
BINS = 50  # at most
GROUP = 2
"""Fewest patients on either side for an AUROC."""


class _Draws:
    """Bootstrap draws by group sizes, so that detectors on the same patients share them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.kept: dict[tuple[int, int], Resampler] = {}

    def interval(self, up: Floats, down: Floats) -> Interval:
        key = (up.size, down.size)
        if key not in self.kept:
            rng = np.random.default_rng([self.settings.seed, 2, *key])
            self.kept[key] = Resampler(*key, self.settings.bootstrap, rng)
        return self.kept[key].interval(up, down)


def detector_reports(
    scored: Mapping[str, Scored], decides: str, rows: Rows, settings: Settings
) -> tuple[DetectorReport, ...]:
    """One report per detector that could run, the deciding one first.

    Args:
        scored: every detector.
        decides: name of the deciding one.
        rows: who is who.
        settings: bootstrap, seed, where references come from.
    """
    draws = _Draws(settings)
    ran = [name for name, one in scored.items() if one.found is not None or name == decides]
    names = sorted(ran, key=lambda name: (name != decides, name))
    return tuple(_report(scored[name], name == decides, rows, settings, draws) for name in names)


def _report(one: Scored, decides: bool, rows: Rows, settings: Settings, draws: _Draws) -> DetectorReport:
    empty: Floats = np.array([])
    members = empty if settings.references in WITHOUT_MEMBERS else one.at(rows.of(Role.MEMBER))
    fitting = one.at(rows.of(Role.FITTING))
    calibration, targets = one.at(rows.of(Role.CALIBRATION)), one.at(rows.of(Role.TARGET))
    reference = _auroc(members, fitting, draws)
    target = _auroc(targets, calibration, draws)
    points: tuple[OperatingPoint, ...] = ()
    if members.size >= GROUP and calibration.size >= GROUP:
        points = tuple(operating_point(alpha, members, calibration, fitting) for alpha in ALPHAS)
    return DetectorReport(
        name=one.name,
        decides=decides,
        reference_auroc=reference[0],
        reference_auroc_ci=reference[1],
        target_auroc=target[0],
        target_auroc_ci=target[1],
        operating_points=points,
        roc=roc_curve(targets, calibration) if target[0] is not None else (),
        unscored=int((~np.isfinite(one.values)).sum()) + len(rows.unscored),
    )


def _auroc(up: Floats, down: Floats, draws: _Draws) -> tuple[float | None, Interval | None]:
    if min(up.size, down.size) < GROUP:
        return None, None
    return auroc(up, down), draws.interval(up, down)


def histogram(by_role: Mapping[Role, Floats], threshold: float | None) -> Histogram | None:
    """Scores by role over common bins with round edges; None without scores."""
    everything = np.concatenate(list(by_role.values()))
    if not everything.size:
        return None
    low, high = float(everything.min()), float(everything.max())
    edges = round_edges(low, high, BINS, FINE)
    if not edges:
        return None
    counts = {
        role.value: tuple(int(count) for count in np.histogram(values, edges)[0])
        for role, values in by_role.items()
        if values.size
    }
    return Histogram(edges, counts, threshold)


def memory_by_layer(scored: Mapping[str, Scored]) -> tuple[tuple[str, float], ...]:
    """Mean sensitivity gap per layer, largest first; empty where nothing was fitted."""
    for name in ("gradaudit", "fused"):
        one = scored.get(name)
        if one is not None and one.found is not None:
            return tuple(one.found.by_layer.items())
    return ()


def slices_kept(scored: Mapping[str, Scored], rows: Rows) -> tuple[int, int]:
    """Slices that pass the mask fitted on all references, and all there are."""
    total = rows.signals.table.cosines.shape[1]
    one = scored.get("gradaudit")
    return (one.found.kept if one is not None and one.found is not None else 0), total


def decision_weights(decider: Scored) -> tuple[tuple[str, float], ...]:
    """Standardised weights of the deciding detector, largest first; empty where it has none."""
    if decider.found is None:
        return ()
    return tuple(sorted(decider.found.weights.items(), key=lambda item: -abs(item[1])))


def decision_carried(
    decider: Scored, targets: NDArray[np.int64], controls: NDArray[np.int64]
) -> tuple[tuple[str, float], ...]:
    """What every signal adds to the mean score of these targets above the controls', largest first.

    Args:
        decider: the deciding detector.
        targets: rows of the flagged targets, or of all where nobody is flagged.
        controls: rows of the calibration controls.
    """
    if decider.found is None or not targets.size or not controls.size:
        return ()
    added = {
        name: float(values[targets].mean() - values[controls].mean())
        for name, values in decider.found.parts.items()
    }
    return tuple(sorted(added.items(), key=lambda item: -item[1]))


def slices_by_layer(scored: Mapping[str, Scored]) -> tuple[tuple[str, int, int], ...]:
    """Layer, slices that pass the mask, slices it has; largest share first, empty where none was fitted."""
    one = scored.get("gradaudit")
    if one is None or one.found is None:
        return ()
    counts = ((layer, kept, total) for layer, (kept, total) in one.found.kept_by_layer.items())
    return tuple(sorted(counts, key=lambda item: -item[1] / item[2]))


def audited_layers(rows: Rows) -> tuple[str, ...]:
    """Names of the audited layers, in the model's order."""
    return tuple(dict.fromkeys(matrix.layer for matrix in rows.signals.table.matrices))
