"""Users on the command line: secrets come by descriptors, files and credentials, never as arguments."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests import warm
from tests.appliance import members_site as case


class Site:
    """A workspace and commands on it, each with its secrets on descriptors of their own."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "workspace"
        self.folder = folder
        self.secrets = case.build(self.root)

    def run(
        self, *arguments: str, user: str = "officer", given: Sequence[str] = (), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """One command; `{0}`, `{1}` … in the arguments stand for descriptors with `given`."""
        descriptors = [self._descriptor(secret) for secret in (self.secrets.get(user, ""), *given)]
        names = [str(descriptor) for descriptor in descriptors]
        own = ["--user", user, "--passphrase-fd", names[0]] if user else []
        command = [*own, *(argument.format(*names[1:]) for argument in arguments)]
        try:
            known = os.environ | {"GRADAUDIT_WORKSPACE": str(self.root)} | environment
            return warm.command(command, known, pass_fds=descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _descriptor(self, secret: str) -> int:
        with tempfile.TemporaryFile() as file:
            file.write(secret.encode() + b"\n")
            file.flush()
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            return os.dup(file.fileno())


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    yield Site(tmp_path)


def roles(site: Site, user: str = "officer") -> dict[str, str]:
    listed = site.run("users", "ls", "--json", user=user)
    assert listed.returncode == 0, listed.stderr
    return {row["name"]: row["role"] for row in map(json.loads, listed.stdout.splitlines())}


def test_add_change_and_remove(site: Site) -> None:
    """A user is added with a passphrase from a descriptor, changes it, and is removed."""
    added = site.run(
        "users", "add", "b.meyer", "--role", "operator", "--new-fd", "{0}", given=["words of meyer"]
    )
    assert added.returncode == 0, added.stderr
    site.secrets["b.meyer"] = "words of meyer"
    assert roles(site, "b.meyer")["b.meyer"] == "operator"
    changed = site.run(
        "users", "passphrase", "--new-fd", "{0}", user="b.meyer", given=["other words of meyer"]
    )
    assert changed.returncode == 0, changed.stderr
    assert site.run("users", "ls", user="b.meyer").returncode == 21
    reset = site.run("users", "passphrase", "b.meyer", "--new-fd", "{0}", given=["third words of meyer"])
    assert reset.returncode == 0, reset.stderr
    site.secrets["b.meyer"] = "third words of meyer"
    assert "b.meyer" in roles(site, "b.meyer")
    assert site.run("users", "rm", "b.meyer").returncode == 0
    assert "b.meyer" not in roles(site)
    assert site.run("users", "ls", user="b.meyer").returncode == 21


def test_refusals_speak(site: Site) -> None:
    """One error line and one hint, exit code 21 or 2, nothing on stdout, and no secret in either."""
    for code, arguments, user in (
        (21, ("users", "quorum", "2"), "operator"),
        (21, ("studies", "ls"), "auditor"),
        (21, ("users", "ls"), "nobody"),
        (21, ("users", "add", "x", "--role", "operator"), "officer"),  # no terminal for the passphrase
        (2, ("users", "add", "x", "--role", "king", "--new-fd", "{0}"), "officer"),
        (2, ("users", "add", "x", "--role", "machine"), "officer"),
        (2, ("users", "recovery"), "officer"),
        (2, ("users", "rm", "officer"), "officer"),
    ):
        done = site.run(*arguments, user=user, given=["words of somebody"])
        lines = done.stderr.splitlines()
        assert (done.returncode, done.stdout) == (code, ""), (arguments, done.stderr)
        assert [line.split(":")[0] for line in lines] == ["error", "hint"], done.stderr
        assert "words of" not in done.stderr
    nameless = site.run("--passphrase-fd", "{0}", "users", "ls", user="", given=[site.secrets["officer"]])
    assert nameless.returncode == 21 and "--user NAME" in nameless.stderr


def test_a_second_one_is_present(site: Site) -> None:
    """With a quorum of two, the other one's passphrase or words come by a descriptor of their own."""
    assert site.run("users", "quorum", "2").returncode == 0
    alone = site.run("users", "rotate", "--evidence")
    assert alone.returncode == 21 and "two officers together" in alone.stderr
    for second in ("second", "paper"):
        both = site.run(
            "users",
            "rotate",
            "--evidence",
            "--with",
            second,
            "--with-fd",
            "{0}",
            given=[site.secrets[second]],
        )
        assert both.returncode == 0, both.stderr
    wrong = site.run("users", "quorum", "1", "--with", "second", "--with-fd", "{0}", given=["wrong words"])
    assert wrong.returncode == 21


def test_words_on_paper(site: Site) -> None:
    """The words go to one new file of mode 0600, and really give an officer a passphrase."""
    sheet = site.folder / "words"
    made = site.run("users", "recovery", "--name", "safe", "--output", str(sheet))
    assert made.returncode == 0, made.stderr
    words = sheet.read_text()
    assert len(words.split()) == 20 and stat.S_IMODE(sheet.stat().st_mode) == 0o600
    assert words.split()[3] not in made.stdout + made.stderr
    again = site.run("users", "recovery", "--name", "safe2", "--output", str(sheet))
    assert again.returncode == 2 and sheet.read_text() == words and "safe2" not in roles(site)
    given = [words, "found again words"]
    back = site.run("recover", "officer", "--words-fd", "{0}", "--new-fd", "{1}", user="", given=given)
    assert back.returncode == 0, back.stderr
    site.secrets["officer"] = "found again words"
    assert roles(site)["safe"] == "recovery"
    mistyped = words.replace(words.split()[5], "zzzzz")
    given = [mistyped, "found again words"]
    refused = site.run("recover", "officer", "--words-fd", "{0}", "--new-fd", "{1}", user="", given=given)
    assert refused.returncode == 2 and "word 1 in line 2 is mistyped" in refused.stderr
    assert "zzzzz" not in refused.stderr


def test_a_machine(site: Site) -> None:
    """A machine's secret is written once, for systemd, and opens without being asked; as what it is."""
    file = site.folder / "gradaudit-machine"
    made = site.run("users", "add", "night", "--role", "machine", "--credential", str(file))
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().split()[1] not in made.stdout + made.stderr
    environment = {"CREDENTIALS_DIRECTORY": str(site.folder)}
    assert site.run("models", "ls", user="", **environment).returncode == 0
    refused = site.run("studies", "ls", user="", **environment)
    assert refused.returncode == 21 and "not for the role machine" in refused.stderr
    file.write_text("night")
    broken = site.run("models", "ls", user="", **environment)
    assert broken.returncode == 21 and "cannot be used" in broken.stderr
    again = site.run("users", "add", "day", "--role", "machine", "--credential", str(file))
    assert again.returncode == 2 and "day" not in roles(site)


def test_auto_lock_setting(site: Site) -> None:
    """Shown to everybody, set by officers."""
    assert json.loads(site.run("users", "auto-lock", "--json").stdout) == {"auto_lock_minutes": 15}
    assert site.run("users", "auto-lock", "5", user="operator").returncode == 21
    assert site.run("users", "auto-lock", "5").returncode == 0
    shown = site.run("users", "auto-lock", "--json", user="auditor")
    assert json.loads(shown.stdout) == {"auto_lock_minutes": 5}
    assert site.run("users", "auto-lock", "9999").returncode == 2


def test_no_secret_is_an_argument(site: Site) -> None:
    """No option or argument takes a passphrase or words: they would stand in the list of processes."""
    helps = (
        "".join(
            site.run("users", command, "--help", user="").stdout
            for command in ("add", "rm", "passphrase", "rotate", "quorum", "recovery")
        )
        + site.run("recover", "--help", user="").stdout
    )
    options = {word for word in helps.split() if word.startswith("--")}
    assert {"--with-fd", "--new-fd", "--words-fd"} <= options
    assert not [one for one in options if one in {"--passphrase", "--words", "--secret", "--new"}]
