"""Which tower and block a layer belongs to, read off its name, whatever network it is in.

transformers names modules alike across networks: towers by a word of a short list, blocks by a number after
`layers`, `layer`, `blocks` or `block`. What has no block (projectors, mergers, connectors) is a head.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from torch import nn

from audit_core.adapters.base import Candidate

TOWERS: Final = {
    "qformer": "qformer",
    "vision_tower": "vision",
    "vision_model": "vision",
    "vision_encoder": "vision",
    "visual": "vision",
    "language_model": "language",
    "text_model": "language",
}
BLOCKS: Final = ("layers", "layer", "blocks", "block")
OUTPUT: Final = "lm_head"
LEFT_OUT: Final = {
    OUTPUT: "output over the vocabulary",
    "Embedding": "tables of words and positions",
    "Trunk": "tables of words and positions",
    "Conv": "cutting of patches",
    "MultiheadAttention": "attention pool",
    "NonDynamicallyQuantizableLinear": "attention pool",  # torch's name for a part of it
    "MultiModalProjector": "projector (a bare matrix)",
    "Blip2For": "learnt queries",
}
"""Part of a class's name -> what an officer reads."""
POOLING: Final = "vision pooling"  # SigLIP's; most networks take the features before it


def language_candidates(names: Iterable[str]) -> tuple[Candidate, ...]:
    """Every linear layer of an image-text-to-text network but its output over the vocabulary."""
    return tuple(_candidate(name) for name in names if name.rpartition(".")[2] != OUTPUT)


def not_audited(model: nn.Module, audited: Iterable[str]) -> str:
    """What holds matrices of its own and is not audited, as an officer reads it."""
    names = set(audited)
    parts = {
        _said(OUTPUT if name.rpartition(".")[2] == OUTPUT else type(module).__name__)
        for name, module in model.named_modules()
        if name not in names and any(p.dim() > 1 for p in module.parameters(recurse=False))
    }
    return ", ".join(sorted(parts))


def _said(kind: str) -> str:
    return next((words for part, words in LEFT_OUT.items() if part in kind), f"numbers of {kind} in no layer")


def _candidate(name: str) -> Candidate:
    parts = name.split(".")
    tower = next((TOWERS[part] for part in parts if part in TOWERS), "head")
    for word, number in pairwise(parts):
        if word in BLOCKS and number.isdecimal() and tower != "head":
            return Candidate(name, tower, int(number), f"{_title(tower)} layer {number}")
    return Candidate(name, "head", -1, POOLING if "head" in parts else "projector")


def _title(tower: str) -> str:
    return "Q-Former" if tower == "qformer" else tower
