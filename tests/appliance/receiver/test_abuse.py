"""Who comes without being asked, and who lies: refused, with a word, and without a price in memory."""

from __future__ import annotations

import socket
import ssl
import struct
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from appliance.receiver import tally
from appliance.receiver.door import Refused
from appliance.receiver.settings import Limits
from tests.appliance.receiver import wire
from tests.appliance.receiver.case import Authority, Running, Site
from tests.appliance.receiver.wire import connected

MOST_GROWTH = 16 << 20
LIE = 600 << 20  # what pynetdicom would have buffered
OBJECT_MIB = 8


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(
        tmp_path_factory.mktemp("abuse"), handshake_s=3, pdu_s=3, idle_s=10, object_mib=OBJECT_MIB,
        connections=16, connections_per_peer=12, complete_s=3600,
    )  # fmt: skip


@pytest.fixture(scope="module")
def running(site: Site) -> Iterator[Running]:
    """One receiver for all of them: at the end it must be as it was."""
    with Running(site) as receiver:
        assert stored(site, receiver, "2.25.1") == 0  # everything is imported
        yield receiver
        works_as_before(site, receiver)


def works_as_before(site: Site, receiver: Running) -> None:
    """After all that, an instance is received; and no line says a word of what was sent."""
    lets_in(site, receiver)
    said = receiver.end() + (site.root / "tally.json").read_text()
    told = ("passwd", "Traceback", "fault", "Warning")
    assert [] == [line for line in said.splitlines() if any(word in line for word in told)]


def lets_in(site: Site, receiver: Running) -> None:
    """When those who came before have left, whoever may send is let in and heard."""
    for _ in range(100):
        with suppress(OSError):
            assert stored(site, receiver, "2.25.1") == 0
            return
        with pytest.raises(TimeoutError):
            waits_for_nobody(0.1)
    raise AssertionError("nobody was let in")


def refused(site: Site) -> Counter[str]:
    """What was refused so far, by reason, of whomever."""
    reasons: Counter[str] = Counter()
    for (what, _, reason), number in tally.read(site.root / "tally.json").items():
        reasons[reason] += number if what == tally.REFUSED else 0
    return reasons


def grew(site: Site, receiver: Running, reason: str, abuse: Callable[[], None]) -> None:
    """The abuse is counted under its word, and costs next to nothing."""
    before, resident = refused(site)[reason], receiver.settle()
    abuse()
    for _ in range(600):
        if refused(site)[reason] > before:
            break
        with pytest.raises(TimeoutError):  # a second, by waiting for somebody who never comes
            waits_for_nobody(0.1)
    else:
        raise AssertionError(f"never counted as {reason}: {refused(site)}")
    assert receiver.resident("VmHWM") - resident < MOST_GROWTH


def waits_for_nobody(seconds: float) -> None:
    """A pause."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        nobody.settimeout(seconds)
        nobody.accept()


def stored(site: Site, receiver: Running, uid: str, data: bytes = b"\x10\x00\x10\x00PN\x02\x00A^") -> int:
    """The status of one C-STORE that is right in everything."""
    with connected(site, receiver.dicom) as talking:
        talking.sendall(wire.request())
        assert wire.answered(talking)[0] == wire.ACCEPTED
        talking.sendall(wire.pdv(wire.command(uid=uid), 3) + wire.pdv(data, 2))
        kind, body = wire.answered(talking)
        assert kind == wire.DATA
        talking.sendall(wire.pdu(5, bytes(4)))
        assert wire.answered(talking)[0] == 6
        return wire.status(body)


def agreed(talking: ssl.SSLSocket, *pdus: bytes) -> tuple[int, bytes]:
    """The answer to these PDUs on an association."""
    talking.sendall(wire.request())
    assert wire.answered(talking)[0] == wire.ACCEPTED
    talking.sendall(b"".join(pdus))
    return wire.answered(talking)


def fails_handshake(site: Site, port: int, context: ssl.SSLContext) -> None:
    """TLS does not stand, or ends at the first word."""
    with (
        socket.create_connection(("127.0.0.1", port), 30) as plain,
        pytest.raises(OSError),
        context.wrap_socket(plain) as talking,
    ):
        talking.sendall(wire.request())
        if not talking.recv(1):
            raise ConnectionResetError


def test_no_certificate(site: Site, running: Running) -> None:
    """Nobody without a certificate is listened to."""
    grew(site, running, "no-certificate", lambda: fails_handshake(site, running.dicom, site.context(None)))


def test_a_certificate_of_somebody_elses_authority(site: Site, running: Running, tmp_path: Path) -> None:
    """The same name, signed by another authority."""
    forged = Authority(tmp_path, "other").issue("pacs")
    grew(
        site, running, "certificate-authority",
        lambda: fails_handshake(site, running.dicom, site.context(forged)),
    )  # fmt: skip


def test_a_certificate_that_nobody_named(site: Site, running: Running) -> None:
    """Of our authority, but no peer's."""
    grew(
        site, running, "certificate-unknown",
        lambda: fails_handshake(site, running.dicom, site.context(site.other)),
    )  # fmt: skip


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_tls(site: Site, running: Running, version: ssl.TLSVersion) -> None:
    """TLS 1.0 and 1.1 are refused by version, not by their ciphers."""

    def old() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context = site.context(site.peer, minimum_version=version, maximum_version=version)
        context.set_ciphers("ALL:@SECLEVEL=0")
        fails_handshake(site, running.dicom, context)

    grew(site, running, "tls-version", old)


