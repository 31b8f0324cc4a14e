"""`gradaudit init` with every step of the first run: all of it, or nothing where an option is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.workspace import paper
from tests.appliance.test_command_line import Site
from tests.audit_core import engine_models as tiny


def test_every_step_unattended(tmp_path: Path) -> None:
    """Paper key, intake, policy and model: each is there afterwards, and no first run waits."""
    site, folder = Site(tmp_path), tmp_path / "model"
    (tmp_path / "inbox").mkdir()
    tiny.write_llava(folder, seed=2)
    words = tmp_path / "words.txt"
    steps = ("--recovery", words, "--inbox", tmp_path / "inbox", "--ae-title", "NORTH", "--policy", "hipaa")
    done = site.run("init", "--site", "Northside", *steps, "--model", f"tiny={folder}", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["workspace"] == str(site.root)
    assert "the passphrase is fair" in done.stderr or "the passphrase is strong" in done.stderr
    assert "four random words here" not in done.stdout + done.stderr
    assert (words.stat().st_mode & 0o777, len(paper.secret_of(words.read_text()))) == (0o600, 32)
    kept = json.loads(site.run("workspace", "settings", "--json").stdout)
    assert kept == {"step": "", "inbox": str(tmp_path / "inbox"), "ae_title": "NORTH", "policy": "hipaa"}
    assert "tiny" in site.run("models", "ls").stdout
    changed = site.run("workspace", "settings", "--inbox", "")
    assert changed.stdout.splitlines() == ["inbox: none", "AE title: NORTH", "usual policy: hipaa"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--inbox", "/nowhere"), "no such folder"),
        (("--ae-title", "A" * 17), "no AE title"),
        (("--policy", "none-such"), "none-such"),
        (("--model", "lumen"), "--model takes NAME=FOLDER"),
        (("--model", "lumen=/nowhere"), "--model takes NAME=FOLDER"),
        (("--recovery", "/nowhere/words.txt"), "cannot write"),
    ],
)
def test_a_wrong_option_makes_nothing(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    """One line with a hint, and no workspace, so that the corrected command can be given as it is."""
    site = Site(tmp_path)
    done = site.run("init", *options)
    assert done.returncode != 0 and said in done.stderr
    assert not site.root.exists()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["passphrase"]
