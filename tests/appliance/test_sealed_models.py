"""Sealed models give the same numbers as the vendor's folders, and the folders are not needed afterwards."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from appliance import codec, enrolment, model_jobs, registry
from appliance.conversion import KIND, Receiver
from appliance.errors import IntegrityError, ModelRejected, UsageError, WorkerFailed
from appliance.registry import Folders, ModelRecord
from appliance.served import FILE_KIND, Served
from appliance.workspace.workspace import Workspace
from audit_core.adapters import headers
from audit_core.adapters.loading import open_source
from audit_core.audit import run_audit
from audit_core.results import AuditResult, Finding
from audit_core.samples import ModelSource
from audit_core.self_check import self_check
from tests.appliance.sealed_by_hand import objects, opened, seal
from tests.audit_core import engine_models as tiny
from tests.audit_core.families.generative_models import GENERATIVE_MODELS
from tests.audit_core.families.two_tower_models import TWO_TOWER_MODELS, write_lora
from tests.audit_core.test_audit import SETTINGS, cohort, silent

PASSPHRASE = "four random words"
FAMILIES: dict[str, Callable[..., Path]] = {**GENERATIVE_MODELS, **TWO_TOWER_MODELS}
ADAPTED = ("llava", "biomedclip", "medsiglip", "qwen2-vl")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """An empty workspace."""
    root = tmp_path_factory.mktemp("site") / "workspace"
    with Workspace.create(root, PASSPHRASE, "Test", unsafe_fast_kdf=True) as made:
        yield made


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny tensors in several pieces, as large ones are."""
    for module in ("audit_core.adapters.headers", "audit_core.adapters.streamed", "appliance.conversion"):
        monkeypatch.setattr(f"{module}.PIECE_BYTES", 500)


def written(family: str, folder: Path) -> Folders:
    """A tiny model of a family; with an adapter where one is asked for, else with a base."""
    name, _, adapter = family.partition(" + ")
    write = FAMILIES[name]
    model = write(folder / "model")
    if not adapter:
        return Folders(model, base=write(folder / "base", seed=1))
    return Folders(model, adapter=write_lora(folder / "lora", model, dora=adapter == "DoRA"))


def same_network(one: ModelSource, other: ModelSource, precision: str) -> None:
    """Both open to the same bits, encode alike, say the same of themselves, and give the same losses."""
    pairs = [open_source(source, precision=precision) for source in (one, other)]  # type: ignore[arg-type]
    for first, second in zip(*pairs, strict=True):
        assert (first is None) is (second is None)
        if first is None or second is None:
            continue
        ours, theirs = first.model.state_dict(), second.model.state_dict()
        assert list(ours) == list(theirs)
        assert all(ours[name].dtype == theirs[name].dtype for name in ours)
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
        assert first.encoding == second.encoding
        assert first.facts == second.facts
    assert self_check(*pairs[0]) == self_check(*pairs[1])


