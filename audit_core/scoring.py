"""Run the battery once and give every pair one number per detector, all on one scale.

Reference pairs are scored by the model fitted without their fold, everyone else by the model fitted on all
references. The fold models' scales differ a little; they are brought together on the calibration controls,
which no fold model has learnt from and whose labels are not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audit_core.cohort import Rows
from audit_core.cosines import stacked
from audit_core.detectors.fused import MINIMUM_REFERENCES
from audit_core.detectors.seam import Detector, FoldScores, Ints, Labelled, Signals, all_detectors, wanted
from audit_core.errors import PolicyInvalid
from audit_core.policy import WITHOUT_MEMBERS
from audit_core.results import Role
from audit_core.samples import Settings
from audit_core.signals import SignalTable

Floats = NDArray[np.float64]

FALLBACK = "rank_average"


@dataclass(frozen=True, slots=True)
class Scored:
    """One detector on all rows.

    Attributes:
        values: [N]; NaN where the detector has no score for the pair.
        reason: why it has none, where it has none.
        found: what the detector itself gave, None when it could not run.
    """

    name: str
    values: Floats
    reason: str
    found: FoldScores | None

    def at(self, rows: Ints) -> Floats:
        """Finite scores of these rows."""
        values = self.values[rows]
        return values[np.isfinite(values)]


@dataclass(frozen=True, slots=True)
class SpikeSignals:
    """Signals of the spiked copy: `leaked` pairs were trained on, `clean` ones were not.

    Attributes:
        table: of the copy, holding at least both groups.
        base: of the same base model, same pairs.
        leaked: pair ids.
        clean: pair ids.
    """

    table: SignalTable
    base: SignalTable | None
    leaked: tuple[str, ...]
    clean: tuple[str, ...]


def deciding_detector(settings: Settings, signals: Signals, refs: Labelled) -> str:
    """The pre-registered detector, or the rank average where that cannot be fitted (METHOD §4, §7).

    Raises:
        PolicyInvalid: no such detector.
    """
    known = all_detectors()
    name = settings.deciding_detector
    if name not in known:
        raise PolicyInvalid(
            f"deciding_detector {name!r} is not known", hint=f"one of {', '.join(sorted(known))}"
        )
    few = name == "fused" and refs.rows.size < MINIMUM_REFERENCES
    without_members = known[name].fitted and settings.references in WITHOUT_MEMBERS
    no_slices = name == "fused" and bool(known[name].missing(signals, refs))
    return FALLBACK if few or without_members or no_slices else name


def score_all(rows: Rows, refs: Labelled, settings: Settings) -> Mapping[str, Scored]:
    """Every detector of the battery on every row; what cannot run says why."""
    detectors = wanted(settings.deciding_detector)
    return {name: _score(detector, rows, refs, settings) for name, detector in detectors.items()}


def readings_asked_for(settings: Settings) -> frozenset[str]:
    """Names of the readings that this audit's detectors need."""
    return frozenset(
        name for detector in wanted(settings.deciding_detector).values() for name in detector.readings
    )


def _score(detector: Detector, rows: Rows, refs: Labelled, settings: Settings) -> Scored:
    missing = detector.missing(rows.signals, refs)
    if not missing and detector.name == "fused" and refs.rows.size < MINIMUM_REFERENCES:
        missing = f"{refs.rows.size} references are too few to fit on; {MINIMUM_REFERENCES} are needed"
    if missing:
        return Scored(detector.name, np.full(rows.signals.pairs, np.nan), missing, None)
    found = detector.score(rows.signals, refs, settings)
    aligned = _aligned(found.scores, rows.of(Role.CALIBRATION))
    values = aligned[-1].copy()
    own = _fold_of_pair(rows, refs)
    reference = own >= 0
    values[reference] = aligned[own[reference], np.flatnonzero(reference)]
    return Scored(detector.name, values, found.reason or "the pair lacks a signal this detector needs", found)


