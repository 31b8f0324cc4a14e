"""The paper's own experiments on other pairs: GradAudit as published, one thing varied at a time.

Source: Zhu, Tang, Yang, Abbasi, arXiv 2606.24774 (2026); settings as in docs/as-published.md. Figures beside
ours are the paper's, on its own models and data: they carry over as they stand, nothing was run again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from audit_core.adapters.base import ModelAdapter, last_blocks
from audit_core.collect import collect_signals
from audit_core.detectors.gradaudit import score
from audit_core.detectors.seam import Labelled, Signals
from audit_core.samples import Sample, Settings
from audit_core.signals import SignalTable
from detection.exposures import TEXT_TOKENS
from detection.robustness import PICTURES, perturbed
from detection.scoring import BATCH, Floats, Outcome, Scores
from detection.similarities import SIMILARITIES, slice_similarities, top_slices

LAST_K = 3
SETTINGS = Settings(
    deciding_detector="gradaudit",
    as_published=True,
    mask="fixed_tau",
    tau=0.10,
    layers="all",
    max_text_tokens=TEXT_TOKENS,
    batch_size=BATCH,
)
TAUS = (0.0, 0.05, 0.10, 0.15, 0.20, 0.30)
SIZES = (25, 50, 100, 200, 400)
FEWEST_TESTED = 100
WIDTHS = (96, 192, 384)
SHARES = (0.25, 0.5, 1.0)

HELD_OUT = "held-out"
SHUFFLED = "shuffled"

PUBLISHED: Mapping[str, Mapping[str, str]] = {
    "non-members": {
        "fine-tuned, held-out": "up to .927",
        "fine-tuned, shuffled": ".855",
        "from scratch, held-out": "up to .872 (pre-training)",
    },
    "last-k": {"K = 3": "the default"},
    "tau": {"τ = 0.10": "the default"},
    "similarity": {"cosine": "beats the others"},
    "references": {"100 + 100": "still works", "200 + 200": "the default"},
    "model-size": {"": ".802 / .829 / .878 for 2B / 3B / 7B"},
    "tuning-size": {},
    "pictures": {name: "≥ .790" for name in PICTURES if name.startswith(("JPEG", "blur", "noise"))},
}
"""Experiment -> our row -> what the paper reports there (METHOD §1). Rows without an entry: none at hand."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """Who is compared: references and tested pairs, members against one kind of non-members."""

    member_references: tuple[Sample, ...]
    other_references: tuple[Sample, ...]
    members: tuple[Sample, ...]
    others: tuple[Sample, ...]

    @property
    def pairs(self) -> tuple[Sample, ...]:
        """Everybody, references first."""
        return (*self.member_references, *self.other_references, *self.members, *self.others)


def shuffled(pairs: Sequence[Sample]) -> tuple[Sample, ...]:
    """Each picture with the next pair's text: both halves were trained on, never together."""
    turned = (*pairs[1:], *pairs[:1])
    return tuple(
        replace(pair, pair_id=f"{pair.pair_id} {SHUFFLED}", text=other.text)
        for pair, other in zip(pairs, turned, strict=True)
    )


def read(adapter: ModelAdapter, references: Sequence[Sample], pairs: Sequence[Sample]) -> SignalTable:
    """Slice cosines of all pairs with the mean of the references, in all layers, as published.

    Raises:
        RuntimeError: a pair could not be scored; the figures would be of other pairs.
    """
    table, _ = collect_signals(
        adapter,
        pairs,
        [pair.pair_id for pair in references],
        bank=(),
        base=None,
        settings=SETTINGS,
        progress=lambda step: None,
    )
    if table.unscored:
        raise RuntimeError(f"{len(table.unscored)} of {len(pairs)} pairs could not be scored")
    return table


def last_layers(table: SignalTable, adapter: ModelAdapter, k: int) -> SignalTable:
    """The table of an audit of the last K blocks of each tower by index, and the projector."""
    names = {candidate.name for candidate in last_blocks(adapter.candidates(), k)}
    matrices, columns, offset = [], [], 0
    for matrix in table.matrices:
        if matrix.name in names:
            size = matrix.rows + matrix.cols
            columns.append(np.arange(matrix.offset, matrix.offset + size))
            matrices.append(replace(matrix, offset=offset))
            offset += size
    kept = table.cosines[:, :][:, np.concatenate(columns)]
    return replace(table, matrices=tuple(matrices), cosines=kept)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the figures of one variant go."""

    experiment: str
    variant: str
    seed: int


def judge(
    table: SignalTable, contrast: Contrast, place: Place, outcome: Outcome, settings: Settings = SETTINGS
) -> int:
    """Score one contrast by the published rule into `outcome`; returns how many slices were kept."""
    row_of = {pair: row for row, pair in enumerate(table.pair_ids)}
    rows = np.array([row_of[pair.pair_id] for pair in contrast.pairs], dtype=np.int64)
    count = len(contrast.member_references), len(contrast.other_references)
    refs = Labelled(
        np.arange(sum(count)), np.arange(sum(count)) < count[0], np.arange(sum(count), dtype=np.int64) % 2
    )
    found = score(Signals(table, None).take(rows), refs, settings)
    put(outcome, place, contrast, found.scores[-1], found.reason)
    return found.kept


def put(outcome: Outcome, place: Place, contrast: Contrast, values: Floats, reason: str) -> None:
    """Scores [N] of a contrast's pairs into `outcome`; a variant without scores says why."""
    first = len(contrast.member_references) + len(contrast.other_references)
    cut = first + len(contrast.members)
    if not np.isfinite(values[first:]).all():
        outcome.not_run.append((place.experiment, place.variant, place.seed, reason))
        return
    members, others = (tuple(p.patient for p in part) for part in (contrast.members, contrast.others))
    parts = values[first:cut], values[cut:]
    outcome.scores.append(Scores(place.experiment, place.variant, place.seed, *parts, members, others))


