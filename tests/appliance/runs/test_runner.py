"""Audits in a process of their own: real runners, paused, killed, hung up, watched by two at once."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance import auditing, policy_file
from appliance.api import Appliance
from appliance.errors import Busy, UsageError
from appliance.runs import launching, progress, queue
from appliance.runs.views import RunState, RunView
from appliance.views import AuditView
from appliance.workspace.evidence_store import opened
from appliance.workspace.turns import AUDITING
from appliance.workspace.writer_lock import locked_file
from tests.appliance import small_site
from tests.appliance.small_site import PASSPHRASE

PATIENCE_S = 120.0


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Every process of these tests computes alike."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo's policy with few repetitions: these tests look at equality, not at statistics."""
    text = (policy_file.FOLDER / "demo.toml").read_text().replace('name = "demo"', 'name = "quick"')
    for key, value in {"bootstrap": 100, "simulations": 50, "permutations": 5}.items():
        lines = [f"{key} = {value}" if line.startswith(f"{key} =") else line for line in text.splitlines()]
        text = "\n".join(lines) + "\n"
    file = tmp_path_factory.mktemp("policy") / "quick.toml"
    file.write_text(text)
    return str(file)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace up to the frozen cohort."""
    return small_site.build(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def undisturbed(site: Path, policy: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[AuditView, str]:
    """The audit in one go, in the foreground: its view and its findings."""
    root = Path(shutil.copytree(site, tmp_path_factory.mktemp("undisturbed") / "workspace"))
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        view = appliance.run_audit("tiny", "spring", policy, lambda step: None)
        return view, findings(appliance, view)


@pytest.fixture
def root(site: Path, tmp_path: Path) -> Iterator[Path]:
    """A workspace of one test's own, whose runner ends with the test."""
    copy = Path(shutil.copytree(site, tmp_path / "workspace"))
    yield copy
    Appliance.stop_runs(copy)


def findings(appliance: Appliance, view: AuditView) -> str:
    """What was sealed about every pair."""
    with opened(appliance._workspace, appliance._workspace.evidence_key()) as (store, _):
        return repr([replace(one, audit_id="") for one in store.findings(view.row.audit_id)])


def until(met: Callable[[], object]) -> None:
    """Look until it is so."""
    end = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def reached(root: Path, phase: str) -> None:
    """Wait until the audit at work has measured something in a phase."""

    def there() -> bool:
        told = progress.read(root)
        return told is not None and any(one.name == phase and one.done for one in told.phases)

    until(there)


def idle(root: Path) -> None:
    """Wait until nobody works through the queue."""
    until(lambda: not launching.working(root))


def the_run(appliance: Appliance) -> RunView:
    """The only one there is."""
    (view,) = appliance.runs()
    return view


def same(appliance: Appliance, run_id: str, undisturbed: tuple[AuditView, str]) -> None:
    """The result and the findings are those of one go, and nothing is left of the run."""
    view, sealed = undisturbed
    again = appliance.audit(run_id)
    assert replace(again.result, timings=()) == replace(view.result, timings=())
    assert again.verdict == view.verdict
    assert findings(appliance, again) == sealed
    assert appliance.runs() == ()
    assert not (appliance._workspace.root / "steps" / run_id).exists()
    assert progress.read(appliance._workspace.root) is None
    assert appliance.log_verify().intact


