"""Claim: what a vendor says of a model, every audit that supports or counters it, and the numbers of both."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content

from appliance.claims.views import Budget, ClaimAudit, ClaimView
from tui.screens.claim_dialogs import WithdrawDialog
from tui.screens.section import Section, navigation
from tui.text import foreign, line
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Facts, Heading
from tui.widgets.rows import Column, Rows
from tui.widgets.standings import claim_sign, effect_sign
from tui.widgets.verdict import badge
from tui.words import day, moment

_AUDITS = (
    Column("It", 13),
    Column("Verdict", 14),
    Column("Model", 12, flex=True),
    Column("ε at least", 10),
    Column("Claim allows", 12),
    Column("Tier", 4, drop=1),
    Column("Audited", 10, drop=2),
)

_NOISE = 1e-9  # of a float times 100: 4.4 stays 4.4


class ClaimScreen(Section):
    """One claim whole.

    Args:
        claim_id: of the claim.
        back: makes the screen that escape goes back to.
    """

    TITLE = "Claim"
    HELP_TEXT = (
        "A claim is contradicted where an audit fails for what was claimed, or where its lower bound on ε "
        "lies above the claim and the evidence is of tier E4; questioned where an audit ends in REVIEW, or "
        "an accountant computes more than is claimed; supported only to the share that an audit could have "
        "found. An audit that could not tell says nothing. A claim that came after an audit changes no "
        "verdict. enter shows the audit under the cursor, x withdraws the claim, escape goes back."
    )
    DEFAULT_CSS = """
    ClaimScreen Heading { margin: 0 1; }
    ClaimScreen Rows { height: auto; max-height: 6; margin: 0 1; }
    """
    NEEDS: ClassVar[dict[str, str]] = {"withdraw": "withdraw_claim"}
    BINDINGS = navigation(
        "models",
        Binding("escape,b", "back", "Back", key_display="esc"),
        Binding("enter", "open", "Its result", key_display="enter"),
        Binding("x", "withdraw", "Withdraw"),
        run=False,
    )

    def __init__(self, claim_id: str, back: Callable[[], Section]) -> None:
        super().__init__()
        self.claim_id, self.back = claim_id, back
        self.view: ClaimView | None = None

    def body(self) -> ComposeResult:
        """Audits above, everything else below."""
        yield Heading("Audits of what it speaks of", id="which")
        yield Rows(_AUDITS, self._cells, empty="No audit has finished yet: press r to run one.", id="audits")
        yield Heading("The claim")
        with VerticalScroll(id="page"):
            yield Facts(13, id="facts")

    async def load(self) -> None:
        """Read it."""
        self.view = view = await self.ask(self.app.backend.claim, self.claim_id)
        table = self.query_one(Rows)
        table.fill(len(view.audits))
        table.focus()
        sign = claim_sign(view.row.standing, self.app.glyphs)
        self.query_one("#which", Heading).add(
            sign if view.row.in_force else Content.styled("withdrawn", "$muted")
        )
        self._detail()

    def _cells(self, index: int) -> tuple[Content, ...] | None:
        if self.view is None:
            return None
        row = self.view.audits[index]
        return (
            effect_sign(row.effect, self.app.glyphs),
            badge(row.verdict, self.app.glyphs),
            foreign(row.model, "bold"),
            Content("–" if row.lower is None else at_least(row.lower)),
            Content("–" if row.allowed is None else f"{row.allowed:g}"),
            foreign(row.tier),
            foreign(day(row.finished_utc)),
        )

    def on_rows_moved(self) -> None:
        """Another audit."""
        self._detail()

    def _here(self) -> ClaimAudit | None:
        return self.view.audits[self.query_one(Rows).cursor] if self.view and self.view.audits else None

    def _detail(self) -> None:
        if self.view is not None:
            self.query_one(Facts).show(*self._facts(self.view))

    def _facts(self, view: ClaimView) -> Iterator[tuple[str, Content]]:
        """What the audit under the cursor does, then the claim."""
        row, here = view.row, self._here()
        if here is not None:
            late = "" if here.decided else " (claimed after it began: its verdict did not know the claim)"
            yield (
                "this audit",
                Content.assemble(effect_sign(here.effect, self.app.glyphs), foreign(f": {here.why}{late}")),
            )
        standing = claim_sign(row.standing, self.app.glyphs)
        yield "standing", Content.assemble(standing, foreign(f": {row.why}" if row.why else ""))
        yield "claim", foreign(row.says, "bold")
        yield "speaks of", foreign(row.model + (" and later versions" if row.later else " alone"))
        yield "source", foreign(row.source + (f", {row.dated}" if row.dated else ""))
        if view.budget is not None:
            yield "parameters", foreign(parameters(view.budget))
            yield from _accounts(view)
        for note in view.notes:
            yield "note", foreign(note)
        by = f"{view.by}, {moment(row.added_utc)} UTC"
        yield "kept", foreign(by if view.entry is None else f"{by}, log entry {view.entry:,}")
        yield "number", foreign(row.claim_id)
        if view.withdrawn_utc:
            yield "withdrawn", foreign(f"{moment(view.withdrawn_utc)} UTC: {view.reason}")

    def action_back(self) -> None:
        """Where it was opened."""
        self.app.switch_screen(self.back())

    def on_rows_chosen(self) -> None:
        """A click on the row under the cursor."""
        self.action_open()

    def action_open(self) -> None:
        """The result of the audit under the cursor."""
        here = self._here()
        if here is not None:
            self.app.open_result(here.audit_id)

    def action_withdraw(self) -> None:
        """Withdraw it."""
        if self.view is not None and self.view.row.in_force:
            self.app.push_screen(WithdrawDialog(self.view.row), lambda row: self.reload() if row else None)
        else:
            self.query_one(Notice).confirm("this claim is withdrawn already")


def parameters(budget: Budget) -> str:
    """The numbers of a claim of differential privacy; what the vendor does not say is said to be unsaid."""
    given = (
        ("noise", budget.noise),
        ("sampling rate", budget.sampling_rate),
        ("steps", budget.steps),
        ("records of one patient at most", budget.records_per_patient),
    )
    told = [f"ε {budget.epsilon:g}, δ {budget.delta:g}, hides one {budget.unit.value}"]
    told += [f"{name} {'not said' if value is None else f'{value:,g}'}" for name, value in given]
    told.append(f"neighbours {budget.neighbours.value if budget.neighbours else 'not said'}")
    return ", ".join(told + [f"accountant {line(budget.accountant)}"] * bool(budget.accountant))


def _accounts(view: ClaimView) -> Iterator[tuple[str, Content]]:
    """What accountants make of the parameters, or why nothing was recomputed."""
    if view.accounted_why:
        yield "recomputed", foreign(f"no: {view.accounted_why}")
    for one in view.accounts:
        if one.upper is None:
            told = f"{one.accountant}: no number; {one.why}"
        else:
            least = f", at least {at_least(one.lower)}" if one.lower is not None else ""
            told = f"{one.accountant}: ε at most {at_most(one.upper)}{least}"
        yield "recomputed", foreign(f"{told} ({view.accounted_by})" if view.accounted_by else told)


def at_least(bound: float) -> str:
    """A bound from below, rounded down."""
    return f"{math.floor(bound * 100 + _NOISE) / 100:g}"


def at_most(bound: float) -> str:
    """A bound from above, rounded up."""
    return f"{math.ceil(bound * 100 - _NOISE) / 100:g}"
