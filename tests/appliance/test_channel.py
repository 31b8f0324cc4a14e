"""Frames between appliance and worker."""

import os
import struct
import threading

import pytest

from appliance import channel
from appliance.channel import Channel
from appliance.errors import WorkerFailed


@pytest.fixture
def pipe() -> tuple[Channel, int]:
    read_fd, write_fd = os.pipe()
    return Channel(read_fd, write_fd), write_fd


def test_a_frame_arrives_as_it_was_sent(pipe: tuple[Channel, int]) -> None:
    """Message and blob survive the way through a pipe byte for byte."""
    ends, _ = pipe
    ends.send({"type": "sample", "text": "Gefäß ✓"}, b"\x00\xff" * 1000)
    assert ends.receive(1.0) == ({"type": "sample", "text": "Gefäß ✓"}, b"\x00\xff" * 1000)


def test_a_closed_pipe_is_the_end_not_an_error(pipe: tuple[Channel, int]) -> None:
    """Between frames, end of file means that the other side has finished."""
    ends, write_fd = pipe
    os.close(write_fd)
    assert ends.receive(1.0) is None


def test_death_inside_a_frame_is_an_error(pipe: tuple[Channel, int]) -> None:
    """Half a frame never counts as an answer."""
    ends, write_fd = pipe
    os.write(write_fd, struct.pack(">II", 100, 0) + b'{"type"')
    os.close(write_fd)
    with pytest.raises(WorkerFailed, match="in the middle"):
        ends.receive(1.0)


def test_silence_is_an_error_after_the_time_limit(pipe: tuple[Channel, int]) -> None:
    """A child that hangs does not hang its parent."""
    with pytest.raises(WorkerFailed, match="in time"):
        pipe[0].receive(0.05)


def test_an_oversized_frame_is_refused_before_it_is_read(pipe: tuple[Channel, int]) -> None:
    """Lengths are checked before memory is taken."""
    ends, write_fd = pipe
    os.write(write_fd, struct.pack(">II", 2, channel.MAX_BLOB + 1) + b"{}")
    with pytest.raises(WorkerFailed, match="more than is allowed"):
        ends.receive(1.0)


@pytest.mark.parametrize("text", [b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_message_is_an_error(pipe: tuple[Channel, int], text: bytes) -> None:
    """A captured child may send anything: it fails, and its parent goes on."""
    ends, write_fd = pipe
    sender = threading.Thread(target=os.write, args=(write_fd, struct.pack(">II", len(text), 0) + text))
    sender.start()
    with pytest.raises(WorkerFailed, match="not a message"):
        ends.receive(5.0)
    sender.join()


def test_a_number_that_is_not_finite_cannot_be_sent(pipe: tuple[Channel, int]) -> None:
    """NaN has no form in JSON and must not cross as a word."""
    with pytest.raises(ValueError, match="Out of range"):
        pipe[0].send({"p": float("nan")})


def test_more_than_a_frame_may_hold_is_not_sent(
    pipe: tuple[Channel, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender learns it before half of it is on its way, and may say something shorter."""
    monkeypatch.setattr(channel, "MAX_MESSAGE", 40)
    ends, _ = pipe
    with pytest.raises(OverflowError):
        ends.send({"type": "sample", "text": "a" * 40})
    ends.send({"type": "sample"})
    assert ends.receive(1.0) == ({"type": "sample"}, b"")
