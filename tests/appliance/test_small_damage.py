"""What a copying tool leaves out or leaves behind stops no command that writes, or is named by it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.errors import CannotWrite
from appliance.workspace import vault
from appliance.workspace.workspace import Workspace
from tests.appliance import whole_site
from tests.appliance.whole_site import AUDIT_ID, PASSPHRASE, run

ARRIVING = "ab" * 16  # a name that an object on its way could have


@dataclass(frozen=True)
class Small:
    """Something small that happened to a workspace.

    Attributes:
        place: what it happened to.
        act: how.
        named: whether `workspace verify` names it; else it is mended on the way.
        stops: whether a command that writes stops, and names it.
    """

    place: str
    act: Callable[[Path], object]
    named: bool = True
    stops: bool = False


def gone(path: Path) -> None:
    """Left out."""
    path.rmdir()


def folder(path: Path) -> None:
    """A folder."""
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)


def file(path: Path) -> None:
    """A file, also where a folder was."""
    if path.is_dir():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)


def link(path: Path) -> None:
    """A link to nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("nowhere")


CASES = (
    Small("objects/incoming", gone, named=False),
    Small("objects/incoming", file, stops=True),
    Small("objects/incoming/x", folder),
    Small(f"objects/incoming/{ARRIVING}", folder),
    Small(f"objects/incoming/{ARRIVING}", link, named=False),
    Small("objects/incoming/notes.txt", file),
    Small("log/segments/x.txt", file),
    Small("log/segments/a.b", folder),
    Small("log/segments/2020.new", link),
    Small("log/segments/2020.new", folder, named=False),
    Small("log/witness", file),
    Small("lock", folder, stops=True),
    Small("catalogue.7.db", folder),
    Small("steps", file),
    Small("evidence", file),
    Small("evidence/lock", folder),
    Small("quarantine", file),
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole_site.build(tmp_path_factory.mktemp("site") / "ws")


@pytest.mark.parametrize("case", CASES, ids=[f"{one.place} {one.act.__name__}" for one in CASES])
def test_a_writing_command_goes_on_or_names_it(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: Small
) -> None:
    """Never a fault id: the command is done, or says which file; verify says which, and what to do."""
    root = Path(shutil.copytree(original, tmp_path / "ws"))
    case.act(root / case.place)
    said = run(monkeypatch, root, "users", "auto-lock", "7")
    assert (case.stops, case.stops) == (
        said.code != 0,
        f"{case.place}: " in said.err and "hint: " in said.err,
    )
    assert "unexpected fault" not in said.err
    checked = run(monkeypatch, root, "workspace", "verify")
    assert (checked.code, checked.out.startswith(f"{case.place}: ")) == (20 * case.named, case.named), checked


def test_a_step_that_cannot_be_written_is_named(original: Path, tmp_path: Path) -> None:
    """Where the folder of steps is none, the error says so, and other acts go on."""
    root = Path(shutil.copytree(original, tmp_path / "ws"))
    file(root / "steps")
    with (
        Workspace.open(root, PASSPHRASE) as workspace,
        pytest.raises(CannotWrite, match=rf"steps/{AUDIT_ID}.*: File exists"),
    ):
        workspace.steps(AUDIT_ID).put("cd" * 32, b"signals")


def test_the_folders_of_a_new_vault_are_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut right after the workspace was made must not take the folder for what arrives."""
    flushed: list[Path] = []
    monkeypatch.setattr(vault, "sync_directory", flushed.append)
    vault.create_objects(tmp_path / "objects")
    assert flushed == [tmp_path / "objects"] and (tmp_path / "objects/incoming").is_dir()
