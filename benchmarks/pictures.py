"""Draws every screen and dialog of the terminal UI as a small picture, at 80x24 and at 132x40.

    python benchmarks/pictures.py [--out docs/pictures/screens] [--only NAME] [--theme THEME]
    python benchmarks/pictures.py --page docs/gallery.md

The screens stand over planted views (tests/tui/simulator.py), so nothing of a patient can be on them. The
ways to them are those of the tests (tests/tui/everywhere.py); the letters are DejaVu Sans Mono's, in cells
such as a terminal has.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from threading import Semaphore
from typing import Any

import matplotlib
from PIL import Image, ImageDraw, ImageFont
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.pilot import Pilot

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.tui.everywhere import WAYS, go  # noqa: E402 - the checkout comes first on the path
from tests.tui.pilot import drive  # noqa: E402
from tests.tui.simulator import Simulator  # noqa: E402
from tui.app import GradAuditApp  # noqa: E402
from tui.settings import Settings  # noqa: E402
from tui.themes import NAMES  # noqa: E402

SIZES = ((80, 24), (132, 40))
CELL = 8, 15  # pixels
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
PLAIN, BOLD = (ImageFont.truetype(str(FONTS / f"DejaVuSansMono{weight}.ttf"), 13) for weight in ("", "-Bold"))
COLOURS = 48  # of a picture; keeps it small


def painted(app: GradAuditApp) -> Image.Image:
    """The present screen, a cell a cell; letters after all grounds, as they reach below their cells."""
    strips = app.screen._compositor.render_strips()
    picture = Image.new("RGB", (CELL[0] * strips[0].cell_length, CELL[1] * len(strips)))
    pen = ImageDraw.Draw(picture)
    for paint in (ground, letters):
        for row, strip in enumerate(strips):
            column = 0
            for segment in filter(None, strip):  # an empty one has no cells
                paint(pen, segment, CELL[0] * column, CELL[1] * row)
                column += segment.cell_length
    return picture.quantize(COLOURS)


def ground(pen: ImageDraw.ImageDraw, segment: Segment, x: int, y: int) -> None:
    """What is behind a run of one style, at a place in pixels."""
    right, bottom = x + CELL[0] * segment.cell_length - 1, y + CELL[1] - 1
    pen.rectangle((x, y, right, bottom), fill=rgb(segment.style.bgcolor if segment.style else None))


def letters(pen: ImageDraw.ImageDraw, segment: Segment, x: int, y: int) -> None:
    """The letters of a run of one style, each in its cell."""
    style = segment.style or Style()
    for place, sign in enumerate(segment.text):
        font = BOLD if style.bold else PLAIN
        pen.text((x + CELL[0] * place, y), sign, font=font, fill=rgb(style.color))
    if style.underline:
        low = y + CELL[1] - 2
        pen.line((x, low, x + CELL[0] * segment.cell_length - 1, low), fill=rgb(style.color))


def rgb(colour: Color | None) -> tuple[int, int, int]:
    """A colour in numbers; black where there is none."""
    return tuple(colour.get_truecolor()) if colour is not None else (0, 0, 0)


def draw(name: str, size: tuple[int, int], theme: str, out: Path) -> None:
    """Go to a screen and write its picture."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await go(pilot, app, name)
        painted(app).save(out / f"{name}-{size[0]}x{size[1]}.png", optimize=True)

    backend = Simulator(gate=Semaphore(20))
    environ = {"LC_ALL": "C.UTF-8"}
    drive(steps, size, backend=backend, settings=Settings(theme=theme), environ=environ)


def page() -> str:
    """A page with every picture, small screens first; the wide ones by a link."""
    lines = [
        "# All screens and dialogs",
        "",
        "At 80x24, over made-up data; a name leads to the same at 132x40, keys lead there from the Overview.",
        "`python benchmarks/pictures.py` draws them anew.",
    ]
    small, large = (f"{columns}x{rows}" for columns, rows in SIZES)
    for name, keys in WAYS.items():
        way = " ".join(f"`{key}`" for key in keys) or "first of all"
        picture = f"pictures/screens/{name}"
        lines += ["", f"**[{name}]({picture}-{large}.png)**: {way}", "", f"![{name}]({picture}-{small}.png)"]
    return "\n".join([*lines, ""])


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures" / "screens")
    parser.add_argument("--only", default="", help="name of one screen")
    parser.add_argument("--theme", default=NAMES[0], choices=NAMES)
    parser.add_argument("--page", type=Path, help="draw nothing; write the page that shows all pictures")
    chosen = parser.parse_args()
    if chosen.page is not None:
        chosen.page.write_text(page(), encoding="utf-8")
        return
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name in WAYS:
        if chosen.only in ("", name):
            for size in SIZES:
                draw(name, size, chosen.theme, chosen.out)
    print(f"pictures in {chosen.out}")


if __name__ == "__main__":
    main()
