"""`gradaudit design …`: coins and canaries committed before data leave, revealed when a model comes back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.commands.session import Json, opened
from appliance.narration import emit, progress, say, table

if TYPE_CHECKING:
    from appliance.designs.views import DesignView

design = typer.Typer(help="Evidence by design: a hold-out drawn by coin, and canaries.", no_args_is_help=True)

_COLUMNS = ("name", "state", "committed_utc", "released", "held_back", "canaries", "planted", "commitment")
_RELEASE = ("pseudonym", "patient_id", "accessions")


@design.command("new")
def design_new(
    context: typer.Context,
    name: str,
    patients: Annotated[str, typer.Option(help="Whose studies are about to leave: a list, a query, all.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for canaries and release list.")],
    canaries: Annotated[int, typer.Option(help="Canaries to make; a coin plants about half of them.")] = 64,
    hold_back: Annotated[str, typer.Option(help="Share of patients to hold back.")] = "0.5",
    json_: Json = False,
) -> None:
    """Throw a coin per patient, plant canaries, and commit both to the log, before anything leaves."""
    from appliance.designs.making import DesignRequest

    with opened(context) as appliance, progress(json_) as step:
        view = appliance.new_design(DesignRequest(name, patients, canaries, hold_back), output, step)
    _show(json_, view)
    say(f"put the files in {output / 'studies'} among the outgoing ones, before identities are taken away;")
    say("release nobody whose pseudonym is not on release-list.csv; the list itself stays here")
    say(
        f"an audit would ask about {view.released} patients, with about {round(0.6 * view.held_back)} "
        "calibration controls: compare that with the minima of your policy before anything leaves"
    )


@design.command("ls")
def design_ls(context: typer.Context, json_: Json = False) -> None:
    """List designs: drawn, committed or revealed."""
    with opened(context) as appliance:
        table(json_, appliance.designs(), _COLUMNS)


@design.command("show")
def design_show(
    context: typer.Context,
    name: str,
    release: Annotated[
        bool, typer.Option("--release", help="Who may leave. Contains patient data: for this terminal only.")
    ] = False,
    json_: Json = False,
) -> None:
    """Show a design in counts, with its commitment and, once it is revealed, its seed."""
    with opened(context) as appliance:
        if release:
            table(json_, appliance.release_list(name), _RELEASE)
            return
        view = appliance.design(name)
    _show(json_, view)


@design.command("reveal")
def design_reveal(
    context: typer.Context,
    name: str,
    model: Annotated[str, typer.Option()],
    policy_name: Annotated[
        str, typer.Option("--policy", help="Name of a shipped policy, or a file.")
    ] = "default",
    members: Annotated[str, typer.Option(help="Pairs known to be in the training data.")] = "",
    references: Annotated[str, typer.Option(help="L1 … L5: where the members come from.")] = "L5",
    without: Annotated[
        str, typer.Option(help="Patients not to be counted: withdrawn, or gone although held back.")
    ] = "",
    fitting_share: Annotated[float, typer.Option(help="Share of control patients used for fitting.")] = 0.4,
    json_: Json = False,
) -> None:
    """Check the commitment, reveal it, and audit a model against it. The exit code is the verdict's."""
    from appliance.commands.audits import show_audit
    from appliance.designs.revealing import RevealRequest

    request = RevealRequest(name, model, policy_name, members, references, without, fitting_share)
    with opened(context) as appliance, progress(json_) as step:
        view = appliance.reveal_design(request, step)
    show_audit(view, json_)


def _show(json_: bool, view: DesignView) -> None:
    from appliance.views import plain

    lines = [
        f"design {view.name}: {view.state}; commitment {view.commitment}",
        f"{view.released} patients may leave, {view.held_back} are held back (share {view.hold_back})",
        f"{view.canaries} canaries, {view.planted} of them planted in {view.outgoing} studies; "
        f"{view.guesses} will be guessed",
    ]
    if view.shared_picture:
        lines.append(
            f"{view.shared_picture} patients got no coin and may not leave: their picture is also another's"
        )
    if view.earlier_design:
        lines.append(f"{view.earlier_design} patients were released under an earlier design")
    if view.seed:
        lines.append(f"seed {view.seed}, revealed {view.revealed_utc}")
    emit(json_, plain(view), "\n".join(lines))
