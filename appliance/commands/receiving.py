"""`gradaudit receive …`: the process that listens, and taking in what it has received."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.commands.session import Json, opened
from appliance.narration import emit, progress, say
from appliance.words.table import count, tell

if TYPE_CHECKING:
    from appliance.receiver.views import TakenView

receive = typer.Typer(
    help="Studies and reports from the hospital's network (docs/receiver.md).", no_args_is_help=True
)
_FILE = typer.Argument(help="The receiver's file: where it listens, and who may send.")


@receive.command("setup")
def receive_setup(context: typer.Context, json_: Json = False) -> None:
    """Make the folder that a receiver seals into, below the workspace."""
    from appliance.views import plain

    with opened(context) as appliance:
        view = appliance.set_up_receiver()
    emit(json_, plain(view), "\n".join((tell("receiver.address", folder=view.folder), tell("receiver.next"))))


@receive.command("check")
def receive_check(file: Annotated[Path, _FILE], json_: Json = False) -> None:
    """Read a receiver's file and its certificates; say who may send."""
    from appliance.receiver.checking import checked
    from appliance.views import plain

    view = checked(file)
    lines = [tell("receiver.ours", title=view.ae_title or "HL7", fingerprint=view.fingerprint)]
    lines += [
        tell("receiver.peer", name=peer.name, what=peer.sends, fingerprint=peer.fingerprint)
        for peer in view.peers
    ]
    emit(json_, plain(view), "\n".join(lines))


@receive.command("run")
def receive_run(
    context: typer.Context,
    file: Annotated[Path, _FILE],
    spool: Annotated[
        Path | None, typer.Option("--spool", help="Folder that `receive setup` made; else the workspace's.")
    ] = None,
) -> None:
    """Listen until SIGTERM; it needs no passphrase, and can open nothing that it has received."""
    from appliance.config import workspace_root
    from appliance.receiver.process import Receiver
    from appliance.receiver.settings import read
    from appliance.receiver.spool import FOLDER
    from appliance.supervisor import Supervisor

    root = spool if spool is not None else workspace_root(context.obj.workspace) / FOLDER
    receiver = Receiver(read(file), root, Supervisor(), say)

    def stop(number: int, frame: FrameType | None) -> None:
        receiver.stop()

    signal.signal(signal.SIGTERM, stop)
    receiver.run()


@receive.command("take")
def receive_take(
    context: typer.Context,
    workers: Annotated[int, typer.Option(min=0, help="Parsers side by side; 0: one a core.")] = 0,
    json_: Json = False,
) -> None:
    """Take in what was received and is complete, as `serve` does every minute."""
    from appliance.views import plain

    with opened(context) as appliance, progress(json_) as step:
        view = appliance.take_received(step, workers=workers)
    emit(json_, plain(view), _taken(view))


@receive.command("retry")
def receive_retry(context: typer.Context, json_: Json = False) -> None:
    """Let what stays in the receiver's quarantine be tried again."""
    with opened(context) as appliance:
        number = appliance.retry_received()
    emit(json_, {"files": number}, count("receiver.again", number))


@receive.command("status")
def receive_status(context: typer.Context, json_: Json = False) -> None:
    """What lies in the spool, and what was refused at the door."""
    from appliance.narration import tabular
    from appliance.views import plain

    with opened(context) as appliance:
        view = appliance.received()
    facts = {
        "arriving": view.arriving,
        "ready": view.ready,
        "quarantine": view.quarantine,
        "bytes": view.bytes,
    }
    lines = [f"{number:10} {name}" for name, number in facts.items()]
    emit(json_, plain(view), "\n".join([*lines, tabular(view.counts)]))


def _taken(view: TakenView) -> str:
    if not view.files:
        return tell("receiver.nothing")
    lines = [count("receiver.taken", view.files - view.set_aside)]
    return "\n".join([*lines, *[count("receiver.aside", view.set_aside)] * bool(view.set_aside)])
