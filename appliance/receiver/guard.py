"""Every PDU is measured before it is read: its type, its length, and how long it may take (PS3.8 §9.3).

pynetdicom 3.0.4 reads as many bytes as a PDU says it has, before anybody looked who sent it. So the request
for an association is read and judged here, in full and bounded, and what follows reaches pynetdicom through
a socket that knows the limits.
"""

from __future__ import annotations

import select
import ssl
import time
from typing import TYPE_CHECKING, Final

from pynetdicom.transport import AssociationSocket

from appliance.receiver.door import Refused
from appliance.receiver.settings import Limits, Peer

if TYPE_CHECKING:
    from pynetdicom.association import Association

MAXIMUM_PDU: Final = 128 << 10  # what we announce, and never read more than
_HEADER: Final = 6
_REQUEST, _DATA = 1, 4
_REQUEST_BYTES: Final = (68, 64 << 10)  # the fixed part of an A-ASSOCIATE-RQ; a hundred contexts take 20 KiB
_OTHER_BYTES: Final = 4  # of a release or an abort
_ABORT: Final = bytes([7, 0, 0, 0, 0, 4, 0, 0, 2, 0])


def association_request(talking: ssl.SSLSocket, peer: Peer, ae_title: str, limits: Limits) -> bytes:
    """The whole first PDU: a request by this peer under its own AE title, for ours.

    Raises:
        Refused: anything else; the peer was told where the standard has a word for it.
        TimeoutError: it did not come in time.
    """
    end = time.monotonic() + limits.handshake_s
    header = read_exactly(talking, _HEADER, end)
    length = int.from_bytes(header[2:], "big")
    if header[0] != _REQUEST:
        talking.sendall(_ABORT)
        raise Refused("not-an-association")
    if not _REQUEST_BYTES[0] <= length <= _REQUEST_BYTES[1]:
        talking.sendall(_ABORT)
        raise Refused("pdu-length")
    body = read_exactly(talking, length, end)
    called, calling = (body[at : at + 16].decode("ascii", "replace").strip(" \0") for at in (4, 20))
    if not peer.ae_title or calling != peer.ae_title:
        raise _rejected(talking, 3, "calling-ae")
    if called != ae_title:
        raise _rejected(talking, 7, "called-ae")
    return header + body


def read_exactly(talking: ssl.SSLSocket, length: int, end: float) -> bytes:
    """So many bytes, until a moment of the monotonic clock.

    Raises:
        TimeoutError: they did not come in time.
        Refused: the connection ended before.
    """
    read = bytearray(length)
    view, place = memoryview(read), 0
    while place < length:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        talking.settimeout(left)
        got = talking.recv_into(view[place:])
        if not got:
            raise Refused("broken-off")
        place += got
    return bytes(read)


class GuardedSocket(AssociationSocket):  # type: ignore[misc]
    """What pynetdicom reads from: first the request that was judged, then measured PDUs.

    Attributes:
        refused: why it was ended from here, else empty.
    """

    socket: ssl.SSLSocket | None
    _is_connected: bool

    def __init__(self, assoc: Association, talking: ssl.SSLSocket, request: bytes, limits: Limits) -> None:
        super().__init__(assoc, client_socket=talking)
        self._first = memoryview(request)
        self._limits = limits
        self._inside = False
        self._end = 0.0
        self.refused = ""

    @property
    def ready(self) -> bool:
        """Whether something can be read."""
        talking = self.socket
        if talking is None or not self._is_connected:
            return False
        if self._first or talking.pending():
            return True
        try:
            poll = select.poll()
            poll.register(talking, select.POLLIN)
            return bool(poll.poll(0))
        except (OSError, ValueError):
            self._is_connected = False
            self.event_queue.put("Evt17")
            return False

    def recv(self, nr_bytes: int) -> bytearray:
        """A header, or the rest of the PDU that it began.

        Raises:
            OSError: the PDU may not be read, or does not come; the association is over.
        """
        try:
            return bytearray(self._measured(nr_bytes))
        except OSError:
            self._is_connected = False  # else pynetdicom would ask again, and hear of the same end twice
            raise

    def _measured(self, nr_bytes: int) -> bytes:
        if self._inside:
            self._inside = False
            return self._read(nr_bytes)
        self._end = time.monotonic() + self._limits.pdu_s
        header = self._read(_HEADER)
        length = int.from_bytes(header[2:], "big")
        most = {_REQUEST: _REQUEST_BYTES[1], _DATA: MAXIMUM_PDU}.get(header[0], _OTHER_BYTES)
        if length > most:
            self.refused = "pdu-length"
            raise OSError("a PDU longer than it may be")
        self._inside = header[0] <= 7  # else pynetdicom reads no further
        return header

    def _read(self, length: int) -> bytes:
        if self._first:
            piece, self._first = bytes(self._first[:length]), self._first[length:]
            return piece
        assert self.socket is not None
        try:
            return read_exactly(self.socket, length, self._end)
        except Refused:
            raise OSError("the connection ended") from None
        except TimeoutError:
            self.refused = "too-slow"
            raise
        finally:
            if self.socket is not None:
                self.socket.settimeout(self._limits.idle_s)  # of what is sent


def _rejected(talking: ssl.SSLSocket, why: int, reason: str) -> Refused:
    """A-ASSOCIATE-RJ: for good, by the service user."""
    talking.sendall(bytes([3, 0, 0, 0, 0, 4, 0, 1, 1, why]))
    return Refused(reason)
