"""Adding a schedule: when, which model, on whom, by which rules."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input

from appliance.errors import ApplianceError
from appliance.schedule_views import ALL, OWN, USUAL, Schedule, ScheduleView, usual
from tui.screens.dialog import Dialog
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Heading
from tui.widgets.fields import Field, Pick

EVERY_TIME, IF_NEW = "every time", "what is new or due"


class NewScheduleDialog(Dialog[ScheduleView]):
    """Answers with the schedule that was kept."""

    HELP_TEXT: ClassVar[str] = (
        "When: a usual choice with a time, or an own cron expression (minute hour day month weekday). All "
        "models: every one that is registered when it runs. What is new or due: it looks at the vendors' "
        "folders first, and audits only what has no audit on this cohort yet or whose last one is older than "
        "the policy's cadence. Window: local times between which a run may start, as 01:00-05:00; a run that "
        "was missed waits for it. Blackout: days on which nothing starts, as 2026-12-24..2026-12-26, several "
        "with commas. gradaudit serve or a timer of the machine has to start what is due; ./install.sh "
        "service installs both."
    )

    def compose(self) -> ComposeResult:
        """Fields, and two buttons."""
        with VerticalScroll(classes="dialog wide", can_focus=False):
            yield Heading("Add a schedule")
            yield Field("name", "name", hint="as weekly")
            yield Pick("when", "when", (*USUAL, OWN))
            yield Field("at", "at", "02:00")
            yield Field("expression", "cron", hint="0 2 * * 0")
            yield Pick("model", "model")
            yield Pick("cohort", "cohort")
            yield Pick("policy", "policy")
            yield Pick("audits", "audits", (EVERY_TIME, IF_NEW))
            yield Field("time zone", "zone", hint="this machine's when empty; as Europe/Vienna")
            yield Field("window", "window", hint="01:00-05:00 (may stay empty)")
            yield Field("blackout", "blackout", hint="2026-12-24..2026-12-26 (may stay empty)")
            yield Notice()
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="cancel")
                yield Button(Content("Add"), id="add", variant="primary", disabled=True)

    def on_mount(self) -> None:
        """Read what can be chosen."""
        self.query_one("#name", Input).focus()
        self._choose()
        self.run_worker(self._load(), exclusive=True)

    async def _load(self) -> None:
        ask, backend = self.app.ask, self.app.backend
        try:
            models = [view.name for view in await ask(backend.models)]
            cohorts = [view.name for view in await ask(backend.cohorts)]
            policies = await ask(backend.policies)
        except ApplianceError as error:
            self.query_one(Notice).complain(str(error), error.hint)
            return
        self.query_one("#model", Pick).offer((ALL, *models) if models else ())
        self.query_one("#cohort", Pick).offer(tuple(cohorts))
        self.query_one("#policy", Pick).offer(tuple(policies), "default")
        notice = self.query_one(Notice)
        if not models:
            notice.complain("no model is registered", "press escape, then 6, then n")
        elif not cohorts:
            notice.complain("no cohort is frozen", "press escape, then 5, then n")
        else:
            self.query_one("#add", Button).disabled = False

    def on_pick_changed(self, message: Pick.Changed) -> None:
        """A usual choice takes a time, an own one an expression."""
        self._choose()

    def _choose(self) -> None:
        own = self.query_one("#when", Pick).value == OWN
        self.query_one("#at", Input).disabled = own
        self.query_one("#cron", Input).disabled = not own

    def on_input_submitted(self) -> None:
        """Enter goes to the next field."""
        self.screen.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Add it, or leave."""
        if event.button.id == "add":
            self.run_worker(self._add(), exclusive=True, group="add")
        else:
            self.dismiss(None)

    async def _add(self) -> None:
        try:
            view = await self.app.ask(self.app.backend.add_schedule, self._wanted())
        except ApplianceError as error:
            self.query_one(Notice).complain(str(error), error.hint)
        else:
            self.dismiss(view)

    def _wanted(self) -> Schedule:
        when, model, cohort, policy = (
            self.query_one(f"#{name}", Pick).value for name in ("when", "model", "cohort", "policy")
        )
        name, at, own, zone, window, blackout = (
            self.query_one(f"#{name}", Input).value.strip()
            for name in ("name", "at", "cron", "zone", "window", "blackout")
        )
        cron = own if when == OWN else usual(when, at)
        spans = tuple(filter(None, (span.strip() for span in blackout.split(","))))
        watch = self.query_one("#audits", Pick).value == IF_NEW
        return Schedule(name, cron, zone, model, cohort, policy, window, spans, watch=watch)
