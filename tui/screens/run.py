"""Ask for an audit: choose model, cohort and policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, OptionList

from appliance.errors import ApplianceError
from appliance.views import CohortView, ModelView
from tui.screens.dialog import Dialog
from tui.text import foreign, line
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Facts, Heading, Lines
from tui.words import ROLE

_LISTS = ("model", "cohort", "policy")


@dataclass(frozen=True, slots=True)
class Request:
    """What to audit, on whom, by which rules."""

    model: str
    cohort: str
    policy: str


class Choice(OptionList):
    """A list whose enter goes on; a plain binding, so that it acts after the keys pressed before it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "screen.next", "Next", show=False)]


class RunDialog(Dialog[Request]):
    """Three short lists side by side and what the highlighted ones are."""

    def __init__(self, model: str = "") -> None:
        super().__init__()
        self.preferred = model
        self.models: tuple[ModelView, ...] = ()
        self.cohorts: tuple[CohortView, ...] = ()
        self.policies: tuple[str, ...] = ()
        self.chosen = ""
        self._names: dict[str, list[str]] = {}

    def compose(self) -> ComposeResult:
        """Lists, description, buttons."""
        with Vertical(classes="dialog wide"):
            yield Heading("Run an audit")
            with Horizontal(id="choices"):
                for name, title in (("model", "Model"), ("cohort", "Cohort"), ("policy", "Policy")):
                    with Vertical():
                        yield Lines(Content.styled(title, "bold $muted"))
                        yield Choice(id=name, markup=False)
            yield Facts(8, id="chosen")
            yield Notice()
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="cancel")
                yield Button(Content("Start"), id="start", variant="primary", disabled=True)

    def on_mount(self) -> None:
        """Read what can be chosen."""
        self.run_worker(self._load(), exclusive=True)

    async def _load(self) -> None:
        ask, backend = self.app.ask, self.app.backend
        try:
            self.models = await ask(backend.models)
            self.cohorts = await ask(backend.cohorts)
            self.policies = await ask(backend.policies)
            self.chosen = (await ask(backend.setup)).policy
        except ApplianceError as error:
            self.query_one(Notice).complain(str(error), error.hint)
            return
        names = [model.name for model in self.models]
        self._offer("model", names, names.index(self.preferred) if self.preferred in names else 0)
        self._offer("cohort", [cohort.name for cohort in self.cohorts])
        self._offer("policy", list(self.policies), self._usual_policy())
        self._describe()
        self._lacking()
        self.query_one("#model", OptionList).focus()

    def _usual_policy(self) -> int:
        """The one this site chose, else `demo` in a demo workspace, else `default`, else the first."""
        demo = bool(self.app.known and self.app.known.demo)
        for name in (self.chosen, "demo" if demo else "", "default"):
            if name in self.policies:
                return self.policies.index(name)
        return 0

    def _lacking(self) -> None:
        """Say which command brings what is missing; without all three nothing can start."""
        notice = self.query_one(Notice)
        if not self.models:
            notice.complain("no model is registered", "press escape, then 6, then n")
        elif not self.cohorts:
            notice.complain("no cohort is frozen", "press escape, then 5, then n")
        elif not self.policies:
            notice.complain("no policy is installed", "gradaudit doctor")
        else:
            self.query_one("#start", Button).disabled = False

    def _offer(self, name: str, options: list[str], chosen: int = 0) -> None:
        choices = self.query_one(f"#{name}", OptionList)
        choices.add_options([self._prompt(option, False) for option in options])
        self._names[name] = options
        if options:
            choices.highlighted = chosen

    def _prompt(self, name: str, chosen: bool) -> Content:
        """A name with the sign that says which one is chosen; colour alone would not."""
        return Content.assemble(f"{self.app.glyphs.point} " if chosen else "  ", foreign(name))

    def _chosen(self, name: str) -> int | None:
        return self.query_one(f"#{name}", OptionList).highlighted

    def _describe(self) -> None:
        facts: list[tuple[str, Content]] = []
        model, cohort = self._chosen("model"), self._chosen("cohort")
        if model is not None and model < len(self.models):
            view = self.models[model]
            base = "with its base" if view.has_base else "without a base"
            vendor = line(view.vendor) or "nobody named"
            text = f"{line(view.family)}, {view.parameters:,} parameters, {base}, from {vendor}"
            facts.append(("model", Content(text)))
        if cohort is not None and cohort < len(self.cohorts):
            chosen = self.cohorts[cohort]
            counts = ", ".join(f"{number} {ROLE.get(role, line(role))}" for role, number in chosen.counts)
            facts.append(("cohort", Content(counts)))
            facts.append(("design", foreign(f"{chosen.design}, references {chosen.references}")))
        self.query_one("#chosen", Facts).show(*facts)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Mark and describe what is highlighted."""
        choices = event.option_list
        for index, name in enumerate(self._names.get(choices.id or "", [])):
            choices.replace_option_prompt_at_index(index, self._prompt(name, index == choices.highlighted))
        self._describe()

    def action_next(self) -> None:
        """From one list to the next, from the last to Start; at once, where `.focus()` would be queued."""
        following = dict(zip(_LISTS, (*_LISTS[1:], "start"), strict=True))
        if self.focused is not None and self.focused.id in following:
            self.set_focus(self.query_one(f"#{following[self.focused.id]}"))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Start, or leave."""
        picked = [self._chosen(name) for name in _LISTS]
        if event.button.id != "start" or None in picked:
            self.dismiss(None)
            return
        model, cohort, policy = (index or 0 for index in picked)
        self.dismiss(Request(self.models[model].name, self.cohorts[cohort].name, self.policies[policy]))
