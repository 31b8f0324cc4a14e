"""Real pairs, dealt into lots, and the small models that are trained on some of them.

The truth is known because the lots are: `base` trains the model that the others start from, `extra` is what a
model is trained on that never saw anybody who is audited, `trained` is what an exposed model is trained on,
`fresh` trains nothing at all.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from honesty_gradients import Reading, dealt, difference, read_model, signals_of, silent, without_base
from PIL import Image

from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.families import CONTRASTIVE, GENERATIVE
from audit_core.adapters.loading import open_model
from audit_core.blind import pair_facts
from audit_core.cohort import reference_folds
from audit_core.results import Role
from audit_core.samples import PairFacts, Sample, Settings
from audit_core.scoring import SpikeSignals
from audit_core.signals import SignalTable
from audit_core.spike_in import spike_in

LOTS = {"base": 0.18, "extra": 0.06, "trained": 0.26, "fresh": 0.50}
LEAST_PATIENTS = 700
WIDTH = 64  # of the language model, about 0.3 M audited parameters
READ = Settings(max_text_tokens=64, batch_size=32, spike_in_epochs=1)
SPIKED = 50
COPIES = 3
LR = 6e-4


@dataclass(frozen=True, slots=True)
class Lots:
    """Pairs by lot, one per patient, and the source of each."""

    base: tuple[Sample, ...]
    extra: tuple[Sample, ...]
    trained: tuple[Sample, ...]
    fresh: tuple[Sample, ...]
    source: dict[str, str]

    @property
    def audited(self) -> tuple[Sample, ...]:
        """Whoever may play a role in an audit."""
        return (*self.trained, *self.fresh)


@dataclass(frozen=True, slots=True)
class World:
    """One audited model, read once.

    Attributes:
        name: as tables print it.
        reading: of all audited pairs.
        bare: the same without the base model.
        lots: who was trained on what.
        exposed: whether `trained` pairs were in fact trained on.
        copies: spiked copies as (spiked pair ids, table, base table).
    """

    name: str
    reading: Reading
    bare: Reading
    lots: Lots
    exposed: bool
    copies: tuple[tuple[tuple[str, ...], SignalTable, SignalTable | None], ...] = ()

    def spike(self, copy: int, clean: Sequence[str]) -> SpikeSignals:
        """Signals of one copy, as an audit with these calibration controls reads them."""
        spiked, table, base = self.copies[copy]
        return SpikeSignals(table, base, spiked, tuple(clean))


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one world comes about.

    Attributes:
        epochs: over `trained` where exposed, over `extra` where not.
        spikes: whether spiked copies are made.
    """

    name: str
    family: str
    exposed: bool
    epochs: int
    spikes: bool = False


RECIPES = (
    Recipe("never trained", GENERATIVE, exposed=False, epochs=3, spikes=True),
    Recipe("3 epochs", GENERATIVE, exposed=True, epochs=3),
    Recipe("1 epoch", GENERATIVE, exposed=True, epochs=1),
    Recipe("contrastive, never trained", CONTRASTIVE, exposed=False, epochs=30),
    Recipe("contrastive, 20 epochs", CONTRASTIVE, exposed=True, epochs=20),
)


def folder_name(recipe: Recipe) -> str:
    """Where its model is written."""
    return recipe.name.replace(" ", "-").replace(",", "")


def read_pairs(folder: Path) -> Iterator[tuple[Sample, str]]:
    """The first pair of every patient with its source, in the order of ids.

    Args:
        folder: holds pairs.csv with id, image_path, text, patient_id and, where sources differ, source.
    """
    seen: set[str] = set()
    with (folder / "pairs.csv").open(newline="", encoding="utf-8") as stream:
        for row in sorted(csv.DictReader(stream), key=lambda row: row["id"]):
            if row["patient_id"] in seen or not row["text"].strip():
                continue
            seen.add(row["patient_id"])
            with Image.open(folder / row["image_path"]) as image:
                pixels = np.asarray(image.convert("RGB"))
            height, width = pixels.shape[:2]
            size: dict[str, str | float] = {"rows": float(height), "columns": float(width)}
            sample = Sample(row["id"], row["patient_id"], Role.TARGET, pixels, row["text"], size)
            yield sample, row.get("source", "")


