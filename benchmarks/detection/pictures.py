"""The pictures of docs/detection.md: ROC curves per exposure, and what weak exposures leave.

Detectors of an officer's audit are drawn in colour, published ones as thin grey lines behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from PIL import Image

from audit_core.detectors.seam import battery
from detection.figures import Row, roc
from detection.scoring import WITHOUT

mpl.use("Agg")

import matplotlib.pyplot as plt

COLUMNS = 3
PUBLISHED_SHOWN = 6
WITH_BASE, WITHOUT_BASE = "single, with the base", "single, without"
KINDS = {"fused": "black", "rank_average": "0.4", WITH_BASE: "#4878a8", WITHOUT_BASE: "0.72"}
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "savefig.dpi": 130,
    "svg.fonttype": "none",
}
FALSE_RATES = np.unique(np.concatenate([np.geomspace(1e-3, 1.0, 120), np.linspace(0.0, 1.0, 101)]))


def draw(rows: Sequence[Row], weak: Sequence[str], out: Path) -> list[Path]:
    """Write all pictures into `out`, which is made.

    Args:
        rows: of the exposures, in the order to be drawn.
        weak: settings of the bar chart.
    """
    out.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        written = [_curves(rows, out / "detection-roc.png", log=False)]
        written.append(_curves(rows, out / "detection-roc-log.png", log=True))
        if any(row.setting in weak for row in rows):
            written.append(_bars([row for row in rows if row.setting in weak], out / "detection-weak.svg"))
    return written


def _colours(rows: Sequence[Row]) -> dict[str, Any]:
    """A fixed colour for each detector of the battery; the fused one black, without base dashed."""
    names = [name for name in battery() if name != "fused"]
    palette = plt.get_cmap("tab10").colors  # type: ignore[attr-defined]
    return {name: palette[number % 10] for number, name in enumerate(names)} | {"fused": "black"}


def _curves(rows: Sequence[Row], path: Path, *, log: bool) -> Path:
    """One panel per exposure; without a resolution of 1/n the log axis ends there."""
    settings = list(dict.fromkeys(row.setting for row in rows))
    height = -(-len(settings) // COLUMNS)
    figure, axes = plt.subplots(
        height, min(COLUMNS, len(settings)), figsize=(7.6, 2.35 * height + 0.7), squeeze=False
    )
    shown: dict[str, Any] = {}
    for axis, setting in zip(axes.flat, settings, strict=False):
        _panel(axis, [row for row in rows if row.setting == setting], log, shown)
        axis.set_title(setting)
    for axis in axes.flat[len(settings) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel("true positive rate")
    for axis in axes.flat[max(0, len(settings) - axes.shape[1]) : len(settings)]:
        axis.set_xlabel("false positive rate")
    figure.tight_layout(rect=(0, 0.55 / figure.get_figheight(), 1, 1))
    figure.legend(shown.values(), shown.keys(), loc="lower center", ncols=5, frameon=False)
    figure.savefig(path)
    plt.close(figure)
    with Image.open(path) as drawn:
        few = drawn.convert("RGB").quantize(256)
    few.save(path, optimize=True)  # a third of the size, and nothing to be seen of it
    return path


def _panel(axis: Any, rows: Sequence[Row], log: bool, shown: dict[str, Any]) -> None:
    colours = _colours(rows)
    least = 1.0 / min(one.others.size for row in rows for one in row.scores)
    grid = FALSE_RATES[least <= FALSE_RATES] if log else FALSE_RATES
    axis.plot(grid, grid, color="0.75", linewidth=0.6, linestyle=":")
    for row in sorted(rows, key=lambda row: (row.detector.startswith("fused"), row.detector in colours)):
        plain = row.detector.removesuffix(WITHOUT)
        if plain not in (row.detector, "fused"):
            continue  # two curves of one detector are shown for the fused one alone
        ours = plain in colours
        (line,) = axis.plot(
            grid,
            roc(row.scores, grid),
            color=colours[plain] if ours else "0.82",
            linewidth=(1.6 if plain == "fused" else 1.0) if ours else 0.5,
            linestyle="--" if ours and plain != row.detector else "-",
        )
        shown.setdefault(row.detector if ours else "published", line)
    axis.set_ylim(0.0, 1.02)
    if log:
        axis.set_xscale("log")
        axis.set_xlim(least, 1.0)
        axis.set_xticks([0.01, 0.1, 1.0], ["1 %", "10 %", "100 %"])
    else:
        axis.set_xlim(0.0, 1.0)


def _bars(rows: Sequence[Row], path: Path) -> Path:
    """AUROC with its interval, one panel per weak exposure, detectors in one order.

    Of the published detectors those few are shown that find most over these exposures.
    """
    settings = list(dict.fromkeys(row.setting for row in rows))
    names = _in_order(rows)
    figure, axes = plt.subplots(
        1, len(settings), figsize=(2.0 + 1.75 * len(settings), 0.2 * len(names) + 1.0), sharey=True
    )
    for axis, setting in zip(np.atleast_1d(axes), settings, strict=True):
        here = {row.detector: row for row in rows if row.setting == setting}
        for place, name in enumerate(names):
            if name not in here:
                axis.text(0.5, place, "–", ha="center", va="center", color="0.6")
                continue
            row = here[name]
            low, high = row.ci
            colour = next((KINDS[kind] for kind in KINDS if name.startswith(kind)), None)
            colour = colour or KINDS[WITH_BASE if row.needs_base else WITHOUT_BASE]
            axis.barh(place, row.auroc - 0.5, left=0.5, color=colour, height=0.62, linewidth=0)
            axis.plot([low, high], [place, place], color="#d1605e", linewidth=1.1)
        axis.axvline(0.5, color="0.3", linewidth=0.6)
        axis.set_xlim(0.35, 1.0)
        axis.set_title(setting)
        axis.set_xlabel("AUROC")
        axis.tick_params(axis="y", length=0)
    first = np.atleast_1d(axes)[0]
    first.set_yticks(range(len(names)), names)
    first.set_ylim(-0.6, len(names) - 0.4)
    handles: list[Any] = [Rectangle((0, 0), 1, 1, color=colour) for colour in KINDS.values()]
    handles.append(Line2D([], [], color="#d1605e", linewidth=1.1))
    room = 0.3 / figure.get_figheight()
    figure.tight_layout(rect=(0, room, 1, 1))
    figure.legend(handles, [*KINDS, "95 % interval"], loc="lower center", ncols=5, frameon=False)
    figure.savefig(path)
    plt.close(figure)
    return path


def _in_order(rows: Sequence[Row]) -> list[str]:
    """Detectors to show by their mean AUROC over the settings, the best one last, which is on top."""
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(row.detector, []).append(row.auroc)
    order = sorted(values, key=lambda name: float(np.mean(values[name])))
    colours = _colours(rows)
    others = [name for name in order if name.removesuffix(WITHOUT) not in colours]
    return [name for name in order if name not in others[: max(0, len(others) - PUBLISHED_SHOWN)]]
