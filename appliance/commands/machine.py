"""`gradaudit doctor | health | demo`: does it work here, how does it stand, and what does it do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from appliance.commands.session import Json
from appliance.narration import emit, progress, say


def doctor(
    json_: Json = False,
    installation: Annotated[
        bool, typer.Option("--installation", help="Only what was installed, not the machine.")
    ] = False,
) -> None:
    """Check this machine and say how to mend what is missing."""
    from appliance import doctor
    from appliance.views import plain

    results = doctor.installation() if installation else doctor.checks()
    lines = [
        f"{check.status:8} {check.name}: {check.sentence}"
        + (f"\n         {check.hint}" if check.hint else "")
        for check in results
    ]
    emit(json_, {"checks": [plain(check) for check in results]}, "\n".join(lines))
    if any(check.status == "failure" for check in results):
        raise typer.Exit(1)


def health(context: typer.Context, json_: Json = False) -> None:
    """How this site stands, for monitoring: needs no passphrase. Exit code 0 ok, 1 warning, 2 critical."""
    from appliance.site.checks import STATUSES
    from appliance.site.health import site_health
    from appliance.views import plain

    view = site_health(context.obj.workspace)
    lines = [f"{view.status}: gradaudit {view.version}"]
    lines += [f"{check.status:8} {check.name}: {check.told}" for check in view.checks]
    emit(json_, plain(view), "\n".join(lines))
    raise typer.Exit(STATUSES.index(view.status))


def demo(
    json_: Json = False,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the demo workspace and packs in this folder.")
    ] = None,
) -> None:
    """The whole main job on shipped studies and models, in a workspace of its own."""
    from appliance.demo.run import run_demo

    with progress(json_, quiet_json=False) as step:
        outcome = run_demo(keep, step, say)
    emit(json_, outcome.plain(), outcome.text())
    if not outcome.as_expected:
        raise typer.Exit(1)
