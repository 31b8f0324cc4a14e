"""The command line as a newcomer meets it: one-line errors with a hint, exit codes, nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm

PASSPHRASE = "four random words here"
STUDIES = Path(__file__).resolve().parents[2] / "appliance" / "demo" / "assets" / "studies"
MODELS = STUDIES.parent / "models"


class Site:
    """A workspace and a way to run commands on it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "workspace"
        self.secret = folder / "passphrase"
        self.secret.write_text(PASSPHRASE + "\n")
        self.secret.chmod(0o600)

    def run(self, *arguments: str | Path, secret: Path | None = None) -> subprocess.CompletedProcess[str]:
        """One command in a process of its own, without a terminal."""
        environment = os.environ | {
            "GRADAUDIT_WORKSPACE": str(self.root),
            "GRADAUDIT_PASSPHRASE_FILE": str(secret or self.secret),
            "OMP_NUM_THREADS": "1",
        }
        return warm.command(arguments, environment)

    def refused(self, code: int, *arguments: str | Path, secret: Path | None = None) -> str:
        """The error line of a command that must fail with `code`: one error, one hint, nothing on stdout."""
        done = self.run(*arguments, secret=secret)
        lines = done.stderr.splitlines()
        assert done.returncode == code, done.stderr
        assert done.stdout == ""
        assert [line.split(":")[0] for line in lines] == ["error", "hint"], done.stderr
        return done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A workspace with five studies."""
    folder = tmp_path_factory.mktemp("site")
    made = Site(folder)
    assert made.run("init", "--site", "Test").returncode == 0
    inbox = folder / "inbox"
    inbox.mkdir()
    for file in sorted(STUDIES.iterdir())[:10]:
        shutil.copy(file, inbox)
    (inbox / "notes.docx").write_bytes(b"PK\x03\x04 not a study")
    (inbox / "half.dcm").write_bytes(next(STUDIES.glob("*.dcm")).read_bytes()[:3000])
    done = made.run("ingest", inbox, "--json")
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["files"] == 12
    assert counts["images"] + counts["reports"] == 10
    assert sum(files for _, files in counts["quarantined"]) == 2
    return made


def test_the_same_studies_again_add_nothing(site: Site) -> None:
    """Ingest is idempotent: known bytes are counted as known."""
    before = site.run("pairs", "ls", "--json").stdout
    again = json.loads(site.run("ingest", site.root.parent / "inbox", "--json").stdout)
    assert (again["images"], again["reports"], again["duplicates"]) == (0, 0, 10)
    assert site.run("pairs", "ls", "--json").stdout == before


def test_help_opens_no_workspace() -> None:
    """Help needs no passphrase and no workspace."""
    done = subprocess.run(
        [sys.executable, "-m", "appliance.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert "ingest" in done.stdout


def test_without_a_workspace_commands_say_how_to_make_one(tmp_path: Path) -> None:
    """Missing workspace: exit 21 and `gradaudit init` in the hint."""
    assert "gradaudit init" in Site(tmp_path).refused(21, "audit", "ls")


def test_the_screens_say_what_is_missing(site: Site, tmp_path: Path) -> None:
    """Without a workspace, and without a terminal, there is an error and no screen that waits for ever."""
    assert "gradaudit init" in Site(tmp_path).refused(21)
    assert "terminal" in site.refused(2)


def test_a_wrong_passphrase_is_refused_and_logged(site: Site, tmp_path: Path) -> None:
    """Exit 21, and the refusal is an entry of the log."""
    wrong = tmp_path / "wrong"
    wrong.write_text("something else entirely\n")
    wrong.chmod(0o600)
    site.refused(21, "pairs", "ls", secret=wrong)
    entries = [
        json.loads(line) for line in site.run("log", "ls", "--json", "--limit", "1000").stdout.splitlines()
    ]
    assert ("workspace.unlock", "refused") in {(entry["act"], entry["outcome"]) for entry in entries}


def test_no_passphrase_and_no_terminal_is_locked(site: Site, tmp_path: Path) -> None:
    """A passphrase file that is not there is said, not asked for."""
    site.refused(21, "pairs", "ls", secret=tmp_path / "absent")


def test_init_does_not_touch_an_existing_workspace(site: Site) -> None:
    """A second init is refused and the first workspace still opens."""
    site.refused(2, "init")
    assert site.run("pairs", "ls").returncode == 0


def test_the_log_of_all_this_is_intact(site: Site) -> None:
    """Refusals and failures leave a log that verifies."""
    done = site.run("log", "verify", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["intact"] is True


def test_a_flipped_byte_in_the_log_is_exit_20_and_named(site: Site, tmp_path: Path) -> None:
    """Integrity failures have their own exit code and say where."""
    copy = Site(tmp_path)
    shutil.copytree(site.root, copy.root)
    journal = copy.root / "log" / "journal"
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 1
    journal.write_bytes(data)
    assert "journal" in copy.refused(20, "pairs", "ls")
