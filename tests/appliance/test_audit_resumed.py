"""kill -9 in the middle of an audit, of the real worker and of the real command: the same bits in the end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from appliance import pipeline, policy_file
from appliance import worker as worker_module
from appliance.api import Appliance
from appliance.auditing import StepsByQuestion, begun, can_go_on, interrupted
from appliance.channel import Channel
from appliance.commands.audits import EXIT_BY_VERDICT
from appliance.errors import ApplianceError, CannotWrite, IntegrityError, NotNow, UsageError, WorkerFailed
from appliance.views import AuditView, Progress
from appliance.worker import Worker
from appliance.workspace import steps as steps_module
from appliance.workspace.evidence_store import opened
from appliance.workspace.steps import Steps
from audit_core.errors import ModelRefused, NotEnoughMemory
from tests import warm
from tests.appliance import small_site
from tests.appliance.small_site import PASSPHRASE

ROOT = Path(__file__).parents[2]

RUN = f"""
import os, signal, sys
from pathlib import Path
from appliance.api import Appliance
from appliance.workspace.steps import Steps

root, policy, turn = sys.argv[1:]
put, counted = Steps.put, 0

def dying(self, key, blob):
    global counted
    if counted == int(turn):
        os.kill(os.getpid(), signal.SIGKILL)
    put(self, key, blob)
    counted += 1

Steps.put = dying
with Appliance.unlock(Path(root), {PASSPHRASE!r}) as appliance:
    appliance.run_audit("tiny", "spring", policy, lambda step: None)
"""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Every process of these tests computes alike."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    yield
    os.environ.pop("OMP_NUM_THREADS") if before is None else os.environ.update(OMP_NUM_THREADS=before)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo's policy with few repetitions: these tests look at equality, not at statistics."""
    return small_site.quick_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace up to the frozen cohort."""
    return small_site.build(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def undisturbed(
    site: Path, policy: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[AuditView, str, int]:
    """The audit in one go: its view, its findings, and how many steps were kept."""
    root = tmp_path_factory.mktemp("undisturbed") / "workspace"
    shutil.copytree(site, root)
    puts, put = [], Steps.put

    def counted(self: Steps, key: str, blob: bytes) -> None:
        puts.append(key)
        put(self, key, blob)

    with pytest.MonkeyPatch.context() as patched, Appliance.unlock(root, PASSPHRASE) as appliance:
        patched.setattr(Steps, "put", counted)
        view = appliance.run_audit("tiny", "spring", policy, silent)
        assert not (root / "steps" / view.row.audit_id).exists()
        return view, findings(appliance, view), len(puts)


@pytest.fixture
def copy(site: Path, tmp_path: Path) -> Path:
    """A workspace of one test's own."""
    shutil.copytree(site, tmp_path / "workspace")
    return tmp_path / "workspace"


def silent(progress: Progress) -> None: ...


def findings(appliance: Appliance, view: AuditView) -> str:
    """What was sealed about every pair."""
    with opened(appliance._workspace, appliance._workspace.evidence_key()) as (store, _):
        return repr([replace(one, audit_id="") for one in store.findings(view.row.audit_id)])


def resumed_alike(appliance: Appliance, undisturbed: tuple[AuditView, str, int], kept: int) -> None:
    """Go on; result and findings are those of one go, and not one kept step is computed again."""
    view, sealed, steps = undisturbed
    (row,) = [row for row in appliance.audits() if row.state != "done"]
    assert (row.state, row.verdict) == ("interrupted", None)
    assert f"gradaudit audit resume {row.audit_id}" in row.why
    puts, put = [], Steps.put

    def counted(self: Steps, key: str, blob: bytes) -> None:
        puts.append(key)
        put(self, key, blob)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Steps, "put", counted)
        again = appliance.resume_audit(row.audit_id, silent)
    assert steps - kept <= len(puts) <= steps - kept + 1  # half of a step may have been there
    assert replace(again.result, timings=()) == replace(view.result, timings=())
    assert again.verdict == view.verdict
    assert findings(appliance, again) == sealed
    home = appliance._workspace.root / "steps"
    assert not (home / row.audit_id).exists()
    entries = [(e.act, e.outcome) for e in appliance.log_entries(0, 1000) if e.act.startswith("audit.")]
    assert ("audit.resume", "begins") in entries
    assert ("audit.resume", "done") in entries
    assert appliance.log_verify().intact


