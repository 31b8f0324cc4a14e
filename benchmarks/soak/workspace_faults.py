"""Every write-side system call of a workspace fails once, or is the last thing its process does (strace).

    python benchmarks/soak/workspace_faults.py [--count 0] [--seed 0]

A child has a workspace open and stands before an act: storing objects, storing rows, closing an audit, a
backup. strace lets the n-th call of one kind end in EIO, in ENOSPC or in SIGKILL. What the child acknowledged
must then be there, the workspace must open, and `verify` must find nothing. The control is a child that
acknowledges before it acts: it must be found to have lost something.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from appliance.api import Appliance
from appliance.errors import ApplianceError
from appliance.workspace.rows import StoredAudit, StoredCohort, StoredFile
from appliance.workspace.workspace import Workspace

CALLS = (
    "openat", "write", "pwrite64", "sendfile", "fsync", "fdatasync", "syncfs", "ftruncate", "rename", "link",
    "linkat", "unlink", "unlinkat", "mkdir", "flock",
)  # fmt: skip
FAULTS = ("error=EIO", "error=ENOSPC", "signal=KILL")
PASSPHRASE = "four random words"
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
_PATIENCE_S = 30.0
_AUDIT = StoredAudit("A-0123456789ab", "lumen", "chest", "default", "2024-01-31T11:00:00Z")
_CONTENT = bytes(range(256)) * 200

Tell = Callable[[str], None]


@dataclass
class Outcome:
    """What one case gave."""

    case: str
    lost: list[str] = field(default_factory=list)
    alarm: str = ""


# -- the acts, each telling what is acknowledged -------------------------------------------------------------


def _put(appliance: Appliance, folder: Path, tell: Tell) -> None:
    vault, subjects = appliance._workspace.vault, appliance._workspace.subjects
    tell(f"object {vault.put('frame', _CONTENT, subjects.handle('SITE', 'P2', ''))}")
    arriving = [vault.bring("weights", _CONTENT + bytes([number])) for number in range(2)]
    vault.settle(arriving)
    for one in arriving:
        tell(f"object {one.object_id}")


def _rows(appliance: Appliance, folder: Path, tell: Tell) -> None:
    for name in ("f1", "f2"):
        appliance._workspace.catalogue.add_records(files=[StoredFile(name, "document", "", "")])
        tell(f"file {name}")


def _close(appliance: Appliance, folder: Path, tell: Tell) -> None:
    catalogue = appliance._workspace.catalogue
    with appliance._act("audit.run", _AUDIT.audit_id):
        catalogue.start_audit(_AUDIT)
        tell("audit running")
        catalogue.finish_audit(replace(_AUDIT, state="done", verdict="REVIEW", result={"x": 1}))
        tell("audit done")


def _backup(appliance: Appliance, folder: Path, tell: Tell) -> None:
    appliance.backup(folder / "backup.tar", lambda done, total: None)
    tell("backup whole")


ACTS = {"put": _put, "rows": _rows, "close": _close, "backup": _backup}


# -- cases --------------------------------------------------------------------------------------------------


def run(count: int = 0, seed: int = 0, *, hasty: bool = False, acts: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every call of every kind in every act; counts of what came of it.

    Args:
        count: at most so many cases, chosen at random; 0 for all of them.
        seed: of the choice.
        hasty: the mutant: acknowledges before it acts.
        acts: only these.
    """
    if shutil.which("strace") is None:
        return {"tried": 0, "not_shown": "needs strace"}
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        _template(folder / "template")
        cases = [
            (act, call, fault, number)
            for act in acts or ACTS
            for call, times in _looked(folder, act).items()
            for number in range(1, times + 1)
            for fault in FAULTS
        ]
        if count and count < len(cases):
            cases = random.Random(seed).sample(cases, count)
        outcomes = [_case(folder, *case, hasty) for case in cases]
    lost = [f"{one.case}: {what}" for one in outcomes for what in one.lost]
    alarms = [f"{one.case}: {one.alarm}" for one in outcomes if one.alarm]
    found = {"tried": len(outcomes), "lost": len(lost), "false_alarms": len(alarms)}
    return {**found, "examples": [*lost[:3], *alarms[:3]]}


def _template(root: Path) -> None:
    workspace = Workspace.create(root, PASSPHRASE, "Test", unsafe_fast_kdf=True)
    with Appliance(workspace) as appliance:
        workspace.vault.put("weights", _CONTENT)
        workspace.catalogue.add_cohort(StoredCohort("chest", "d" * 64, {}, "2024-01-31T10:00:00Z"))
        with tempfile.TemporaryDirectory(dir=MEMORY) as warm:  # so that a child imports nothing any more
            appliance.backup(Path(warm) / "b.tar", lambda done, total: None)
            appliance.verify_workspace()


