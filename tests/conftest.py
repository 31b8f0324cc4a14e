"""What every test may rely on: real data, a network guard, and skips that say what was not shown."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import narration
from tests import warm

TESTS = Path(__file__).resolve().parent
DATA_VARIABLE = "GRADAUDIT_TEST_DATA"
NOT_SHOWN = "not shown:"

LONG = (
    "tui/test_officer.py",
    "appliance/designs/test_design_main_job.py",
    "appliance/test_main_job.py",
    "appliance/test_spike_in.py",
    "appliance/test_every_act.py",
    "appliance/test_cold_start.py",
    "appliance/test_audit_resumed.py",
    "appliance/test_users_commands.py",
    "appliance/test_intake.py",
    "appliance/runs/test_runner.py",
    "appliance/test_units.py",
    "appliance/test_kill_and_canaries.py",
    "benchmarks/test_year.py",
    "appliance/test_watch.py",
    "tui/test_contrast.py",
    "audit_core/families/test_lora_generative.py",
)
"""Files of few and slow tests: they begin first, so that no process is alone with one of them at the end."""

WARM = (
    "appliance/receiver/test_receiving.py",
    "appliance/receiver/test_served.py",
    "appliance/designs/test_audits_verify.py",
    "appliance/designs/test_design_main_job.py",
    "appliance/designs/test_making.py",
    "appliance/designs/test_revealing.py",
    "appliance/runs/test_runner.py",
    "appliance/runs/test_runs_commands.py",
    "appliance/runs/test_scheduled_runs.py",
    "appliance/test_asking_for_secrets.py",
    "appliance/test_audit_as_published.py",
    "appliance/test_audit_closed_once.py",
    "appliance/test_audit_resumed.py",
    "appliance/test_backup_of_an_audit.py",
    "appliance/test_claims_commands.py",
    "appliance/test_cold_start.py",
    "appliance/test_dry_run.py",
    "appliance/test_erasure.py",
    "appliance/test_every_act.py",
    "appliance/test_export.py",
    "appliance/test_findings_commands.py",
    "appliance/test_init.py",
    "appliance/test_intake.py",
    "appliance/test_intake_killed.py",
    "appliance/test_library.py",
    "appliance/test_log_unwritable.py",
    "appliance/test_looking_commands.py",
    "appliance/test_main_job.py",
    "appliance/test_models.py",
    "appliance/test_models_killed.py",
    "appliance/test_pairs.py",
    "appliance/test_policies_commands.py",
    "appliance/test_policy_dry_run.py",
    "appliance/test_scheduled.py",
    "appliance/test_sealed_models.py",
    "appliance/test_service.py",
    "appliance/test_spike_in.py",
    "appliance/test_tables.py",
    "appliance/test_tried_first.py",
    "appliance/test_units.py",
    "appliance/test_users_commands.py",
    "appliance/test_watch.py",
    "appliance/test_watch_audited.py",
    "appliance/test_watch_commands.py",
    "appliance/test_watch_heard.py",
    "appliance/test_what_leaves.py",
    "appliance/test_without_vendor.py",
    "appliance/test_wrong_commands.py",
    "tui/test_bringing_on_a_site.py",
    "tui/test_model_on_a_site.py",
)
"""Files about what a worker or a command does, not about how it starts: they fork theirs (tests/warm)."""

_guard_file = pytest.StashKey[Path]()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real medical files: GRADAUDIT_TEST_DATA, else ../shared/data beside the checkout."""
    given = os.environ.get(DATA_VARIABLE)
    folder = Path(given) if given else TESTS.parent.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"{NOT_SHOWN} needs the real test data ({DATA_VARIABLE})")
    return folder


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test reads or writes the workspace of whoever runs the suite."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "data-home"))
    for name in ("GRADAUDIT_WORKSPACE", "GRADAUDIT_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GRADAUDIT_CONFIG", "")  # not this machine's
    yield


@pytest.fixture(autouse=True)
def _columns_again() -> Iterator[None]:
    """A command with `--plain` that ran in this process does not choose how the next test's speaks."""
    yield
    narration.speak_plainly(False)


@pytest.fixture(scope="session")
def warm_processes() -> Iterator[warm.Warm]:
    """One process of ours that others are forked from."""
    started = warm.Warm.start()
    yield started
    started.stop()


@pytest.fixture(scope="module", autouse=True)
def _forked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Workers, runners and commands of the files in `WARM` are forked."""
    if request.path not in {TESTS / name for name in WARM}:
        yield
        return
    warm.install(request.getfixturevalue("warm_processes"))
    yield
    warm.remove()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, otherwise in the random order that they have."""
    long = {TESTS / name for name in LONG}
    items.sort(key=lambda item: item.path not in long)


def pytest_configure(config: pytest.Config) -> None:
    """Close the network for this process and, through the environment, for all it starts."""
    config.option.loadscopereorder = False  # xdist would begin with the files of many, short tests
    from tests.guard.hook import sitecustomize as guard

    if guard.FILE_VARIABLE not in os.environ:
        descriptor, name = tempfile.mkstemp(prefix="gradaudit-guard-")
        os.close(descriptor)
        config.stash[_guard_file] = Path(name)
        os.environ[guard.FILE_VARIABLE] = name
        os.environ[guard.SCOPE_VARIABLE] = "outside"
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(TESTS / "guard" / "hook"), before]))
        guard.install(name, "outside")
    elif "PYTEST_XDIST_WORKER" not in os.environ:
        raise pytest.UsageError(f"{guard.FILE_VARIABLE} is set: the suite cannot run inside its own guard")


def _reached_out(config: pytest.Config) -> list[str]:
    path = config.stash.get(_guard_file, None)
    return path.read_text(encoding="utf-8").splitlines() if path is not None else []


def _skip_reasons(reporter: pytest.TerminalReporter) -> Counter[str]:
    reasons: Counter[str] = Counter()
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason.removeprefix("Skipped: ")] += 1
    return reasons


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """An attempt to reach a network fails the run, whichever test made it; so does an unexplained skip."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or exitstatus != pytest.ExitCode.OK:
        return
    unexplained = any(not reason.startswith(NOT_SHOWN) for reason in _skip_reasons(reporter))
    if _reached_out(session.config) or unexplained:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what this run did not show, and what it tried to reach."""
    reasons = _skip_reasons(terminalreporter)
    for reason, count in sorted(reasons.items()):
        known = reason.startswith(NOT_SHOWN)
        terminalreporter.write_line(
            f"{'' if known else 'skipped without a reason that counts: '}{reason} ({count})"
        )
    terminalreporter.write_line(f"{NOT_SHOWN} {sum(reasons.values())} tests in all")
    attempts = _reached_out(config)
    terminalreporter.write_line(f"network guard: {len(attempts)} attempts to reach outside this machine")
    for attempt in attempts[:20]:
        terminalreporter.write_line(f"  {attempt}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take the guard's counter away."""
    path = config.stash.get(_guard_file, None)
    if path is not None:
        path.unlink(missing_ok=True)
