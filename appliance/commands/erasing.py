"""`gradaudit studies erase | erasures | readmit`: erasing a patient, and what attests it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.commands.library import studies
from appliance.commands.session import Json, in_person, opened
from appliance.commands.users import With, WithFd
from appliance.errors import UsageError
from appliance.narration import emit, say, table

if TYPE_CHECKING:
    from appliance.erasure import ErasureView

PatientOption = Annotated[str, typer.Option("--patient", help="PatientID; - reads it from stdin.")]


@studies.command("erase")
def studies_erase(
    context: typer.Context,
    patient: PatientOption = "",
    issuer: Annotated[str | None, typer.Option(help="IssuerOfPatientID; without it any.")] = None,
    pseudonym: Annotated[str, typer.Option(help="Instead of --patient.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go; change nothing.")] = False,
    confirm: Annotated[str, typer.Option(help="The pseudonym that --dry-run shows.")] = "",
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the certificate.")] = Path(),
    with_: With = "",
    with_fd: WithFd = None,
    json_: Json = False,
) -> None:
    """Erase a patient: keys, images, reports, findings; then the RUN key changes. Contains patient data."""
    from appliance.views import plain

    number = _given(patient, pseudonym)
    with in_person(context, with_, with_fd) as appliance:
        view = appliance.erasure_plan(number, issuer, pseudonym)
        if dry_run:
            emit(json_, plain(view), _told(view))
            return
        if not confirm and sys.stdin.isatty():
            say(_told(view))
            confirm = typer.prompt("type the pseudonym to erase this patient", err=True)
        facts = appliance.erase_patient(number, issuer, pseudonym, confirmed=confirm)
        paths = appliance.write_certificate(facts["erasure"], output)
    emit(json_, {**facts, "files": [str(path) for path in paths]}, "\n".join(map(str, paths)))
    say(f"erased; findings: {facts['findings']}; {facts['keys']}")
    say("every session has ended: `gradaudit unlock` opens the workspace anew")


@studies.command("erasures")
def studies_erasures(
    context: typer.Context,
    certificate: Annotated[str, typer.Option(help="Write the certificate of this erasure again.")] = "",
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the certificate.")] = Path(),
    json_: Json = False,
) -> None:
    """List erasures, oldest first; they name no patient."""
    with opened(context) as appliance:
        if certificate:
            paths = [str(path) for path in appliance.write_certificate(certificate, output)]
            emit(json_, {"files": paths}, "\n".join(paths))
            return
        table(json_, appliance.erasures(), ("erasure", "erased_utc", "by_role", "findings", "audits"))


@studies.command("readmit")
def studies_readmit(
    context: typer.Context,
    patient: PatientOption,
    issuer: Annotated[str, typer.Option(help="IssuerOfPatientID, as it was at the erasure.")] = "",
) -> None:
    """Let studies of a patient who was erased be taken in again."""
    with opened(context) as appliance:
        appliance.readmit_patient(_given(patient, ""), issuer)
    say("studies of this patient are taken in again from now on")


def _given(patient: str, pseudonym: str) -> str:
    """The id, which may come on stdin: an argument stands in the shell's history."""
    if bool(patient) == bool(pseudonym):
        raise UsageError("one patient is named", "by --patient or by --pseudonym")
    return sys.stdin.readline().rstrip("\n") if patient == "-" else patient


def _told(view: ErasureView) -> str:
    from appliance.sanitise import safe

    who = [
        safe(number, 80) + (f" issued by {safe(issuer, 80)}" if issuer else "")
        for issuer, number in view.identities
    ]
    counts = f"{view.reports} reports, {view.studies} described studies, {view.pairs} pairs"
    lines = [
        f"{view.patient}: {', '.join(who)}",
        f"{view.images:7} images, {counts}",
        f"{view.objects:7} sealed files",
    ]
    for what, names in (
        ("cohorts that held the patient and cannot be audited again", view.cohorts),
        ("audits on them, which keep their counts", view.audits),
        ("audits that were cut off and are given up", view.given_up),
        ("models to be audited anew", view.models),
        ("committed designs that keep the patient's number", view.designs),
    ):
        lines += [f"{len(names):7} {what}: {safe(', '.join(names), 300)}"] if names else []
    if view.same_study:
        lines.append(
            f"{view.same_study:7} records of other patients under the same study UID stay: look at them"
        )
    return "\n".join(lines)
