"""kill -9 in the middle of an ingest, with a real process: nothing doubles, and nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance import sealed
from appliance.api import Appliance
from appliance.workspace.vault import Vault
from appliance.workspace.workspace import Workspace
from tests import warm

PASSPHRASE = "four random words"
FILES = 60
BATCH = 8

INGEST = f"""
import os, signal, sys
from pathlib import Path
from appliance import limits
from appliance.api import Appliance
from appliance.workspace.catalogue import Catalogue
from appliance.workspace.vault import Vault

root, inbox, place, turn = sys.argv[1:]
limits.BATCH_FILES = {BATCH}
counted = 0

def die_in(kind, method, before):
    whole = getattr(kind, method)
    def dying(*arguments, **named):
        global counted
        counted += 1
        if before and counted == int(turn):
            os.kill(os.getpid(), signal.SIGKILL)
        whole(*arguments, **named)
        if not before and counted == int(turn):
            os.kill(os.getpid(), signal.SIGKILL)
    setattr(kind, method, dying)

def step(progress):
    if place == "file" and progress.done == int(turn):
        os.kill(os.getpid(), signal.SIGKILL)

if place == "before objects":
    die_in(Vault, "settle", True)
if place == "between objects and rows":
    die_in(Catalogue, "add_records", True)
if place == "after rows":
    die_in(Catalogue, "add_records", False)
with Appliance.unlock(Path(root), {PASSPHRASE!r}) as appliance:
    appliance.ingest([Path(inbox)], step, workers=2)
"""


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports with words of their own, and a file that is nothing."""
    folder = tmp_path_factory.mktemp("inbox")
    for number in range(FILES - 1):
        (folder / f"{number:03}.txt").write_text(f"Chest radiograph {number}. The heart is of normal size.")
    (folder / "nothing.bin").write_bytes(b"\0\1nothing")
    return folder


@pytest.mark.parametrize(
    ("place", "turn", "stored"),
    [
        ("file", 20, 16),
        ("before objects", 3, 16),
        ("between objects and rows", 3, 16),
        ("after rows", 3, 24),
    ],
)
def test_after_a_kill_the_next_ingest_does_the_rest(
    inbox: Path, tmp_path: Path, place: str, turn: int, stored: int
) -> None:
    """Whole batches are there and open, half of one is not; the second ingest adds the missing files only."""
    root = tmp_path / "workspace"
    created(root).close()
    assert -9 == warm.program(INGEST, root, inbox, place, str(turn)).returncode
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        before = all_whole(appliance)
        assert before == stored
        view = appliance.ingest([inbox], lambda step: None)
        assert (FILES, stored) == (view.files, view.duplicates)
        assert FILES - 1 == all_whole(appliance)
        assert objects(root) == FILES - 1
        assert not any((root / "objects" / "incoming").iterdir())
        again = appliance.ingest([inbox], lambda step: None)
        assert (0, FILES - 1) == (again.reports, again.duplicates)
        assert (("unknown-format", 1),) == again.quarantined
        assert FILES - 1 == objects(root)


def created(root: Path) -> Appliance:
    """An empty workspace that opens quickly."""
    return Appliance(Workspace.create(root, PASSPHRASE, "Test", unsafe_fast_kdf=True))


def all_whole(appliance: Appliance) -> int:
    """How many reports there are; each of their texts opens, and none stands twice."""
    rows = appliance._workspace.catalogue.reports()
    texts = {sealed.text(appliance._workspace, row.text_object) for row in rows}
    assert len(rows) == len(texts)
    return len(rows)


def objects(root: Path) -> int:
    """How many objects lie in the vault."""
    return len(list((root / "objects").rglob("*.ga1")))


def test_a_stopped_ingest_leaves_whole_batches_and_nothing_on_the_way(
    inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled from within, what was sealed and not stored is swept; another ingest finishes."""
    monkeypatch.setattr("appliance.limits.BATCH_FILES", BATCH)
    root = tmp_path / "workspace"

    def stop(progress: object) -> None:
        if objects(root) >= 2 * BATCH:
            raise KeyboardInterrupt

    with created(root) as appliance:
        with pytest.raises(KeyboardInterrupt):
            appliance.ingest([inbox], stop)
        assert 2 * BATCH == all_whole(appliance)
        assert not any((root / "objects" / "incoming").iterdir())
        assert FILES - 1 - 2 * BATCH == appliance.ingest([inbox], lambda step: None).reports


def test_a_row_never_names_what_is_not_there(
    inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the vault refuses a batch, no row of it is written."""

    def refuses(*ignored: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    with created(tmp_path / "workspace") as appliance:
        monkeypatch.setattr(Vault, "_name", refuses)
        with pytest.raises(Exception, match="No space left"):
            appliance.ingest([inbox], lambda step: None)
        assert 0 == all_whole(appliance)
    assert os.listdir(tmp_path / "workspace" / "objects" / "incoming") == []  # noqa: PTH208 - names suffice
