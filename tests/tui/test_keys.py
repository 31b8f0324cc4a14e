"""Keys: what every keyboard can type, other keys for a site, help for the focus, all in the palette."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.binding import Binding
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.everywhere import WAYS, go, our_nodes
from tests.tui.pilot import SIZES, drive, glass, press, sees, settle, until
from tests.tui.simulator import Simulator, demo_overview
from tui.acts import of_screen, spelt
from tui.app import GradAuditApp
from tui.keys import checked, key_name, keyed, name_all, together
from tui.screens.help import HelpDialog
from tui.screens.log import LogScreen
from tui.screens.overview import OverviewScreen
from tui.screens.runs import RunsScreen
from tui.screens.unlock import UnlockScreen
from tui.settings import Settings
from tui.widgets.chrome import KeyLine

# Typed without a dead key or AltGr on every Latin keyboard; the palette (F9) reaches the rest from any other.
TYPEABLE = re.compile(
    r"[a-zA-Z0-9]|f([1-9]|1[0-2])|ctrl\+[a-z]|question_mark|enter|escape|tab|shift\+tab|space"
    r"|up|down|left|right|home|end|pageup|pagedown|delete|backspace"
)
PARTS = ("choice-", "passphrase-", "field-", "policylist-")  # enter is theirs while they have the focus
KEYLINES = [name for name in WAYS if name.endswith("Screen")]


def settings(**keys: str) -> Settings:
    """A site's keys; - is written as _."""
    return Settings(keys={name.replace("_", "-"): value for name, value in keys.items()})


def test_every_keyboard_can_type_every_key() -> None:
    """Every act has a key that no German or French keyboard hides: no bracket, no backslash, no tilde."""
    kinds = our_nodes()
    acts: dict[tuple[str, str], set[str]] = defaultdict(set)
    for kind in kinds:
        for one in Binding.make_bindings(kind.__dict__.get("BINDINGS", ())):
            acts[kind.__name__, one.action].add(one.key.strip())
    assert len(acts) > 40
    assert [act for act, keys in acts.items() if not any(map(TYPEABLE.fullmatch, keys))] == []


@pytest.mark.parametrize("key", ["left_square_bracket", "backslash", "ctrl+backslash", "tilde", "at", "f13"])
def test_a_key_that_is_hard_to_type_is_found(key: str) -> None:
    """The control."""
    assert TYPEABLE.fullmatch(key) is None


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", KEYLINES)
def test_the_key_line_is_whole_on_every_screen(name: str, size: tuple[int, int]) -> None:
    """At most seven keys; each is there, and with its label from 80 columns on."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await go(pilot, app, name)
        keys, last = app.screen.query_one(KeyLine).shown(), glass(app).splitlines()[-1]
        assert 1 <= len(keys) <= 7
        for _, display, label in keys:
            assert (f"{display} {label}" if size[0] >= 80 else display) in last
        assert len(last) == size[0]

    drive(steps, size)


def test_every_act_has_a_name_of_its_own() -> None:
    """One name stands for one act, or a site could not move the one without the other."""
    name_all()
    acts = defaultdict(set)
    for kind in our_nodes():
        for held in (kind._merged_bindings.key_to_bindings if kind._merged_bindings else {}).values():
            for binding in held:
                if binding.id is not None:
                    acts[binding.id].add(binding.action.removeprefix("app."))
    assert {"lock", "overview", "log-verify", "rows-down", "run", "help"} <= set(acts)
    assert {name: actions for name, actions in acts.items() if len(actions) > 1} == {}


def test_no_two_acts_share_a_key() -> None:
    """As shipped, no screen gives one key to two of its acts."""
    name_all()
    for keys in together():
        own = {name: held for name, held in keys.items() if not name.startswith(PARTS)}
        shared = [
            (one, other)
            for one, held in own.items()
            for other, also in own.items()
            if one < other and held & also and "dialog" not in one + other and "help" not in one + other
        ]
        assert shared == [] or all("quit" in one for pair in shared for one in pair)


def test_a_site_gives_other_keys() -> None:
    """The new key acts, the old one no longer does, and key line and help show the new one."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "z")
        assert isinstance(app.screen, RunsScreen)
        await press(pilot, "1", "2", "f2")
        assert isinstance(app.screen, OverviewScreen)
        assert "z Runs" in glass(app).splitlines()[-1]
        await press(pilot, "9", "ctrl+o")
        assert "verified: all 148 entries" in glass(app)
        await press(pilot, "f11")
        assert isinstance(app.screen, UnlockScreen)

    drive(steps, settings=settings(runs="z", lock="f11", log_verify="ü,ctrl+o"))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"lok": "f9"}, "keys: lok is no act; did you mean lock?"),
        ({"zzzzzz": "f9"}, "keys: zzzzzz is no act"),
        ({"runs": "ctrl+banana"}, "runs: ctrl+banana is no key"),
        ({"runs": "x,"}, "runs: nothing is no key"),
        ({"runs": "9"}, "keys: 9 would be both runs and log"),
        ({"runs": "z", "log": "z"}, "keys: z would be both log and runs"),
        ({"runs": "j"}, "keys: j would be both runs and rows-down"),
        ({"lock": "x"}, "keys: lock needs a key that types nothing"),
    ],
)
def test_wrong_keys_are_said_and_nothing_changes(keys: dict[str, str], said: str) -> None:
    """One line says which and why; all keys stay as shipped, also those that would have been right."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await until(pilot, lambda: "keys are as shipped" in " ".join(glass(app).split()))
        assert said in " ".join(glass(app).split())
        await press(pilot, "2")
        assert isinstance(app.screen, RunsScreen)
        await press(pilot, "ctrl+l")
        assert isinstance(app.screen, UnlockScreen)

    drive(steps, size=(120, 40), settings=Settings(Path("/none/screens.toml"), keys={"help": "f11", **keys}))


def test_two_acts_can_change_places() -> None:
    """A swap is no conflict."""
    name_all()
    assert checked({"runs": "9,f11", "log": "2,f2"}) == ({"runs": "9,f11", "log": "2,f2"}, "")

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "2")
        assert isinstance(app.screen, LogScreen)
        await press(pilot, "9")
        assert isinstance(app.screen, RunsScreen)

    drive(steps, settings=settings(runs="9,f11", log="2,f2"))


@pytest.mark.parametrize(
    ("way", "title", "words"),
    [
        ((), "Here: Table", "down, j"),
        (("3",), "Here: Page", "Arrows, page keys"),
        (("r",), "Here: List", "enter goes on"),
        (("r", "tab", "tab", "tab"), "Here: Button", "Enter or space"),
        (("3", "e"), "Here: Field", "F12 gives help"),
        (("ctrl+l",), "Here: Field", "F12 gives help"),
    ],
)
def test_help_begins_with_what_has_the_focus(way: tuple[str, ...], title: str, words: str) -> None:
    """F12 explains the table, the page, the list, the button or the field; escape comes back to it."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, *way)
        before = app.screen, app.screen.focused
        await press(pilot, "f12")
        assert isinstance(app.screen, HelpDialog)
        assert title in glass(app) and words in glass(app)
        await press(pilot, "f12")
        assert (app.screen, app.screen.focused) == before

    drive(steps)


