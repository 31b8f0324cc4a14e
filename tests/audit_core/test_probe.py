"""The pairs that prove which layers are audited: finite, small enough, of unequal shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import audit_core.probe
from audit_core.adapters.base import Encoded, ModelAdapter, Outcome
from audit_core.adapters.loading import open_model
from audit_core.batches import Feed, Pace
from audit_core.errors import AuditError, NotEnoughMemory
from audit_core.gradients import audited_layers
from audit_core.probe import TRIED_IN_VAIN, audited
from audit_core.samples import Sample
from tests.audit_core import engine_models as tiny
from tests.audit_core.families.generative_models import GENERATIVE_MODELS
from tests.audit_core.test_audit import SETTINGS, silent

PAIRS = [tiny.sample(n) for n in range(12)]
POISON = replace(PAIRS[2], text="no acute finding poison")


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> ModelAdapter:
    return open_model(tiny.write_llava(tmp_path_factory.mktemp("llava")), "image-text-to-text")


@pytest.fixture
def poisoned(llava: ModelAdapter) -> Iterator[ModelAdapter]:
    """A network with an endless embedding of one word."""
    table = llava.model.get_input_embeddings().weight  # type: ignore[operator]
    row = int(llava.encode([POISON], 9).tensors["input_ids"][0][-2])
    saved = table[row].clone()
    with torch.no_grad():
        table[row] = torch.inf
    yield llava
    with torch.no_grad():
        table[row] = saved


def feed(adapter: ModelAdapter) -> Feed:
    return Feed(adapter, None, SETTINGS, silent, Pace(4))


def names(adapter: ModelAdapter, samples: Sequence[Sample] = PAIRS) -> list[str]:
    return [one.name for one in audited(feed(adapter), samples)]


@pytest.mark.parametrize("bad", [{0}, {1}, {0, 1, 2, 4}])
def test_pairs_that_are_not_finite_prove_nothing(bad: set[int], poisoned: ModelAdapter) -> None:
    """Wherever they stand, the layers are found, and no pair is said to touch another."""
    pairs = [replace(p, text=POISON.text) if n in bad else p for n, p in enumerate(PAIRS)]
    assert names(poisoned, pairs) == names(poisoned)


def test_rows_of_a_pair_that_is_not_finite_are_no_proof_of_touching(poisoned: ModelAdapter) -> None:
    """Nought times infinity in one pair's rows, on the way back from the other's loss."""
    both = poisoned.encode([PAIRS[0], POISON], 99)
    assert [one.name for one in audited_layers(poisoned, both, "all")] == names(poisoned)


def test_a_model_that_gives_no_finite_number_is_named_as_such(poisoned: ModelAdapter) -> None:
    """Every pair is tried, and the reason is the first one's."""
    with pytest.raises(AuditError, match="no pair could be scored: the loss or its gradient is not a finite"):
        names(poisoned, [replace(p, text=POISON.text) for p in PAIRS])


def test_pairs_too_large_alone_are_passed_over(llava: ModelAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pairs may be too large; when none of so many fits, the audit stops without trying all."""
    wanted, forward, tried = names(llava), type(llava)._forward, list[str]()
    large = {pair.pair_id for pair in PAIRS[:3]}

    def limited(adapter: Any, batch: Encoded, anchors: Any) -> Outcome:
        tried.extend(batch.pair_ids)
        if large & set(batch.pair_ids):
            raise MemoryError
        return forward(adapter, batch, anchors)  # type: ignore[arg-type]

    monkeypatch.setattr(type(llava), "_forward", limited)
    assert names(llava) == wanted
    large, tried = {pair.pair_id for pair in PAIRS}, []
    with pytest.raises(NotEnoughMemory, match="not even one pair") as stopped:
        names(llava)
    assert len(tried) == TRIED_IN_VAIN < len(PAIRS)
    assert "machine with more" in stopped.value.hint


def test_shares_of_packed_rows_differ_in_the_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where images of other sizes take more rows, the proof is made on two that differ."""
    GENERATIVE_MODELS["qwen2-vl"](tmp_path)
    model = open_model(tmp_path, "image-text-to-text")
    pairs = [*PAIRS[:4], tiny.sample(4, size=(21, 16)), tiny.sample(5, size=(50, 50)), tiny.sample(6)]
    seen: list[Encoded] = []

    def looked(adapter: ModelAdapter, probe: Encoded, *rest: Any) -> Any:
        seen.append(probe)
        return audited_layers(adapter, probe, *rest)

    monkeypatch.setattr(audit_core.probe, "audited_layers", looked)
    audited(feed(model), pairs)
    (probe,) = seen
    assert probe.pair_ids[0] == pairs[0].pair_id
    assert len(set(probe.share_B)) == 2
