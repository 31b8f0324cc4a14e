"""`gradaudit pairs …` and `gradaudit cohort …`: what was joined, and who plays which role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from appliance.commands.session import Json, opened
from appliance.narration import aligned, emit, progress, say, table, tabular

if TYPE_CHECKING:
    from appliance.views import BalanceView, CohortView, PairView

cohort = typer.Typer(help="Frozen, patient-disjoint sets of pairs.", no_args_is_help=True)
pairs = typer.Typer(help="Images joined with their reports.", no_args_is_help=True)

_PAIR = (
    *("pair_id", "patient_id", "accession", "study_date", "modality", "body_part"),
    *("rule", "report_status", "report_source", "frame_rule", "note"),
)
_UNPAIRED = (
    *("kind", "content_digest", "patient_id", "accession", "study_date", "modality"),
    *("source", "status", "reason", "why"),
)
_DUPLICATE = (
    *("group", "kind", "patients", "content_digest", "patient_id", "accession", "study_date", "source"),
    "pair_id",
)
_COHORT = ("name", "counts", "design", "references", "digest")
_SMALL = 5  # patients; a smaller group could point at one, so its size does not leave the terminal


@pairs.command("ls")
def pairs_ls(
    context: typer.Context,
    unpaired: Annotated[bool, typer.Option("--unpaired", help="What found no partner, and why.")] = False,
    json_: Json = False,
) -> None:
    """List pairs and why each is one. Contains patient data: for this terminal only."""
    with opened(context) as appliance:
        if unpaired:
            table(json_, appliance.unpaired(), _UNPAIRED)
        else:
            table(json_, appliance.pairs(), _PAIR)


@pairs.command("count")
def pairs_count(context: typer.Context, json_: Json = False) -> None:
    """Count pairs by what joined them, and what is in none by reason; names no patient."""
    from appliance.views import plain

    with opened(context) as appliance:
        view = appliance.pairing()
    lines = [f"{number:7} paired by {rule}" for rule, number in view.rules]
    emit(json_, plain(view), "\n".join([*lines, tabular(view.unpaired).rstrip("\n")]).rstrip("\n"))


@pairs.command("show")
def pairs_show(context: typer.Context, pair_id: str, json_: Json = False) -> None:
    """Show both sides of a pair and every version of its report. Contains patient data."""
    from appliance.views import plain

    with opened(context) as appliance:
        view = appliance.pair(pair_id)
    emit(json_, plain(view), _told(view))


@pairs.command("duplicates")
def pairs_duplicates(context: typer.Context, json_: Json = False) -> None:
    """List images and reports that show the same as another. Contains patient data."""
    with opened(context) as appliance, progress(json_) as step:
        found = appliance.duplicates(step)
    table(json_, found, _DUPLICATE)


@cohort.command("create")
def cohort_create(
    context: typer.Context,
    name: str,
    targets: Annotated[str, typer.Option(help="The pairs in question: a list, a query, all or rest.")] = "",
    controls: Annotated[str, typer.Option(help="Pairs known not to be in the training data.")] = "",
    members: Annotated[str, typer.Option(help="Pairs known to be in the training data.")] = "",
    bank: Annotated[str, typer.Option(help="Anchor pairs for contrastive models.")] = "",
    post_release: Annotated[str, typer.Option(help="Studies acquired after the model's release.")] = "",
    roles: Annotated[str, typer.Option(help="One list for all roles, with a column `role`.")] = "",
    size: Annotated[list[str] | None, typer.Option(help="Draw so many patients: ROLE=N; repeatable.")] = None,
    match_controls: Annotated[
        bool, typer.Option("--match-controls", help="Draw controls like the targets in kind and year.")
    ] = False,
    design: Annotated[
        str, typer.Option(help="random or convenience; committed is what `design reveal` makes.")
    ] = "convenience",
    references: Annotated[str, typer.Option(help="L1 … L5: where the members come from.")] = "L5",
    fitting_share: Annotated[float, typer.Option(help="Share of control patients used for fitting.")] = 0.4,
    seed: Annotated[int, typer.Option(help="Seed of every draw.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show who would be in it and how alike; freeze nothing.")
    ] = False,
    json_: Json = False,
) -> None:
    """Freeze a patient-disjoint cohort; its digest covers every role."""
    from appliance.cohort_request import CohortRequest

    request = CohortRequest(
        name=name,
        selections={
            "member": members,
            "control": controls,
            "target": targets,
            "bank": bank,
            "post_release": post_release,
        },
        design=design,
        references=references,
        fitting_share=fitting_share,
        seed=seed,
        roles_file=roles,
        sizes=_sizes(size or []),
        match_controls=match_controls,
    )
    with opened(context) as appliance, progress(json_) as step:
        view = appliance.try_cohort(request) if dry_run else appliance.create_cohort(request, step)
    _show(json_, view)
    if dry_run:
        say("nothing was frozen")


@cohort.command("show")
def cohort_show(context: typer.Context, name: str, json_: Json = False) -> None:
    """Show who is in a cohort, how alike its roles are, and what may mislead."""
    with opened(context) as appliance:
        view = appliance.cohort(name)
    _show(json_, view)


@cohort.command("ls")
def cohort_ls(context: typer.Context, json_: Json = False) -> None:
    """List frozen cohorts."""
    with opened(context) as appliance:
        table(json_, appliance.cohorts(), _COHORT)


def _sizes(given: Sequence[str]) -> Mapping[str, int]:
    from appliance.errors import UsageError

    sizes = {}
    for text in given:
        role, _, number = text.partition("=")
        if not number.isdecimal():
            raise UsageError("a size is a role and a number of patients", "like --size control=200")
        sizes[role.replace("-", "_").removesuffix("s")] = int(number)
    return sizes


def _show(json_: bool, view: CohortView) -> None:
    for warning in view.warnings:
        say(f"warning: {warning}")
    counts = ", ".join(f"{patients} {role}" for role, patients in view.counts)
    lines = [f"cohort {view.name}: {counts}; digest {view.digest[:16]}…"]
    if view.balance is not None:
        lines += ["", *_balance(view.balance)]
    emit(json_, _outside(view), "\n".join(lines))


def _balance(view: BalanceView) -> list[str]:
    """Tables of roles, of what they are made of, and of how targets differ from controls."""
    from audit_core.shares import percent

    roles = [[one.role, one.patients, one.pairs, one.first, one.last] for one in view.roles]
    names = [one.role for one in view.roles]
    kinds = [
        [breakdown.characteristic, word, *patients]
        for breakdown in view.breakdowns
        for word, patients in breakdown.patients
    ]
    compared = [
        [
            f"{one.characteristic} {one.value}".strip(),
            percent(one.targets) if one.value else f"{one.targets:.5g}",
            percent(one.controls) if one.value else f"{one.controls:.5g}",
            "-" if one.standardised is None else f"{one.standardised:+.2f}",
            one.remark or "alike",
        ]
        for one in view.differences
    ]
    return [
        aligned(["role", "patients", "pairs", "first", "last"], roles),
        aligned(["patients with", "", *names], kinds),
        aligned(["targets against calibration", "targets", "controls", "standardised", ""], compared),
    ]


def _outside(view: CohortView) -> dict[str, Any]:
    """What a program may carry away: no small group, no day of the year."""
    from appliance.views import plain

    document = plain(view)
    balance = document["balance"]
    if balance is None:
        return document
    for role in balance["roles"]:
        role["first"], role["last"] = role["first"][:4], role["last"][:4]
    small = set()
    for breakdown in balance["breakdowns"]:
        for word, patients in breakdown["patients"]:
            if any(0 < number < _SMALL for number in patients):
                small.add((breakdown["characteristic"], word))
            patients[:] = [f"< {_SMALL}" if 0 < number < _SMALL else number for number in patients]
    for one in balance["differences"]:
        if (one["characteristic"], one["value"]) in small:
            one["targets"] = one["controls"] = None
    return document


def _told(view: PairView) -> str:
    """A pair as lines: why it is one, what each side says of itself, and what came before."""
    lines = [
        f"pair {view.pair_id}",
        f"{'stands' if view.standing else 'stands no more'}; joined by {view.rule}; frame: {view.frame_rule}",
        *([f"note: {view.note}"] if view.note else []),
        *(f"{role} in cohort {name}" for name, role in view.places),
        "",
    ]
    report = dict(view.report)
    names = list(dict.fromkeys([name for name, _ in view.image] + [name for name, _ in view.report]))
    image = dict(view.image)
    lines.append(
        aligned(["", "image", "report"], [[name, image.get(name), report.get(name)] for name in names])
    )
    versions = [[one.content_digest, one.status, one.issued, one.source, one.state] for one in view.versions]
    lines.append(aligned(["report", "status", "issued", "source", ""], versions))
    lines += [f"the same image came again as {digest[:12]}" for digest in view.copies]
    return "\n".join(lines)
