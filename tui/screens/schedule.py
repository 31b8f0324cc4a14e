"""Schedule: what is watched and audited when, who looks after it, what came of it, and the week ahead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content

from appliance.errors import ApplianceError
from appliance.schedule_views import ComingRun, ScheduleView
from appliance.service_views import ServiceView
from tui.screens.new_schedule import NewScheduleDialog
from tui.screens.section import Section, navigation
from tui.screens.typed import TypedConfirm
from tui.text import foreign, line
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Facts, Heading, Lines
from tui.widgets.rows import Column, Rows
from tui.words import moment

_COLUMNS = (
    Column("Schedule", 12, flex=True),
    Column("Does", 7),
    Column("Next run", 44),
    Column("Last run", 14, flex=True, drop=1),
)
_AHEAD = (
    Column("Local time", 16),
    Column("UTC", 16, drop=2),
    Column("Schedule", 10, flex=True),
    Column("Model", 11, flex=True, drop=1),
    Column("What happens", 30, flex=True),
)


class ScheduleScreen(Section):
    """Audits that are due by themselves."""

    TITLE = "Schedule"
    HELP_TEXT = (
        "A schedule audits one model, or all of them, at set times. One that watches looks at the vendors' "
        "folders first and audits only what is new, or whose last audit is older than the policy's cadence. "
        "It starts nothing by itself: gradaudit serve, or a timer of this machine that calls gradaudit "
        "schedule run, starts what is due; the first line says whether somebody does. Runs that were missed "
        "are caught up by one. A run outside its window or in a blackout is not started; the week ahead says "
        "so. n adds a schedule, x removes the one under the cursor, u starts now what is due. tab goes to "
        "the week ahead."
    )
    DEFAULT_CSS = """
    ScheduleScreen Heading { margin: 0 1; }
    ScheduleScreen Rows { height: 1fr; min-height: 3; margin: 0 1; }
    ScheduleScreen #service { margin: 0 1; }
    ScheduleScreen #facts { padding: 0 1; min-height: 5; max-height: 7; background: $panel; }
    """
    NEEDS: ClassVar[dict[str, str]] = {
        "new": "add_schedule",
        "remove": "remove_schedule",
        "run_due": "run_due",
    }
    BINDINGS = navigation(
        "schedule",
        Binding("n", "new", "New"),
        Binding("x", "remove", "Remove"),
        Binding("u", "run_due", "Run due"),
        run=False,
    )

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[ScheduleView, ...] = ()
        self.ahead: tuple[ComingRun, ...] = ()

    def body(self) -> ComposeResult:
        """Schedules, the one under the cursor, the week ahead."""
        yield Lines(id="service")
        yield Heading("Schedules", id="planned")
        yield Rows(_COLUMNS, self._cells, empty="No schedule yet: press n to add one.", id="schedules")
        yield Facts(10, id="facts")
        yield Heading("The week ahead", id="ahead-head")
        yield Rows(_AHEAD, self._coming, empty="Nothing is due.", id="ahead")

    async def load(self) -> None:
        """Schedules first, then the week."""
        backend = self.app.backend
        self.rows = await self.ask(backend.schedules)
        table = self.query_one("#schedules", Rows)
        table.fill(len(self.rows))
        table.focus()
        self._detail(table)
        if "service" in self.app.may:
            self._attended(await self.ask(backend.service))
        self.ahead = await self.ask(backend.coming_runs)
        self.query_one("#ahead", Rows).fill(len(self.ahead))
        held = sum(bool(run.why) for run in self.ahead)
        self.query_one("#ahead-head", Heading).add(
            Content(f"{len(self.ahead):,} runs, {held:,} not started" if self.ahead else "")
        )

    def _attended(self, view: ServiceView) -> None:
        """Whether what is due is started by itself."""
        glyphs = self.app.glyphs
        sign, style = (
            (glyphs.verdicts["REVIEW"], "bold $review") if view.silent else (glyphs.passed, "$muted")
        )
        told = foreign(f"{sign} {view.told}", style)
        self.query_one("#service", Lines).show(told)

    def _cells(self, index: int) -> tuple[Content, ...]:
        row = self.rows[index]
        sign = self.app.glyphs.verdicts["REVIEW"]
        late = Content.styled(f"{sign} waits to be started", "bold $review")
        return (
            foreign(row.schedule.name, "bold"),
            Content("watches" if row.schedule.watch else "audits"),
            late if row.waiting_utc else foreign(row.next_told),
            foreign(row.last_told),
        )

    def _coming(self, index: int) -> tuple[Content, ...]:
        run = self.ahead[index]
        glyphs = self.app.glyphs
        return (
            foreign(moment(run.local)),
            foreign(moment(run.at_utc)),
            foreign(run.schedule),
            foreign(run.model),
            Content.assemble((f"{glyphs.failed} ", "bold $review"), foreign(run.why))
            if run.why
            else foreign(f"{glyphs.passed} {_will(run)}", "$muted"),
        )

    def _detail(self, table: Rows) -> None:
        """The row under the cursor of the table that has the focus, in full."""
        facts = self.query_one(Facts)
        if not table.count:
            facts.show()
        elif table.id == "ahead":
            run = self.ahead[table.cursor]
            facts.show(
                ("when", foreign(run.told, "bold")),
                ("in UTC", foreign(moment(run.at_utc))),
                (
                    "watches" if run.watch else "audits",
                    foreign(f"{run.model}, by the schedule {run.schedule}"),
                ),
                *([("audits", foreign(_audits(run)))] if run.watch else []),
                ("started", foreign(f"no: {run.why}" if run.why else "by the daemon or the machine's timer")),
            )
        else:
            facts.show(*self._facts(self.rows[table.cursor]))

    def _facts(self, view: ScheduleView) -> Iterator[tuple[str, Content]]:
        one = view.schedule
        held = [f"window {line(one.window)}"] * bool(one.window) + [f"not on {line(d)}" for d in one.blackout]
        rest = f", priority {one.priority}" if one.priority else ""
        when = foreign(f"({one.cron}), {one.zone}")
        yield "when", Content.assemble(foreign(view.meaning, "bold"), " ", when)
        panel = f"on {one.cohort} under {one.policy}{rest}"
        if one.watch:
            yield "watches", foreign(f"{one.model}; audits what is new or due {panel}")
        else:
            yield "audits", foreign(f"{one.model} {panel}")
        if held:
            yield "held", foreign(", ".join(held))
        yield "next", foreign(view.next_told)
        yield "last", foreign(view.last_told)

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Show it in full."""
        if message.rows.has_focus:
            self._detail(message.rows)

    def on_descendant_focus(self) -> None:
        """The other table's row."""
        if isinstance(self.focused, Rows):
            self._detail(self.focused)

    def action_new(self) -> None:
        """Add one."""
        self.app.push_screen(NewScheduleDialog(), self._added)

    def _added(self, view: ScheduleView | None) -> None:
        if view is not None:
            self.query_one(Notice).confirm(f"{view.schedule.name} is kept: {view.next_told}")
            self.reload()

    def action_remove(self) -> None:
        """Remove the one under the cursor, once its name is typed."""
        if self.rows:
            name = self.rows[self.query_one("#schedules", Rows).cursor].schedule.name
            note = (
                "Nothing will be started by it any more. Audits it has started go on; the log keeps its runs."
            )
            dialog = TypedConfirm("Remove a schedule", note, name, "Remove")
            self.app.push_screen(dialog, lambda yes: self._removed(name, bool(yes)))

    def _removed(self, name: str, yes: bool) -> None:
        if yes:
            self.run_worker(self._remove(name), exclusive=True, group="remove")

    async def _remove(self, name: str) -> None:
        try:
            await self.ask(self.app.backend.remove_schedule, name)
        except ApplianceError as error:
            self.complain(error)
        else:
            self.query_one(Notice).confirm(f"{name} is removed")
            self.reload()

    def action_run_due(self) -> None:
        """Start what is due now, as the machine's timer does."""
        self.run_worker(self._run_due(), exclusive=True, group="due")

    async def _run_due(self) -> None:
        try:
            started = await self.ask(self.app.backend.run_due)
        except ApplianceError as error:
            self.complain(error)
            return
        notice = self.query_one(Notice)
        asked = sum(bool(row.audit) for row in started)
        if failed := [row for row in started if row.why and not row.audit]:
            notice.complain(f"{failed[0].schedule}: {failed[0].model}: {failed[0].why}")
        else:
            notice.confirm(f"{asked} audits were asked for" if asked else "nothing is due")
        self.reload()


def _will(run: ComingRun) -> str:
    """What a run that is started comes to, as far as that is known now."""
    if not run.watch:
        return "will be started"
    return f"looks; audits {', '.join(run.audits)}" if run.audits else "looks; audits what has changed"


def _audits(run: ComingRun) -> str:
    due = f"{', '.join(run.audits)}, which are due; and " if run.audits else ""
    return f"{due}what has changed by then"
