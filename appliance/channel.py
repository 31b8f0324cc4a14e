"""Frames between the appliance and its worker: length-prefixed JSON, then raw bytes. No pickle.

u32 length of JSON, big endian | u32 length of blob | JSON (UTF-8) | blob
"""

from __future__ import annotations

import json
import os
import select
import struct
import time
from collections.abc import Callable
from typing import Any

from appliance.errors import WorkerFailed, WorkerSilent

_HEAD = struct.Struct(">II")
MAX_MESSAGE = 64 << 20  # a result with its findings for a few hundred thousand pairs
MAX_BLOB = 256 << 20  # one decoded frame
ASKS = "asks"  # type of a child's frame that waits for one of the parent
PIPE_BYTES = 1 << 20  # so that a frame goes through without waiting for the reader
_READ = 1 << 20
_LOOK_S = 1.0  # how often a waiting end looks after the other one


class Channel:
    """One end of a pair of pipes.

    Args:
        read_fd: descriptor frames come from.
        write_fd: descriptor frames go to; one that does not block is waited for `send_s` at most.
        watch: called about once a second while this end waits or reads; raises to stop waiting.
        send_s: longest wait for the other end to take a byte.
    """

    def __init__(
        self,
        read_fd: int,
        write_fd: int,
        watch: Callable[[], None] | None = None,
        send_s: float | None = None,
    ) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._watch = watch
        self._looked = time.monotonic()
        self._send_s = send_s

    @classmethod
    def over_stdio(cls) -> Channel:
        """Take stdin and stdout for frames; whatever a library prints goes to stderr from now on."""
        read_fd, write_fd = os.dup(0), os.dup(1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(2, 1)
        os.close(null)
        return cls(read_fd, write_fd)

    def send(self, message: dict[str, Any], blob: bytes = b"") -> None:
        """Write one frame.

        Raises:
            WorkerFailed: the other end is gone.
            WorkerSilent: it takes nothing any more.
            OverflowError: more than the other end takes; nothing was written.
        """
        text = json.dumps(message, allow_nan=False).encode()
        if len(text) > MAX_MESSAGE or len(blob) > MAX_BLOB:
            raise OverflowError("more than a frame may hold")
        try:
            self._write_all(_HEAD.pack(len(text), len(blob)) + text)
            if blob:
                self._write_all(blob)
        except BrokenPipeError as broken:
            raise WorkerFailed("the worker process stopped", "see `gradaudit doctor`") from broken

    def receive(self, timeout_s: float | None = None) -> tuple[dict[str, Any], bytes] | None:
        """Read one frame; None when the other end closed between frames.

        Raises:
            WorkerFailed: the other end died inside a frame or sent too much.
            WorkerSilent: it was silent for `timeout_s`.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        head = self._read_exactly(_HEAD.size, deadline)
        if not head:
            return None
        text_length, blob_length = _HEAD.unpack(head)
        if text_length > MAX_MESSAGE or blob_length > MAX_BLOB:
            raise WorkerFailed("the worker sent more than is allowed")
        text = self._read_exactly(text_length, deadline)
        blob = self._read_exactly(blob_length, deadline)
        if len(text) != text_length or len(blob) != blob_length:
            raise WorkerFailed("the worker process stopped in the middle of an answer")
        try:
            message = json.loads(text, parse_constant=_no_number)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise WorkerFailed("the worker sent something that is not a message")
        return message, blob

    def close(self) -> None:
        """Close both descriptors."""
        for descriptor in (self._read_fd, self._write_fd):
            os.close(descriptor)

    def _read_exactly(self, length: int, deadline: float | None) -> bytes:
        """Up to `length` bytes; fewer only at end of file."""
        parts = bytearray(length)
        view, filled = memoryview(parts), 0
        while filled < length:
            if deadline is not None or self._watch is not None:
                self._wait(deadline)
            read = os.readv(self._read_fd, [view[filled : filled + _READ]])
            if not read:
                break
            filled += read
        return bytes(view[:filled])

    def _wait(self, deadline: float | None) -> None:
        """Until there is something to read."""
        while True:
            self._look()
            left = _LOOK_S if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise WorkerSilent("the worker did not answer in time")
            if select.select([self._read_fd], [], [], min(left, _LOOK_S))[0]:
                return

    def _look(self) -> None:
        if self._watch is not None and time.monotonic() - self._looked >= _LOOK_S:
            self._looked = time.monotonic()
            self._watch()

    def _write_all(self, data: bytes) -> None:
        view, moved = memoryview(data), time.monotonic()
        while view:
            self._look()
            try:
                view = view[os.write(self._write_fd, view) :]
                moved = time.monotonic()
            except BlockingIOError:
                select.select([], [self._write_fd], [], _LOOK_S)
                if self._send_s is not None and time.monotonic() - moved > self._send_s:
                    raise WorkerSilent("the worker takes nothing any more") from None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
