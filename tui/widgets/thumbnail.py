"""A small grey picture in half blocks, two pixels a cell; an ASCII ramp where those cannot be shown.

For an image that may be looked at: after a reveal, and the entry in the log that goes before it. It comes
small, some hundred pixels a side at most: it is shrunk here on the screens' own thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from textual.content import Content

from tui.widgets.drawing import Drawing
from tui.widgets.scale import NotDrawable, finite

Grey = Sequence[Sequence[float]]  # rows of pixels, 0 black … 255 white
HALF = "▀"
RAMP = " .:-=+*#%@"  # least to most ink


def checked(image: Grey) -> Grey:
    """The image, if it is one.

    Raises:
        NotDrawable: rows differ in length, or a pixel is no number in 0 … 255.
    """
    if len({len(row) for row in image}) > 1:
        raise NotDrawable("the rows of the image differ in length")
    for row in image:
        finite(*row)
        if any(not 0 <= pixel <= 255 for pixel in row):
            raise NotDrawable("a pixel lies outside 0 to 255")
    return image


def sized(height: int, width: int, columns: int, rows: int) -> tuple[int, int]:
    """Largest (height, width) in pixels of the picture's shape within `rows` by `columns`; never enlarged."""
    scale = min(1.0, rows / height, columns / width)
    return max(1, int(height * scale + 1e-9)), max(1, int(width * scale + 1e-9))


def averaged(row: Sequence[float], parts: int) -> list[float]:
    """Means of `parts` equal stretches of the row, edge pixels counted by the part they cover."""
    size = len(row)
    means = []
    for part in range(parts):  # stretches in units of 1/parts pixel, so that all weights are whole
        start, end = part * size, (part + 1) * size
        total = 0.0
        for place in range(start // parts, -(-end // parts)):
            total += row[place] * (min(end, (place + 1) * parts) - max(start, place * parts))
        means.append(total / size)
    return means


def shrunk(image: Grey, height: int, width: int) -> list[list[float]]:
    """The image at `height` by `width` pixels, each the mean of the area it stands for."""
    narrow = [averaged(row, width) for row in image]
    columns = [averaged(column, height) for column in zip(*narrow, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def half_blocks(pixels: Grey) -> list[Content]:
    """Two rows of pixels per line, the upper as foreground; an odd last row has no lower half."""
    lines = []
    for upper, lower in zip(pixels[::2], [*pixels[1::2], None][: (len(pixels) + 1) // 2], strict=True):
        styles = [_tone(value) for value in upper]
        if lower is not None:
            styles = [f"{style} on {_tone(value)}" for style, value in zip(styles, lower, strict=True)]
        runs = ((style, len(list(run))) for style, run in groupby(styles))
        lines.append(Content.assemble(*((HALF * length, style) for style, length in runs)))
    return lines


def ramp(pixels: Grey, dark: bool) -> list[str]:
    """One sign for two pixels above one another; ink is light on a dark theme and dark on a light one."""
    signs = RAMP if dark else RAMP[::-1]
    lines = []
    for top in range(0, len(pixels), 2):
        pair = pixels[top : top + 2]
        means = (sum(values) / len(values) for values in zip(*pair, strict=True))
        lines.append("".join(signs[int(mean / 256 * len(signs))] for mean in means))
    return lines


class Thumbnail(Drawing):
    """The picture as large as fits in `rows` lines, and its size in numbers."""

    def __init__(self, image: Grey, rows: int = 16) -> None:
        super().__init__()
        self.image = image
        self.rows = rows
        self._pixels: tuple[int, list[list[float]]] = (0, [])  # of the width drawn last

    def draw(self, width: int) -> list[Content]:
        """Picture, then a caption."""
        if not self.image or not self.image[0]:
            return Content.styled("No image.", "$muted").wrap(width)
        if self._pixels[0] != width:
            high, wide = sized(
                len(checked(self.image)), len(self.image[0]), columns=max(1, width), rows=2 * self.rows
            )
            self._pixels = (width, shrunk(self.image, high, wide))
        pixels = self._pixels[1]
        told = f"{len(self.image[0])} x {len(self.image)} pixels, shown as {len(pixels[0])} x {len(pixels)}"
        caption = Content.styled(f"{told}. Not for diagnosis.", "$muted").wrap(max(8, width))
        if self._half_blocks_seen():
            return [*half_blocks(pixels), *caption]
        return [*(Content(text) for text in ramp(pixels, self.app.current_theme.dark)), *caption]

    def _half_blocks_seen(self) -> bool:
        """Greys need block glyphs, and more colours than sixteen."""
        app = self.app
        return not (self.glyphs.plain or app.no_color) and app.console.color_system in ("256", "truecolor")


def _tone(value: float) -> str:
    return f"#{round(value):02x}" + f"{round(value):02x}" * 2
