"""`gradaudit policy …`: what verdicts follow from, how it changes, and who approved it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.commands.session import Json, in_person, opened
from appliance.commands.users import With, WithFd
from appliance.narration import emit, say, table, tabular

if TYPE_CHECKING:
    from collections.abc import Iterable

    from appliance.policies.views import ChangedKey, PolicyDifference, PolicyView

policy = typer.Typer(
    help="Policies: thresholds, what follows from them, and who approved.", no_args_is_help=True
)

Reference = Annotated[str, typer.Argument(metavar="POLICY", help="NAME, NAME@VERSION or a file.")]
Proposal = Annotated[str, typer.Argument(metavar="NAME@VERSION", help="What waits for approval.")]


@policy.command("ls")
def policy_ls(context: typer.Context, json_: Json = False) -> None:
    """List every version of every policy: in force, proposed, approved for later, replaced, rejected."""
    with opened(context) as appliance:
        rows = appliance.policy_versions()
    shown = ("name", "version", "state", "origin", "from_utc", "decided_by", "quorum", "log_years", "cadence")
    table(json_, rows, (*shown, "digest"))


@policy.command("show")
def policy_show(
    context: typer.Context,
    policy: Reference,
    text: Annotated[bool, typer.Option("--text", help="The text alone, to be edited and proposed.")] = False,
    json_: Json = False,
) -> None:
    """Show a policy's text, and who proposed, approved or rejected it, when."""
    from appliance.views import plain

    with opened(context) as appliance:
        view = appliance.policy(policy)
    emit(json_, plain(view), view.text if text else _told(view))


@policy.command("check")
def policy_check(file: Path, json_: Json = False) -> None:
    """Check a policy file and say which key on which line is wrong."""
    from appliance.policy_file import load

    loaded = load(str(file))
    emit(
        json_,
        {"name": loaded.policy.name, "version": loaded.policy.version, "digest": loaded.digest},
        f"{loaded.policy.name} version {loaded.policy.version}: usable, {loaded.digest[:16]}…",
    )


@policy.command("diff")
def policy_diff(
    context: typer.Context,
    first: Reference,
    second: Annotated[
        str, typer.Argument(metavar="[POLICY]", help="Left out: what is in force against what waits.")
    ] = "",
    json_: Json = False,
) -> None:
    """Compare two policies key by key: stricter, looser or neither, and what each key decides."""
    from appliance.views import plain

    with opened(context) as appliance:
        found = appliance.diff_policies(first, second)
    emit(json_, plain(found), _compared(found))


@policy.command("propose")
def policy_propose(
    context: typer.Context,
    file: Path,
    reason: Annotated[str, typer.Option(help="Why; it is sealed, and never in the log.")] = "",
    json_: Json = False,
) -> None:
    """Put a policy file up for approval. Nothing is decided by it before."""
    with opened(context) as appliance:
        row = appliance.propose_policy(file, reason)
    table(json_, (row,), ("reference", "state", "decided_by", "digest"))
    if not json_:
        say(f"`gradaudit policy dry-run {row.name}` says what it would have changed")


@policy.command("tighten")
def policy_tighten(
    context: typer.Context,
    base: Annotated[str, typer.Argument(metavar="POLICY", help="The site's: NAME, NAME@VERSION or a file.")],
    file: Annotated[Path, typer.Argument(help="The vendor's: any of a policy's keys.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the text to this new file, to be proposed.")
    ] = None,
    json_: Json = False,
) -> None:
    """Merge a vendor's file into a policy: what is stricter is taken, anything else is refused."""
    from appliance.views import plain

    with opened(context) as appliance:
        found = appliance.tighten_policy(base, file, out)
    head = f"{found.base} -> {found.reference}"
    emit(json_, plain(found), f"{_rows(head, found.taken)}\n\n{found.text}")
    if out is not None and not json_:
        say("`gradaudit policy propose` puts the new file up for approval")


@policy.command("schema")
def policy_schema(json_: Json = False) -> None:
    """Print the JSON Schema of policy files, as policies/schema.json has it."""
    from appliance.policies.schema import schema, text

    emit(json_, schema(), text().rstrip())


@policy.command("dry-run")
def policy_dry_run(
    context: typer.Context,
    policy: Reference,
    since: Annotated[str, typer.Option(help="Only audits that finished on this day or later.")] = "",
    json_: Json = False,
) -> None:
    """Say what every finished audit would have ended in under a policy, or that only a new run can tell."""
    with opened(context) as appliance:
        view = appliance.dry_run_policy(policy, since)
    table(json_, view.rows, ("audit_id", "model", "policy", "verdict", "would_be", "outcome", "why"))
    if not json_:
        say(f"{len(view.rows)} finished audits under {view.reference}")


@policy.command("approve")
def policy_approve(
    context: typer.Context,
    policy: Proposal,
    from_day: Annotated[
        str, typer.Option("--from", metavar="DAY", help="In force from this day on, midnight UTC.")
    ] = "",
    with_: With = "",
    with_fd: WithFd = None,
    json_: Json = False,
) -> None:
    """Let a proposal decide audits. Where findings open with two together, two approve together."""
    with in_person(context, with_, with_fd) as appliance:
        row = appliance.approve_policy(policy, from_day)
    table(json_, (row,), ("reference", "state", "from_utc", "decided_by", "digest"))


@policy.command("reject")
def policy_reject(
    context: typer.Context,
    policy: Proposal,
    reason: Annotated[str, typer.Option(help="Why; it is sealed, and never in the log.")],
    json_: Json = False,
) -> None:
    """Take a proposal off the table; its text and the reason are kept."""
    with opened(context) as appliance:
        row = appliance.reject_policy(policy, reason)
    table(json_, (row,), ("reference", "state", "decided_by", "digest"))


def _told(view: PolicyView) -> str:
    row = view.row
    deeds = tabular(view.deeds, ("act", "by", "utc", "from_utc", "reason"))
    shipped = "shipped with the software; nobody of this site has approved it\n"
    since = f" since {row.from_utc}" if row.from_utc else ""
    asks = (
        f"quorum: {row.quorum or 'not known'}\nthe log is kept for: {row.log_years or 'not known'} years\n"
        f"audited anew: {', '.join(row.cadence) or 'no model falls due'}\n"
    )
    head = f"{row.reference}: {row.state}{since}, SHA-256 {row.digest}\n{asks}"
    return f"{head}\n{deeds or shipped}\n{view.text}"


def _compared(found: PolicyDifference) -> str:
    head = f"{found.first} -> {found.second}"
    if not found.keys:
        same = "the texts differ, and no key does" if found.words_only else "the same text"
        return f"{head}: {same}"
    return _rows(head, found.keys)


def _rows(head: str, keys: Iterable[ChangedKey]) -> str:
    lines = [
        f"{one.change:8} {one.key}: {one.old} -> {one.new}  ({one.effect})\n         {one.decides}"
        for one in keys
    ]
    return "\n".join([head, *lines])
