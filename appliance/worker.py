"""The child process that touches foreign bytes and models. It holds no key and sees no workspace.

The parent sends what is needed through a pipe and reads numbers back. The child closes its box
(`appliance.isolation`) before anything heavy is imported, then answers jobs until the pipe closes.
"""

from __future__ import annotations

import fcntl
import math
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from appliance import limits
from appliance.channel import ASKS, PIPE_BYTES, Channel
from appliance.egress import OFFLINE_ENV
from appliance.errors import ApplianceError, NotNow, WorkerFailed, WorkerSilent
from appliance.faults import fault_of
from appliance.phrases import Phrases
from appliance.run_folder import RunFolder

Event = Callable[[dict[str, Any], bytes], None]
Question = Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]
SELF_PROBE = "self-probe"
SPEAKING = ("audit_core", "medio", "appliance.pipeline", "appliance.model_jobs")
"""Whose errors become the words of a refusal."""
_FAULT_ID = re.compile(r"[0-9A-F]{8}")
_PLACE = re.compile(r"[\w./<>: -]{1,160}", re.ASCII)  # `ValueError in medio/dicom.py:12`
_OWN_MEMORY = re.compile(r"^Rss(?:Anon|Shmem):\s+([0-9]+) kB$", re.MULTILINE)
_SECRETS = ("GRADAUDIT_PASSPHRASE", "GRADAUDIT_PASSPHRASE_FILE", "CREDENTIALS_DIRECTORY")


