"""What every command shares: where the workspace is, and how it is opened."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.errors import UsageError

if TYPE_CHECKING:
    from appliance.api import Appliance

GIVEN = "--passphrase-fd, or GRADAUDIT_PASSPHRASE_FILE and a file that is yours alone"
LOCKED = ("the workspace is locked", f"run `gradaudit unlock` at a terminal, or use {GIVEN}")
IN_PERSON = (
    "this act takes a passphrase typed for it, not what `gradaudit unlock` keeps",
    f"run it at a terminal, or use {GIVEN}",
)
NOBODY_TO_ASK = ("a passphrase is needed", f"run it at a terminal, or use {GIVEN}")

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout; of a list, one a line.")]


def named_folder(text: str) -> Path:
    """A folder as an option names it; an empty text, as of a variable that is not set, is none.

    Raises:
        UsageError: it is empty.
    """
    if not text.strip():
        raise UsageError("the option names no folder", "leave it out, or give a folder")
    return Path(text)


class Session:
    """Options that hold for every command: where the workspace is and where the passphrase comes from."""

    workspace: Path | None = None
    passphrase_fd: int | None = None
    user: str = ""


def opened(context: typer.Context) -> Appliance:
    """The workspace, open: as `unlock` left it, by a machine's credential, else with a passphrase."""
    from appliance.api import Appliance
    from appliance.config import machine_credential, user_given, workspace_root

    root, user = workspace_root(context.obj.workspace), user_given(context.obj.user)
    Appliance.expect_workspace(root)
    remembered = Appliance.resume(root) if context.obj.passphrase_fd is None else None
    if remembered is not None and user and not _is(remembered, user):
        remembered.close()
        remembered = None
    if remembered is not None:
        return remembered
    machine = machine_credential() if context.obj.passphrase_fd is None else None
    if machine is not None and user in ("", machine[0]):
        return Appliance.unlock(root, machine[1], machine[0])
    return Appliance.unlock(root, passphrase(context.obj, without=LOCKED), user)


def in_person(
    context: typer.Context, with_: str = "", with_fd: int | None = None, secret: str | None = None
) -> Appliance:
    """The workspace, opened with a passphrase typed for this command, and by a second one where named."""
    from appliance.api import Appliance
    from appliance.config import user_given, workspace_root

    root = workspace_root(context.obj.workspace)
    Appliance.expect_workspace(root)
    given = passphrase(context.obj, without=IN_PERSON) if secret is None else secret
    appliance = Appliance.unlock(root, given, user_given(context.obj.user))
    try:
        join(appliance, with_, with_fd)
    except BaseException:
        appliance.close()
        raise
    return appliance


def join(appliance: Appliance, name: str, descriptor: int | None) -> None:
    """Let a second one give the passphrase or the words, if one is named."""
    if name:
        appliance.join(name, asked(f"passphrase of {name}, or words on paper", descriptor, whole=True))


def passphrase(session: Session, confirm: bool = False, *, without: tuple[str, str] = NOBODY_TO_ASK) -> str:
    """From a descriptor, file or credential; else asked for on the terminal.

    Args:
        session: options of the command.
        confirm: asked for twice.
        without: what is wrong, and what helps, where there is no terminal to ask on.

    Raises:
        Locked: it cannot be read, or there is no terminal.
    """
    from appliance.config import passphrase_given
    from appliance.errors import Locked

    given = passphrase_given(session.passphrase_fd)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        wrong, helps = without
        raise Locked(f"{wrong}, and there is no terminal to ask for the passphrase", helps)
    return _prompt("passphrase", confirm)


def new_secret(name: str, descriptor: int | None) -> str:
    """A passphrase to be: from a descriptor, else typed twice."""
    return asked(f"new passphrase of {name}" if name else "new passphrase", descriptor, confirm=True)


def asked(what: str, descriptor: int | None, *, whole: bool = False, confirm: bool = False) -> str:
    """A further secret: from a descriptor, else typed.

    Raises:
        Locked: there is neither, or it cannot be read.
    """
    from appliance.config import secret_from
    from appliance.errors import Locked

    if descriptor is not None:
        return secret_from(descriptor, whole=whole).rstrip("\n")
    if not sys.stdin.isatty():
        raise Locked(f"there is no terminal to ask for the {what}", "Give it by a descriptor, see --help.")
    return _prompt(what, confirm)


def _prompt(what: str, confirm: bool) -> str:
    return str(typer.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True))


def _is(appliance: Appliance, name: str) -> bool:
    return any(user.yourself and user.name == name for user in appliance.users())