def test_an_audit_that_is_asked_for_runs_without_its_terminal(
    root: Path, policy: str, undisturbed: tuple[AuditView, str]
) -> None:
    """SIGHUP does nothing; two sessions see the same progress; no key in arguments, environment or file."""
    with Appliance.unlock(root, PASSPHRASE) as one, Appliance.unlock(root, PASSPHRASE) as two:
        asked = one.queue_audit("tiny", "spring", policy)
        keys = [one._workspace.keys.vault.raw.hex(), one._workspace._opened.run.raw.hex()]
        reached(root, "references")
        told = progress.read(root)
        assert told is not None and told.here
        pid = told.process[0]
        os.kill(pid, signal.SIGHUP)
        shown = [the_run(site) for site in (one, two)]
        assert {view.run_id for view in shown} == {asked.run_id}
        assert {view.state for view in shown} == {RunState.RUNNING}
        assert all(view.left_s is not None and view.phases for view in shown)
        assert os.getsid(pid) != os.getsid(0)
        for name in ("cmdline", "environ"):
            said = Path(f"/proc/{pid}/{name}").read_text("utf-8", "replace")
            assert not any(key in said for key in keys)
        written = (root / progress.FILE).read_text()
        assert "P-0" not in written and not any(key in written for key in keys)
        idle(root)
        same(two, asked.run_id, undisturbed)


def test_killed_and_resumed(root: Path, policy: str, undisturbed: tuple[AuditView, str]) -> None:
    """SIGKILL of the runner: interrupted, as the queue says; resumed, it ends as the undisturbed one."""
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        asked = appliance.queue_audit("tiny", "spring", policy)
        reached(root, "signals")
        told = progress.read(root)
        assert told is not None
        os.kill(told.process[0], signal.SIGKILL)
        idle(root)
        view = the_run(appliance)
        assert (view.state, view.at_work, view.run_id) == (RunState.INTERRUPTED, False, asked.run_id)
        assert list((root / "steps" / asked.run_id).glob("*.ga1"))
        appliance.resume_run(asked.run_id)
        idle(root)
        same(appliance, asked.run_id, undisturbed)


def test_paused_and_resumed(root: Path, policy: str, undisturbed: tuple[AuditView, str]) -> None:
    """The process goes with its memory, its steps stay; it can be paused once; resumed it ends alike."""
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        asked = appliance.queue_audit("tiny", "spring", policy)
        reached(root, "signals")
        assert appliance.pause_run(asked.run_id).state in (RunState.PAUSING, RunState.PAUSED)
        idle(root)
        assert the_run(appliance).state is RunState.PAUSED
        assert list((root / "steps" / asked.run_id).glob("*.ga1"))
        with pytest.raises(UsageError, match="is paused"):
            appliance.pause_run(asked.run_id)
        entries = [(e.act, e.outcome) for e in appliance.log_entries(0, 1000)]
        assert ("audit.pause", "done") in entries and ("audit.run", "cancelled") in entries
        appliance.resume_run(asked.run_id)
        idle(root)
        same(appliance, asked.run_id, undisturbed)


def test_a_machine_that_is_switched_off_pauses_nothing(
    root: Path, policy: str, undisturbed: tuple[AuditView, str]
) -> None:
    """SIGTERM that nobody ordered: cut off, the others wait, and whoever looks next goes on with all."""
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        asked = appliance.queue_audit("tiny", "spring", policy)
        waiting = appliance.queue_audit("tiny", "spring", policy)
        reached(root, "references")
        told = progress.read(root)
        assert told is not None
        os.kill(told.process[0], signal.SIGTERM)
        idle(root)
        states = {view.run_id: view.state for view in appliance.runs()}
        assert states == {asked.run_id: RunState.INTERRUPTED, waiting.run_id: RunState.WAITING}
        assert "audit.pause" not in {entry.act for entry in appliance.log_entries(0, 1000)}
        appliance.cancel_run(waiting.run_id)
        appliance.run_due()
        idle(root)
        same(appliance, asked.run_id, undisturbed)


def test_switched_off_before_it_began(root: Path, policy: str) -> None:
    """A runner that waits for another terminal gets SIGTERM: its job waits on, with no process for it."""
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        with locked_file(root / AUDITING, time.monotonic(), Busy("somebody audits")):
            asked = appliance.queue_audit("tiny", "spring", policy)
            until(lambda: (found := progress.read(root)) is not None and found.here)
            told = progress.read(root)
            assert told is not None
            os.kill(told.process[0], signal.SIGTERM)
            idle(root)
        view = the_run(appliance)
        assert (view.run_id, view.state, view.place) == (asked.run_id, RunState.WAITING, 1)
        appliance.cancel_run(asked.run_id)


