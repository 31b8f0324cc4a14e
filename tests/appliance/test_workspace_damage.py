"""Damaged workspaces: every command names the file, the cause and the next step, and changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from appliance.api import Appliance
from tests.appliance import ward, whole_site
from tests.appliance.damaged_workspaces import CASES, Case, Stage
from tests.appliance.whole_site import Said, content, run

READING = ("audit", "ls")
KNOWN_CODES = {0, 2, 20, 21, 22}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A workspace, its state an hour ago, and another site's."""
    folder = tmp_path_factory.mktemp("sites")
    whole_site.build(folder / "ws")
    shutil.copytree(folder / "ws", folder / "earlier")
    with Appliance.unlock(folder / "ws", whole_site.PASSPHRASE) as appliance:
        appliance._workspace.catalogue.set_setting("hour", "later")
    whole_site.build(folder / "other")
    return Stage(folder / "ws", folder / "earlier", folder / "other")


def _plain(said: Said) -> str:
    """No traceback, no fault id: a sentence."""
    told = said.out + said.err
    assert "Traceback" not in told and "unexpected fault" not in told, told
    assert said.code in KNOWN_CODES, told
    return told


def test_there_are_at_least_fifty_different_cases() -> None:
    """The corpus is what it says."""
    assert len({case.name for case in CASES}) == len(CASES) >= 50


def test_a_whole_workspace_is_called_whole(originals: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of all cases: without damage nothing is said."""
    said = run(monkeypatch, originals.root, "workspace", "verify")
    assert (said.code, said.out.split(":")[0]) == (0, "whole")
    assert run(monkeypatch, originals.root, *READING).code == 0


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_damage_is_named(
    originals: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    """verify and another command: the file, a cause, a next step, the exit code; bytes stay as they were."""
    root = Path(shutil.copytree(originals.root, tmp_path / "ws"))
    stage = Stage(root, originals.earlier, originals.other)
    path = stage.find(case.target)
    case.act(stage, path)
    before = content(root)
    said = run(monkeypatch, root, "workspace", "verify")
    told = _plain(said)
    assert said.code == case.code, told
    assert (case.says or path.name) in told
    _names_a_next_step(said)
    other = run(monkeypatch, root, *READING)
    _plain(other)
    assert case.stops in (None, other.code != 0), other
    if other.code:
        assert "hint: " in other.err and other.code in (20, 21)
    assert content(root) == before


def test_damaged_findings_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the passphrase that opens them the findings are read page by page; whole ones are whole."""
    root = ward.build(tmp_path / "ws")
    with Appliance.unlock(root, ward.PASSPHRASE) as appliance:
        assert appliance.findings(ward.AUDIT)
    (path,) = (root / "evidence").glob("*.db")
    assert run(monkeypatch, root, "workspace", "verify").code == 0
    for kept in (path.stat().st_size - 100, 0):
        path.write_bytes(path.read_bytes()[:kept])
        said = run(monkeypatch, root, "workspace", "verify")
        assert said.code == 20 and path.name in said.out
        _names_a_next_step(said)


def _names_a_next_step(said: Said) -> None:
    if said.code != 20:
        assert "hint: " in said.err
        return
    lines = said.out.splitlines()
    assert len(lines) >= 2 and len(lines) % 2 == 0
    for cause, step in zip(lines[::2], lines[1::2], strict=True):
        file, _, why = cause.partition(": ")
        assert file and why and step.startswith("  ") and len(step) > 10, (cause, step)
