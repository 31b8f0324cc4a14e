"""`--plain`: one fact a line, nothing a screen reader trips over, and all that `--json` says."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

from appliance import cli, narration
from appliance.api import Appliance
from appliance.commands.plainly import whole
from appliance.words.facts import aloud, facts
from appliance.words.table import tell
from audit_core.results import Progress
from tests.appliance import ward

ROOT = Path(__file__).resolve().parents[2]
DRAWN = re.compile("[\u2500-\u25ff\u2190-\u21ff✓✔✗✕∅⊘|]|  ")
# What each command is given on the ward; a new command that prints data gets a line here or below.
SCHEDULE = ("weekly", "--cron", "0 2 * * 0", "--cohort", ward.COHORT)
GIVEN: dict[str, tuple[str, ...]] = {
    "doctor": (),
    "health": (),
    "config show": ("--origin",),
    "serve": ("--once",),
    "glossary": (),
    "users ls": (),
    "users auto-lock": (),
    "workspace verify": (),
    "workspace settings": (),
    "backup": ("{room}/backup",),
    "ingest": ("{room}/inbox",),
    "receive setup": (),
    "receive take": (),
    "studies ls": (),
    "studies show": ("A0a",),
    "studies export": ("{room}/inbox", "-o", "{room}/out"),
    "studies erase": ("--patient", "P0", "--dry-run"),
    "studies erasures": (),
    "reports ls": (),
    "reports show": ("{report}",),
    "pairs ls": (),
    "pairs count": (),
    "pairs show": ("{pair}",),
    "quarantine ls": (),
    "models ls": (),
    "models changes": (),
    "models announcements": (),
    "claim ls": (),
    "cohort ls": (),
    "design ls": (),
    "audit ls": (),
    "audit show": (ward.AUDIT,),
    "audit compare": (ward.AUDIT, ward.AUDIT),
    "audit series": (ward.AUDIT,),
    "audit abandon": (ward.CUT_OFF,),
    "case ls": ("--all",),
    "case show": (ward.AUDIT,),
    "case assign": (ward.AUDIT,),
    "case decide": (ward.AUDIT, "closed", "--reason", "an old model"),
    "case reopen": (ward.AUDIT, "--reason", "it is in use"),
    "policy ls": (),
    "policy show": ("default",),
    "policy diff": ("default", "hipaa"),
    "policy dry-run": ("default",),
    "policy propose": ("{room}/own.toml",),
    "schedule add": SCHEDULE,
    "schedule ls": (),
    "schedule next": (),
    "schedule run": (),
    "schedule rm": ("weekly",),
    "policy tighten": ("default", "{room}/vendor.toml"),
    "policy schema": (),
    "policy check": (str(ROOT / "policies" / "default.toml"),),
    "findings ls": (ward.AUDIT,),
    "findings show": (ward.AUDIT, "{patient}"),
    "findings reveal": (ward.AUDIT, "{patient}", "--reason", "an access request"),
    "findings reveals": (),
    "log ls": (),
    "log verify": (),
    "log checkpoint": (),
    "log export": ("-o", "{room}/log.jsonl"),
    "log review": ("--from", "0", "--to", "1", "--found", "nothing"),
    "log reviews": (),
    "log witness init": ("{room}/stick",),
    "log witness ls": (),
    "evidence ls": (),
}
BEFORE = {  # what is done first
    "case reopen": ("case", "decide", *("{audit}", "closed", "--reason", "an old model")),
    "schedule ls": ("schedule", "add", *SCHEDULE),
    "schedule next": ("schedule", "add", *SCHEDULE),
    "schedule rm": ("schedule", "add", *SCHEDULE),
}
CHANGING = {  # say something else, or do something, the second time
    *("backup", "ingest", "studies export", "audit abandon", "findings reveal", "findings reveals", "doctor"),
    "health",
    *("log ls", "log verify", "log checkpoint", "log export", "log review", "log witness init"),
    *("case assign", "case decide", "case reopen", "case show", "policy propose"),
    *("schedule add", "schedule rm", "schedule run", "serve", "schedule ls", "case ls", "workspace verify"),
}
ELSEWHERE = {  # need a model, a design or another site; they speak by the same functions, see the last test
    "config check",
    *("receive check", "receive retry", "receive status"),
    *("init", "restore", "demo", "models add", "models show", "models verify", "models diff"),
    *("cohort create", "cohort show", "pairs duplicates", "design new", "design show", "design reveal"),
    *("audit run", "audit resume", "evidence pack", "evidence answer", "evidence verify", "log prune"),
    *("log witness sign", "log witness accept", "log witness trust"),
    *("policy approve", "policy reject"),
    *("runs ls", "runs show", "runs pause", "runs resume", "runs first"),
    *("models watch", "models announce", "models answer", "models lineage"),
    *("claim add", "claim show", "claim recompute", "claim withdraw"),
}


@pytest.fixture
def room(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ward's site that commands find by themselves, and a folder to write to."""
    secret = tmp_path / "passphrase"
    secret.write_text(ward.PASSPHRASE)
    secret.chmod(0o600)
    monkeypatch.setenv("GRADAUDIT_WORKSPACE", str(root))
    monkeypatch.setenv("GRADAUDIT_PASSPHRASE_FILE", str(secret))
    monkeypatch.delenv("GRADAUDIT_PLAIN", raising=False)
    inbox = tmp_path / "room" / "inbox"
    inbox.mkdir(parents=True)
    (inbox / "notes.txt").write_text("no study")
    shipped = (ROOT / "policies" / "default.toml").read_text()
    (tmp_path / "room" / "own.toml").write_text(shipped.replace('"default"', '"own"', 1))
    (tmp_path / "room" / "vendor.toml").write_text("[decision]\nmust_detect = 0.2\n")
    return tmp_path / "room"


def commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its path."""
    for name, command in getattr(group, "commands", {}).items():
        if getattr(command, "commands", None):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def ran(*arguments: str) -> None:
    """One command in this process; a verdict's exit code is no failure."""
    try:
        whole(cli.app)(list(arguments), standalone_mode=False)
    except typer.Exit:
        pass
    finally:
        narration.speak_plainly(False)


def filled(arguments: tuple[str, ...], room: Path, root: Path) -> list[str]:
    """Arguments with what only this site knows."""
    with Appliance.unlock(root, ward.PASSPHRASE) as site:
        known = {
            "room": str(room),
            "audit": ward.AUDIT,
            "report": site.reports()[0].digest,
            "pair": site.pairs()[0].pair_id,
            "patient": site.pairs()[0].patient,
        }
    return [argument.format(**known) for argument in arguments]


def leaves(value: Any) -> Iterator[Any]:
    """Every value of a document that holds no others."""
    if isinstance(value, Mapping) and value:
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list) and value:
        for item in value:
            yield from leaves(item)
    else:
        yield value


def worded(leaf: Any) -> list[str]:
    """How a value may be said."""
    if leaf is None or leaf in ("", [], {}):
        return [tell("plain.none")]
    if isinstance(leaf, bool):
        return [tell("plain.yes") if leaf else tell("plain.no")]
    if isinstance(leaf, float):
        return [f"{leaf:.6g}"]
    return [aloud(part) for part in str(leaf).split("\n")]


def test_every_command_that_prints_data_is_here() -> None:
    """A new command gets a line above, and every command with --json has --plain."""
    found = dict(commands(whole(cli.app)))
    options = {name: {text for one in command.params for text in one.opts} for name, command in found.items()}
    assert {name for name, given in options.items() if "--json" in given} == GIVEN.keys() | ELSEWHERE
    assert {name for name, given in options.items() if "--plain" in given} == GIVEN.keys() | ELSEWHERE