def test_the_next_one_starts_when_one_is_cancelled(root: Path, policy: str) -> None:
    """Of three, the last is moved first and the second cancelled: only the last one comes to a verdict."""
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        first, second, third = (appliance.queue_audit("tiny", "spring", policy) for _ in range(3))
        reached(root, "references")
        places = {view.run_id: view.place for view in appliance.runs()}
        assert places == {first.run_id: 0, second.run_id: 1, third.run_id: 2}
        appliance.first_run(third.run_id)
        appliance.cancel_run(second.run_id)
        appliance.cancel_run(first.run_id)
        idle(root)
        assert {row.audit_id: row.state for row in appliance.audits()} == {
            first.run_id: "failed",
            third.run_id: "done",
        }
        assert appliance.runs() == () and not list((root / "steps").iterdir())


def test_locking_leaves_it_or_stops_it(root: Path, policy: str) -> None:
    """After locking it goes on with the keys it holds; told to stop, it is paused and holds none."""
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        asked = appliance.queue_audit("tiny", "spring", policy)
        waiting = appliance.queue_audit("tiny", "spring", policy)
        reached(root, "references")
    assert Appliance.holds_keys(root)
    Appliance.stop_runs(root)
    assert not Appliance.holds_keys(root)
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        stops = [entry.outcome for entry in appliance.log_entries(0, 1000) if entry.act == "runs.stop"]
        assert sorted(stops) == ["begins", "done"]
        states = {view.run_id: view.state for view in appliance.runs()}
        assert states == {asked.run_id: RunState.PAUSED, waiting.run_id: RunState.WAITING}
        for run_id in states:
            appliance.cancel_run(run_id)
        assert appliance.runs() == ()


def test_what_cannot_begin_says_why(root: Path, policy: str) -> None:
    """A policy that is gone when its turn comes: refused, with the reason; cancelling takes it away."""
    gone = root.parent / "gone.toml"
    shutil.copyfile(policy, gone)
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        first = appliance.queue_audit("tiny", "spring", policy)
        second = appliance.queue_audit("tiny", "spring", str(gone))
        gone.unlink()
        idle(root)
        assert [row.audit_id for row in appliance.audits()] == [first.run_id]
        view = the_run(appliance)
        assert (view.run_id, view.state) == (second.run_id, RunState.REFUSED) and view.why
        appliance.cancel_run(second.run_id)
        assert appliance.runs() == ()


def test_a_file_that_has_changed_since_is_refused(root: Path, policy: str) -> None:
    """A policy file with another text when its turn comes: refused, and no audit is begun under it."""
    changed = root.parent / "changed.toml"
    shutil.copyfile(policy, changed)
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        with locked_file(root / AUDITING, time.monotonic(), Busy("somebody audits")):
            appliance.queue_audit("tiny", "spring", str(changed))
            text = changed.read_text()
            changed.write_text(text.replace("permutations = 5", "permutations = 6"))
            assert changed.read_text() != text
        idle(root)
        assert appliance.audits() == ()
        view = the_run(appliance)
        assert view.state is RunState.REFUSED and "has changed since" in view.why


@pytest.mark.parametrize("order", ["pause_run", "cancel_run"])
def test_orders_while_the_foreground_is_before_it(root: Path, policy: str, order: str) -> None:
    """A runner has taken a job and waits for another terminal: it waits, and obeys when its turn comes."""
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        with locked_file(root / AUDITING, time.monotonic(), Busy("somebody audits")):
            asked = appliance.queue_audit("tiny", "spring", policy)
            catalogue = appliance._workspace.catalogue
            until(lambda: queue.jobs(catalogue)[0].order is queue.Order.WORK)
            progress.Telling(root, "A-000000000000", {})
            view = the_run(appliance)
            assert (view.state, view.place, view.why) == (RunState.WAITING, 1, "")
            getattr(appliance, order)(asked.run_id)
            progress.forget(root)
        idle(root)
        assert appliance.audits() == ()
        left = [view.state for view in appliance.runs()]
        assert left == ([RunState.PAUSED] if order == "pause_run" else [])


