"""What benchmarks/detectors.py prints: one JSON object, or the same as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from detection import figures
from detection.exposures import EXPOSURES
from detection.figures import LEVELS, Row
from detection.jobs import setting_of
from detection.robustness import CONDITIONS
from detection.scoring import Outcome


def result(
    found: Sequence[Outcome], counts: Mapping[str, Any], seconds: int
) -> tuple[list[Row], dict[str, Any]]:
    """Rows, METHOD's settings first, and everything as printed by --json.

    Args:
        found: of all jobs.
        counts: of the pairs.
        seconds: the whole run took.
    """
    exposures = [exposure.name for exposure in EXPOSURES]
    order = [*exposures, *map(setting_of, CONDITIONS)]
    ours = figures.rows([score for outcome in found for score in outcome.scores], order)
    missing = Counter((one[0], one[1], one[3]) for outcome in found for one in outcome.not_run)
    compared = figures.comparisons(ours)
    return ours, {
        "rows": [row.plain() for row in ours],
        "summary": compared,
        "musts": figures.musts([line for line in compared if line["setting"] in exposures]),
        "not_run": [
            {"setting": setting, "detector": detector, "reason": reason, "seeds": count}
            for (setting, detector, reason), count in sorted(missing.items())
        ],
        "pairs": counts,
        "seconds": seconds,
    }


def markdown(plain: Mapping[str, Any]) -> str:
    """The JSON object as tables: all rows, the comparisons, one line per must, and what has no figure."""
    parts = [_rows(plain["rows"]), comparisons(plain["summary"]), musts(plain["musts"])]
    parts.append("Rates marked ~ are rough: fewer than ten false positives are expected at that level.")
    if plain["not_run"]:
        parts.append(_missing(plain["not_run"]))
    return "\n\n".join(parts)


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _rows(lines: Sequence[Mapping[str, Any]]) -> str:
    head = ("setting", "detector", "AUROC", "95 % interval", "TPR@5 %", "TPR@1 %", "seeds")
    return table(
        head,
        [
            [
                row["setting"],
                row["detector"],
                f"{row['auroc']:.3f}",
                "{:.3f}–{:.3f}".format(*row["ci"]),
                *(rate(row, name) for name in LEVELS),
                str(row["seeds"]),
            ]
            for row in lines
        ],
    )


def rate(row: Mapping[str, Any], name: str) -> str:
    """A true positive rate as printed: ~ where it is rough, a dash where it is not resolved."""
    value = row[name]
    return "–" if value is None else f"{'~' if name in row['rough'] else ''}{value:.2f}"


def comparisons(lines: Sequence[Mapping[str, Any]]) -> str:
    """One line per setting and comparison."""
    head = ("setting", "comparison", "against", "AUROC difference", "95 % interval", "TPR@5 % ratio")
    return table(
        head,
        [
            [
                one["setting"],
                f"{one['detector']} - {one['must'].partition(' - ')[2]}",
                one["against"],
                f"{one['auroc_difference']:+.3f}",
                "{:+.3f} … {:+.3f}".format(*one["ci"]),
                "" if one.get("tpr5_ratio") is None else f"{one['tpr5_ratio']:.1f}",
            ]
            for one in lines
        ],
    )


def musts(lines: Sequence[Mapping[str, Any]]) -> str:
    """One line per must."""
    return "\n".join(
        f"- {one['must']}: least {one['least']:.3f} ({one['least_at']}), mean {one['mean']:.3f} "
        f"over {one['settings']} settings"
        for one in lines
    )


def _missing(lines: Sequence[Mapping[str, Any]]) -> str:
    """One line a setting; the reasons are in the JSON, and here where nothing at all has a figure."""
    by_setting: dict[str, list[str]] = {}
    for one in lines:
        name = f"all: {one['reason']}" if one["detector"] == "all" else one["detector"]
        by_setting.setdefault(one["setting"], []).append(name)
    return "\n".join(f"- no figure: {setting}: {', '.join(names)}" for setting, names in by_setting.items())
