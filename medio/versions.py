"""Several reports of one examination: which version stands, and which are copies of it by another route."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medio.records import Report, ReportSource

SameWords = Callable[[Report, Report], bool]

_RANK = {"corrected": 3, "final": 2, "unknown": 1, "preliminary": 0}
_CARRIER = {source: place for place, source in enumerate(ReportSource)}  # whose copy stands: the first


@dataclass(frozen=True, slots=True)
class Standing:
    """The report that stands and those that gave way to it, oldest first.

    Attributes:
        superseded: earlier or less final versions.
        copies: the same words with the same status, brought by another object.
    """

    report: Report
    superseded: tuple[Report, ...] = ()
    copies: tuple[Report, ...] = ()


def standing(candidates: Sequence[Report], same_words: SameWords) -> Standing | None:
    """The version that stands: corrected, final, preliminary, then the latest; None for a tie.

    A tie is two texts of the same status and time, or two fillers' numbers: these are two reports, and
    nobody can say which of them is meant. The same words brought twice are no tie.
    """
    if len({report.FillerOrderNumber for report in candidates} - {""}) > 1:
        return None
    best = max(map(_order, candidates))
    first, *equal = sorted((r for r in candidates if _order(r) == best), key=_carrier)
    if not all(same_words(first, other) for other in equal):
        return None
    older = sorted((r for r in candidates if _order(r) != best), key=lambda r: (_order(r), r.content_digest))
    copied = [r for r in older if _rank(r) == _rank(first) and same_words(first, r)]
    superseded = tuple(report for report in older if report not in copied)
    return Standing(first, superseded, tuple(copied + equal))


def of_equal_standing(report: Report, others: Sequence[Report]) -> bool:
    """Whether status and time leave `report` level with the best of the others."""
    return _order(report) == max(map(_order, others))


def equal_text(one: Report, other: Report) -> bool:
    """Letter for letter: what tells equal words where nothing better is at hand."""
    return one.text == other.text


def chains(reports: Sequence[Report], same_words: SameWords) -> int:
    """How many examinations these reports speak of.

    Reports belong together by accession number, else by order number, else by their words.
    """
    handles = {_handle(report) for report in reports} - {""}
    apart: list[Report] = []
    for report in reports:
        if not _handle(report) and not any(same_words(report, other) for other in apart):
            apart.append(report)
    return len(handles) + len(apart)


def _handle(report: Report) -> str:
    return report.AccessionNumber or report.FillerOrderNumber or report.PlacerOrderNumber


def _rank(report: Report) -> int:
    return _RANK.get(report.status, 1)


def _order(report: Report) -> tuple[int, str]:
    return _rank(report), report.issued.ljust(14, "0")


def _carrier(report: Report) -> tuple[int, str]:
    return _CARRIER[report.source], report.content_digest
