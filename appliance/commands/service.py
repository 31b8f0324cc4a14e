"""`gradaudit serve`: the daemon that starts what is due, and the same once."""

from __future__ import annotations

import signal
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.commands.schedule import schedule_run
from appliance.commands.session import Json, opened
from appliance.narration import say, table

if TYPE_CHECKING:
    from appliance.api import Appliance
    from appliance.schedule_views import StartedRun


def serve(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Look once, as `schedule run` does.")] = False,
    json_: Json = False,
) -> None:
    """Stay, and start what is due, every minute; for systemd, or a terminal of its own."""
    from appliance.service import Service
    from appliance.supervisor import Supervisor

    if once:
        schedule_run(context, json_)
        return

    def started(rows: tuple[StartedRun, ...]) -> None:
        if json_:
            table(True, rows)

    service = Service(lambda: _opened(context), Supervisor(), say, started)

    def stop(number: int, frame: FrameType | None) -> None:
        service.stop()

    signal.signal(signal.SIGTERM, stop)
    service.run()


def _opened(context: typer.Context) -> Appliance:
    """By the machine user's credential where there is one, else as any command."""
    from appliance.api import Appliance
    from appliance.config import machine_credential, workspace_root

    machine = machine_credential()
    if machine is None:
        return opened(context)
    return Appliance.unlock(workspace_root(context.obj.workspace), machine[1], machine[0])