# ---- experiments on one trained model ----------------------------------------------------------------------


def against_both(
    adapter: ModelAdapter, contrast: Contrast, name: str, seed: int, asked: Sequence[str]
) -> Outcome:
    """Non-members of both types, and on held-out ones last K, τ, similarities and pictures.

    Args:
        adapter: the trained model.
        contrast: members and held-out others.
        name: of the model in the tables.
        seed: of noise.
        asked: experiments.
    """
    outcome = Outcome()
    kinds = {HELD_OUT: contrast, **_against_shuffled(contrast)}
    changed = {kind: _perturbed(contrast, kind, seed) for kind in (PICTURES if "pictures" in asked else ())}
    everyone = {p.pair_id: p for one in (*kinds.values(), *changed.values()) for p in one.pairs}
    everything = read(adapter, contrast.member_references, list(everyone.values()))
    table = last_layers(everything, adapter, LAST_K)
    if "non-members" in asked:
        for kind, one in kinds.items():
            judge(table, one, Place("non-members", f"{name}, {kind}", seed), outcome)
    if "last-k" in asked:
        blocks = 1 + max(candidate.block for candidate in adapter.candidates())
        for k in range(1, blocks + 1):
            variant = f"K = {k}" + (" (all)" if k == blocks else "")
            judge(last_layers(everything, adapter, k), contrast, Place("last-k", variant, seed), outcome)
    if "tau" in asked:
        for tau in TAUS:
            settings = replace(SETTINGS, tau=tau)
            judge(table, contrast, Place("tau", f"τ = {tau:.2f}", seed), outcome, settings)
    if "similarity" in asked:
        _similarities(adapter, table, contrast, seed, outcome)
    if changed:
        judge(table, contrast, Place("pictures", "unchanged", seed), outcome)
    for kind, one in changed.items():
        judge(table, one, Place("pictures", kind, seed), outcome)
    return outcome


def _against_shuffled(contrast: Contrast) -> dict[str, Contrast]:
    """Shuffled pairs as non-members, the slices chosen against shuffled or against held-out references."""
    turned = replace(contrast, others=shuffled(contrast.members))
    return {
        SHUFFLED: replace(turned, other_references=shuffled(contrast.member_references)),
        f"{SHUFFLED}, {HELD_OUT} references": turned,
    }


def _perturbed(contrast: Contrast, kind: str, seed: int) -> Contrast:
    members, others = (perturbed(pairs, kind, seed) for pairs in (contrast.members, contrast.others))
    return replace(contrast, members=members, others=others)


def _similarities(
    adapter: ModelAdapter, table: SignalTable, contrast: Contrast, seed: int, outcome: Outcome
) -> None:
    names = [matrix.name for matrix in table.matrices]
    kept = judge(table, contrast, Place("similarity", "cosine", seed), outcome)
    found = slice_similarities(adapter, names, contrast.member_references, contrast.pairs, TEXT_TOKENS)
    known = len(contrast.member_references) + len(contrast.other_references)
    member = np.arange(known) < len(contrast.member_references)
    for kind in [kind for kind in SIMILARITIES if kind != "cosine"]:
        place = Place("similarity", kind, seed)
        if not kept:
            outcome.not_run.append((place.experiment, kind, seed, "the cosine keeps no slice"))
            continue
        values = top_slices(found[kind], member, np.arange(known), kept)
        put(outcome, place, contrast, values, "a similarity is not finite")


def reference_sizes(adapter: ModelAdapter, members: Any, others: Any, seed: int) -> Outcome:
    """More and more references, always the same tested pairs.

    Args:
        adapter: the trained model.
        members, others: as many of each; the last ones are tested.
        seed: of the row.
    """
    outcome = Outcome()
    sizes = [size for size in SIZES if size + FEWEST_TESTED <= len(members)]
    for size in SIZES:
        place = Place("references", f"{size} + {size}", seed)
        if size not in sizes:
            reason = f"{len(members)} members are too few to test {FEWEST_TESTED} beside them"
            outcome.not_run.append((place.experiment, place.variant, seed, reason))
            continue
        rest = slice(max(sizes), None)
        contrast = Contrast(
            tuple(members[:size]), tuple(others[:size]), tuple(members[rest]), tuple(others[rest])
        )
        table = last_layers(read(adapter, contrast.member_references, contrast.pairs), adapter, LAST_K)
        judge(table, contrast, place, outcome)
    return outcome
