"""The tables of the policies' screen: versions, keys with their clauses, differences, dry runs, the text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content

from appliance.policies.views import Change, Effect, Outcome, State
from tui.glyphs import Glyphs
from tui.text import foreign, line, verbatim
from tui.widgets.rows import Column
from tui.widgets.verdict import badge
from tui.words import day, moment

if TYPE_CHECKING:
    from appliance.policies.views import ChangedKey, DryRunRow, KeyRow, PolicyRow, PolicyView

VERSIONS: Final = (
    Column("State", 11),
    Column("Policy", 14, flex=True),
    Column("Version", 8),
    Column("In force from", 16, drop=1),
    Column("Decided by", 16, flex=True, drop=2),
)
CHANGED: Final = (
    Column("Change", 9),
    Column("Key", 21, flex=True),
    Column("Old", 11, flex=True, drop=2),
    Column("New", 11, flex=True, drop=1),
    Column("Effect", 8),
)
AUDITS: Final = (
    Column("Would be", 17),
    Column("Was", 14),
    Column("Model", 12, flex=True),
    Column("Audited", 10, drop=1),
    Column("Under", 14, flex=True, drop=2),
)
EVERY: Final = (
    Column("Key", 28, flex=True),
    Column("Value", 16, flex=True),
    Column("Clause or note", 26, flex=True),
)
_CHANGES: Final = {Change.CHANGED: "*", Change.ADDED: "+", Change.REMOVED: "-"}
_EFFECTS: Final = {
    Effect.STRICTER: "bold $accent",
    Effect.LOOSER: "bold $review",
    Effect.NEITHER: "$muted",
}


def sign(state: State, glyphs: Glyphs) -> Content:
    """A version's state as sign and word."""
    signs = {
        State.IN_FORCE: (glyphs.passed, "bold $pass"),
        State.PROPOSED: (glyphs.verdicts["REVIEW"], "bold $review"),
        State.APPROVED: (glyphs.point, "bold $accent"),
        State.REPLACED: (glyphs.absent, "$muted"),
        State.REJECTED: (glyphs.failed, "$muted"),
    }
    glyph, style = signs[state]
    return Content.styled(f"{glyph} {state.value}", style)


def version_cells(row: PolicyRow, marked: bool, glyphs: Glyphs) -> tuple[Content, ...]:
    """One version."""
    return (
        sign(row.state, glyphs),
        Content.assemble(Content.styled("marked ", "$review") if marked else "", foreign(row.name, "bold")),
        foreign(row.version),
        foreign(moment(row.from_utc)),
        foreign(row.decided_by) if row.origin == "site" else Content.styled("as shipped", "$muted"),
    )


def key_cells(row: KeyRow) -> tuple[Content, ...]:
    """One key of a text: its value, and what the text says behind it."""
    return foreign(row.key, "bold"), foreign(row.value), foreign(row.note, "$muted")


def changed_cells(row: ChangedKey) -> tuple[Content, ...]:
    """One key with two values."""
    return (
        Content.styled(f"{_CHANGES[row.change]} {row.change.value}", "bold"),
        foreign(row.key),
        foreign(row.old),
        foreign(row.new),
        Content.styled(row.effect.value, _EFFECTS[row.effect]),
    )


def audit_cells(row: DryRunRow, glyphs: Glyphs) -> tuple[Content, ...]:
    """One audit under another policy."""
    would = badge(row.would_be, glyphs)
    if row.would_be is None:
        glyph = "?" if row.outcome is Outcome.UNKNOWN else glyphs.failed
        would = Content.styled(f"{glyph} {row.outcome.value}", "$inconclusive")
    elif row.outcome is Outcome.OTHER:
        would = Content.assemble(("* ", "bold $review"), would)
    return (
        would,
        badge(row.verdict, glyphs),
        foreign(row.model, "bold"),
        foreign(day(row.audited_utc)),
        foreign(row.policy),
    )


def asks_of_the_site(row: PolicyRow) -> str:
    """Quorum, retention and cadence in plain words."""
    if not row.quorum:
        return "What it asks of the site is not known: its text is of an earlier form."
    who = "one officer opens" if row.quorum == 1 else f"{row.quorum} officers together open"
    anew = f"models are audited anew: {', '.join(row.cadence)}" if row.cadence else "no model falls due again"
    return f"{who} findings; the log is kept for {row.log_years} years; {anew}."


def paragraphs(view: PolicyView) -> list[Content]:
    """Who decided, when, why; then the text."""
    told = []
    for deed in view.deeds:
        who = f"{deed.act} {moment(deed.utc)} UTC by {' and '.join(deed.by)}"
        since = f", from {moment(deed.from_utc)}" if deed.from_utc else ""
        reason = f": {deed.reason}" if deed.reason else ""
        told.append(foreign(f"{who}{since}{reason}", "bold"))
    shipped = Content.styled("Shipped with the software; nobody of this site has approved it.", "$muted")
    digest = Content.styled(f"SHA-256 {line(view.row.digest)}", "$muted")
    text = [verbatim(one or " ") for one in view.text.split("\n")]
    asks = foreign(asks_of_the_site(view.row))
    return [*(told or [shipped]), asks, digest, Content(" "), *text]
