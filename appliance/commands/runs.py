"""`gradaudit runs …`: audits in their queue and at work in a process of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from appliance.commands.session import Json, opened
from appliance.narration import say, table, tabular

if TYPE_CHECKING:
    from appliance.runs.views import RunView

runs = typer.Typer(help="Audits in the queue: look, pause, resume, cancel.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class _Line:
    """A run as a reader wants it."""

    run: str
    state: str
    model: str
    cohort: str
    policy: str
    progress: str
    left: str


@runs.command("ls")
def runs_ls(context: typer.Context, json_: Json = False) -> None:
    """List the audit at work, those that wait in their order, and those that were paused or cut off."""
    with opened(context) as appliance:
        views = appliance.runs()
    show(views, json_)
    if not (views or json_):
        say("no audit waits or is at work; `gradaudit audit ls` lists those that have ended")


@runs.command("show")
def runs_show(context: typer.Context, run_id: str, json_: Json = False) -> None:
    """Show one run, phase by phase, and why it does not go on."""
    from appliance.errors import UsageError

    with opened(context) as appliance:
        view = next((one for one in appliance.runs() if one.run_id == run_id), None)
    if view is None:
        raise UsageError(f"no run {run_id} waits or is at work", "see `gradaudit runs ls`")
    phases = tabular(view.phases, ("name", "done", "total", "unit"))
    table(json_, (view,), text=tabular([_line(view)]) + phases)
    if view.why and not json_:
        say(view.why)


@runs.command("pause")
def runs_pause(context: typer.Context, run_id: str, json_: Json = False) -> None:
    """Stop a run and keep what it has measured; those that wait go on when one is resumed."""
    with opened(context) as appliance:
        show((appliance.pause_run(run_id),), json_)


@runs.command("resume")
def runs_resume(context: typer.Context, run_id: str, json_: Json = False) -> None:
    """Go on with a run that was paused or cut off, before those that wait."""
    with opened(context) as appliance:
        show((appliance.resume_run(run_id),), json_)


@runs.command("first")
def runs_first(context: typer.Context, run_id: str, json_: Json = False) -> None:
    """Move a run that waits before the others."""
    with opened(context) as appliance:
        show((appliance.first_run(run_id),), json_)


@runs.command("cancel")
def runs_cancel(context: typer.Context, run_id: str) -> None:
    """Give a run up for good: what it has measured is removed."""
    with opened(context) as appliance:
        appliance.cancel_run(run_id)
    say(f"run {run_id} is given up")


def show(views: tuple[RunView, ...], json_: bool) -> None:
    """Print runs."""
    table(json_, views, text=tabular([_line(view) for view in views]))


def _line(view: RunView) -> _Line:
    from appliance.pack.pages.wording import duration, percent

    state = f"{view.state} {view.place}" if view.place else str(view.state)
    present = view.phases[-1] if view.phases else None
    progress = f"{present.name} {percent(round(present.share, 2))}" if present is not None else ""
    left = f"about {duration(view.left_s)}" if view.left_s is not None else ""
    return _Line(view.run_id, state, view.model, view.cohort, view.policy, progress, left)
