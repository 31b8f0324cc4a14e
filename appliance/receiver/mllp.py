"""HL7 v2 over MLLP: one framed message after the other, each sealed before it is acknowledged.

A frame is VT, the message, FS CR (HL7 2.5.1 appendix C). Of a message only MSH is looked at, to answer it:
AA when it is on disk, AE when it could not be kept (send it again), AR when it never will be.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from appliance.receiver.door import Refused
from appliance.receiver.settings import Limits, Peer
from appliance.receiver.spool import Incoming, Spool, TooLarge, group_of
from appliance.receiver.tally import AGAIN, MESSAGE, REFUSED, Tally

_BEGIN, _END, _CR = 0x0B, 0x1C, 0x0D
_PIECE: Final = 16 << 10
_HEAD_BYTES: Final = 4096  # MSH must end within
_BETWEEN_BYTES: Final = 64  # line ends between two frames
_PLAIN: Final = re.compile(r"[A-Za-z0-9 ._-]{0,180}")  # of a name that is sent back
_ID: Final = re.compile(r"[!-{}~]{1,199}")
_VERSION: Final = re.compile(r"2(\.[0-9]){1,2}")
_OURS: Final = "GRADAUDIT"
_KIND: Final = "ORU"  # the only messages that carry reports


@dataclass(frozen=True, slots=True)
class Header:
    """Of MSH, what an answer needs: control characters and delimiters are in none of it.

    Attributes:
        sender: application and facility, MSH-3 and MSH-4.
        kind: MSH-9.1.
        control_id: MSH-10.
        processing, version: MSH-11.1, MSH-12.
    """

    sender: tuple[str, str] = ("", "")
    kind: str = ""
    control_id: str = ""
    processing: str = "P"
    version: str = "2.5.1"


def header_of(head: bytes) -> Header:
    """What the first segment says; empty where it is none."""
    text = head.split(b"\r", 1)[0].decode("latin-1")
    if not text.startswith("MSH") or len(text) < 5 or text[3].isalnum() or not text[3].isprintable():
        return Header()
    fields = [text[:3], text[3], *text.split(text[3])[1:]] + [""] * 12  # MSH-1 is the separator itself
    component = text[4]
    first = [field.split(component, 1)[0] for field in fields]
    letters = set(text[3:8].partition(text[3] * 2)[0]) | set("|^~\\&")

    def safe(value: str, pattern: re.Pattern[str], otherwise: str = "") -> str:
        return value if pattern.fullmatch(value) and not letters & set(value) else otherwise

    return Header(
        (safe(first[3], _PLAIN), safe(first[4], _PLAIN)),
        safe(first[9], re.compile(r"[A-Z0-9]{3}")),
        safe(fields[10], _ID),
        safe(first[11], re.compile("[DPT]"), "P"),
        safe(first[12], _VERSION, "2.5.1"),
    )


def answer(code: str, to: Header) -> bytes:
    """An acknowledgement, framed."""
    at = datetime.now(UTC).strftime("%Y%m%d%H%M%S+0000")
    sender, facility = to.sender
    head = f"MSH|^~\\&|{_OURS}||{sender}|{facility}|{at}||ACK|{to.control_id}-A|{to.processing}|{to.version}"
    return b"\x0b" + f"{head}\rMSA|{code}|{to.control_id}\r".encode("ascii") + b"\x1c\x0d"


class Messages:
    """What serves connections of an interface engine.

    Args:
        spool: where it goes.
        limits: of each.
        tally: counts.
        arrived: told the group of everything that was kept.
    """

    def __init__(self, spool: Spool, limits: Limits, tally: Tally, arrived: Callable[[str], None]) -> None:
        self._spool, self._limits, self._tally, self._arrived = spool, limits, tally, arrived

    def serve(self, talking: ssl.SSLSocket, peer: Peer) -> None:
        """One connection, to its end.

        Raises:
            Refused: it was ended from here.
            TimeoutError: it stopped in the middle of a message.
        """
        if not peer.hl7:
            raise Refused("hl7-not-for-peer")
        rest = bytearray()
        while (begun := self._frame_begins(talking, rest)) is not None:
            self._message(talking, peer, begun)
            rest = begun

    def _frame_begins(self, talking: ssl.SSLSocket, rest: bytearray) -> bytearray | None:
        """What follows the next VT; None where the other side has ended."""
        end = time.monotonic() + self._limits.idle_s
        while True:
            rest = rest.lstrip(b"\r\n")
            if rest:
                if rest[0] != _BEGIN:
                    raise Refused("frame")
                return rest[1:]
            try:
                read = self._more(talking, end, _BETWEEN_BYTES)
            except TimeoutError:  # nothing was begun: it has nothing to say
                return None
            if not read:
                return None
            rest = bytearray(read)

    def _message(self, talking: ssl.SSLSocket, peer: Peer, rest: bytearray) -> None:
        """One message; `rest` is what was read of it, and afterwards what was read beyond it."""
        arriving = _Message(self._spool, self._limits.message_kib << 10)
        end = time.monotonic() + self._limits.object_s
        try:
            while (place := rest.find(_END)) < 0 or place + 1 == len(rest):
                keep = 0 if place < 0 else 1
                arriving.write(bytes(rest[: len(rest) - keep]))
                del rest[: len(rest) - keep]
                silent = time.monotonic() + self._limits.idle_s
                read = self._more(talking, min(end, silent), _PIECE)
                if not read:
                    raise Refused("broken-off")
                rest += read
            if rest[place + 1] != _CR:
                raise Refused("frame")
            arriving.write(bytes(rest[:place]))
            del rest[: place + 2]
            talking.settimeout(self._limits.idle_s)
            talking.sendall(self._answered(arriving, peer))
        except TooLarge:
            raise Refused("object-size") from None
        finally:
            arriving.discard()

    def _answered(self, arriving: _Message, peer: Peer) -> bytes:
        """Keep what is complete; the answer."""
        header = header_of(bytes(arriving.head))
        if not header.control_id or header.kind != _KIND:
            self._tally.add(REFUSED, peer.name, "message-kind" if header.control_id else "message-header")
            return answer("AR", header)
        group = group_of(self._spool.address, "message", peer.name, header.control_id)
        try:
            kept = arriving.keep(group)
        except OSError:
            self._arrived(group)  # it may have its name already, and then somebody has to hand it over
            self._tally.add(REFUSED, peer.name, "no-room")
            return answer("AE", header)
        self._tally.received(MESSAGE if kept else AGAIN, peer.name)
        self._arrived(group)
        return answer("AA", header)

    def _more(self, talking: ssl.SSLSocket, end: float, most: int) -> bytes:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        talking.settimeout(left)
        return talking.recv(most)


class _Message:
    """One message while it comes: sealed as it comes, its first bytes kept for the answer."""

    def __init__(self, spool: Spool, limit: int) -> None:
        self.head = bytearray()
        self._spool, self._left = spool, limit
        self._incoming: Incoming | None = None
        self._failed = not spool.has_room()
        if not self._failed:
            try:
                self._incoming = spool.begin(limit)
            except OSError:
                self._failed = True

    def write(self, piece: bytes) -> None:
        """Raises TooLarge."""
        self._left -= len(piece)
        if self._left < 0:
            raise TooLarge
        self.head += piece[: _HEAD_BYTES - len(self.head)]
        if self._incoming is not None and piece:
            try:
                self._incoming.write(piece)
            except OSError:
                self.discard()
                self._incoming, self._failed = None, True

    def keep(self, group: str) -> bool:
        """Raises OSError where it cannot be kept."""
        if self._incoming is None or self._failed:
            raise OSError("no room")
        return self._incoming.keep(group)

    def discard(self) -> None:
        """It was answered, or never will be."""
        if self._incoming is not None:
            self._incoming.discard()
