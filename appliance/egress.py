"""Offline by construction: the switches every process starts with, and a counter of attempts to reach out.

The switches are good manners (SECURITY §4: alone they block nothing). The counter sees what Python code of
this process tries; the box in `appliance.isolation` is what stops the worker.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from appliance.errors import ApplianceError

OFFLINE_ENV: Mapping[str, str] = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "DO_NOT_TRACK": "1",
    "PYTHONNOUSERSITE": "1",
    "USERNAME": "gradaudit",  # monai asks who we are; without any name the C library would ask a local socket
    "TOKENIZERS_PARALLELISM": "false",  # a forked tokenizer pool would print to our streams
}
"""Set by the launcher before any import, and handed to every child process."""

_ADDRESS_AT: Mapping[str, int] = {  # audit event -> which argument names the other end
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
    "socket.getnameinfo": 0,
}
_attempts: list[str] = []
_watching = False


def go_offline() -> None:
    """Set the switches for this process and start to count; to be called before anything else is imported."""
    os.environ.update(OFFLINE_ENV)
    _watch()


def assert_offline() -> None:
    """Make sure the launcher set the switches.

    Raises:
        ApplianceError: one of them is missing or was changed.
    """
    wrong = [name for name, value in OFFLINE_ENV.items() if os.environ.get(name) != value]
    if wrong:
        raise ApplianceError(
            f"this process was started without its offline switches ({', '.join(wrong)})",
            "start it with `gradaudit`, and do not unset these variables",
        )


def attempts() -> tuple[str, ...]:
    """What this process tried since `go_offline`, one line each: the event and its address."""
    return tuple(_attempts)


def _watch() -> None:
    global _watching
    if not _watching:  # a hook stays for the life of the process
        _watching = True
        sys.addaudithook(_count)


def _count(event: str, arguments: tuple[object, ...]) -> None:
    position = _ADDRESS_AT.get(event)
    if position is not None and arguments[position] is not None:  # None: an answer on an open connection
        _attempts.append(f"{event} {arguments[position]!r}")
