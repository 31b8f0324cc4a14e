"""Loaded by every Python started with this folder in PYTHONPATH: refuses and counts attempts to reach out.

`GRADAUDIT_GUARD_FILE` names the file that gets one line per attempt; without it nothing happens.
`GRADAUDIT_GUARD_SCOPE` is "outside" (this machine's own addresses and Unix sockets are allowed) or "all"
(loopback and every name look-up are refused too). Standard library only: it runs in every child process.
"""

from __future__ import annotations

import os
import sys

FILE_VARIABLE = "GRADAUDIT_GUARD_FILE"
SCOPE_VARIABLE = "GRADAUDIT_GUARD_SCOPE"

_WITH_SOCKET = {"socket.connect", "socket.sendto", "socket.sendmsg"}  # arguments: socket, address
_WITH_NAME = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}
_UNIX_FAMILY = 1


def install(path: str, scope: str) -> None:
    """Refuse and count from now on; there is no way back, as with every audit hook.

    Args:
        path: gets one line per attempt. Opened now, because a box may close later.
        scope: "outside" or "all".
    """
    counter = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        target = _target(event, arguments)
        if target is None or (scope == "outside" and _is_local(target)):
            return
        os.write(counter, f"{event} {target!r} in {sys.argv[:2]}\n".encode())
        raise PermissionError(f"the network guard refuses {event} {target!r}")

    sys.addaudithook(refuse)


def _target(event: str, arguments: tuple[object, ...]) -> object:
    """Where it goes: a host name or address, or None when this event is none of ours."""
    if event in _WITH_SOCKET:
        if getattr(arguments[0], "family", None) == _UNIX_FAMILY or arguments[1] is None:
            return None
        return arguments[1][0] if isinstance(arguments[1], tuple) else arguments[1]
    if event in _WITH_NAME:
        first = arguments[0]
        return first[0] if isinstance(first, tuple) else first or "localhost"
    return None


def _is_local(target: object) -> bool:
    name = target.decode() if isinstance(target, bytes) else str(target)
    return name in {"localhost", "::1", "0.0.0.0", "::"} or name.startswith("127.")


if FILE_VARIABLE in os.environ:
    install(os.environ[FILE_VARIABLE], os.environ.get(SCOPE_VARIABLE, "outside"))
