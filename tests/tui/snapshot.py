"""What a screen shows as text that a person can read and compare: the glass, then the styles of its runs.

`python -m tests.tui.snapshot` draws all of them anew; look at the difference before you keep it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from threading import Semaphore
from typing import Any

from rich.segment import Segment
from rich.style import Style
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.everywhere import WAYS, go
from tests.tui.pilot import drive, settle
from tests.tui.simulator import Simulator
from tui.app import GradAuditApp
from tui.settings import Settings
from tui.themes import NAMES

FOLDER = Path(__file__).with_name("snapshots")
SIZES = ((80, 24), (132, 40))
IN_EVERY_THEME = ("ResultScreen", "LogScreen")
UTF_8 = {"LC_ALL": "C.UTF-8"}
Wanted = tuple[str, tuple[int, int], str]  # screen, columns and rows, theme


def wanted() -> Iterator[Wanted]:
    """Every screen at both sizes in the default theme, two of them in every theme."""
    for size in SIZES:
        for name in WAYS:
            yield name, size, NAMES[0]
    for theme in NAMES[1:]:
        for name in IN_EVERY_THEME:
            yield name, SIZES[0], theme


def path_of(one: Wanted) -> Path:
    """Where its snapshot lies."""
    name, (columns, rows), theme = one
    return FOLDER / f"{columns}x{rows}-{theme}" / f"{name}.txt"


def taken(one: Wanted) -> str:
    """The screen now, drawn over the simulator."""
    name, size, theme = one
    seen = []

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await go(pilot, app, name)
        for field in app.screen.query(Input):
            field.cursor_blink = False
        await settle(pilot)
        seen.append(text_of(app))

    drive(
        steps,
        size,
        backend=Simulator(gate=Semaphore(20)),
        settings=Settings(theme=theme),
        clock=lambda: 0.0,
        environ=UTF_8,
    )
    return seen[0]


def text_of(app: GradAuditApp) -> str:
    """The lines of the glass; then of each line the cells that have one style; then what the styles are."""
    strips = app.screen._compositor.render_strips()
    names: dict[Style, str] = {}
    runs = [f"{row:3} {' '.join(named_runs(list(strip), names))}" for row, strip in enumerate(strips)]
    legend = [f"{name:>3} {style}" for style, name in names.items()]
    return "\n".join([*(strip.text.rstrip() for strip in strips), "", *runs, "", *legend, ""])


def named_runs(segments: list[Segment], names: dict[Style, str]) -> Iterator[str]:
    """`<cells><name of the style>` for each run of a line; a new style gets the next name."""
    for style, run in groupby(segments, lambda segment: plain(segment.style)):
        name = names.setdefault(style, f"s{len(names)}")
        yield f"{sum(segment.cell_length for segment in run)}{name}"


def plain(style: Style | None) -> Style:
    """A style without what is not seen."""
    return (style or Style()).clear_meta_and_links()


def main() -> None:
    """Draw all anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for one in wanted():
        path = path_of(one)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(taken(one), encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(FOLDER)}\n")


if __name__ == "__main__":
    main()
