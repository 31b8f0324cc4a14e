"""`gradaudit config …`: what this site has set, where it is from, and whether a file may be used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from appliance.commands.session import Json
from appliance.narration import say, table
from appliance.words.table import count

configuration = typer.Typer(help="What this site has set, and where.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class ConfigRow:
    """One setting: its value, where that is from, and what it decides."""

    key: str
    value: str | int | bool
    origin: str
    place: str
    decides: str


@configuration.command("show")
def config_show(
    context: typer.Context,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value is from.")] = False,
    json_: Json = False,
) -> None:
    """Print every setting as it is in force."""
    from appliance.config import workspace_root
    from appliance.site.settings import KEYS, settings

    given = {"workspace": str(context.obj.workspace or ""), "user": context.obj.user}
    found = settings(options=given)
    found["workspace"] = replace(found["workspace"], value=str(workspace_root(context.obj.workspace)))
    rows = [
        ConfigRow(one.key, one.value, one.origin, one.place, KEYS[one.key].decides) for one in found.values()
    ]
    table(json_, rows, ("key", "value", "origin", "place") if origin else ("key", "value"))


@configuration.command("check")
def config_check(file: Path, json_: Json = False) -> None:
    """Say whether a file may be used as the site's configuration; nothing is changed."""
    from appliance.site.settings import KEYS, read

    found = read(file.absolute())
    table(
        json_,
        [
            ConfigRow(one.key, one.value, one.origin, one.place, KEYS[one.key].decides)
            for one in found.values()
        ],
    )
    say(count("config.sound", len(found)))
