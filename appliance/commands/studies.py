"""`gradaudit ingest` and `gradaudit quarantine …`: what comes in, and what was set aside."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.commands.session import Json, opened
from appliance.narration import emit, progress, say, stream, table

if TYPE_CHECKING:
    from appliance.dry_run import FileLine
    from appliance.views import IngestView

_DO = {  # what helps against the reasons that most often fill a quarantine
    "archive-encrypted": "unpack the archive, then ingest the folder",
    "link": "links are not followed: give the folder they lead to",
    "needs-decoder": "`gradaudit doctor` says which decoders are missing",
    "parser-died": "quote the fault when you report it; everything else was read",
    "parser-timeout": "try these files alone while the machine is not busy",
    "truncated": "fetch these files again: they end too early",
    "truncated-pixels": "fetch these files again: they end too early",
    "unreadable-file": "this account may not open these files",
}

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
        (view.images, "images"),
        (view.reports, "reports"),
        (view.documents, "documents without an image"),
        (view.studies, "studies described by another system"),
        (view.orders, "orders and other messages"),
        (view.empty_reports, "reports without words"),
        (view.duplicates, "files known before"),
    )
    lines = [f"{view.files:7} files read"]
    lines += [f"{count:7} {what}" for count, what in counts if count]
    lines += [f"{files:7} taken in with a warning: {code}" for code, files in view.warnings]
    for reason, files in view.quarantined:
        lines.append(f"{files:7} set aside: {reason}" + (f" – {_DO[reason]}" if reason in _DO else ""))
    lines.append(f"{view.pairs:7} pairs in the workspace")
    lonely = view.unpaired_images, view.unpaired_reports
    if any(lonely):
        lines.append("        without a partner: {} images, {} reports".format(*lonely))
    if view.quarantined:
        lines.append(
            "`gradaudit ingest --dry-run` names the files set aside, docs/reason-codes.md what to do"
        )
    return "\n".join(lines)


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
