"""kill -9 while a model is being taken in, with a real process: it is there whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.api import Appliance
from appliance.enrolment import named
from appliance.errors import ModelRejected
from appliance.run_folder import PREFIX, RunFolder, sweep
from appliance.worker import Worker
from appliance.workspace.catalogue import Catalogue
from appliance.workspace.workspace import Workspace
from tests import warm
from tests.appliance.sealed_by_hand import objects
from tests.audit_core import engine_models as tiny

ROOT = Path(__file__).parents[2]
PASSPHRASE = "four random words"
DIES = -9

ADD = f"""
import os, signal, sys
from pathlib import Path
from appliance.api import Appliance
from appliance.evidence.log import EvidenceLog
from appliance.served import Served
from appliance.workspace.catalogue import Catalogue
from appliance.workspace.vault import Vault

root, model, base, place = sys.argv[1:]
counted = 0

def die_in(kind, method, turn, before=True):
    whole = getattr(kind, method)
    def dying(*arguments, **named):
        global counted
        counted += 1
        now = counted == turn or turn in arguments
        if before and now:
            os.kill(os.getpid(), signal.SIGKILL)
        found = whole(*arguments, **named)
        if not before and now:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    setattr(kind, method, dying)

die_in(*{{
    "reading": (Vault, "bring", 30),
    "some objects named": (Vault, "_name", 12, False),
    "in the trial": (Served, "answer", 20, False),
    "before it is known": (EvidenceLog, "append", "model.changed"),
    "after it is known": (EvidenceLog, "append", "model.changed", False),
    "before the row": (Catalogue, "add_model", 1),
    "after the row": (Catalogue, "add_model", 1, False),
}}[place])
with Appliance.unlock(Path(root), {PASSPHRASE!r}) as appliance:
    if appliance.models():
        appliance._quiet_s = 0.0
        appliance.watch_models()
    else:
        appliance.add_model("m", Path(model), base=Path(base))
"""

PLACES = ["reading", "some objects named", "in the trial", "before the row", "after the row"]


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and its base."""
    folder = tmp_path_factory.mktemp("vendor")
    tiny.write_llava(folder / "model")
    tiny.write_llava(folder / "base", seed=1)
    return folder


@pytest.fixture(scope="module")
def auditor() -> Iterator[Worker]:
    """One worker for all trials that are not killed."""
    with Worker([], "audit", threads=1) as worker:
        yield worker


@pytest.fixture(autouse=True)
def own_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place in memory of one test's own, so that what others leave there is not counted."""
    place = Path(f"/dev/shm/gradaudit-test-{os.getpid()}-{os.urandom(4).hex()}")
    place.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    yield place
    subprocess.run(["rm", "-rf", str(place)], check=True)


def created(root: Path) -> Appliance:
    """An empty workspace that opens quickly."""
    return Appliance(Workspace.create(root, PASSPHRASE, "Test", unsafe_fast_kdf=True))


def leftovers(root: Path, memory: Path) -> list[Path]:
    """Whatever is on its way."""
    quarantined = list((root / "quarantine").iterdir()) if (root / "quarantine").is_dir() else []
    return [*(root / "objects" / "incoming").iterdir(), *quarantined, *memory.rglob(f"{PREFIX}*")]


@pytest.mark.parametrize("place", PLACES)
def test_after_a_kill_the_model_is_there_whole_or_not_at_all(
    vendor: Path, auditor: Worker, tmp_path: Path, own_memory: Path, place: str
) -> None:
    """The next `models add` sweeps what was left, and the vault holds what the record names and no more."""
    root = tmp_path / "workspace"
    created(root).close()
    assert DIES == warm.program(ADD, root, vendor / "model", vendor / "base", place).returncode
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        there = appliance.models()
        assert bool(there) is (place == "after the row")
        assert leftovers(root, own_memory)
        appliance.add_model("m", vendor / "model", base=vendor / "base", worker=auditor)
        RunFolder().remove()  # any worker for models sweeps
        assert leftovers(root, own_memory) == []
        assert appliance.verify_model("m").different == ()
        assert objects(root) == {f"{name}.ga1" for name in named(appliance._workspace)}


@pytest.mark.parametrize(
    "place", ["in the trial", "before it is known", "after it is known", "after the row"]
)
def test_after_a_kill_a_changed_model_is_the_next_version_or_the_next_watch_makes_it_one(
    auditor: Worker, tmp_path: Path, own_memory: Path, place: str
) -> None:
    """Nothing half registered; one version in the end, one need, and the vault holds what records name."""
    root = tmp_path / "workspace"
    model, base = tiny.write_llava(tmp_path / "model"), tiny.write_llava(tmp_path / "base", seed=1)
    with created(root) as appliance:
        appliance.add_model("m", model, base=base, worker=auditor)
    tiny.write_llava(model, seed=2)
    assert DIES == warm.program(ADD, root, model, base, place).returncode
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        names = [view.name for view in appliance.models()]
        assert names == (["m@2"] if place == "after the row" else ["m"])
        assert appliance.verify_model("m@1").different == () or place != "after the row"
        appliance._quiet_s = 0.0
        (row,) = appliance.watch_models(worker=auditor)
        assert (row.model, row.state) == ("m@2", "unchanged" if place == "after the row" else "changed")
        RunFolder().remove()
        assert appliance.watch_models(worker=auditor)[0].state == "unchanged"
        assert [change.waits for change in appliance.model_changes()] == [True]
        assert [view.name for view in appliance.models()] == ["m@2"]
        appliance.add_model("m", model, base=base, worker=auditor)  # sweeps, registers nothing
        assert leftovers(root, own_memory) == []
        assert objects(root) == {f"{name}.ga1" for name in named(appliance._workspace)}


def test_a_model_that_failed_its_trial_leaves_nothing(
    vendor: Path, auditor: Worker, tmp_path: Path, own_memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused after it was sealed: its objects go, those of a registered model that shares its base stay."""
    root = tmp_path / "workspace"
    other = tiny.write_llava(tmp_path / "other", seed=2)
    with created(root) as appliance:
        appliance.add_model("m", vendor / "model", base=vendor / "base", worker=auditor)
        before = objects(root)

        def refuses(*ignored: object) -> None:
            raise ModelRejected("no place", "none")

        with monkeypatch.context() as patched:
            patched.setattr(Catalogue, "add_model", refuses)
            with pytest.raises(ModelRejected):
                appliance.add_model("n", other, base=vendor / "base", worker=auditor)
        assert objects(root) == before
        assert leftovers(root, own_memory) == []
        assert appliance.verify_model("m").different == ()


HOLD = """
import os, sys, time
from appliance.run_folder import RunFolder
folder = RunFolder()
folder.filled("model", [("config.json", b"{}")])
print(folder.path, flush=True)
time.sleep(60)
"""


def test_the_folder_of_a_killed_process_is_swept_and_that_of_a_living_one_is_not(own_memory: Path) -> None:
    """The kernel lets go of the lock; nothing else says who is alive."""
    with subprocess.Popen([sys.executable, "-c", HOLD], cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        path = Path(child.stdout.readline().strip())
        assert path.is_relative_to(own_memory)
        assert path.stat().st_mode & 0o777 == 0o700
        own = RunFolder()
        assert sweep(path.parent) == 0
        assert [file.name for file in path.rglob("*.json")] == ["config.json"]
        child.kill()
    assert sweep(path.parent) == 1
    assert not path.exists()
    assert own.path.is_dir()
    own.remove()
    assert not own.path.exists()
