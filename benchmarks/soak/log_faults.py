"""Every system call of an append fails once, or is the last thing its process does (strace).

    python benchmarks/soak/log_faults.py [--seed 0]

A child stands before an append; strace is put on it and lets the n-th call of one kind end in EIO, in ENOSPC
or in SIGKILL. Then the log must hold what was acknowledged, verify, and take entries again. The control is
a child that goes on after a failed call: it must be found to have lost what it acknowledged.
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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from log_states import MEMORY, EvidenceLog, Outcome, SteadyClock, after_crash

CALLS = (
    "openat", "pwrite64", "ftruncate", "fsync", "rename", "close", "mkdir", "read", "lseek", "fstat",
    "newfstatat", "flock", "getdents64",
)  # fmt: skip
FAULTS = ("error=EIO", "error=ENOSPC", "signal=KILL")
_PATIENCE_S = 20.0


def run(
    count: int = 0,
    seed: int = 0,
    *,
    calls: tuple[str, ...] = CALLS,
    years: tuple[int, ...] = (2026, 2027),
    careless: bool = False,
) -> dict[str, Any]:
    """Every call of every kind in an append, and in one that closes a year; counts of what came of it.

    Args:
        count: at most so many cases, chosen at random; 0 for all of them.
        careless: the mutant: errors of fsync and rename are not looked at.
    """
    if shutil.which("strace") is None:
        return {"tried": 0, "not_shown": "needs strace"}
    outcomes: list[tuple[str, Outcome]] = []
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        log = EvidenceLog.open(folder / "log", clock=SteadyClock.in_year(2026))
        log.append("before.all")
        told = (log.size, log.root)
        cases = list(_cases(folder, calls, years))
        if count and count < len(cases):
            cases = random.Random(seed).sample(cases, count)
        for year, call, fault, number in cases:
            outcomes.append(
                (f"{call} {number} {fault}", _case(folder, year, call, fault, number, told, careless))
            )
    alarms = [f"{case}: {outcome.alarm}" for case, outcome in outcomes if outcome.alarm]
    lost = sum(outcome.lost for _, outcome in outcomes)
    return {"tried": len(outcomes), "lost": lost, "false_alarms": len(alarms), "alarms": alarms[:5]}


def _cases(
    folder: Path, calls: tuple[str, ...], years: tuple[int, ...]
) -> Iterator[tuple[int, str, str, int]]:
    """Year, call, fault and number of the call, from a look at one append of each kind."""
    for year in years:
        seen = _looked(folder, year, calls)
        for call in calls:
            for number in range(1, seen.count(call) + 1):
                for fault in FAULTS:
                    yield year, call, fault, number


def _looked(folder: Path, year: int, calls: tuple[str, ...]) -> list[str]:
    copy = Path(shutil.copytree(folder / "log", folder / "look"))
    _traced(copy, year, ["-o", str(folder / "calls"), "-e", "trace=" + ",".join(calls)], careless=False)
    shutil.rmtree(copy)
    return [line.partition("(")[0].split()[-1] for line in (folder / "calls").read_text().splitlines()]


def _case(
    folder: Path, year: int, call: str, fault: str, number: int, told: tuple[int, str], careless: bool
) -> Outcome:
    copy = Path(shutil.copytree(folder / "log", folder / "case"))
    options = ["-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={number}"]
    acknowledged = _traced(copy, year, options, careless)
    try:
        return after_crash(copy, [told, *acknowledged], SteadyClock.in_year(year))
    finally:
        shutil.rmtree(copy)


def _traced(directory: Path, year: int, options: list[str], careless: bool) -> list[tuple[int, str]]:
    """What a child was told whose append ran under strace with these options."""
    (go_out, go_in), (told_out, told_in) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        _append(directory, year, go_out, told_in, careless)
    os.close(go_out)
    os.close(told_in)
    with os.fdopen(told_out, "rb") as told:
        told.readline()  # it stands before the append
        tracer = subprocess.Popen(["strace", "-f", *options, "-p", str(child)], stderr=subprocess.DEVNULL)
        _attached(child)
        os.write(go_in, b"go")
        os.close(go_in)
        readable, _, _ = select.select([told], [], [], _PATIENCE_S)
        line = told.readline() if readable else b""
    os.waitpid(child, 0)
    tracer.wait(_PATIENCE_S)
    size, _, root = line.strip().partition(b" ")
    return [(int(size), root.decode())] if line.endswith(b"\n") else []


def _attached(child: int) -> None:
    end = time.monotonic() + _PATIENCE_S
    while "TracerPid:\t0\n" in Path(f"/proc/{child}/status").read_text():
        if time.monotonic() > end:
            raise TimeoutError("strace does not attach")
        time.sleep(0.002)


def _append(directory: Path, year: int, go: int, told: int, careless: bool) -> None:
    """Open, wait, append once, say so; never returns."""
    try:
        log = EvidenceLog.open(directory, create=False, clock=SteadyClock.in_year(2026))
        log._clock = SteadyClock.in_year(year)
        if careless:
            _ignore_errors()
        os.write(told, b"ready\n")
        while not select.select([go], [], [], 1.0)[0]:
            pass
        log.append("fault.step")
        os.write(told, b"%d %s\n" % (log.size, log.root.encode()))
    finally:
        os._exit(0)


def _ignore_errors() -> None:
    for name in ("fsync", "rename", "pwrite"):
        call = getattr(os, name)

        def careless(*arguments: Any, _call: Any = call, **named: Any) -> Any:
            try:
                return _call(*arguments, **named)
            except OSError:
                return len(arguments[1]) if _call.__name__ == "pwrite" else None

        setattr(os, name, careless)


def main() -> int:
    """Run every case and print one JSON object."""
    parser = argparse.ArgumentParser(description="Let every system call of an append fail.")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = run(options.count, options.seed)
    if "not_shown" not in found:
        control = run(calls=("rename", "pwrite64"), years=(2026,), careless=True)
        found |= {"mutants": 1, "missed_mutants": int(not (control["lost"] or control["false_alarms"]))}
    print(json.dumps(found))
    return int(bool(found.get("lost") or found.get("false_alarms") or found.get("missed_mutants")))


if __name__ == "__main__":
    sys.exit(main())
