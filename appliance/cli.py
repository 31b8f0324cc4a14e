"""The command line: the same acts as the terminal UI. stdout is data, stderr is narration (DESIGN §6)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from appliance import egress
from appliance.errors import ApplianceError, UsageError
from appliance.faults import fault_of
from appliance.narration import complain, emit, progress, say, table

if TYPE_CHECKING:
    from appliance.api import Appliance
    from appliance.views import AuditView

EXIT_BY_VERDICT = {"PASS": 0, "REVIEW": 10, "FAIL": 11, "INCONCLUSIVE": 12, "VOID": 13}
INTERRUPTED = 130

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    help="Audit medical vision-language models for exposure of your patients' data, on site and offline.",
)
models = typer.Typer(help="Vendor models registered on this site.", no_args_is_help=True)
cohort = typer.Typer(help="Frozen, patient-disjoint sets of pairs.", no_args_is_help=True)
audit = typer.Typer(help="Run audits and read their verdicts.", no_args_is_help=True)
policy = typer.Typer(help="Policies: thresholds and what follows from them.", no_args_is_help=True)
pairs = typer.Typer(help="Images joined with their reports.", no_args_is_help=True)
log = typer.Typer(help="The tamper-evident log.", no_args_is_help=True)
evidence = typer.Typer(help="Evidence packs that anyone can verify.", no_args_is_help=True)
for group, name in (
    (models, "models"),
    (cohort, "cohort"),
    (audit, "audit"),
    (policy, "policy"),
    (pairs, "pairs"),
    (log, "log"),
    (evidence, "evidence"),
):
    app.add_typer(group, name=name)

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


class Session:
    """Options that hold for every command: where the workspace is and where the passphrase comes from."""

    workspace: Path | None = None
    passphrase_fd: int | None = None


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    workspace: Annotated[Path | None, typer.Option(help="Folder of the encrypted workspace.")] = None,
    passphrase_fd: Annotated[
        int | None, typer.Option(help="Read the passphrase from this file descriptor.")
    ] = None,
) -> None:
    """Without a command: open the terminal UI."""
    context.obj = session = Session()
    session.workspace, session.passphrase_fd = workspace, passphrase_fd
    if context.invoked_subcommand is None:
        raise typer.Exit(_open_screens(session))


@app.command()
def init(
    context: typer.Context,
    site: Annotated[str, typer.Option(help="Name of the site, shown on screens and evidence.")] = "this site",
    json_: Json = False,
) -> None:
    """Create the encrypted workspace."""
    from appliance.api import Appliance
    from appliance.config import workspace_root

    root = workspace_root(context.obj.workspace)
    with Appliance.create(root, _passphrase(context.obj, confirm=True), site=site) as appliance:
        words = appliance.log_verify().key_words
    emit(json_, {"workspace": str(root), "log_key": words}, f"workspace created at {root}")
    say(f"log key of this site, write it down: {words}")


@app.command()
def unlock(context: typer.Context) -> None:
    """Keep the workspace unlocked for later commands until `lock` or reboot."""
    from appliance.api import Appliance
    from appliance.config import workspace_root

    with Appliance.unlock(workspace_root(context.obj.workspace), _passphrase(context.obj)) as appliance:
        appliance.remember()
    say("unlocked; `gradaudit lock` locks again")


@app.command()
def lock(context: typer.Context) -> None:
    """Forget the key."""
    from appliance.api import Appliance
    from appliance.config import workspace_root

    Appliance.forget(workspace_root(context.obj.workspace))
    say("locked")


@app.command()
def ingest(context: typer.Context, paths: list[Path], json_: Json = False) -> None:
    """Read DICOM studies and reports; what cannot be used is set aside with a reason."""
    from appliance.views import plain

    with _appliance(context) as appliance, progress(json_) as step:
        view = appliance.ingest(paths, step)
    for reason, files in view.quarantined:
        say(f"set aside: {files} × {reason}")
    text = f"{view.images} images, {view.reports} reports, {view.pairs} pairs from {view.files} files"
    emit(json_, plain(view), text)
    if view.files and not (view.images or view.reports or view.duplicates):
        raise typer.Exit(1)


@pairs.command("ls")
def pairs_ls(context: typer.Context, json_: Json = False) -> None:
    """List pairs with every handle they are known by. Contains patient data: for this terminal only."""
    with _appliance(context) as appliance:
        table(json_, appliance.pairs())


@models.command("add")
def models_add(
    context: typer.Context,
    name: str,
    path: Path,
    family: Annotated[
        str, typer.Option(help="image-text-to-text or contrastive; found out when empty.")
    ] = "",
    base: Annotated[
        Path | None, typer.Option(help="Folder of the model this one was fine-tuned from.")
    ] = None,
    vendor: Annotated[str, typer.Option(help="Who delivered it.")] = "",
    released: Annotated[str, typer.Option(help="Release date, YYYY-MM-DD.")] = "",
    json_: Json = False,
) -> None:
    """Register a vendor model: digests of every file, a trial load, refusal of code and pickles."""
    from appliance.views import plain

    with _appliance(context) as appliance:
        view = appliance.add_model(name, path, family=family, base=base, vendor=vendor, released=released)
    emit(
        json_,
        plain(view),
        f"registered {view.name}: {view.family}, {view.parameters:,} parameters, {view.digest[:16]}…",
    )


@models.command("ls")
def models_ls(context: typer.Context, json_: Json = False) -> None:
    """List registered models."""
    with _appliance(context) as appliance:
        table(json_, appliance.models())


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
    with _appliance(context) as appliance:
        view = appliance.create_cohort(request)
    counts = ", ".join(f"{patients} {role}" for role, patients in view.counts)
    emit(json_, plain(view), f"cohort {view.name}: {counts}; digest {view.digest[:16]}…")


@cohort.command("ls")
def cohort_ls(context: typer.Context, json_: Json = False) -> None:
    """List frozen cohorts."""
    with _appliance(context) as appliance:
        table(json_, appliance.cohorts())


@audit.command("run")
def audit_run(
    context: typer.Context,
    model: Annotated[str, typer.Option()],
    cohort_name: Annotated[str, typer.Option("--cohort")],
    policy_name: Annotated[
        str, typer.Option("--policy", help="Name of a shipped policy, or a file.")
    ] = "default",
    json_: Json = False,
) -> None:
    """Audit a model on a cohort under a policy. The exit code is the verdict's."""
    with _appliance(context) as appliance, progress(json_) as step:
        view = appliance.run_audit(model, cohort_name, policy_name, step)
    _show_audit(view, json_)


