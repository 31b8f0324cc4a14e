"""Freezing a cohort: who plays which role, how alike the roles are, then freezing it."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Button, Input

from appliance.cohort_request import CohortRequest
from appliance.pack.pages.wording import percent
from appliance.views import CohortView
from tui.screens.working import WorkDialog
from tui.text import foreign, line
from tui.widgets.chrome import Notice
from tui.widgets.fields import Field, Pick
from tui.words import ROLE

_ROLES = ("target", "control", "member", "bank", "post_release")
_SHOWN = 4  # differences between targets and controls


class NewCohortDialog(WorkDialog):
    """The balance is shown before anything is frozen."""

    TITLE = "Freeze a cohort"
    NOTE = "Each role: a list (a file), a query as in Modality=CT StudyDate>=2024-01-01, all, or rest."
    ACT = "Show balance"
    WORK = "cohort"
    HELP_TEXT: ClassVar[str] = (
        "Targets are the patients in question, controls are known not to be in the training data, members "
        "are known to be in it. A query has keys such as Modality, BodyPartExamined or StudyDate and "
        "compares with = != <= >=; rest is every patient no other role names. Design says how roles came "
        "about: random where they were drawn, convenience where they were at hand. References say where "
        "members come from: L1 named by the vendor, L2 public, L3 handed over, L4 spike-in, L5 none. Show "
        "balance keeps nothing; Freeze looks for near-duplicates and keeps it for good. Sizes, matched "
        "controls and further roles: gradaudit cohort create --help."
    )

    def __init__(self) -> None:
        super().__init__()
        self.seen: tuple[str, ...] = ()  # what the balance on the screen is of

    def fields(self) -> ComposeResult:
        """Name, roles, design."""
        yield Field("name", "name", hint="chest-2026")
        yield Field("targets", "target", hint="list or query")
        yield Field("controls", "control", hint="list, query or rest")
        yield Field("members", "member", hint="list or query (may stay empty)")
        yield Field("anchor bank", "bank", hint="for two-tower models (may stay empty)")
        yield Field("newer", "post_release", hint="studies after the model's release (may stay empty)")
        yield Pick("design", "design", ("convenience", "random"))
        yield Pick("references", "references", ("L5", "L4", "L3", "L2", "L1"))

    def _asked(self) -> tuple[str, ...]:
        picks = (self.query_one(f"#{name}", Pick).value for name in ("design", "references"))
        return (*(self.value(name) for name in ("name", *_ROLES)), *picks)

    def act(self) -> None:
        """Show the balance of what was not shown yet; then freeze it."""
        asked = self._asked()
        if not asked[0]:
            self.query_one(Notice).complain("the cohort has no name", "as in chest-2026")
            return
        name, *texts, design, references = asked
        request = CohortRequest(name, dict(zip(_ROLES, texts, strict=True)), design, references, 0.4, 0)
        backend = self.app.backend
        if asked == self.seen:
            self.begin(lambda step: ("frozen", backend.create_cohort(request, step)))
        else:
            self.seen = ()
            self.begin(lambda step: ("tried", backend.try_cohort(request)))

    def on_input_changed(self, event: Input.Changed) -> None:
        """What is changed is shown anew first."""
        self._changed()

    def on_pick_changed(self, message: Pick.Changed) -> None:
        """Likewise."""
        self._changed()

    def _changed(self) -> None:
        if self.seen and self._asked() != self.seen:
            self.offer("Show balance")

    def done(self, result: Any) -> None:
        """The balance, or that it is frozen."""
        kind, view = result
        act = self.query_one("#act", Button)
        if kind == "tried":
            self.seen = self._asked()
            self.offer("Freeze")
            self.tell(*_balance(view))
        else:
            self.changed, self.seen = True, ()
            self.tell(
                Content.assemble("frozen: ", foreign(view.name, "bold"), f", digest {view.digest[:16]}…")
            )
        act.focus()


def _balance(view: CohortView) -> list[Content]:
    """Patients per role, what may mislead, and where targets and controls differ most."""
    counts = ", ".join(f"{number:,} {ROLE.get(role, line(role))}" for role, number in view.counts)
    told = [Content.styled(counts, "bold")]
    told += [Content.assemble(("! ", "bold $review"), foreign(warning)) for warning in view.warnings[:_SHOWN]]
    remarked = [one for one in view.balance.differences if one.remark] if view.balance else []
    for one in remarked[:_SHOWN]:
        what = f"{line(one.characteristic)} {line(one.value)}".strip()
        told.append(
            Content.assemble(
                f"{what}: targets {_share(one.targets, one.value)}, controls "
                f"{_share(one.controls, one.value)}, ",
                foreign(one.remark),
            )
        )
    if not remarked:
        told.append(Content("targets and controls are alike in all that is compared"))
    return told


def _share(value: float, word: str) -> str:
    return percent(value) if word else f"{value:.5g}"
