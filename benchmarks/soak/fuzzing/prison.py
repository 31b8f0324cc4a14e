"""Reads damaged files in a process of their own and says how each ended, also when it ends the process."""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 10.0
MEMORY_BYTES = 2 << 30
_PATIENCE = 6  # wall clock per processor time, on a machine that has other work
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one file ended.

    Attributes:
        end: read | refused | exception | death | hang | memory.
        what: the outcome, reason code, exception or signal: equal for equal findings.
        seconds: of processor time; peak: bytes resident.
    """

    end: str
    what: str
    seconds: float
    peak: int

    @property
    def fine(self) -> bool:
        """Whether the reader did what it promises."""
        return self.end in ("read", "refused")


class Prison:
    """One reading process at a time.

    Args:
        reader: a name in `cell.READERS`.
        seconds: processor time a file may take.
        memory_bytes: resident memory it may take.
    """

    def __init__(self, reader: str, seconds: float = SECONDS, memory_bytes: int = MEMORY_BYTES) -> None:
        self._reader, self._seconds, self._memory_bytes = reader, seconds, memory_bytes
        self._faults = tempfile.NamedTemporaryFile(prefix="fuzz-faults-")  # noqa: SIM115 - closed with the prison
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, data: bytes, ending: str) -> Verdict:
        """Have one file read."""
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        before, started = _processor_time(process.pid), time.monotonic()
        try:
            process.stdin.write(struct.pack(">IB", len(data), len(ending)) + ending.encode() + data)
            process.stdin.flush()
        except BrokenPipeError:
            return self._dead(0.0)
        while not select.select([process.stdout], [], [], 0.2)[0]:
            spent, waited = _processor_time(process.pid) - before, time.monotonic() - started
            if spent > self._seconds or waited > _PATIENCE * self._seconds:
                self.close()
                return Verdict("hang", "computing" if spent > self._seconds else "sleeping", spent, 0)
        line = process.stdout.readline()
        if not line:
            return self._dead(_processor_time(process.pid) - before)
        verdict = Verdict(**json.loads(line))
        if verdict.peak > self._memory_bytes:
            return Verdict("memory", f"{verdict.peak >> 20} MiB", verdict.seconds, verdict.peak)
        if verdict.seconds > self._seconds:
            return Verdict("hang", "computing", verdict.seconds, verdict.peak)
        return verdict

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._faults.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("cell.py")), self._reader, self._faults.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": _python_path(), "OMP_NUM_THREADS": "1"},
            )
            assert self._process.stdin is not None and self._process.stdout is not None
            self._process.stdin.write(
                struct.pack(">IB", 0, 0)
            )  # a first empty file: imports are no file's time
            self._process.stdin.flush()
            if not self._process.stdout.readline():
                raise RuntimeError("the reading process does not start")
        return self._process

    def _dead(self, seconds: float) -> Verdict:
        assert self._process is not None
        self._process.communicate()
        status = self._process.returncode
        self._process = None
        name = signal.Signals(-status).name if status < 0 else f"exit {status}"
        return Verdict("death", f"{name} in {self._where()}", seconds, 0)

    def _where(self) -> str:
        """The innermost Python frame at a fatal signal."""
        lines = Path(self._faults.name).read_text(encoding="utf-8", errors="replace").splitlines()
        frames = [
            line.split('"')[1] + ":" + line.rsplit(" ", 1)[-1] for line in lines if line.startswith("  File")
        ]
        return "/".join(frames[0].rsplit("/", 2)[-2:]) if frames else "?"


def _python_path() -> str:
    """This checkout first; what is there already, such as the suite's guard, stays."""
    return os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))


def _processor_time(pid: int) -> float:
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS
