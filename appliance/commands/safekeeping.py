"""`gradaudit workspace verify | backup | restore`: is it whole, and can it come back?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from appliance.commands.session import Json, opened, passphrase
from appliance.errors import IntegrityError, UsageError
from appliance.narration import emit, say
from appliance.words.table import count, tell

workspace = typer.Typer(help="The encrypted workspace as a whole.", no_args_is_help=True)


@workspace.callback()
def _group() -> None:
    """The encrypted workspace as a whole."""


@workspace.command("verify")
def workspace_verify(context: typer.Context, json_: Json = False) -> None:
    """Open every sealed file, read the catalogue and log; name what is damaged. Exit 20 if anything is."""
    from appliance.api import Appliance
    from appliance.config import workspace_root
    from appliance.views import plain

    unread = "that takes the passphrase of who may see them, given to this command"
    try:
        with opened(context) as appliance:
            checked = appliance.verify_workspace()
    except IntegrityError as said:
        unread = "the workspace does not open"
        checked = Appliance.verify_closed(workspace_root(context.obj.workspace), said)
    lines = [f"{one.file}: {one.cause}\n  {one.next_step}" for one in checked.damages]
    whole = tell("workspace.whole", files=checked.files, objects=checked.objects)
    emit(json_, plain(checked), "\n".join(lines) or whole)
    if not checked.findings:
        say(f"findings were not read: {unread}")
    if checked.damages:
        raise typer.Exit(IntegrityError.exit_code)


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The backup to write; with --verify, to check.")],
    verify: Annotated[bool, typer.Option("--verify", help="Check a backup instead of making one.")] = False,
    json_: Json = False,
) -> None:
    """Write the whole workspace, sealed, to one new file; readers go on meanwhile."""
    from appliance.api import Appliance
    from appliance.views import plain

    if verify:
        found = Appliance.verify_backup(file, _narrated)
        emit(json_, plain(found), count("backup.intact", found.members, moment=found.taken_utc))
        say("only `gradaudit restore` shows that it opens with the passphrase")
        return
    with opened(context) as appliance:
        taken = appliance.backup(file, _narrated)
    emit(json_, plain(taken), count("backup.taken", taken.members, path=taken.path, size=f"{taken.size:,}"))
    say("check it where it is kept: `gradaudit backup --verify FILE`")


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The backup.")],
    into: Annotated[Path, typer.Argument(help="Folder of the workspace to make; it must not exist.")],
    json_: Json = False,
) -> None:
    """Make a workspace from a backup; it appears when every file of it was checked, or not at all."""
    from appliance.api import Appliance
    from appliance.config import user_given
    from appliance.views import plain

    if not file.is_file():
        raise UsageError(f"there is no file {file}", "Name a backup.")
    user = user_given(context.obj.user)
    made = Appliance.restore(file, into.expanduser(), passphrase(context.obj), user, _narrated)
    emit(json_, plain(made), count("backup.restored", made.members, path=made.path, moment=made.taken_utc))
    say(tell("backup.log", entry=made.log_entries))


def _narrated(done: int, total: int) -> None:
    if done == total or done % max(1, total // 10) == 0:
        say(tell("backup.step", done=done, total=total))