def deal_lots(pairs: Sequence[tuple[Sample, str]], seed: int) -> Lots:
    """Deal patients into lots by the seed, every source in the same proportion.

    Raises:
        SystemExit: too few patients for the minima of the default policy.
    """
    if len(pairs) < LEAST_PATIENTS:
        raise SystemExit(f"{len(pairs)} patients; the default policy's minima need {LEAST_PATIENTS} here")
    coin = random.Random(f"honesty {seed}")
    by_source: dict[str, list[Sample]] = {}
    for sample, source in pairs:
        by_source.setdefault(source, []).append(sample)
    places: list[tuple[float, Sample]] = []
    for group in by_source.values():
        coin.shuffle(group)
        places += [((number + coin.random()) / len(group), sample) for number, sample in enumerate(group)]
    order = [sample for _, sample in sorted(places, key=lambda place: place[0])]
    edges = np.cumsum([0.0, *LOTS.values()]) * len(order)
    cuts = [round(float(edge)) for edge in edges]
    parts = [tuple(order[first:last]) for first, last in pairwise(cuts)]
    source_of = {sample.pair_id: source for sample, source in pairs}
    return Lots(parts[0], parts[1], parts[2], parts[3], source_of)


@dataclass(slots=True)
class Workshop:
    """Trains models below a folder; a base is trained once for all that start from it."""

    folder: Path
    lots: Lots
    seed: int
    quick: bool
    _facts: dict[str, PairFacts] = field(default_factory=dict)

    def world(self, recipe: Recipe) -> World:
        """Train one model and read it."""
        from appliance.demo.training import Schedule, train_checkpoint

        name = folder_name(recipe)
        generative = recipe.family == GENERATIVE
        start = self._base() if generative else self._start(CONTRASTIVE)
        lot = self.lots.trained if recipe.exposed else self.lots.extra
        if not generative and not recipe.exposed:
            lot = (*self.lots.base, *self.lots.extra)
        epochs = min(recipe.epochs, 4) if self.quick else recipe.epochs
        schedule = Schedule(epochs=epochs, lr=LR if generative else 1e-3, constant=True)
        train_checkpoint(start, self.folder / name, recipe.family, lot, schedule, self.seed)
        model = open_model(self.folder / name, recipe.family)
        base = open_model(start, recipe.family, base=True) if generative else None
        bank = () if generative else self.lots.base
        reading = read_model(model, self.lots.audited, READ, base=base, bank=bank, facts=self._all_facts())
        copies = (
            ()
            if not recipe.spikes
            else tuple(self._copy(model, base, i) for i in range(1 if self.quick else COPIES))
        )
        bare = without_base(reading, model, self.lots.audited, READ) if generative else reading
        return World(recipe.name, reading, bare, self.lots, recipe.exposed, copies)

    def difference(self, recipe: Recipe, world: World) -> float:
        """Largest difference between one dealt table and what the engine reads for the same roles."""
        fresh, trained = self.lots.fresh[:80], self.lots.trained[:40]
        parts = {Role.MEMBER: trained, Role.FITTING: fresh[:40], Role.TARGET: fresh[40:]}
        samples = [replace(s, role=role) for role, group in parts.items() for s in group]
        folds = reference_folds(samples, READ)
        members = [s.pair_id for s in samples if s.role is Role.MEMBER]
        ours, _ = dealt(world.reading, [s.pair_id for s in samples], members, folds)
        generative = recipe.family == GENERATIVE
        engine, _ = signals_of(
            open_model(self.folder / folder_name(recipe), recipe.family),
            samples,
            READ,
            base=open_model(self._base(), recipe.family, base=True) if generative else None,
            bank=() if generative else self.lots.base,
            members=members,
            folds=folds,
        )
        return difference(ours, engine)

    def _copy(
        self, model: ModelAdapter, base: ModelAdapter | None, number: int
    ) -> tuple[tuple[str, ...], SignalTable, SignalTable | None]:
        """A copy fine-tuned on fifty fresh pairs, read on all audited pairs."""
        coin = random.Random(f"honesty spike {self.seed} {number}")
        spiked = coin.sample(self.lots.fresh, SPIKED)
        with spike_in(model, spiked, settings=READ, progress=silent) as copy:
            table, base_table = signals_of(copy, self.lots.audited, READ, base=base)
        return tuple(sample.pair_id for sample in spiked), table, base_table

    def _base(self) -> Path:
        from appliance.demo.training import Schedule, train_checkpoint

        out = self.folder / "base"
        if not out.exists():
            schedule = Schedule(epochs=3 if self.quick else 10, lr=1e-3, constant=True)
            start = self._start(GENERATIVE)
            train_checkpoint(start, out, GENERATIVE, self.lots.base, schedule, self.seed)
        return out

    def _start(self, family: str) -> Path:
        from appliance.demo.tiny_checkpoints import fresh_biomedclip, fresh_llava

        out = self.folder / f"{family}-start"
        if not out.exists():
            texts = [pair.text for pair in self.lots.base]
            if family == GENERATIVE:
                fresh_llava(out, texts, self.seed, width=WIDTH)
            else:
                fresh_biomedclip(out, texts, self.seed)
        return out

    def _all_facts(self) -> list[PairFacts]:
        if not self._facts:
            self._facts = {sample.pair_id: pair_facts(sample) for sample in self.lots.audited}
        return [self._facts[sample.pair_id] for sample in self.lots.audited]
