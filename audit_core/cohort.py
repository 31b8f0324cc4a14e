"""Who is judged: one pair per patient, folds of the references, and rows by role.

Drawn from the seed and the patients' names alone, before any signal is looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
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


@dataclass(frozen=True, slots=True)
class Rows:
    """The scored pairs of an audit, as rows.

    Attributes:
        signals: one row per scored pair.
        facts: the same pairs.
        judged: [N] whether the pair decides for its patient.
        unscored: pair id -> reason, for the pairs that have no row.
    """

    signals: Signals
    facts: tuple[PairFacts, ...]
    judged: NDArray[np.bool_]
    unscored: dict[str, str]

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
    """The reference pairs with folds dealt out by the seed; empty where there are too few or none."""
    member, fitting = rows.of(Role.MEMBER), rows.of(Role.FITTING)
    if settings.references in WITHOUT_MEMBERS or min(member.size, fitting.size) < LEAST_PER_CLASS:
        none = np.array([], dtype=np.int64)
        return Labelled(none, none.astype(np.bool_), none)
    both = np.concatenate([member, fitting])
    is_member = np.arange(both.size) < member.size
    folds = stratified_folds(is_member, FOLDS, np.random.default_rng([settings.seed, 1]))
    return Labelled(both, is_member, folds)
