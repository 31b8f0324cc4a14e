"""`gradaudit claim …`: what vendors claim of their models, and how that stands against what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from appliance.commands.session import Json, opened
from appliance.narration import emit, say, table, tabular

if TYPE_CHECKING:
    from appliance.claims.views import Budget, ClaimView

claim = typer.Typer(
    help="What vendors claim of their models, against what was measured.", no_args_is_help=True
)


@claim.command("add")
def claim_add(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="NAME is the newest version, NAME@1 the first.")],
    kind: Annotated[str, typer.Option(help="not-trained, de-identified or dp.")],
    source: Annotated[str, typer.Option(help="Where the vendor says so: contract, data sheet, letter.")],
    dated: Annotated[str, typer.Option(help="Of the source, as YYYY-MM-DD.")] = "",
    later: Annotated[bool, typer.Option("--later", help="The vendor says it of later versions too.")] = False,
    epsilon: Annotated[float | None, typer.Option(help="dp: as claimed.")] = None,
    delta: Annotated[float | None, typer.Option(help="dp: as claimed.")] = None,
    noise: Annotated[float | None, typer.Option(help="dp: noise multiplier.")] = None,
    sampling_rate: Annotated[float | None, typer.Option(help="dp: share of the records in a batch.")] = None,
    steps: Annotated[int | None, typer.Option(help="dp: of the optimiser.")] = None,
    unit: Annotated[str, typer.Option(help="dp: what is hidden, record or patient.")] = "record",
    records_per_patient: Annotated[int | None, typer.Option(help="dp: the most of one patient.")] = None,
    neighbours: Annotated[
        str, typer.Option(help="dp: add-remove or replace; left out where the vendor does not say.")
    ] = "",
    accountant: Annotated[str, typer.Option(help="dp: that the vendor names.")] = "",
    json_: Json = False,
) -> None:
    """Record a claim with its source; one of differential privacy is recomputed at once."""
    from appliance.claims.views import KINDS, NEIGHBOURS, UNITS, Budget, ClaimRequest, chosen

    budget: Budget | None = None
    numbers = (epsilon, delta, noise, sampling_rate, steps, records_per_patient)
    if epsilon is not None and delta is not None:
        budget = Budget(
            epsilon,
            delta,
            noise,
            sampling_rate,
            steps,
            chosen(UNITS, unit, "unit"),
            records_per_patient,
            chosen(NEIGHBOURS, neighbours, "neighbours") if neighbours else None,
            accountant,
        )
    elif any(number is not None for number in numbers):
        raise typer.BadParameter("a claim of differential privacy needs --epsilon and --delta")
    request = ClaimRequest(model, chosen(KINDS, kind, "kind"), source, dated, later, budget)
    with opened(context) as appliance:
        _show(appliance.add_claim(request), json_)


@claim.command("ls")
def claim_ls(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Only claims that speak of this model.")] = "",
    all_: Annotated[bool, typer.Option("--all", help="Withdrawn ones as well.")] = False,
    json_: Json = False,
) -> None:
    """List claims with their standing: supported, contradicted, questioned or not tested."""
    with opened(context) as appliance:
        rows = appliance.claims(model)
    given = [row for row in rows if all_ or row.in_force]
    shown = ("claim_id", "model", "later", "says", "standing", "why", "source", "dated")
    table(json_, given, (*shown, "in_force") if all_ else shown)
    if not json_ and len(rows) > len(given):
        say(f"{len(rows) - len(given)} withdrawn, listed with --all")


@claim.command("show")
def claim_show(context: typer.Context, claim_id: str, json_: Json = False) -> None:
    """Show one claim: its numbers, what accountants make of them, and every audit for or against it."""
    with opened(context) as appliance:
        _show(appliance.claim(claim_id), json_)


@claim.command("recompute")
def claim_recompute(context: typer.Context, claim_id: str, json_: Json = False) -> None:
    """Let opacus' accountants recompute an epsilon from the vendor's own parameters."""
    with opened(context) as appliance:
        _show(appliance.recompute_claim(claim_id), json_)


@claim.command("withdraw")
def claim_withdraw(
    context: typer.Context,
    claim_id: str,
    reason: Annotated[str, typer.Option(help="Why, in a sentence; sealed, the log has its digest.")],
    json_: Json = False,
) -> None:
    """Let a claim count no more for audits to come; it stays readable."""
    with opened(context) as appliance:
        _show(appliance.withdraw_claim(claim_id, reason), json_)


def _show(view: ClaimView, json_: bool) -> None:
    from appliance.views import plain

    emit(json_, plain(view), "\n".join(_lines(view)))
    if not json_:
        for note in view.notes:
            say(note)


def _lines(view: ClaimView) -> list[str]:
    row = view.row
    dated = f", {row.dated}" if row.dated else ""
    lines = [
        f"claim {row.claim_id} of {row.model}{' and later versions' if row.later else ''}: {row.says}",
        f"standing  {row.standing}: {row.why}",
        f"source    {row.source}{dated}; recorded {row.added_utc[:16].replace('T', ' ')} UTC by {view.by}",
    ]
    if not row.in_force:
        lines.append(f"withdrawn {view.withdrawn_utc[:16].replace('T', ' ')} UTC: {view.reason}")
    if view.budget is not None:
        lines.append(f"claimed   {_told(view.budget)}")
    for one in view.accounts:
        found = one.why if one.upper is None else f"epsilon up to {one.upper:.3f}"
        lines.append(f"{one.accountant:9} {found} ({view.accounted_by})")
    if view.accounted_why:
        lines.append(f"accounts  {view.accounted_why}")
    audits = tabular(view.audits, ("audit_id", "model", "verdict", "tier", "effect", "lower", "allowed"))
    lines += ["", audits.rstrip("\n")] if audits else []
    lines += [f"{one.audit_id}: {one.why}" for one in view.audits if one.why]
    return lines


def _told(budget: Budget) -> str:
    """Every number that is claimed, in a line."""
    given = {
        "epsilon": budget.epsilon,
        "delta": budget.delta,
        "noise multiplier": budget.noise,
        "sampling rate": budget.sampling_rate,
        "steps": budget.steps,
        "unit": budget.unit,
        "records per patient": budget.records_per_patient,
        "neighbours": budget.neighbours,
        "accountant": budget.accountant or None,
    }
    named = ((name, value) for name, value in given.items() if value is not None)
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in named
    )