@audit.command("show")
def audit_show(context: typer.Context, audit_id: str, json_: Json = False) -> None:
    """Show a finished audit. The exit code is the verdict's."""
    with _appliance(context) as appliance:
        view = appliance.audit(audit_id)
    _show_audit(view, json_)


@audit.command("ls")
def audit_ls(context: typer.Context, json_: Json = False) -> None:
    """List audits, newest first."""
    with _appliance(context) as appliance:
        table(json_, appliance.audits())


@policy.command("ls")
def policy_ls(json_: Json = False) -> None:
    """List shipped policies."""
    from appliance.policy_file import shipped

    names = shipped()
    emit(json_, {"policies": list(names)}, "\n".join(names))


@policy.command("check")
def policy_check(file: Path, json_: Json = False) -> None:
    """Check a policy file and say which key is wrong."""
    from appliance.policy_file import load

    loaded = load(str(file))
    emit(
        json_,
        {"name": loaded.policy.name, "digest": loaded.digest},
        f"{loaded.policy.name}: usable, {loaded.digest[:16]}…",
    )


@log.command("verify")
def log_verify(context: typer.Context, json_: Json = False) -> None:
    """Re-derive the whole log: intact, and signed by which key."""
    from appliance.views import plain

    with _appliance(context) as appliance:
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
    with _appliance(context) as appliance:
        table(json_, appliance.log_entries(offset, limit))


