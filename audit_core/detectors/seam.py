"""What a detector is: a pure function from signals to scores, under every fold model at once.

Letters: N pairs, n reference pairs, F folds, K slices, M matrices.

A detector gives scores [F+1, N]: row f holds the scores of all pairs under the model fitted without fold f,
the last row those under the model fitted on all references. Reference pairs are read from the row of their
own fold, everyone else from the last row. Detectors that fit nothing repeat one row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

import audit_core.detectors.published
from audit_core.cosines import taken
from audit_core.samples import Settings
from audit_core.signals import SignalTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Signals:
    """The model's signals and, where there is one, the base model's, row by row. Every row is scored."""

    table: SignalTable
    base: SignalTable | None

    @property
    def pairs(self) -> int:
        """N."""
        return len(self.table.pair_ids)

    def take(self, rows: Ints) -> Signals:
        """The same signals for these rows only, in this order."""
        return Signals(_take(self.table, rows), None if self.base is None else _take(self.base, rows))

    def without_fold_sums(self) -> Signals:
        """The same signals with one cosine per slice, under whatever folds and labels."""
        return replace(self, table=replace(self.table, fold_sums=None))


@dataclass(frozen=True, slots=True)
class Labelled:
    """The reference pairs a detector may learn from.

    Attributes:
        rows: [n] row numbers into the signals.
        member: [n] True for members, False for fitting controls.
        folds: [n] fold of each, 0 … F−1; one patient lies in one fold.
    """

    rows: Ints
    member: NDArray[np.bool_]
    folds: Ints

    @property
    def fold_count(self) -> int:
        """F; 0 without references."""
        return int(self.folds.max()) + 1 if self.folds.size else 0


@dataclass(frozen=True, slots=True)
class FoldScores:
    """Scores [F+1, N]; a row of NaN where that fold model gives no score, with the reason.

    Attributes:
        weights: what the full model weighs, signal -> number, for the reader.
        parts: signal -> [N], what it adds to the score of each pair under the full model.
        by_layer: layer -> mean sensitivity gap, largest first.
        kept_by_layer: layer -> (slices kept, slices it has).
        kept: slices the full model keeps; `total` slices it chose from.
    """

    scores: Floats
    reason: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, Floats] = field(default_factory=dict)
    by_layer: Mapping[str, float] = field(default_factory=dict)
    kept_by_layer: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    kept: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Detector:
    """One registered detector.

    Attributes:
        name: as policies write it.
        source: paper, or "ours".
        fitted: learns from references, so that the label-permutation control applies.
        missing: why it cannot run on these signals, or "".
        score: the pure function.
        readings: names of the readings it needs (`audit_core.readings`).
    """

    name: str
    source: str
    fitted: bool
    missing: Callable[[Signals, Labelled], str]
    score: Callable[[Signals, Labelled, Settings], FoldScores]
    readings: tuple[str, ...] = ()


_REGISTRY: dict[str, tuple[str, Detector]] = {}


def register(module: str, detector: Detector) -> Detector:
    """Make a detector known; called once, at import.

    Args:
        module: `__name__` of the module that defines it; its package says whether it is of the battery.
        detector: under a name that no other has.
    """
    where = _REGISTRY.setdefault(detector.name, (module, detector))[0]
    if where != module:
        raise ValueError(f"two detectors are called {detector.name}")
    return detector


@cache
def battery() -> Mapping[str, Detector]:
    """The detectors of an officer's audit by name; a new module in the package is found by itself."""
    return _imported(audit_core.detectors)


@cache
def published() -> Mapping[str, Detector]:
    """Further detectors as their authors published them, for benchmarks and for policies that name one."""
    return _imported(audit_core.detectors.published)


@cache
def all_detectors() -> Mapping[str, Detector]:
    """The battery and the published ones, by name."""
    return {**battery(), **published()}


def wanted(deciding: str) -> Mapping[str, Detector]:
    """What an audit runs: the battery, and the deciding detector where that is a published one."""
    return {**battery(), **{name: found for name, found in published().items() if name == deciding}}


def _imported(package: ModuleType) -> dict[str, Detector]:
    """The detectors that the modules of a package register."""
    inside = {f"{package.__name__}.{module.name}" for module in iter_modules(package.__path__)}
    for name in inside:
        import_module(name)
    return {name: one for name, (where, one) in sorted(_REGISTRY.items()) if where in inside}


def unfitted(values: Floats, refs: Labelled) -> FoldScores:
    """Scores of a detector that learns nothing: the same row under every fold model."""
    return FoldScores(np.tile(values, (refs.fold_count + 1, 1)))


def oriented(values: Floats, refs: Labelled) -> FoldScores:
    """Scores of a signal that points one way in one model and the other way in another.

    Under every fold model the sign is that of AUROC − ½ of the references outside the fold; + where it is ½.
    Values are first centred on the median of all pairs: turned about another point, folds that disagree would
    not be comparable, and chance would look like a direction that was found (AUROC .53 of pure noise).

    Args:
        values: [N].
        refs: members and controls.
    """
    values = values - np.median(values)
    scores = np.empty((refs.fold_count + 1, values.size))
    for row in range(refs.fold_count + 1):
        inside = refs.folds != row
        known = rankdata(values[refs.rows[inside]])
        member = refs.member[inside]
        points_up = known[member].mean() >= known[~member].mean()
        scores[row] = values if points_up else -values
    return FoldScores(scores)


def needs_scalar(name: str, where: str = "") -> Callable[[Signals, Labelled], str]:
    """A `missing` that asks for one scalar; `where` says what kind of model or cohort has it."""

    def missing(signals: Signals, refs: Labelled) -> str:
        if name in signals.table.scalars:
            return ""
        return f"the signal {name} was not read" + (f" ({where})" if where else "")

    return missing


def one_scalar(
    name: str, signal: str, source: str, where: str = "", readings: tuple[str, ...] = ()
) -> Detector:
    """A detector whose score is one scalar of the table.

    Args:
        name: as policies write it.
        signal: the scalar, larger = more member-like.
        source: paper, or "ours".
        where: what kind of model or cohort has it, said where it is missing.
        readings: that give the scalar.
    """

    def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
        return unfitted(signals.table.scalars[signal], refs)

    missing = needs_scalar(signal, where)
    return Detector(name, source, fitted=False, missing=missing, score=score, readings=readings)


def needs_base(signals: Signals, refs: Labelled) -> str:
    """A `missing` that asks for the base model's signals."""
    return "" if signals.base is not None else "no base model is registered"


def needs_references(signals: Signals, refs: Labelled) -> str:
    """A `missing` that asks for members and fitting controls in at least two folds, and for slices."""
    if signals.table.cosines.shape[1] == 0:
        return "no gradients were read"
    return needs_labels(signals, refs)


def needs_labels(signals: Signals, refs: Labelled) -> str:
    """A `missing` that asks for members and fitting controls in at least two folds."""
    if not 0 < int(refs.member.sum()) < refs.rows.size or refs.fold_count < 2:
        return "there are no known members to learn from"
    return ""


def _take(table: SignalTable, rows: Ints) -> SignalTable:
    return replace(
        table,
        pair_ids=tuple(table.pair_ids[row] for row in rows),
        scalars={name: values[rows] for name, values in table.scalars.items()},
        norms=table.norms[rows],
        cosines=taken(table.cosines, rows),
        task_cosines=table.task_cosines[rows],
        unscored={},
        fold_sums=None if table.fold_sums is None else table.fold_sums.take(rows),
        tokens=None if table.tokens is None else table.tokens.take(rows),
        task_slopes=None if table.task_slopes is None else table.task_slopes[rows],
    )
