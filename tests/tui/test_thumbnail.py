"""The thumbnail: every pixel of the picture counts once, and greys that cannot be shown become a ramp."""

from __future__ import annotations

import asyncio
import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from textual.app import App, ComposeResult

from tests.tui.pilot import glass, until
from tui.glyphs import ASCII, UNICODE, Glyphs
from tui.widgets.scale import NotDrawable
from tui.widgets.thumbnail import HALF, RAMP, Thumbnail, checked, half_blocks, ramp, shrunk, sized

SIDES = st.tuples(st.integers(1, 12), st.integers(1, 12))
PIXELS = st.integers(0, 255)


@st.composite
def images(draw: st.DrawFn) -> list[list[int]]:
    """A grey image of at most twelve by twelve pixels."""
    height, width = draw(SIDES)
    row = st.lists(PIXELS, min_size=width, max_size=width)
    return draw(st.lists(row, min_size=height, max_size=height))


def exactly_shrunk(image: list[list[int]], height: int, width: int) -> list[list[Fraction]]:
    """Slow oracle: every pixel cut into height x width equal bits, each bit counted where it falls."""
    high, wide = len(image), len(image[0])
    total = [[0] * width for _ in range(height)]
    for y in range(high * height):
        for x in range(wide * width):
            total[y // high][x // wide] += image[y // height][x // width]
    return [[Fraction(value, high * wide) for value in row] for row in total]


@given(images(), st.data())
def test_each_pixel_shown_is_the_mean_of_its_area(image: list[list[int]], data: st.DataObject) -> None:
    """At any smaller size, edge pixels by the part that falls inside; the mean of the whole is kept."""
    height = data.draw(st.integers(1, len(image)))
    width = data.draw(st.integers(1, len(image[0])))
    drawn = shrunk(image, height, width)
    for row, expected in zip(drawn, exactly_shrunk(image, height, width), strict=True):
        assert row == pytest.approx([float(value) for value in expected])
    mean = sum(map(sum, image)) / (len(image) * len(image[0]))
    assert sum(map(sum, drawn)) / (height * width) == pytest.approx(mean)


@given(images())
def test_an_image_that_fits_is_shown_as_it_is(image: list[list[int]]) -> None:
    """Nothing is enlarged or smoothed."""
    assert sized(len(image), len(image[0]), columns=12, rows=12) == (len(image), len(image[0]))
    assert shrunk(image, len(image), len(image[0])) == image


@given(
    st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 132), st.integers(1, 64).map(lambda n: 2 * n)
)
def test_the_shape_is_kept_in_the_room_there_is(height: int, width: int, columns: int, rows: int) -> None:
    """Never larger than room or image, at least one pixel, and one side fills its room or is whole."""
    high, wide = sized(height, width, columns, rows)
    assert 1 <= high <= min(height, rows)
    assert 1 <= wide <= min(width, columns)
    scale = min(Fraction(1), Fraction(rows, height), Fraction(columns, width))
    assert abs(high - max(1, height * scale)) <= 1
    assert abs(wide - max(1, width * scale)) <= 1


def test_two_pixels_share_a_cell() -> None:
    """Upper as foreground, lower as background, runs joined; an odd last row leaves its lower half free."""
    upper, last = half_blocks([[0, 0, 255], [16, 16, 16], [127.6, 0, 0]])
    assert upper.plain == last.plain == HALF * 3
    assert [(span.start, span.end, span.style) for span in upper.spans] == [
        (0, 2, "#000000 on #101010"),
        (2, 3, "#ffffff on #101010"),
    ]
    assert [(span.start, span.end, span.style) for span in last.spans] == [
        (0, 1, "#808080"),
        (1, 3, "#000000"),
    ]


