"""After registration the vendor's folder is not needed, and no plaintext weight reaches a disk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from appliance import codec, policy_file
from appliance.api import Appliance
from appliance.errors import UsageError
from appliance.views import AuditView, Progress
from appliance.worker import Worker
from appliance.workspace import vault
from appliance.workspace.workspace import Workspace
from audit_core.results import ControlName, ControlStatus, VerdictWord
from tests.appliance import small_site
from tests.appliance.small_site import PASSPHRASE
from tests.audit_core import engine_models as tiny

POLICY = {"name": '"quick"', "bootstrap": 100, "simulations": 50, "permutations": 5}


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo's policy with few repetitions: these tests look at equality, not at statistics."""
    lines = (policy_file.FOLDER / "demo.toml").read_text().splitlines()
    for key, value in POLICY.items():
        lines = [f"{key} = {value}" if line.startswith(f"{key} =") else line for line in lines]
    file = tmp_path_factory.mktemp("policy") / "quick.toml"
    file.write_text("\n".join(lines) + "\n")
    return str(file)


@pytest.fixture(scope="module")
def auditor() -> Iterator[Worker]:
    """One worker for what is not cut off."""
    with Worker([], "audit", threads=1) as worker:
        yield worker


def silent(progress: Progress) -> None: ...


def without_identity(view: AuditView) -> str:
    """A result as text, but for times and the control that says what was compared."""
    controls = tuple(one for one in view.result.controls if one.name != ControlName.IDENTITY)
    return codec.dump(replace(view.result, timings=(), controls=controls))


def identity(view: AuditView) -> tuple[ControlStatus, str]:
    """What the control of the pipeline's identity says."""
    (found,) = (one for one in view.result.controls if one.name == ControlName.IDENTITY)
    return found.status, found.sentence


def test_an_audit_is_run_resumed_and_verified_without_the_vendor_s_folder(
    tmp_path: Path, policy: str, auditor: Worker
) -> None:
    """The same result with the folder, cut off and resumed without it, and VOID where it was changed."""
    root = small_site.make(tmp_path)
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        whole = appliance.run_audit("tiny", "spring", policy, silent, worker=auditor)
        assert identity(whole)[0] is ControlStatus.PASSED
        assert "digests they were registered with" in identity(whole)[1]

        def stop(progress: Progress) -> None:
            if progress.phase == "signals" and progress.done >= progress.total // 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            appliance.run_audit("tiny", "spring", policy, stop)
        cut_off = appliance.audits()[0].audit_id
        shutil.move(tmp_path / "model", tmp_path / "elsewhere")
        (tmp_path / "model").mkdir()  # as a disk that is not mounted
        resumed = appliance.resume_audit(cut_off, silent)
        assert without_identity(resumed) == without_identity(whole)
        assert identity(resumed)[0] is ControlStatus.PASSED
        assert "sealed copy" in identity(resumed)[1] and "not there (model)" in identity(resumed)[1]
        check = appliance.verify_model("tiny")
        assert (check.different, check.absent) == ((), ("model",))

        (tmp_path / "model").rmdir()
        shutil.move(tmp_path / "elsewhere", tmp_path / "model")
        (tmp_path / "model" / "config.json").write_text("{}")
        changed = appliance.run_audit("tiny", "spring", policy, silent, worker=auditor)
        assert changed.verdict.word is VerdictWord.VOID
        assert "config.json has changed" in identity(changed)[1]
        assert appliance.verify_model("tiny").different == ("config.json has changed",)


class Kept:
    """Removals that do not happen: every byte that was ever written is still there to be searched."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: None)
        monkeypatch.setattr(shutil, "rmtree", lambda path, ignore_errors=False: None)


def found_weights(folder: Path, places: list[Path]) -> list[Path]:
    """Files below these places that hold 32 bytes of any tensor of a model."""
    tensors = [tensor.numpy().tobytes() for tensor in load_file(folder / "model.safetensors").values()]
    marks = {data[at : at + 32] for data in tensors for at in range(0, len(data) - 32, 256)}
    marks = {mark for mark in marks if len(set(mark)) > 8}
    assert len(marks) > 50
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    return [path for path in files if any(mark in path.read_bytes() for mark in marks)]


def test_no_plaintext_weight_is_ever_written(
    tmp_path: Path, auditor: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every byte under workspace, temporary folder and memory after registering: small files, no weights."""
    folder = tiny.write_llava(tmp_path / "model")
    memory, temporary = auditor.folder.path, tmp_path / "temporary"
    temporary.mkdir()
    with monkeypatch.context() as patched:
        patched.setenv("TMPDIR", str(temporary))
        patched.setattr(tempfile, "tempdir", None)
        Kept(patched)
        root = tmp_path / "workspace"
        made = Workspace.create(root, PASSPHRASE, "Test", unsafe_fast_kdf=True)
        with Appliance(made) as appliance:
            appliance.add_model("m", folder, worker=auditor)
            assert appliance.verify_model("m").different == ()
    places = [root, temporary, memory]
    assert any(path.name == "config.json" for path in memory.rglob("*"))
    assert found_weights(folder, places) == []
    weights = (folder / "model.safetensors").read_bytes()
    (temporary / "copy").write_bytes(weights)
    assert found_weights(folder, places) == [temporary / "copy"]
    for left in memory.iterdir():
        shutil.rmtree(left)


def test_the_search_sees_a_vault_that_does_not_seal(
    tmp_path: Path, auditor: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: with sealing taken out, the weights lie in the workspace and are found."""

    def plain(key: object, meaning: object, content: bytes, **named: object) -> Iterator[bytes]:
        yield content

    folder = tiny.write_llava(tmp_path / "model")
    made = Workspace.create(tmp_path / "workspace", PASSPHRASE, "Test", unsafe_fast_kdf=True)
    monkeypatch.setattr(vault, "seal", plain)
    with Appliance(made) as appliance, monkeypatch.context() as patched:
        Kept(patched)
        with pytest.raises(UsageError):  # what is not sealed is not opened
            appliance.add_model("m", folder, worker=auditor)
    assert found_weights(folder, [tmp_path / "workspace"])