@pytest.mark.parametrize("command", GIVEN)
def test_plain_says_all_line_by_line(
    command: str,
    room: Path,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No drawn sign, no columns, one fact a line, and every value of what --json prints is said."""
    documents: list[Mapping[str, Any]] = []

    def seen(document: Mapping[str, Any]) -> Iterator[str]:
        documents.append(document)
        return facts(document)

    monkeypatch.setattr(narration, "facts", seen)
    arguments = filled(GIVEN[command], room, root)
    if command in BEFORE:
        ran(*filled(BEFORE[command], room, root))
    capsys.readouterr()
    ran(*command.split(), *arguments, "--plain")
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines, said.err
    assert [] == [line for line in lines + said.err.splitlines() if DRAWN.search(line)]
    assert [] == [line for line in lines if not re.search(r": |\.$|: ?$", line)], (
        "a line says what it is about"
    )
    assert all(documents), "a document that is empty would pass for all that there is"
    for leaf in (leaf for document in documents for leaf in leaves(document)):
        assert all(any(word in line for line in lines) for word in worded(leaf)), leaf


@pytest.mark.parametrize("command", sorted(GIVEN.keys() - CHANGING))
def test_plain_says_what_json_says(
    command: str, room: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command read by a program and read aloud: no value is missing."""
    if command in BEFORE:
        ran(*filled(BEFORE[command], room, root))
    arguments = filled(GIVEN[command], room, root)
    capsys.readouterr()
    ran(*command.split(), *arguments, "--json")
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ran(*command.split(), *arguments, "--plain")
    said = capsys.readouterr().out
    for leaf in (leaf for document in documents for leaf in leaves(document)):
        assert all(word in said for word in worded(leaf)), leaf


def test_before_the_command_and_in_the_environment(
    room: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--plain` before the command, behind it and `GRADAUDIT_PLAIN=1` say the same; JSON stays JSON."""
    ran("audit", "ls", "--plain")
    after = capsys.readouterr().out
    ran("--plain", "audit", "ls")
    assert after == capsys.readouterr().out
    monkeypatch.setenv("GRADAUDIT_PLAIN", "1")
    ran("audit", "ls")
    assert after == capsys.readouterr().out
    ran("audit", "ls", "--json")
    assert capsys.readouterr().out.startswith('{"audit_id"')
    monkeypatch.delenv("GRADAUDIT_PLAIN")
    ran("audit", "ls")
    assert "  " in capsys.readouterr().out, "the control: without it there are columns"


def test_without_a_command_the_overview_is_said(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`gradaudit --plain` opens no screen."""
    ran("--plain")
    lines = capsys.readouterr().out.splitlines()
    assert "Site: Test" in lines and "Log, intact: yes" in lines
    assert [] == [line for line in lines if DRAWN.search(line)]


def test_a_verdict_is_said_first(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer before its numbers, and what it does not prove among it."""
    ran("audit", "show", ward.AUDIT, "--plain")
    lines = capsys.readouterr().out.splitlines()
    told = lines[: lines.index(tell("plain.numbers"))]
    assert told[0].startswith("Verdict: REVIEW. A test fired.")
    assert any(line.startswith("It does not prove ") for line in told)
    assert any(line == "Exposure: 21 of 46 patients flagged as exposed" for line in told)


def test_an_empty_list_is_said(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Silence could be a failure."""
    ran("evidence", "ls", "--plain")
    assert capsys.readouterr().out == tell("plain.empty") + "\n"


def test_progress_is_a_line_a_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    """Ten lines a phase, in words."""
    narration.speak_plainly(True)
    try:
        with narration.progress(False) as step:
            for done in range(301):
                step(Progress("signals", done, 300))
    finally:
        narration.speak_plainly(False)
    lines = capsys.readouterr().err.splitlines()
    assert "signals: 40 percent, 120 of 300 pairs" in lines
    assert len(lines) == 11


def test_foreign_text_cannot_pass_for_a_fact() -> None:
    """A line break in a value begins no line of its own kind, and signs that act are gone."""
    said = list(facts({"note": "seen\nVerdict: PASS", "name": "a  ║ b │ c ✓"}))
    assert ["Note: seen", "Note: Verdict: PASS", "Name: a b c"] == said


def test_no_command_writes_by_itself() -> None:
    """Data goes through narration, which alone knows the three forms; a paper key is for paper."""
    own = []
    for path in sorted((ROOT / "appliance" / "commands").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout.write", "typer.echo"):
                own.append(path.name)
    assert set(own) <= {"users.py"}
