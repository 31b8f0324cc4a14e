"""`gradaudit ingest` and `gradaudit quarantine …`: what comes in, and what was set aside."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.commands.session import Json, opened
from appliance.narration import emit, progress, say, stream, table
from appliance.words.table import tell

if TYPE_CHECKING:
    from appliance.dry_run import FileLine
    from appliance.views import IngestView

_DO = (  # what helps against the reasons that most often fill a quarantine
    "archive-encrypted",
    "link",
    "needs-decoder",
    "parser-died",
    "parser-timeout",
    "truncated",
    "truncated-pixels",
    "unreadable-file",
)

quarantine = typer.Typer(help="Files that were set aside at ingest.", no_args_is_help=True)


@quarantine.command("ls")
def quarantine_ls(
    context: typer.Context,
    each: Annotated[
        bool, typer.Option("--each", help="One line a file, by a keyed handle of its name.")
    ] = False,
    json_: Json = False,
) -> None:
    """List what was set aside, by reason; a later ingest of the same files tries again."""
    with opened(context) as appliance:
        table(json_, appliance.quarantine(each))


def ingest(
    context: typer.Context,
    paths: list[Path],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would come of every file; keep nothing.")
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="Parsers side by side; 0: one a core.")] = 0,
    json_: Json = False,
) -> None:
    """Read DICOM studies and reports; what cannot be used is set aside with a reason."""
    if dry_run:
        _try(paths, workers, json_)
    else:
        _ingest(context, paths, workers, json_)


def _ingest(context: typer.Context, paths: list[Path], workers: int, json_: bool) -> None:
    from appliance.views import plain

    with opened(context) as appliance, progress(json_) as step:
        view = appliance.ingest(paths, step, workers=workers)
    emit(json_, plain(view), _summary(view))
    taken = view.images + view.reports + view.documents + view.orders + view.empty_reports + view.studies
    if view.files and not (taken or view.duplicates):
        raise typer.Exit(1)


def _summary(view: IngestView) -> str:
    """What came of it: counts of what there is, then what was set aside and what has no partner."""
    counts = (
        (view.images, tell("ingest.images")),
        (view.reports, tell("ingest.reports")),
        (view.documents, tell("ingest.documents")),
        (view.studies, tell("ingest.studies")),
        (view.orders, tell("ingest.orders")),
        (view.empty_reports, tell("ingest.empty_reports")),
        (view.duplicates, tell("ingest.duplicates")),
        *((files, tell("ingest.warning", code=code)) for code, files in view.warnings),
        *((files, _set_aside(reason)) for reason, files in view.quarantined),
    )
    lines = [f"{view.files:7} {tell('ingest.files')}"]
    lines += [f"{count:7} {what}" for count, what in counts if count]
    lines.append(f"{view.pairs:7} {tell('ingest.pairs')}")
    if view.unpaired_images or view.unpaired_reports:
        lonely = {"images": view.unpaired_images, "reports": view.unpaired_reports}
        lines.append(f"        {tell('ingest.unpaired', **lonely)}")
    return "\n".join([*lines, *[tell("ingest.look")] * bool(view.quarantined)])


def _set_aside(reason: str) -> str:
    said = tell("ingest.set_aside", reason=reason)
    return f"{said} – {tell(f'ingest.do.{reason}')}" if reason in _DO else said


def _try(paths: list[Path], workers: int, json_: bool) -> None:
    """One line a file as soon as it is known; the summary is narration."""
    from appliance.dry_run import dry_run
    from appliance.sanitise import safe
    from appliance.views import plain

    came_of_it: Counter[tuple[str, str]] = Counter()
    for line in dry_run(paths, workers):
        came_of_it[line.outcome, line.reason] += 1
        stream(json_, plain(line), safe(_readable(line), 300))
    for (outcome, reason), files in sorted(came_of_it.items()):
        say(f"{files:7} × {outcome}" + (f" ({reason})" if reason else ""))
    if {"rejected", "unsupported"}.issuperset(outcome for outcome, _ in came_of_it):
        raise typer.Exit(1)


def _readable(line: FileLine) -> str:
    facts = [line.outcome, line.reason, line.modality or ""]
    if line.shape:
        facts += ["×".join(map(str, line.shape)), f"{line.dtype} {line.min:g}…{line.max:g}"]
    if line.reports:
        facts.append(f"{line.reports} reports" if line.reports > 1 else "1 report")
    return "  ".join(filter(None, [*facts, *line.warnings, line.path]))
