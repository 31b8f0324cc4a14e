"""The Log screen: which entries, in which order, from where; verifying; the state in words; a file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from appliance.views import LogHealth
from tests.tui.pilot import drive, glass, press, settle, until
from tests.tui.simulator import Simulator
from tui.app import GradAuditApp
from tui.screens.log import LogScreen
from tui.screens.log_dialogs import LogExportDialog
from tui.screens.overview import log_line
from tui.widgets.rows import Rows


def fill(app: GradAuditApp, **values: str) -> None:
    """Write into the lines of the dialog in sight."""
    for name, value in values.items():
        app.screen.query_one(f"#{name}", Input).value = value


def test_a_filter_shows_what_fits_and_how_many() -> None:
    """Words that begin so and a span of time: exact count, the filter in words, x shows all again."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9", "f")
        fill(app, act="audit.", outcome="ok", since="2026-11-20 00", until="2026-11-20T00:01")
        await press(pilot, "enter")
        shown = " ".join(glass(app).split())
        assert "1 of 30 entries, newest first filter: act audit.…, outcome ok…" in shown
        assert "from 2026-11-20" in shown
        assert "cohort.create" not in shown
        await press(pilot, "x")
        assert "1 of 300 entries, newest first" in glass(app)

    drive(steps, backend=Simulator(entries=300))


def test_a_filter_is_there_again_to_be_changed() -> None:
    """The dialog opens with what was asked; All entries takes it away; escape changes nothing."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9", "f")
        fill(app, text="unlock")
        await press(pilot, "enter", "f")
        assert app.screen.query_one("#text", Input).value == "unlock"
        fill(app, text="ingest")
        await press(pilot, "escape")
        assert "filter: anything unlock…" in glass(app)
        await press(pilot, "f")
        await pilot.click("#all")
        await settle(pilot)
        assert "1 of 300 entries" in glass(app)

    drive(steps, backend=Simulator(entries=300))


def test_nothing_that_fits_names_the_key_to_press() -> None:
    """An empty answer is said as one."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9", "f")
        fill(app, actor="nobody")
        await press(pilot, "enter")
        assert "0 of 0 entries, newest first" in glass(app)
        assert "No entry fits the filter: x shows all." in glass(app)

    drive(steps, backend=Simulator(entries=300))


def test_a_wrong_time_is_said_and_the_table_stays() -> None:
    """What is no time is one line with a hint."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9", "f")
        fill(app, since="yesterday")
        await press(pilot, "enter")
        assert "not a time (UTC): yesterday" in glass(app)
        assert "1 of 300 entries, newest first" in glass(app)

    drive(steps, backend=Simulator(entries=300))


@pytest.mark.parametrize(
    ("where", "entry"),
    [("4000000", "4,000,000"), ("4,999,998", "4,999,998"), ("0", "0"), ("99999999", "4,999,999")],
)
def test_any_entry_is_gone_to(where: str, entry: str) -> None:
    """A number puts the cursor on that entry of five million, and only its page is asked for."""
    backend = Simulator(entries=5_000_000)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9", "n")
        fill(app, where=where)
        await press(pilot, "enter")
        assert f"entry {entry}  " in glass(app)
        place = 5_000_000 - int(entry.replace(",", ""))
        assert f"{place:,} of 5,000,000 entries, newest first" in glass(app)
        assert sum(limit for _, limit in backend.requested) <= 4 * 128

    drive(steps, backend=backend)


def test_a_date_is_gone_to_and_the_order_turns() -> None:
    """The first entry from a time on, in either order; turning the order keeps the entry."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9", "n")
        fill(app, where="2026-11-20 00:02")
        await press(pilot, "enter")
        assert "entry 120  " in glass(app)
        await press(pilot, "o")
        assert "121 of 300 entries, oldest first" in glass(app)
        assert "entry 120  " in glass(app)
        await press(pilot, "n")
        fill(app, where="2027")
        await press(pilot, "enter")
        assert "300 of 300 entries, oldest first" in glass(app)

    drive(steps, backend=Simulator(entries=300))


