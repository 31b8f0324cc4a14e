"""Boxed readers side by side: paths in, one reading per path out, in the order of the paths.

One thread per worker process talks to it, file by file. A file that kills or outlasts its worker costs itself
alone: the next one goes to a fresh worker.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Generic, TypeVar

from appliance import codec, limits
from appliance.errors import IntegrityError, WorkerFailed, WorkerSilent
from appliance.listing import Listing, readable
from appliance.reading import PARSER_DIED, PARSER_TIMEOUT, Reading, check_look, check_read
from appliance.worker import Worker
from medio.records import Outcome

T = TypeVar("T")
Keep = Callable[[Path, Reading, bytes], T]
_NOTHING = Reading(None)
_TRIES = 2  # a death may be the machine's fault, or that of what was read before; twice is the file's


def listing(paths: Sequence[Path]) -> Listing:
    """The files below `paths`, archives opened up in a box of their own.

    Raises:
        UsageError: a path does not exist, or there is no file below any of them.
    """
    return Listing(paths, lambda: Worker(readable(paths), "list", memory_bytes=limits.MEMORY_BYTES))


def parser(paths: Sequence[Path]) -> Worker:
    """A boxed child that may read the files below `paths`, within the limits for one file."""
    return Worker(readable(paths), "ingest", memory_bytes=limits.MEMORY_BYTES, threads=1)


class Readers(Generic[T]):
    """Reads files in several boxed workers.

    Args:
        start_worker: makes a boxed child that may read the given files.
        keep: turns a reading and its frame into what the caller wants; runs in the threads, so that no frame
            waits for its turn.
        workers: how many at most; few files get fewer.
        statistics: also describe all stored pixel values.
        wanted: by digest, whether to read a file's bytes; called in the threads.
    """

    def __init__(
        self,
        start_worker: Callable[[], Worker],
        keep: Keep[T],
        *,
        workers: int,
        statistics: bool = False,
        wanted: Callable[[str], bool] = lambda digest: True,
    ) -> None:
        self._keep = keep
        self._turn = threading.Condition()
        self._taken = self._given = 0  # files handed to a worker; handed to the caller
        self._over = False
        self._readers = [_Reader(start_worker, statistics, wanted) for _ in range(workers)]
        self._done: queue.SimpleQueue[tuple[int, T] | BaseException | None] = queue.SimpleQueue()

    def read(self, paths: Iterator[Path]) -> Generator[T, None, None]:
        """What `keep` made of each path, in their order; close it to stop early.

        Args:
            paths: taken one at a time, from the threads; it is never used by two at once.

        Raises:
            ApplianceError: a worker could not be started, or whatever `paths` or `keep` raised.
        """
        threads = [
            threading.Thread(target=self._serve, args=(paths, number, reader), daemon=True)
            for number, reader in enumerate(self._readers)
        ]
        for thread in threads:
            thread.start()
        try:
            yield from self._in_order()
        finally:
            self._stop()
            for thread in threads:
                thread.join()

    def _in_order(self) -> Iterator[T]:
        waiting: dict[int, T] = {}
        running = len(self._readers)
        while running:
            arrived = self._done.get()
            if isinstance(arrived, BaseException):
                raise arrived
            if arrived is None:
                running -= 1
                continue
            waiting[arrived[0]] = arrived[1]
            while self._given in waiting:
                yield waiting.pop(self._given)
                with self._turn:
                    self._given += 1
                    self._turn.notify_all()

    def _serve(self, paths: Iterator[Path], number: int, reader: _Reader) -> None:
        """One thread: take a path, read it, keep it, until there is none."""
        try:
            self._await(lambda: self._taken >= number * limits.FILES_PER_WORKER)
            while (taken := self._next(paths)) is not None:
                place, path = taken
                self._done.put((place, self._keep(path, *reader.read(path))))
        except BaseException as error:  # noqa: BLE001 - it goes to the caller's thread, which raises it
            self._done.put(error)
        finally:
            reader.close()
            self._done.put(None)

    def _next(self, paths: Iterator[Path]) -> tuple[int, Path] | None:
        """The next path with its place; None when there is none or nobody wants more."""
        self._await(lambda: self._taken < self._given + limits.AHEAD * len(self._readers))
        with self._turn:
            path = None if self._over else next(paths, None)
            if path is None:
                self._over = True
            self._taken += 1
            self._turn.notify_all()
            return None if path is None else (self._taken - 1, path)

    def _await(self, ready: Callable[[], bool]) -> None:
        with self._turn:
            self._turn.wait_for(lambda: self._over or ready())

    def _stop(self) -> None:
        with self._turn:
            self._over = True
            self._turn.notify_all()
        for reader in self._readers:
            reader.interrupt()


class _Reader:
    """One worker process at a time, replaced when a file has killed it or it has grown."""

    def __init__(
        self, start_worker: Callable[[], Worker], statistics: bool, wanted: Callable[[str], bool]
    ) -> None:
        self._start_worker, self._statistics, self._wanted = start_worker, statistics, wanted
        self._worker: Worker | None = None
        self._looked = _NOTHING
        self._interrupted = False

    def read(self, path: Path) -> tuple[Reading, bytes]:
        """What one file gives; a death or a timeout is an answer, too.

        Raises:
            WorkerFailed: no worker can be started, or `interrupt` was called.
        """
        self._looked, reason, message = _NOTHING, PARSER_DIED, ""
        for _ in range(_TRIES):
            worker = self._ready()
            try:
                return self._asked(worker, path)
            except WorkerFailed as failed:
                self._drop(failed)
                message = str(failed)
                if isinstance(failed, WorkerSilent):
                    reason = PARSER_TIMEOUT
                    break
        return replace(self._looked, outcome=Outcome.REJECTED, reason=reason, message=message), b""

    def interrupt(self) -> None:
        """From another thread: stop what is under way."""
        self._interrupted = True
        if (worker := self._worker) is not None:
            worker.kill()

    def close(self) -> None:
        """Let the worker go."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _ready(self) -> Worker:
        """A worker whose box is closed; one that cannot even start is no file's fault."""
        if self._worker is not None and self._worker.resident_bytes() > limits.RESIDENT_BYTES:
            self.close()
        if self._worker is None:
            self._worker = self._start_worker()
            self._worker.begin({"type": "ingest", "statistics": self._statistics})
        if self._interrupted:  # while it started
            raise WorkerFailed("the reading was stopped")
        return self._worker

    def _drop(self, failed: WorkerFailed) -> None:
        if self._worker is not None:
            self._worker.kill()
        self.close()
        if self._interrupted:
            raise failed

    def _asked(self, worker: Worker, path: Path) -> tuple[Reading, bytes]:
        question = {"type": "look", "path": str(path.absolute())}
        looked, _ = _answered(worker, question, limits.LOOK_S)
        self._looked = looked
        if looked.outcome is not None or not self._wanted(looked.digest):
            return looked, b""
        return _answered(worker, {"type": "read"}, limits.wall_seconds(looked.size), looked)


def _answered(
    worker: Worker, question: dict[str, str], timeout_s: float, looked: Reading | None = None
) -> tuple[Reading, bytes]:
    """One answer, held to its form; `looked` is what the first question of two was answered with."""
    answer, frame = worker.ask(question, timeout_s)
    try:
        reading = codec.load(Reading, str(answer["reading"]))
        if looked is None:
            check_look(reading)
        else:
            check_read(reading, looked, len(frame))
    except (IntegrityError, KeyError) as wrong:
        raise WorkerFailed("the worker sent something that is not a reading") from wrong
    return reading, frame
