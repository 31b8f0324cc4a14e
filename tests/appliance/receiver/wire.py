"""PDUs and messages written by hand, right and wrong (PS3.8 §9.3, PS3.7 annex E)."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from tests.appliance.receiver.case import PATIENCE_S, Identity, Site
from tests.appliance.receiver.sender import CT, EXPLICIT

STORE, ECHO, FIND = 0x0001, 0x0030, 0x0020
ACCEPTED, REJECTED, DATA, ABORTED = 2, 3, 4, 7


@contextmanager
def connected(
    site: Site, port: int, who: Identity | None = None, **changes: object
) -> Iterator[ssl.SSLSocket]:
    """TLS to a receiver, as its peer or as somebody else."""
    context = site.context(who or site.peer, **changes)
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain) as talking:
            yield talking


def item(kind: int, body: bytes) -> bytes:
    """An item or sub-item of a request."""
    return struct.pack(">BBH", kind, 0, len(body)) + body


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    """A PDU; `length` is what it says of itself where that is a lie."""
    return struct.pack(">BBI", kind, 0, len(body) if length is None else length) + body


def request(
    calling: str = "PACS", called: str = "GRADAUDIT", abstract: str = CT, syntax: str = EXPLICIT
) -> bytes:
    """A-ASSOCIATE-RQ with one presentation context, number 1."""
    titles = called.encode().ljust(16) + calling.encode().ljust(16)
    context = bytes([1, 0, 0, 0]) + item(0x30, abstract.encode()) + item(0x40, syntax.encode())
    user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"2.25.77")
    body = bytes([0, 1, 0, 0]) + titles + bytes(32)
    return pdu(1, body + item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, context) + item(0x50, user))


def pdv(data: bytes, header: int, context: int = 1) -> bytes:
    """P-DATA-TF with one value."""
    return pdu(DATA, struct.pack(">IBB", len(data) + 2, context, header) + data)


def element(number: int, value: bytes) -> bytes:
    """Of a command set: group 0000, implicit VR."""
    return struct.pack("<HHI", 0, number, len(value)) + value


def command(
    field: int = STORE, uid: str = "2.25.1", sop_class: str = CT, has_data: bool = True, more: bytes = b""
) -> bytes:
    """A request's command set."""
    body = element(0x0002, even(sop_class)) + element(0x0100, struct.pack("<H", field))
    body += element(0x0110, struct.pack("<H", 1)) + element(0x0700, struct.pack("<H", 0))
    body += element(0x0800, struct.pack("<H", 1 if has_data else 0x0101)) + element(0x1000, even(uid)) + more
    return element(0x0000, struct.pack("<I", len(body))) + body


def even(text: str) -> bytes:
    """A UID as it is sent."""
    return text.encode() + b"\0" * (len(text) % 2)


def answered(talking: ssl.SSLSocket) -> tuple[int, bytes]:
    """The next PDU; (0, b"") where the connection ended instead."""
    try:
        header = exactly(talking, 6)
        return (header[0], exactly(talking, int.from_bytes(header[2:], "big"))) if header else (0, b"")
    except OSError:
        return 0, b""


def exactly(talking: ssl.SSLSocket, length: int) -> bytes:
    """So many bytes, or none."""
    read = b""
    while len(read) < length:
        piece = talking.recv(length - len(read))
        if not piece:
            return b""
        read += piece
    return read


def status(body: bytes) -> int:
    """Of a response: element (0000,0900)."""
    at = body.index(struct.pack("<HHI", 0, 0x0900, 2))
    return int(struct.unpack_from("<H", body, at + 8)[0])