@pytest.mark.parametrize("share", [0.35, 0.8])
def test_the_parent_killed(
    share: float, copy: Path, policy: str, undisturbed: tuple[AuditView, str, int]
) -> None:
    """The whole appliance gets SIGKILL between two steps, early and late."""
    turn = round(share * (undisturbed[2] - 1))
    assert -9 == warm.program(RUN, copy, policy, str(turn)).returncode
    with Appliance.unlock(copy, PASSPHRASE) as appliance:
        resumed_alike(appliance, undisturbed, turn)
        (row,) = appliance.audits()
        pack = appliance.export_pack(row.audit_id, copy.parent / "evidence.zip")
    verified = subprocess.run(
        [sys.executable, ROOT / "verify_evidence.py", pack], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stdout[:5]) == (0, "valid"), verified.stdout


@pytest.mark.parametrize("phase", ["signals", "judge"])
def test_the_worker_killed(
    phase: str, site: Path, copy: Path, policy: str, undisturbed: tuple[AuditView, str, int]
) -> None:
    """The real worker gets SIGKILL in a phase; the command says how to go on."""
    with Appliance.unlock(copy, PASSPHRASE) as appliance:
        worker = Worker(read=[site.parent], preload="audit")

        def kill(progress: Progress) -> None:
            if progress.phase == phase and progress.done > 0:
                with suppress(ProcessLookupError):
                    os.kill(worker._process.pid, signal.SIGKILL)

        with pytest.raises(WorkerFailed, match=r"status -9|middle of an answer|stopped") as stopped:
            appliance.run_audit("tiny", "spring", policy, kill, worker)
        (row,) = appliance.audits()
        assert f"gradaudit audit resume {row.audit_id}" in stopped.value.hint
        kept = len(list((copy / "steps" / row.audit_id).glob("*.ga1")))
        resumed_alike(appliance, undisturbed, kept)


def test_the_command_killed_and_resumed_by_command(
    copy: Path, policy: str, undisturbed: tuple[AuditView, str, int], tmp_path: Path
) -> None:
    """`gradaudit audit run` gets SIGKILL; `audit ls` says interrupted, `audit resume` ends in the verdict."""
    secret = tmp_path / "passphrase"
    secret.write_text(PASSPHRASE + "\n")
    secret.chmod(0o600)
    environment = os.environ | {
        "GRADAUDIT_WORKSPACE": str(copy),
        "GRADAUDIT_PASSPHRASE_FILE": str(secret),
    }
    asked = ["run", "--model", "tiny", "--cohort", "spring", "--policy", policy]
    with warm.cold():  # the kernel ends its worker, not the process that others are forked from
        running = warm.begun(["audit", *asked], environment)
    assert running.stderr is not None
    with running.stderr as said:
        assert any(line.startswith(b"base model") for line in said)
        running.kill()
        assert running.wait() == -9

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return warm.command(["audit", *arguments, "--json"], environment)

    row = json.loads(run("ls").stdout)
    assert row["state"] == "interrupted"
    done = run("resume", row["audit_id"])
    view = undisturbed[0]
    assert done.returncode == EXIT_BY_VERDICT[view.verdict.word], done.stderr
    shown = json.loads(done.stdout)
    assert shown["verdict"]["word"] == view.verdict.word
    assert json.loads(run("ls").stdout)["state"] == "done"
    assert run("resume", row["audit_id"]).returncode == 2


@pytest.fixture
def cut_off(copy: Path, policy: str) -> Iterator[Appliance]:
    """A site with an audit that was cut off, with two steps; nothing was computed for them."""
    with Appliance.unlock(copy, PASSPHRASE) as appliance:
        loaded, asked = policy_file.load(policy), {"policy": policy}
        audit = begun(appliance._model("tiny"), appliance._cohort("spring"), loaded, asked)
        appliance._workspace.catalogue.start_audit(audit)
        for key in ("a" * 64, "b" * 64):
            appliance._workspace.steps(audit.audit_id).put(key, b"signals")
        yield appliance


class _Full:
    """A disk that takes so many steps."""

    def __init__(self, room: int, write: Callable[[Path, bytes], None]) -> None:
        self.room, self.write = room, write

    def __call__(self, path: Path, data: bytes) -> None:
        if self.room == 0:
            raise OSError(28, "No space left on device")
        self.room -= 1
        self.write(path, data)


