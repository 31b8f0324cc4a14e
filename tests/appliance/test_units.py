"""The units of systemd: what systemd says of them, and an audit under what they allow."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.api import Appliance
from appliance.errors import IntegrityError, Locked, UsageError
from appliance.evidence.clock import SystemClock
from appliance.runs import launching
from appliance.schedule_views import Schedule
from tests.appliance import like_systemd, small_site

ROOT = Path(__file__).parents[2]
SERVICES = ("gradaudit-serve.service", "gradaudit-schedule.service")
UNITS = (*SERVICES, "gradaudit-schedule.timer")
PATIENCE_S = 300.0
GIVEN = (
    "--workspace",
    "/srv/gradaudit/workspace",
    "--user",
    "gradaudit",
    "--credential",
    "/etc/gradaudit/m.cred",
)


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units as `install.sh service --print` fills them in, each a file."""
    folder = tmp_path_factory.mktemp("units")
    given = [ROOT / "install.sh", "service", *GIVEN, "--vendor", "/srv/vendor", "--print"]
    venv = {"GRADAUDIT_VENV": str(Path(sys.prefix)), "GRADAUDIT_HIDDEN": ""}
    done = subprocess.run(given, env=os.environ | venv, capture_output=True, text=True, check=True)
    _, *texts = re.split(r"^# /etc/systemd/system/(\S+)\n", done.stdout, flags=re.MULTILINE)
    for name, text in zip(texts[::2], texts[1::2], strict=True):
        (folder / name).write_text(text)
    return folder


def analyzed(*given: str | Path) -> subprocess.CompletedProcess[str]:
    """`systemd-analyze`, where it is."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("not shown: needs systemd-analyze")
    return subprocess.run(["systemd-analyze", *given], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("unit", SERVICES)
def test_what_systemd_sees_exposed_is_little(unit: str, units: Path) -> None:
    """At most 1.0 of 10."""
    done = analyzed("security", "--offline=true", "--threshold=10", "--no-pager", units / unit)
    assert done.returncode == 0, done.stderr
    (level,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert float(level) <= 1.0


def test_systemd_takes_them(units: Path) -> None:
    """Every directive is known, and every value means something."""
    done = analyzed("verify", "--man=no", *(units / unit for unit in UNITS))
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_of_the_template_is_left(units: Path) -> None:
    """Every place is filled in; a sealed credential is loaded as one."""
    for unit in UNITS:
        text = (units / unit).read_text()
        assert not re.search(r"@[A-Z]+@", text)
        if unit in SERVICES:
            assert "LoadCredentialEncrypted=gradaudit-machine:/etc/gradaudit/m.cred" in text
            assert "ReadOnlyPaths=-/srv/vendor\n" in text


def test_every_directive_is_argued(units: Path) -> None:
    """docs/service.md has a line for each, and none for one that is gone."""
    page = (ROOT / "docs" / "service.md").read_text()
    argued = {
        key
        for row in re.findall(r"^\| (`[A-Z][^|]*)\|", page, re.MULTILINE)
        for key in re.findall(r"`(\w+)=?", row)
    }
    used = {key for unit in UNITS for key, _ in like_systemd.settings((units / unit).read_text())}
    general = {"Description", "Documentation", "WantedBy", "ExecStart", "User", "Environment"}
    assert used - general == argued - {"LoadCredential"}  # the other form of a credential


def test_where_only_a_person_can_help_it_stays_down(units: Path) -> None:
    """Every exit code that the daemon ends with itself: nothing that is refused is tried for ever."""
    given = dict(like_systemd.settings((units / "gradaudit-serve.service").read_text()))
    ends = {error.exit_code for error in (UsageError, IntegrityError, Locked)}
    assert set(map(int, given["RestartPreventExitStatus"].split())) == ends


@pytest.fixture
def boxed() -> None:
    """Where a unit's limits can be put on a program."""
    if why := like_systemd.can():
        pytest.skip(why)


TRIED = """
import os, socket
from appliance.isolation.kernel import call
from appliance.isolation.syscalls import NUMBER
def tried(act):
    try:
        act()
    except OSError as refused:
        return refused.errno
    return 0
print(tried(lambda: socket.socket(socket.AF_INET)), tried(lambda: socket.socket(socket.AF_UNIX).close()),
      tried(lambda: os.chown("/tmp", -1, -1)), tried(lambda: call(NUMBER["unshare"], 0x20000000)),
      tried(lambda: call(NUMBER["ptrace"], 0, 0, 0, 0)))
"""


def test_the_limits_hold_where_they_are_put_on(units: Path, boxed: None) -> None:
    """No address family but one, no owner changed, no other namespace, no tracing."""
    command = like_systemd.command(units / SERVICES[0], sys.executable, "-c", TRIED)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["97", "0", "1", "1", "1"], done.stderr


class Yesterday(SystemClock):
    """The machine's clock, a day ago."""

    def utc_ms(self) -> int:
        """Wall-clock time less a day."""
        return super().utc_ms() - 86_400_000


@pytest.fixture
def told(tmp_path: Path) -> Iterator[socket.socket]:
    """What a daemon says to systemd."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(PATIENCE_S)
        yield heard


def test_a_daemon_audits_under_its_unit(
    units: Path, boxed: None, tmp_path: Path, told: socket.socket
) -> None:
    """By a machine's credential it starts what was missed; the audit runs to its end, and SIGTERM ends it."""
    root = small_site.build(tmp_path)
    with Appliance.unlock(root, small_site.PASSPHRASE) as site:
        (tmp_path / "gradaudit-machine").write_text(site.add_machine("scanner"))
        site._log.clock = Yesterday()
        hour = datetime.now(UTC).hour
        site.add_schedule(Schedule("nightly", f"0 {hour} * * *", "UTC", "all", "spring", "demo"))
    environment = os.environ | {
        "GRADAUDIT_WORKSPACE": str(root), "CREDENTIALS_DIRECTORY": str(tmp_path), "OMP_NUM_THREADS": "1",
        "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000000",
    }  # fmt: skip
    command = like_systemd.command(
        units / SERVICES[0], sys.executable, "-m", "appliance.cli", "serve", "--json"
    )
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as daemon:
        try:
            assert told.recv(1000) == b"READY=1"
            assert told.recv(1000) == b"STATUS=looked; 1 audits were started"
            assert told.recv(1000) == b"WATCHDOG=1"
            end = time.monotonic() + PATIENCE_S
            while launching.working(root):
                assert time.monotonic() < end, "it never ended"
                time.sleep(0.05)
            daemon.send_signal(signal.SIGTERM)
            while (line := told.recv(1000)) != b"STOPPING=1":
                assert line == b"WATCHDOG=1" or line.startswith(b"STATUS=looked")
            out, err = daemon.communicate(timeout=PATIENCE_S)
        finally:
            daemon.kill()
    assert daemon.returncode == 0, err
    with Appliance.unlock(root, small_site.PASSPHRASE) as site:
        (audit,) = site.audits()
        assert (audit.state, audit.model) == ("done", "tiny"), audit
        assert f'"{audit.audit_id}"' in out and "looking every minute" in err
        rows = site._log.rows(0, site._log.size)
        acts = {row.act: row.actor.partition(":")[0] for row in rows if row.outcome == "done"}
        assert {acts[act] for act in ("service.begin", "schedule.run", "audit.run", "service.end")} == {
            "machine"
        }
        assert (site.service().kind, site.service().alive) == ("daemon", False)