def test_no_tls_at_all(site: Site, running: Running) -> None:
    """A request in the clear is no handshake."""

    def plain() -> None:
        with (
            suppress(ConnectionResetError),
            socket.create_connection(("127.0.0.1", running.dicom), 30) as talking,
        ):
            talking.sendall(wire.request())
            while talking.recv(100):
                pass

    grew(site, running, "tls", plain)


@pytest.mark.parametrize(
    ("request_", "why", "word"),
    [
        (wire.request(calling="OTHER"), 3, "calling-ae"),
        (wire.request(calling=""), 3, "calling-ae"),
        (wire.request(called="ELSEWHERE"), 7, "called-ae"),
    ],
)
def test_another_ae_title(site: Site, running: Running, request_: bytes, why: int, word: str) -> None:
    """A certificate is one AE title: another one is rejected for good, with the standard's reason."""

    def other() -> None:
        with connected(site, running.dicom) as talking:
            talking.sendall(request_)
            assert wire.answered(talking) == (wire.REJECTED, bytes([0, 1, 1, why]))

    grew(site, running, word, other)


def flood_of(talking: ssl.SSLSocket, total: int) -> int:
    """Send so much, or until nobody takes it any more; how much was taken."""
    piece, sent = bytes(1 << 16), 0
    try:
        while sent < total:
            talking.sendall(piece)
            sent += len(piece)
    except OSError:
        pass
    return sent


def test_a_request_that_says_600_mib(site: Site, running: Running) -> None:
    """Its length is judged before anything of it is read."""

    def lie() -> None:
        with connected(site, running.dicom) as talking:
            talking.sendall(wire.pdu(1, b"", LIE))
            assert flood_of(talking, LIE) < 64 << 20  # what lies in buffers of the kernel

    grew(site, running, "pdu-length", lie)


def test_data_that_says_600_mib(site: Site, running: Running) -> None:
    """The same after an association stands."""

    def lie() -> None:
        with connected(site, running.dicom) as talking:
            talking.sendall(wire.request())
            assert wire.answered(talking)[0] == wire.ACCEPTED
            talking.sendall(wire.pdu(wire.DATA, b"", LIE))
            assert flood_of(talking, LIE) < 64 << 20

    grew(site, running, "pdu-length", lie)