def _looked(folder: Path, act: str) -> dict[str, int]:
    calls = folder / "calls"
    place = _copied(folder)
    _traced(place, act, ["-o", str(calls), "-e", "trace=" + ",".join(CALLS)], hasty=False)
    shutil.rmtree(place)
    seen = [line.partition("(")[0].split()[-1] for line in calls.read_text().splitlines()]
    return {call: seen.count(call) for call in CALLS if call in seen}


def _copied(folder: Path) -> Path:
    place = folder / "case"
    place.mkdir()
    shutil.copytree(folder / "template", place / "ws")
    return place


def _case(folder: Path, act: str, call: str, fault: str, number: int, hasty: bool) -> Outcome:
    place = _copied(folder)
    options = ["-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={number}"]
    outcome = Outcome(f"{act} {call} {number} {fault}")
    try:
        acknowledged = _traced(place, act, options, hasty)
        _look(place, acknowledged, outcome)
    finally:
        shutil.rmtree(place)
    return outcome


def _look(place: Path, acknowledged: list[str], outcome: Outcome) -> None:
    """Open what is left, and look for everything that was acknowledged."""
    try:
        with Appliance.unlock(place / "ws", PASSPHRASE) as appliance:
            outcome.lost = [what for what in acknowledged if not _there(appliance, place, what)]
            with appliance._workspace.writing():
                pass  # the next writer sweeps
            damages = appliance.verify_workspace().damages
            outcome.alarm = "; ".join(f"{one.file}: {one.cause}" for one in damages)
        for left in place.glob("backup.tar"):
            Appliance.verify_backup(left, lambda done, total: None)
    except ApplianceError as error:
        outcome.alarm = str(error)


def _there(appliance: Appliance, place: Path, what: str) -> bool:
    kind, _, name = what.partition(" ")
    workspace = appliance._workspace
    try:
        if kind == "object":
            sealed = workspace.vault.get("frame" if "." in name else "weights", name)
            return sealed.startswith(_CONTENT)
        if kind == "file":
            return workspace.catalogue.has_file(name)
        if kind == "backup":
            return bool(Appliance.verify_backup(place / "backup.tar", lambda done, total: None).members)
        audit = workspace.catalogue.audit(_AUDIT.audit_id)
        return audit is not None and (name == "running" or audit.state == "done")
    except ApplianceError:
        return False


# -- the child ----------------------------------------------------------------------------------------------


def _traced(place: Path, act: str, options: list[str], hasty: bool) -> list[str]:
    """What a child acknowledged whose act ran under strace with these options."""
    (go_out, go_in), (told_out, told_in) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        _act(place, act, go_out, told_in, hasty)
    os.close(go_out)
    os.close(told_in)
    with os.fdopen(told_out, "rb") as told:
        told.readline()  # it stands before the act
        tracer = subprocess.Popen(["strace", "-f", *options, "-p", str(child)], stderr=subprocess.DEVNULL)
        _attached(child)
        os.write(go_in, b"go")
        os.close(go_in)
        readable, _, _ = select.select([told], [], [], _PATIENCE_S)
        lines = told.read().decode().splitlines() if readable else []
    os.waitpid(child, 0)
    tracer.wait(_PATIENCE_S)
    return lines


def _attached(child: int) -> None:
    end = time.monotonic() + _PATIENCE_S
    while "TracerPid:\t0\n" in Path(f"/proc/{child}/status").read_text():
        if time.monotonic() > end:
            raise TimeoutError("strace does not attach")
        time.sleep(0.002)


def _act(place: Path, act: str, go: int, told: int, hasty: bool) -> None:
    """Open, wait, act; acknowledgements go by `writev`, which no fault reaches. Never returns."""
    try:
        appliance = Appliance.unlock(place / "ws", PASSPHRASE)
        os.write(told, b"ready\n")
        while not select.select([go], [], [], 1.0)[0]:
            pass
        if hasty:
            early = {"rows": "file f2", "close": "audit done", "backup": "backup whole"}
            os.writev(told, [f"{early.get(act, 'file never')}\n".encode()])
        ACTS[act](appliance, place, lambda what: void(os.writev(told, [f"{what}\n".encode()])))
        appliance.close()
    finally:
        os._exit(0)


def void(_: object) -> None:
    """For expressions."""


def main() -> int:
    """Run the cases and print one JSON object."""
    parser = argparse.ArgumentParser(description="Let every write-side system call of a workspace fail.")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = run(options.count, options.seed)
    if "not_shown" not in found:
        found |= {
            "mutants": 1,
            "missed_mutants": int(not run(6, options.seed, hasty=True, acts=("rows", "close"))["lost"]),
        }
    print(json.dumps(found))
    return int(bool(found.get("lost") or found.get("false_alarms") or found.get("missed_mutants")))


if __name__ == "__main__":
    sys.exit(main())
