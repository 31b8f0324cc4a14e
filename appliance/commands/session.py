"""What every command shares: where the workspace is, and how it is opened."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from appliance.api import Appliance

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout; of a list, one a line.")]


class Session:
    """Options that hold for every command: where the workspace is and where the passphrase comes from."""

    workspace: Path | None = None
    passphrase_fd: int | None = None


def opened(context: typer.Context) -> Appliance:
    """The workspace, open: as `unlock` left it, else with the officer's passphrase."""
    from appliance.api import Appliance
    from appliance.config import workspace_root

    root = workspace_root(context.obj.workspace)
    remembered = Appliance.resume(root) if context.obj.passphrase_fd is None else None
    return remembered or Appliance.unlock(root, passphrase(context.obj))


def passphrase(session: Session, confirm: bool = False) -> str:
    """From a descriptor, file or credential; else asked for on the terminal."""
    from appliance.config import passphrase_given
    from appliance.errors import Locked

    given = passphrase_given(session.passphrase_fd)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise Locked(
            "the workspace is locked and there is no terminal to ask for the passphrase",
            "run `gradaudit unlock`, or set GRADAUDIT_PASSPHRASE_FILE to a file with the passphrase",
        )
    return str(typer.prompt("passphrase", hide_input=True, confirmation_prompt=confirm, err=True))
