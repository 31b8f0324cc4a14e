from __future__ import annotations

import struct
import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels import apply_color_lut

from medio.dicom import read_dicom
from medio.errors import MedioError
from medio.pixels import display_frame
from medio.tables import LookupTable
from tests.medio.objects import image, part10

COLOURS = ("Red", "Green", "Blue")


def shown(ds: Dataset) -> NDArray[np.float32]:
    """Display values of an object that went through a file."""
    return display_frame(read_dicom(part10(ds)).dataset).values


def refused(ds: Dataset) -> str:
    """The reason code with which this object's pixels are refused."""
    with pytest.raises(MedioError) as caught:
        shown(ds)
    return caught.value.reason


def with_table(ds: FileDataset, sequence: str, descriptor: list[int], data: Any) -> FileDataset:
    """The image with a modality or VOI table."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", descriptor)
    item.add_new("LUTData", "OW" if isinstance(data, bytes) else "US", data)
    setattr(ds, sequence, [item])
    return ds


def palette(ds: FileDataset, descriptor: list[int], data: bytes, segmented: bool = False) -> FileDataset:
    """The image with the same table for all three colours."""
    for colour in COLOURS:
        ds.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", descriptor)
        name = f"{'Segmented' if segmented else ''}{colour}PaletteColorLookupTableData"
        setattr(ds, name, data)
    return ds


def test_values_outside_a_table_take_its_ends() -> None:
    """The first entry stands for all before, the last for all after."""
    table = LookupTable(-2, np.array([7, 8, 9], np.uint16), 8)
    np.testing.assert_array_equal(table.of(np.array([-100, -2, -1, 0, 1, 100])), [7, 7, 8, 9, 9, 9])


def test_a_table_from_12_to_8_bits_does_not_wrap_around() -> None:
    """Positions need more bits than entries."""
    stored = np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)
    entries = (np.arange(4096) // 16).tolist()
    ds = with_table(image(stored, BitsStored=12), "VOILUTSequence", [4096, 0, 8], entries)
    np.testing.assert_allclose(shown(ds), stored // 16 / 255, atol=1e-6)


@pytest.mark.parametrize("packed", [False, True])
def test_8_bit_entries_in_words_and_in_bytes(packed: bool) -> None:
    """Both forms are found in the wild."""
    stored = np.array([[0, 1], [2, 3]], dtype=np.uint8)
    entries = np.array([0, 255, 51, 102], "u1" if packed else "<u2").tobytes()
    ds = with_table(image(stored), "VOILUTSequence", [4, 0, 8], entries)
    np.testing.assert_allclose(shown(ds), [[0, 1], [0.2, 0.4]], atol=1e-6)


def test_a_modality_table_comes_before_the_window() -> None:
    """Entries are modality values."""
    stored = np.array([[0, 1], [2, 9]], dtype=np.uint8)
    ds = image(stored, WindowCenter=150.5, WindowWidth=101)
    with_table(ds, "ModalityLUTSequence", [4, 0, 16], [100, 150, 200, 125])
    np.testing.assert_allclose(shown(ds), [[0, 0.5], [1, 0.25]], atol=1e-6)


def test_a_modality_table_without_a_window_spans_the_frame() -> None:
    """The extremes of the modality values need not lie at those of the stored ones."""
    ds = with_table(
        image(np.array([[0, 1], [2, 1]], np.uint8)), "ModalityLUTSequence", [3, 0, 16], [50, 10, 30]
    )
    np.testing.assert_allclose(shown(ds), [[1, 0], [0.5, 0]], atol=1e-6)


def test_16_bit_indices_into_256_colours() -> None:
    """Indices past the palette take its last colour."""
    stored = np.array([[0, 255], [256, 999]], dtype=np.uint16)
    ds = palette(image(stored, "PALETTE COLOR"), [256, 0, 8], bytes(range(256)))
    np.testing.assert_allclose(shown(ds)[..., 0], [[0, 1], [1, 1]], atol=1e-6)


def test_segmented_palettes_equal_the_reference() -> None:
    """Discrete and linear segments give what pydicom's expansion gives."""
    stored = np.arange(105, dtype=np.uint8).reshape(7, 15)
    words = [0, 3, 0, 1000, 2000, 1, 50, 60_000, 0, 2, 9, 60_009]
    data = struct.pack(f"<{len(words)}H", *words)
    ds = palette(image(stored, "PALETTE COLOR"), [55, 0, 16], data, segmented=True)
    np.testing.assert_allclose(shown(ds), apply_color_lut(stored, ds) / 65535, atol=1e-6)


def test_segments_are_repeated_by_byte_offset() -> None:
    """An indirect segment copies from bytes, not words (PS3.3 C.7.9.2.3)."""
    words = [0, 2, 100, 200, 0, 1, 7, 2, 1, 8, 0]  # the segment at byte 8 once more
    data = struct.pack(f"<{len(words)}H", *words)
    stored = np.array([[0, 1], [2, 3]], dtype=np.uint8)
    ds = palette(image(stored, "PALETTE COLOR"), [4, 0, 16], data, segmented=True)
    np.testing.assert_allclose(shown(ds)[..., 1] * 65535, [[100, 200], [7, 7]], atol=0.01)


@pytest.mark.parametrize("repeated", [(1, 65_535, 9), (2, 65_535, 0, 0)])
def test_segments_expand_no_further_than_announced(repeated: tuple[int, ...]) -> None:
    """Kilobytes of segments could stand for gigabytes of entries."""
    words = [0, 2, 1, 2, *repeated * 20_000]
    data = struct.pack(f"<{len(words)}H", *words)
    ds = palette(image(np.zeros((2, 2), np.uint8), "PALETTE COLOR"), [256, 0, 16], data, segmented=True)
    started = time.process_time()
    try:
        shown(ds)
    except MedioError as error:
        assert error.reason == "bad-display-attributes"
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize("words", [[1, 5, 9, 0], [3, 1, 1, 1], [0, 0, 0, 0], [0, 2, 1, 2]])
def test_segments_that_make_no_sense_are_refused(words: list[int]) -> None:
    """A line without a start, an unknown kind, nothing at all, or too few entries."""
    data = struct.pack(f"<{len(words)}H", *words)
    ds = palette(image(np.zeros((2, 2), np.uint8), "PALETTE COLOR"), [256, 0, 16], data, segmented=True)
    assert refused(ds) == "bad-display-attributes"


def test_a_missing_palette_is_refused() -> None:
    """Indices without colours are no picture."""
    assert refused(image(np.zeros((2, 2), np.uint8), "PALETTE COLOR")) == "bad-display-attributes"
