"""Three pictures of a run: power against the share that audits name, coverage, p-values of null audits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from honesty_figures import POWER, covered, of, power, truth

INK = ("#0b5394", "#b45f06", "#38761d", "#741b47", "#666666", "#134f5c")


def draw(rows: Sequence[dict[str, Any]], alpha: float, folder: Path) -> list[Path]:
    """Write the pictures as SVG; the same rows give the same files."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "honesty", "font.size": 9, "axes.spines.top": False})
    mpl.rcParams.update({"axes.spines.right": False, "figure.dpi": 100, "legend.frameon": False})
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, paint in (("power", _power), ("coverage", _coverage), ("null", _null)):
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(figsize=(6.4, 4.0), layout="constrained")
        paint(axes, rows, alpha)
        made.append(folder / f"honesty-{name}.svg")
        figure.savefig(made[-1], metadata={"Date": None})
        pyplot.close(figure)
    return made


def _power(axes: Any, rows: Sequence[dict[str, Any]], alpha: float) -> None:
    for ink, found in zip(INK, power(rows, alpha), strict=False):
        curve = [[0.0, 0.0], *found["curve"]]
        axes.plot(
            [100 * point[0] for point in curve],
            [100 * point[1] for point in curve],
            "o-", color=ink, ms=3, lw=1.2, label=found["setting"],
        )  # fmt: skip
        if found["named"] is not None:
            axes.plot([100 * found["named"]], [100 * POWER], "*", color=ink, ms=13, clip_on=False, zorder=5)
    axes.axhline(100 * POWER, color="#999999", lw=0.7, ls="--")
    axes.set(
        xlabel="targets that were trained on, %",
        ylabel=f"audits whose rank test is below {alpha:g}, %",
        title="Power, and (stars) the share that audits say they would find in 80 %",
        ylim=(0, 103),
    )
    axes.legend()


def _coverage(axes: Any, rows: Sequence[dict[str, Any]], alpha: float) -> None:
    printed = [row for row in rows if row["low"] is not None and row["part"] in ("null", "planted", "said")]
    printed.sort(key=lambda row: (truth(row), row["estimate"]))
    for place, row in enumerate(printed):
        ink = "#9fc5e8" if covered(row) else "#cc0000"
        axes.plot([place, place], [100 * row["low"], 100 * row["high"]], color=ink, lw=0.8)
    axes.plot([100 * truth(row) for row in printed], color="#000000", lw=1.2, label="truth")
    axes.plot(
        [100 * row["lower"] for row in printed], color="#38761d", lw=0.6, label="lower bound, always printed"
    )
    axes.set(
        xlabel="audits, by the share that was planted",
        ylabel="exposed patients, %",
        title="Intervals of the share; those that miss the truth in red",
    )
    axes.legend()


def _null(axes: Any, rows: Sequence[dict[str, Any]], alpha: float) -> None:
    import numpy as np

    null = of(rows, "null")
    for ink, (key, label) in zip(
        INK, (("p", "rank test"), ("mixture_p", "test of no exposure"), ("inference_p", "dataset inference")),
        strict=False,
    ):  # fmt: skip
        values = np.sort([row[key] for row in null if row.get(key) is not None])
        if values.size:
            axes.plot(values, np.arange(1, values.size + 1) / values.size, color=ink, lw=1.2, label=label)
    axes.plot([0, 1], [0, 1], color="#999999", lw=0.7, ls="--", label="exact")
    axes.set(xlabel="p-value", ylabel="share of null audits at or below", title="Nobody was trained on")
    axes.legend()
