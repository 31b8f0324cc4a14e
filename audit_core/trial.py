"""A model tried out on a few made-up pairs: what of it is audited, how long a pair takes, how much memory.

The trial runs what an audit runs: capture, gradient sums, slices against references. The model's own weights
stand in for the references, which there are none of yet.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from audit_core.adapters.base import Anchors, Candidate, Encoded, ModelAdapter
from audit_core.estimates import FOLDS, AuditedTower, Trial
from audit_core.gradients import add_gradient_sum, audited_layers, capture
from audit_core.results import Role
from audit_core.samples import Sample, Settings
from audit_core.self_check import self_check
from audit_core.slices import slice_sums

_T = TypeVar("_T")

PAIRS = 4
EDGE = 512
REPEATS = 3  # the fastest counts: other programs only ever make a run slower
REPORT = (
    "The heart is normal in size. The lungs are clear without focal consolidation, effusion or pneumothorax. "
    "There is no acute osseous abnormality. Degenerative changes of the thoracic spine are mild. "
)


def try_out(
    adapter: ModelAdapter, base: ModelAdapter | None, settings: Settings, open_s: float = 0.0
) -> Trial:
    """Run a few made-up pairs through everything that an audit does with a model.

    Args:
        adapter: the opened model.
        base: the model it was fine-tuned from, if there is one.
        settings: layers and text length are used.
        open_s: how long opening took.

    Raises:
        AuditError: no layer receives a gradient, or the model cannot be given a pair.
    """
    samples = [_sample(number) for number in range(PAIRS)]
    bank_s, anchors = _timed(lambda: _anchors(adapter, samples, settings))
    batch = adapter.encode(samples, settings.max_text_tokens)
    audited = audited_layers(adapter, batch, settings.layers, anchors)
    names = [one.name for one in audited]
    weights = {name: adapter.weight(name) for name in names}

    def sums() -> None:
        _each(
            adapter, batch, names, anchors, lambda name, layer: add_gradient_sum(_like(weights[name]), layer)
        )

    def slices(count: int) -> None:
        _each(
            adapter,
            batch,
            names,
            anchors,
            lambda name, layer: slice_sums(layer, (weights[name].float(),) * count),
        )

    reference_s = _fastest(sums)
    signal_s = _fastest(lambda: slices(2 if base is not None else 1))
    fold_s = _fastest(lambda: slices(FOLDS))
    forward_s = _fastest(lambda: _forward(adapter, batch, anchors))
    if base is not None:
        forward_s += _fastest(lambda: _forward(base, batch, anchors))
    return Trial(
        facts=dict(adapter.facts),
        parameters=adapter.parameters,
        towers=towers(adapter.candidates(), frozenset(names)),
        pairs=PAIRS,
        open_s=open_s,
        reference_s=reference_s / PAIRS,
        signal_s=signal_s / PAIRS,
        fold_s=fold_s / PAIRS,
        forward_s=forward_s / PAIRS,
        bank_s=bank_s / PAIRS * settings.minimum_bank if adapter.uses_bank else 0.0,
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        audited_numbers=sum(weight.numel() for weight in weights.values()),
        slices=sum(sum(weight.shape) for weight in weights.values()),
        self_check=self_check(adapter, base),
    )


def towers(candidates: Sequence[Candidate], audited: frozenset[str]) -> tuple[AuditedTower, ...]:
    """Which layers of every part of a network are audited, and which are not."""
    found = []
    for tower in dict.fromkeys(_title(one) for one in candidates):
        members = [one for one in candidates if _title(one) == tower]
        inside = [one for one in members if one.name in audited]
        outside = [one for one in members if one.name not in audited]
        blocks = {one.block for one in inside}
        found.append(
            AuditedTower(
                name=tower,
                audited=_layers(inside),
                left_out=_layers([one for one in outside if one.block not in blocks or one.block < 0])
                or (f"{len(outside)} matrices without a gradient" if outside else ""),
                matrices=len(inside),
            )
        )
    return tuple(found)


def _title(one: Candidate) -> str:
    return one.tower if one.block >= 0 else one.layer


def _layers(chosen: Sequence[Candidate]) -> str:
    """`layers 0–3, 7`, or `whole` for what has no blocks."""
    blocks = sorted({one.block for one in chosen if one.block >= 0})
    if not blocks:
        return "whole" if chosen else ""
    runs: list[list[int]] = []
    for block in blocks:
        if runs and block == runs[-1][-1] + 1:
            runs[-1].append(block)
        else:
            runs.append([block])
    said = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)
    return f"layer{'s' if len(blocks) > 1 else ''} {said}"


def _sample(number: int) -> Sample:
    image = np.random.default_rng(number).integers(0, 256, (EDGE, EDGE, 3), dtype=np.uint8)
    return Sample(f"trial-{number}", f"trial-{number}", Role.TARGET, image, REPORT)


def _anchors(adapter: ModelAdapter, samples: Sequence[Sample], settings: Settings) -> Anchors | None:
    return adapter.anchors(samples, settings.max_text_tokens, PAIRS)


def _each(
    adapter: ModelAdapter,
    batch: Encoded,
    names: Sequence[str],
    anchors: Anchors | None,
    act: Callable[..., object],
) -> None:
    got = capture(adapter, batch, names, anchors)
    for name in list(got.layers):
        act(name, got.layers.pop(name))


def _forward(adapter: ModelAdapter, batch: Encoded, anchors: Anchors | None) -> None:
    with torch.no_grad():
        adapter.forward(batch, anchors)


def _like(weight: Tensor) -> Tensor:
    return torch.zeros(weight.shape, dtype=torch.float32, device=weight.device)


def _fastest(act: Callable[[], object]) -> float:
    """Seconds of the fastest of a few runs; of the first alone where it is slow enough to be trusted."""
    best, _ = _timed(act)
    for _ in range(REPEATS - 1):
        if best > 1.0:
            break
        best = min(best, _timed(act)[0])
    return best


def _timed(act: Callable[[], _T]) -> tuple[float, _T]:
    started = time.perf_counter()
    done = act()
    return time.perf_counter() - started, done
