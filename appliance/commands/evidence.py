"""`gradaudit log …` and `gradaudit evidence …`: the tamper-evident log, and packs that anyone can verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from appliance.commands.session import Json, opened
from appliance.narration import emit, say, table

log = typer.Typer(help="The tamper-evident log.", no_args_is_help=True)
evidence = typer.Typer(help="Evidence packs that anyone can verify.", no_args_is_help=True)


@log.command("verify")
def log_verify(context: typer.Context, json_: Json = False) -> None:
    """Re-derive the whole log: intact, and signed by which key."""
    from appliance.views import plain

    with opened(context) as appliance:
        health = appliance.log_verify()
    emit(
        json_,
        plain(health),
        f"{'intact' if health.intact else 'BROKEN: ' + health.problem}: {health.entries} entries",
    )
    say(f"signed by: {health.key_words}")
    if not health.intact:
        raise typer.Exit(20)


@log.command("ls")
def log_ls(
    context: typer.Context,
    offset: Annotated[int, typer.Option(help="First entry.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="How many entries.", min=1)] = 100,
    json_: Json = False,
) -> None:
    """List log entries."""
    with opened(context) as appliance:
        table(json_, appliance.log_entries(offset, limit))


@evidence.command("pack")
def evidence_pack(
    context: typer.Context,
    audit_id: str,
    output: Annotated[Path, typer.Option("-o", "--output", help="The pack to write.")],
    json_: Json = False,
) -> None:
    """Write the evidence pack of an audit: one file, no patient data, verifiable alone."""
    with opened(context) as appliance:
        path = appliance.export_pack(audit_id, output)
    emit(json_, {"pack": str(path)}, str(path))
    say(
        "verify anywhere with bare Python: take verify_evidence.py out of the pack (or your own copy), then "
        f"python3 verify_evidence.py {path.name}"
    )
