"""`gradaudit init` and `gradaudit workspace settings`: the first run without its screens."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.commands.safekeeping import workspace
from appliance.commands.session import Json, opened, passphrase
from appliance.commands.users import written_once
from appliance.errors import UsageError
from appliance.narration import emit, say

if TYPE_CHECKING:
    from appliance.api import Appliance

Inbox = Annotated[str | None, typer.Option(help="Folder that studies and reports are put into.")]
AeTitle = Annotated[str | None, typer.Option(help="As whom this site receives images, 1 to 16 signs.")]
UsualPolicy = Annotated[str | None, typer.Option(help="Policy that is offered first for every audit.")]


def init(
    context: typer.Context,
    site: Annotated[str, typer.Option(help="Name of the site, shown on screens and evidence.")] = "this site",
    recovery: Annotated[
        Path | None,
        typer.Option(help="Make a paper key; its words go to this new file, to be printed."),
    ] = None,
    inbox: Inbox = None,
    ae_title: AeTitle = None,
    policy: UsualPolicy = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FOLDER", help="Register this model; can be repeated.")
    ] = None,
    json_: Json = False,
) -> None:
    """Create the encrypted workspace; the options are the steps of the first run on the screens."""
    from appliance.api import Appliance
    from appliance.config import user_given, workspace_root
    from appliance.strength import strength

    root, user = workspace_root(context.obj.workspace), user_given(context.obj.user) or "officer"
    Appliance.check_settings(root, inbox or "", ae_title or "", policy or "")
    models = [_named(one) for one in model or ()]
    secret = passphrase(context.obj, confirm=True)
    judged = strength(secret, (user, site))
    with ExitStack() as stack:
        appliance = _made(stack, root, secret, site, user, recovery)
        _settle(appliance, inbox, ae_title, policy)
        words = appliance.log_verify().key_words
        emit(json_, {"workspace": str(root), "log_key": words}, f"workspace created at {root}")
        say(f"the passphrase is {judged.word}: {judged.advice}")
        say(f"log key of this site, write it down: {words}")
        if recovery is not None:
            say(f"the words of the paper key are in {recovery}: print it, then remove the file")
        for name, folder in models:
            appliance.add_model(name, folder)
            say(f"registered {name}")


@workspace.command("settings")
def workspace_settings(
    context: typer.Context,
    inbox: Inbox = None,
    ae_title: AeTitle = None,
    policy: UsualPolicy = None,
    json_: Json = False,
) -> None:
    """Show or change where files arrive, as whom this site receives images, and the usual policy."""
    from appliance.views import plain

    with opened(context) as appliance:
        _settle(appliance, inbox, ae_title, policy)
        now = appliance.setup()
    told = (("inbox", now.inbox), ("AE title", now.ae_title), ("usual policy", now.policy))
    emit(json_, plain(now), "\n".join(f"{label}: {value or 'none'}" for label, value in told))


def _made(
    stack: ExitStack, root: Path, secret: str, site: str, user: str, recovery: Path | None
) -> Appliance:
    """The new workspace, open, with a paper key if one is wanted; the words' file is there before it."""
    from appliance.api import Appliance

    if recovery is None:
        return stack.enter_context(Appliance.create(root, secret, site=site, user=user))
    with written_once(recovery) as write:
        appliance = stack.enter_context(Appliance.create(root, secret, site=site, user=user))
        write(appliance.add_recovery())
    return appliance


def _settle(appliance: Appliance, inbox: str | None, ae_title: str | None, policy: str | None) -> None:
    """Keep what was given and leave the rest as it is."""
    if inbox is not None or ae_title is not None:
        now = appliance.setup()
        appliance.set_intake(
            now.inbox if inbox is None else inbox, now.ae_title if ae_title is None else ae_title
        )
    if policy is not None:
        appliance.choose_policy(policy)


def _named(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition("=")
    if not name or not folder or not Path(folder).is_dir():
        raise UsageError("--model takes NAME=FOLDER, a name and a folder that is there", "nothing was made")
    return name, Path(folder)
