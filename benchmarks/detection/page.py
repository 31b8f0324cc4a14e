"""The measured part of docs/detection.md, written from what the benchmarks print as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from audit_core.detectors.seam import battery
from detection.exposures import EXPOSURES
from detection.jobs import setting_of
from detection.robustness import CONDITIONS
from detection.scoring import WITHOUT
from detection.tables import comparisons, musts, rate, table

MARKS = "<!-- {} -->", "<!-- end of {} -->"

_Row = Mapping[str, Any]
_Cell = Callable[[_Row], str]


class NoMarks(Exception):
    """The page has no place for these figures."""


def put(page: Path, part: str, text: str) -> None:
    """Replace what stands between the marks of a part.

    Raises:
        NoMarks: the page has none.
    """
    first, last = (mark.format(part) for mark in MARKS)
    before, found, rest = page.read_text(encoding="utf-8").partition(first)
    _, also, after = rest.partition(last)
    if not (found and also):
        raise NoMarks(f"{page.name} has no marks for the part {part!r}")
    page.write_text(f"{before}{first}\n\n{text}\n\n{last}{after}", encoding="utf-8")


def measured(plain: Mapping[str, Any], pictures: Sequence[Path] = ()) -> str:
    """The tables of the exposures: an audit's own detectors, comparisons, the published ones; "" without.

    Args:
        plain: as printed by --json.
        pictures: to be shown, relative to the page.
    """
    rows = plain["rows"]
    exposures = [one.name for one in EXPOSURES]
    officers = [name for name in _names(rows) if name.removesuffix(WITHOUT) in battery()]
    others = [name for name in _names(rows) if name not in officers]
    keys = {one.name: one.key for one in EXPOSURES}
    parts = [
        _said(plain),
        *(f"![{path.stem}]({path.as_posix()})" for path in pictures),
        "### An audit's own detectors: AUROC and 95 % interval",
        _by_setting(rows, exposures, officers, _with_interval),
        "### The same: TPR at 5 % FPR / at 1 % FPR (~ rough: under ten expected false positives)",
        _by_setting(rows, exposures, officers, lambda row: f"{rate(row, 'tpr5')} / {rate(row, 'tpr1')}"),
        "### The fused detector against what had the same inputs",
        musts(plain["musts"]),
        comparisons([one for one in plain["summary"] if one["setting"] in exposures]),
        "### Published detectors: AUROC",
        _by_detector(rows, keys, others),
    ]
    return "\n\n".join(part for part in parts if part) if _any(rows, exposures) else ""


def robustness(plain: Mapping[str, Any]) -> str:
    """The table of the perturbed pairs; "" where they were not asked for."""
    rows, conditions = plain["rows"], {setting_of(name): name for name in CONDITIONS}
    if not _any(rows, list(conditions)):
        return ""
    return "\n\n".join([_said(plain), _by_detector(rows, conditions, _names(rows))])


def _any(rows: Sequence[_Row], settings: Sequence[str]) -> bool:
    return any(row["setting"] in settings for row in rows)


def _said(plain: Mapping[str, Any]) -> str:
    """What the figures are of."""
    seeds = max((row["seeds"] for row in plain["rows"]), default=0)
    pairs = plain["pairs"]
    return (
        f"{seeds} seeds; {pairs['patients']} patients dealt, {pairs['base_only']} pairs for the base alone; "
        f"{plain['seconds'] / 60:.0f} minutes."
    )


def _names(rows: Sequence[_Row]) -> list[str]:
    """Detectors in the order of the rows, a row without base right behind the one with it."""
    found = dict.fromkeys(row["detector"] for row in rows)
    plain = [name for name in found if not name.endswith(WITHOUT)]
    return [name for one in plain for name in (one, one + WITHOUT) if name in found]


def _with_interval(row: _Row) -> str:
    low, high = row["ci"]
    return f"{row['auroc']:.3f} ({low:.2f}–{high:.2f})"


def _by_setting(rows: Sequence[_Row], settings: Sequence[str], names: Sequence[str], cell: _Cell) -> str:
    """One line a setting, one column a detector."""
    known = {(row["setting"], row["detector"]): row for row in rows}
    here = [name for name in names if any((setting, name) in known for setting in settings)]
    body = [
        [setting, *(cell(known[setting, name]) if (setting, name) in known else "–" for name in here)]
        for setting in settings
        if any((setting, name) in known for name in here)
    ]
    return table(["setting", *here], body) if body else ""


def _by_detector(rows: Sequence[_Row], settings: Mapping[str, str], names: Sequence[str]) -> str:
    """One line a detector, one column a setting, under its short name."""
    known = {(row["setting"], row["detector"]): row["auroc"] for row in rows}
    here = [setting for setting in settings if any((setting, name) in known for name in names)]
    body = [
        [name, *(f"{known[one, name]:.3f}" if (one, name) in known else "–" for one in here)]
        for name in names
        if any((one, name) in known for one in here)
    ]
    return table(["detector", *(settings[one] for one in here)], body) if body else ""
