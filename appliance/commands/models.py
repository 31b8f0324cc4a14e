"""`gradaudit models …`: vendor models registered on this site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from appliance.commands.session import Json, opened
from appliance.narration import emit, table

models = typer.Typer(help="Vendor models registered on this site.", no_args_is_help=True)


@models.command("add")
def models_add(
    context: typer.Context,
    name: str,
    path: Path,
    family: Annotated[
        str, typer.Option(help="image-text-to-text or contrastive; found out when empty.")
    ] = "",
    base: Annotated[
        Path | None, typer.Option(help="Folder of the model this one was fine-tuned from.")
    ] = None,
    vendor: Annotated[str, typer.Option(help="Who delivered it.")] = "",
    released: Annotated[str, typer.Option(help="Release date, YYYY-MM-DD.")] = "",
    json_: Json = False,
) -> None:
    """Register a vendor model: digests of every file, a trial load, refusal of code and pickles."""
    from appliance.views import plain

    with opened(context) as appliance:
        view = appliance.add_model(name, path, family=family, base=base, vendor=vendor, released=released)
    emit(
        json_,
        plain(view),
        f"registered {view.name}: {view.family}, {view.parameters:,} parameters, {view.digest[:16]}…",
    )


@models.command("ls")
def models_ls(context: typer.Context, json_: Json = False) -> None:
    """List registered models."""
    with opened(context) as appliance:
        table(json_, appliance.models())
