"""What a parser may say: codes, one short line, numbers that fit. Anything else is no reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance import codec
from appliance.errors import ApplianceError, IntegrityError, WorkerFailed
from appliance.readers import Readers, parser
from appliance.reading import PARSER_DIED, Reading, check_look, check_read
from appliance.worker import Worker
from medio.ingest import read_content
from medio.records import Outcome
from tests.medio.objects import image, part10

LOOKED = Reading(None, "ab" * 32, 700)
INSTANCE = read_content(part10(image(np.zeros((16, 20), np.uint16)))).instance
IMAGE = replace(
    LOOKED, outcome=Outcome.IMAGE, instance=INSTANCE, frame_rule="only frame", height=16, width=20
)
REFUSED = Reading(Outcome.REJECTED, reason="empty-file", message="no bytes")
LINES = "Doe^Jane\n1970-01-01"


@pytest.mark.parametrize("reading", [LOOKED, REFUSED])
def test_a_look_is_a_digest_or_a_refusal(reading: Reading) -> None:
    """What honest parsers say passes."""
    check_look(reading)


@pytest.mark.parametrize(
    "reading",
    [
        replace(LOOKED, digest=""),
        replace(LOOKED, digest="AB" * 32),
        replace(LOOKED, digest="../" * 20),
        replace(LOOKED, size=-1),
        replace(LOOKED, warnings=("Jane Doe",)),
        replace(REFUSED, outcome=Outcome.REPORT),
        replace(REFUSED, reason="Doe^Jane"),
        replace(REFUSED, reason="a" * 41),
        replace(REFUSED, message="\x1b[2J"),
        replace(REFUSED, message=LINES),
        replace(REFUSED, message="a" * 201),
    ],
)
def test_another_look_is_refused(reading: Reading) -> None:
    """No words, no lines, no sequences for a terminal, and no digest that is none."""
    with pytest.raises(IntegrityError):
        check_look(reading)


@pytest.mark.parametrize("frame_bytes", [320, 960])
def test_an_image_comes_grey_or_in_colour(frame_bytes: int) -> None:
    """One byte or three for each pixel."""
    check_read(IMAGE, LOOKED, frame_bytes)


@pytest.mark.parametrize(
    ("reading", "frame_bytes"),
    [
        (replace(IMAGE, digest="cd" * 32), 320),
        (replace(IMAGE, size=1), 320),
        (replace(IMAGE, outcome=None), 320),
        (replace(IMAGE, instance=None), 320),
        (replace(IMAGE, frame_rule="the frame of Jane Doe"), 320),
        (replace(IMAGE, height=-16, width=-20), 320),
        (replace(IMAGE, height=0, width=0), 0),
        (IMAGE, 0),
        (IMAGE, 640),
        (replace(IMAGE, skipped=("no words",)), 320),
        (replace(LOOKED, outcome=Outcome.REPORT), 320),
    ],
)
def test_another_reading_is_refused(reading: Reading, frame_bytes: int) -> None:
    """Of other bytes than were looked at, or with a frame that does not fit."""
    with pytest.raises(IntegrityError):
        check_read(reading, LOOKED, frame_bytes)


class Captured(Worker):
    """A parser that a file has taken over: it answers as `say` says."""

    say: Callable[[dict[str, Any]], tuple[dict[str, Any], bytes]]

    def _answer(self, timeout_s: float | None) -> tuple[dict[str, Any], bytes]:
        message, blob = super()._answer(timeout_s)
        return (message, blob) if message["type"] == "ready" else type(self).say(message)


def forged(message: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """A reading with words in place of a code."""
    return {"type": "reading", "reading": codec.dump(replace(REFUSED, reason=LINES))}, b""


def refusing(message: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The job ended in the parser's own words."""
    raise ApplianceError(LINES, LINES)


@pytest.mark.parametrize("say", [forged, refusing])
def test_a_captured_parser_costs_its_file_and_says_nothing(
    tmp_path: Path, say: Callable[[dict[str, Any]], tuple[dict[str, Any], bytes]]
) -> None:
    """The file is set aside under our own words, and the reading goes on."""
    (tmp_path / "note.txt").write_text("Chest radiograph. No effusion.")

    class Site(Captured):
        def __init__(self) -> None:
            super().__init__([tmp_path], "ingest")

    Site.say = staticmethod(say)
    readers = Readers(Site, lambda path, reading, frame: reading, workers=1)
    (reading,) = readers.read(iter([tmp_path / "note.txt"]))
    assert (Outcome.REJECTED, PARSER_DIED) == (reading.outcome, reading.reason)
    assert "Jane" not in reading.message


@pytest.mark.parametrize(
    ("fault", "where", "described"),
    [
        ("0AB1C2D3", "ValueError in medio/dicom.py:12", " 0AB1C2D3 (ValueError in medio/dicom.py:12)"),
        ("0AB1C2D3", "Doe^Jane", ""),
        ("0AB1C2D3", LINES, ""),
        ("Jane Doe", "ValueError in medio/dicom.py:12", ""),
    ],
)
def test_a_fault_is_an_id_and_a_place(tmp_path: Path, fault: str, where: str, described: str) -> None:
    """What looks otherwise is left out of the error."""
    with parser([tmp_path]) as worker:
        _ = worker.isolation
        message = {"type": "fault", "fault": fault, "where": where}
        worker._channel.receive = lambda timeout_s=None: (message, b"")  # type: ignore[method-assign]
        with pytest.raises(WorkerFailed) as caught:
            worker.ask({"type": "look", "path": "x"}, 5.0)
    assert f"the worker met an unexpected fault{described}" == str(caught.value)
