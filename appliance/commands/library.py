"""`gradaudit studies …` and `gradaudit reports …`: what the workspace holds, and what may leave it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from appliance.commands.session import Json, opened
from appliance.narration import emit, progress, say, table, tabular

studies = typer.Typer(help="Studies in the workspace; export without identity.", no_args_is_help=True)
reports = typer.Typer(help="Reports in the workspace.", no_args_is_help=True)


@studies.command("ls")
def studies_ls(context: typer.Context, json_: Json = False) -> None:
    """List studies with their handles and counts. Contains patient data: for this terminal only."""
    with opened(context) as appliance:
        table(json_, appliance.studies())


@studies.command("show")
def studies_show(context: typer.Context, study: str, json_: Json = False) -> None:
    """Show the images and reports of a study, named by UID or accession number. Contains patient data."""
    from appliance.views import plain

    with opened(context) as appliance:
        view = appliance.study(study)
    emit(json_, plain(view), "".join(map(tabular, ((view.row,), view.images, view.reports))).rstrip("\n"))


@studies.command("export")
def studies_export(
    context: typer.Context,
    paths: list[Path],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write to.")],
    accept_burned_in: Annotated[
        bool,
        typer.Option(
            "--accept-burned-in", help="Export images in which writing is suspected; look at them first."
        ),
    ] = False,
    json_: Json = False,
) -> None:
    """Write DICOM images without identity (PS3.15 Basic Profile); what may not leave is listed."""
    from appliance.sanitise import safe
    from appliance.views import plain

    with opened(context) as appliance, progress(json_) as step:
        view = appliance.export_studies(paths, output, step, accept_burned_in=accept_burned_in)
    known = f", {view.already_there} were there already" if view.already_there else ""
    refused = [f"refused: {one.reason}  {safe(one.path, 200)}" for one in view.refused]
    emit(json_, plain(view), "\n".join([*refused, f"{view.written} of {view.files} files written{known}"]))
    for reason, files in sorted(Counter(one.reason for one in view.refused).items()):
        say(f"refused: {files} × {reason}")
    if view.files and not (view.written or view.already_there):
        raise typer.Exit(1)


@reports.command("ls")
def reports_ls(context: typer.Context, json_: Json = False) -> None:
    """List reports with status and time of issue. Contains patient data: for this terminal only."""
    with opened(context) as appliance:
        table(json_, appliance.reports())


@reports.command("show")
def reports_show(context: typer.Context, digest: str, json_: Json = False) -> None:
    """Show a report, named by the first digits of its digest: masked text, and every version."""
    from appliance.sanitise import safe
    from appliance.views import plain

    with opened(context) as appliance:
        view = appliance.report(digest)
    text = "\n".join(safe(line, 2000) for line in view.text.split("\n"))
    emit(json_, plain(view), f"{tabular(view.versions)}\n{text}\n")
    say(f"{view.masked}: {view.hidden} header values hidden, {view.suspected} further places by their form")
