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
    from appliance.config import workspace_root

    root = workspace_root(context.obj.workspace)
    with Appliance.create(root, passphrase(context.obj, confirm=True), site=site) as appliance:
        words = appliance.log_verify().key_words
    emit(json_, {"workspace": str(root), "log_key": words}, f"workspace created at {root}")
    say(f"log key of this site, write it down: {words}")


def unlock(context: typer.Context) -> None:
    """Keep the workspace unlocked for later commands until `lock` or reboot."""
    from appliance.api import Appliance
    from appliance.config import workspace_root

    with Appliance.unlock(workspace_root(context.obj.workspace), passphrase(context.obj)) as appliance:
        appliance.remember()
    say("unlocked; `gradaudit lock` locks again")


def lock(context: typer.Context) -> None:
    """Forget the key."""
    from appliance.api import Appliance
    from appliance.config import workspace_root

    Appliance.forget(workspace_root(context.obj.workspace))
    say("locked")
