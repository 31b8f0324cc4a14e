"""`gradaudit models watch` and what follows: changes, announcements, answers, lineage. Times are UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from appliance.commands.models import models
from appliance.commands.session import Json, opened
from appliance.narration import aligned, emit, progress, say, table, tabular
from appliance.words.table import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.watch.views import AnnouncementView, ChangeRow, ChangeView, LineageNode, VersionRow

Reason = Annotated[str, typer.Option(help="Why, in a sentence; sealed, the log has its digest.")]
Names = Annotated[list[str] | None, typer.Argument(help="Models; all of them if not given.")]
_FILES, _LARGEST = 20, 10  # lines for a reader


@models.command("watch")
def models_watch(
    context: typer.Context,
    names: Names = None,
    last: Annotated[
        bool, typer.Option("--last", help="What the last look came to; nothing is looked at.")
    ] = False,
    json_: Json = False,
) -> None:
    """Look at every file of the vendors' folders; what has changed becomes the next version."""
    with opened(context) as appliance, progress(json_) as step:
        rows = appliance.watched() if last else appliance.watch_models(tuple(names or ()), step)
    if names and last:
        rows = tuple(row for row in rows if row.line in names)
    table(json_, rows, ("line", "model", "state", "why"))
    if not rows and not json_:
        say(tell("watch.never"))


@models.command("announce")
def models_announce(
    context: typer.Context,
    name: str,
    reason: Reason,
    release: Annotated[str, typer.Option(help="What the vendor calls the version to come.")] = "",
    until: Annotated[
        str, typer.Option(help="Last day of the change, YYYY-MM-DD; a month from today if not given.")
    ] = "",
    json_: Json = False,
) -> None:
    """Say that a change will come: the next one that the watch finds is announced, and no other."""
    from appliance.views import plain

    with opened(context) as appliance:
        view = appliance.announce_change(name, reason, release=release, until=until)
    emit(json_, plain(view), tell("watch.kept", line=view.line, until=view.until))


@models.command("announcements")
def models_announcements(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A model; all of them if not given.")] = "",
    json_: Json = False,
) -> None:
    """List what was announced, and which version it was."""
    with opened(context) as appliance:
        rows = appliance.announcements(name)
    table(json_, rows, text="\n".join([*map(_announcement, rows), ""]) if rows else "")


@models.command("answer")
def models_answer(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The version, such as NAME@2.")],
    reason: Reason,
    json_: Json = False,
) -> None:
    """Answer a change that nobody announced: what was found out about it. Officers only."""
    from appliance.views import plain

    with opened(context) as appliance:
        row = appliance.answer_change(name, reason)
    emit(json_, plain(row), tell("watch.said", model=row.model))


@models.command("changes")
def models_changes(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="NAME lists its changes; NAME@2 shows one whole; all of them if not given.")
    ] = "",
    json_: Json = False,
) -> None:
    """List changes of models, or show one: files, settings, tensors, and what audits say of both versions."""
    from appliance.views import plain

    with opened(context) as appliance:
        if "@" in name:
            view = appliance.model_change(name)
            emit(json_, plain(view), "\n".join(_whole(view)))
            return
        rows = appliance.model_changes((name,) if name else ())
    header = ["model", "found", "seen", "parts", "answer"]
    table(json_, rows, text=aligned(header, [_cells(row) for row in rows]) if rows else "")
    if not rows and not json_:
        say(tell("watch.nothing"))


@models.command("lineage")
def models_lineage(context: typer.Context, names: Names = None, json_: Json = False) -> None:
    """Show base, fine-tuned model and adapter as a tree, with versions and their last verdicts."""
    with opened(context) as appliance:
        trees = appliance.lineage(tuple(names or ()))
    lines = [line for tree in trees for line in _tree(tree, 0)]
    table(json_, trees, text="\n".join([*lines, ""]) if lines else "")
    if not trees and not json_:
        say(tell("lineage.none"))


def _cells(row: ChangeRow) -> list[str]:
    parts = ", ".join(row.parts)
    if row.equal_to:
        parts += f"; {tell('watch.equal', version=row.equal_to)}"
    return [row.model, row.found, _moment(row.seen_utc), parts, row.clock.said if row.clock else ""]


def _whole(view: ChangeView) -> Iterator[str]:
    """A change in lines for a reader."""
    row = view.row
    yield tell(
        "watch.head", model=row.model, replaces=row.replaces, found=row.found, moment=_moment(row.seen_utc)
    )
    if row.announcement is not None:
        said = row.announcement
        yield tell("watch.announced", moment=_moment(said.said_utc), who=said.by, reason=said.reason)
    if row.answer is not None:
        said_ = row.answer
        yield tell("watch.answered", moment=_moment(said_.said_utc), who=said_.by, reason=said_.reason)
    elif row.clock is not None:
        yield tell("watch.waits", clock=row.clock.said, model=row.model)
    yield from view.sentences
    for rows in (view.files[:_FILES], view.facts[:_FILES], view.layers, view.largest[:_LARGEST]):
        yield from ("", tabular(rows).rstrip("\n")) if rows else ()
    if view.exposure is not None:
        columns = ("part", "what", "first", "second", "standing")
        yield from ("", tabular(view.exposure.rows, columns).rstrip("\n"))


def _tree(node: LineageNode, depth: int) -> Iterator[str]:
    indent = "  " * depth
    name = f"{node.name} " if node.name else ""
    yield f"{indent}{tell(f'lineage.{node.kind}')} {name}{node.digest[:12]}"
    yield from (f"{indent}  {_version(row)}" for row in node.versions)
    for below in node.below:
        yield from _tree(below, depth + 1)


def _version(row: VersionRow) -> str:
    verdict = str(row.verdict) if row.verdict else tell("lineage.never")
    return f"{row.model}  {row.found}  {_moment(row.seen_utc)}  {verdict}  {row.by}".rstrip()


def _announcement(view: AnnouncementView) -> str:
    state = "over" if view.over else "open"
    told = tell(f"watch.announcement.{'used' if view.used else state}", model=view.used)
    line = tell(
        "watch.announcement",
        line=view.line, state=told, until=view.until, moment=_moment(view.said_utc), who=view.by,
        reason=view.reason,
    )  # fmt: skip
    return f"{line}; {tell('watch.release', release=view.release)}" if view.release else line


def _moment(utc: str) -> str:
    return utc[:16].replace("T", " ")
