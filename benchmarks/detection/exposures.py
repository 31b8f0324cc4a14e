"""The ways in which members get into a model, and the training of the models.

Small models in layouts that vendors ship: a LLaVA of about 2 M parameters, a BiomedCLIP of about 0.8 M.
AdamW, batch 16, constant learning rate.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model

from appliance.demo.tiny_checkpoints import fresh_biomedclip, fresh_llava
from appliance.demo.training import Schedule, train_checkpoint
from audit_core.adapters.base import Encoded, ModelAdapter
from audit_core.adapters.families import CONTRASTIVE, GENERATIVE
from audit_core.adapters.loading import open_model
from audit_core.adapters.opening import Opening
from audit_core.samples import Sample

TEXT_TOKENS = 64
TEXT_WIDTH = 192
BASE_SCHEDULE = Schedule(epochs=10, lr=1e-3, constant=True)
LORA_RANK = 16
LORA_ALPHA = 32


@dataclass(frozen=True, slots=True)
class Exposure:
    """One way in which members got into a model.

    Attributes:
        key: what `--exposures` takes.
        name: what the tables say.
        start: `scratch`, `base` (all weights are tuned) or `lora` (an adapter on the base).
        weak: drawn in the picture of weak exposures.
    """

    key: str
    name: str
    family: str
    epochs: int
    lr: float
    start: str
    weak: bool = False


EXPOSURES = (
    Exposure("scratch", "trained from scratch, 5 epochs", GENERATIVE, 5, 1e-3, "scratch"),
    Exposure("tuned-3", "fine-tuned 3 epochs", GENERATIVE, 3, 3e-4, "base"),
    Exposure("tuned-6", "fine-tuned 6 epochs", GENERATIVE, 6, 3e-4, "base"),
    Exposure("weak-1e-4", "1 epoch, lr 1e-4", GENERATIVE, 1, 1e-4, "base", weak=True),
    Exposure("weak-3e-4", "1 epoch, lr 3e-4", GENERATIVE, 1, 3e-4, "base", weak=True),
    Exposure("weak-2", "2 epochs, lr 3e-4", GENERATIVE, 2, 3e-4, "base", weak=True),
    Exposure("clip-10", "contrastive, 10 epochs", CONTRASTIVE, 10, 1e-3, "scratch"),
    Exposure("clip-20", "contrastive, 20 epochs", CONTRASTIVE, 20, 1e-3, "scratch"),
    Exposure("clip-40", "contrastive, 40 epochs", CONTRASTIVE, 40, 1e-3, "scratch"),
    Exposure("lora-weak", "LoRA weak: 1 epoch, lr 1e-3", GENERATIVE, 1, 1e-3, "lora", weak=True),
    Exposure("lora-middle", "LoRA middle: 3 epochs, lr 1e-3", GENERATIVE, 3, 1e-3, "lora"),
    Exposure("lora-strong", "LoRA strong: 6 epochs, lr 2e-3", GENERATIVE, 6, 2e-3, "lora"),
)
"""METHOD §3's rows first, in its order."""

PERTURBED = EXPOSURES[1]
"""What the robustness rows are made on."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model on disk: a folder, or a base with an adapter; `base` is None where it had none."""

    family: str
    model: Path
    base: Path | None
    peft: Path | None = None

    def open(self) -> tuple[ModelAdapter, ModelAdapter | None]:
        """The model and its base, through the loading an audit uses."""
        if self.peft is not None:
            model = open_model(self.model, self.family, opening=Opening(peft=self.peft))
            return model, model.without_peft()
        base = None if self.base is None else open_model(self.base, self.family, base=True)
        return open_model(self.model, self.family), base


def make_start(folder: Path, family: str, texts: Iterable[str], seed: int, width: int = TEXT_WIDTH) -> None:
    """Write an untrained model whose tokenizer was made of `texts`."""
    if family == CONTRASTIVE:
        fresh_biomedclip(folder, texts, seed)
    else:
        fresh_llava(folder, texts, seed, width=width)


def make_base(folder: Path, texts: Sequence[Sample], seed: int, width: int = TEXT_WIDTH) -> None:
    """Write an untrained generative model and train it on the base's pairs, in place."""
    make_start(folder, GENERATIVE, (pair.text for pair in texts), seed, width)
    train_checkpoint(folder, folder, GENERATIVE, texts, BASE_SCHEDULE, seed)


def expose(exposure: Exposure, source: Path, out: Path, members: Sequence[Sample], seed: int) -> Trained:
    """Train on the members.

    Args:
        exposure: how.
        source: the untrained model, or the base.
        out: where the model, or the adapter, is written.
        members: what it is trained on.
        seed: of the order of pairs.
    """
    schedule = Schedule(epochs=exposure.epochs, lr=exposure.lr, constant=True)
    if exposure.start == "lora":
        _train_lora(source, out, members, schedule, seed)
        return Trained(exposure.family, source, None, peft=out)
    train_checkpoint(source, out, exposure.family, members, schedule, seed)
    return Trained(exposure.family, out, source if exposure.start == "base" else None)


def _train_lora(base: Path, out: Path, members: Sequence[Sample], schedule: Schedule, seed: int) -> None:
    """A peft adapter of rank 16 on every linear layer but the vision tower's, saved as peft saves it."""
    adapter = open_model(base, GENERATIVE)
    torch.manual_seed(seed)
    config = LoraConfig(r=LORA_RANK, lora_alpha=LORA_ALPHA, target_modules=list(adapter.adaptable()))
    tuned = get_peft_model(adapter.model, config)
    trained = [p for name, p in tuned.named_parameters() if ".lora_" in name]
    for parameter in trained:
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(trained, lr=schedule.lr, weight_decay=0.0)
    batch = adapter.encode(members, TEXT_TOKENS)
    coin = random.Random(f"lora order {seed}")
    order = list(range(len(members)))
    for _ in range(schedule.epochs):
        coin.shuffle(order)
        for at in range(0, len(order), schedule.batch):
            loss = adapter.training_loss(_rows(batch, order[at : at + schedule.batch]))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
    tuned.save_pretrained(out)


def _rows(batch: Encoded, rows: Sequence[int]) -> Encoded:
    at = torch.tensor(rows)
    return replace(
        batch,
        pair_ids=tuple(batch.pair_ids[row] for row in rows),
        patients=tuple(batch.patients[row] for row in rows),
        tensors={name: tensor[at] for name, tensor in batch.tensors.items()},
    )
