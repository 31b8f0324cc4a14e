"""`gradaudit audit …`: verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from appliance.commands.session import Json, opened
from appliance.narration import emit, progress, say, table

if TYPE_CHECKING:
    from appliance.api import Appliance
    from appliance.views import AuditView

EXIT_BY_VERDICT = {"PASS": 0, "REVIEW": 10, "FAIL": 11, "INCONCLUSIVE": 12, "VOID": 13}

audit = typer.Typer(help="Run audits and read their verdicts.", no_args_is_help=True)


@audit.command("run")
def audit_run(
    context: typer.Context,
    model: Annotated[str, typer.Option()],
    cohort_name: Annotated[str, typer.Option("--cohort")],
    policy_name: Annotated[str, typer.Option("--policy", help="NAME, NAME@VERSION or a file.")] = "default",
    as_published: Annotated[
        bool, typer.Option("--as-published", help="GradAudit as released decides: neither PASS nor FAIL.")
    ] = False,
    mask: Annotated[str, typer.Option(help="Which released mask; only with --as-published.")] = "",
    spike_in: Annotated[
        bool,
        typer.Option("--spike-in", help="No known members: show on a throw-away copy what would be seen."),
    ] = False,
    spike_in_epochs: Annotated[
        int,
        typer.Option(min=0, help="Epochs of the copy's training; 0: the policy's, or one. More bar PASS."),
    ] = 0,
    queue: Annotated[
        bool, typer.Option("--queue", help="In a process of its own, after those that wait; see `runs`.")
    ] = False,
    json_: Json = False,
) -> None:
    """Audit a model on a cohort under a policy. The exit code is the verdict's; of --queue 0."""
    from appliance.commands.runs import show

    with opened(context) as appliance, progress(json_) as step:
        if not (json_ or as_published):
            _say_price(appliance, model, cohort_name, policy_name)
        asked: dict[str, Any] = {"as_published": as_published, "mask": mask, "spike_in": spike_in}
        if queue:
            run = appliance.queue_audit(
                model, cohort_name, policy_name, **asked, spike_in_epochs=spike_in_epochs
            )
            show((run,), json_)
            return
        view = appliance.run_audit(
            model, cohort_name, policy_name, step, **asked, spike_in_epochs=spike_in_epochs
        )
    show_audit(view, json_)


@audit.command("resume")
def audit_resume(context: typer.Context, audit_id: str, json_: Json = False) -> None:
    """Go on with an audit that was cut off; its finished steps are read. The exit code is the verdict's."""
    with opened(context) as appliance, progress(json_) as step:
        view = appliance.resume_audit(audit_id, step)
    show_audit(view, json_)


@audit.command("abandon")
def audit_abandon(context: typer.Context, audit_id: str, json_: Json = False) -> None:
    """Give up an audit that was cut off: its sealed steps are removed."""
    with opened(context) as appliance:
        table(json_, (appliance.abandon_audit(audit_id),))


@audit.command("show")
def audit_show(context: typer.Context, audit_id: str, json_: Json = False) -> None:
    """Show a finished audit. The exit code is the verdict's."""
    with opened(context) as appliance:
        view = appliance.audit(audit_id)
    show_audit(view, json_)


@audit.command("ls")
def audit_ls(context: typer.Context, json_: Json = False) -> None:
    """List audits, newest first."""
    with opened(context) as appliance:
        table(json_, appliance.audits())


@audit.command("compare")
def audit_compare(context: typer.Context, first: str, second: str, json_: Json = False) -> None:
    """Show what differs between two finished audits, and what may not be compared and why."""
    from appliance.compared import compared

    with opened(context) as appliance:
        view = compared(appliance.audit(first), appliance.audit(second))
    table(json_, view.rows)


@audit.command("series")
def audit_series(context: typer.Context, audit_id: str, json_: Json = False) -> None:
    """Show exposure over the versions of an audit's model, and which audits stand apart and why."""
    from appliance.narration import tabular
    from appliance.pack.pages.wording import percent
    from appliance.views import plain
    from appliance.words.table import tell

    with opened(context) as appliance:
        view = appliance.audit_series(audit_id)
    limit = tell("series.no_limit") if view.limit is None else tell("series.limit", share=percent(view.limit))
    told = "\n".join(part for part in (tabular(view.points), limit, tabular(view.apart)) if part)
    emit(json_, plain(view), told)


def _say_price(appliance: Appliance, model: str, cohort: str, policy_name: str) -> None:
    """One line on what an audit takes whose deciding detector needs further forward passes; else none."""
    from appliance.pack.pages.wording import duration

    price = appliance.audit_price(model, cohort, policy_name)
    if price is not None:
        say(f"about {duration(price.seconds)} for {price.pairs} pairs: {price.basis}")


def show_audit(view: AuditView, json_: bool) -> None:
    """Print an audit, and leave with its verdict's exit code."""
    from appliance.pack.pages.text import verdict_lines, verdict_text
    from appliance.views import plain

    emit(json_, plain(view), verdict_text(view), verdict_lines(view))
    raise typer.Exit(EXIT_BY_VERDICT[view.verdict.word])
