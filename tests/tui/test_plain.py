"""Plain terminals: the locale is read rightly, and then every screen is ASCII, whoever drew it."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from tests.tui.everywhere import WAYS, go
from tests.tui.pilot import drive, glass, press
from tests.tui.simulator import Simulator, demo_overview
from tui.app import GradAuditApp
from tui.glyphs import ASCII, UNICODE, Spell, choose

PLAIN = {"TERM": "xterm", "LANG": "C"}


@pytest.mark.parametrize(
    ("environ", "plain"),
    [
        ({"TERM": "xterm", "LANG": "de_DE.UTF-8"}, False),
        ({"TERM": "xterm", "LANG": "de_DE.utf8"}, False),
        ({"TERM": "xterm", "LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),
        ({"TERM": "xterm", "LANG": "de_DE.UTF-8", "LC_ALL": "C"}, True),
        ({"TERM": "xterm", "LANG": "de_DE.UTF-8", "LC_ALL": ""}, False),
        ({"TERM": "xterm", "LANG": "de_DE@euro"}, True),
        ({"TERM": "xterm"}, True),
        ({"TERM": "linux", "LANG": "C.UTF-8"}, True),
        ({"TERM": "dumb", "LANG": "C.UTF-8"}, True),
    ],
)
def test_the_signs_suit_the_terminal(environ: dict[str, str], plain: bool) -> None:
    """LC_ALL before LC_CTYPE before LANG, nothing is C, and bare consoles are plain whatever they say."""
    assert choose(environ) is (ASCII if plain else UNICODE)


@pytest.mark.parametrize(
    ("locale", "plain"), [({"LANG": "C"}, True), ({}, True), ({"LANG": "C.UTF-8"}, False)]
)
def test_the_locale_is_the_one_given(locale: dict[str, str], plain: bool) -> None:
    """Python puts LC_CTYPE=C.UTF-8 over the locale C; what the terminal's person said still counts."""
    code = (
        "import os; from appliance.spelling import started_with; from tui.glyphs import choose\n"
        "print(choose(started_with()).plain, choose(os.environ).plain)"
    )
    environ = {"PATH": "/usr/bin:/bin", "TERM": "xterm", "PYTHONPATH": ":".join(sys.path), **locale}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(plain), "False"], (
        "the second is the control: asked naively, always UTF-8"
    )


@pytest.mark.parametrize("name", WAYS)
def test_every_screen_is_ascii_on_a_plain_terminal(name: str) -> None:
    """Borders, scroll bars, password dots, the palette's icon, foreign names: one byte each, no cell lost."""
    foreign = replace(demo_overview(), site="Bürger­spital 東京 Ω")
    backend = Simulator(view=foreign, gate=threading.Semaphore(20))

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await go(pilot, app, name)
        if name == "UnlockScreen":
            await press(pilot, *"abc")
        shown = glass(app)
        assert [sign for sign in shown if ord(sign) > 126] == []
        assert {len(row) for row in shown.splitlines()} == {80}

    drive(steps, backend=backend, environ=PLAIN)


def test_the_same_screens_are_not_ascii_elsewhere() -> None:
    """The control: with a UTF-8 locale the overview holds other signs."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        assert [sign for sign in glass(app) if ord(sign) > 126] != []

    drive(steps, environ={"TERM": "xterm", "LANG": "C.UTF-8"})


def test_spelling_keeps_every_cell() -> None:
    """Accents go, wide signs take two places, nothing shifts."""
    from rich.segment import Segment
    from textual.color import Color

    text = "Müller é ✓ 東京 🔎 ─│╭ Ω …"
    (spelt,) = Spell().apply([Segment(text)], Color(0, 0, 0))
    assert spelt.text == "Muller e + ???? >  -|+ ? ."
    assert len(spelt.text) == cell_len(text)


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"TERM": "linux"}, {**PLAIN, "NO_COLOR": "1"}])
def test_states_are_words_without_colour(environ: dict[str, str]) -> None:
    """Verdicts, the row under the cursor and what needs a person are said by words, signs and places."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        for words in ("x FAIL", "? INCONCLUSIVE", "x overdue by 3 h", "> 56 d left", "+ log intact"):
            assert words in glass(app)
        await press(pilot, "tab")
        marked = [row for row in glass(app).splitlines() if row.lstrip().startswith("> x FAIL")]
        assert len(marked) == 1 and "lumen-vlm" in marked[0]
        await press(pilot, "down")
        marked = [row for row in glass(app).splitlines() if row.lstrip().startswith("> x FAIL")]
        assert len(marked) == 1 and "harbor-clip" in marked[0]
        await press(pilot, "3")
        assert "[x FAIL]" in glass(app)

    drive(steps, environ=environ)
