"""`gradaudit ingest`: what comes in from a PACS, a disc or an interface engine."""

from __future__ import annotations

from pathlib import Path

import typer

from appliance.commands.session import Json, opened
from appliance.narration import emit, progress, say


def ingest(context: typer.Context, paths: list[Path], json_: Json = False) -> None:
    """Read DICOM studies and reports; what cannot be used is set aside with a reason."""
    from appliance.views import plain

    with opened(context) as appliance, progress(json_) as step:
        view = appliance.ingest(paths, step)
    for reason, files in view.quarantined:
        say(f"set aside: {files} × {reason}")
    text = f"{view.images} images, {view.reports} reports, {view.pairs} pairs from {view.files} files"
    emit(json_, plain(view), text)
    if view.files and not (view.images or view.reports or view.duplicates):
        raise typer.Exit(1)
