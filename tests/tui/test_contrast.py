"""Everything that is drawn can be read, in every theme, and no state hangs on telling red from green."""

from __future__ import annotations

import colorsys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.color import ColorSystem
from textual.pilot import Pilot
from textual.theme import Theme

from appliance.errors import ApplianceError
from tests.tui.colours import DEUTERANOPIA, PROTANOPIA, Colour, closest, contrast, of_hex, pairs, shown
from tests.tui.everywhere import WAYS, go, screens
from tests.tui.pilot import drive, press, settle
from tests.tui.simulator import Simulator, demo_overview
from tui.app import GradAuditApp
from tui.themes import NAMES, NO_COLOURS, THEMES, VERDICTS, theme_for

Found = dict[tuple[str, Colour, Colour], str]
LARGE, SMALL = (132, 70), (80, 24)
SYSTEMS = (ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT, ColorSystem.STANDARD)


def needed(theme: str, system: ColorSystem) -> float:
    """WCAG's AA for text; AAA in the high contrasts where the terminal shows their colours."""
    return 7.0 if theme.startswith("contrast") and system is ColorSystem.TRUECOLOR else 4.5


def themes(app: GradAuditApp) -> list[str]:
    """Ours, and the one a test adds."""
    return [name for name in app.available_themes if name in NAMES or name == "faint"]


async def look(
    pilot: Pilot[Any], app: GradAuditApp, name: str, found: Found, among: Sequence[str]
) -> set[tuple[str, Colour, Colour]]:
    """Gather the pairs of the present screen in these themes; those that were not found before."""
    new = set()
    for theme in among:
        app.theme = theme
        await settle(pilot)
        if name == "Palette":  # which keeps the colours that it was opened with
            await press(pilot, "escape", "ctrl+p")
        for front, back, sign in pairs(app):
            if (theme, front, back) not in found:
                new.add((theme, front, back))
                found[theme, front, back] = f"{name}: {sign}"
    return new


def gather(name: str, backend: Simulator, sizes: Sequence[tuple[int, int]] = (LARGE, SMALL)) -> Found:
    """All pairs of one screen.

    What a size shows is looked at in every theme where one theme of either kind shows a pair that no larger
    size did: a style has one pair of colours in each theme.
    """
    found: Found = {}

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        every = themes(app)
        dark = app.get_theme(every[0]).dark
        both = [every[0], next(one for one in every if app.get_theme(one).dark != dark)]
        await go(pilot, app, name)
        for size in sizes:
            await pilot.resize_terminal(*size)
            if not found:
                await look(pilot, app, name, found, every)
            elif await look(pilot, app, name, found, both):
                await look(pilot, app, name, found, [one for one in every if one not in both])

    drive(steps, sizes[0], backend=backend)
    assert {theme for theme, _, _ in found} >= set(NAMES)
    return found


def unreadable(found: Found) -> list[str]:
    """The pairs below what is needed, on terminals of all, 256 and 16 colours."""
    told = []
    for (theme, front, back), where in found.items():
        for system in SYSTEMS:
            ratio = contrast(shown(front, system), shown(back, system))
            if ratio < needed(theme, system):
                told.append(f"{theme}, {system.name}: {ratio:.2f} {front} on {back} ({where})")
    return told


def test_every_screen_is_looked_at() -> None:
    """Whoever adds a screen or a dialog adds its way to tests/tui/everywhere.py."""
    assert screens() - set(WAYS) == set()


@pytest.mark.parametrize("name", WAYS)
def test_every_pair_of_colours_can_be_read(name: str) -> None:
    """At least 4.5:1 for all that is drawn on any screen, 7:1 in the high contrasts."""
    assert unreadable(gather(name, Simulator(gate=threading.Semaphore(20)))) == []


