"""`gradaudit case …`: what became of a FAIL or REVIEW, and the clocks that run from it. Times are UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from appliance.commands.session import Json, opened
from appliance.narration import aligned, emit, say, table
from appliance.words.table import tell

if TYPE_CHECKING:
    from appliance.cases.views import CaseRow, CaseView, ClockView

case = typer.Typer(
    help="Cases: a FAIL or REVIEW opens one; its clocks run from the verdict's entry.", no_args_is_help=True
)

Reason = Annotated[str, typer.Option(help="Why, in a sentence; sealed, the log has its digest.")]


@case.command("ls")
def case_ls(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Closed ones as well.")] = False,
    json_: Json = False,
) -> None:
    """List cases, overdue ones first, with the time left on both clocks."""
    from appliance.cases.views import CaseState

    with opened(context) as appliance:
        rows = appliance.cases()
    open_ = [row for row in rows if row.state is not CaseState.CLOSED]
    given = list(rows) if all_ else open_
    clocks = [clock.name for clock in given[0].clocks] if given else []
    header = ["audit", "model", "verdict", "state", "owner", "known", *clocks]
    table(json_, given, text=aligned(header, [_cells(row) for row in given]) if given else "")
    if json_:
        return
    if len(rows) > len(given):
        say(tell("case.closed", number=len(rows) - len(given)))


@case.command("show")
def case_show(context: typer.Context, audit_id: str, json_: Json = False) -> None:
    """Show one case: clocks, owner, and every step with its reason."""
    with opened(context) as appliance:
        _show(appliance.case(audit_id), json_)


@case.command("assign")
def case_assign(
    context: typer.Context,
    audit_id: str,
    owner: Annotated[str, typer.Option(help="A user of the workspace; yourself if not given.")] = "",
    json_: Json = False,
) -> None:
    """Give a case an owner. Officers only."""
    with opened(context) as appliance:
        _show(appliance.assign_case(audit_id, owner), json_)


@case.command("decide")
def case_decide(
    context: typer.Context,
    audit_id: str,
    decision: Annotated[str, typer.Argument(help="accepted, disputed, referred or closed.")],
    reason: Reason,
    answers: Annotated[
        list[str] | None,
        typer.Option(help="A clock that this answers, 72h or 60d; may be given twice. closed answers both."),
    ] = None,
    json_: Json = False,
) -> None:
    """Write down a decision with its reason. Officers only."""
    with opened(context) as appliance:
        _show(appliance.decide_case(audit_id, decision, reason, tuple(answers or ())), json_)


@case.command("reopen")
def case_reopen(context: typer.Context, audit_id: str, reason: Reason, json_: Json = False) -> None:
    """Take a decision back: both clocks run again, from the same first knowledge. Officers only."""
    with opened(context) as appliance:
        _show(appliance.reopen_case(audit_id, reason), json_)


def _cells(row: CaseRow) -> list[str]:
    known = row.known_utc[:16].replace("T", " ")
    return [row.audit_id, row.model, row.verdict, row.state, row.owner, known, *(c.said for c in row.clocks)]


def _show(view: CaseView, json_: bool) -> None:
    from appliance.sanitise import safe
    from appliance.views import plain

    row = view.row
    lines = [
        tell("case.head", audit=row.audit_id, verdict=row.verdict, model=row.model, state=row.state),
        tell("case.fact.why", why=row.why),
        tell("case.fact.known", known=_known(row)),
        tell("case.fact.owner", owner=row.owner or tell("case.nobody")),
        tell("case.fact.policy", policy=row.policy, digest=row.policy_digest),
        *(f"{clock.name:6} {clock.said}; {_limit(clock)} ({clock.law})" for clock in row.clocks),
    ]
    for step in view.steps:
        what = [tell(f"case.step.{step.what}", owner=safe(step.owner))]
        what += [tell("case.answers", clocks=", ".join(step.answers))] if step.answers else []
        lines.append(f"{', '.join(what)}  {tell('case.by', moment=_minute(step.done_utc), who=step.by)}")
        if step.reason:
            lines.append(f"    {safe(step.reason, 2000)}")
    emit(json_, plain(view), "\n".join(lines))
    if not json_:
        for note in view.notes:
            say(note)


def _known(row: CaseRow) -> str:
    given = {"moment": _minute(row.known_utc), "audit": row.audit_id}
    return (
        tell("case.known", **given)
        if row.entry is None
        else tell("case.known.entry", entry=row.entry, **given)
    )


def _limit(clock: ClockView) -> str:
    return tell("clock.limit", moment=_minute(clock.due_utc))


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")
