"""Writing in the pixels is suspected where it is drawn, and anatomy is not."""

from __future__ import annotations

from csv import DictReader
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from medio.burned_in import SUSPECTED, Box, suspects_writing, writing
from medio.dicom import read_dicom
from medio.ingest import read_content
from medio.pixels import display_frame
from tests.medio.objects import image, part10

Pixels = NDArray[np.uint8]
LEFT, TOP, SIZE = 40, 60, 16


def _with_text(ground: Pixels, ink: int | tuple[int, int, int] = 255, size: int = SIZE) -> Pixels:
    picture = Image.fromarray(ground)
    ImageDraw.Draw(picture).text(
        (LEFT, TOP), "DOE^JOHN 19610405", fill=ink, font=ImageFont.load_default(size)
    )
    return np.asarray(picture)


def _soft(shape: tuple[int, int], seed: int = 0) -> Pixels:
    """Something like tissue: smooth hills and fine noise."""
    chance = np.random.default_rng(seed)
    coarse = Image.fromarray(chance.integers(40, 160, (12, 12), dtype=np.uint8)).resize(
        shape[::-1], Image.Resampling.BICUBIC
    )
    return np.asarray(np.clip(np.asarray(coarse) + chance.normal(0, 6, shape), 0, 255), dtype=np.uint8)


@pytest.mark.parametrize("size", [12, 16, 24, 40])
def test_text_is_suspected_where_it_is(size: int) -> None:
    """White on black, in sizes that scanners use; the box covers the writing."""
    seen = writing(_with_text(np.zeros((480, 640), np.uint8), size=size))
    assert seen.suspected
    assert any(
        box.top <= TOP + size and box.bottom >= TOP and box.left <= LEFT + 4 * size for box in seen.boxes
    )


@pytest.mark.parametrize("ground, ink", [(0, 140), (255, 0), (200, 60), (90, 255)])
def test_either_may_be_the_brighter(ground: int, ink: int) -> None:
    """Black on white is text as well."""
    assert writing(_with_text(np.full((300, 400), ground, np.uint8), ink)).suspected


@pytest.mark.parametrize("ink", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)])
def test_colour_does_not_hide_text(ink: tuple[int, int, int]) -> None:
    """Pure blue on black is hardly bright, yet plain to read."""
    assert writing(_with_text(np.zeros((300, 400, 3), np.uint8), ink)).suspected


def test_text_over_tissue_is_suspected() -> None:
    """The ground need not be black, only smoother than the writing."""
    assert writing(_with_text(_soft((480, 640)))).suspected


@pytest.mark.parametrize("seed", range(5))
def test_tissue_is_not_suspected(seed: int) -> None:
    """Hills and noise hold no line of text."""
    assert not writing(_soft((512, 512), seed)).suspected


def test_lines_and_markers_are_not_text() -> None:
    """A ruler, a frame and a lone letter are drawn, but say nothing."""
    picture = Image.new("L", (512, 512))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((20, 20, 490, 490), outline=255)
    for tick in range(40, 480, 20):
        pen.line((480, tick, 490, tick), fill=255)
    pen.text((60, 60), "R", fill=255, font=ImageFont.load_default(40))
    assert not writing(np.asarray(picture)).suspected


@pytest.mark.parametrize("shape", [(1, 1), (1, 600), (31, 31), (33, 33), (700, 3)])
def test_any_shape_is_taken(shape: tuple[int, int]) -> None:
    """A picture too small to hold text is not suspected."""
    checks = np.indices(shape).sum(axis=0) % 2 * 255
    assert not writing(np.zeros(shape, np.uint8)).suspected
    assert writing(checks.astype(np.uint8)).score >= 0


def test_boxes_lie_in_the_picture_of_their_size() -> None:
    """A picture enlarged for small letters still gives boxes in its own pixels."""
    seen = writing(_with_text(np.zeros((128, 256), np.uint8), size=10))
    assert seen.suspected
    assert all(0 <= box.top < box.bottom <= 136 and 0 <= box.left < box.right <= 280 for box in seen.boxes)
    assert isinstance(seen.boxes[0], Box)


def test_an_image_taken_in_carries_the_suspicion() -> None:
    """Where the header says there is no writing, the pixels are believed."""
    for pixels, expected in ((_with_text(np.zeros((300, 400), np.uint8)), True), (_soft((300, 400)), False)):
        found = read_content(part10(image(pixels, BurnedInAnnotation="NO")))
        assert (SUSPECTED in found.warnings) is expected


@pytest.mark.parametrize(
    ("image_type", "sop_class", "bits", "expected"),
    [
        (["ORIGINAL", "PRIMARY", "AXIAL"], "1.2.840.10008.5.1.4.1.1.2", 12, False),
        (["DERIVED", "SECONDARY"], "1.2.840.10008.5.1.4.1.1.2", 12, True),
        (["ORIGINAL", "PRIMARY"], "1.2.840.10008.5.1.4.1.1.7", 12, True),
        (["ORIGINAL", "PRIMARY"], "1.2.840.10008.5.1.4.1.1.2", 8, True),
        (["ORIGINAL", "PRIMARY"], "1.2.840.10008.5.1.4.1.1.1", 12, True),
        ([], "1.2.840.10008.5.1.4.1.1.2", 12, True),
    ],
)
def test_measured_slices_are_not_looked_at(
    image_type: list[str], sop_class: str, bits: int, expected: bool
) -> None:
    """Only what a scanner measured is taken for free of writing; screens and radiographs are looked at."""
    pixels = _with_text(np.zeros((300, 400), np.uint8)).astype(np.uint16)
    scan = image(pixels, ImageType=image_type, SOPClassUID=sop_class)
    scan.BitsStored, scan.HighBit = bits, bits - 1
    assert (SUSPECTED in read_content(part10(scan)).warnings) is expected


@pytest.mark.parametrize("declared, expected", [("YES", True), ("NO", False), ("", False)])
def test_the_header_may_declare_writing(declared: str, expected: bool) -> None:
    """For an export, what the header admits is enough."""
    pixels = _soft((300, 400))
    assert suspects_writing(image(pixels, BurnedInAnnotation=declared), pixels) is expected


def test_a_slice_costs_little() -> None:
    """It is paid for every image taken in."""
    pixels = _soft((512, 512))
    times = []
    for _ in range(10):
        began = perf_counter()
        writing(pixels)
        times.append(perf_counter() - began)
    assert min(times) < 0.02  # 1.5 ms on a quiet core


def test_known_writing_of_real_images_is_suspected(real_data: Path) -> None:
    """Every image whose burned-in text was checked by hand is found."""
    rows = DictReader((real_data / "dicom" / "MANIFEST.csv").open())
    known = [row["file"] for row in rows if row["burned_in"]]
    assert len(known) >= 10
    missed = []
    for file in known:
        values = display_frame(read_dicom((real_data / "dicom" / file).read_bytes()).dataset).values
        missed += [file] if not writing(np.asarray(np.round(values * 255), np.uint8)).suspected else []
    assert missed == []
