"""Models taken in: pickles converted in a process of their own, adapters, trials, and files that change."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from appliance import codec
from appliance.api import Appliance
from appliance.conversion import KIND, Receiver
from appliance.errors import IntegrityError, ModelRejected, UsageError, WorkerFailed
from appliance.registry import ModelRecord
from appliance.shown import model_record, model_view
from appliance.worker import Worker
from appliance.workspace.rows import StoredModel
from appliance.workspace.workspace import Workspace
from audit_core.estimates import Trial
from tests.appliance.test_command_line import PASSPHRASE, Site
from tests.audit_core import engine_models as tiny
from tests.audit_core.families.two_tower_models import write_lora

SAFE = "open_clip_pytorch_model.safetensors"
BIN = "open_clip_pytorch_model.bin"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints: BiomedCLIP as safetensors and as published, a LLaVA, its sharded pickles, an adapter."""
    folder = tmp_path_factory.mktemp("shelf")
    published(tiny.write_clip(folder / "clip-bin"))
    tiny.write_clip(folder / "clip")
    llava = tiny.write_llava(folder / "llava")
    sharded(shutil.copytree(llava, folder / "llava-bin"))
    tiny.write_llava(folder / "base", seed=1)
    write_lora(folder / "lora", llava)
    return folder


@pytest.fixture(scope="module")
def auditor(shelf: Path) -> Iterator[Worker]:
    """One worker for all trials."""
    with Worker([shelf], "audit", threads=1) as worker:
        yield worker


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """An empty workspace, open."""
    root = tmp_path_factory.mktemp("site") / "workspace"
    with Appliance(Workspace.create(root, PASSPHRASE, "Test", unsafe_fast_kdf=True)) as opened:
        yield opened


def published(folder: Path) -> Path:
    """BiomedCLIP as its vendor publishes it: one pickle."""
    torch.save(load_file(folder / SAFE), folder / BIN)
    (folder / SAFE).unlink()
    return folder


def sharded(folder: Path) -> Path:
    """Two pickles and their index, as large models were saved for years."""
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    parts = {
        "pytorch_model-00001-of-00002.bin": names[:7],
        "pytorch_model-00002-of-00002.bin": names[7:],
    }
    for file, own in parts.items():
        torch.save({name: tensors[name] for name in own}, folder / file)
    mapped = {name: file for file, own in parts.items() for name in own}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": mapped}))
    (folder / "model.safetensors").unlink()
    return folder


def test_published_pickles_are_converted_once_into_the_vault(
    site: Appliance, shelf: Path, auditor: Worker
) -> None:
    """Same network as from safetensors; sealed tensors bit for bit; none of it on disk in the clear."""
    safe = site.add_model("clip", shelf / "clip", worker=auditor)
    view = site.add_model("clip-bin", shelf / "clip-bin", worker=auditor)
    assert (view.parameters, view.audited, view.matrices) == (safe.parameters, safe.audited, safe.matrices)
    assert BIN in view.files
    assert "tensors of pickled weights converted" in view.converted[0]
    assert safe.converted == ()
    stored = site._workspace.catalogue.model("clip-bin")
    assert stored is not None
    record = model_record(stored)
    given = load_file(shelf / "clip" / SAFE)
    assert {one.name for one in record.tensors} == set(given)
    one = max(record.tensors, key=lambda tensor: len(given[tensor.name].numpy().tobytes()))
    data = given[one.name].numpy().tobytes()
    assert b"".join(site._workspace.vault.get(KIND, name) for name in one.objects) == data
    files = [path for path in site._workspace.root.rglob("*") if path.is_file()]
    assert len(files) > len({name for tensor in record.tensors for name in tensor.objects})
    assert [path for path in files if data[:64] in path.read_bytes()] == []


def test_sharded_pickles_make_the_same_model(site: Appliance, shelf: Path, auditor: Worker) -> None:
    """A LLaVA from two pickles has the parameters and audited layers of the one from safetensors."""
    safe = site.add_model("llava", shelf / "llava", worker=auditor)
    view = site.add_model("llava-bin", shelf / "llava-bin", worker=auditor)
    assert (view.parameters, view.audited) == (safe.parameters, safe.audited)


def test_an_index_that_lies_about_pickles_is_refused(site: Appliance, shelf: Path, tmp_path: Path) -> None:
    """A tensor that is not in the shard the index names."""
    folder = shutil.copytree(shelf / "llava-bin", tmp_path / "llava")
    index = json.loads((folder / "pytorch_model.bin.index.json").read_text())
    name = min(index["weight_map"])
    index["weight_map"][name] = "pytorch_model-00002-of-00002.bin"
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelRejected, match="where the index"):
        site.add_model("lying", folder)


