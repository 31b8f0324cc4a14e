"""pip out of its wheel, in an interpreter that cannot open a socket: `python quiet_pip.py PIP.WHL ARGUMENT…`.

Nothing needs one here. It is taken away so that a wrong option ends in an error and never in a connection;
pip's own libraries would also try the loopback address when they are imported.
"""

from __future__ import annotations

import socket
import sys
from typing import Any, NoReturn


class NoSocket(socket.socket):
    """A socket that cannot be made."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise OSError("an installation without a network opens no socket")


def main() -> NoReturn:
    """Run pip."""
    socket.has_ipv6 = False
    socket.socket = NoSocket  # type: ignore[misc]
    sys.path.insert(0, sys.argv.pop(1))
    from pip._internal.cli.main import main as pip

    raise SystemExit(pip(sys.argv[1:]))


if __name__ == "__main__":
    main()
