"""From a sender to the workspace: the receiver and `gradaudit serve` as on site, stopped and started."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.api import Appliance
from appliance.receiver import spool
from appliance.site.health import health
from appliance.workspace.workspace import Workspace
from tests import warm
from tests.appliance.receiver.case import PATIENCE_S, Running, Sender, Site
from tests.appliance.receiver.sender import associated
from tests.appliance.receiver.test_mllp import MESSAGE, exchanged

PASSPHRASE = "four random words"
SERVE = """
from appliance import service
from appliance.cli import main
service._to_next_minute = lambda: 0.5  # nobody has a minute here
main()
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with a spool, and a machine's credential beside it."""
    root = tmp_path / "workspace"
    with Appliance(Workspace.create(root, PASSPHRASE, "Test", unsafe_fast_kdf=True)) as appliance:
        (tmp_path / "gradaudit-machine").write_text(appliance.add_machine("scanner"))
        appliance.set_up_receiver()
    return root


@contextmanager
def serving(root: Path) -> Iterator[None]:
    """`gradaudit serve` by the machine's credential; SIGTERM ends it, without a fault."""
    environment = os.environ | {
        "GRADAUDIT_WORKSPACE": str(root), "CREDENTIALS_DIRECTORY": str(root.parent), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    daemon = warm.program_begun(SERVE, "serve", environment=environment)
    assert daemon.stderr is not None
    try:
        yield
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(PATIENCE_S)
        said = daemon.stderr.read().decode()
    finally:
        daemon.kill()
        daemon.wait(PATIENCE_S)
        daemon.stderr.close()
    assert daemon.returncode == 0, said
    assert "failed" not in said and "CANARY" not in said


def until(there: Callable[[], bool]) -> None:
    """Wait for it."""
    end = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def listening(root: Path) -> str:
    """What monitoring hears of the receiver."""
    (told,) = [check.told for check in health(root).checks if check.name == "listening"]
    return told


def statuses(site: Site, running: Running, **asked: object) -> set[int]:
    """What a PACS is answered."""
    return {status for _, status in Sender(site, running.dicom, **asked).answers()}


def test_from_the_sender_to_the_workspace(root: Path, tmp_path: Path) -> None:
    """A study and a message are taken in while both run; what comes while nobody takes in waits for it."""
    site = Site(tmp_path, root / spool.FOLDER)
    ready = root / spool.FOLDER / spool.READY
    own = (str(path) for path in (site.peer.certificate, site.peer.key, site.authority.certificate))
    with Running(site) as running, serving(root):
        assert associated(running.dicom, *own, ("ELSE", "GRADAUDIT"), ()).is_rejected
        assert statuses(site, running, numbers=[0, 5]) == {0}
        assert b"MSA|AA" in exchanged(site, running.hl7, MESSAGE)
        until(lambda: not site.files())
        assert listening(root) == "it listens"
        assert "CANARY" not in running.end()
    assert listening(root).startswith("it was stopped")
    with Running(site) as running:
        assert statuses(site, running, numbers=[5, 10]) == {0}
        until(lambda: len(list(ready.iterdir())) == 5)
        with serving(root):
            until(lambda: not site.files())
        running.end()
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        catalogue, rows = appliance._workspace.catalogue, appliance._log.rows(0, appliance._log.size)
        there = sorted(row.SOPInstanceUID for row in catalogue.instances())
        assert there == sorted(f"2.25.{number + 1}" for number in range(10))
        assert [row.AccessionNumber for row in catalogue.reports()] == ["A1"]
        assert (catalogue.counts().quarantined, appliance.received().bytes) == (0, 0)
    acts = Counter((row.act, row.outcome, row.actor.partition(":")[0]) for row in rows)
    assert len({row.object for row in rows if row.act == "receiver.study"}) == 3  # a message is one
    assert acts["receiver.refused", "refused", "machine"] == 1
    assert acts["receiver.take", "done", "machine"] >= 2
    assert acts["service.end", "done", "machine"] == 2
