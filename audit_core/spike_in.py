"""Spike-in: what this audit *would* have seen, had this hospital's pairs been trained on (METHOD §6).

A throw-away LoRA copy of the audited model is fine-tuned on known pairs, in memory, and audited on the same
effective matrices as the original. Its layers are its own, its frozen weights are the original's: the copy
costs its LoRA matrices and no second model. These are float32 and never merged, so that what was learnt is
not rounded away on a network in half precision. The original is never touched.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig
from peft.mapping import inject_adapter_in_model
from torch import nn

from audit_core.adapters.adapted import adapted_layers
from audit_core.adapters.base import ModelAdapter
from audit_core.errors import AuditError, CohortTooSmall
from audit_core.results import Progress
from audit_core.samples import ReportProgress, Sample, Settings
from audit_core.spike_steps import TrainingSteps
from audit_core.store import Shelf

NAME = "spike"
RANK = 16
SCALING = 2.0  # alpha = 2 · rank, a common choice of fine-tuning recipes
LEARNING_RATE = 1e-3
BATCH = 4


@contextmanager
def spike_in(
    adapter: ModelAdapter,
    spiked: Sequence[Sample],
    *,
    settings: Settings,
    progress: ReportProgress,
    shelf: Shelf | None = None,
) -> Iterator[ModelAdapter]:
    """A copy of the model that has been fine-tuned on `spiked` for `settings.spike_in_epochs` epochs.

    Audit the copy with `spiked` as reference members and the calibration controls as non-members.

    Args:
        adapter: the audited model; left as it is.
        spiked: pairs the copy is trained on, one role only: half of the fitting controls.
        settings: epochs, seed, text length.
        progress: called with phase `spike-in`.
        shelf: where the training is kept step by step; it must depend on the model and on `spiked`.

    Yields:
        An adapter around the copy; its memory is freed afterwards.

    Raises:
        CohortTooSmall: fewer than two pairs to train on.
        AuditError: no epochs asked for, or the training diverged.
    """
    if settings.spike_in_epochs < 1:
        raise AuditError("a spike-in needs at least one epoch", "set spike_in_epochs in the policy")
    if len(spiked) < 2:
        raise CohortTooSmall("a spike-in needs at least two fitting controls")
    twin = adapter.around(_over_the_same_weights(adapter.model))
    _fine_tune(twin, spiked, settings, progress, shelf)
    try:
        yield adapter.around(twin.model)
    finally:
        del twin


def _fine_tune(
    adapter: ModelAdapter,
    spiked: Sequence[Sample],
    settings: Settings,
    progress: ReportProgress,
    shelf: Shelf | None,
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        config = LoraConfig(
            r=RANK,
            lora_alpha=int(SCALING * RANK),
            target_modules=list(adapter.adaptable()),
            lora_dropout=0.0,
        )
        _inject(config, adapter.model)
        _train(adapter, spiked, settings, progress, shelf)


def _train(
    adapter: ModelAdapter,
    spiked: Sequence[Sample],
    settings: Settings,
    progress: ReportProgress,
    shelf: Shelf | None,
) -> None:
    trainable = [p for p in adapter.model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trainable, lr=LEARNING_RATE, weight_decay=0.0)
    order = torch.Generator().manual_seed(settings.seed)
    total = settings.spike_in_epochs * len(spiked)
    steps = TrainingSteps(shelf, trainable, optimiser, total)
    learnt, done = steps.begin(), 0
    progress(Progress("spike-in", learnt, total))  # from here on there is a copy, trained or not
    for _ in range(settings.spike_in_epochs):
        shuffled = [spiked[i] for i in torch.randperm(len(spiked), generator=order).tolist()]
        for start in range(0, len(shuffled), BATCH):
            chunk = shuffled[start : start + BATCH]
            done += len(chunk)
            if done <= learnt:
                continue  # by a process before this one; the order of the rest must not change
            loss = adapter.training_loss(adapter.encode(chunk, settings.max_text_tokens))
            if not bool(torch.isfinite(loss)):
                raise AuditError("the spike-in's training did not stay finite")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            steps.after(done - len(chunk), done)
            progress(Progress("spike-in", done, total))


def _over_the_same_weights(model: nn.Module) -> nn.Module:
    """A second network of its own layers, over the parameters and buffers of the first."""
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared)


def _inject(config: LoraConfig, model: Any) -> None:
    """Put the copy's own LoRA on its layers, after a vendor's adapter where there is one; it alone learns."""
    inject_adapter_in_model(config, model, NAME)
    del model.peft_config
    for _, layer in adapted_layers(model):
        mine = [NAME] if NAME in layer.lora_A else []
        layer.set_adapter([*(name for name in layer.lora_A if name != NAME), *mine])
        layer.requires_grad_(False)
        for name in mine:
            layer.lora_A[name].float().requires_grad_(True)
            layer.lora_B[name].float().requires_grad_(True)
