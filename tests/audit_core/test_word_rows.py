"""What the word rows read: against autograd on the embedding itself, and where nothing can be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.image_text_to_text import IGNORED
from audit_core.adapters.loading import open_model
from audit_core.batches import Feed, Pace
from audit_core.errors import BadSample
from audit_core.readings.seam import Scene, readings
from audit_core.readings.word_rows import SCALARS, STILL, word_table
from audit_core.samples import Sample, Settings
from tests.audit_core import engine_models as tiny

LLAVA, CLIP = "image-text-to-text", "contrastive"
SETTINGS = Settings(batch_size=4, max_text_tokens=16, minimum_bank=1)


def fine_tuned(adapter: ModelAdapter, pairs: list[Sample]) -> None:
    """A few plain gradient steps on every weight, in place."""
    adapter.model.requires_grad_(True)
    optimiser = torch.optim.SGD(adapter.model.parameters(), lr=0.05)
    for _ in range(3):
        adapter.training_loss(adapter.encode(pairs, SETTINGS.max_text_tokens)).backward()
        optimiser.step()
        optimiser.zero_grad()
    adapter.model.requires_grad_(False)


def by_hand(adapter: ModelAdapter, base: ModelAdapter, sample: Sample) -> tuple[float, float, float]:
    """Mean cosine, touched share and faint half of one pair, by autograd on the embedding's own weight."""
    table, before = word_table(adapter.model), word_table(base.model)
    assert table is not None and before is not None
    batch = adapter.encode([sample], SETTINGS.max_text_tokens)
    table.weight.requires_grad_(True)
    loss = adapter.forward(batch).losses_B.sum()
    (gradient,) = torch.autograd.grad(loss, [table.weight])
    table.weight.requires_grad_(False)
    moves = table.weight - before.weight
    lengths = moves.norm(dim=1)
    floor = STILL * float(lengths[lengths > 0].median())
    labels = batch.tensors["labels"][0]
    words = labels[labels != IGNORED]
    found = []
    for word in sorted(set(words.tolist())):
        cosine = -float(nn.functional.cosine_similarity(gradient[word], moves[word], dim=0, eps=1e-30))
        touched = float(lengths[word]) > floor
        found.append((float(lengths[word]), touched, cosine if touched else 0.0))
    faint = sorted(found, key=lambda one: one[0])[: (len(found) + 1) // 2]
    return (
        float(np.mean([cosine for _, _, cosine in found])),
        float(np.mean([touched for _, touched, _ in found])),
        float(np.mean([cosine for _, _, cosine in faint])),
    )


@pytest.fixture
def pairs() -> list[Sample]:
    """Eight pairs with reports of their own lengths."""
    return [tiny.sample(number) for number in range(8)]


def read(adapter: ModelAdapter, base: ModelAdapter, pairs: list[Sample], bank: list[Sample]) -> np.ndarray:
    """[n, 3] by the reading."""
    anchors = adapter.anchors(bank, SETTINGS.max_text_tokens, 4)
    feed = Feed(adapter, anchors, SETTINGS, lambda step: None, Pace(4))
    reader = readings()["word_rows"].open(Scene(feed, base=base))
    parts = [reader(pairs[start : start + 4]) for start in range(0, len(pairs), 4)]
    return np.column_stack([np.concatenate([part[name] for part in parts]) for name in SCALARS])


def test_a_batch_reads_what_autograd_gives_pair_by_pair(tmp_path: Path, pairs: list[Sample]) -> None:
    """Equal to the gradient of the embedding's own weight, word by word."""
    folder = tiny.write_llava(tmp_path)
    model, base = open_model(folder, LLAVA), open_model(folder, LLAVA)
    fine_tuned(model, pairs[:4])
    found = read(model, base, pairs, [])
    slow = np.array([by_hand(model, base, pair) for pair in pairs])
    np.testing.assert_allclose(found, slow, atol=2e-5)
    assert found[:4, 0].mean() > found[4:, 0].mean()


def test_an_embedding_that_never_moved_gives_everybody_the_same(tmp_path: Path, pairs: list[Sample]) -> None:
    """A frozen embedding says nothing, so that nothing is learnt from it."""
    folder = tiny.write_llava(tmp_path)
    found = read(open_model(folder, LLAVA), open_model(folder, LLAVA), pairs, [])
    assert np.array_equal(found, np.zeros((8, 3)))


def test_a_contrastive_model_s_words_are_read_too(tmp_path: Path, pairs: list[Sample]) -> None:
    """The text tower's embedding; trained pairs stand out."""
    folder = tiny.write_clip(tmp_path)
    model, base = open_model(folder, CLIP), open_model(folder, CLIP)
    bank = [tiny.sample(number) for number in range(20, 24)]
    fine_tuned(model, pairs[:4])
    found = read(model, base, pairs, bank)
    assert np.isfinite(found).all()
    assert np.ptp(found[:, 0]) > 0.0


def test_a_base_of_another_width_has_no_rows_that_moved(tmp_path: Path, pairs: list[Sample]) -> None:
    """Nothing is compared across tables whose rows are not of one kind."""
    folder = tiny.write_llava(tmp_path)
    model, base = open_model(folder, LLAVA), open_model(folder, LLAVA)
    fine_tuned(model, pairs[:4])
    table = word_table(base.model)
    assert table is not None
    base.model.set_input_embeddings(nn.Embedding(table.num_embeddings, table.embedding_dim + 1))  # type: ignore[operator]
    assert not read(model, base, pairs, []).any()


def test_a_base_with_other_words_has_no_rows_to_compare(
    tmp_path: Path, pairs: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 7 of one vocabulary says nothing about row 7 of another."""
    folder = tiny.write_llava(tmp_path)
    model, base = open_model(folder, LLAVA), open_model(folder, LLAVA)
    fine_tuned(model, pairs[:4])
    assert read(model, base, pairs, []).any()
    monkeypatch.setattr(base.tokenizer, "get_vocab", lambda: {"other": 7})  # type: ignore[attr-defined]
    assert not read(model, base, pairs, []).any()


def test_words_that_come_from_elsewhere_are_unscored_by_name(
    tmp_path: Path, pairs: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that reads its words from another table is no pair with a number."""
    folder = tiny.write_llava(tmp_path)
    model, base = open_model(folder, LLAVA), open_model(folder, LLAVA)
    fine_tuned(model, pairs[:4])
    monkeypatch.setattr("audit_core.readings.word_rows._report_positions", lambda *_: torch.ones(1, 1).bool())
    with pytest.raises(BadSample, match="no gradient reaches the words of pair"):
        read(model, base, pairs, [])