def test_bad_news_can_be_read() -> None:
    """Errors, a broken log and an empty workspace, which healthy screens do not show."""
    broken = replace(demo_overview().log, intact=False, problem="entry 17 does not match its hash")
    refusing = {"audits": ApplianceError("the catalogue does not answer", "run gradaudit doctor")}
    backend = Simulator(view=replace(demo_overview(), log=broken), failing=refusing)
    empty = Simulator(view=replace(demo_overview(), models=(), needs_me=()), entries=0, audits_={})
    for name, held in (("RunsScreen", backend), ("OverviewScreen", backend), ("OverviewScreen", empty)):
        assert unreadable(gather(name, held, [SMALL])) == []


@contextmanager
def one_more(theme: Theme) -> Iterator[None]:
    """Every app knows one theme more."""
    first = GradAuditApp.on_mount

    def mount(self: GradAuditApp) -> None:
        self.register_theme(theme)
        first(self)

    GradAuditApp.on_mount = mount  # type: ignore[method-assign]
    try:
        yield
    finally:
        GradAuditApp.on_mount = first  # type: ignore[method-assign]


def test_a_faint_theme_is_found() -> None:
    """The control: one colour too faint is named, with the screen it is on."""
    night = THEMES[0]
    faint = replace(night, name="faint", variables={**night.variables, "muted": "#5a6672"})
    with one_more(faint):
        told = unreadable(gather("OverviewScreen", Simulator(), [SMALL]))
    assert told and all(line.startswith("faint, ") and "OverviewScreen" in line for line in told)


COLOURED = [theme for theme in THEMES if theme.name != NO_COLOURS]


@pytest.mark.parametrize("theme", COLOURED, ids=lambda theme: theme.name)
def test_state_colours_stay_apart(theme: Theme) -> None:
    """Any two verdicts differ clearly for every common colour vision; most so in the theme made for it."""
    colours = [of_hex(theme.variables[name]) for name in VERDICTS]
    least = 12.0 if theme.name == "deuteranopia" else 8.0
    assert closest(colours, np.eye(3)) >= least
    assert closest(colours, DEUTERANOPIA) >= least
    assert closest(colours, PROTANOPIA) >= 8.0


def test_red_beside_green_is_found() -> None:
    """The control: a red and a green of one lightness are far apart for most and the same for some."""
    pair = [of_hex("#c8501e"), of_hex("#82780f")]
    assert closest(pair, np.eye(3)) >= 8.0
    assert closest(pair, DEUTERANOPIA) < 8.0


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_nothing_is_green(theme: Theme) -> None:
    """No colour of a theme is a green, so none can stand against a red."""
    for name, value in theme.to_color_system().generate().items():
        if not value.startswith("#") or name not in (
            *VERDICTS,
            "accent",
            "muted",
            "foreground",
            "background",
        ):
            continue
        hue, _, strength = colorsys.rgb_to_hls(*(channel / 255 for channel in of_hex(value[:7])))
        assert not (75 < hue * 360 < 165 and strength > 0.25), (name, value)


def test_the_themes_are_those_of_the_promise() -> None:
    """Default, high contrast dark and light, deuteranopia, monochrome."""
    assert {"night", "contrast", "contrast-day", "deuteranopia", "mono"} <= set(NAMES)
    dark = {theme.name: theme.dark for theme in THEMES}
    assert dark["contrast"] and not dark["contrast-day"]


@pytest.mark.parametrize(
    ("environ", "kept", "theme"),
    [
        ({"TERM": "xterm"}, "", "night"),
        ({"TERM": "xterm"}, "contrast-day", "contrast-day"),
        ({"TERM": "xterm"}, "no such theme", "night"),
        ({"TERM": "xterm", "NO_COLOR": "1"}, "day", "mono"),
        ({"TERM": "xterm", "NO_COLOR": ""}, "day", "day"),  # no-color.org: empty means not set
        ({"TERM": "dumb"}, "day", "mono"),
        ({"TERM": "linux"}, "", "contrast"),
        ({"TERM": "linux"}, "day", "day"),
    ],
)
def test_the_theme_suits_the_terminal(environ: dict[str, str], kept: str, theme: str) -> None:
    """No colours where none are wanted, few where few can be shown, else the one that was kept."""
    assert theme_for(environ, kept) == theme
