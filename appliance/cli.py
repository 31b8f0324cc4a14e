"""The command line: the same acts as the terminal UI. stdout is data, stderr is narration (DESIGN §6).

Each group of commands is one file in `appliance.commands`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from appliance import egress
from appliance.commands import changes, erasing  # noqa: F401 - add their commands to `models`, `studies`
from appliance.commands.audits import EXIT_BY_VERDICT, audit
from appliance.commands.cases import case
from appliance.commands.claims import claim
from appliance.commands.cohorts import cohort, pairs
from appliance.commands.configuration import configuration
from appliance.commands.designs import design
from appliance.commands.evidence import evidence
from appliance.commands.findings import findings
from appliance.commands.first_run import init
from appliance.commands.glossary import glossary
from appliance.commands.library import reports, studies
from appliance.commands.log import log
from appliance.commands.machine import demo, doctor, health
from appliance.commands.models import models
from appliance.commands.plainly import Plain, whole
from appliance.commands.policies import policy
from appliance.commands.receiving import receive
from appliance.commands.runs import runs
from appliance.commands.safekeeping import backup, restore, workspace
from appliance.commands.schedule import schedule
from appliance.commands.service import serve
from appliance.commands.session import Session, named_folder
from appliance.commands.studies import ingest, quarantine
from appliance.commands.users import recover, users
from appliance.commands.workspace import lock, unlock
from appliance.errors import ApplianceError, UsageError
from appliance.narration import complain, emit, say, speak_plainly
from appliance.redaction import fault_line, redact
from appliance.spelling import spell_out, started_with

__all__ = ["EXIT_BY_VERDICT", "INTERRUPTED", "app", "main"]

INTERRUPTED = 130

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    help="Audit medical vision-language models for exposure of your patients' data, on site and offline.",
)
for command in (init, unlock, lock, backup, restore, recover, ingest, serve, doctor, health, demo, glossary):
    app.command()(command)
for name, group in (
    ("users", users),
    ("workspace", workspace),
    ("models", models),
    ("cohort", cohort),
    ("design", design),
    ("audit", audit),
    ("runs", runs),
    ("policy", policy),
    ("case", case),
    ("claim", claim),
    ("findings", findings),
    ("studies", studies),
    ("reports", reports),
    ("pairs", pairs),
    ("quarantine", quarantine),
    ("receive", receive),
    ("schedule", schedule),
    ("log", log),
    ("config", configuration),
    ("evidence", evidence),
):
    app.add_typer(group, name=name)


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option(help="Folder of the encrypted workspace.", parser=named_folder, metavar="PATH"),
    ] = None,
    passphrase_fd: Annotated[
        int | None, typer.Option(help="Read the passphrase from this file descriptor.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="The site's configuration; otherwise /etc/gradaudit/site.toml.")
    ] = None,
    user: Annotated[str, typer.Option(help="Who you are, where several users can open it.")] = "",
    plain: Plain = False,
) -> None:
    """Without a command: open the terminal UI; with --plain: say the overview."""
    context.obj = session = Session()
    speak_plainly(plain)
    if config is not None:
        os.environ["GRADAUDIT_CONFIG"] = str(config.absolute())  # workers and audits go by the same
    session.workspace, session.passphrase_fd, session.user = workspace, passphrase_fd, user
    if context.invoked_subcommand is None:
        raise typer.Exit(_say_overview(context) if plain else _open_screens(session))


def main() -> NoReturn:
    """Entry point: errors become one line with a hint and the exit code of DESIGN §6."""
    redact()
    spell_out(started_with())
    egress.go_offline()  # before a command imports anything that might reach out
    try:
        code = whole(app)(standalone_mode=False)
    except ApplianceError as error:
        code = complain(str(error), error.hint, error.exit_code)
    except typer.Exit as leave:
        code = leave.exit_code
    except (typer.Abort, KeyboardInterrupt):
        say("interrupted; what was under way is marked as cancelled")
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - last border: a fault id may leave, values of a traceback may not
        code = _unexpected(error)
    raise SystemExit(code or 0)


def _unexpected(error: Exception) -> int:
    """Usage errors of the command line in one line; anything else as a fault id without values."""
    if hasattr(error, "format_message"):
        return complain(error.format_message(), "see `gradaudit --help`", UsageError.exit_code)
    return complain(fault_line(error), "quote this line when you report it; it contains no patient data", 1)


def _say_overview(context: typer.Context) -> int:
    from appliance.commands.session import opened
    from appliance.views import plain

    with opened(context) as appliance:
        view = appliance.overview()
    emit(False, plain(view), "")
    return 0


def _open_screens(session: Session) -> int:
    from appliance.config import passphrase_given, user_given, workspace_root
    from appliance.door import Door
    from tui.app import run

    door = Door(workspace_root(session.workspace), user_given(session.user))
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        door.expect()
        raise UsageError("the screens need a terminal", "every act is a command too: see `gradaudit --help`")
    given = passphrase_given(session.passphrase_fd)
    backend = door.left_open() if door.built else None
    if backend is None and door.built and given is not None:
        backend = door.open(given, "")
    return run(backend, door)


if __name__ == "__main__":
    main()
