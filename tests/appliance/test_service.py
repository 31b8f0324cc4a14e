"""The daemon: what it does when looks fail, who hears of it, and what its clocks show."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance import beat, doctor, service
from appliance.api import Appliance
from appliance.carried_out import Stopped
from appliance.errors import (
    Busy,
    CannotWrite,
    IntegrityError,
    Locked,
    LockedOut,
    LogUnwritable,
    UsageError,
)
from appliance.leases import Machine
from appliance.receiver.spool import ForeignSpool
from appliance.schedule_views import StartedRun
from appliance.service import MINUTE_S, Service
from appliance.supervisor import Supervisor
from appliance.views import Progress
from tests.appliance import ward
from tests.appliance.test_findings_commands import gradaudit
from tests.appliance.test_scheduled import NIGHTLY, Clock

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Opened:
    """A workspace that answers as it is told; counts what it was asked."""

    def __init__(self, *answers: Exception | tuple[StartedRun, ...]) -> None:
        self.answers = list(answers)
        self.acts: list[str] = []
        self.received: list[Exception] = []
        self.taken = 0

    def begin_service(self) -> None:
        """Told."""
        self.acts.append("begin")

    def end_service(self, *, failed: bool = False) -> None:
        """Told."""
        self.acts.append("failed" if failed else "end")

    def close(self) -> None:
        """Told."""
        self.acts.append("close")

    def run_due(self, step: Callable[[Progress], None]) -> tuple[StartedRun, ...]:
        """The next answer; after the last one it is stopped from outside."""
        if not self.answers:
            os.kill(os.getpid(), signal.SIGTERM)
            step(Progress("looking", 1, 2))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def take_received(self, step: Callable[[Progress], None]) -> None:
        """Nothing was received, or what is told fails."""
        self.taken += 1
        if self.received:
            raise self.received.pop(0)


class Daemon(Service):
    """One that waits for nothing, and remembers for how long it would have."""

    def __init__(self, opened: Opened, *refusals: Exception) -> None:
        self.said: list[str] = []
        self.waits: list[float] = []
        self.refusals = list(refusals)
        super().__init__(lambda: self._next(opened), Supervisor(), self.said.append)

    def _next(self, opened: Opened) -> Appliance:
        if self.refusals:
            raise self.refusals.pop(0)
        return opened  # type: ignore[return-value]

    def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)


def run(daemon: Daemon) -> None:
    """Until SIGTERM."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: daemon.stop())
    try:
        daemon.run()
    finally:
        signal.signal(signal.SIGTERM, before)


def minutes(daemon: Daemon) -> list[float]:
    """How long it waited after what failed."""
    return [wait / MINUTE_S for wait in daemon.waits if wait >= MINUTE_S]


def test_it_looks_until_it_is_stopped() -> None:
    """An entry for the beginning, one for the end, and what was started is said."""
    opened = Opened((), (StartedRun("nightly", "lumen", "", 0, "A-1", ""),), ())
    daemon = Daemon(opened)
    run(daemon)
    assert opened.acts == ["begin", "end", "close"]
    assert daemon.said[1:] == ["nightly: lumen: its audit is in the queue"]
    assert all(0 <= wait <= MINUTE_S for wait in daemon.waits)


def test_what_fails_is_said_and_tried_again_further_apart() -> None:
    """Opened anew each time, with entries; what a fault holds is not said."""
    opened = Opened(
        CannotWrite("the disk is full"), LogUnwritable("no room"), ValueError("DOE^JANE"), (), Busy("w")
    )
    daemon = Daemon(opened)
    run(daemon)
    assert opened.acts == ["begin", "failed", "close"] * 3 + ["begin", "end", "close"]
    assert minutes(daemon) == [1, 2, 4, 1]
    told = "\n".join(daemon.said)
    assert "the disk is full; next try in 1 minute" in told and "unexpected fault" in told
    assert "DOE" not in told


