"""A writer killed at any moment loses nothing acknowledged and leaves nothing that looks like tampering."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

from appliance.evidence.log import EvidenceLog
from tests import warm

WRITER = """
import os, pathlib, sys
from appliance.evidence.entries import Act
from appliance.evidence.log import EvidenceLog
log = EvidenceLog.open(pathlib.Path(sys.argv[1]))
number = 0
while True:
    count = 1 + number % 3
    entries = log.append_all([Act("writer.step")] * count)
    os.write(1, b"".join(b"%d %s\\n" % (entry.index, log.root.encode()) for entry in entries[-1:]))
    number += 1
"""
KILLS = 30


def test_killed_writers_lose_nothing_and_raise_no_alarm(warm_processes: warm.Warm, tmp_path: Path) -> None:
    """Thirty kills -9: every acknowledged entry is there under its root, and each start is clean."""
    rng = random.Random(7)
    directory = tmp_path / "log"
    EvidenceLog.open(directory)
    acknowledged: list[tuple[int, str]] = []
    cuts = 0
    for _ in range(KILLS):
        writer = warm.Process(
            warm_processes.control, "-c", [WRITER, str(directory)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ,
        )  # fmt: skip
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(rng.random() * 0.12)
        writer.kill()
        lines = (first + writer.stdout.read()).splitlines(keepends=True)
        writer.wait()
        acknowledged += [
            (int(index), root.decode())
            for index, root in (line.split() for line in lines if line.endswith(b"\n"))
        ]
        log = EvidenceLog.open(directory)
        assert log.verify().intact
        cuts += sum(entry.act == "log.cut" for entry in log.entries(-1))
    assert len(acknowledged) >= KILLS
    for index, root in acknowledged:
        size = index + 1
        assert log.entries(index, 1)[0].act == "writer.step"
        assert log._subtree(0, size).hex() == root
    assert cuts, "no kill hit a write: this run has shown nothing about torn tails"
