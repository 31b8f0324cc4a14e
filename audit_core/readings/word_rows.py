"""Did the words of this report move the model's word embeddings? (ours; needs the base model's weights)

A word's embedding row is moved only by the pairs whose text holds the word, each time against their gradient.
So along the row the fine-tune's move E − E_base still points against a member's gradient, most clearly for
rare words. All other weights are moved by everybody; that is why this needs no known members and sees what a
single epoch left behind (docs/experiments.md has the figures).

A reading of its own: a forward pass, and a backward pass down to the embedding's output. Where no row moved
(the embedding was frozen, or a LoRA left it out) every pair gets the same numbers, which nothing learns from.

Letters: B samples, T positions, D width, V vocabulary, U distinct words of each sample, all samples together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audit_core.adapters.base import Encoded, ModelAdapter
from audit_core.adapters.families import CONTRASTIVE, GENERATIVE, MATCHING
from audit_core.adapters.image_text_to_text import IGNORED
from audit_core.detectors.word_rows import SCALARS
from audit_core.errors import BadSample
from audit_core.readings.seam import Read, Reading, Scene, register
from audit_core.samples import Sample

STILL = 0.05
"""A row that moved less than this share of the median moved row counts as untouched."""

CHUNK = 1 << 13
"""Rows compared at a time: a table of 128,000 words is 2 GB in float32."""


@dataclass(frozen=True, slots=True)
class _Words:
    """Distinct report words of a batch: whose, which, and the summed gradient at each.

    Attributes:
        owner_U: sample of the batch.
        word_U: id.
        grad_UD: ∂L/∂E[word], input side.
    """

    owner_U: Tensor
    word_U: Tensor
    grad_UD: Tensor


@dataclass(frozen=True, slots=True)
class MovedRows:
    """The two word tables, and how far a row must have moved to count as touched.

    Attributes:
        mine_VD: the model's table; rows both models have.
        base_VD: the base's.
        still: length of a move below which a row is untouched; 0 where no row moved at all.
    """

    mine_VD: Tensor
    base_VD: Tensor
    still: float

    @classmethod
    def of(cls, adapter: ModelAdapter, base: ModelAdapter) -> MovedRows | None:
        """None where nothing can be compared: no word table, another width, or other words."""
        mine, theirs = word_table(adapter.model), word_table(base.model)
        if mine is None or theirs is None or mine.embedding_dim != theirs.embedding_dim:
            return None
        if _vocabulary(adapter) != _vocabulary(base):
            return None
        rows = min(mine.num_embeddings, theirs.num_embeddings)
        tables = mine.weight.detach()[:rows], theirs.weight.detach()[:rows]
        parts = [cls(*tables, 0.0).move(slice(start, start + CHUNK)) for start in range(0, rows, CHUNK)]
        lengths = torch.cat([part.norm(dim=1) for part in parts])
        moved = lengths[lengths > 0]
        return cls(*tables, STILL * float(moved.median()) if len(moved) else 0.0)

    def move(self, rows: slice | Tensor) -> Tensor:
        """E − E_base of some rows, float32, on the CPU; whole tables are never copied."""
        if isinstance(rows, slice):
            return self.mine_VD[rows].float().cpu() - self.base_VD[rows].float().cpu()
        mine, theirs = (
            table.index_select(0, rows.to(table.device)) for table in (self.mine_VD, self.base_VD)
        )
        return mine.float().cpu() - theirs.float().cpu()


def open_reading(scene: Scene) -> Read:
    """Compare the two embeddings once; then every batch costs a forward and a backward pass."""
    assert scene.base is not None
    adapter, feed = scene.feed.adapter, scene.feed
    moved = MovedRows.of(adapter, scene.base)

    def read(chunk: Sequence[Sample]) -> Mapping[str, NDArray[np.float64]]:
        table = word_table(adapter.model)
        if moved is None or table is None or not moved.still:  # nothing moved: no pass is needed to say so
            return {name: np.zeros(len(chunk)) for name in SCALARS}
        words = _gradients(adapter, feed.encode(chunk), table, scene)
        return _pooled(words.owner_U.numpy(), *_along(words, moved), moved.still, len(chunk))

    return read


def word_table(model: nn.Module) -> nn.Embedding | None:
    """The embedding of the model's words: its largest table but those of positions; None without."""
    tables = [
        module
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding) and "position" not in name
    ]
    return max(tables, key=lambda table: table.num_embeddings, default=None)


