"""Whole demonstrations while the kernel refuses and counts every attempt to name a destination.

    python benchmarks/soak/egress.py [--count 3] [--seed 0]

`gradaudit demo` ingests, registers three models, audits them and writes evidence. A filter of the kernel lies
under it and all its processes; no connect, no datagram, no io_uring passes it unseen, whatever language asks
for it. The control is a command of ours that makes one connect through the C library, where Python's hooks
see nothing: it must be counted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.guard.kernel_watch import Watched, watch  # noqa: E402 - after the path

_LONGEST_S = 1800.0
_LEAKING = """
import ctypes, socket, struct, sys
from appliance import cli
libc = ctypes.CDLL(None)
address = struct.pack("=HH4s8x", socket.AF_INET, socket.htons(9), socket.inet_aton("127.0.0.1"))
libc.connect(libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0), address, 16)
sys.argv = ["gradaudit", "policy", "ls"]
cli.main()
"""


def run(count: int = 1) -> dict[str, Any]:
    """So many demonstrations; attempts to reach anything, and demonstrations that did not end well."""
    attempts: list[str] = []
    failures = 0
    for _ in range(count):
        with tempfile.TemporaryDirectory() as folder:
            program = str(Path(sys.executable).with_name("gradaudit"))
            seen = watched([program, "demo", "--json", "--keep", str(Path(folder) / "demo")])
        attempts += seen.attempts
        failures += seen.returncode != 0
    return {"tried": count, "egress": len(attempts), "failures": failures, "attempts": attempts[:5]}


def control() -> int:
    """How many of one connect of a leaking program are seen."""
    return len(watched([sys.executable, "-c", _LEAKING]).attempts)


def watched(command: list[str]) -> Watched:
    """One command under the filter, with a site of its own."""
    return watch(command, os.environ | {"PYTHONPATH": str(ROOT)}, _LONGEST_S)


def main() -> int:
    """Run at length and print one JSON object."""
    parser = argparse.ArgumentParser(description="Count attempts to leave.")
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="changes nothing: the demonstration has its own")
    asked = parser.parse_args()
    try:
        found = run(asked.count) | {"mutants": 1, "missed_mutants": int(control() != 1)}
    except OSError as missing:
        found = {"tried": 0, "not_shown": f"needs supervised system call filters ({missing.strerror})"}
    print(json.dumps(found))
    return int(any(found.get(bad) for bad in ("egress", "failures", "missed_mutants")))


if __name__ == "__main__":
    sys.exit(main())
