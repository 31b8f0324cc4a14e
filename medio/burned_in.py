"""Is there writing in the pixels? A suspicion, not a reading: no character is recognised.

Drawn text is many narrow strokes side by side on a ground that is everywhere the same. So rows are cut into
bars (a sharp rise and a sharp fall, or the reverse, a few pixels apart), and a picture is suspected where
several neighbouring cells of a grid each hold many bars whose grounds agree. Anatomy has bars too, but their
grounds differ; a lone marker such as `R` is not a line of text. docs/identity.md has recall and precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medio.elements import number_of, text_of, texts_of

SUSPECTED: Final = "burned-in-text-suspected"
EDGE: Final = 30  # grey levels of 255 over two pixels that make a sharp edge
WIDEST_BAR: Final = 9  # pixels; larger letters are found in the picture shrunk by two and by four
CONTRAST: Final = 45  # grey levels between a bar and its ground, mean of a cell
_GROUND: Final = 6.0  # grey levels, standard deviation of the ground in a cell, …
_GROUND_SHARE: Final = 0.1  # … or this share of the contrast: compression spreads strong edges further
_RUN, _NEEDED = 5, 4  # of five cells side by side, four hold text
_SMALLEST_SIDE: Final = 32  # pixels; not looked at when shrunk below it
_SCANNERS: Final = tuple(  # CT, enhanced CT, MR, enhanced MR, PET, enhanced PET
    f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("2", "2.1", "4", "4.1", "128", "130")
)
_ENLARGED_SIDE: Final = 400  # pixels; in a picture up to this size, letters may be one pixel apart


@dataclass(frozen=True, slots=True)
class _Grid:
    """Cells of one size.

    Attributes:
        bars: fewest bars of a cell that holds text.
        runs: fewest runs in a picture that make a suspicion.
    """

    height: int
    width: int
    bars: int
    runs: int


_SMALL_TYPE: Final = _Grid(height=4, width=8, bars=3, runs=3)
_USUAL_TYPE: Final = _Grid(height=6, width=12, bars=5, runs=2)
_LARGE_TYPE: Final = _Grid(height=6, width=12, bars=5, runs=3)
_GRIDS: Final = {
    0.5: (_SMALL_TYPE, _USUAL_TYPE),
    1: (_SMALL_TYPE, _USUAL_TYPE),
    2: (_LARGE_TYPE,),
    4: (_LARGE_TYPE,),
}


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the picture in its pixels; bottom and right are outside."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True, slots=True)
class Writing:
    """What was seen.

    Attributes:
        score: runs of cells found over runs needed, of the grid that found most; 1 and more is a suspicion.
        boxes: where; empty without a suspicion.
    """

    score: float
    boxes: tuple[Box, ...]

    @property
    def suspected(self) -> bool:
        """Whether the picture may hold text."""
        return self.score >= 1


@dataclass(frozen=True, slots=True)
class _Bars:
    """Bars of one polarity: row and middle column, contrast, and grey level of the ground.

    Attributes:
        alike: how many rows below one another are the same and told once.
    """

    alike: int
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    contrast: NDArray[np.int16]
    ground: NDArray[np.int16]


def writing(pixels: NDArray[np.uint8]) -> Writing:
    """Look for drawn text.

    Args:
        pixels: uint8 [H, W] or [H, W, 3], as displayed; the less shrunken, the better.

    Returns:
        A score; text of fewer than about four letters, upright text, and text of low contrast stay below 1.
    """
    score, boxes = 0.0, list[Box]()
    for scale, grey in _sizes(_brightness(pixels)):
        alike = 2 if scale < 1 else 1
        shape = (grey.shape[0] * alike, grey.shape[1])
        for bars in _bars(grey, alike):
            for grid in _GRIDS[scale]:
                runs = _runs(bars, grid, shape)
                found = float(np.count_nonzero(runs)) / grid.runs
                score = max(score, found)
                boxes += _boxes(runs, grid, scale) if found >= 1 else []
    return Writing(score, tuple(boxes))


def suspects_writing(dataset: Any, *pictures: NDArray[np.uint8]) -> bool:
    """Whether the header declares writing (Burned In Annotation), or one of the pictures may show some."""
    declared = text_of(dataset, "BurnedInAnnotation").upper() == "YES"
    return declared or any(writing(picture).suspected for picture in pictures)


def is_measured(dataset: Any) -> bool:
    """Whether the pixels are measured values of a scanner, where no one draws: not worth a look at ingest.

    Original primary CT, MR and PET images of more than 8 bits (PS3.3 C.7.6.1.1.2). Consoles write on
    secondary captures and derived images; radiographs may carry exposed labels, ultrasound a banner.
    """
    kind = texts_of(dataset, "ImageType")[:2]
    measured = kind == ("ORIGINAL", "PRIMARY") and text_of(dataset, "SOPClassUID") in _SCANNERS
    return measured and number_of(dataset, "BitsStored", 0) > 8


def _sizes(grey_HW: NDArray[np.uint8]) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """The picture in several sizes, each with the number of original pixels that one of its pixels spans.

    Enlarged, it would have every row twice; only one of them is there.
    """
    if min(grey_HW.shape) <= _ENLARGED_SIDE:
        yield 0.5, grey_HW.repeat(2, axis=1)
    for scale in (1, 2, 4):
        if min(grey_HW.shape) < _SMALLEST_SIDE:
            return
        yield scale, grey_HW
        grey_HW = _halved(grey_HW)


def _brightness(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The strongest channel: writing in pure red or blue is as plain as in white."""
    if pixels.ndim == 2:
        return pixels
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    if pixels.strides[2] == 0 or (np.array_equal(red, green) and np.array_equal(green, blue)):
        return np.ascontiguousarray(green)
    return np.maximum(np.maximum(red, green), blue)


