"""Ten wrong passphrases, and then a wait that only time since the machine's start shortens."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from appliance import lockout
from appliance.api import Appliance
from appliance.errors import Locked
from appliance.evidence.entries import Entry
from tests.appliance import members_site as case

SECOND = 10**9


def entry(act: str, outcome: str, boot_s: float) -> Entry:
    return Entry(
        0, 0, "2026-01-01T00:00:00.000Z", int(boot_s * SECOND), "anonymous", act, "", outcome, "", "", ""
    )


def failures(count: int, boot_s: float = 1000.0) -> list[Entry]:
    return [entry(lockout.UNLOCK, "refused", boot_s) for _ in range(count)]


@pytest.mark.parametrize(
    ("count", "expected"), ((0, 0), (9, 0), (10, 60), (11, 120), (12, 240), (16, 3600), (500, 3600))
)
def test_the_wait_grows(count: int, expected: int) -> None:
    """Nine are free; the tenth costs a minute, each further one double, an hour at most."""
    assert expected == lockout.wait_s(failures(count), 1000 * SECOND)


def test_time_since_the_start_counts() -> None:
    """The wait gets shorter by boot time, and a restart begins it anew."""
    ten = failures(10, boot_s=1000)
    assert [60, 1, 0] == [lockout.wait_s(ten, int(s * SECOND)) for s in (1000, 1059.5, 1060)]
    assert [55, 0] == [lockout.wait_s(ten, int(s * SECOND)) for s in (5, 60)]  # started again meanwhile


@pytest.mark.parametrize("act", (lockout.UNLOCK, lockout.JOIN))
def test_a_right_one_clears_the_count(act: str) -> None:
    """Failures before a success or an officer's reset are forgotten; an attempt in the wait is none."""
    assert 0 == lockout.wait_s([*failures(15), entry(act, "allowed", 1000), *failures(9)], 1000 * SECOND)
    assert 0 == lockout.wait_s([*failures(15), entry(lockout.RESET, "done", 1000)], 1000 * SECOND)
    assert 0 < lockout.wait_s([*failures(15), entry(lockout.RESET, "begins", 1000)], 1000 * SECOND)
    during = [entry(lockout.LOCKED_OUT, "refused", 1000)] * 50
    assert 60 == lockout.wait_s([*failures(10), *during], 1000 * SECOND)


def test_locked_out_at_the_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ten wrong ones even the right one waits, for this user alone; the wall clock does not help."""
    root = tmp_path / "workspace"
    secrets = case.build(root)
    for _ in range(lockout.FREE_ATTEMPTS):
        with pytest.raises(Locked, match="does not open"):
            Appliance.unlock(root, "wrong words", "operator")
    real, wall = lockout.boot_ns, time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: wall() + 365 * 86_400 * SECOND)
    with pytest.raises(Locked, match="too many wrong passphrases") as raised:
        Appliance.unlock(root, secrets["operator"], "operator")
    assert raised.value.exit_code == 21 and "gradaudit users passphrase" in raised.value.hint
    case.opened(root, "officer", secrets).close()
    case.opened(root, "paper", secrets).close()
    monkeypatch.setattr(lockout, "boot_ns", lambda: real() + 61 * SECOND)
    with case.opened(root, "operator", secrets) as site:
        outcomes = [(act, outcome) for _, act, outcome in case.acts(site)]
    assert lockout.FREE_ATTEMPTS == outcomes.count((lockout.UNLOCK, "refused"))
    assert 1 == outcomes.count((lockout.LOCKED_OUT, "refused"))


def test_words_on_paper_are_not_locked_out(tmp_path: Path) -> None:
    """Wrong papers are refused and logged as often as they come, and the right one opens at once."""
    root = tmp_path / "workspace"
    secrets = case.build(root)
    from appliance.workspace import paper

    for _ in range(lockout.FREE_ATTEMPTS + 2):
        with pytest.raises(Locked, match="does not open"):
            Appliance.recover(root, paper.new_words())
    with case.opened(root, "paper", secrets) as site:
        outcomes = [(act, outcome) for _, act, outcome in case.acts(site)]
    assert lockout.FREE_ATTEMPTS + 2 == outcomes.count(("workspace.recover", "refused"))


def test_names_never_reach_the_log(tmp_path: Path) -> None:
    """Neither a user's name nor what was typed as one stands in any file of the log."""
    root = tmp_path / "workspace"
    case.build(root)
    with pytest.raises(Locked):
        Appliance.unlock(root, "wrong words", "typed passphrase by mistake")
    written = b"".join(path.read_bytes() for path in (root / "log").rglob("*") if path.is_file())
    for text in (b"second", b"by mistake", b"scanner", b"wrong words"):
        assert text not in written
    assert b"workspace.unlock" in written  # the search can find what is there