class Worker:
    """One boxed child process.

    Args:
        read: files and folders the child may open; everything else of the site is out of its reach.
        preload: "ingest" or "audit": which libraries to import while nobody waits for them yet.
        memory_bytes: private memory the child may take; 0 for all that the machine has.
        threads: of numeric libraries in the child; 0 leaves it to the environment, else half of the cores.
        devices: device files of a graphics card that the child may use; usually none.
    """

    program: ClassVar[Sequence[str]] = ("-m", "appliance.worker")

    def __init__(
        self,
        read: Sequence[Path],
        preload: str,
        *,
        memory_bytes: int = 0,
        threads: int = 0,
        devices: Sequence[Path] = (),
    ) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in _SECRETS}
        environment = {**_threads(), **environment, **OFFLINE_ENV}
        if threads:
            environment["OMP_NUM_THREADS"] = str(threads)
        self._folder = RunFolder() if preload == "audit" else None
        self._process = subprocess.Popen(
            [sys.executable, "-P", *self.program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # library chatter may quote what it reads
            cwd="/",
            env=environment,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(OSError):  # an administrator may have set a lower limit; it is slower then
            fcntl.fcntl(self._process.stdout.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(self._process.stdin.fileno(), False)
        self._channel = Channel(
            self._process.stdout.fileno(), self._process.stdin.fileno(), self._watch, limits.SILENCE_S
        )
        self._memory_bytes = memory_bytes or limits.machine_bytes()
        self._processor_s = math.inf
        self._waiting: Callable[[], None] = lambda: None
        self._isolation: dict[str, str] | None = None
        self._known: Phrases | None = None
        self._channel.send(
            {
                "read": self._readable(read),
                "devices": [str(path) for path in devices],
                "preload": preload,
                "memory_bytes": self._memory_bytes,
            }
        )

    @property
    def folder(self) -> RunFolder:
        """A folder in memory that the child may read; only one that was started for audits has it.

        Raises:
            WorkerFailed: this one has none.
        """
        if self._folder is None:
            raise WorkerFailed("the worker was not started to open models")
        return self._folder

    def _readable(self, read: Sequence[Path]) -> list[str]:
        return [str(path) for path in (*read, *([self._folder.path] if self._folder is not None else []))]

    @property
    def isolation(self) -> dict[str, str]:
        """Layer -> "on" or why it is missing; and "self-probe" -> how many attempts got out."""
        if self._isolation is None:
            self._isolation = dict(self._answer(60.0)[0]["isolation"])
        return self._isolation

    def call(
        self,
        job: dict[str, Any],
        *,
        frames: Iterable[tuple[dict[str, Any], bytes]] = (),
        on_event: Event | None = None,
        on_question: Question | None = None,
        on_wait: Callable[[], None] = lambda: None,
        timeout_s: float | None = limits.SILENCE_S,
        processor_s: float = math.inf,
        known: Phrases | None = None,
    ) -> dict[str, Any]:
        """Send one job with its frames, pass every event on, return the answer.

        Args:
            on_question: answers what the child asks for in the middle of its job.
            on_wait: called about once a second until the answer; may raise to leave the job.
            timeout_s: longest silence between two frames of the child.
            processor_s: processor time that the job may take on all cores together.
            known: what the child may say when it refuses; our own phrases without any name when left out.

        Raises:
            ApplianceError: what the child refused, as far as the words are ours.
            NotNow: it refused for want of memory.
            WorkerFailed: the child died, went silent, went beyond a limit or met an unexpected fault.
        """
        self._known, self._waiting = known, on_wait
        self._processor_s = self.processor_seconds() + processor_s
        self.begin(job, frames)
        while True:
            message, blob = self._answer(timeout_s)
            if message["type"] == "answer":
                return message
            if message["type"] == ASKS:
                if on_question is None:
                    raise WorkerFailed("the worker asked for something that its job has not")
                self._channel.send(*on_question(message, blob))
            elif on_event is not None:
                on_event(message, blob)

    def begin(self, job: dict[str, Any], frames: Iterable[tuple[dict[str, Any], bytes]] = ()) -> None:
        """Send one job with its frames; what it answers is for `ask`, or for the rest of `call`.

        Raises:
            WorkerFailed: the child died or could not start.
        """
        _ = self.isolation  # the box is closed before anything of the site goes in
        self._channel.send(job)
        for message, blob in frames:
            self._channel.send(message, blob)
        self._channel.send({"type": "go"})

    def ask(self, question: dict[str, Any], timeout_s: float) -> tuple[dict[str, Any], bytes]:
        """One question to the job that was begun, and its answer.

        Raises:
            WorkerFailed: the child died, met an unexpected fault, or ended the job instead of answering.
            WorkerSilent: no answer in time, or the child used up its processor time.
        """
        self._channel.send(question)
        try:
            return self._answer(timeout_s)
        except WorkerFailed:
            raise
        except ApplianceError:  # its words are those of the foreign file's reader: not for a screen
            raise WorkerFailed("the worker ended its job") from None

    def resident_bytes(self) -> int:
        """Memory the child holds now, as the kernel counts it; 0 once it is gone."""
        try:
            pages = Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()[1]
        except OSError:
            return 0
        return int(pages) * resource.getpagesize()

    def processor_seconds(self) -> float:
        """Processor time the child has used, as the kernel counts it; 0 once it is gone."""
        try:
            line = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return 0.0
        fields = line.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _watch(self) -> None:
        """Whoever waits for the child, and the limits that it could lift or go around itself.

        Those are its processor time, and shared memory.

        Raises:
            WorkerSilent: the processor time is used up; the child is gone.
            NotNow: it holds more memory than it may; the child is gone.
        """
        self._waiting()
        if self.processor_seconds() > self._processor_s:
            self.kill()
            raise WorkerSilent("the worker used up its processor time")
        if _private_bytes(self._process.pid) > self._memory_bytes:
            self.kill()
            raise NotNow("the worker held more memory than it may", "see `gradaudit doctor`")

    def kill(self) -> None:
        """Stop the child at once."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Let the child go; kill it when it does not."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process.stdout.close()
        if self._folder is not None:
            self._folder.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        self.close()

    def _answer(self, timeout_s: float | None) -> tuple[dict[str, Any], bytes]:
        received = self._channel.receive(timeout_s)
        if received is None:
            status = self._process.wait()
            if status == -signal.SIGXCPU:
                raise WorkerSilent("the worker used up its processor time")
            raise WorkerFailed(f"the worker process stopped (status {status})", "see `gradaudit doctor`")
        message, blob = received
        kind = message.get("type")
        if kind == "refused":
            raise _refused(message, self._known)
        if kind == "fault":
            raise WorkerFailed(
                f"the worker met an unexpected fault{_described(message)}",
                "quote the fault id when you report this; it contains no patient data",
            )
        if not isinstance(kind, str):
            raise WorkerFailed("the worker sent something that is not a message")
        return message, blob


def _refused(message: dict[str, Any], known: Phrases | None = None) -> ApplianceError:
    """What the child will not do; a gap stands for words that are not ours. Want of memory may pass."""
    kind = NotNow if message.get("passing") is True else ApplianceError
    known = known or Phrases(SPEAKING)
    return kind(known.ours_of(str(message.get("message"))), known.ours_of(str(message.get("hint"))))


def _described(fault: dict[str, Any]) -> str:
    """Its id and place, when they look like that: a worker taken over by a file has no words of its own."""
    fault_id, where = str(fault.get("fault")), str(fault.get("where"))
    return f" {fault_id} ({where})" if _FAULT_ID.fullmatch(fault_id) and _PLACE.fullmatch(where) else ""


def _private_bytes(process_id: int) -> int:
    """Memory that belongs to a process and no file, shared or not; 0 once it is gone."""
    try:
        status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return sum(int(kilobytes) for kilobytes in _OWN_MEMORY.findall(status)) << 10


def _threads() -> dict[str, str]:
    """Half of the cores, no spinning: threads that wait busily on a shared core are 20 times slower."""
    cores = len(os.sched_getaffinity(0))
    return {"OMP_NUM_THREADS": str(max(1, cores // 2)), "OMP_WAIT_POLICY": "PASSIVE"}


def main() -> int:
    """Child side: close the box, preload, answer jobs until the pipe closes."""
    from appliance.redaction import redact

    redact()
    channel = Channel.over_stdio()
    first = channel.receive()
    if first is None:
        return 0
    order, _ = first
    from appliance import isolation

    layers = isolation.close_box(
        read=_readable(order["read"]), write=[], devices=[Path(path) for path in order["devices"]]
    )
    escaped = isolation.broken_promises(layers, isolation.probe())
    _bind(int(order["memory_bytes"]))
    layers[SELF_PROBE] = isolation.ON if not escaped else "got out: " + ", ".join(escaped)
    channel.send({"type": "ready", "isolation": layers})
    try:
        from appliance import pipeline

        pipeline.preload(str(order["preload"]))
        while (job := channel.receive()) is not None:
            _answer_job(channel, job[0])
    except Exception as error:  # noqa: BLE001 - process border: only a fault id may leave, never the values in a traceback
        fault = fault_of(error)
        channel.send({"type": "fault", "fault": fault.fault_id, "where": fault.where})
        return 1
    return 0


def _bind(memory_bytes: int) -> None:
    """A child's memory ends somewhere, and it does not outlive the thread that reads its answers.

    Called with the box closed: a change of privileges would cancel the second.
    """
    from appliance.isolation.kernel import PR_SET_PDEATHSIG, prctl

    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def _answer_job(channel: Channel, job: dict[str, Any]) -> None:
    from appliance import pipeline
    from audit_core.errors import AuditError, NotEnoughMemory
    from medio.errors import MedioError

    try:
        answer = pipeline.run(job, channel)
        channel.send({"type": "answer", **answer})
    except AuditError as refused:
        passing = isinstance(refused, NotEnoughMemory)
        channel.send({"type": "refused", "message": str(refused), "hint": refused.hint, "passing": passing})
    except MedioError as refused:
        channel.send({"type": "refused", "message": str(refused), "hint": refused.reason})


def _readable(site_paths: Sequence[str]) -> list[Path]:
    """What the child may open besides the system: its own code and the paths it was given."""
    code = Path(__file__).resolve().parent.parent
    return [code, Path(sys.prefix), Path(sys.base_prefix), *map(Path, site_paths)]


if __name__ == "__main__":
    raise SystemExit(main())
