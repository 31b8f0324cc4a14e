"""What a boxed worker says about one file: the only thing of it that crosses into the appliance."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from appliance.errors import IntegrityError
from medio.records import FileContent, Instance, Outcome, PixelStatistics, Report, Study

PARSER_DIED = "parser-died"
PARSER_TIMEOUT = "parser-timeout"
PATIENT_ERASED = "patient-erased"
NOT_SEALED_HERE = "not-sealed-here"
_CODE = re.compile(r"[a-z0-9-]{0,40}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FRAME_RULE = re.compile(r"(only frame|middle frame of [0-9]{1,10})?")
_MOST_WORDS = 200  # characters of a message


@dataclass(frozen=True, slots=True)
class Reading:
    """One file as read; the frame's pixels travel beside it.

    Attributes:
        outcome: None when the bytes were taken in before, so that they were not read again.
        digest: hex SHA-256 of the bytes; empty when they could not be had.
        size: how many there were.
        reason: stable code, of everything set aside and of what gave less than its kind promises.
        message: the reason in words; never a value of the file.
        instance: of every DICOM object whose header could be read.
        frame_rule: of an image, which frame stands for it.
        height, width: of that frame as kept.
    """

    outcome: Outcome | None
    digest: str = ""
    size: int = 0
    reason: str = ""
    message: str = ""
    instance: Instance | None = None
    statistics: PixelStatistics | None = None
    reports: tuple[Report, ...] = ()
    studies: tuple[Study, ...] = ()
    skipped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    frame_rule: str = ""
    height: int = 0
    width: int = 0

    @property
    def set_aside(self) -> bool:
        """Whether nothing of it is kept but the reason."""
        return self.outcome in (Outcome.REJECTED, Outcome.UNSUPPORTED)


def reading_of(found: FileContent, digest: str, size: int) -> Reading:
    """What there is to say about a file that was taken in."""
    height, width = (0, 0) if found.frame is None else found.frame.pixels.shape[:2]
    return Reading(
        outcome=found.outcome,
        digest=digest,
        size=size,
        reason=found.reason,
        instance=found.instance,
        statistics=found.statistics,
        reports=found.reports,
        studies=found.studies,
        skipped=found.skipped,
        warnings=found.warnings,
        frame_rule="" if found.frame is None else found.frame.frame_rule,
        height=int(height),
        width=int(width),
    )


def check_look(reading: Reading) -> None:
    """Hold the answer to `look` to its form: a parser taken over by a file must have no channel of its own.

    Raises:
        IntegrityError: it has another form.
    """
    _check_words(reading)
    if reading.outcome is None:
        _expect(_DIGEST.fullmatch(reading.digest) is not None and reading.size > 0, "digest")
    else:
        _expect(reading.set_aside and not reading.digest, "outcome")


def check_read(reading: Reading, looked: Reading, frame_bytes: int) -> None:
    """Hold the answer to `read` to its form and to what `look` said.

    Args:
        frame_bytes: how many came beside it: one or three for every pixel of an image, none otherwise.

    Raises:
        IntegrityError: it has another form.
    """
    _check_words(reading)
    _expect((reading.digest, reading.size) == (looked.digest, looked.size), "digest")
    _expect(reading.outcome is not None, "outcome")
    if reading.outcome is Outcome.IMAGE:
        pixels = reading.height * reading.width
        _expect(reading.instance is not None, "instance")
        _expect(min(reading.height, reading.width) > 0 and frame_bytes in (pixels, 3 * pixels), "frame")
    else:
        _expect(frame_bytes == 0, "frame")


def check_told(codes: Iterable[str], message: str) -> None:
    """Codes are codes, and a message is one short line: they are stored, counted and shown.

    Raises:
        IntegrityError: they are something else.
    """
    _expect(all(map(_CODE.fullmatch, codes)), "code")
    _expect(len(message) <= _MOST_WORDS and message.isprintable(), "message")


def _check_words(reading: Reading) -> None:
    check_told((reading.reason, *reading.skipped, *reading.warnings), reading.message)
    _expect(_FRAME_RULE.fullmatch(reading.frame_rule) is not None, "frame rule")


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise IntegrityError(f"the reading has no {what} of the right form")
