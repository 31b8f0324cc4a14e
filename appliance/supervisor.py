"""What a daemon tells systemd: that it is ready, alive, and ending (sd_notify(3)).

Own, since it is one datagram.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import Final

_SOCKET: Final = "NOTIFY_SOCKET"
_WATCHDOG: Final = "WATCHDOG_USEC"
_WATCHDOG_PID: Final = "WATCHDOG_PID"
_LONGEST: Final = 200  # characters of a status


class Supervisor:
    """The way to whoever supervises this process; where nobody does, nothing is said.

    The environment that names it is taken away, so that no other process of ours speaks for this one.
    """

    def __init__(self) -> None:
        self._address = os.environ.pop(_SOCKET, "")
        self._watched = bool(os.environ.pop(_WATCHDOG, ""))
        os.environ.pop(_WATCHDOG_PID, None)
        self._last_s = 0.0

    def ready(self) -> None:
        """It works."""
        self._say("READY=1")

    def alive(self, status: str = "") -> None:
        """It works still; at most once a second.

        Args:
            status: one line for `systemctl status`, which everybody on the machine may read: no name in it.
        """
        if status:
            self._say(f"STATUS={status[:_LONGEST]}")
        if self._watched and time.monotonic() - self._last_s >= 1.0:
            self._last_s = time.monotonic()
            self._say("WATCHDOG=1")

    def stopping(self) -> None:
        """It ends."""
        self._say("STOPPING=1")

    def _say(self, line: str) -> None:
        if self._address[:1] not in ("/", "@"):
            return
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            to.sendto(line.encode("utf-8"), address)
