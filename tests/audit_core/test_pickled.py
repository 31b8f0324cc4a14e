"""Pickled weights: tensors come through bit for bit, anything else is refused and not run."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from audit_core.adapters import streamed
from audit_core.adapters.pickled import dtype_name, read_tensors
from audit_core.adapters.streamed import Assembly, pieces
from audit_core.errors import ModelRefused

MARK = "GRADAUDIT_TEST_MARK"


class Gadget:
    """Makes a file when it is unpickled by a reader that runs what it is told."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __reduce__(self) -> tuple[Any, ...]:
        mark = os.environ[MARK]
        return {
            "system": (os.system, (f"touch {mark}",)),
            "eval": (eval, (f"open({mark!r}, 'w')",)),
            "exec": (exec, (f"open({mark!r}, 'w')",)),
            "open": (open, (mark, "w")),
            "getattr": (getattr, ("", "join")),
        }[self.how]


def zipped(document: object) -> Callable[[Path], None]:
    """As torch saves today."""
    return lambda path: torch.save(document, path)


def legacy(document: object) -> Callable[[Path], None]:
    """As torch saved before 1.6."""
    return lambda path: torch.save(document, path, _use_new_zipfile_serialization=False)


def plain(document: object) -> Callable[[Path], None]:
    """A pickle of no torch at all."""
    return lambda path: path.write_bytes(pickle.dumps(document)) and None


def program(path: Path) -> None:
    """A TorchScript archive: code in a zip."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/constants.pkl", pickle.dumps(()))
        archive.writestr("m/data.pkl", pickle.dumps({}))
        archive.writestr("m/version", "3")
        archive.writestr("m/code/__torch__.py", "class M: pass")


ONE = torch.arange(6.0).reshape(2, 3)
REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    **{
        f"{how}, {name}": (save({"w": ONE, "g": Gadget(how)}), "nothing was run|cannot be read")
        for how in ("system", "eval", "exec", "open", "getattr")
        for name, save in (("zip", zipped), ("legacy", legacy), ("plain", plain))
    },
    "nested": (zipped({"state_dict": {"w": ONE, "deep": [[{"a": Gadget("system")}]]}}), "nothing was run"),
    "alone": (plain(Gadget("system")), "nothing was run"),
    "a module": (
        zipped({"w": torch.nn.Linear(2, 2)}),
        r"torch\.nn\.modules\.linear\.Linear.*nothing was run",
    ),
    "a whole model": (zipped(torch.nn.Linear(2, 2)), "nothing was run"),
    "an unknown global": (zipped({"p": Path("x")}), "nothing was run"),
    "TorchScript": (program, "TorchScript|cannot be read"),
    "no dictionary": (zipped([ONE]), "holds a list"),
    "a tensor alone": (zipped(ONE), "no named tensors"),
    "a number among them": (zipped({"w": ONE, "epoch": 3}), "holds a int under epoch"),
    "two levels down": (zipped({"state_dict": {"model": {"w": ONE}}}), "holds a dict under model"),
    "nothing": (zipped({}), "holds no tensors"),
    "names that act": (zipped({"\x1b[2J": ONE}), "names a tensor"),
    "no names": (zipped({3: ONE}), "names a tensor"),
    "sparse": (zipped({"w": ONE.to_sparse()}), "not stored number by number"),
    "without numbers": (zipped({"w": torch.empty(3, device="meta")}), "not stored number by number"),
    "int8": (zipped({"w": ONE.to(torch.int8)}), "quantised .int8.: slice statistics would be wrong"),
    "fp8": (zipped({"w": ONE.to(torch.float8_e5m2)}), "quantised"),
    "complex": (zipped({"w": ONE.to(torch.complex64)}), "quantised"),
    "more than it can hold": (zipped({"w": torch.ones(1).expand(10**12)}), "more numbers than its size"),
    "cut": (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(50)) and None, "cannot be read"),
    "no pickle": (lambda path: path.write_bytes(b"hello") and None, "cannot be read|nothing was run"),
    "empty": (lambda path: path.write_bytes(b"") and None, "cannot be read"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_what_is_no_tensor_is_refused_and_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Gadgets of every kind, in every format: a reason, a hint, and no mark on the disk."""
    mark = tmp_path / "mark"
    monkeypatch.setenv(MARK, str(mark))
    make, reason = REFUSED[case]
    file = tmp_path / "pytorch_model.bin"
    make(file)
    with pytest.raises(ModelRefused, match=reason) as caught:
        read_tensors(file)
    assert str(caught.value).isprintable()
    assert caught.value.hint
    assert not mark.exists()


def test_the_gadgets_would_act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that trusts the file leaves the mark: the test above can fail."""
    mark = tmp_path / "mark"
    monkeypatch.setenv(MARK, str(mark))
    file = tmp_path / "pytorch_model.bin"
    zipped({"w": ONE, "g": Gadget("system")})(file)
    torch.load(file, weights_only=False)
    assert mark.exists()


@pytest.mark.parametrize("save", [zipped, legacy])
@pytest.mark.parametrize("wrapper", ["", "state_dict", "model", "module"])
def test_tensors_come_out_as_they_went_in(
    tmp_path: Path, save: Callable[[object], Callable[[Path], None]], wrapper: str
) -> None:
    """Every kind of number, one level of wrapping, shared and turned tensors, parameters; bit for bit."""
    shared = torch.arange(12.0)
    given: dict[str, Tensor] = {
        "whole": shared,
        "half": shared[3:7],
        "turned": shared.reshape(3, 4).T,
        "narrow": ONE.bfloat16(),
        "half precision": ONE.half(),
        "counts": torch.arange(4),
        "flags": torch.tensor([True, False]),
        "none": torch.empty(0, 3),
        "one": torch.tensor(2.5),
        "parameter": torch.nn.Parameter(ONE),
    }
    file = tmp_path / "weights.pt"
    save(OrderedDict(given) if not wrapper else {wrapper: given, "epoch": 3, "args": {"lr": 0.1}})(file)
    found, said = read_tensors(file)
    assert said == wrapper
    assert set(found) == set(given)
    for name, tensor in found.items():
        again = Assembly(tuple(tensor.shape), dtype_name(tensor))
        for piece in pieces(tensor):
            again.add(piece)
        assert again.whole().dtype == given[name].dtype
        assert torch.equal(again.whole(), given[name])


def test_large_tensors_go_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """No piece is larger than the bound, and together they are the tensor."""
    monkeypatch.setattr(streamed, "PIECE_BYTES", 40)
    given = torch.arange(33.0).reshape(3, 11)
    sent = list(pieces(given))
    assert [len(piece) for piece in sent] == [40, 40, 40, 12]
    again = Assembly((3, 11), "float32")
    for piece in sent:
        again.add(piece)
    assert torch.equal(again.whole(), given)


def test_a_piece_too_many_or_too_few_is_refused() -> None:
    """A tensor that is not whole is never opened."""
    again = Assembly((2,), "float32")
    again.add(bytes(4))
    with pytest.raises(ModelRefused, match="not whole"):
        again.whole()
    with pytest.raises(ModelRefused, match="more numbers"):
        again.add(bytes(8))
    with pytest.raises(ModelRefused, match="not a kind of number"):
        Assembly((2,), "object")
