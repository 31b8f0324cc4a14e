"""HL7 over MLLP: answered when it is on disk, and only what is a message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.receiver import tally
from appliance.receiver.mllp import Header, answer, header_of
from tests.appliance.receiver.case import Running, Site
from tests.appliance.receiver.wire import connected

MESSAGE = (
    b"MSH|^~\\&|RIS|WARD|X|Y|20250101||ORU^R01|CTRL1|P|2.5.1\r"
    b"PID|1||CANARY1^^^H||CANARY^PATIENT\rOBR|1||A1\rOBX|1|TX|||No change.||||||F\r"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("hl7"), idle_s=10, message_kib=64, complete_s=3600)


@pytest.fixture(scope="module")
def running(site: Site) -> Iterator[Running]:
    with Running(site) as receiver:
        yield receiver
        said = receiver.end()
        assert "CANARY" not in said and "unexpected fault" not in said
        counts = tally.read(site.root / "tally.json")
        assert {key[2] for key in counts if key[0] == tally.REFUSED} == {
            *("frame", "object-size", "message-kind", "message-header", "broken-off")
        }


def exchanged(site: Site, port: int, *messages: bytes) -> bytes:
    """Send framed messages one by one; the last answer without its frame, or "" where it ended instead."""
    said = b""
    with connected(site, port) as talking:
        for message in messages:
            try:
                talking.sendall(b"\x0b" + message + b"\x1c\x0d")
                said = b""
                while not said.endswith(b"\x1c\x0d") and (piece := talking.recv(4096)):
                    said += piece
            except OSError:
                return b""
    return said[1:-2]


def numbered(number: int) -> bytes:
    """A message of its own."""
    return MESSAGE.replace(b"CTRL1", f"N{number}".encode())


def test_a_message_is_kept_and_answered(site: Site, running: Running) -> None:
    """AA with its number, to whom it came from; twice, and it lies there once; every byte as it was sent."""
    said = exchanged(site, running.hl7, MESSAGE, MESSAGE)
    header, acknowledged, _ = said.split(b"\r")
    assert header.startswith(b"MSH|^~\\&|GRADAUDIT||RIS|WARD|") and acknowledged == b"MSA|AA|CTRL1"
    assert site.contents().count(MESSAGE) == 1


def test_many_on_one_connection(site: Site, running: Running) -> None:
    """One after the other, each answered."""
    assert exchanged(site, running.hl7, *map(numbered, range(20))).endswith(b"MSA|AA|N19\r")
    assert set(map(numbered, range(20))) <= set(site.contents())


@pytest.mark.parametrize("cut", [1, 2, 60, len(MESSAGE), len(MESSAGE) + 1, len(MESSAGE) + 2])
def test_it_may_come_in_pieces(site: Site, running: Running, cut: int) -> None:
    """A frame that is cut anywhere is the same frame."""
    message = MESSAGE.replace(b"CTRL1", f"C{cut}".encode())
    framed = b"\x0b" + message + b"\x1c\x0d"
    with connected(site, running.hl7) as talking:
        talking.sendall(framed[:cut])
        talking.sendall(framed[cut:])
        assert f"MSA|AA|C{cut}\r".encode() in talking.recv(4096)
    assert message in site.contents()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (MESSAGE.replace(b"ORU^R01", b"ADT^A01"), b"MSA|AR|CTRL1"),
        (MESSAGE.replace(b"CTRL1", b""), b"MSA|AR|"),
        (b"no message", b"MSA|AR|"),
        (b"", b"MSA|AR|"),
        (b"MSH|^~\\&|" + b"\x1b[2J|" * 8, b"MSA|AR|"),
    ],
)
def test_what_is_no_report_is_refused_for_good(
    site: Site, running: Running, message: bytes, code: bytes
) -> None:
    """AR, and nothing is kept."""
    before = len(site.files())
    assert exchanged(site, running.hl7, message).split(b"\r")[1] == code
    assert len(site.files()) == before


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x0bMSH|^~\\&\x1cX",
        b"\x0b" + MESSAGE * 1000 + b"\x1c\x0d",
        b"\x0b" + MESSAGE,
    ],
    ids=["another protocol", "an end that is none", "too long", "no end"],
)
def test_what_is_no_frame_ends_it(site: Site, running: Running, sent: bytes) -> None:
    """No answer, nothing kept, and little memory."""
    before, resident = len(site.files()), running.settle()
    with connected(site, running.hl7) as talking:
        try:
            talking.sendall(sent)
            talking.unwrap()
        except OSError:
            pass
    assert running.resident("VmHWM") - resident < 16 << 20
    assert len(site.files()) == before


def test_what_is_sent_back_holds_no_control(tmp_path: Path) -> None:
    """Of a header only plain words are repeated, whatever its own letters are."""
    assert header_of(b"MSH#*~\\&#A\x1b#B#####ORU*R01#C|1#P#2.3") == Header(("", "B"), "ORU", "", "P", "2.3")
    assert header_of(b"PID|1") == Header() == header_of(b"MSH") == header_of(b"MSHa^~\\&aAaB")
    told = answer("AA", header_of(MESSAGE))
    assert told.startswith(b"\x0bMSH|") and told.endswith(b"\rMSA|AA|CTRL1\r\x1c\x0d")