def cut(appliance: Appliance, policy: str, room: int) -> None:
    """Run an audit on a disk that is full after so many steps."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(steps_module, "write_atomically", _Full(room, steps_module.write_atomically))
        with pytest.raises(CannotWrite, match="No space left") as stopped:
            appliance.run_audit("tiny", "spring", policy, silent)
    assert "audit resume" in stopped.value.hint


def test_a_full_disk_stops_it_clearly_and_room_lets_it_go_on(
    copy: Path, policy: str, undisturbed: tuple[AuditView, str, int]
) -> None:
    """The error names the disk; what was kept before is used."""
    with Appliance.unlock(copy, PASSPHRASE) as appliance:
        cut(appliance, policy, 5)
        resumed_alike(appliance, undisturbed, 5)


def test_an_audit_that_was_killed_is_shown_as_it_is_listed(cut_off: Appliance) -> None:
    """The catalogue says running and nobody works on it: it was cut off, and the hint says how to go on."""
    (row,) = cut_off.audits()
    stored = cut_off._workspace.catalogue.audit(row.audit_id)
    assert stored is not None
    cut_off._workspace.catalogue.move_audit(replace(stored, state="running", why=""), stored.state)
    with pytest.raises(UsageError, match="has no result: interrupted") as refused:
        cut_off.audit(row.audit_id)
    assert f"gradaudit audit resume {row.audit_id}" in refused.value.hint
    assert [one.state for one in cut_off.audits()] == ["interrupted"]


def test_an_interrupted_audit_can_be_given_up(cut_off: Appliance) -> None:
    """Its steps are gone, it is not resumable, and nothing else lies there."""
    (row,) = cut_off.audits()
    home = cut_off._workspace.root / "steps"
    assert (home / row.audit_id).is_dir()
    assert cut_off.abandon_audit(row.audit_id).state == "failed"
    assert list(home.iterdir()) == []
    for act in (cut_off.abandon_audit, lambda audit_id: cut_off.resume_audit(audit_id, silent)):
        with pytest.raises(UsageError, match="was not cut off: it is failed"):
            act(row.audit_id)


@pytest.mark.parametrize("what", ["policy", "code", "cohort", "model", "files"])
def test_what_has_changed_is_named(what: str, cut_off: Appliance, policy: str) -> None:
    """Nothing goes on with another policy, code, cohort or model; the audit stays as it is."""
    (row,) = cut_off.audits()
    stored = cut_off._workspace.catalogue.audit(row.audit_id)
    assert stored is not None
    text, extra = Path(policy).read_text(), Path(cut_off._model(row.model).path) / "new.json"
    if what == "policy":
        Path(policy).write_text(text + "\n# another byte\n")
    elif what == "files":
        extra.write_text("{}")
    else:
        digests = {**stored.digests, what: "0" * 64}
        cut_off._workspace.catalogue.move_audit(interrupted(replace(stored, digests=digests)), "running")
    try:
        named = "model" if what == "files" else what
        with pytest.raises(UsageError, match=f"the {named} has changed") as refused:
            cut_off.resume_audit(row.audit_id, silent)
    finally:
        Path(policy).write_text(text)
        extra.unlink(missing_ok=True)
    assert "audit abandon" in refused.value.hint
    assert [one.state for one in cut_off.audits()] == ["interrupted"]


def test_an_audit_of_an_earlier_version_is_not_resumed(cut_off: Appliance) -> None:
    """Its record does not say how the policy was asked for."""
    (row,) = cut_off.audits()
    stored = cut_off._workspace.catalogue.audit(row.audit_id)
    assert stored is not None
    digests = {name: value for name, value in stored.digests.items() if name != "asked"}
    cut_off._workspace.catalogue.move_audit(interrupted(replace(stored, digests=digests)), "running")
    with pytest.raises(UsageError, match="an earlier version began it"):
        cut_off.resume_audit(row.audit_id, silent)


def test_a_damaged_step_is_named_and_not_used(cut_off: Appliance) -> None:
    """Any flipped byte, a cut, or a step under the name of another: the file is named."""
    (row,) = cut_off.audits()
    steps = cut_off._workspace.steps(row.audit_id)
    assert steps.get("a" * 64) == b"signals"
    one, other = sorted((cut_off._workspace.root / "steps" / row.audit_id).iterdir())
    whole = one.read_bytes()
    for data in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:-1], other.read_bytes()):
        one.write_bytes(data)
        with pytest.raises(IntegrityError, match=f"steps/{row.audit_id}/{one.name}") as damaged:
            for key in ("a" * 64, "b" * 64):
                steps.get(key)
        assert "audit abandon" in damaged.value.hint


def test_a_cancelled_audit_can_be_resumed(copy: Path, policy: str) -> None:
    """Whoever stops it by hand loses nothing; a refusal by the engine is final."""

    def stop(progress: Progress) -> None:
        if progress.phase == "signals" and progress.done:
            raise KeyboardInterrupt

    with Appliance.unlock(copy, PASSPHRASE) as appliance:
        with pytest.raises(KeyboardInterrupt):
            appliance.run_audit("tiny", "spring", policy, stop)
        assert [row.state for row in appliance.audits()] == ["interrupted"]


def test_what_the_machine_lacks_now_costs_no_step(
    cut_off: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resumed where a layer of isolation is missing, the audit stays resumable, and says what is missing."""
    (row,) = cut_off.audits()
    home = cut_off._workspace.root / "steps" / row.audit_id
    before = sorted(home.iterdir())
    monkeypatch.setattr(Worker, "isolation", property(lambda worker: {"seccomp": "off", "self-probe": "on"}))
    with pytest.raises(NotNow, match=r"the policy requires|box leaks") as stopped:
        cut_off.resume_audit(row.audit_id, silent)
    assert "audit resume" in stopped.value.hint
    assert [one.state for one in cut_off.audits()] == ["interrupted"]
    assert sorted(home.iterdir()) == before