def _vocabulary(adapter: ModelAdapter) -> object:
    """What tells which word a row stands for."""
    tokenizer: Any = getattr(adapter, "tokenizer", None)
    return tokenizer.get_vocab() if hasattr(tokenizer, "get_vocab") else adapter.encoding


def _report_positions(adapter: ModelAdapter, batch: Encoded) -> Tensor:
    """Where the words of the report stand, bool [B, T]."""
    labels_BT = batch.tensors.get("labels")
    return adapter.text_positions(batch) if labels_BT is None else labels_BT != IGNORED


def _gradients(adapter: ModelAdapter, batch: Encoded, table: nn.Embedding, scene: Scene) -> _Words:
    """Gradient of each sample's own loss at its words' rows, summed over where a word stands.

    Raises:
        BadSample: the network reads its words from somewhere else.
    """
    seen: list[tuple[Tensor, Tensor]] = []
    report_BT = _report_positions(adapter, batch)

    def leaf(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> Tensor:
        ids = given[0]
        if ids.shape != report_BT.shape:
            return made
        seen.append((ids, made.detach().requires_grad_()))
        return seen[-1][1].clone()  # some networks put image features into it in place

    handle = table.register_forward_hook(leaf)
    try:
        with torch.enable_grad():
            losses_B = adapter.forward(batch, scene.feed.anchors).losses_B
            made = [output for _, output in seen]
            grads = torch.autograd.grad(losses_B.sum(), made, allow_unused=True) if made else ()
    finally:
        handle.remove()
    if not grads or grads[0] is None:
        raise BadSample(f"no gradient reaches the words of pair {batch.pair_ids[0]}")
    grad_BTD = torch.stack([grad.float().cpu() for grad in grads if grad is not None]).sum(0)
    return _by_word(seen[0][0].cpu(), grad_BTD, report_BT.cpu(), table.num_embeddings)


def _by_word(ids_BT: Tensor, grad_BTD: Tensor, report_BT: Tensor, vocabulary: int) -> _Words:
    """Sums on the CPU, in the order of positions: the same bits every time."""
    key_BT = torch.arange(len(ids_BT))[:, None] * vocabulary + ids_BT
    wanted = torch.unique(key_BT[report_BT])
    place = torch.searchsorted(wanted, key_BT.flatten()).clamp_max(max(0, len(wanted) - 1))
    inside = wanted[place] == key_BT.flatten()
    grad_UD = torch.zeros((len(wanted), grad_BTD.shape[2]))
    grad_UD.index_add_(0, place[inside], grad_BTD.flatten(0, 1)[inside])
    return _Words(wanted // vocabulary, wanted % vocabulary, grad_UD)


def _along(words: _Words, moved: MovedRows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[U] cosine of −∂L/∂E[word] with the row's move, 0 where either is nought; length of the move."""
    along, length = torch.zeros(len(words.word_U)), torch.zeros(len(words.word_U))
    known = words.word_U < len(moved.base_VD)
    if bool(known.any()):
        move_UD = moved.move(words.word_U[known])
        along[known] = -nn.functional.cosine_similarity(words.grad_UD[known], move_UD, dim=1, eps=1e-30)
        length[known] = move_UD.norm(dim=1)
    return along.double().numpy(), length.double().numpy()


def _pooled(
    owner_U: NDArray[np.int64],
    along_U: NDArray[np.float64],
    length_U: NDArray[np.float64],
    still: float,
    samples: int,
) -> dict[str, NDArray[np.float64]]:
    """Per sample: mean cosine over its words, share of touched rows, mean over the half that moved least."""
    found = {name: np.zeros(samples) for name in SCALARS}
    for sample in range(samples):
        mine = np.flatnonzero(owner_U == sample)
        if not mine.size:
            continue
        touched = length_U[mine] > still
        along = np.where(touched, along_U[mine], 0.0)
        faint = np.argsort(length_U[mine], kind="stable")[: (mine.size + 1) // 2]
        found["word_rows"][sample] = along.mean()
        found["word_rows_touched"][sample] = touched.mean()
        found["word_rows_faint"][sample] = along[faint].mean()
    return found


register(
    Reading(
        name="word_rows",
        scalars=SCALARS,
        families=(CONTRASTIVE, GENERATIVE, MATCHING),
        passes=3.0,
        open=open_reading,
        needs_base=True,
    )
)
