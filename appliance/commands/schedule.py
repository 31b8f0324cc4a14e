"""`gradaudit schedule …`: audits that are due by themselves, and the command that a timer calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from appliance.commands.session import Json, opened
from appliance.narration import aligned, emit, progress, say, table

if TYPE_CHECKING:
    from appliance.schedule_views import ScheduleView

schedule = typer.Typer(help="Audits that are due by themselves.", no_args_is_help=True)


@schedule.command("add")
def schedule_add(
    context: typer.Context,
    name: str,
    cron: Annotated[str, typer.Option(help="Minute, hour, day, month, weekday; as in '0 2 * * 0'.")],
    cohort_name: Annotated[str, typer.Option("--cohort")],
    model: Annotated[str, typer.Option(help="Name of a registered model, or all.")] = "all",
    policy_name: Annotated[str, typer.Option("--policy", help="Name of a policy; no file.")] = "default",
    zone: Annotated[str, typer.Option(help="As in Europe/Vienna; this machine's when empty.")] = "",
    window: Annotated[str, typer.Option(help="Start only between these local times: 01:00-05:00.")] = "",
    blackout: Annotated[
        list[str] | None,
        typer.Option(help="Start nothing on these days: 2026-12-24..2026-12-26; repeatable."),
    ] = None,
    priority: Annotated[int, typer.Option(help="A higher one is started first.")] = 0,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look at the vendors' folders, and audit what is new or due.")
    ] = False,
    json_: Json = False,
) -> None:
    """Keep a schedule; `schedule run`, called by a timer, starts what is due."""
    from appliance.schedule_views import Schedule
    from appliance.views import plain

    days = tuple(blackout or ())
    wanted = Schedule(name, cron, zone, model, cohort_name, policy_name, window, days, priority, watch=watch)
    with opened(context) as appliance:
        view = appliance.add_schedule(wanted)
    emit(json_, plain(view), _told(view))


@schedule.command("ls")
def schedule_ls(context: typer.Context, json_: Json = False) -> None:
    """List schedules: what is audited when, the next run, what came of the last one."""
    from appliance.views import plain
    from appliance.words.table import tell

    with opened(context) as appliance:
        views = appliance.schedules()
    for view in views:
        emit(json_, plain(view), _told(view))
    if not views:
        say(tell("schedule.none"))


@schedule.command("rm")
def schedule_rm(context: typer.Context, name: str, json_: Json = False) -> None:
    """Remove a schedule; audits it has started go on."""
    from appliance.words.table import tell

    with opened(context) as appliance:
        appliance.remove_schedule(name)
    emit(json_, {"removed": name}, tell("schedule.removed", name=name))


@schedule.command("next")
def schedule_next(
    context: typer.Context,
    days: Annotated[int, typer.Option(min=1, max=366, help="How far to look.")] = 7,
    json_: Json = False,
) -> None:
    """List the runs of the coming week in local time and UTC, and why one will not be started."""
    with opened(context) as appliance:
        table(json_, appliance.coming_runs(days), ("schedule", "model", "local", "at_utc", "audits", "why"))


@schedule.command("run")
def schedule_run(context: typer.Context, json_: Json = False) -> None:
    """Start what is due now, for a timer; exit 1 where an audit that is due could not be started."""
    from appliance.words.table import tell

    with opened(context) as appliance, progress(json_) as step:
        started = appliance.run_due(step)
    table(json_, started)
    if not started:
        say(tell("schedule.nothing_due"))
    for row in started:
        if row.why:
            say(f"{row.schedule}: {row.model}: {row.why}")
    if any(row.why for row in started):
        raise typer.Exit(1)


def _told(view: ScheduleView) -> str:
    """A schedule in lines for a reader."""
    one = view.schedule
    held = [one.window and f"window {one.window}", *(f"blackout {span}" for span in one.blackout)]
    facts = [
        ["when", f"{view.meaning} ({one.cron}), {one.zone}"],
        [
            "watches" if one.watch else "audits",
            f"{one.model} on {one.cohort} under {one.policy}, priority {one.priority}",
        ],
        ["held", ", ".join(filter(None, held))],
        ["next", view.next_told],
        ["last", view.last_told],
    ]
    return aligned([one.name, ""], facts)