class Gadget:
    """Makes a file when it is unpickled by a reader that runs what it is told."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def test_a_pickle_with_a_gadget_is_refused_and_nothing_is_registered(
    shelf: Path, tmp_path: Path, site: Appliance
) -> None:
    """What it is is said, it leaves no mark, and the catalogue has no such model."""
    folder = shutil.copytree(shelf / "clip-bin", tmp_path / "clip")
    mark = tmp_path / "mark"
    torch.save({"w": torch.ones(2), "g": Gadget(mark)}, folder / BIN)
    with pytest.raises(ModelRejected, match=r"asks for .*, which is no tensor") as refused:
        site.add_model("evil", folder)
    assert refused.value.hint
    assert not mark.exists()
    assert "evil" not in {view.name for view in site.models()}


def announced(**about: object) -> tuple[dict[str, Any], bytes]:
    """A tensor as the converting process announces it."""
    return {"type": "tensor", "name": "w", "dtype": "float32", "shape": [1], **about}, b""


@pytest.mark.parametrize(
    "messages",
    [
        [({"type": "piece"}, b"1234")],
        [announced(dtype="object")],
        [announced(shape=[-1])],
        [announced(shape="x")],
        [announced(shape=[0] * 17)],
        [announced(name="")],
        [announced(shape=[10**6])],
        [announced(shape=[0])] * 2,
        [announced(), ({"type": "piece"}, bytes(8))],
        [announced(), ({"type": "piece"}, b"")],
        [announced(), ({"type": "file", "name": "f", "wrapper": ""}, b"")],
        [announced()],
        [({"type": "progress"}, b"")],
        [],
    ],
)
def test_a_converting_process_that_was_taken_over_cannot_lie_far(
    site: Appliance, messages: list[tuple[dict[str, Any], bytes]]
) -> None:
    """Whatever does not fit what was announced ends the conversion."""
    receiver = Receiver(site._workspace.vault, 1000)
    with pytest.raises(WorkerFailed):
        for message, blob in messages:
            receiver.take(message, blob)
        receiver.whole()


def test_an_adapter_has_its_own_network_as_base(site: Appliance, shelf: Path, auditor: Worker) -> None:
    """--adapter, or the adapter as PATH with --base: one model, whose digest covers the adapter's files."""
    plain = site.add_model("llava", shelf / "llava", worker=auditor)
    view = site.add_model("lora", shelf / "llava", adapter=shelf / "lora", worker=auditor)
    same = site.add_model("lora-2", shelf / "lora", base=shelf / "llava", worker=auditor)
    assert view.has_base
    assert view.has_adapter
    assert view.digest == same.digest != plain.digest
    assert "adapter/adapter_model.safetensors" in view.files
    with pytest.raises(ModelRejected, match="an adapter and not the model") as refused:
        site.add_model("alone", shelf / "lora")
    assert "--base" in refused.value.hint
    with pytest.raises(ModelRejected, match="is an adapter too"):
        site.add_model("twice", shelf / "lora", base=shelf / "llava", adapter=shelf / "lora")


def test_a_view_says_what_is_audited_and_what_it_takes(site: Appliance, shelf: Path, auditor: Worker) -> None:
    """Towers with layers, the vision tower, precision; an estimate that grows with the cohort."""
    view = site.add_model("llava", shelf / "llava", worker=auditor)
    assert view.audited == "vision layers 0–1, projector, language layers 0–1"
    assert view.not_audited == "vision layer 2"
    assert view.facts["precision"] == "float32"
    assert "vision_tower" in view.facts
    assert view.estimate is not None
    assert view.estimate.pairs == 1000
    larger = site.model("llava", 5000).estimate
    assert larger is not None
    assert larger.seconds > 2 * view.estimate.seconds > 0
    assert larger.peak_bytes > view.estimate.peak_bytes > 100 << 20