def test_a_question_mark_in_a_field_is_a_sign() -> None:
    """In a passphrase ? is typed; elsewhere it gives help."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "question_mark")
        assert app.screen.query_one(Input).value == "?"

    drive(steps, backend=None)


def test_hints_and_empty_tables_name_the_keys_of_this_site() -> None:
    """Where a site moved an act, what tells to press its key tells the new one; foreign text stays."""
    empty = Simulator(audits_={})

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        assert (key_name(app, "run"), key_name(app, "log")) == ("z", "9")
        assert "press z to run an audit" in glass(app) and "press r" not in glass(app)
        await press(pilot, "3")
        await sees(pilot, app, "no audit has finished yet", "press z")
        await press(pilot, "8")
        await sees(pilot, app, "No audit has finished yet: press z")

    drive(steps, (132, 40), backend=empty, settings=settings(run="z"))


def test_a_hint_of_another_place_names_the_keys_of_this_site() -> None:
    """`press 6, then n` follows both keys, from a table and from a dialog over it; an own `then` as well."""
    empty = Simulator(view=replace(demo_overview(), models=()))

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await sees(pilot, app, "No model yet: press z, then f7 (")
        assert keyed(app.screen, "press 1, then r; then x") == "press 1, then r; then x"
        await press(pilot, "0", "n")
        await sees(pilot, app, "press escape, then z, then f7")
        await press(pilot, "escape", "z")
        assert (
            keyed(app.screen, "press m on one, then d on the other")
            == "press m on one, then f11 on the other"
        )

    drive(steps, backend=empty, settings=settings(models="z", models_new="f7", models_diff="f11"))


def test_what_is_typed_right_after_tab_goes_to_the_next_field() -> None:
    """A burst, as a password manager or a slow line sends it, is not typed into the field before."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "n")
        for key in ("a", "tab", "b", "shift+tab", "c"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await settle(pilot)
        assert [app.screen.query_one(f"#{name}", Input).value for name in ("path", "name")] == ["ac", "b"]

    drive(steps)


@pytest.mark.parametrize("name", KEYLINES)
def test_the_palette_lists_everything_with_its_key(name: str) -> None:
    """Every act of a screen that can be done now is in the palette, beside all its keys."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await go(pilot, app, name)
        listed = {command.title: command.help for command in app.get_system_commands(app.screen)}
        wanted = {
            (active.binding.description, key)
            for key, active in app.screen.active_bindings.items()
            if active.node in (app.screen, app) and active.binding.id and active.enabled
        }
        assert len(wanted) > 4
        for label, key in wanted:
            assert spelt(key) in listed[label].removeprefix("key ").split(", "), (label, key)

    drive(steps)


def test_the_palette_does_what_the_key_does() -> None:
    """F9, a name, enter: the screen's own act is done."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9", "f9")
        await press(pilot, *"verify")
        await until(pilot, lambda: "key v" in glass(app))
        await press(pilot, "enter", "enter")
        await until(pilot, lambda: "verified: all 148 entries" in glass(app))
        assert any(doing.act.label == "Verify" for doing in of_screen(app.screen))

    drive(steps)
