"""Every screen: reachable, loaded, and whole at every size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from appliance.errors import ApplianceError
from appliance.views import VerdictWord
from tests.tui.pilot import SIZES, drive, glass, press, sees, until
from tests.tui.simulator import Simulator, audit_view, demo_overview
from tui.app import GradAuditApp
from tui.places import PLACES
from tui.rooms import ROOMS
from tui.screens.help import HelpDialog
from tui.screens.log import LogScreen
from tui.screens.models import ModelsScreen
from tui.screens.overview import OverviewScreen
from tui.screens.result import ResultScreen
from tui.screens.runs import RunsScreen
from tui.settings import Settings
from tui.widgets.chrome import KeyLine
from tui.words import ORDER

KEYS = tuple(keys.partition(",")[0] for keys, _, _ in PLACES)


@pytest.mark.parametrize("size", SIZES)
def test_key_line_is_whole(size: tuple[int, int]) -> None:
    """At most seven keys, and each with its label on the last line, at every size."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        for key in KEYS:
            await press(pilot, key)
            keys = app.screen.query_one(KeyLine).shown()
            last = glass(app).splitlines()[-1]
            assert 5 <= len(keys) <= 7
            assert [label for _, _, label in keys if label not in last] == []
            assert len(last) == size[0]

    drive(steps, size)


@pytest.mark.parametrize("size", [(34, 12), (20, 8)])
def test_no_size_is_refused(size: tuple[int, int]) -> None:
    """On a tiny terminal the screens still open, and the key line falls back to keys alone."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        for key in KEYS:
            await press(pilot, key)
            last = glass(app).splitlines()[-1]
            assert all(display in last for _, display, _ in app.screen.query_one(KeyLine).shown())

    drive(steps, size)


def test_what_needs_a_person_names_the_key_of_its_place() -> None:
    """Behind each need stands the key of the place where it is seen to, as this site has it."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await sees(pilot, app, "1 d 23 h left press z", "not reviewed for 31 days press 9")
        await press(pilot, "z")
        assert isinstance(app.screen, ModelsScreen)

    drive(steps, (132, 60), settings=Settings(keys={"models": "z"}))


def test_number_and_function_keys_go_to_the_same_places() -> None:
    """1–3 and F1–F3 reach Overview, Audits, Result."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        for prefix in ("", "f"):
            seen = []
            for number in "231":
                await press(pilot, prefix + number)
                seen.append(type(app.screen))
            assert seen == [RunsScreen, ResultScreen, OverviewScreen]

    drive(steps)


@pytest.mark.parametrize("size", SIZES)
def test_overview_says_what_needs_a_person(size: tuple[int, int]) -> None:
    """Cases, verdict words, the reason in full, log health and the DEMO banner are on the first screen."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        shown = glass(app)
        for words in ("DEMO", "✗ overdue by 3 h", "▸ 56 d left", "✗ FAIL"):
            assert words in shown
        if size[0] >= 80:
            assert "3 more below need you" in shown
            assert "? INCONCLUSIVE" in shown
            assert "log intact" in shown
            assert "174 pairs" in shown
            assert "p = 0.0000002" in shown
            assert "2 ✗ FAIL   1 ? INCONCLUSIVE   1 · none yet" in shown

    drive(steps, size)


def test_the_last_row_brings_the_log_into_sight() -> None:
    """At 60x20 the cursor keys alone reach the log's health below the table."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        assert "log intact" not in glass(app)
        await press(pilot, "tab", "end")
        await until(pilot, lambda: "log intact" in glass(app) and "never audited" in glass(app))
        await press(pilot, "shift+tab", "end", "home")
        await until(pilot, lambda: "overdue by 3 h" in glass(app))

    drive(steps, size=(60, 20))


def test_enter_opens_the_result_of_the_model_under_the_cursor() -> None:
    """Behind the cases, down, enter: the second model's last audit."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "tab", "down", "enter")
        assert isinstance(app.screen, ResultScreen)
        assert "harbor-clip" in glass(app)

    drive(steps)


