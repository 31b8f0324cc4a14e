"""The numbers of the results page as CSV and SVG, for computing on; no cell acts in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from appliance.pack.pages import plots
from appliance.sanitise import safe
from appliance.views import AuditView, DetectorReport
from audit_core.results import Interval, VerdictWord

_ALONE: Final = '<svg xmlns="http://www.w3.org/2000/svg" '
_ACTS: Final = ("=", "+", "-", "@")  # a spreadsheet takes what begins so as a formula, numbers excepted


def csv_tables(view: AuditView) -> dict[str, bytes]:
    """Member name -> table, UTF-8 with a line of column names."""
    return {
        "results/controls.csv": table(
            ("control", "outcome", "if_it_fails", "seen"),
            ((one.name, one.status, one.consequence, one.sentence) for one in view.result.controls),
        ),
        "results/detectors.csv": table(
            (
                "detector", "decides", "reference_auroc", "reference_low", "reference_high", "target_auroc",
                "target_low", "target_high", "unscored",
            ),
            (_detector(one) for one in view.result.detectors),
        ),
        "results/roc.csv": table(
            ("detector", "share_of_controls_flagged", "share_of_patients_found"),
            ((one.name, *point) for one in view.result.detectors for point in one.roc),
        ),
    }  # fmt: skip


def _detector(one: DetectorReport) -> tuple[object, ...]:
    return (
        one.name,
        "yes" if one.decides else "no",
        one.reference_auroc,
        *_ends(one.reference_auroc_ci),
        one.target_auroc,
        *_ends(one.target_auroc_ci),
        one.unscored,
    )


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (interval.low, interval.high) if interval is not None else (None, None)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as CSV (RFC 4180). Numbers have six significant digits; what is unknown is empty."""
    held = io.StringIO()
    writer = csv.writer(held, lineterminator="\r\n")
    writer.writerow(heads)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return held.getvalue().encode()


def _cell(value: object) -> str:
    """A value as a cell: a text that a spreadsheet would take for a formula begins with an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return str(value)
    said = safe(str(value), 600)
    return f"'{said}" if said.lstrip().startswith(_ACTS) else said


def figures(view: AuditView) -> dict[str, bytes]:
    """Member name -> drawing, each a file of its own."""
    result = view.result
    drawn: dict[str, str] = {}
    if plots.has_bars(result.histogram) and result.histogram is not None:
        drawn["figures/scores.svg"] = plots.histogram_svg(result.histogram)
    for one in result.detectors:
        if one.decides and one.roc:
            drawn["figures/roc.svg"] = plots.roc_svg(one)
    if result.reliability and view.verdict.word is not VerdictWord.VOID:
        bins = [(one.predicted, one.members / one.references) for one in result.reliability]
        drawn["figures/calibration.svg"] = plots.calibration_svg(bins)
    return {name: svg.replace("<svg ", _ALONE, 1).encode() for name, svg in drawn.items()}
