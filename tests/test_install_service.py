"""`install.sh service`: what it refuses, writes, leaves alone and takes away; systemctl is a stand-in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
UNITS = ["gradaudit-schedule.service", "gradaudit-schedule.timer", "gradaudit-serve.service"]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="not shown: needs root")
SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/asked"
"""


class Site:
    """A machine with an installed appliance, a workspace and a credential."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.units = folder, folder / "units"
        for name in ("units", "workspace", "bin", "venv/bin", "python"):
            (folder / name).mkdir(parents=True)
        (folder / "workspace" / "keyring.json").touch()
        self.credential = folder / "machine"
        self.credential.touch(mode=0o600)
        self._program("venv/bin/gradaudit", "#!/bin/sh\n")
        self._program("venv/bin/python", f"#!/bin/sh\necho {folder}/python\n")
        self._program("bin/systemctl", SYSTEMCTL)
        self._program("bin/getent", "#!/bin/sh\ntest $2 = gradaudit\n")

    def _program(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def run(self, *given: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`./install.sh service` with these options."""
        named = {
            "GRADAUDIT_UNIT_FOLDER": str(self.units),
            "GRADAUDIT_VENV": str(self.folder / "venv"),
            "GRADAUDIT_HIDDEN": "/nowhere",
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
        }
        command = [ROOT / "install.sh", "service", *given]
        return subprocess.run(
            command, env=os.environ | named | environment, capture_output=True, text=True, check=False
        )

    def whole(self, *more: str, **changed: str) -> subprocess.CompletedProcess[str]:
        """With all that is needed, parts exchanged."""
        given = {
            "workspace": f"{self.folder}/workspace",
            "user": "gradaudit",
            "credential": str(self.credential),
        }
        options = [part for name, value in (given | changed).items() for part in (f"--{name}", value)]
        return self.run(*options, *more)

    def written(self) -> dict[str, str]:
        """Units by name."""
        return {path.name: path.read_text() for path in sorted(self.units.iterdir())}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@AS_ROOT
def test_units_are_written_once_and_taken_away(site: Site) -> None:
    """A second run changes nothing, and nothing is switched on unless it is asked for."""
    first = site.whole("--vendor", f"{site.folder}/vendor")
    assert first.returncode == 0, first.stderr
    assert first.stderr.count("written:") == 3 and "next: systemctl" in first.stderr
    texts = site.written()
    assert list(texts) == UNITS
    serve = texts["gradaudit-serve.service"]
    assert f"ReadWritePaths={site.folder}/workspace\nReadOnlyPaths=-{site.folder}/vendor\n" in serve
    assert f"LoadCredential=gradaudit-machine:{site.credential}\n" in serve and "User=gradaudit\n" in serve
    second = site.whole("--vendor", f"{site.folder}/vendor")
    assert second.stderr.count("as it was:") == 3 and site.written() == texts
    assert not (site.folder / "bin" / "asked").exists()
    assert site.run("--remove").returncode == 0 and site.written() == {}
    assert site.run("--remove").returncode == 0


@AS_ROOT
@pytest.mark.parametrize(
    ("option", "unit"),
    [("--enable", "gradaudit-serve.service"), ("--enable=timer", "gradaudit-schedule.timer")],
)
def test_what_is_asked_for_is_switched_on(site: Site, option: str, unit: str) -> None:
    """Units are read anew first."""
    assert site.whole(option).returncode == 0
    asked = (site.folder / "bin" / "asked").read_text()
    assert asked == f"daemon-reload\nenable --now {unit}\n"


@AS_ROOT
def test_what_systemd_does_not_take_is_not_written(site: Site) -> None:
    """The lines of systemd stand above the error."""
    (site.folder / "bin" / "systemd-analyze").write_text("#!/bin/sh\necho 'Unknown key' >&2; exit 1\n")
    (site.folder / "bin" / "systemd-analyze").chmod(0o755)
    done = site.whole()
    assert (done.returncode, site.written()) == (1, {})
    assert "Unknown key" in done.stderr and "error: systemd does not take these units" in done.stderr


REFUSED = {
    "root": ({"user": "root"}, "no user to run as"),
    "nobody known": ({"user": "stranger"}, "there is no account stranger"),
    "a place": ({"workspace": "/srv/two words"}, "cannot stand in a unit"),
    "a line": ({"workspace": "/srv/a\nExecStart=/bin/sh"}, "cannot stand in a unit"),
    "a specifier": ({"credential": "/srv/%h"}, "cannot stand in a unit"),
    "not absolute": ({"workspace": "workspace"}, "cannot stand in a unit"),
    "no workspace": ({"workspace": "/srv/none"}, "there is no workspace in /srv/none"),
    "no credential": ({"credential": "/srv/none"}, "there is no credential /srv/none"),
}


@AS_ROOT
@pytest.mark.parametrize("case", REFUSED)
def test_what_would_not_work_is_refused(site: Site, case: str) -> None:
    """With a hint, and nothing is written."""
    changed, said = REFUSED[case]
    done = site.whole(**changed)
    assert done.returncode == 1 and said in done.stderr and "hint: " in done.stderr
    assert site.written() == {}


@AS_ROOT
def test_a_credential_that_others_may_open_is_refused(site: Site) -> None:
    """Unless it is sealed to this machine."""
    site.credential.chmod(0o644)
    assert "other accounts may open" in site.whole().stderr
    sealed = site.credential.rename(site.folder / "machine.cred")
    site.credential = sealed
    assert site.whole().returncode == 0
    assert f"LoadCredentialEncrypted=gradaudit-machine:{sealed}" in site.written()["gradaudit-serve.service"]


@pytest.mark.parametrize("place", ["/home/anna/workspace", "/root/w", "/tmp/w", "/srv/../home/w"])
def test_what_services_cannot_see_is_refused(site: Site, place: str) -> None:
    """Homes and temporary folders are not there for them."""
    hidden = "/home /root /run/user /tmp /var/tmp"
    given = ("--workspace", place, "--user", "gradaudit", "--credential", "/etc/gradaudit/m", "--print")
    done = site.run(*given, GRADAUDIT_HIDDEN=hidden)
    assert done.returncode == 1 and "services see nothing below" in done.stderr and not done.stdout


def test_printing_needs_neither_root_nor_systemd(site: Site) -> None:
    """The units on stdout, each under its name."""
    done = site.run(
        "--workspace", "/srv/gradaudit", "--user", "gradaudit", "--credential", "/etc/gradaudit/m", "--print"
    )
    assert done.returncode == 0 and site.written() == {}
    assert [line for line in done.stdout.splitlines() if line.startswith(f"# {site.units}/")] == [
        f"# {site.units}/{unit}" for unit in (UNITS[2], UNITS[0], UNITS[1])
    ]


def test_an_unknown_option_is_a_usage_error(site: Site) -> None:
    """And nothing is installed for it."""
    assert site.run("--everything").returncode == 2
    assert site.written() == {}