def test_a_model_without_audit_leads_to_the_run_dialog() -> None:
    """Enter on a model that was never audited offers to audit that one."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "tab", "end", "enter")
        assert "Run an audit" in glass(app)
        assert app.screen.models[app.screen.query_one("#model").highlighted].name == "north-vlm"

    drive(steps)


def test_a_version_without_audit_tells_the_verdict_before() -> None:
    """The table and the line below it have it; the badge is that of a model without audit."""
    backend, told = Simulator(), "north-vlm@1: FAIL, never audited since: leaks"
    rows = (*backend.view.models[:-1], replace(backend.view.models[-1], model="north-vlm@2", why=told))
    backend.view = replace(backend.view, models=rows)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "tab", "end")
        await until(pilot, lambda: told in glass(app))
        assert glass(app).count("north-vlm@1: FAIL") == 2
        assert "not audited yet" in glass(app)

    drive(steps, (132, 40), backend=backend)


@pytest.mark.parametrize("word", ORDER)
def test_verdict_is_boxed_word_glyph_and_position(word: VerdictWord) -> None:
    """Exactly the given verdict stands in the box, the five stay in their order, and reasons follow."""
    view = audit_view("a-1", "lumen-vlm", word)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "3")
        strip = next(line for line in glass(app).splitlines() if "REVIEW" in line and "VOID" in line)
        places = [strip.index(other.value) for other in ORDER]
        assert places == sorted(places)
        assert [other for other in ORDER if f"{other.value}▌" in strip] == [word]
        assert view.verdict.reasons[0][:40] in glass(app)

    drive(steps, backend=Simulator(audits_={"a-1": view}))


def test_result_holds_every_part() -> None:
    """Scrolled through, one result shows exposure, plots, tier, controls, layers, weights and digests."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "3")
        seen = glass(app)
        for words in (
            "21 of 46 patients",
            "12 % of patients",
            "E3: documented random split",
            "It does not prove how the data reached the vendor",
            "Flagged from 1.87 on",
            "AUROC 0.94",
            "not resolvable, 60 more controls needed",
            "✓ passed  pipeline identity",
            "– not run post-release studies",
            "language layer 3, mlp",
            "loss below base",
            "model digest   e77de77d",
            "network namespace not available",
            "✗ contradicted  C-1f3a77c0, differentially private",
            "ε = 1 at δ = 1e-06. Source: model card, section 4.",
            "epsilon is at least 2.31",
            "·  C-90ab12cd, not trained on customer data",
        ):
            assert words in seen
        assert "31–61 %" not in seen, "no interval of a count of flags: it is none of the exposed share"

    drive(steps, size=(150, 100))


def test_result_scrolls_by_keys() -> None:
    """End reaches the digests at 80x24."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "3")
        assert "policy digest" not in glass(app)
        await press(pilot, "end")
        await until(pilot, lambda: "policy digest" in glass(app))

    drive(steps)


def test_export_writes_where_the_person_says() -> None:
    """e, a file name, enter: the appliance is asked once, and the place is said."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "3", "e", "enter")
        assert [path.name for path in backend.written] == ["evidence-a-0003.zip"]
        assert "evidence pack evidence-a-0003.zip" in glass(app)

    drive(steps, backend=backend)


def test_log_fetches_pages_and_starts_with_the_newest() -> None:
    """Of five million entries only the pages on screen are asked for; home and end are both there at once."""
    backend = Simulator(entries=5_000_000)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9")
        assert "4,999,999" in glass(app)
        await press(pilot, "end")
        assert "entry 0 " in glass(app)
        assert sum(limit for _, limit in backend.requested) <= 4 * 128

    drive(steps, backend=backend)


def test_log_shows_the_entry_that_was_asked_for() -> None:
    """Row and detail agree with the appliance's own entry after moving across a page border."""
    backend = Simulator(entries=300)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9", *["pagedown"] * 13)
        index = 299 - app.screen.query_one("#log").cursor
        (entry,) = backend.log_entries(index, 1)
        assert index < 128
        assert f"entry {index:,}  {entry.act}: {entry.outcome}" in glass(app)

    drive(steps, backend=backend)