@evidence.command("pack")
def evidence_pack(
    context: typer.Context,
    audit_id: str,
    output: Annotated[Path, typer.Option("-o", "--output", help="The pack to write.")],
    json_: Json = False,
) -> None:
    """Write the evidence pack of an audit: one file, no patient data, verifiable alone."""
    with _appliance(context) as appliance:
        path = appliance.export_pack(audit_id, output)
    emit(json_, {"pack": str(path)}, str(path))
    say(
        "verify anywhere with bare Python: take verify_evidence.py out of the pack (or your own copy), then "
        f"python3 verify_evidence.py {path.name}"
    )


@app.command()
def doctor(json_: Json = False) -> None:
    """Check this machine and say how to mend what is missing."""
    from appliance.doctor import checks
    from appliance.views import plain

    results = checks()
    lines = [
        f"{check.status:8} {check.name}: {check.sentence}"
        + (f"\n         {check.hint}" if check.hint else "")
        for check in results
    ]
    emit(json_, {"checks": [plain(check) for check in results]}, "\n".join(lines))
    if any(check.status == "failure" for check in results):
        raise typer.Exit(1)


@app.command()
def demo(
    json_: Json = False,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the demo workspace and packs in this folder.")
    ] = None,
) -> None:
    """The whole main job on shipped studies and models, in a workspace of its own."""
    from appliance.demo.run import run_demo

    with progress(json_, quiet_json=False) as step:
        outcome = run_demo(keep, step, say)
    emit(json_, outcome.plain(), outcome.text())
    if not outcome.as_expected:
        raise typer.Exit(1)


def main() -> NoReturn:
    """Entry point: errors become one line with a hint and the exit code of DESIGN §6."""
    egress.go_offline()  # before a command imports anything that might reach out
    try:
        code = app(standalone_mode=False)
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
    fault = fault_of(error)
    said = f"unexpected fault {fault.fault_id}: {fault.where}"
    return complain(said, "quote this line when you report it; it contains no patient data", 1)


def _appliance(context: typer.Context) -> Appliance:
    from appliance.api import Appliance
    from appliance.config import workspace_root

    root = workspace_root(context.obj.workspace)
    remembered = Appliance.resume(root) if context.obj.passphrase_fd is None else None
    return remembered or Appliance.unlock(root, _passphrase(context.obj))


def _passphrase(session: Session, confirm: bool = False) -> str:
    """From a descriptor, file or credential; else asked for on the terminal."""
    from appliance.config import passphrase_given
    from appliance.errors import Locked

    given = passphrase_given(session.passphrase_fd)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise Locked(
            "the workspace is locked and there is no terminal to ask for the passphrase",
            "run `gradaudit unlock`, or set GRADAUDIT_PASSPHRASE_FILE to a file with the passphrase",
        )
    return str(typer.prompt("passphrase", hide_input=True, confirmation_prompt=confirm, err=True))


def _open_screens(session: Session) -> int:
    from appliance.api import Appliance
    from appliance.config import passphrase_given, workspace_root
    from tui.app import run

    root = workspace_root(session.workspace)
    Appliance.expect_workspace(root)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the screens need a terminal", "every act is a command too: see `gradaudit --help`")
    given = passphrase_given(session.passphrase_fd)
    backend = Appliance.resume(root) or (Appliance.unlock(root, given) if given is not None else None)
    return run(backend, lambda passphrase: Appliance.unlock(root, passphrase))


def _show_audit(view: AuditView, json_: bool) -> None:
    from appliance.evidence.report.text import verdict_text
    from appliance.views import plain

    emit(json_, plain(view), verdict_text(view))
    raise typer.Exit(EXIT_BY_VERDICT[view.verdict.word])


if __name__ == "__main__":
    main()
