"""The receiver's unit of systemd: what systemd says of it, and an instance received under what it allows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.receiver.settings import _RANGES
from tests.appliance import like_systemd
from tests.appliance.receiver.case import ROOT, Running, Sender, Site

NAME = "gradaudit-receive.service"
GIVEN = (
    *("--workspace", "/srv/gradaudit/workspace", "--user", "gradaudit"),
    *("--credential", "/etc/gradaudit/m.cred", "--print"),
)


def printed(*more: str) -> dict[str, str]:
    """Units as `install.sh service --print` fills them in."""
    venv = {"GRADAUDIT_VENV": str(Path(sys.prefix)), "GRADAUDIT_HIDDEN": ""}
    command = [ROOT / "install.sh", "service", *GIVEN, *more]
    done = subprocess.run(command, env=os.environ | venv, capture_output=True, text=True, check=True)
    _, *texts = re.split(r"^# /etc/systemd/system/(\S+)\n", done.stdout, flags=re.MULTILINE)
    return dict(zip(texts[::2], texts[1::2], strict=True))


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the installer writes it."""
    path = tmp_path_factory.mktemp("units") / NAME
    path.write_text(printed("--receiver")[NAME])
    return path


def test_it_is_off_by_default(unit: Path) -> None:
    """Only who asks for it gets the unit."""
    assert NAME not in printed() and not re.search(r"@[A-Z]+@", unit.read_text())


def test_what_systemd_sees_exposed_is_little(unit: Path) -> None:
    """At most 1.5 of 10, and every directive is known."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("not shown: needs systemd-analyze")
    given = ["systemd-analyze", "security", "--offline=true", "--threshold=10", "--no-pager", str(unit)]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    (level,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert float(level) <= 1.5, done.stdout
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert verified.stderr == ""


def test_every_directive_is_argued(unit: Path) -> None:
    """In docs/receiver.md, or in docs/service.md where it says the same."""
    pages = "".join((ROOT / "docs" / name).read_text() for name in ("receiver.md", "service.md"))
    rows = re.findall(r"^\| (`[A-Z][^|]*)\|", pages, re.MULTILINE)
    argued = {key for row in rows for key in re.findall(r"`(\w+)=?", row)}
    used = {key for key, _ in like_systemd.settings(unit.read_text())}
    general = {"Description", "Documentation", "WantedBy", "ExecStart", "User"}
    assert used - general - argued == set()


def test_it_carries_as_many_as_its_file_may_allow(unit: Path) -> None:
    """Three threads and three descriptors for each connection, at the most that `connections` may be."""
    given = dict(like_systemd.settings(unit.read_text()))
    assert int(given["TasksMax"]) > 3 * _RANGES["connections"][1] < int(given["LimitNOFILE"])


def test_it_receives_under_its_unit(unit: Path, tmp_path: Path) -> None:
    """With the unit's system calls and no memory that is written and executed."""
    if why := like_systemd.can():
        pytest.skip(why)
    site = Site(tmp_path)
    prefix = (sys.executable, "-m", "tests.appliance.receiver.under_unit", str(unit))
    with Running(site, prefix) as running:
        assert [status for _, status in Sender(site, running.dicom, numbers=[0, 2]).answers()] == [0, 0]
        running.end()
    assert len(site.files()) == 2
