"""One audit's signals, then every detector on the tested pairs, with the base and as if there were none.

Letters: N pairs, m tested members, n tested others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit_core.blind import stratified_folds
from audit_core.collect import collect_signals
from audit_core.detectors.fused import MINIMUM_REFERENCES
from audit_core.detectors.seam import Detector, Labelled, Signals, all_detectors
from audit_core.readings.seam import suited
from audit_core.samples import Sample, Settings
from audit_core.signals import SignalTable
from detection.exposures import TEXT_TOKENS, Trained
from detection.pairs import Lots

Floats = NDArray[np.float64]

FOLDS = 5
BANK = 255
BATCH = 32
FEW = 4
WITHOUT = " without base"


@dataclass(frozen=True, slots=True)
class Scores:
    """One detector on the tested pairs of one seed.

    Attributes:
        members: [m], `others`: [n]; every number finite.
        member_patients: [m] patient of each, `other_patients`: [n].
        needs_base: it cannot run, or gives something else, without a base.
    """

    setting: str
    detector: str
    seed: int
    members: Floats
    others: Floats
    member_patients: tuple[str, ...]
    other_patients: tuple[str, ...]
    needs_base: bool = False


@dataclass(slots=True)
class Outcome:
    """What one job gave.

    Attributes:
        not_run: what has no figure: setting, detector, seed, reason.
        seconds: piece of work -> seconds on the wall and on a processor.
    """

    scores: list[Scores] = field(default_factory=list)
    not_run: list[tuple[str, str, int, str]] = field(default_factory=list)
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judged:
    """Pairs of one setting: the same references may serve several."""

    setting: str
    members: tuple[Sample, ...]
    others: tuple[Sample, ...]


def score(
    trained: Trained,
    lots: Lots,
    references: tuple[Sequence[Sample], Sequence[Sample]],
    tested: Sequence[Judged],
    seed: int,
    dearest: float = inf,
) -> Outcome:
    """Audit a model once, and judge every setting's pairs by the same references.

    Args:
        trained: the model.
        lots: its base's pairs serve as bank.
        references: members, others.
        tested: the settings; pair ids differ between all of them.
        seed: of the folds.
        dearest: readings of more forward passes a pair are not made; who needs them has no figure.
    """
    pairs = [pair for lot in tested for pair in (*lot.members, *lot.others)]
    settings = Settings(seed=seed, max_text_tokens=TEXT_TOKENS, batch_size=BATCH)
    audit = _collected(trained, lots, references, pairs, settings, dearest)
    outcome = Outcome()
    for lot in tested:
        reason = _void(audit, lot, settings)
        if reason:
            outcome.not_run.append((lot.setting, "all", seed, reason))
        else:
            _judge(audit, lot, settings, outcome)
    return outcome


@dataclass(frozen=True, slots=True)
class _Audit:
    """Signals of all scored pairs, the references among them, and where each scored pair lies.

    `bare` holds the same signals as an audit without a base has them; None where there is no base.
    """

    signals: Signals
    bare: Signals | None
    refs: Labelled
    row_of: Mapping[str, int]


def _collected(
    trained: Trained,
    lots: Lots,
    references: tuple[Sequence[Sample], Sequence[Sample]],
    tested: Sequence[Sample],
    settings: Settings,
    dearest: float,
) -> _Audit:
    model, base = trained.open()
    known = [*references[0], *references[1]]
    member = np.arange(len(known)) < len(references[0])
    folds = stratified_folds(member, FOLDS, np.random.default_rng([settings.seed, 1]))
    fold_of = {pair.pair_id: int(fold) for pair, fold in zip(known, folds, strict=True)}
    asked = {name for detector in all_detectors().values() for name in detector.readings}
    read = partial(
        collect_signals,
        model,
        bank=lots.base[:BANK],
        settings=settings,
        progress=lambda step: None,
        folds=fold_of,
        readings=[one for one in suited(asked, trained.family) if one.passes <= dearest],
    )
    ids = [pair.pair_id for pair in references[0]]
    table, theirs = read([*known, *tested], ids, base=base)
    bare = None
    if theirs is not None:
        few, _ = read([*references[0][:FEW], *references[1][:FEW]], ids, base=None)
        bare = without_base(table, few)
    unscored = {*table.unscored, *(() if theirs is None else theirs.unscored)}
    rows = np.array([row for row, pair in enumerate(table.pair_ids) if pair not in unscored], dtype=np.int64)
    row_of = {table.pair_ids[row]: number for number, row in enumerate(rows)}
    left = [number for number, pair in enumerate(known) if pair.pair_id in row_of]
    refs = Labelled(
        np.array([row_of[known[number].pair_id] for number in left], dtype=np.int64),
        member[left],
        folds[left],
    )
    signals = Signals(table, theirs).take(rows)
    return _Audit(signals, None if bare is None else Signals(bare, None).take(rows), refs, row_of)


def without_base(table: SignalTable, few: SignalTable) -> SignalTable:
    """The table an audit of the same model without a base would have.

    Args:
        table: read with a base.
        few: of a few pairs, read without one; whatever it lacks came from the base.
    """
    kept: dict[str, Any] = {}
    for one in fields(table):
        mine, bare = getattr(table, one.name), getattr(few, one.name)
        if bare is None:
            kept[one.name] = None
        elif isinstance(bare, np.ndarray) and bare.ndim == 2 and bare.shape[1] == 0:
            kept[one.name] = np.empty((len(table.pair_ids), 0), bare.dtype)
        elif one.name == "scalars":
            kept[one.name] = {k: v for k, v in mine.items() if k in bare}
    return replace(table, **kept)


def _judge(audit: _Audit, lot: Judged, settings: Settings, outcome: Outcome) -> None:
    """Every registered detector on one setting's pairs."""
    rows = [
        np.array([audit.row_of[p.pair_id] for p in pairs if p.pair_id in audit.row_of], dtype=np.int64)
        for pairs in (lot.members, lot.others)
    ]
    patients = [
        tuple(p.patient for p in pairs if p.pair_id in audit.row_of) for pairs in (lot.members, lot.others)
    ]
    reference = audit.refs.rows
    among = np.concatenate([reference, *rows])
    refs = replace(audit.refs, rows=np.arange(reference.size))
    cut = reference.size, reference.size + rows[0].size
    given = audit.signals.take(among)
    bare = None if audit.bare is None else audit.bare.take(among)
    for name, values, needs_base, reason in _figures(given, bare, refs, settings):
        if not reason and not np.isfinite(values[cut[0] :]).all():
            reason = f"{int((~np.isfinite(values[cut[0] :])).sum())} pairs have no score"
        if reason:
            outcome.not_run.append((lot.setting, name, settings.seed, reason))
            continue
        parts = values[cut[0] : cut[1]], values[cut[1] :]
        outcome.scores.append(
            Scores(lot.setting, name, settings.seed, *parts, patients[0], patients[1], needs_base)
        )


