"""`run.progress` in the workspace: which audit is at work, by which process, and how far it is.

Whoever carries out an audit replaces it at most twice a second; every terminal of the account reads it,
without a key. It holds an audit's id, names of phases and counts, and nothing of a patient; it is written
without waiting for the disk, and means nothing once its process is gone.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appliance.runs.pace import Meter
from appliance.runs.views import PhaseView
from appliance.views import Progress
from appliance.workspace.durable import write_new

FILE: Final = "run.progress"
_EVERY_S: Final = 0.5
_VERSION: Final = 1
_MOST_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Told:
    """What the file says.

    Attributes:
        run_id: of the audit.
        process: id and start time of the process that carries it out.
        here: whether that is a runner, which takes orders.
    """

    run_id: str
    process: tuple[int, int]
    here: bool
    began: float
    told: float
    left_s: float | None
    phases: tuple[PhaseView, ...]

    def elapsed_s(self) -> float:
        """Seconds since it was begun."""
        return max(0.0, boot_s() - self.began)

    def still_left_s(self) -> float | None:
        """Seconds that are left by now."""
        return None if self.left_s is None else max(0.0, self.left_s - (boot_s() - self.told))

    def alive(self) -> bool:
        """Whether its process is still there."""
        return self.process == (self.process[0], started(self.process[0]))


class Telling:
    """Writes the file while one audit is carried out.

    Args:
        root: of the workspace.
        run_id: of the audit.
        plan: seconds by phase, see `pace.planned`.
        here: whether this process takes orders.
    """

    def __init__(self, root: Path, run_id: str, plan: Mapping[str, float], *, here: bool = False) -> None:
        self._path = root / FILE
        self._run_id = run_id
        self._here = here
        self._meter = Meter(boot_s(), plan)
        self._last = 0.0
        self._write()

    def following(self, on_progress: Callable[[Progress], None]) -> Callable[[Progress], None]:
        """The same listener, after the file has been told."""

        def step(progress: Progress) -> None:
            known = len(self._meter.phases)
            self._meter.step(progress, boot_s())
            if len(self._meter.phases) != known or boot_s() - self._last >= _EVERY_S:
                self._write()
            on_progress(progress)

        return step

    def _write(self) -> None:
        """What cannot be told is not told; the audit goes on."""
        self._last = now = boot_s()
        beside = self._path.with_name(f".{FILE}.{secrets.token_hex(8)}")
        try:
            write_new(beside, [json.dumps(self._document(now)).encode("ascii")], sync=False)
            beside.replace(self._path)
        except OSError:
            beside.unlink(missing_ok=True)

    def _document(self, now: float) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "run": self._run_id,
            "process": [os.getpid(), started(os.getpid())],
            "here": self._here,
            "began": self._meter.began,
            "told": now,
            "left_s": self._meter.left_s(now),
            "phases": [
                [one.name, one.unit, one.done, one.total, one.took_s, one.rate]
                for one in (phase.view() for phase in self._meter.phases)
            ],
        }


def forget(root: Path) -> None:
    """Nobody is at work any more; what writers that were killed have left goes too."""
    with suppress(OSError):
        for path in (root / FILE, *root.glob(f".{FILE}.*")):
            path.unlink(missing_ok=True)


def read(root: Path) -> Told | None:
    """What the file says; None where there is none, or none that can be read."""
    try:
        with os.fdopen(os.open(root / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            told = json.loads(file.read(_MOST_BYTES))
        process_id, began = told["process"]
        return Told(
            str(told["run"]), (int(process_id), int(began)), bool(told["here"]),
            float(told["began"]), float(told["told"]),
            None if told["left_s"] is None else float(told["left_s"]),
            tuple(_phase(*one) for one in told["phases"]),
        )  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def started(process_id: int) -> int:
    """When a process was started, in ticks since the machine was; 0 where it is gone. Ids are used again."""
    try:
        line = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    fields = line.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])  # a dead one that nobody has asked about yet


def boot_s() -> float:
    """Seconds since the machine started: the same for every process."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _phase(name: str, unit: str, done: int, total: int, took_s: float, rate: float | None) -> PhaseView:
    return PhaseView(str(name), str(unit), int(done), int(total), float(took_s), rate and float(rate))