def test_a_trial_has_no_words_and_no_endless_numbers(site: Appliance) -> None:
    """The process that opened the model is not trusted: what it says of itself is inert and finite."""
    trial = Trial({"device": "\x1b[2Jcpu", "precision": "x" * 10_000}, 7, (), 4, *[0.5] * 6, *[1] * 3)
    record = ModelRecord("m", "/m", "contrastive", "A", "p", {}, "", {}, 7, "", "", trial=trial)
    view = model_view(StoredModel("m", json.loads(codec.dump(record)), ""))
    assert view.estimate is not None
    assert "\x1b" not in view.estimate.basis
    assert len(view.estimate.basis) < 1000
    for number in ("1e999", "-1"):
        with pytest.raises(IntegrityError):
            codec.load(Trial, codec.dump(trial).replace('"open_s":0.5', f'"open_s":{number}'))


def test_the_same_files_again_change_nothing_and_others_need_another_name(
    site: Appliance, shelf: Path, auditor: Worker
) -> None:
    """A second registration is no second trial; another model under a taken name is refused."""
    first = site.add_model("llava", shelf / "llava", worker=auditor)
    assert site.add_model("llava", shelf / "llava") == first
    with pytest.raises(UsageError, match="already registered"):
        site.add_model("llava", shelf / "base")


def test_verify_names_what_is_no_longer_the_same(
    site: Appliance, shelf: Path, tmp_path: Path, auditor: Worker
) -> None:
    """Changed, new and missing files of model, base and adapter; a damaged object of the vault."""
    folders = {
        name: shutil.copytree(shelf / name, shelf / f"moving-{name}") for name in ("llava", "base", "lora")
    }
    site.add_model("moving", folders["llava"], adapter=folders["lora"], base=folders["base"], worker=auditor)
    assert site.verify_model("moving").different == ()
    (folders["llava"] / "config.json").write_text("{}")
    (folders["base"] / "new.json").write_text("{}")
    (folders["lora"] / "adapter_model.safetensors").unlink()
    assert site.verify_model("moving").different == (
        "config.json has changed",
        "adapter: adapter_model.safetensors is missing",
        "base: new.json is new",
    )
    site.add_model("clip-bin", shelf / "clip-bin", worker=auditor)
    stored = site._workspace.catalogue.model("clip-bin")
    assert stored is not None
    object_id = model_record(stored).tensors[0].objects[0]
    file = next(site._workspace.root.rglob(f"{object_id}.ga1"))
    sound = file.read_bytes()
    file.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    with pytest.raises(IntegrityError):
        site.verify_model("clip-bin")
    file.write_bytes(sound)
    assert site.verify_model("clip-bin").different == ()


def test_two_models_are_compared_file_by_file(site: Appliance, shelf: Path, auditor: Worker) -> None:
    """Only what differs is named."""
    site.add_model("llava", shelf / "llava", worker=auditor)
    site.add_model("base", shelf / "base", worker=auditor)
    found = site.compare_models("llava", "base")
    assert [one.what for one in found] == ["file model.safetensors"]
    assert site.compare_models("llava", "llava") == ()


def test_records_of_earlier_versions_are_still_read(site: Appliance) -> None:
    """A document without the newer fields gives a view without trial."""
    record = ModelRecord("old", "/models/old", "contrastive", "A", "p", {"a": "0" * 64}, "", {}, 7, "", "")
    newer = ("peft_path", "peft_digests", "tensors", "base_tensors", "wrappers", "trial")
    document = {name: value for name, value in asdict(record).items() if name not in newer}
    site._workspace.catalogue.add_model(StoredModel("old", document, "2026-01-01T00:00:00+00:00"))
    view = site.model("old")
    assert (view.parameters, view.estimate, view.converted) == (7, None, ())
    assert record.digest == view.digest


def test_the_command_line_registers_shows_and_verifies(tmp_path: Path, shelf: Path) -> None:
    """add, show, ls, verify: exit codes, one line a finding, json with the same facts."""
    site = Site(tmp_path)
    folder = shutil.copytree(shelf / "clip-bin", tmp_path / "clip")
    assert site.run("init", "--site", "Test").returncode == 0
    done = site.run("models", "add", "clip", folder, "--pairs", "500")
    assert done.returncode == 0, done.stderr
    assert "estimate for 500 pairs" in done.stdout
    assert "converted:" in done.stdout
    shown = json.loads(site.run("models", "show", "clip", "--pairs", "500", "--json").stdout)
    assert shown["estimate"]["pairs"] == 500
    assert BIN in shown["files"]
    assert "clip" in site.run("models", "ls").stdout
    (folder / BIN).write_bytes(b"x")
    assert f"{BIN} has changed" in site.refused(20, "models", "verify", "clip")
    done = site.run("models", "verify", "clip", "--json")
    assert (done.returncode, json.loads(done.stdout)["different"]) == (20, [f"{BIN} has changed"])