def test_the_ramp_goes_from_least_to_most_ink() -> None:
    """Ten even steps; a cell is the mean of its two pixels; a light theme turns the ramp round."""
    steps = [[256 * step / 10 for step in range(10)], [256 * step / 10 for step in range(10)]]
    assert ramp(steps, dark=True) == [RAMP]
    assert ramp(steps, dark=False) == [RAMP[::-1]]
    assert ramp([[0], [255]], dark=True) == [RAMP[4]]
    assert ramp([[255], [255], [255]], dark=True) == ["@", "@"]


@pytest.mark.parametrize("image", [[[0, 1], [2]], [[math.nan]], [[0, math.inf]], [[256]], [[-1]]])
def test_what_is_no_grey_image_is_refused(image: list[list[float]]) -> None:
    """Ragged rows, no numbers, greys that are none."""
    with pytest.raises(NotDrawable):
        checked(image)


class Frame(App[None]):
    """An app that shows one thumbnail."""

    def __init__(self, image: list[list[float]], glyphs: Glyphs, colours: ColorSystem) -> None:
        super().__init__()
        self.image, self.glyphs = image, glyphs
        self.console._color_system = colours  # as it finds them in a terminal

    def compose(self) -> ComposeResult:
        """The thumbnail alone."""
        yield Thumbnail(self.image)


def shown(
    image: list[list[float]],
    size: tuple[int, int],
    glyphs: Glyphs = UNICODE,
    colours: ColorSystem = ColorSystem.TRUECOLOR,
    no_color: bool = False,
) -> list[str]:
    """The lines of a thumbnail in a terminal that is first another size, then `size`."""

    async def whole() -> list[str]:
        app = Frame(image, glyphs, colours)
        app.no_color = no_color
        async with app.run_test(size=(100, 40)) as pilot:
            await pilot.resize_terminal(*size)
            await until(pilot, lambda: app.screen.size.width == size[0])
            return [line.rstrip() for line in glass(app).splitlines() if line.strip()]

    return asyncio.run(whole())


SQUARE = [[float((x + y) * 2) for x in range(64)] for y in range(64)]


@pytest.mark.parametrize(("width", "side"), [(120, 32), (80, 32), (20, 20), (9, 9)])
def test_it_is_drawn_anew_for_the_width(width: int, side: int) -> None:
    """After a resize the picture fills the new room, at most sixteen lines, and says its size."""
    lines = shown(SQUARE, (width, 40))
    rows = -(-side // 2)
    assert lines[:rows] == [HALF * side] * rows
    assert f"64 x 64 pixels, shown as {side} x {side}." in " ".join(" ".join(lines[rows:]).split())


@pytest.mark.parametrize(
    "terminal",
    [{"glyphs": ASCII}, {"no_color": True}, {"colours": ColorSystem.STANDARD}],
    ids=["ascii", "no colour", "sixteen colours"],
)
def test_greys_that_cannot_be_shown_become_a_ramp(terminal: dict[str, Any]) -> None:
    """Without block glyphs, without colours, with three greys: the same picture in ten signs."""
    lines = shown(SQUARE, (80, 40), **terminal)
    assert all(len(line) <= 32 and set(line) <= set(RAMP) for line in lines[:16])
    assert HALF not in "".join(lines)
    assert lines[15][-1] == "@"


def test_256_colours_have_greys_enough() -> None:
    """Terminals that tell 256 colours get half blocks."""
    assert shown([[0.0]], (80, 40), colours=ColorSystem.EIGHT_BIT)[0] == HALF


@pytest.mark.parametrize(
    ("image", "told"),
    [([], "No image."), ([[]], "No image."), ([[math.nan]], "✗ Not drawn: a value is not a number.")],
)
def test_no_picture_is_a_sentence(image: list[list[float]], told: str) -> None:
    """An empty image, and one that is none, stop the drawing, not the screen."""
    assert shown(image, (80, 24)) == [told]


def test_one_pixel_is_a_picture() -> None:
    """The smallest there is."""
    assert shown([[255.0]], (80, 24)) == [HALF, "1 x 1 pixels, shown as 1 x 1. Not for diagnosis."]