def _fold_of_pair(rows: Rows, refs: Labelled) -> Ints:
    """[N] fold of the pair's patient, −1 for patients that are no reference."""
    of_patient = {rows.facts[row].patient: int(fold) for row, fold in zip(refs.rows, refs.folds, strict=True)}
    return np.array([of_patient.get(fact.patient, -1) for fact in rows.facts], dtype=np.int64)


def _aligned(scores: Floats, calibration: Ints) -> Floats:
    """Bring each fold model's scores to the full model's scale: same median and quartile distance there."""
    if calibration.size < 4:
        return scores
    quartiles = np.quantile(scores[:, calibration], [0.25, 0.5, 0.75], axis=1)
    centre, spread = quartiles[1], quartiles[2] - quartiles[0]
    usable = (spread > 0) & (spread[-1] > 0)
    factor = np.where(usable, spread[-1] / np.where(usable, spread, 1.0), 1.0)
    moved: Floats = (scores - centre[:, None]) * factor[:, None] + centre[-1]
    return moved


def score_spike(
    spike: SpikeSignals, name: str, rows: Rows, refs: Labelled, settings: Settings
) -> tuple[Floats, Floats]:
    """Scores of the spiked copy's leaked and clean pairs by the rule that judges the targets.

    A fitted detector keeps what it learnt on the audited model's references; it is not refitted on the copy,
    or the spike-in would show a sensitivity that the audit itself does not have.
    """
    wanted = [*spike.leaked, *spike.clean]
    signals = _spiked_signals(spike, [pair for pair in wanted if pair not in spike.table.unscored])
    values = score_apart(signals, name, rows, refs, settings)
    leaked = np.isin(signals.table.pair_ids, spike.leaked) & np.isfinite(values)
    return values[leaked], values[~leaked & np.isfinite(values)]


def score_apart(signals: Signals, name: str, rows: Rows, refs: Labelled, settings: Settings) -> Floats:
    """[n] scores of pairs that stand beside the audit: no row and no number of the audit changes by them.

    A fitted detector is fitted on the audit's references; any other sees these pairs alone. NaN where it
    lacks what it needs.
    """
    detector = all_detectors()[name]
    if detector.fitted:
        stacked = _stack(rows.signals, signals)
        beside: Floats = detector.score(stacked, refs, settings).scores[-1, rows.signals.pairs :]
        return beside
    none = np.array([], dtype=np.int64)
    nobody = Labelled(none, none.astype(np.bool_), none)
    if detector.missing(signals, nobody):  # a signal that only a cohort with references has
        return np.full(signals.pairs, np.nan)
    alone: Floats = detector.score(signals, nobody, settings).scores[-1]
    return alone


def _spiked_signals(spike: SpikeSignals, pairs: list[str]) -> Signals:
    place = {pair: row for row, pair in enumerate(spike.table.pair_ids)}
    both = Signals(spike.table, spike.base)
    return both.take(np.array([place[pair] for pair in pairs if pair in place], dtype=np.int64))


def _stack(first: Signals, second: Signals) -> Signals:
    base = None
    if first.base is not None and second.base is not None:
        base = _stack_tables(first.base, second.base)
    return Signals(_stack_tables(first.table, second.table), base)


def _stack_tables(first: SignalTable, second: SignalTable) -> SignalTable:
    return replace(
        first,
        pair_ids=first.pair_ids + second.pair_ids,
        scalars={
            name: np.concatenate([values, second.scalars[name]]) for name, values in first.scalars.items()
        },
        norms=np.concatenate([first.norms, second.norms]),
        cosines=stacked(first.cosines, second.cosines),
        task_cosines=np.concatenate([first.task_cosines, second.task_cosines]),
        tokens=None if first.tokens is None or second.tokens is None else first.tokens.then(second.tokens),
        task_slopes=_both(first.task_slopes, second.task_slopes),
    )


def _both(
    first: NDArray[np.float32] | None, second: NDArray[np.float32] | None
) -> NDArray[np.float32] | None:
    return None if first is None or second is None else np.concatenate([first, second])
