"""What is kept is found only by the same question: every part of the key matters, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audit_core import code_version, machine
from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.loading import open_model
from audit_core.audit import model_identity
from audit_core.code_version import digest_of
from audit_core.collect import collect_signals
from audit_core.samples import ModelSource, Sample, Settings
from audit_core.store import MemoryStore, Shelf, canonical, digest_of_samples, packed, unpacked
from tests.audit_core import engine_models as tiny
from tests.audit_core.test_audit import SETTINGS, digests, silent

PAIRS = [tiny.sample(n) for n in range(6)]
MEMBERS = [pair.pair_id for pair in PAIRS[:3]]
BANK = [tiny.sample(n) for n in range(50, 58)]
SMALL = replace(SETTINGS, batch_size=4)


class Asked:
    """Everything a collection is told, with one part changed."""

    def __init__(self, model: ModelAdapter, base: ModelAdapter, source: ModelSource) -> None:
        self.model, self.base, self.source = model, base, source
        self.pairs: list[Sample] = PAIRS
        self.members: list[str] = MEMBERS
        self.bank: list[Sample] = BANK
        self.folds: dict[str, int] = {pair.pair_id: n % 2 for n, pair in enumerate(PAIRS[:4])}
        self.settings: Settings = SMALL

    def keys(self) -> dict[str, bytes]:
        """What a collection under these conditions keeps."""
        store = MemoryStore()
        collect_signals(
            self.model, self.pairs, self.members, bank=self.bank, base=self.base, settings=self.settings,
            progress=silent, folds=self.folds, shelf=Shelf(store, model_identity(self.source)),
        )  # fmt: skip
        return store.kept


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    folder, base = tmp_path_factory.mktemp("model"), tmp_path_factory.mktemp("base")
    tiny.write_clip(folder, seed=0), tiny.write_clip(base, seed=1)
    return ModelSource(
        folder, "contrastive", digests(folder), base, digests(base), peft_digests={"adapter": "a" * 64}
    )


@pytest.fixture
def asked(source: ModelSource) -> Asked:
    assert source.base is not None
    opened = [open_model(path, source.family) for path in (source.path, source.base)]
    return Asked(opened[0], opened[1], source)


def _first(known: Mapping[str, str]) -> dict[str, str]:
    name = sorted(known)[0]
    return {**known, name: "0" * 64}


def _pixel(asked: Asked) -> None:
    image = asked.pairs[-1].image.copy()
    image[0, 0, 0] ^= 1
    asked.pairs = [*asked.pairs[:-1], replace(asked.pairs[-1], image=image)]


def _bank_pixel(asked: Asked) -> None:
    image = asked.bank[0].image.copy()
    image[0, 0, 0] ^= 1
    asked.bank = [replace(asked.bank[0], image=image), *asked.bank[1:]]


def _file(which: str) -> Callable[[Asked], None]:
    def change(asked: Asked) -> None:
        asked.source = replace(asked.source, **{which: _first(getattr(asked.source, which))})

    return change


def _set(which: str, value: Any) -> Callable[[Asked], None]:
    return lambda asked: setattr(asked, which, value)


def _settings(**changed: Any) -> Callable[[Asked], None]:
    return lambda asked: setattr(asked, "settings", replace(asked.settings, **changed))


CHANGES: dict[str, Callable[[Asked], None]] = {
    "weights": _file("digests"),
    "base weights": _file("base_digests"),
    "PEFT adapter": _file("peft_digests"),
    "family": lambda asked: setattr(asked, "source", replace(asked.source, family="another")),
    "pixel": _pixel,
    "text": lambda asked: setattr(asked, "pairs", [replace(asked.pairs[0], text="clear"), *asked.pairs[1:]]),
    "patient": lambda asked: setattr(
        asked, "pairs", [*asked.pairs[:-1], replace(asked.pairs[-1], patient="another")]
    ),
    "order": lambda asked: setattr(asked, "pairs", asked.pairs[::-1]),
    "references": _set("members", MEMBERS[:2]),
    "folds": _set("folds", {pair.pair_id: (n // 2) % 2 for n, pair in enumerate(PAIRS[:4])}),
    "bank": _bank_pixel,
    "batch size": _settings(batch_size=3),
    "text length": _settings(max_text_tokens=5),
    "layers": _settings(layers="last3"),
    "as published": _settings(as_published=True),
}


@pytest.mark.parametrize("part", CHANGES)
def test_another_part_of_the_key_misses(part: str, asked: Asked) -> None:
    """Not one artefact is found again when this part is another one."""
    before = asked.keys()
    CHANGES[part](asked)
    assert not set(before) & set(asked.keys())


@pytest.mark.parametrize("part", ["encoding", "precision", "code", "threads", "library", "processor"])
def test_another_environment_misses(part: str, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """The preprocessor, the precision, this package's code, a library, the machine: all are in the key."""
    before = asked.keys()
    if part == "encoding":
        kind = type(asked.model)
        monkeypatch.setattr(kind, "encoding", property(lambda adapter: "another preprocessor"))
    elif part == "precision":
        asked.model.model.to(torch.bfloat16)
        asked.base.model.to(torch.bfloat16)
    elif part == "code":
        monkeypatch.setattr(machine, "code_digest", lambda: "0" * 64)
    elif part == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    elif part == "processor":
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "another")
    else:
        monkeypatch.setattr(machine, "version", lambda name: "0")
    assert not set(before) & set(asked.keys())