def test_an_object_larger_than_it_may_be(site: Site, running: Running) -> None:
    """It is read until the limit, sealed on the way, and nothing of it is kept."""
    before = len(site.files())

    def huge() -> None:
        piece = wire.pdv(bytes(120 << 10), 0)
        with connected(site, running.dicom) as talking:
            talking.sendall(wire.request())
            assert wire.answered(talking)[0] == wire.ACCEPTED
            talking.sendall(wire.pdv(wire.command(uid="2.25.2"), 3))
            try:
                for _ in range((OBJECT_MIB << 20) // (120 << 10) + 20):
                    talking.sendall(piece)
            except OSError:
                return
            assert wire.answered(talking)[0] in (0, wire.ABORTED)

    grew(site, running, "object-size", huge)
    assert len(site.files()) == before
    assert list((site.root / "incoming").iterdir()) == []


def test_many_large_objects_at_once_lie_in_no_memory(site: Site, running: Running) -> None:
    """Eight at a time, each as large as it may be: sealed while they come."""
    resident = running.settle()
    with_data = b"\x08\x00\x18\x00UI\x04\x002.25"
    links = []
    piece = wire.pdv(bytes(126 << 10), 0)
    try:
        for number in range(8):
            entered = connected(site, running.dicom)
            talking = entered.__enter__()
            links.append((entered, talking))
            talking.sendall(wire.request())
            assert wire.answered(talking)[0] == wire.ACCEPTED
            talking.sendall(wire.pdv(wire.command(uid=f"2.25.10{number}"), 3) + wire.pdv(with_data, 0))
        for _ in range((OBJECT_MIB << 20) // (126 << 10) - 1):
            for _, talking in links:
                talking.sendall(piece)
        for number, (_, talking) in enumerate(links):
            talking.sendall(wire.pdv(bytes([number]), 2))
        assert [wire.status(wire.answered(talking)[1]) for _, talking in links] == [0] * 8
    finally:
        for entered, _ in links:
            entered.__exit__(None, None, None)
    assert running.resident("VmHWM") - resident < MOST_GROWTH


@pytest.mark.parametrize(
    ("pdus", "word"),
    [
        ((wire.pdu(9, b"what is this"),), "pdu-length"),
        ((wire.pdv(b"", 3),), "malformed"),
        ((wire.pdv(b"\xff" * 200, 3),), "malformed"),
        ((wire.pdv(b"data nobody asked for", 2),), "malformed"),
        (tuple(wire.pdv(bytes(8000), 1) for _ in range(3)), "malformed"),  # a command without an end
        ((wire.pdv(wire.command(field=wire.FIND), 3),), "service"),
        ((wire.pdv(wire.command(field=wire.FIND, has_data=False), 3),), "service"),
        ((wire.pdv(wire.command(has_data=False), 3),), "service"),
        ((wire.pdv(wire.command(sop_class="1.2.840.10008.5.1.4.1.1.4"), 3),), "context"),
        ((wire.pdv(wire.command(), 3, context=7),), "context"),
        ((wire.pdv(wire.command(uid="2.25.3"), 3), wire.pdv(b"\x08\x00", 2, context=99)), "context"),
    ],
)
def test_what_is_no_c_store(site: Site, running: Running, pdus: tuple[bytes, ...], word: str) -> None:
    """Anything else ends the association."""

    def wrong() -> None:
        with connected(site, running.dicom) as talking:
            kind, _ = agreed(talking, *pdus)
            while kind == wire.DATA:  # what was asked before is answered
                kind, _ = wire.answered(talking)
            assert kind in (0, wire.ABORTED)

    grew(site, running, word, wrong)


def test_one_operation_at_a_time() -> None:
    """A peer that does not wait for answers cannot fill a queue: with two unanswered, a third ends it."""
    from appliance.receiver.association import _Provider

    provider = _Provider(None, None, Limits())  # type: ignore[arg-type]
    for number in range(2):
        provider.msg_queue.put((1, number))
    with pytest.raises(Refused, match="unasked"):
        provider._take(1, b"\x03")


@pytest.mark.parametrize("uid", ["../../etc/passwd", "2.25.1/../1", "x" * 64, "2.25.\x1b[2J", "9" * 65])
def test_uids_that_are_none(site: Site, running: Running, uid: str) -> None:
    """No such word becomes a name of anything: status 0117, or the association ends."""
    before = len(site.files())
    with connected(site, running.dicom) as talking:
        kind, body = agreed(
            talking, wire.pdv(wire.command(uid=uid), 3), wire.pdv(b"\x08\x00\x18\x00UI\x00\x00", 2)
        )
        assert kind in (0, wire.ABORTED) or wire.status(body) == 0x0117
    assert len(site.files()) == before


@pytest.mark.parametrize(
    ("abstract", "syntax", "result"),
    [
        ("1.2.3.4.5", "1.2.840.10008.1.2.1", 3),
        (wire.CT, "1.2.3.4", 4),
        (wire.CT, "1.2.840.10008.1.2.1.99", 4),
    ],
)
def test_classes_and_syntaxes_that_nobody_reads(
    site: Site, running: Running, abstract: str, syntax: str, result: int
) -> None:
    """The context is refused: abstract syntax (3), transfer syntax (4); deflated among them."""
    with connected(site, running.dicom) as talking:
        talking.sendall(wire.request(abstract=abstract, syntax=syntax))
        kind, body = wire.answered(talking)
        at = body.index(b"\x21\x00")
        assert (kind, body[at + 6]) == (wire.ACCEPTED, result)


def test_a_guest_who_says_nothing(site: Site, running: Running) -> None:
    """Before TLS, in the request, and inside a PDU: each has its time."""

    def silent() -> None:
        with socket.create_connection(("127.0.0.1", running.dicom), 30) as plain:
            assert plain.recv(1) == b""
        with connected(site, running.dicom) as talking:
            talking.sendall(wire.request()[:40])
            assert wire.answered(talking)[0] in (0, wire.ABORTED)
        with connected(site, running.dicom) as talking:
            assert agreed(talking, wire.pdv(bytes(1000), 0)[:300])[0] in (0, wire.ABORTED)

    grew(site, running, "too-slow", silent)


def test_more_guests_than_there_is_room_for(site: Site, running: Running) -> None:
    """Three hundred at the door: a few are heard, the rest are sent away."""

    def flood() -> None:
        guests = [socket.create_connection(("127.0.0.1", running.dicom), 30) for _ in range(300)]
        for guest in guests:
            guest.close()

    grew(site, running, "too-many", flood)
    lets_in(site, running)


def test_the_lie_costs_600_mib_without_the_guard() -> None:
    """What is guarded against is there: pynetdicom alone reads what a PDU says it has."""
    from pynetdicom.dul import DULServiceProvider
    from pynetdicom.transport import AssociationSocket

    wanted: list[int] = []

    class Read(AssociationSocket):  # type: ignore[misc]
        def __init__(self) -> None:
            pass

        def recv(self, nr_bytes: int) -> bytearray:
            wanted.append(nr_bytes)
            if len(wanted) == 1:
                return bytearray(struct.pack(">BBI", 1, 0, LIE))
            raise OSError

    class Provider(DULServiceProvider):  # type: ignore[misc]
        def __init__(self) -> None:
            import queue

            self.socket, self.event_queue = Read(), queue.Queue()

    Provider()._read_pdu_data()
    assert wanted == [6, LIE]