def _halved(grey_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = grey_HW.shape[0] // 2 * 2, grey_HW.shape[1] // 2 * 2
    even = grey_HW[:height, :width].astype(np.uint16)
    total = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    return (total >> 2).astype(np.uint8)


def _bars(grey_HW: NDArray[np.uint8], alike: int) -> Iterator[_Bars]:
    """Bright bars, then dark ones."""
    short = np.minimum(grey_HW, 256 - EDGE) + np.uint8(
        EDGE - 1
    )  # what an edge exceeds, without leaving uint8
    rises, falls = _starts(grey_HW[:, 2:] > short[:, :-2]), _starts(grey_HW[:, :-2] > short[:, 2:])
    yield _between(grey_HW, alike, rises, falls, np.minimum)
    yield _between(grey_HW, alike, falls, rises, np.maximum)


def _starts(edge_HW: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Flat indices where an edge begins in its row."""
    places = np.flatnonzero(edge_HW)
    follows = np.diff(places, prepend=-2) == 1
    return np.asarray(places[~follows | (places % edge_HW.shape[1] == 0)])


def _between(
    grey_HW: NDArray[np.uint8], alike: int, begins: NDArray[np.intp], ends: NDArray[np.intp], nearer: Any
) -> _Bars:
    """Bars from an edge to the next of the other kind in the same row, with the side nearer to the ground."""
    after = np.searchsorted(ends, begins)
    begins, after = begins[after < len(ends)], after[after < len(ends)]
    widths = ends[after] - begins
    begins, widths = begins[widths <= WIDEST_BAR], widths[widths <= WIDEST_BAR]
    last = grey_HW.shape[1] - 1
    rows, left = np.divmod(begins, last - 1)
    inside = left + widths < last - 1
    rows, left, right = rows[inside], left[inside], (left + widths)[inside]
    middle = (left + right) // 2 + 1
    ground = nearer(grey_HW[rows, left], grey_HW[rows, np.minimum(right + 3, last)]).astype(np.int16)
    return _Bars(alike, rows, middle, np.abs(grey_HW[rows, middle] - ground), ground)


def _runs(bars: _Bars, grid: _Grid, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Cells in the middle of a run of cells that hold text."""
    down, across = -(-shape[0] // grid.height), -(-shape[1] // grid.width)
    cells = (bars.rows * bars.alike // grid.height) * across + bars.columns // grid.width  # heights are even

    def total(weights: NDArray[Any] | None = None) -> NDArray[np.float64]:
        return np.bincount(cells, weights, down * across).astype(np.float64)

    number = total()
    enough = bars.alike * number >= grid.bars
    if np.count_nonzero(enough) < _NEEDED:
        return np.zeros((down, across), dtype=bool)
    safe = np.maximum(number, 1)
    contrast, ground = total(bars.contrast) / safe, total(bars.ground) / safe
    variance = total(bars.ground.astype(np.int32) ** 2) / safe - ground**2
    flat = variance < np.maximum(_GROUND, _GROUND_SHARE * contrast) ** 2
    text = enough & (contrast > CONTRAST) & flat
    near = ndimage.convolve1d(
        text.reshape(down, across).astype(np.uint8), [1] * _RUN, axis=1, mode="constant"
    )
    return np.asarray(near >= _NEEDED)


def _boxes(runs: NDArray[np.bool_], grid: _Grid, scale: float) -> list[Box]:
    """Runs that touch, as boxes in the picture's own pixels."""
    labels, _ = ndimage.label(runs, np.ones((3, 3)))
    high, wide, reach = grid.height * scale, grid.width * scale, _RUN // 2
    return [
        Box(
            int(rows.start * high),
            int(max(columns.start - reach, 0) * wide),
            int(rows.stop * high),
            int((columns.stop + reach) * wide),
        )
        for rows, columns in ndimage.find_objects(labels)
    ]