@pytest.mark.parametrize("family", [*FAMILIES, *(f"{name} + LoRA" for name in ADAPTED), "llava + DoRA"])
def test_a_sealed_model_is_the_vendor_s_bit_for_bit(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """Every layout, with base or adapter: tensors, encoding, facts and losses, without a vendor's folder."""
    folders = written(family, tmp_path / "vendor")
    record = seal(workspace, folders, monkeypatch)
    shutil.copytree(tmp_path / "vendor", tmp_path / "kept")
    kept = moved(record.source(), tmp_path / "vendor", tmp_path / "kept")
    shutil.rmtree(tmp_path / "vendor")
    with opened(workspace, record) as (source, asking):
        assert not {path.suffix for path in source.path.rglob("*")} & {".safetensors", ".bin"}
        same_network(kept, source, "float32")
        assert max(asking.sizes) <= 500
    with opened(workspace, record) as (source, _):
        same_network(kept, source, "bfloat16")


def moved(source: ModelSource, old: Path, new: Path) -> ModelSource:
    """The same folders elsewhere."""

    def there(path: Path | None) -> Path | None:
        return None if path is None else new / path.relative_to(old)

    path = there(source.path)
    assert path is not None
    return replace(source, path=path, base=there(source.base), peft=there(source.peft))


@pytest.mark.parametrize("stored", [torch.bfloat16, torch.float16, torch.float64])
def test_numbers_stored_otherwise_than_computed_are_the_same(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: torch.dtype
) -> None:
    """Half and double precision in the files; float32 and bfloat16 in the network."""
    for name in ("llava", "biomedclip"):
        folder = FAMILIES[name](tmp_path / name)
        (file,) = folder.glob("*.safetensors")
        halves = {key: tensor.to(stored) for key, tensor in load_file(file).items()}
        save_file(halves, file, metadata={"format": "pt"})
        record = seal(workspace, Folders(folder), monkeypatch)
        for precision in ("float32", "bfloat16", "auto"):
            with opened(workspace, record) as (source, _):
                same_network(record.source(), source, precision)


@pytest.mark.parametrize("family", ["llava", "biomedclip", "llava + LoRA"])
def test_an_audit_of_the_sealed_copy_gives_the_identical_result(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """Result object and findings are equal to those from the folder, but for the time they took."""
    folders = written(family, tmp_path)
    record = seal(workspace, folders, monkeypatch)
    from_folder = run_audit(record.source(), cohort(), SETTINGS, silent)
    with opened(workspace, record) as (source, _):
        from_vault = run_audit(source, cohort(), SETTINGS, silent)
    assert plain(from_folder) == plain(from_vault)
    assert from_folder[0].exposure is not None


def plain(answer: tuple[AuditResult, tuple[Finding, ...]]) -> tuple[str, str]:
    """An answer as text, without timings."""
    result, findings = answer
    return codec.dump(replace(result, timings=())), codec.dump(findings, tuple[Finding, ...])


def test_a_base_is_sealed_once(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models of one base: the second adds its own tensors only; both name the same objects."""
    base = tiny.write_llava(tmp_path / "shared", seed=40)
    first = seal(workspace, Folders(tiny.write_llava(tmp_path / "a", seed=41), base=base), monkeypatch)
    before = objects(workspace.root)
    second = seal(workspace, Folders(tiny.write_llava(tmp_path / "b", seed=42), base=base), monkeypatch)
    assert first.base_tensors == second.base_tensors
    assert first.base_files == second.base_files
    own = {f"{one}.ga1" for tensor in second.tensors for one in tensor.objects}
    assert objects(workspace.root) - before <= own
    assert objects(workspace.root) - before


def test_the_record_has_both_digests(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each file as it came, and of what was sealed: names, kinds, sizes and numbers of tensors."""
    folder = tiny.write_llava(tmp_path / "model")
    record = seal(workspace, Folders(folder), monkeypatch)
    tensor = record.tensors[0]
    sealed = b"".join(workspace.vault.get(KIND, one) for one in tensor.objects)
    assert load_file(folder / "model.safetensors")[tensor.name].numpy().tobytes() == sealed
    assert len(tensor.objects) == -(-tensor.size // 500)
    assert (
        workspace.vault.get(FILE_KIND, record.files["config.json"]) == (folder / "config.json").read_bytes()
    )
    assert "model.safetensors" in record.digests
    assert "model.safetensors" not in record.files
    other = replace(record, tensors=(replace(tensor, digest="0" * 64), *record.tensors[1:]))
    assert record.sealed_digest != other.sealed_digest
    assert record.digest == other.digest


def test_pickles_are_sealed_as_what_they_hold(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same tensors from a pickle and from safetensors are the same objects, under different files."""
    safe = tiny.write_llava(tmp_path / "safe")
    pickled = Path(shutil.copytree(safe, tmp_path / "pickled"))
    torch.save(load_file(safe / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    one, other = (seal(workspace, Folders(folder), monkeypatch) for folder in (safe, pickled))
    assert sorted(one.tensors, key=str) == sorted(other.tensors, key=str)
    assert one.sealed_digest == other.sealed_digest
    assert one.digest != other.digest


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "pytorch_model.bin"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """What is sealed is what was looked at; nothing is left on the way."""
    folder = tiny.write_llava(tmp_path / "model", seed=50)
    if file.endswith(".bin"):
        torch.save(load_file(folder / "model.safetensors"), folder / file)
        (folder / "model.safetensors").unlink()
    described = registry.described

    def late(*given: object, **named: object) -> object:
        found = described(*given, **named)  # type: ignore[arg-type]
        with (folder / file).open("r+b") as changing:
            changing.seek(-1, os.SEEK_END)
            last = changing.read(1)
            changing.seek(-1, os.SEEK_END)
            changing.write(bytes([last[0] ^ 1]))
        return found

    monkeypatch.setattr(registry, "described", late)
    before = objects(workspace.root)
    with pytest.raises(ModelRejected, match=r"while it was read|has changed"):
        seal(workspace, Folders(folder), monkeypatch)
    assert objects(workspace.root) == before
    workspace.vault.sweep()


def test_a_file_that_becomes_shorter_is_refused(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut after its header was read."""
    folder = tiny.write_llava(tmp_path / "model")
    whole = headers.header_of

    def cutting(file: object) -> headers.Header:
        found = whole(file)  # type: ignore[arg-type]
        if sys._getframe(1).f_code is model_jobs.read_weights.__code__:
            os.truncate(folder / "model.safetensors", 9000)
        return found

    monkeypatch.setattr(headers, "header_of", cutting)
    with pytest.raises(Exception, match="became shorter"):
        seal(workspace, Folders(folder), monkeypatch)
    workspace.vault.sweep()


FILE = ({"type": "file", "name": "f"}, b"header")
TENSOR = ({"type": "tensor", "name": "w", "dtype": "float32", "shape": [1]}, b"")


@pytest.mark.parametrize(
    "messages",
    [
        [TENSOR],
        [({"type": "file", "name": "g"}, b"header")],
        [({"type": "file", "name": "f"}, b"")],
        [FILE, TENSOR],
        [FILE, TENSOR, ({"type": "piece"}, b"12")],
        [FILE, FILE],
        [],
    ],
)
def test_a_reading_process_that_was_taken_over_cannot_lie_about_a_file(
    workspace: Workspace, messages: list[tuple[dict[str, object], bytes]]
) -> None:
    """Another file, no header, numbers outside a file, half a piece, a file twice, nothing at all."""
    receiver = Receiver(workspace.vault, 1000, {"f": "0" * 64})
    with pytest.raises((WorkerFailed, ModelRejected)):
        for message, blob in messages:
            receiver.take(message, blob)
        receiver.whole()
    workspace.vault.sweep()


def test_a_reading_process_cannot_send_other_numbers(workspace: Workspace) -> None:
    """Whatever it sends in place of the file has another digest."""
    receiver = Receiver(workspace.vault, 1000, {"f": "0" * 64})
    for message, blob in [FILE, TENSOR, ({"type": "piece"}, b"1234")]:
        receiver.take(message, blob)
    with pytest.raises(ModelRejected, match="changed while it was read"):
        receiver.whole()
    workspace.vault.sweep()


def test_a_worker_gets_each_piece_once_and_nothing_else(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts the job has not, and pieces after the last, end the job."""
    record = seal(workspace, Folders(tiny.write_llava(tmp_path / "model")), monkeypatch)
    served = Served(workspace.vault, record)
    pieces = sum(len(tensor.objects) for tensor in record.tensors)
    for part in ("base", "../model", None):
        with pytest.raises(WorkerFailed):
            served.answer({"part": part})
    given = b"".join(served.answer({"part": "model"})[1] for _ in range(pieces))
    assert len(given) == sum(tensor.size for tensor in record.tensors)
    with pytest.raises(WorkerFailed, match="more weights"):
        served.answer({"part": "model"})


def test_a_damaged_piece_ends_the_job(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No tensor is opened from a damaged object; the file is named."""
    record = seal(workspace, Folders(tiny.write_llava(tmp_path / "model", seed=60)), monkeypatch)
    file = next((workspace.root / "objects").rglob(f"{record.tensors[-1].objects[-1]}.ga1"))
    sound = file.read_bytes()
    file.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    served = Served(workspace.vault, record)
    with pytest.raises(IntegrityError, match=r"\.ga1"):
        for _ in range(10_000):
            served.answer({"part": "model"})
    file.write_bytes(sound)  # other tests share the workspace, and equal pieces are sealed once


def test_models_of_earlier_versions_ask_to_be_registered_again(workspace: Workspace) -> None:
    """A record that names no sealed files is never opened from the vendor's folder."""
    record = ModelRecord("old", "/models/old", "contrastive", "A", "p", {}, "", {}, 7, "", "")
    with pytest.raises(UsageError, match="did not seal it") as refused:
        Served(workspace.vault, record)
    assert "another name" in refused.value.hint


def test_small_files_have_a_bound(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They lie in memory while a worker needs them, so a folder cannot fill it; papers are left out."""
    folder = tiny.write_llava(tmp_path / "model")
    (folder / "README.md").write_text("words " * 1000)
    assert "README.md" not in seal(workspace, Folders(folder), monkeypatch).files
    monkeypatch.setattr(enrolment, "MAX_SMALL_BYTES", 2000)
    with pytest.raises(ModelRejected, match="besides the weights"):
        seal(workspace, Folders(folder), monkeypatch)
    workspace.vault.sweep()
