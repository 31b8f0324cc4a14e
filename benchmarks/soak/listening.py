"""Sockets of this machine that hear every attempt to get out which has a destination."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

from appliance.isolation.attempts import Targets


class Listeners:
    """Sockets on this machine that hear every attempt with a destination."""

    def __init__(self, folder: Path) -> None:
        with ExitStack() as stack:
            open_socket = lambda *kind: stack.enter_context(socket.socket(*kind))  # noqa: E731
            self.tcp = open_socket(socket.AF_INET, socket.SOCK_STREAM)
            self.tcp.bind(("127.0.0.1", 0))
            port = self.tcp.getsockname()[1]
            self.udp = open_socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            self.unix_stream = open_socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.unix_stream.bind(str(folder / "s"))
            self.unix_datagram = open_socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.unix_datagram.bind(str(folder / "d"))
            self.abstract = open_socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.abstract.bind(f"\0{folder}")
            for listener in (self.tcp, self.unix_stream, self.abstract):
                listener.listen(16)
            for listener in (self.tcp, self.udp, self.unix_stream, self.unix_datagram, self.abstract):
                listener.setblocking(False)
            self.targets = Targets(
                tcp_port=port,
                udp_port=self.udp.getsockname()[1],
                unix_stream=str(folder / "s"),
                unix_datagram=str(folder / "d"),
                abstract=str(folder),
                outside_file=str(folder / "secret"),
                outside_folder=str(folder),
            )
            (folder / "secret").write_text("not for the worker")
            self._stack = stack.pop_all()

    def heard(self) -> set[bytes]:
        """Everything received so far."""
        received: set[bytes] = set()
        for listener in (self.udp, self.unix_datagram):
            received |= set(iter(lambda waiting=listener: _receive(waiting), b""))
        for listener in (self.tcp, self.unix_stream, self.abstract):
            while True:
                try:
                    connection, _ = listener.accept()
                except BlockingIOError:
                    break
                with connection:
                    connection.settimeout(1)
                    received.add(connection.recv(64))
        return received

    def close(self) -> None:
        """Give all sockets back."""
        self._stack.close()


def _receive(waiting: socket.socket) -> bytes:
    try:
        return waiting.recv(64)
    except BlockingIOError:
        return b""
