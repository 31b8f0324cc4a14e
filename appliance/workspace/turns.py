"""Whose turn it is in a workspace, among threads and processes: one writer, and beside it one audit.

An audit takes hours and writes for moments. It holds the second lock from beginning to end, which tells
everybody that somebody is at work, and the writer's for its short steps alone. Who takes both takes that of
audits first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from appliance.errors import Busy
from appliance.workspace.writer_lock import is_locked, locked_file

LOCK: Final = "lock"
AUDITING: Final = "auditing"
PATIENCE_S: Final = 0.3
HOURS_S: Final = 24 * 3600.0  # an audit that is done waits for a long ingest before it writes its verdict


class Turns:
    """The locks of one open workspace.

    Attributes:
        root: the directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._threads = threading.Lock()

    @contextmanager
    def writing(
        self, wait_s: float = PATIENCE_S, waiting: Callable[[], None] = lambda: None
    ) -> Iterator[None]:
        """Be the only writer, among threads and processes. Not re-entrant.

        Args:
            wait_s: how long to wait for another writer before giving up: short acts follow one another.
            waiting: called again and again while another process writes; may raise to give up.

        Raises:
            Busy: another one is writing.
        """
        busy = Busy("another command is writing to this workspace", "Wait for it to finish and try again.")
        deadline = time.monotonic() + wait_s
        if not self._threads.acquire(timeout=wait_s):
            raise busy
        try:
            with locked_file(self.root / LOCK, deadline, busy, waiting):
                self._take_turn()
                yield
        finally:
            self._threads.release()

    @contextmanager
    def auditing(self) -> Iterator[None]:
        """Be the only one who works on audits. Never inside `writing`.

        Raises:
            Busy: somebody else does.
        """
        busy = Busy(
            "an audit is running in this workspace", "`gradaudit runs ls` shows it; wait for it, or pause it."
        )
        with locked_file(self.root / AUDITING, time.monotonic() + PATIENCE_S, busy):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only writer while no audit runs: for what takes away the keys or patients it works with.

        Raises:
            Busy: an audit runs, or somebody else is writing.
        """
        with self.auditing(), self.writing():
            yield

    def audited(self) -> bool:
        """Whether somebody works on an audit at this moment, in this process or another."""
        return is_locked(self.root / AUDITING)

    def _take_turn(self) -> None:
        """What a writer does first."""
        raise NotImplementedError
