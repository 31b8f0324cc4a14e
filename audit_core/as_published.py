"""What an audit as published reads off a model (METHOD §1): its choice of layers and its cosines.

Source: Zhu, Tang, Yang, Abbasi, arXiv 2606.24774, and its released code at commit 5c32bd6.

Letters: B samples, S slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from peft.tuners.lora import LoraLayer

from audit_core.adapters.base import Anchors, Candidate, Encoded, ModelAdapter, last_blocks
from audit_core.errors import ModelRefused
from audit_core.gradients import LAST_K, audited_layers

SHORTEST = 1e-8
"""Slices shorter than this count as so long, as in the cosine of the library that the released code uses."""


def published_layers(
    adapter: ModelAdapter, probe: Encoded, which: str, anchors: Anchors | None = None
) -> tuple[Candidate, ...]:
    """The matrices of an audit as published.

    Blocks are counted from the end of each tower before it is known whether they receive a gradient: of a
    LLaVA that reads its image features one block early, the last vision block is one of the three, and none
    of its matrices is audited. A model with a LoRA adapter is audited at the adapter's own two matrices per
    layer. These depend on an arbitrary choice of basis (B → BM⁻¹, A → MA changes every slice and no output).

    Args:
        adapter: the frozen model.
        probe: a few encoded pairs.
        which: `all`, `last3` (with the heads), or `auto`: `last3`, and `all` for the matrices of a LoRA.
        anchors: the bank, for contrastive models.

    Raises:
        ModelRefused: an adapter that is no plain LoRA.
        AuditError: no layer receives a gradient.
    """
    candidates = adapter.candidates()
    parts = _lora_parts(adapter, candidates)
    everywhere = which == "all" or (which == "auto" and bool(parts))
    among = parts or candidates
    return audited_layers(
        adapter, probe, "all", anchors, among if everywhere else _counted_from_the_end(candidates, among)
    )


def inclusive_cosines(
    dots: NDArray[np.float64], squares: NDArray[np.float64], reference: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Cosine of each slice with the mean, whether the pair is in that mean or not; 0 where either is 0.

    Args:
        dots: ⟨G, R⟩, [B, S].
        squares: ‖G‖², [B, S].
        reference: ‖R‖², [S].
    """
    length = np.maximum(np.sqrt(squares), SHORTEST) * np.maximum(np.sqrt(reference), SHORTEST)
    return np.asarray(dots / length, dtype=np.float32)


def _counted_from_the_end(candidates: Sequence[Candidate], among: Sequence[Candidate]) -> list[Candidate]:
    """Those of `among` that lie in the last blocks, counted over all layers of the model."""
    last = {(c.tower, c.block) for c in last_blocks(candidates, LAST_K)}
    return [c for c in among if (c.tower, c.block) in last]


def _lora_parts(adapter: ModelAdapter, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Both matrices of every layer with a LoRA on it; none for a model without one."""
    found = []
    for candidate in candidates:
        module = adapter.projection(candidate.name)
        if not (adapter.peft_on and isinstance(module, LoraLayer)):
            continue
        if len(module.lora_magnitude_vector):
            raise ModelRefused(
                f"{candidate.name} has a DoRA adapter, for which nothing was published",
                "audit it without --as-published",
            )
        for name in module.active_adapters:
            for part in (f"{candidate.name}.lora_A.{name}", f"{candidate.name}.lora_B.{name}"):
                found.append(replace(candidate, name=part))
    return found