@pytest.mark.parametrize("passing", [True, False])
def test_lack_of_memory_passes_and_a_refusal_does_not(passing: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Across the channel, the worker's want of memory is told apart from what it will always refuse."""
    error = (
        NotEnoughMemory("not even one pair fits into memory")
        if passing
        else ModelRefused("the model folder has no config.json")
    )

    def refusing(job: object, channel: object) -> dict[str, object]:
        raise error

    monkeypatch.setattr(pipeline, "run", refusing)
    channel = Channel(*os.pipe())
    worker_module._answer_job(channel, {})
    received = channel.receive()
    assert received is not None
    stopped = worker_module._refused(received[0])
    assert str(stopped) == str(error)
    assert can_go_on(stopped) == passing


def test_steps_of_an_audit_that_is_over_are_swept(cut_off: Appliance, policy: str) -> None:
    """A crash between result and removal leaves a folder; the next writer removes it."""
    orphan = cut_off._workspace.root / "steps" / "A-000000000000"
    orphan.mkdir()
    (row,) = cut_off.audits()
    with suppress(ApplianceError):
        cut_off.resume_audit("A-111111111111", silent)
    cut_off.abandon_audit(row.audit_id)
    assert not orphan.exists()


@pytest.mark.parametrize(
    "question",
    [
        {"act": "get", "key": "../../../../etc/passwd"},
        {"act": "get", "key": "A" * 64},
        {"act": "put", "key": "a" * 63},
        {"act": "remove", "key": "a" * 64},
        {"act": "get"},
        {},
    ],
)
def test_a_question_without_meaning_ends_the_worker(question: dict[str, str], cut_off: Appliance) -> None:
    """The worker is not trusted: it may read and keep steps by their key, nothing else."""
    (row,) = cut_off.audits()
    asked = StepsByQuestion(cut_off._workspace.steps(row.audit_id), 10)
    with pytest.raises(WorkerFailed, match="its job has not"):
        asked.answer(question, b"")


def test_the_worker_may_keep_so_much_and_no_more(cut_off: Appliance, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that takes over the worker cannot fill the disk with small objects for ever."""
    monkeypatch.setattr("appliance.auditing.FURTHER_STEPS", 2)
    (row,) = cut_off.audits()
    asked = StepsByQuestion(cut_off._workspace.steps(row.audit_id), 0)
    for key in ("c" * 64, "d" * 64):
        assert asked.answer({"act": "put", "key": key}, b"x") == ({"found": True}, b"")
    with pytest.raises(WorkerFailed):
        asked.answer({"act": "put", "key": "e" * 64}, b"x")


def test_a_finished_audit_is_never_rewritten(cut_off: Appliance) -> None:
    """Only a running or an interrupted audit can become something else."""
    (row,) = cut_off.audits()
    stored = cut_off._workspace.catalogue.audit(row.audit_id)
    assert stored is not None
    with pytest.raises(ValueError, match="never rewritten"):
        cut_off._workspace.catalogue.move_audit(stored, "done")
    with pytest.raises(UsageError, match="is interrupted"):
        cut_off._workspace.catalogue.move_audit(stored, "interrupted")


def test_steps_hold_no_plaintext_and_no_key(cut_off: Appliance) -> None:
    """Neither what is kept nor the key it is asked for by can be read off the disk."""
    (row,) = cut_off.audits()
    cut_off._workspace.steps(row.audit_id).put("c" * 64, b"canary of a gradient " * 9)
    home = cut_off._workspace.root / "steps"
    for file in home.rglob("*.ga1"):
        assert b"canary" not in file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.stem not in {key * 64 for key in "abc"}
    assert home.stat().st_mode & 0o777 == 0o700
