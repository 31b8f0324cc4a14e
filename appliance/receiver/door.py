"""The door: who may come in, how many at once, and for how long. Nothing is believed before TLS stands.

One thread accepts; each connection has one of its own, and there are never more of them than the file allows.
What is said here holds for DICOM and HL7 alike.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from appliance.faults import fault_of
from appliance.receiver.settings import Limits, Listen, Peer
from appliance.receiver.tally import NOBODY, REFUSED, Tally

_BACKLOG: Final = 64
_POLL_S: Final = 0.5
_WHY: Final = {  # OpenSSL's word -> ours
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no-certificate",
    "CERTIFICATE_VERIFY_FAILED": "certificate-authority",
    "UNSUPPORTED_PROTOCOL": "tls-version",
    "NO_SHARED_CIPHER": "tls-cipher",
}

Serve = Callable[[ssl.SSLSocket, Peer], None]


class Refused(Exception):
    """What came was refused; `reason` is a word of docs/receiver.md."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Guests:
    """Who is inside, by certificate or by address, under one lock."""

    turn: threading.Lock
    of: Counter[str]
    sockets: dict[int, socket.socket]


class Door:
    """One address that is listened on.

    Args:
        listen: the address.
        context: of TLS.
        peers: by fingerprint.
        limits: of everybody together; doors of one process share their `guests`.
        tally: counts what is refused.
        serve: the protocol; called in the connection's thread, and may raise `Refused`.
    """

    def __init__(
        self,
        listen: Listen,
        context: ssl.SSLContext,
        peers: dict[str, Peer],
        limits: Limits,
        tally: Tally,
        serve: Serve,
        guests: _Guests | None = None,
    ) -> None:
        self._context, self._peers, self._limits = context, peers, limits
        self._tally, self._serve = tally, serve
        self.guests = guests or _Guests(threading.Lock(), Counter(), {})
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        self._listening = socket.create_server((listen.host, listen.port), family=family, backlog=_BACKLOG)
        self._listening.settimeout(_POLL_S)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def port(self) -> int:
        """The port, also where the system chose it."""
        return int(self._listening.getsockname()[1])

    def open(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Let nobody in any more; who is inside stays."""
        self._closed.set()
        self._thread.join()
        self._listening.close()

    def inside(self) -> int:
        """How many connections there are."""
        with self.guests.turn:
            return len(self.guests.sockets)

    def send_away(self) -> None:
        """End what is still open."""
        with self.guests.turn:
            for guest in self.guests.sockets.values():
                with suppress(OSError):
                    guest.shutdown(socket.SHUT_RDWR)

    # -- how it is done --------------------------------------------------------------------------------

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                guest, address = self._listening.accept()
            except TimeoutError:
                continue
            except OSError:  # the guest left at once, or this process has no descriptor to spare
                self._closed.wait(_POLL_S / 10)
                continue
            if not self._let_in(guest, f"address {address[0]}"):
                self._tally.add(REFUSED, NOBODY, "too-many")
                guest.close()

    def _let_in(self, guest: socket.socket, address: str) -> bool:
        with self.guests.turn:
            full = len(self.guests.sockets) >= self._limits.connections
            if full or self.guests.of[address] >= self._limits.connections_per_peer:
                return False
            self.guests.sockets[id(guest)] = guest
            self.guests.of[address] += 1
        try:
            threading.Thread(target=self._meet, args=(guest, address), daemon=True).start()
        except RuntimeError:  # no further thread
            self._leave(guest, address)
            return False
        return True

    def _leave(self, guest: socket.socket, *address: str) -> None:
        with self.guests.turn:
            self.guests.sockets.pop(id(guest), None)
            for one in address:
                self._gone(one)
        guest.close()

    def _gone(self, who: str) -> None:
        self.guests.of[who] -= 1
        if self.guests.of[who] <= 0:
            del self.guests.of[who]

    def _meet(self, guest: socket.socket, address: str) -> None:
        """One connection, from its first byte to its last."""
        known, place = NOBODY, [address]
        try:
            with self._greeted(guest) as talking:
                peer = self._peer_of(talking)
                known = peer.name
                with self._counted(peer, place):
                    self._serve(talking, peer)
        except Refused as refused:
            self._tally.add(REFUSED, known, refused.reason)
        except TimeoutError:
            self._tally.add(REFUSED, known, "too-slow")
        except OSError:  # it left in the middle
            self._tally.add(REFUSED, known, "broken-off")
        except Exception as error:  # noqa: BLE001 - border to foreign bytes: a word is counted, no value leaves
            fault_of(error)
            self._tally.add(REFUSED, known, "fault")
        finally:
            self._leave(guest, *place)

    @contextmanager
    def _greeted(self, guest: socket.socket) -> Iterator[ssl.SSLSocket]:
        """TLS, within its time; the whole handshake has one deadline."""
        guest.settimeout(self._limits.handshake_s)
        guest.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            talking = self._context.wrap_socket(guest, server_side=True)
        except ssl.SSLError as error:
            raise Refused(_WHY.get(error.reason or "", "tls")) from None
        with self.guests.turn:
            self.guests.sockets[id(guest)] = talking
        try:
            yield talking
        finally:
            with suppress(OSError):
                talking.shutdown(socket.SHUT_RDWR)
            talking.close()

    def _peer_of(self, talking: ssl.SSLSocket) -> Peer:
        shown = talking.getpeercert(binary_form=True) or b""
        peer = self._peers.get(hashlib.sha256(shown).hexdigest())
        if peer is None:
            raise Refused("certificate-unknown")
        return peer

    @contextmanager
    def _counted(self, peer: Peer, place: list[str]) -> Iterator[None]:
        """From now on it counts as this peer, and no longer by its address: several may share one."""
        who = f"peer {peer.name}"
        with self.guests.turn:
            if self.guests.of[who] >= self._limits.connections_per_peer:
                raise Refused("too-many")
            self.guests.of[who] += 1
            self._gone(place.pop())
        try:
            yield
        finally:
            with self.guests.turn:
                self._gone(who)
