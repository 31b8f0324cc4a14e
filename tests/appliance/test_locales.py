"""Commands in every locale: nothing ends because of a letter, and the locale C gets ASCII."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from appliance.spelling import SPELT, takes_utf8
from appliance.workspace.workspace import Workspace
from tests.appliance import ward

SITE = "Bürgerspital 東京 – Łódź"
SPELLED = "Burgerspital ????, ?odz"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A site with letters that few encodings have, and how commands find it."""
    folder = tmp_path_factory.mktemp("site")
    Workspace.create(folder / "workspace", ward.PASSPHRASE, SITE, unsafe_fast_kdf=True).close()
    secret = folder / "passphrase"
    secret.write_text(ward.PASSPHRASE)
    secret.chmod(0o600)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    given = {"GRADAUDIT_WORKSPACE": str(folder / "workspace"), "GRADAUDIT_PASSPHRASE_FILE": str(secret)}
    return {**kept, **given}


def said(environment: dict[str, str], locale: dict[str, str], *arguments: str) -> tuple[bytes, bytes]:
    """Bytes on stdout and stderr of a command that must not fail."""
    done = subprocess.run(
        [sys.executable, "-m", "appliance.cli", *arguments],
        capture_output=True,
        env={**environment, **locale},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LANG": "POSIX"}, {}, {"LANG": "de_DE.ISO-8859-1"}])
def test_without_utf8_everything_is_ascii(environment: dict[str, str], locale: dict[str, str]) -> None:
    """Letters are spelt, on both streams and in help; nothing is lost silently."""
    told, beside = said(environment, locale, "--plain")
    assert f"Site: {SPELLED}" in told.decode("ascii").splitlines()
    assert beside.isascii()
    assert said(environment, locale, "audit", "show", "--help")[0].isascii()


def test_json_is_exact_in_every_locale(environment: dict[str, str]) -> None:
    """A program reads the same strings: JSON escapes where the locale has no letters."""
    plain, _ = said(environment, {"LC_ALL": "C"}, "glossary", "log-odds", "--json")
    rich, _ = said(environment, {"LC_ALL": "C.UTF-8"}, "glossary", "log-odds", "--json")
    assert plain.isascii()
    assert json.loads(plain) == json.loads(rich)
    init, _ = said(environment, {"LC_ALL": "C"}, "users", "ls", "--json")
    assert init.isascii() and json.loads(init)


def test_utf8_stays_as_it_is(environment: dict[str, str]) -> None:
    """The control: with a UTF-8 locale the letters are the site's own."""
    assert f"Site: {SITE.replace(' –', ',')}" in said(environment, {"LANG": "C.UTF-8"}, "--plain")[0].decode()


def test_an_encoding_that_lacks_a_letter_ends_nothing(environment: dict[str, str]) -> None:
    """Python may be told to write Latin-1: what it lacks is spelt, and what it has is written."""
    told, _ = said(environment, {"LANG": "C.UTF-8", "PYTHONIOENCODING": "latin-1"}, "--plain")
    assert "Site: Bürgerspital ????, ?ódz" in told.decode("latin-1")


@pytest.mark.parametrize(
    ("environ", "utf8"),
    [
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.utf8"}, True),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, False),
        ({}, False),
    ],
)
def test_the_locale_that_counts(environ: dict[str, str], utf8: bool) -> None:
    """LC_ALL before LC_CTYPE before LANG; none is C."""
    assert takes_utf8(environ) is utf8


def test_every_sign_of_ours_is_spelt() -> None:
    """No sentence of the table is a question mark in ASCII."""
    from appliance.words.table import MESSAGES

    sentences = [one for text in MESSAGES.values() for one in (text if isinstance(text, tuple) else (text,))]
    lost = {
        sign for text in sentences for sign in text if not sign.isascii() and "?" in sign.translate(SPELT)
    }
    assert lost == set()