def test_cancelled_while_it_waits_for_its_last_turn(
    root: Path, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is measured and the signal comes too late: who cancelled gets no verdict."""
    real = auditing.run
    monkeypatch.setattr(launching, "start", lambda root, kept: None)
    monkeypatch.setattr(Appliance, "_signal", lambda self, run_id: None)
    with Appliance.unlock(root, PASSPHRASE) as appliance, Appliance.unlock(root, PASSPHRASE) as other:
        asked = appliance.queue_audit("tiny", "spring", policy)

        def measured(*given: Any) -> Any:
            outcome = real(*given)
            other.cancel_run(asked.run_id)
            return outcome

        monkeypatch.setattr(auditing, "run", measured)
        appliance._work_through(lambda: None)
        assert [row.state for row in appliance.audits()] == ["failed"]
        assert appliance.runs() == () and not (root / "steps" / asked.run_id).exists()


def test_who_asks_for_nonsense_is_told_at_once(root: Path) -> None:
    """No such model: nothing is asked for, nothing started."""
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        with pytest.raises(UsageError, match="no model"):
            appliance.queue_audit("none", "spring", "default")
        with pytest.raises(UsageError, match="no run"):
            appliance.pause_run("A-000000000000")
        assert appliance.runs() == () and not launching.working(root)


def test_others_work_beside_it(root: Path, policy: str) -> None:
    """While one runs: writing, backing up and asking go on; keys do not change and nobody is erased."""
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        asked = appliance.queue_audit("tiny", "spring", policy)
        reached(root, "references")
        for refused in (
            appliance.rotate_keys,
            lambda: appliance.set_quorum(1),
            lambda: appliance.erase_patient("P1", confirmed="P-00000001"),
            lambda: appliance.run_audit("tiny", "spring", policy, lambda step: None),
        ):
            with pytest.raises(Busy, match="an audit is running") as told:
                refused()
            assert "runs ls" in told.value.hint
        appliance.set_auto_lock(20)
        appliance.verify_model("tiny")
        appliance.add_user("second", "auditor", PASSPHRASE)
        appliance.backup(root.parent / "beside.tar", lambda *_: None)
        assert the_run(appliance).state is RunState.RUNNING
        idle(root)
        assert appliance.audit(asked.run_id).verdict
    Appliance.restore(root.parent / "beside.tar", root.parent / "new", PASSPHRASE, "officer", lambda *_: None)
    with Appliance.unlock(root.parent / "new", PASSPHRASE, "officer") as restored:
        view = the_run(restored)
        assert (view.run_id, view.state) == (asked.run_id, RunState.INTERRUPTED)


def test_a_foreground_audit_takes_no_orders(root: Path, policy: str) -> None:
    """Others see it and its progress; pausing it says where it runs."""
    seen: list[RunView] = []
    refusals: list[str] = []

    def look(step: object) -> None:
        if not seen and other.runs()[0].phases:
            seen.append(the_run(other))
            for order in (other.pause_run, other.cancel_run):
                with pytest.raises(UsageError, match="in the foreground") as refused:
                    order(seen[0].run_id)
                refusals.append(refused.value.hint)

    with Appliance.unlock(root, PASSPHRASE) as appliance, Appliance.unlock(root, PASSPHRASE) as other:
        appliance.run_audit("tiny", "spring", policy, look)
        assert (seen[0].state, seen[0].here) == (RunState.RUNNING, False)
        assert refusals == ["press ctrl+c there"] * 2
        assert other.runs() == ()