def test_it_waits_an_hour_at_most() -> None:
    """However often it has failed."""
    daemon = Daemon(Opened(*[CannotWrite("full")] * 9))
    run(daemon)
    assert minutes(daemon) == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize(
    "refusal",
    [CannotWrite("full"), Busy("the log is busy"), OSError(5, "DOE^JANE"), LockedOut("too many", "wait", 60)],
)
def test_it_survives_a_workspace_that_cannot_be_opened_yet(refusal: Exception) -> None:
    """At the beginning as later."""
    daemon = Daemon(Opened(()), refusal)
    run(daemon)
    assert minutes(daemon) == [1] and "DOE" not in "".join(daemon.said)


def test_trouble_with_what_was_received_keeps_no_run_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks go on by the minute; only the taking in comes further apart; another address does not end it."""
    opened = Opened(*[()] * 12)
    opened.received = [
        CannotWrite("full"),
        ForeignSpool("another address"),
        UsageError("no address"),
        OSError(5),
    ]
    daemon = Daemon(opened)
    clock = iter(range(0, 10_000, 60))
    monkeypatch.setattr(service.time, "monotonic", lambda: float(now[0]))
    now = [0]

    def wait(seconds: float) -> None:
        daemon.waits.append(seconds)
        now[0] = next(clock)

    monkeypatch.setattr(daemon, "_wait", wait)
    run(daemon)
    assert minutes(daemon) == [] and len(daemon.waits) == 13
    assert opened.taken == 4 and not opened.received  # in minutes 0, 1, 3, 7; the next is in minute 15
    told = [line for line in daemon.said if "could not be taken in" in line]
    assert [line.rpartition(" in ")[2] for line in told] == [
        "1 minute",
        "2 minutes",
        "4 minutes",
        "8 minutes",
    ]


def test_damage_found_while_taking_in_ends_it() -> None:
    """A log or workspace that is not what was signed is another matter."""
    opened = Opened((), ())
    opened.received = [IntegrityError("the log is not what was signed")]
    with pytest.raises(IntegrityError):
        run(Daemon(opened))


def test_keys_that_were_changed_are_asked_for_anew() -> None:
    """Locked while it runs: it opens again, and again."""
    opened = Opened(Locked("the keys of this workspace were changed"), ())
    daemon = Daemon(opened)
    run(daemon)
    assert opened.acts == ["begin", "failed", "close", "begin", "end", "close"]


def test_without_a_key_it_does_not_begin() -> None:
    """What only a person can mend is an exit code at once."""
    with pytest.raises(Locked):
        run(Daemon(Opened(), Locked("no credential")))


def test_damage_ends_it() -> None:
    """Nothing is written into what has to be kept as it is, but that it ended."""
    opened = Opened((), IntegrityError("the log is not what was signed"))
    with pytest.raises(IntegrityError):
        run(Daemon(opened))
    assert opened.acts == ["begin", "failed", "close"]


def test_a_signal_is_heeded_between_two_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at folders is left; what it was for goes on with the next daemon."""
    daemon = Daemon(Opened())
    run(daemon)
    with pytest.raises(Stopped):
        daemon._step(Progress("looking", 1, 2))


def test_it_never_waits_longer_than_a_minute_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However far the next try is: clocks jump while it sleeps, and systemd wants to hear."""
    looking = Service(lambda: None, Supervisor(), print)  # type: ignore[arg-type,return-value]
    waits: list[float] = []
    clock = iter(range(0, 10_000, 50))
    monkeypatch.setattr(service.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(looking._stop, "wait", lambda wait: waits.append(wait) or False)
    looking._wait(3600.0)
    assert len(waits) > 20 and max(waits) <= MINUTE_S


@pytest.fixture
def site(root: Path) -> Appliance:
    """A ward with a daemon's clock."""
    opened = Appliance.unlock(root, ward.PASSPHRASE)
    opened._log.clock = Clock()
    return opened


def acts(opened: Appliance) -> list[str]:
    """Of the service and of clocks."""
    rows = opened._log.rows(0, opened._log.refresh())
    return [row.act for row in rows if row.act.startswith(("service.", "clock."))]


