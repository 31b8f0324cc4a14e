"""Who is judged: one pair per patient, folds of the references, and rows by role.

Drawn from the seed and the patients' names alone, before any signal is looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.blind import stratified_folds
from audit_core.detectors.seam import Labelled, Signals
from audit_core.policy import WITHOUT_MEMBERS
from audit_core.results import Role
from audit_core.samples import PairFacts, Sample, Settings
from audit_core.signals import SignalTable

FOLDS = 5
LEAST_PER_CLASS = 10

Ints = NDArray[np.int64]


def judged_pairs(pairs: Iterable[Sample | PairFacts], seed: int) -> frozenset[str]:
    """One pair id per patient and role, drawn by a hash of seed, patient and pair (METHOD §7, Patients)."""
    best: dict[tuple[Role, str], tuple[str, str]] = {}
    for pair in pairs:
        lot = hashlib.sha256(f"{seed}\x00{pair.patient}\x00{pair.pair_id}".encode()).hexdigest()
        key = (pair.role, pair.patient)
        best[key] = min(best.get(key, (lot, pair.pair_id)), (lot, pair.pair_id))
    return frozenset(pair_id for _, pair_id in best.values())


def reference_folds(pairs: Sequence[Sample | PairFacts], settings: Settings) -> dict[str, int]:
    """Fold of every reference pair, dealt out by the seed; empty where nothing may or can be fitted.

    The engine sums gradients by fold and the detectors hold folds out: both ask here, before and after the
    model was read, and get the same answer. One judged pair per patient, so no patient lies in two folds.
    """
    chosen = judged_pairs(pairs, settings.seed)
    member, fitting = (
        sorted(pair.pair_id for pair in pairs if pair.role is role and pair.pair_id in chosen)
        for role in (Role.MEMBER, Role.FITTING)
    )
    if settings.references in WITHOUT_MEMBERS or min(len(member), len(fitting)) < LEAST_PER_CLASS:
        return {}
    is_member = np.arange(len(member) + len(fitting)) < len(member)
    folds = stratified_folds(is_member, FOLDS, np.random.default_rng([settings.seed, 1]))
    return dict(zip([*member, *fitting], folds.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Rows:
    """The scored pairs of an audit, as rows.

    Attributes:
        signals: one row per scored pair.
        facts: the same pairs.
        judged: [N] whether the pair decides for its patient.
        unscored: pair id -> reason, for the pairs that have no row.
        folds: pair id -> fold of the references, scored or not; empty where nothing can be fitted.
    """

    signals: Signals
    facts: tuple[PairFacts, ...]
    judged: NDArray[np.bool_]
    unscored: dict[str, str]
    folds: Mapping[str, int]

    def of(self, *roles: Role) -> Ints:
        """Rows of the judged pairs of these roles."""
        return np.flatnonzero(
            [judged and fact.role in roles for judged, fact in zip(self.judged, self.facts, strict=True)]
        ).astype(np.int64)


def scored_rows(
    table: SignalTable, base: SignalTable | None, facts: Sequence[PairFacts], settings: Settings
) -> Rows:
    """Keep pairs that both models scored with finite numbers; say why for every other."""
    by_id = {fact.pair_id: fact for fact in facts}
    reasons = {pair: why for pair, why in table.unscored.items() if pair in by_id}
    place = {pair: row for row, pair in enumerate(table.pair_ids)}
    base_place = {} if base is None else {pair: row for row, pair in enumerate(base.pair_ids)}
    for pair in by_id:
        if pair in reasons:
            continue
        if pair not in place:
            reasons[pair] = "the pair was not read"
        elif base is not None and (pair in base.unscored or pair not in base_place):
            reasons[pair] = f"base model: {base.unscored.get(pair, 'the pair was not read')}"
        elif why := _not_finite(table, place[pair]):
            reasons[pair] = why
    kept = [pair for pair in table.pair_ids if pair in by_id and pair not in reasons]
    chosen = judged_pairs(facts, settings.seed)
    signals = Signals(_rows(table, place, kept), None if base is None else _rows(base, base_place, kept))
    return Rows(
        signals,
        tuple(by_id[pair] for pair in kept),
        np.array([pair in chosen for pair in kept], dtype=np.bool_),
        reasons,
        reference_folds(facts, settings),
    )


def _not_finite(table: SignalTable, row: int) -> str:
    bad = [name for name, values in table.scalars.items() if not np.isfinite(values[row])]
    return f"the signal {bad[0]} is not a number" if bad else ""


def _rows(table: SignalTable, place: dict[str, int], kept: list[str]) -> SignalTable:
    if tuple(kept) == table.pair_ids:
        return table
    rows = np.array([place[pair] for pair in kept], dtype=np.int64)
    return Signals(table, None).take(rows).table


def references(rows: Rows, settings: Settings) -> Labelled:
    """The scored reference pairs with their folds; empty where there are too few or none."""
    member, fitting = rows.of(Role.MEMBER), rows.of(Role.FITTING)
    if not rows.folds or min(member.size, fitting.size) < LEAST_PER_CLASS:
        none = np.array([], dtype=np.int64)
        return Labelled(none, none.astype(np.bool_), none)
    both = np.concatenate([member, fitting])
    folds = np.array([rows.folds[rows.facts[row].pair_id] for row in both], dtype=np.int64)
    return Labelled(both, np.arange(both.size) < member.size, folds)