def test_verify_says_what_it_found() -> None:
    """v confirms an intact log, and shouts about a broken one."""
    broken = demo_overview()
    health = type(broken.log)(False, 148, "3fa9", "ten words", "entry 17 does not match its hash")

    async def intact(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9", "v")
        assert "verified: all 148 entries are as signed" in glass(app)

    async def shouts(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9", "v")
        assert "LOG BROKEN: entry 17 does not match" in glass(app)

    drive(intact)
    drive(shouts, backend=Simulator(view=type(broken)("s", True, (), health, 0, 0, 0, 0, ())))


@pytest.mark.parametrize(
    ("key", "call"), [("1", "overview"), ("2", "audits"), ("3", "audit"), ("9", "log_count")]
)
def test_an_error_is_one_line_with_its_hint(key: str, call: str) -> None:
    """Whatever call fails, the screen stays and says what to do."""
    failing = {call: ApplianceError("the catalogue does not answer", "run gradaudit doctor")}

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, key)
        assert "✗ the catalogue does not answer  hint: run gradaudit doctor" in glass(app)

    drive(steps, backend=Simulator(failing=failing))


def test_an_audit_as_published_says_so_above_everything() -> None:
    """The banner of the result names the way it was run, and the note says what that means."""
    view = audit_view("a-0009", "clear-vlm", VerdictWord.INCONCLUSIVE)
    view = replace(view, result=replace(view.result, as_published=True), sample_note="Run as published.")

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "3")
        await until(pilot, lambda: "Run as published." in glass(app))
        assert "AS PUBLISHED" in glass(app)

    drive(steps, backend=Simulator(view=replace(demo_overview(), demo=False), audits_={"a-0009": view}))


def test_an_empty_workspace_names_the_next_step() -> None:
    """No model, no audit, no log entry: the screens say how to get the first one."""
    known = demo_overview()
    view = type(known)("s", False, (), type(known.log)(True, 0, "", "", ""), 0, 0, 0, 0, ())

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        assert "gradaudit models add NAME FOLDER" in glass(app)
        assert "DEMO" not in glass(app)
        await press(pilot, "3")
        assert "no audit has finished yet  hint: press r to run one" in glass(app)
        await press(pilot, "r")
        assert "no model is registered  hint: press escape, then 6, then n" in glass(app)
        assert app.screen.query_one("#start").disabled

    drive(steps, backend=Simulator(view=view, entries=0, audits_={}))


def test_help_names_keys_and_verdicts() -> None:
    """? explains the screen below it, and escape returns there."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9", "question_mark")
        assert isinstance(app.screen, HelpDialog)
        shown = glass(app)
        assert "Verify" in shown
        assert "ctrl+p" in shown
        await press(pilot, "end")
        await until(pilot, lambda: "INCONCLUSIVE" in glass(app))
        await press(pilot, "escape")
        assert isinstance(app.screen, LogScreen)

    drive(steps, size=(80, 50))


def test_the_palette_holds_our_commands_alone() -> None:
    """No screenshot, no maximise, no foreign command in the palette."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Overview", "Runs", "Run", "Lock", "Quit"} <= titles
        assert not titles & {"Screenshot", "Maximize", "Keys", "Theme"}
        await press(pilot, "ctrl+p", *"runs")
        await until(pilot, lambda: "key 2, f2" in glass(app))
        assert "Screenshot" not in glass(app)

    drive(steps)


def test_every_place_has_a_screen() -> None:
    """Each place but the result, which needs an audit, names its screen; no screen is without a place."""
    assert {name for _, name, _ in PLACES} - {"result"} == set(ROOMS)


@pytest.mark.parametrize("place", ["7", "3", "5"])
def test_a_demonstration_says_so_wherever_somebody_goes_first(place: str) -> None:
    """Site and DEMO are there also when the Overview was left before it had read them."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        app.known = None
        await press(pilot, place)
        assert "DEMO" in glass(app).splitlines()[1]
        assert "St. Brigid General" in glass(app).splitlines()[0]

    drive(steps)
