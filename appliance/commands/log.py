"""`gradaudit log …`: look at the log, check it, hand it on, and let others witness it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from appliance.commands.session import Json, opened
from appliance.narration import emit, progress, say, table
from appliance.words.table import count, tell

log = typer.Typer(help="The tamper-evident log.", no_args_is_help=True)
witness = typer.Typer(help="Witnesses: others who remember how far the log was.", no_args_is_help=True)
hold = typer.Typer(help="The legal hold, under which no year is pruned.", no_args_is_help=True)
log.add_typer(witness, name="witness")
log.add_typer(hold, name="hold")

Output = Annotated[Path, typer.Option("-o", "--output", help="The file to write.")]


@log.command("verify")
def log_verify(context: typer.Context, json_: Json = False) -> None:
    """Re-derive the whole log: intact, signed by which key, and seen by a witness or not."""
    from appliance.views import Progress, plain

    with opened(context) as appliance, progress(json_) as show:
        health = appliance.log_verify(lambda done, of: show(Progress("verifying", done, of, "entries")))
    told = count("log.told", health.entries)
    if not health.intact:
        told = count("log.told.broken", health.entries, problem=health.problem)
    emit(json_, plain(health), told)
    say(tell("log.signed_by", words=health.key_words))
    if not health.intact:
        raise typer.Exit(20)
    last = tell("log.witnessed.last", moment=health.witnessed_utc) if health.witnessed_utc else ""
    say(tell("log.witnessed", state=health.witnessed) + last)


@log.command("ls")
def log_ls(
    context: typer.Context,
    act: Annotated[str, typer.Option(help="Only acts that begin so, as `findings.`.")] = "",
    outcome: Annotated[str, typer.Option(help="Only outcomes that begin so, as `refused`.")] = "",
    actor: Annotated[str, typer.Option(help="Only actors that begin so, as `officer`.")] = "",
    object_: Annotated[str, typer.Option("--object", help="Only handles that begin so.")] = "",
    text: Annotated[str, typer.Option(help="Only entries where one of the four begins so.")] = "",
    since: Annotated[str, typer.Option("--from", help="Not before this UTC time, as 2026-07.")] = "",
    until: Annotated[str, typer.Option("--to", help="Not after it: 2026-07 is to the end of July.")] = "",
    newest: Annotated[bool, typer.Option("--newest", help="Newest first.")] = False,
    offset: Annotated[int, typer.Option(help="Entries to pass over.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="How many entries.", min=1)] = 100,
    json_: Json = False,
) -> None:
    """List log entries, all or those that a filter lets through; how many there are is said."""
    from appliance.evidence.views import LogFilter

    wanted = LogFilter(act, outcome, actor, object_, text, since, until)
    with opened(context) as appliance:
        found = appliance.log_find(wanted, offset, limit, newest)
    table(json_, found.rows)
    say(f"{len(found.rows)} of {found.total} entries")


@log.command("checkpoint")
def log_checkpoint(
    context: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(help="Ten words that were written down.")] = None,
    compare: Annotated[int, typer.Option(help="The number of entries written down with them.", min=0)] = 0,
    json_: Json = False,
) -> None:
    """Print the log's state to be written down; with --compare, check one that was."""
    from appliance.errors import UsageError
    from appliance.views import plain

    if bool(words) != bool(compare):
        raise UsageError(
            "--compare takes a number and ten words", "gradaudit log checkpoint --compare 120 WORDS…"
        )
    with opened(context) as appliance:
        if words:
            appliance.compare_log_state(compare, " ".join(words))
            emit(
                json_,
                {"entries": compare, "contained": True},
                count("log.contains", compare),
            )
            return
        state = appliance.log_state()
    shown = (("entries  ", state.entries), ("root     ", state.root), ("signed by", state.key_words))
    lines = [f"{name} {value}" for name, value in (*shown, ("state    ", state.state_words))]
    emit(json_, plain(state), "\n".join(lines))
    say("write down entries and state, on paper or elsewhere, and compare them later with --compare")


@log.command("export")
def log_export(
    context: typer.Context,
    output: Output,
    format_: Annotated[
        str, typer.Option("--format", help="jsonl (with proofs) or fhir (AuditEvent).")
    ] = "jsonl",
    first: Annotated[int | None, typer.Option("--from", help="First entry.", min=0)] = None,
    last: Annotated[int | None, typer.Option("--to", help="Last entry.", min=0)] = None,
    json_: Json = False,
) -> None:
    """Write entries to a file for other programs; there is no patient data in it."""
    from appliance.views import plain

    with opened(context) as appliance:
        made = appliance.export_log(output, format_, first, last)
    emit(
        json_,
        plain(made),
        tell("log.exported", file=made.file, first=f"{made.first:,}", last=f"{made.last:,}"),
    )
    if format_ == "fhir" and not made.checked:
        say("not checked against FHIR's own model: fhir.resources is not installed (extra `reports`)")