def test_a_clock_that_is_set_between_two_looks_is_an_entry(
    site: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing is due and the log would hear of it days later; an hour that passes is none."""
    with site:
        clock = site._log.clock
        assert isinstance(clock, Clock)
        site.begin_service()
        clock.now += timedelta(hours=1)
        site.run_due()
        assert acts(site)[-1] == "service.begin"
        set_back = Clock()
        set_back.now = clock.now - timedelta(hours=2)
        monkeypatch.setattr(set_back, "boot_ns", clock.boot_ns)
        site._log.clock = set_back
        site.run_due()
        assert acts(site)[-2:] == ["clock.back", "service.clock"]
        size = len(acts(site))
        site.run_due()
        assert len(acts(site)) == size


def test_who_looked_last_is_told(site: Appliance) -> None:
    """Nobody, a timer, a daemon that runs; and after a day of silence it is a need where schedules are."""
    with site:
        assert site.service().kind == "" and site.service().silent
        assert site._service_needs() == ()
        site.add_schedule(replace(NIGHTLY, model="all"))
        assert any("nobody looks after" in need for need in site.overview().needs_me)
        site.run_due()
        assert (site.service().kind, site.service().alive, site._service_needs()) == ("timer", False, ())
        site.begin_service()
        site.run_due()
        assert (site.service().kind, site.service().alive) == ("daemon", True)
        site.end_service()


def test_silence_in_words() -> None:
    """By how long ago it was, and whether its process is there."""

    class Gone(Machine):
        def lives(self, process: int, began: int) -> bool:
            """Nobody."""
            return False

    def told(kind: str, ago: timedelta, machine: Machine) -> tuple[str, bool]:
        found = beat.Beat(kind, machine.boot(), *machine.process(), NOW - ago)
        view = beat.seen(found, NOW, machine)
        return view.told, view.silent

    assert told("daemon", timedelta(minutes=1), Machine()) == (
        "`gradaudit serve` runs; it looked 1 min ago",
        False,
    )
    assert told("daemon", timedelta(hours=2), Gone())[0].startswith("`gradaudit serve` has ended")
    assert told("timer", timedelta(minutes=5), Gone()) == (
        "`gradaudit schedule run` was called 5 min ago",
        False,
    )
    assert told("timer", timedelta(days=2), Gone())[1] and told("daemon", timedelta(days=2), Gone())[1]
    assert not told("daemon", timedelta(days=-1), Machine())[1]


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b"[1,2,3,4,5,6]", b'[1,"daemon","",1,1,"2026-01-01"]', b"\xff"]
)
def test_a_file_that_means_nothing_is_nobody(text: bytes, tmp_path: Path) -> None:
    """It decides nothing, and breaks nothing."""
    (tmp_path / beat.FILE).write_bytes(text)
    assert beat.read(tmp_path) is None


def test_the_self_check_says_who_looks_after_schedules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key: what is installed, and when somebody looked last."""
    monkeypatch.setattr(doctor, "_UNITS", tmp_path / "units")
    check = doctor.service(tmp_path)
    assert (check.status, "no unit" in check.sentence) == ("warning", True) and check.hint
    (tmp_path / "units" / "multi-user.target.wants").mkdir(parents=True)
    (tmp_path / "units" / "multi-user.target.wants" / "gradaudit-serve.service").touch()
    assert doctor.service(tmp_path).status == "warning"
    beat.write(tmp_path, beat.TIMER, Machine(), datetime.now(UTC) - timedelta(minutes=3))
    check = doctor.service(tmp_path)
    assert (check.status, "gradaudit-serve.service" in check.sentence) == ("ok", True)
    assert "3 min ago" in check.sentence


def test_systemd_hears_of_it_and_nobody_else_speaks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One datagram a line; the address is taken out of the environment; without one nothing is said."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        supervisor = Supervisor()
        assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & os.environ.keys()
        supervisor.ready()
        supervisor.alive("looked")
        supervisor.alive()
        supervisor.stopping()
        lines = [heard.recv(100) for _ in range(4)]
        assert lines == [b"READY=1", b"STATUS=looked", b"WATCHDOG=1", b"STOPPING=1"]
    Supervisor().ready()
    supervisor.ready()  # nobody listens any more


def test_once_is_schedule_run(root: Path) -> None:
    """The same act, for a timer."""
    assert gradaudit(root, "serve", "--once")[0] == 0
    assert beat.read(root) is not None
