"""`gradaudit pairs …` and `gradaudit cohort …`: what was joined, and who plays which role."""

from __future__ import annotations

from typing import Annotated

import typer

from appliance.commands.session import Json, opened
from appliance.narration import emit, table

cohort = typer.Typer(help="Frozen, patient-disjoint sets of pairs.", no_args_is_help=True)
pairs = typer.Typer(help="Images joined with their reports.", no_args_is_help=True)


@pairs.command("ls")
def pairs_ls(context: typer.Context, json_: Json = False) -> None:
    """List pairs with every handle they are known by. Contains patient data: for this terminal only."""
    with opened(context) as appliance:
        table(json_, appliance.pairs())


@cohort.command("create")
def cohort_create(
    context: typer.Context,
    name: str,
    targets: Annotated[
        str, typer.Option(help="File of accession numbers, or a query; the pairs in question.")
    ],
    controls: Annotated[str, typer.Option(help="Pairs known not to be in the training data.")],
    members: Annotated[str, typer.Option(help="Pairs known to be in the training data.")] = "",
    bank: Annotated[str, typer.Option(help="Anchor pairs for contrastive models.")] = "",
    post_release: Annotated[str, typer.Option(help="Studies acquired after the model's release.")] = "",
    design: Annotated[str, typer.Option(help="committed, random or convenience.")] = "convenience",
    references: Annotated[str, typer.Option(help="L1 … L5: where the members come from.")] = "L5",
    fitting_share: Annotated[float, typer.Option(help="Share of control patients used for fitting.")] = 0.4,
    seed: Annotated[int, typer.Option(help="Seed of every draw.")] = 0,
    json_: Json = False,
) -> None:
    """Freeze a patient-disjoint cohort; its digest covers every role."""
    from appliance.cohorts import CohortRequest
    from appliance.views import plain

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
    )
    with opened(context) as appliance:
        view = appliance.create_cohort(request)
    counts = ", ".join(f"{patients} {role}" for role, patients in view.counts)
    emit(json_, plain(view), f"cohort {view.name}: {counts}; digest {view.digest[:16]}…")


@cohort.command("ls")
def cohort_ls(context: typer.Context, json_: Json = False) -> None:
    """List frozen cohorts."""
    with opened(context) as appliance:
        table(json_, appliance.cohorts())
