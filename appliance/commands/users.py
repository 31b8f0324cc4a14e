"""`gradaudit users … | recover`: who may open the workspace, and what is needed for that to change."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from appliance.commands.session import Json, in_person, new_secret, opened
from appliance.narration import emit, say, table

users = typer.Typer(no_args_is_help=True, help="Users, roles and keys.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Up to 32 small letters, digits, dots, dashes.")]
With = Annotated[
    str, typer.Option("--with", metavar="NAME", help="Second officer or paper key, present here.")
]
WithFd = Annotated[
    int | None,
    typer.Option("--with-fd", help="Read the second one's passphrase or words from this descriptor."),
]
NewFd = Annotated[
    int | None, typer.Option("--new-fd", help="Read the new passphrase from this file descriptor.")
]


@users.command("ls")
def list_users(context: typer.Context, json_: Json = False) -> None:
    """List users with their roles and what they open."""
    with opened(context) as appliance:
        table(json_, appliance.users())


@users.command()
def add(
    context: typer.Context,
    name: Name,
    role: Annotated[str, typer.Option(help="officer, operator, auditor or machine.")] = "operator",
    credential: Annotated[
        Path | None, typer.Option(help="Of a machine: write its secret to this new file, for systemd-creds.")
    ] = None,
    with_: With = "",
    with_fd: WithFd = None,
    new_fd: NewFd = None,
) -> None:
    """Add a user; for an officer, whoever opens findings must be present."""
    from appliance.errors import UsageError

    if (role == "machine") != (credential is not None):
        raise UsageError(
            "a machine, and only a machine, takes --credential", "Give it a file that does not exist yet."
        )
    with in_person(context, with_, with_fd) as appliance:
        if credential is None:
            appliance.add_user(name, role, new_secret(name, new_fd))
        else:
            with written_once(credential) as write:
                write(appliance.add_machine(name))
            say(f"the secret of {name} is in {credential}: seal it with `systemd-creds encrypt "
                f"--name=gradaudit-machine`, then remove it")  # fmt: skip
    say(f"{name} was added")


@users.command("rm")
def remove(context: typer.Context, name: Name, with_: With = "", with_fd: WithFd = None) -> None:
    """Remove a user and change the keys that user has seen; every session ends."""
    with in_person(context, with_, with_fd) as appliance:
        appliance.remove_user(name)
    say(f"{name} was removed, and the keys were changed")


@users.command()
def passphrase(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Another user, who has lost or told the passphrase.")
    ] = "",
    with_: With = "",
    with_fd: WithFd = None,
    new_fd: NewFd = None,
) -> None:
    """Change your own passphrase; or, as an officer, give another user a new one, and change the keys."""
    from appliance.api import Appliance
    from appliance.commands.session import IN_PERSON
    from appliance.commands.session import passphrase as typed
    from appliance.config import workspace_root

    Appliance.expect_workspace(workspace_root(context.obj.workspace))
    old = typed(context.obj, without=IN_PERSON)
    with in_person(context, with_, with_fd, secret=old) as appliance:
        if name:
            appliance.reset_passphrase(name, new_secret(name, new_fd))
        else:
            appliance.change_passphrase(old, new_secret("", new_fd))
    say("the passphrase was changed")


@users.command()
def rotate(
    context: typer.Context,
    evidence: Annotated[bool, typer.Option("--evidence", help="The key of findings as well.")] = False,
    with_: With = "",
    with_fd: WithFd = None,
) -> None:
    """Change the RUN key: the catalogue is written anew, nobody needs another passphrase, sessions end."""
    with in_person(context, with_, with_fd) as appliance:
        appliance.rotate_keys(evidence=evidence)
    say("the keys were changed")


@users.command()
def quorum(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="1 or 2.")],
    with_: With = "",
    with_fd: WithFd = None,
) -> None:
    """Say how many officers or paper keys open findings together."""
    with in_person(context, with_, with_fd) as appliance:
        appliance.set_quorum(number)
    say("findings open with one officer" if number == 1 else "findings open with two together")


@users.command()
def recovery(
    context: typer.Context,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new file, to print and remove.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of this sheet of paper.")] = "paper",
    with_: With = "",
    with_fd: WithFd = None,
) -> None:
    """Make a paper key: twenty words, shown once, that give a new officer a passphrase."""
    from appliance.errors import UsageError

    if output is None and not sys.stdout.isatty():
        raise UsageError("the words go to a terminal or to a new file", "Give --output FILE.")
    with in_person(context, with_, with_fd) as appliance:
        if output is None:
            sys.stdout.write(appliance.add_recovery(name) + "\n")
        else:
            with written_once(output) as write:
                write(appliance.add_recovery(name))
    say("write the words down, keep them away from this machine; they are stored nowhere else")


@users.command("auto-lock")
def auto_lock(
    context: typer.Context,
    minutes: Annotated[
        int | None, typer.Argument(metavar="[MINUTES]", help="1 to 1440; 0 for not before a restart.")
    ] = None,
    json_: Json = False,
) -> None:
    """Show or set after how many minutes without a command an unlocked workspace locks itself."""
    with opened(context) as appliance:
        if minutes is not None:
            appliance.set_auto_lock(minutes)
        now = appliance.auto_lock_minutes()
    emit(json_, {"auto_lock_minutes": now}, f"{now} minutes" if now else "not before a restart")


def recover(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The officer; made anew if not there.")],
    words_fd: Annotated[
        int | None, typer.Option("--words-fd", help="Read the words on paper from this descriptor.")
    ] = None,
    with_: With = "",
    with_fd: WithFd = None,
    new_fd: NewFd = None,
) -> None:
    """Give an officer a new passphrase with the words on paper."""
    from appliance.api import Appliance
    from appliance.commands.session import asked, join
    from appliance.config import workspace_root

    root = workspace_root(context.obj.workspace)
    Appliance.expect_workspace(root)
    with Appliance.recover(root, asked("words on paper", words_fd, whole=True)) as appliance:
        join(appliance, with_, with_fd)
        secret = new_secret(name, new_fd)
        if any(user.name == name for user in appliance.users()):
            appliance.reset_passphrase(name, secret)
        else:
            appliance.add_user(name, "officer", secret)
    say(f"{name} can unlock the workspace with the new passphrase")


@contextmanager
def written_once(path: Path) -> Iterator[Callable[[str], None]]:
    """A new file for its owner alone, there before anything is changed, and gone where that fails."""
    from appliance.errors import CannotWrite, UsageError

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} already exists", "Give a new file.") from None
    except OSError as error:
        raise CannotWrite(f"cannot write {path}: {error.strerror}", "Nothing was changed.") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:

        def write(secret: str) -> None:
            file.write(secret + "\n")
            file.flush()
            os.fsync(descriptor)

        try:
            yield write
        except BaseException:
            path.unlink(missing_ok=True)
            raise
