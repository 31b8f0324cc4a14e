"""What an ingest would make of files, without a workspace and without keeping anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from appliance import limits
from appliance.readers import Readers, listing, parser
from appliance.reading import Reading
from appliance.views import Progress, QuarantineRow
from appliance.worker import Worker
from medio.records import Outcome

_SET_ASIDE = frozenset({Outcome.REJECTED, Outcome.UNSUPPORTED})


@dataclass(frozen=True, slots=True)
class FileLine:
    """One file of a dry run; None where the question does not arise.

    Attributes:
        path: as found below what was given; a member of an archive is `archive.zip!/member`.
        reason: stable code; docs/reason-codes.md says what to do about it.
        transfer_syntax: UID, of DICOM objects whose header could be read.
        sop_class: likewise.
        frames: of an image; `frame_rule` says which of them stands for it.
        shape: of the decoded values, all frames; [frames, rows, columns, samples] without what is single.
        min, max, mean: of the decoded values as pydicom's `pixel_array` gives them.
        reports: how many report texts the file gives.
        skipped: reason codes of messages in the file that gave no report.
        warnings: codes of what was tolerated.
        bytes: size of the file.
    """

    path: str
    outcome: Outcome
    reason: str
    message: str
    transfer_syntax: str | None
    sop_class: str | None
    modality: str | None
    frames: int | None
    frame_rule: str | None
    shape: tuple[int, ...] | None
    dtype: str | None
    min: float | None
    max: float | None
    mean: float | None
    reports: int
    skipped: tuple[str, ...]
    warnings: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class IngestTrial:
    """A dry run in numbers: names no file.

    Attributes:
        outcomes: what files are -> how many, most frequent first; those set aside are not among them.
        set_aside: by reason, most frequent first.
        warnings: code -> files that would be taken in although something about them is odd.
    """

    files: int
    reports: int
    outcomes: tuple[tuple[str, int], ...]
    set_aside: tuple[QuarantineRow, ...]
    warnings: tuple[tuple[str, int], ...]


def tried(lines: Iterable[FileLine]) -> IngestTrial:
    """The lines of a dry run, counted."""
    outcomes: Counter[str] = Counter()
    aside: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    messages: dict[str, str] = {}
    files = reports = 0
    for line in lines:
        files += 1
        reports += line.reports
        warnings.update(line.warnings)
        if line.outcome in _SET_ASIDE:
            aside[line.reason] += 1
            messages.setdefault(line.reason, line.message)
        else:
            outcomes[str(line.outcome)] += 1
    rows = (QuarantineRow(reason, number, messages[reason], "") for reason, number in aside.most_common())
    return IngestTrial(
        files, reports, tuple(outcomes.most_common()), tuple(rows), tuple(warnings.most_common())
    )


def dry_run(
    paths: Sequence[Path],
    workers: int = 0,
    start_worker: Callable[[], Worker] | None = None,
    step: Callable[[Progress], None] = lambda _: None,
) -> Generator[FileLine]:
    """Read every file below `paths` as an ingest would; one line each, in path order.

    Args:
        workers: parsers side by side; 0 for one a core.
        step: told after every file.

    Raises:
        UsageError: a path does not exist, or there is no file below any of them.
        ApplianceError: no worker could be started.
    """
    files = listing(paths)
    start = start_worker or (lambda: parser(paths))

    def line(path: Path, reading: Reading, frame: bytes) -> FileLine:
        return _line(path, reading, files.warnings.get(path, ()))

    readers = Readers(start, line, workers=workers or limits.workers(), statistics=True)
    with closing(readers.read(files)) as lines:
        for done, one in enumerate(lines, 1):
            yield one
            step(Progress("dry run", done, max(done, files.total), "files"))


def _line(path: Path, reading: Reading, warnings: tuple[str, ...]) -> FileLine:
    instance, values = reading.instance, reading.statistics
    assert reading.outcome is not None  # without a workspace nothing is known before
    return FileLine(
        path=str(path),
        outcome=reading.outcome,
        reason=reading.reason,
        message=reading.message,
        transfer_syntax=instance.TransferSyntaxUID if instance else None,
        sop_class=instance.SOPClassUID if instance else None,
        modality=instance.Modality if instance else None,
        frames=instance.NumberOfFrames if instance and reading.outcome is Outcome.IMAGE else None,
        frame_rule=reading.frame_rule or None,
        shape=values.shape if values else None,
        dtype=values.dtype if values else None,
        min=values.minimum if values else None,
        max=values.maximum if values else None,
        mean=values.mean if values else None,
        reports=len(reading.reports),
        skipped=reading.skipped,
        warnings=reading.warnings + warnings,
        bytes=reading.size,
    )
