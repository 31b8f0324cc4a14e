"""What a boxed worker says about one file: the only thing of it that crosses into the appliance."""

from __future__ import annotations

from dataclasses import dataclass

from medio.records import FileContent, Instance, Outcome, PixelStatistics, Report, Study

PARSER_DIED = "parser-died"
PARSER_TIMEOUT = "parser-timeout"


@dataclass(frozen=True, slots=True)
class Reading:
    """One file as read; the frame's pixels travel beside it.

    Attributes:
        outcome: None when the bytes were taken in before, so that they were not read again.
        digest: hex SHA-256 of the bytes; empty when they could not be had.
        size: how many there were.
        reason: stable code, of everything set aside and of what gave less than its kind promises.
        message: the reason in words; never a value of the file.
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
