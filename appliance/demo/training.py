"""Train the demo's five checkpoints: two that leak, their starting points, and one that saw no patient.

Everything is seeded and runs on one CPU thread. Training goes through the audit's own adapters, so the
tokens and pixels a model learned from are the ones an audit of it computes.

Letters: B samples in a batch.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from appliance.demo.roles import Split
from appliance.demo.synthetic import SyntheticPair, synthetic_pairs
from appliance.demo.tiny_checkpoints import OPEN_CLIP_WEIGHTS, fresh_biomedclip, fresh_llava
from audit_core.adapters.base import Encoded, ModelAdapter
from audit_core.adapters.families import CONTRASTIVE, GENERATIVE
from audit_core.adapters.loading import open_model
from audit_core.results import Role
from audit_core.samples import Sample

MODELS = ("lumen-base", "lumen-vlm", "clear-vlm", "harbor-start", "harbor-clip")
TEXT_TOKENS = 64  # as policies/demo.toml audits


@dataclass(frozen=True, slots=True)
class Schedule:
    """How one stage of training runs: AdamW, linear warm-up over the first tenth, cosine down to zero.

    Attributes:
        constant: keep `lr` from the first to the last step instead.
    """

    epochs: int
    lr: float
    batch: int = 16
    weight_decay: float = 0.01
    constant: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """Schedules of all stages and sizes of the synthetic sets."""

    synthetic: int = 400
    rehearsal: int = 96
    clear_synthetic: int = 120
    vlm_from_scratch: Schedule = Schedule(epochs=3, lr=1e-3)
    vlm_base: Schedule = Schedule(epochs=3, lr=5e-4)
    vlm_leak: Schedule = Schedule(epochs=8, lr=2e-3, batch=4)
    vlm_clear: Schedule = Schedule(epochs=4, lr=5e-4)
    clip_from_scratch: Schedule = Schedule(epochs=4, lr=1e-3, batch=32)
    clip_base: Schedule = Schedule(epochs=4, lr=5e-4, batch=32)
    clip_leak: Schedule = Schedule(epochs=80, lr=1e-3, batch=20)


@dataclass(frozen=True, slots=True)
class Material:
    """What models may learn from.

    Attributes:
        patients: patient -> the pair exactly as the appliance's own readers yield it.
        phrases: lines of questions and answers of pictures that were left out of the demo.
    """

    patients: Mapping[str, Sample]
    phrases: tuple[str, ...]


def train_all(
    seed: int,
    out: Path,
    lots: Split,
    material: Material,
    recipe: Recipe | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, float]:
    """Write all five checkpoints into `out`; the same arguments give the same weights on the same machine.

    Returns:
        model name -> seconds of training.
    """
    recipe = recipe or Recipe()
    torch.use_deterministic_algorithms(True, warn_only=True)
    seconds: dict[str, float] = {}
    real = {lot: [material.patients[p] for p in lots.patients(lot)] for lot in ("bank", "member", "exposed")}
    shared = _synthetic(f"shared {seed}", recipe.synthetic, material.phrases)
    bank = [*real["bank"], *shared[: recipe.rehearsal]]
    leak = [*real["member"], *real["exposed"]]
    clear = _synthetic(f"clear {seed}", recipe.clear_synthetic, material.phrases)
    corpus = [*(s.text for s in shared), *material.phrases]
    with tempfile.TemporaryDirectory() as scratch:
        for family, stages in _plan(recipe, bank, leak, clear).items():
            start = Path(scratch) / family
            fresh = fresh_llava if family == GENERATIVE else fresh_biomedclip
            fresh(start, corpus, seed)
            scratch_schedule = recipe.vlm_from_scratch if family == GENERATIVE else recipe.clip_from_scratch
            began = time.monotonic()
            train_checkpoint(start, start, family, shared, scratch_schedule, seed)
            say(f"{family} on synthetic pairs: {time.monotonic() - began:.1f} s")
            for name, origin, pairs, schedule in stages:
                began = time.monotonic()
                source = start if origin is None else out / origin
                loss = train_checkpoint(source, out / name, family, pairs, schedule, seed)
                seconds[name] = time.monotonic() - began
                say(f"{name}: {seconds[name]:.1f} s, last loss {loss:.3f}")
    return seconds


_Stage = tuple[str, str | None, Sequence[Sample], Schedule]


def _plan(
    recipe: Recipe, bank: Sequence[Sample], leak: Sequence[Sample], clear: Sequence[Sample]
) -> dict[str, list[_Stage]]:
    """Family -> stages; a stage starts from a model written before it, or from the synthetic start."""
    return {
        GENERATIVE: [
            ("lumen-base", None, bank, recipe.vlm_base),
            ("lumen-vlm", "lumen-base", leak, recipe.vlm_leak),
            ("clear-vlm", None, clear, recipe.vlm_clear),
        ],
        CONTRASTIVE: [
            ("harbor-start", None, bank, recipe.clip_base),
            ("harbor-clip", "harbor-start", leak, recipe.clip_leak),
        ],
    }


def _synthetic(seed: str, count: int, phrases: Sequence[str]) -> list[Sample]:
    def as_sample(number: int, pair: SyntheticPair) -> Sample:
        name = f"synthetic-{number}"
        return Sample(name, name, Role.BANK, pair.image, pair.text)

    return [as_sample(n, pair) for n, pair in enumerate(synthetic_pairs(seed, count, phrases))]


def train_checkpoint(
    source: Path, out: Path, family: str, pairs: Sequence[Sample], schedule: Schedule, seed: int
) -> float:
    """Train the checkpoint in `source` on `pairs` into `out`; gives back the last epoch's mean loss."""
    adapter = open_model(source, family)
    model = adapter.model.requires_grad_(True).train()
    batch = adapter.encode(pairs, TEXT_TOKENS)
    optimiser = torch.optim.AdamW(model.parameters(), lr=schedule.lr, weight_decay=schedule.weight_decay)
    per_epoch = -(-len(pairs) // schedule.batch)
    steps = schedule.epochs * per_epoch
    slope = _slope(optimiser, schedule, steps)
    coin = random.Random(f"gradaudit demo order {seed} {out.name}")
    order = list(range(len(pairs)))
    losses: list[float] = []
    for _ in range(schedule.epochs):
        coin.shuffle(order)
        losses.clear()
        for at in range(0, len(order), schedule.batch):
            loss = adapter.training_loss(_rows(batch, order[at : at + schedule.batch]))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            slope.step()
            losses.append(loss.item())
    _save(adapter, source, out, family)
    return sum(losses) / len(losses)


def _slope(
    optimiser: torch.optim.Optimizer, schedule: Schedule, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if schedule.constant:
        return torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0)
    return torch.optim.lr_scheduler.OneCycleLR(optimiser, schedule.lr, total_steps=steps, pct_start=0.1)


def _rows(batch: Encoded, rows: Sequence[int]) -> Encoded:
    at = torch.tensor(rows)
    return replace(
        batch,
        pair_ids=tuple(batch.pair_ids[i] for i in rows),
        patients=tuple(batch.patients[i] for i in rows),
        tensors={name: tensor[at] for name, tensor in batch.tensors.items()},
    )


def _save(adapter: ModelAdapter, source: Path, out: Path, family: str) -> None:
    if source != out:
        shutil.copytree(source, out, dirs_exist_ok=True)
    if family == GENERATIVE:
        adapter.model.save_pretrained(out)  # type: ignore[operator]
    else:
        state = {name: tensor.contiguous() for name, tensor in adapter.model.state_dict().items()}
        save_file(state, out / OPEN_CLIP_WEIGHTS)
    for file in out.iterdir():
        file.chmod(0o644)  # safetensors writes files that only their owner can read
