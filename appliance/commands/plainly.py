"""`--plain` on every command that prints data: found by its `--json`, so that none is forgotten."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from appliance.narration import speak_plainly

HELP = "Line by line, for screen readers and logs: no tables, bars or signs."
VARIABLE = "GRADAUDIT_PLAIN"

Plain = Annotated[bool, typer.Option("--plain", envvar=VARIABLE, help=HELP)]


def whole(app: typer.Typer) -> Any:
    """The command line of an app, with `--plain` where there is `--json`."""
    command = typer.main.get_command(app)
    _extend(command, typer.main.get_command(_donor).params[0])
    return command


def _extend(command: Any, option: Any) -> None:
    for child in getattr(command, "commands", {}).values():
        _extend(child, option)
    if any("--json" in parameter.opts for parameter in command.params):
        command.params.append(option)


def _chosen(given: bool) -> None:
    if given:
        speak_plainly(True)


_donor = typer.Typer(add_completion=False)


@_donor.command()
def _with_the_option(
    plain: Annotated[bool, typer.Option("--plain", help=HELP, callback=_chosen, expose_value=False)] = False,
) -> None:
    """Where the option is taken from: typer makes options from signatures alone."""
