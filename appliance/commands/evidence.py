"""`gradaudit evidence …`: packs that anyone can verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from appliance.commands.session import Json, opened
from appliance.narration import emit, progress, say, table
from appliance.words.table import count, tell

evidence = typer.Typer(help="Evidence packs that anyone can verify.", no_args_is_help=True)


@evidence.command("pack")
def evidence_pack(
    context: typer.Context,
    audit_id: str,
    output: Annotated[Path, typer.Option("-o", "--output", help="The pack to write.")],
    vendor: Annotated[
        bool, typer.Option("--vendor", help="Without anything about patients, counts included.")
    ] = False,
    withhold: Annotated[
        list[str] | None,
        typer.Option(help="A member to withhold, or a part of one: results.json#/result/exposure."),
    ] = None,
    json_: Json = False,
) -> None:
    """Write the evidence pack of an audit: one file, no patient data, verifiable alone."""
    from appliance.views import plain

    edition = "vendor" if vendor else "full"
    with opened(context) as appliance:
        path = appliance.export_pack(audit_id, output, edition, withhold or ())
        found, lacks = appliance.verify_pack(path), appliance.not_made()
    words = tell(
        "evidence.written", file=path, edition=edition, size=f"{found.size:,}", words=found.key_words
    )
    made = {"pack": str(path), "edition": edition, "not_made": lacks, **plain(found)}
    emit(json_, made, "\n".join([words, *found.withheld, *([lacks] if lacks else [])]))
    say(tell("evidence.how", file=path.name))


@evidence.command("answer")
def evidence_answer(
    context: typer.Context,
    model: Annotated[str, typer.Option(help="NAME with all its versions, or NAME@2 for one of them.")],
    since: Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD, UTC.")],
    until: Annotated[str, typer.Option("--to", help="Last day, included.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")],
    json_: Json = False,
) -> None:
    """Answer an auditor: every audit of a model in a span of days, with packs, log entries and one page."""
    from appliance.views import plain

    with opened(context) as appliance, progress(json_) as step:
        view = appliance.answer_auditor(model, since, until, output, step)
    lines = [
        tell("answer.written", file=output, size=f"{view.size:,}", words=view.key_words),
        *view.sentences,
        *(
            tell(
                "answer.audit_line",
                verdict=one.verdict,
                model=one.model,
                audit=one.audit_id,
                moment=one.closed_utc[:16].replace("T", " "),
            )
            for one in view.audits
        ),
        count("answer.at", view.checkpoint, extract=f"{view.entries:,}"),
    ]
    emit(json_, plain(view), "\n".join(lines), aloud_first=view.sentences)
    say(tell("answer.check"))


@evidence.command("ls")
def evidence_ls(context: typer.Context, json_: Json = False) -> None:
    """List the evidence packs that were written, newest first; where to is not kept."""
    with opened(context) as appliance:
        table(json_, appliance.packs())


@evidence.command("verify")
def evidence_verify(context: typer.Context, file: Path, json_: Json = False) -> None:
    """Check a pack or an answer, of this site or another; exit 20 and every place where it is broken."""
    from appliance.errors import IntegrityError
    from appliance.evidence.verify import problems
    from appliance.views import plain

    with opened(context) as appliance:
        try:
            found = appliance.verify_pack(file)
        except IntegrityError as broken:
            for place in problems(broken)[1:]:  # the first is in the error itself
                say(tell("evidence.broken_at", place=place))
            raise
    told = count("pack.as_signed", found.entries, file=file.name, words=found.key_words)
    emit(json_, plain(found), "\n".join([told, *found.said]))
