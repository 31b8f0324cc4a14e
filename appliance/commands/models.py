"""`gradaudit models …`: vendor models registered on this site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.commands.session import Json, opened
from appliance.narration import emit, progress, table
from appliance.words.table import count, tell

if TYPE_CHECKING:
    from appliance.views import ModelView

models = typer.Typer(help="Vendor models registered on this site.", no_args_is_help=True)

Pairs = Annotated[int, typer.Option(min=1, help="Cohort size that the estimate of time and memory is for.")]
_LISTED = ("name", "family", "architecture", "parameters", "audited", "vendor", "released", "registered_utc")


@models.command("add")
def models_add(
    context: typer.Context,
    name: str,
    path: Path,
    family: Annotated[
        str,
        typer.Option(help="image-text-to-text, contrastive or image-text-matching; found out when empty."),
    ] = "",
    base: Annotated[
        Path | None, typer.Option(help="Folder of the model this one was fine-tuned from.")
    ] = None,
    adapter: Annotated[
        Path | None, typer.Option(help="Folder of a LoRA or DoRA adapter to be put on the model.")
    ] = None,
    vendor: Annotated[str, typer.Option(help="Who delivered it.")] = "",
    released: Annotated[str, typer.Option(help="Release date, YYYY-MM-DD.")] = "",
    pairs: Pairs = 1000,
    json_: Json = False,
) -> None:
    """Register a vendor model: digests of every file, all of it sealed in the workspace, a trial; no code."""
    from appliance.views import plain

    with opened(context) as appliance, progress(json_) as step:
        view = appliance.add_model(
            name,
            path,
            family=family,
            base=base,
            adapter=adapter,
            vendor=vendor,
            released=released,
            pairs=pairs,
            step=step,
        )
    emit(json_, plain(view), f"registered {_told(view)}")


@models.command("ls")
def models_ls(context: typer.Context, json_: Json = False) -> None:
    """List registered models."""
    with opened(context) as appliance:
        table(json_, appliance.models(), _LISTED)


@models.command("show")
def models_show(context: typer.Context, name: str, pairs: Pairs = 1000, json_: Json = False) -> None:
    """Show one model: what it is, what of it is audited, what an audit will take, its files."""
    from appliance.views import plain

    with opened(context) as appliance:
        view = appliance.model(name, pairs)
    sealed = f"\nsealed: {view.sealed}" if view.sealed else ""
    files = "".join(f"\n  {digest[:16]}…  {file}" for file, digest in view.files.items())
    emit(json_, plain(view), f"{_told(view)}{sealed}\nfiles:{files}")


@models.command("verify")
def models_verify(context: typer.Context, name: str, json_: Json = False) -> None:
    """Open all that was sealed, and compare the vendor's folder; exit 20 and the files that differ."""
    from appliance.errors import IntegrityError
    from appliance.views import plain

    with opened(context) as appliance:
        check = appliance.verify_model(name)
    if json_ or not check.different:
        gone = f"; the vendor's folder is not there ({', '.join(check.absent)})" if check.absent else ""
        gone = "; a later version lies in the vendor's folder" if check.superseded else gone
        said = "the sealed copy" if check.absent else "the vendor's folder, and the sealed copy,"
        emit(json_, plain(check), f"{check.name}: {said} is what was registered: {check.digest}{gone}")
    if check.different:
        more = f" and {len(check.different) - 5} more" if len(check.different) > 5 else ""
        raise IntegrityError(
            f"{name} is not what was registered: {'; '.join(check.different[:5])}{more}",
            "restore the vendor's files, or register what lies there under another name",
        )


@models.command("diff")
def models_diff(context: typer.Context, first: str, second: str, json_: Json = False) -> None:
    """Show which files and facts two registered models do not share."""
    with opened(context) as appliance:
        table(json_, appliance.compare_models(first, second))


def _told(view: ModelView) -> str:
    """A model in lines for a reader."""
    from appliance.pack.pages.wording import duration

    head = {"name": view.name, "family": view.family, "digest": view.digest[:16]}
    head["parameters"] = f"{view.parameters:,}"
    lines = [
        tell("model.head", **head),
        tell("model.architecture", architecture=view.architecture),
        count("model.audited", view.matrices, parts=view.audited),
    ]
    lines += [tell("model.not_audited", parts=view.not_audited)] * bool(view.not_audited)
    lines += [tell("model.base", base=view.base_path or tell("model.base.off"))] * view.has_base
    lines += [tell("model.adapter", adapter=view.adapter_path)] * view.has_adapter
    lines += [tell("model.converted", what=line) for line in view.converted]
    lines += [f"{name.replace('_', ' ')}: {value}" for name, value in view.facts.items() if name not in _SAID]
    if view.estimate is not None:
        estimate = view.estimate
        cost = {"time": duration(estimate.seconds), "memory": f"{estimate.peak_bytes / (1 << 30):.1f}"}
        lines.append(count("model.estimate", estimate.pairs, basis=estimate.basis, **cost))
    return "\n".join(lines)


_SAID = ("family", "parameters", "architecture")
