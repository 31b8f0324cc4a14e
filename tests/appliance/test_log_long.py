"""A long log in a workspace: commands filter it, and what is known of it is said honestly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import logged
from appliance.api import Appliance
from appliance.errors import IntegrityError, UsageError
from appliance.evidence import making
from appliance.evidence.entries import Act
from appliance.evidence.log import EvidenceLog
from appliance.evidence.views import LogFilter
from appliance.workspace.layout import Part, walk
from appliance.workspace.workspace import LOG, Workspace
from tests.appliance.test_log_acts import PASSPHRASE, root, run

__all__ = ["root"]


@pytest.fixture
def long(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace's log is long enough for an index."""
    monkeypatch.setattr(making, "PIECE", 50)
    monkeypatch.setattr(logged, "_SHORT", 60)
    log = EvidenceLog.open(root / LOG, create=False)
    handle = log.identifier("a thing")
    for number in range(40):
        log.append_all([Act("model.verify", handle, ("done", "failed")[number % 2])] * 5)
    return root


def opened(root: Path) -> Appliance:
    """The workspace with its officer."""
    return Appliance(Workspace.open(root, PASSPHRASE, "officer"))


def test_commands_filter_the_log(long: Path) -> None:
    """Options of `log ls` are the filter's, the number of all that fit is said, and no time is guessed."""
    done = run("log", "ls", "--act", "model.", "--outcome", "fa", "--newest", "--limit", "3", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [("model.verify", "failed")] * 3 == [(row["act"], row["outcome"]) for row in rows]
    assert rows[0]["index"] > rows[2]["index"]
    assert "3 of 100 entries" in done.stderr
    passed = run("log", "ls", "--act", "model.", "--offset", "198", "--json")
    assert len(passed.stdout.splitlines()) == 2
    none = run("log", "ls", "--to", "1999", "--object", "zz", "--actor", "officer", "--text", "q", "--json")
    assert none.stdout == ""
    assert isinstance(run("log", "ls", "--from", "tomorrow").exception, UsageError)


def test_the_overview_says_what_was_verified_and_when(long: Path) -> None:
    """Without a verification as a whole that is a need; with one, its entry and time; damage is damage."""
    with opened(long) as site:
        assert not any("never verified" in need for need in site.overview().needs_me)
    with opened(long) as site:  # this one stood on the index
        assert site.overview().log.verified_utc == ""
        assert any("never verified" in need for need in site.overview().needs_me)
        assert site.log_verify().intact
    with opened(long) as site:
        health = site.overview().log
        assert 0 < health.verified_entries <= health.entries
        assert health.verified_utc
        assert not any("verified" in need for need in site.overview().needs_me)


def test_an_index_is_no_part_of_a_backup_and_nothing_foreign(long: Path) -> None:
    """Its files pass: copies leave them out, and nobody calls them strange."""
    opened(long).close()
    found = {one.name: one for one in walk(long) if one.name.startswith("log/index/")}
    assert found
    assert {(Part.PASSING, "")} == {(one.part, one.trouble) for one in found.values()}


def test_wrong_passphrases_are_counted_over_the_index(long: Path) -> None:
    """The wait after ten of them holds for a log that stands on its index, and nobody opened it yet."""
    opened(long).close()
    for _ in range(10):
        with pytest.raises(Exception, match="passphrase"):
            Appliance.unlock(long, "not this one, surely")
    with pytest.raises(Exception, match="too many wrong passphrases"):
        Appliance.unlock(long, PASSPHRASE)


def test_an_entry_altered_under_the_index_is_told_to_whoever_looks(long: Path) -> None:
    """The screen's call and the command end with an alarm, never with the altered row."""
    opened(long).close()
    journal = long / LOG / "journal"
    data = journal.read_bytes()
    journal.write_bytes(data.replace(b'"model.verify"', b'"model.verifx"', 1))
    with opened(long) as site, pytest.raises(IntegrityError, match="not what was signed"):
        site.log_find(LogFilter(act="model."), 0, 10)
    assert run("log", "ls", "--act", "model.").exception.exit_code == 20  # type: ignore[union-attr]
    assert run("log", "verify").exit_code == 20


def test_a_short_log_needs_no_numpy(root: Path) -> None:
    """Commands on a small site do not pay for reading columns."""
    code = (
        "import sys, pathlib; from appliance.evidence.log import EvidenceLog\n"
        "log = EvidenceLog.open(pathlib.Path(sys.argv[1])); log.entrust(b'k' * 32); log.acts('log.view')\n"
        "print('numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(root / LOG)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