@pytest.mark.parametrize(
    "changed",
    [
        {"q": 0.2}, {"alpha_fail": 0.002}, {"bootstrap": 77}, {"permutations": 9}, {"simulations": 60},
        {"tau": 0.2}, {"mask": "fixed_tau"}, {"exposure_limit": 0.1}, {"deciding_detector": "loss"},
        {"seed": 3}, {"max_unscored_share": 0.5}, {"control_alpha": 0.1},
    ],
    ids=lambda changed: next(iter(changed)),
)  # fmt: skip
def test_what_touches_no_signal_is_not_in_the_key(changed: dict[str, Any], asked: Asked) -> None:
    """Thresholds, levels and repetitions find the same artefacts."""
    before = asked.keys()
    asked.settings = replace(asked.settings, **changed)
    assert asked.keys() == before


def test_every_source_file_is_in_the_code_digest(tmp_path: Path) -> None:
    """One byte, a new file and a renamed one each give another digest."""
    (tmp_path / "deep").mkdir()
    file = tmp_path / "deep" / "module.py"
    file.write_text("x = 1\n")
    seen = {digest_of(tmp_path)}
    file.write_text("x = 2\n")
    seen.add(digest_of(tmp_path))
    (tmp_path / "other.py").write_text("")
    seen.add(digest_of(tmp_path))
    file.rename(tmp_path / "deep" / "renamed.py")
    seen.add(digest_of(tmp_path))
    assert len(seen) == 4
    assert code_version.code_digest() == digest_of(Path(code_version.__file__).parent)


def test_a_key_has_one_text() -> None:
    """The order of names does not matter, the order of lists does, and floats have no place."""
    assert canonical({"b": 1, "a": [2, 3]}) == canonical({"a": (2, 3), "b": 1}) == b'{"a":[2,3],"b":1}'
    assert canonical({"a": [3, 2], "b": 1}) != canonical({"a": [2, 3], "b": 1})
    with pytest.raises(TypeError, match="float"):
        canonical({"a": {"b": [0.1]}})


def test_nothing_hides_a_part_of_the_key() -> None:
    """A name that is taken cannot be given again."""
    with pytest.raises(ValueError, match="phase is part of the key"):
        Shelf(MemoryStore(), {"phase": 1}).on(phase=2)


def test_samples_are_told_apart_by_the_border_between_their_fields() -> None:
    """Text that moves from one field to the next is another sample, and so is another shape."""
    one = replace(PAIRS[0], pair_id="ab", patient="c")
    other = replace(PAIRS[0], pair_id="a", patient="bc")
    turned = replace(one, image=one.image.transpose(1, 0, 2).reshape(one.image.shape[1], -1, 3))
    flat = replace(one, image=one.image.reshape(-1, 1, 3))
    assert len({digest_of_samples([sample]) for sample in (one, other, turned, flat)}) == 4


def test_arrays_come_back_as_they_were() -> None:
    """Shapes without a row, scalars, and every bit of a float."""
    arrays = {
        "none": np.empty((0, 3), np.float32), "scalar": np.array(2.5, np.float32),
        "nan": np.array([np.nan, -0.0, 1e-40]), "sign": np.array([True, False]),
    }  # fmt: skip
    facts, found = unpacked(packed({"who": ["ä", 1]}, arrays))
    assert facts == {"who": ["ä", 1]}
    for name, values in arrays.items():
        assert (found[name].shape, found[name].dtype) == (values.shape, values.dtype)
        assert found[name].tobytes() == values.tobytes()
