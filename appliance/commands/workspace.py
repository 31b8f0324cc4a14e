"""`gradaudit init | unlock | lock`: the encrypted workspace."""

from __future__ import annotations

from typing import Annotated

import typer

from appliance.commands.session import Json, passphrase
from appliance.narration import emit, say


def init(
    context: typer.Context,
    site: Annotated[str, typer.Option(help="Name of the site, shown on screens and evidence.")] = "this site",
    json_: Json = False,
) -> None:
    """Create the encrypted workspace."""
    from appliance.api import Appliance
    from appliance.config import user_given, workspace_root

    root, user = workspace_root(context.obj.workspace), user_given(context.obj.user)
    secret = passphrase(context.obj, confirm=True)
    with Appliance.create(root, secret, site=site, user=user or "officer") as appliance:
        words = appliance.log_verify().key_words
    emit(json_, {"workspace": str(root), "log_key": words}, f"workspace created at {root}")
    say(f"log key of this site, write it down: {words}")


def unlock(context: typer.Context) -> None:
    """Keep the workspace unlocked for later commands until `lock`, a pause or a restart."""
    from appliance.api import Appliance
    from appliance.config import user_given, workspace_root

    root, user = workspace_root(context.obj.workspace), user_given(context.obj.user)
    Appliance.expect_workspace(root)
    with Appliance.unlock(root, passphrase(context.obj), user) as appliance:
        appliance.remember()
        minutes = appliance.auto_lock_minutes()
    after = f", and so do {minutes} minutes without a command" if minutes else ""
    say(f"unlocked; `gradaudit lock` locks again{after}")


def lock(context: typer.Context) -> None:
    """Forget the key."""
    from appliance.api import Appliance
    from appliance.config import workspace_root

    Appliance.forget(workspace_root(context.obj.workspace))
    say("locked")
