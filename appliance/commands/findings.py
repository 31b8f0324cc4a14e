"""`gradaudit findings …`: what an audit says of single patients. Opens with a passphrase or the quorum."""

from __future__ import annotations

from typing import Annotated

import typer

from appliance.commands.session import Json, in_person
from appliance.commands.users import With, WithFd
from appliance.narration import emit, progress, say, table, tabular

findings = typer.Typer(
    help="What an audit says of single patients; opens with the evidence key.", no_args_is_help=True
)


@findings.command("ls")
def findings_ls(
    context: typer.Context,
    audit_id: str,
    min_probability: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Leave out what is less likely.")
    ] = None,
    prior: Annotated[
        str, typer.Option(help="Of the leak probability: 0.001, 0.01, 0.1, mixture or 'as published'.")
    ] = "",
    min_score: Annotated[
        float | None, typer.Option(help="Leave out what the deciding detector scores lower.")
    ] = None,
    role: Annotated[str, typer.Option(help="Of the cohort: target, calibration, fitting, member…")] = "",
    flagged: Annotated[bool, typer.Option("--flagged", help="Only what is flagged.")] = False,
    pseudonym: Annotated[str, typer.Option(help="How it begins.")] = "",
    sort: Annotated[
        str, typer.Option(help="By audit order, score, p-value, probability or pseudonym.")
    ] = "audit",
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many of the first.")] = 0,
    limit: Annotated[int, typer.Option(min=-1, help="At most so many; -1 for all.")] = -1,
    with_: With = "",
    with_fd: WithFd = None,
    json_: Json = False,
) -> None:
    """List findings by pseudonym: score, p-value, leak probability. Membership is health information."""
    from appliance.finding_views import FindingsAsked
    from appliance.views import Progress

    asked = FindingsAsked(role, flagged, pseudonym, min_score, prior, min_probability, sort)
    with in_person(context, with_, with_fd) as appliance, progress(json_) as step:
        page = appliance.findings_page(
            audit_id,
            asked,
            offset,
            limit,
            lambda done, total: step(Progress("reading", done, total, "findings")),
        )
    table(json_, page.rows)
    if json_:
        return
    if len(page.rows) < page.total:
        say(f"{len(page.rows):,} of {page.total:,}, from the {offset + 1:,}. on")
    without = sum(row.probability is None for row in page.rows)
    if without:
        told = f"{without} of {len(page.rows)} have no leak probability"
        say(f"{told}: docs/judgement.md says when there is one")


@findings.command("show")
def findings_show(
    context: typer.Context,
    audit_id: str,
    pseudonym: str,
    with_: With = "",
    with_fd: WithFd = None,
    json_: Json = False,
) -> None:
    """Show every pair of a pseudonym with all scores; what was not scored says why."""
    from appliance.views import plain

    with in_person(context, with_, with_fd) as appliance:
        found = appliance.finding(audit_id, pseudonym)
    lines = []
    for one in found:
        judged = f"p {one.p_value:.3g}" if one.p_value is not None else "not judged"
        lines.append(f"{one.patient}  {one.role}  {judged}  {'flagged' if one.flagged else 'not flagged'}")
        lines.append(f"  pair {one.pair_id[:12]}")
        lines += [f"  {name:24} {value}" for name, value in one.scores.items()]
        lines += [f"  leak probability {prior:12} {value:.3f}" for prior, value in one.probabilities.items()]
    emit(json_, {"findings": [plain(one) for one in found]}, "\n".join(lines))


@findings.command("reveal")
def findings_reveal(
    context: typer.Context,
    audit_id: str,
    pseudonym: str,
    reason: Annotated[str, typer.Option(help="Why; it is sealed, and never in the log.")],
    with_: With = "",
    with_fd: WithFd = None,
    json_: Json = False,
) -> None:
    """Break the glass: show who a pseudonym is. Logged before it is shown. Contains patient data."""
    from appliance.sanitise import safe
    from appliance.views import plain

    with in_person(context, with_, with_fd) as appliance:
        view = appliance.reveal_finding(audit_id, pseudonym, reason)
    who = [
        f"{safe(number, 100)}" + (f"  issued by {safe(issuer, 100)}" if issuer else "")
        for issuer, number in view.identities
    ]
    told = "\n".join(who) or "nobody: a planted canary"
    emit(json_, plain(view), f"{told}\n{tabular(view.studies)}".rstrip("\n"))
    say(f"this look is in the log with the digest {view.digest[:16]}… of the sealed reason")


@findings.command("reveals")
def findings_reveals(
    context: typer.Context, with_: With = "", with_fd: WithFd = None, json_: Json = False
) -> None:
    """List every look at an identity with its reason, oldest first."""
    with in_person(context, with_, with_fd) as appliance:
        table(json_, appliance.reveals(), ("revealed_utc", "by", "audit_id", "patient", "reason"))