class Watched(Simulator):
    """Verifies when it is let go on."""

    def __init__(self) -> None:
        super().__init__(entries=5_000_000)
        self.go_on = threading.Event()
        self.ended = threading.Event()
        self.stopped = False

    def log_verify(self, on_step: Callable[[int, int], None] | None = None) -> LogHealth:
        """Tells of one step, waits, tells of another."""
        assert on_step is not None
        on_step(1_250_000, 5_000_000)
        self.go_on.wait(20)
        try:
            on_step(2_500_000, 5_000_000)
        except Exception:
            self.stopped = True
            raise
        finally:
            self.ended.set()
        return super().log_verify()


def test_verifying_says_how_far_it_is_and_the_table_goes_on() -> None:
    """While millions of entries are read the cursor moves and pages come; leaving the screen stops it."""
    backend = Watched()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9")
        await pilot.press("v")
        await until(pilot, lambda: "verifying: 1,250,000 of 5,000,000 entries (25 %)" in glass(app))
        await pilot.press("end")
        await until(pilot, lambda: "entry 0  " in glass(app))
        assert isinstance(app.screen, LogScreen)
        await pilot.press("1")
        await until(pilot, lambda: not isinstance(app.screen, LogScreen))
        backend.go_on.set()
        await until(pilot, backend.ended.is_set)
        await settle(pilot)

    drive(steps, backend=backend)
    assert backend.stopped


def test_the_state_is_shown_to_be_written_down() -> None:
    """Ten words, the key's words, and what each witness has seen."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9", "w")
        shown = " ".join(glass(app).replace("│", " ").split())
        assert "tudoz tudoz" in shown
        assert "stick has seen 145 entries on 2026-11-20 17:00" in shown
        await press(pilot, "escape")
        assert isinstance(app.screen, LogScreen)

    drive(steps)


def test_entries_are_written_to_a_file() -> None:
    """The thousand entries before the cursor are offered; two numbers and a name are asked for."""
    written = []

    class Writes(Simulator):
        def export_log(self, path: Path, form: str, first: int | None, last: int | None) -> Any:
            written.append((path.name, form, first, last))
            return super().export_log(path, form, first, last)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9", "e")
        fill(app, first="x")
        await press(pilot, "enter")
        assert isinstance(app.screen, LogExportDialog)
        fill(app, first="17")
        await press(pilot, "enter")
        assert "log-entries.jsonl: entries 17 to 4,999" in glass(app)

    drive(steps, backend=Writes(entries=5000))
    assert written == [("log-entries.jsonl", "jsonl", 17, 4999)]


def test_intact_is_said_of_what_was_re_derived_as_a_whole() -> None:
    """Four states of what is known, four sentences; only one of them says intact."""
    whole = LogHealth(True, 90, "ab" * 32, "words", "", "", "", 90, "2026-11-20T08:00:00Z")
    said = [
        log_line(health, "+", "x").plain
        for health in (
            whole,
            replace(whole, entries=102),
            replace(whole, verified_entries=0, verified_utc=""),
            LogHealth(False, 90, "", "words", "journal, entry 3: damaged"),
        )
    ]
    assert said[0].startswith("+ log intact, 90 entries")
    assert "verified 2026-11-20 08:00 up to entry 90, 12 new since checked as they came" in said[1]
    assert "not verified as a whole yet" in said[2]
    assert said[3].startswith("x LOG BROKEN: journal, entry 3: damaged")
    assert [True, False, False, False] == ["intact" in one for one in said]


def test_five_million_rows_scroll_to_every_end() -> None:
    """The table's last row is drawn on its last line, and the line above it is the row before."""
    backend = Simulator(entries=5_000_000)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "9", "end")
        table = app.screen.query_one(Rows)
        assert table.cursor == 4_999_999
        visible = table.scrollable_content_region.height - 1
        assert round(table.scroll_y) == 5_000_000 - visible
        last, before = (table.render_line(visible - up).text for up in (0, 1))
        assert "0  2026-11-20" in last
        assert "1  2026-11-20" in before
        await press(pilot, "home", "pagedown")
        assert f"entry {4_999_999 - table.cursor:,}  " in glass(app)

    drive(steps, backend=backend)