_Figure = tuple[str, Floats, bool, str]


def _figures(given: Signals, bare: Signals | None, refs: Labelled, settings: Settings) -> Iterator[_Figure]:
    """Name, scores [N], whether they need a base, and why there are none.

    A detector that gives other scores where the base is left out has a second row, "without base".
    """
    for name, detector in all_detectors().items():
        values, reason = _scores(detector, given, refs, settings)
        if bare is None or reason:
            yield name, values, False, reason
            continue
        alone, missing = _scores(detector, bare, refs, settings)
        same = not missing and np.array_equal(values, alone, equal_nan=True)
        yield name, values, not same, ""
        if not (same or missing):
            yield name + WITHOUT, alone, False, ""


def _scores(detector: Detector, given: Signals, refs: Labelled, settings: Settings) -> tuple[Floats, str]:
    """Scores [N] under the model fitted on all references, or why there are none."""
    reason = detector.missing(given, refs)
    if not reason and detector.name == "fused" and refs.rows.size < MINIMUM_REFERENCES:
        reason = f"{refs.rows.size} references are too few, {MINIMUM_REFERENCES} are needed"
    if reason:
        return np.empty(0), reason
    return detector.score(given, refs, settings).scores[-1], ""


def _void(audit: _Audit, lot: Judged, settings: Settings) -> str:
    """Why a setting has no figures: more pairs of a class than allowed could not be scored."""
    for name, pairs in (("members", lot.members), ("others", lot.others)):
        lost = sum(pair.pair_id not in audit.row_of for pair in pairs)
        if lost > settings.max_unscored_share * len(pairs):
            return f"{lost} of {len(pairs)} tested {name} could not be scored"
    return ""
