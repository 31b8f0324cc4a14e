"""Cases on the command line: what a reader and what a program sees, and who is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from appliance import cli
from appliance.api import Appliance
from appliance.cases.standing import LEGAL
from appliance.errors import NotPermitted, UsageError
from tests.appliance import ward

REASON = "Mrs. Canary's images were used without consent"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace that commands open without asking."""
    root = ward.build(tmp_path / "workspace", cut_off=False)
    (tmp_path / "secret").write_text(ward.PASSPHRASE)
    (tmp_path / "secret").chmod(0o600)
    monkeypatch.setenv("GRADAUDIT_WORKSPACE", str(root))
    monkeypatch.setenv("GRADAUDIT_PASSPHRASE_FILE", str(tmp_path / "secret"))
    return root


def run(*arguments: str) -> Result:
    """One command in this process."""
    return CliRunner().invoke(cli.app, ["case", *arguments])


def printed(*arguments: str) -> dict[str, object]:
    """What a command that must succeed prints as JSON."""
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output + repr(done.exception)
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.usefixtures("root")
def test_a_case_by_commands() -> None:
    """List, own, decide, list again, reopen: as a reader and as a program sees it."""
    assert printed("ls")["state"] == "open"
    assert ward.AUDIT in run("ls").stdout
    assert printed("assign", ward.AUDIT)["row"]["owner"] == "officer"  # type: ignore[index]
    decided = printed("decide", ward.AUDIT, "accepted", "--reason", REASON, "--answers", "72h")
    assert decided["steps"][-1]["answers"] == ["72h"]  # type: ignore[index]
    shown = run("show", ward.AUDIT)
    assert REASON in shown.stdout and "accepted, answers 72h" in shown.stdout
    assert LEGAL in shown.stderr and "UTC" in shown.stdout
    assert run("decide", ward.AUDIT, "closed", "--reason", REASON).exit_code == 0
    assert run("ls").stdout == "" and "1 closed" in run("ls").stderr
    assert printed("ls", "--all")["state"] == "closed"
    assert printed("reopen", ward.AUDIT, "--reason", REASON)["row"]["state"] == "open"  # type: ignore[index]


@pytest.mark.usefixtures("root")
def test_commands_refuse_by_exit_code() -> None:
    """Usage errors end with 2; no reason is asked for twice."""
    done = run("decide", ward.AUDIT, "closed", "--reason", "no")
    assert isinstance(done.exception, UsageError) and done.exception.exit_code == 2
    assert run("decide", ward.AUDIT, "closed").exit_code == 2


def test_an_auditor_decides_nothing_by_command(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 21, and the reading commands answer."""
    with Appliance.unlock(root, ward.PASSPHRASE) as officer:
        officer.add_user("eve", "auditor", "the words of eve")
    (root.parent / "secret").write_text("the words of eve")
    monkeypatch.setenv("GRADAUDIT_USER", "eve")
    assert printed("show", ward.AUDIT)["row"]
    done = run("decide", ward.AUDIT, "closed", "--reason", REASON)
    assert isinstance(done.exception, NotPermitted) and done.exception.exit_code == 21