@log.command("review")
def log_review(
    context: typer.Context,
    first: Annotated[int, typer.Option("--from", help="First entry that was looked at.", min=0)],
    last: Annotated[int, typer.Option("--to", help="Last entry that was looked at.", min=0)],
    found: Annotated[str, typer.Option(help="What was found; sealed, the log has its digest.")],
    json_: Json = False,
) -> None:
    """Write down that you looked through a part of the log, and what you found."""
    from appliance.views import plain

    with opened(context) as appliance:
        row = appliance.review_log(first, last, found)
    emit(json_, plain(row), tell("log.reviewed", first=row.first, last=row.last, entry=row.entry))


@log.command("reviews")
def log_reviews(context: typer.Context, json_: Json = False) -> None:
    """List reviews of the log: who, when, which entries, what was found."""
    with opened(context) as appliance:
        table(json_, appliance.log_reviews())


@log.command("prune")
def log_prune(
    context: typer.Context,
    before: Annotated[int, typer.Option(help="Remove closed years before this one.", min=1000, max=9999)],
    keep: Annotated[
        int, typer.Option(help="Years that the site keeps a log; left out: as its policies ask, 6 at least.")
    ] = 0,
    json_: Json = False,
) -> None:
    """Remove closed years that are older than the retention; refused under a legal hold."""
    with opened(context) as appliance:
        years = appliance.prune_log(before, keep)
    emit(json_, {"removed": list(years)}, "removed: " + (", ".join(years) or "no year"))


@hold.command("set")
def hold_set(context: typer.Context) -> None:
    """Set the legal hold."""
    with opened(context) as appliance:
        appliance.hold_log(True)
    say("legal hold set: no year is pruned")


@hold.command("clear")
def hold_clear(context: typer.Context) -> None:
    """Lift the legal hold."""
    with opened(context) as appliance:
        appliance.hold_log(False)
    say("legal hold lifted")


@witness.command("init")
def witness_init(directory: Path, json_: Json = False) -> None:
    """On the witness's machine: make its key and memory in a new folder. Needs no workspace."""
    from appliance.evidence import witness_log

    try:
        told = witness_log.told_init(directory, witness_log.init(directory))
    except (witness_log.Refused, OSError) as refused:
        raise _refusal(refused) from refused
    emit(json_, {"key_file": str(directory / witness_log.KEY_FILE)}, "\n".join(told))


@witness.command("sign")
def witness_sign(
    request: Path,
    output: Output,
    state: Annotated[Path, typer.Option(help="The witness's folder.")],
    key: Annotated[str, typer.Option(help="The ten words of the log's key, at the first request.")] = "",
    json_: Json = False,
) -> None:
    """On the witness's machine: check a request against what was seen, and cosign. Needs no workspace."""
    from appliance.errors import IntegrityError
    from appliance.evidence import verify_evidence, witness_log

    try:
        data = witness_log.read_request(request)
        answer = witness_log.sign(data, state, log_words=" ".join(key.lower().split()))
        output.write_bytes(answer.data())
    except verify_evidence.Broken as broken:
        raise IntegrityError(str(broken), "ask the site for a fresh request") from broken
    except witness_log.Refused as refused:
        raise IntegrityError(
            f"refused: {refused}", "keep the request, and ask the site what happened"
        ) from refused
    except OSError as error:
        raise _refusal(error) from error
    told = witness_log.told_sign(answer)
    emit(json_, {"answer": str(output), "signed": told[0].split()[1]}, "\n".join(told))


@witness.command("request")
def witness_request(context: typer.Context, name: str, output: Output) -> None:
    """Write the file to bring to a witness."""
    with opened(context) as appliance:
        data = appliance.witness_request(name)
    try:
        output.write_bytes(data)
    except OSError as error:
        raise _refusal(error) from error
    say(f"bring {output} to the witness: gradaudit log witness sign {output.name} --state FOLDER -o ANSWER")


@witness.command("accept")
def witness_accept(context: typer.Context, answer: Path, json_: Json = False) -> None:
    """Check a witness's answer and keep its cosignature."""
    from appliance.views import plain

    try:
        data = answer.read_bytes()
    except OSError as error:
        raise _refusal(error) from error
    with opened(context) as appliance:
        row = appliance.accept_witness(data)
    emit(json_, plain(row), count("log.seen", row.entries, name=row.name, moment=row.seen_utc))


@witness.command("trust")
def witness_trust(context: typer.Context, name: str, key: list[str], json_: Json = False) -> None:
    """Trust a witness from now on, by its key file or its ten words."""
    from appliance.views import plain

    try:
        given = Path(key[0]).read_bytes() if len(key) == 1 else " ".join(key)
    except OSError as error:
        raise _refusal(error) from error
    with opened(context) as appliance:
        row = appliance.trust_witness(name, given)
    emit(json_, plain(row), f"{row.name} is trusted: {row.words}")


@witness.command("ls")
def witness_ls(context: typer.Context, json_: Json = False) -> None:
    """List trusted witnesses and what each has seen."""
    with opened(context) as appliance:
        table(json_, appliance.witnesses())


def _refusal(error: Exception) -> Exception:
    from appliance.errors import UsageError

    if isinstance(error, OSError):
        return UsageError(f"{error.filename}: {error.strerror}", "name a file that can be read and written")
    return UsageError(str(error), "a witness has a new, empty folder of its own")
