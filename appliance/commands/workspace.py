"""`gradaudit unlock | lock`: the encrypted workspace, open for later commands or not."""

from __future__ import annotations

from typing import Annotated

import typer

from appliance.commands.session import passphrase
from appliance.narration import say


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


def lock(
    context: typer.Context,
    stop_runs: Annotated[
        bool, typer.Option("--stop-runs", help="Pause the audit at work too: its process holds keys.")
    ] = False,
) -> None:
    """Forget the key. An audit in a process of its own goes on, unless told otherwise."""
    from appliance.api import Appliance
    from appliance.config import workspace_root

    root = workspace_root(context.obj.workspace)
    try:
        Appliance.forget(root)
    finally:
        if stop_runs:
            Appliance.stop_runs(root)
    say("locked")
    if Appliance.holds_keys(root):
        say("an audit goes on and holds keys until the queue is done; `gradaudit lock --stop-runs` pauses it")
