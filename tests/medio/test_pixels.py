from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_windowing

from medio.dicom import read_dicom
from medio.errors import MedioError
from medio.ingest import read_content
from medio.layout import check_layout
from medio.pixels import chosen_frame, codestream_size, display_frame, pixel_statistics, stored_frames
from medio.tones import toning_of
from medio.transforms import LONGEST_SIDE, to_frame
from tests.medio.objects import SC, image, jpeg_image, part10

RAMP = np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)


def shown(ds: Dataset) -> NDArray[np.float32]:
    """Display values of an object that went through a file."""
    return display_frame(read_dicom(part10(ds)).dataset).values


def refused(ds: Dataset) -> str:
    """The reason code with which this object's pixels are refused."""
    with pytest.raises(MedioError) as caught:
        display_frame(read_dicom(part10(ds)).dataset)
    return caught.value.reason


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(2048, 4096), (600, 350), (40.5, 1), (-100, 700)])
def test_windows_equal_the_reference(function: str, center: float, width: float) -> None:
    """Our window equals pydicom's slow one in all three functions."""
    ds = image(RAMP, BitsStored=12, WindowCenter=center, WindowWidth=width, VOILUTFunction=function)
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    expected = apply_windowing(RAMP, ds) / 4095.0
    np.testing.assert_allclose(shown(ds), expected, atol=1e-6)


def test_monochrome1_is_inverted_after_the_window() -> None:
    """The smallest value is white."""
    window: dict[str, Any] = {"WindowCenter": 1000, "WindowWidth": 500}
    usual = shown(image(RAMP, "MONOCHROME2", BitsStored=12, **window))
    np.testing.assert_allclose(
        shown(image(RAMP, "MONOCHROME1", BitsStored=12, **window)), 1 - usual, atol=1e-6
    )


def test_signed_values_are_rescaled_before_the_window() -> None:
    """Hounsfield units: stored sign, slope and intercept, then the window."""
    stored = np.array([[-1024, 0], [24, 1000]], dtype=np.int16)
    ds = image(stored, RescaleSlope=2, RescaleIntercept=-8, WindowCenter=40, WindowWidth=81)
    np.testing.assert_allclose(shown(ds), [[0.0, 0.0], [0.5 + 0.5 / 80, 1.0]], atol=1e-6)


def test_plain_8_bit_is_shown_as_it_is() -> None:
    """A screenshot keeps its grey levels."""
    grey = np.array([[10, 20], [30, 200]], dtype=np.uint8)
    np.testing.assert_array_equal(to_frame(read_dicom(part10(image(grey))).dataset).pixels[..., 1], grey)


def test_without_a_window_the_range_of_the_frame_is_shown() -> None:
    """Padding does not stretch the range."""
    stored = np.array([[-2000, 0], [50, 100]], dtype=np.int16)
    np.testing.assert_allclose(shown(image(stored))[1], [2050 / 2100, 1.0], atol=1e-6)
    padded = image(stored)
    padded.add_new("PixelPaddingValue", "SS", -2000)
    np.testing.assert_allclose(shown(padded), [[0.0, 0.0], [0.5, 1.0]], atol=1e-6)


def test_palette_indices_become_colours() -> None:
    """Each index is looked up in its three tables."""
    ds = image(np.array([[0, 1], [2, 1]], dtype=np.uint8), "PALETTE COLOR")
    for name, entries in (("Red", (0, 255, 0)), ("Green", (0, 0, 255)), ("Blue", (9, 0, 51))):
        ds.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [3, 0, 8])
        setattr(ds, f"{name}PaletteColorLookupTableData", bytes(entries) + b"\0")
    expected = np.array([[[0, 0, 9], [255, 0, 0]], [[0, 255, 51], [255, 0, 0]]]) / 255
    np.testing.assert_allclose(shown(ds), expected, atol=1e-6)


def test_palettes_of_big_endian_files_are_the_same(real_data: Path) -> None:
    """Tables of 16-bit words follow the file's byte order."""
    little, big = (
        display_frame(read_dicom((real_data / f"dicom/files/pydicom-data/{name}.dcm").read_bytes()).dataset)
        for name in ("OBXXXX1A", "OBXXXX1A_expb")
    )
    np.testing.assert_array_equal(big.values, little.values)
    assert little.values.mean() > 0.03


def test_ybr_is_shown_as_rgb() -> None:
    """A pure red stored as luma and chroma comes out red."""
    red = np.full((2, 2, 3), (76, 85, 255), dtype=np.uint8)
    np.testing.assert_allclose(shown(image(red, "YBR_FULL"))[0, 0], (1, 0, 0), atol=0.01)


def test_planes_and_16_bit_colour() -> None:
    """Colour by plane and colour by pixel give one picture, scaled by the bits stored."""
    rgb = np.arange(12, dtype=np.uint16).reshape(2, 2, 3) * 80
    planes = image(rgb, "RGB", BitsStored=10)
    planes.PlanarConfiguration, planes.PixelData = 1, rgb.transpose(2, 0, 1).tobytes()
    np.testing.assert_allclose(shown(planes), rgb / 1023, atol=1e-6)


def test_the_middle_frame_stands_for_many() -> None:
    """The rule is fixed and said."""
    frames = np.stack([np.full((4, 4), value, dtype=np.uint8) for value in (10, 20, 30, 40)])
    found = display_frame(read_dicom(part10(image(frames, NumberOfFrames=4))).dataset)
    assert (chosen_frame(1), chosen_frame(5)) == ((0, "only frame"), (2, "middle frame of 5"))
    assert found.frame_rule == "middle frame of 4"
    np.testing.assert_allclose(found.values, 30 / 255)
    assert len(list(stored_frames(read_dicom(part10(image(frames, NumberOfFrames=4))).dataset))) == 4


def test_the_window_of_the_chosen_frame_holds() -> None:
    """Enhanced objects keep window and rescale per frame."""
    frames = np.full((3, 2, 2), 50, dtype=np.uint16)
    ds = image(frames, NumberOfFrames=3)
    groups = []
    for center in (0, 50.5, 200):
        voi, group = Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = center, 101
        group.FrameVOILUTSequence = [voi]
        groups.append(group)
    ds.PerFrameFunctionalGroupsSequence = groups
    np.testing.assert_allclose(shown(ds), 0.5)


def test_a_voi_table_is_applied() -> None:
    """A VOI LUT goes before any window."""
    ds = image(np.array([[0, 1], [2, 3]], dtype=np.uint16))
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4, 0, 16])
    item.add_new("LUTData", "US", [0, 65535, 13107, 65535])
    ds.VOILUTSequence = [item]
    np.testing.assert_allclose(shown(ds), [[0, 1], [0.2, 1]], atol=1e-6)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2"])
@pytest.mark.parametrize("window", [{}, {"WindowCenter": 20, "WindowWidth": 99}])
def test_levels_show_what_every_pixel_would(photometric: str, kind: str, window: dict[str, Any]) -> None:
    """The pipeline once a level equals the pipeline once a pixel, for both signs."""
    limits = np.iinfo(kind)
    stored = np.random.default_rng(1).integers(limits.min // 40, limits.max // 40, (90, 91)).astype(kind)
    dataset = read_dicom(
        part10(image(stored, photometric, RescaleSlope=2, RescaleIntercept=-7, **window))
    ).dataset
    found = display_frame(dataset)
    tone = toning_of(dataset, stored, 0, check_layout(dataset)).tone
    assert found.tables_TK is not None
    np.testing.assert_array_equal(found.values, tone(stored).astype(np.float32))


def test_a_table_for_every_level_would_be_longer_than_a_small_frame() -> None:
    """Few pixels of many levels are computed one by one, and look the same."""
    stored = np.array([[0, 40_000], [50, 65_535]], dtype=np.uint16)
    found = display_frame(read_dicom(part10(image(stored))).dataset)
    assert found.tables_TK is None
    np.testing.assert_allclose(found.values, stored / 65535, atol=1e-6)


def test_an_inverse_presentation_is_followed_once() -> None:
    """MONOCHROME1 says the same as the shape INVERSE; the shape alone is followed, too, and noted."""
    grey = np.array([[10, 20], [30, 200]], dtype=np.uint8)
    for photometric, warnings in (("MONOCHROME1", ()), ("MONOCHROME2", ("contradictory-presentation",))):
        ds = image(grey, photometric, PresentationLUTShape="INVERSE")
        found = display_frame(read_dicom(part10(ds)).dataset)
        np.testing.assert_allclose(found.values, 1 - grey / 255, atol=1e-6)
        assert found.warnings == warnings


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"WindowCenter": [40, 50], "WindowWidth": [80, 90]}, "first-of-several-windows"),
        ({"WindowCenter": 40, "WindowWidth": 0}, "window-ignored"),
        ({"BitsStored": 12}, "no-window"),
        ({"HighBit": 15, "BitsStored": 12}, "high-bit-ignored"),
        ({"LossyImageCompression": "01"}, "lossy"),
        ({"BurnedInAnnotation": "YES"}, "burned-in-annotation"),
        ({"PixelData": RAMP.tobytes() + bytes(8)}, "bytes-after-pixels"),
        ({"OverlayRows": 4}, "overlays-left-out"),
        ({"PatientID": ""}, "no-patient-id"),
        ({"StudyInstanceUID": ""}, "no-study-uid"),
        ({"SOPInstanceUID": ""}, "no-instance-uid"),
        ({"StudyDate": "00000000"}, "unreadable-date"),
        ({"SOPClassUID": SC}, "header-disagrees"),
    ],
)
def test_what_was_tolerated_is_said(change: dict[str, Any], code: str) -> None:
    """An image that is shown differently from what its header says, or lacks a handle, carries a code."""
    ds = image(RAMP)
    plain = set(read_content(part10(ds)).warnings)
    for keyword, value in change.items():
        if keyword == "OverlayRows":
            ds.add_new(0x60000010, "US", value)
        else:
            setattr(ds, keyword, value)
    found = set(read_content(_as_is(ds)).warnings)
    assert code in found and (code not in plain or code == "no-window")


def _as_is(ds: Dataset) -> bytes:
    """The file with whatever it says, the file header left alone."""
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=False)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"PixelData": bytes(510)}, "truncated-pixels"),
        ({"PixelData": bytes(1024)}, "pixel-length-mismatch"),
        ({"NumberOfFrames": 3}, "truncated-pixels"),
        ({"Rows": 0}, "bad-pixel-attributes"),
        ({"Columns": 32}, "truncated-pixels"),
        ({"SamplesPerPixel": 3}, "bad-pixel-attributes"),
        ({"BitsStored": 17}, "bad-pixel-attributes"),
        ({"BitsAllocated": 24}, "bad-pixel-attributes"),
        ({"PhotometricInterpretation": "XXX"}, "bad-pixel-attributes"),
        ({"RescaleSlope": 0}, "bad-display-attributes"),
    ],
)
def test_a_header_that_contradicts_the_pixels_is_refused(change: dict[str, Any], reason: str) -> None:
    """Lengths and attributes are checked before anything is decoded."""
    ds = image(RAMP, BitsStored=12)
    for keyword, value in change.items():
        setattr(ds, keyword, value)
    assert refused(ds) == reason


@pytest.mark.parametrize("frames", [0, 1])
def test_no_frames_means_one(frames: int) -> None:
    """Some systems write 0 where nothing belongs; pydicom reads it likewise."""
    dataset = read_dicom(part10(image(RAMP, BitsStored=12, NumberOfFrames=frames))).dataset
    assert (pixel_statistics(dataset).shape, display_frame(dataset).frame_rule) == ((16, 16), "only frame")


def _real_map(values: NDArray[np.float32], **window: float) -> Dataset:
    ds = image(RAMP, **window)
    del ds.PixelData
    ds.BitsAllocated = 32
    ds.FloatPixelData = values.tobytes()
    return read_dicom(part10(ds)).dataset


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("window", [{}, {"WindowCenter": 0, "WindowWidth": 2, "RescaleSlope": 1}])
def test_pixels_without_a_value_are_black(value: float, window: dict[str, float]) -> None:
    """Maps of real numbers have pixels outside the body that are no numbers; they do not describe it."""
    values = np.linspace(-1, 1, 256, dtype=np.float32).reshape(16, 16)
    values[15, 15] = value
    dataset = _real_map(values, **window)
    found, described = display_frame(dataset), pixel_statistics(dataset)
    assert (found.values[15, 15], found.values[15, 14] > 0.9) == (0, True)
    assert "values-left-out" in found.warnings
    assert (described.minimum, described.maximum) == (-1, float(values[15, 14]))


def test_pixels_of_which_none_has_a_value_are_refused() -> None:
    """Nothing can be shown and nothing described."""
    dataset = _real_map(np.full((16, 16), np.nan, np.float32))
    for read in (display_frame, pixel_statistics):
        with pytest.raises(MedioError) as caught:
            read(dataset)
        assert caught.value.reason == "bad-pixel-values"


def test_a_compressed_frame_of_another_size_is_refused() -> None:
    """The stream's own size is believed, not the header's."""
    small = jpeg_image(np.zeros((16, 16), dtype=np.uint8))
    coded = next(generate_frames(small.PixelData, number_of_frames=1))
    assert codestream_size(coded) == (16, 16)
    assert refused(jpeg_image(np.zeros((32, 32), dtype=np.uint8), coded)) == "pixel-size-mismatch"


def test_a_cut_jpeg_is_refused() -> None:
    """Decoders fill the missing half with grey; nobody counts such pixels."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    coded = next(generate_frames(jpeg_image(noise).PixelData, number_of_frames=1))
    assert refused(jpeg_image(noise, coded[: len(coded) // 2])) == "truncated-pixels"


def test_more_frames_than_fragments_is_refused() -> None:
    """A compressed object cannot declare frames it does not hold."""
    ds = jpeg_image(np.zeros((16, 16), dtype=np.uint8))
    ds.NumberOfFrames = 999_999
    assert refused(ds) == "truncated-pixels"


@pytest.mark.parametrize("shape", [(1024, 300), (2000, 2000, 3), (20, 513)])
def test_large_frames_shrink_and_keep_their_aspect(shape: tuple[int, ...]) -> None:
    """The longest side is limited; the picture stays uint8 RGB."""
    pixels = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    found = to_frame(read_dicom(part10(image(pixels, "RGB" if len(shape) == 3 else "MONOCHROME2"))).dataset)
    height, width, samples = found.pixels.shape
    assert (found.pixels.dtype, samples, max(height, width)) == (np.uint8, 3, LONGEST_SIDE)
    assert abs(height / width - shape[0] / shape[1]) < 0.1 * shape[0] / shape[1]
    assert abs(float(found.pixels.mean()) - float(pixels.mean())) < 2.0


@pytest.mark.parametrize("shape", [(1, 65_535), (20_000, 3), (1, 1100), (2, 1025)])
def test_strips_keep_a_pixel_across(shape: tuple[int, int]) -> None:
    """A side is never rounded away."""
    frame = to_frame(read_dicom(part10(image(np.full(shape, 77, np.uint8)))).dataset).pixels
    assert sorted(frame.shape[:2]) == [1, LONGEST_SIDE]
    assert (frame == 77).all()


def test_small_frames_stay_as_they_are() -> None:
    """Nothing is enlarged, colour is kept exactly."""
    pixels = np.random.default_rng(1).integers(0, 255, (30, 41, 3), dtype=np.uint8)
    np.testing.assert_array_equal(to_frame(read_dicom(part10(image(pixels, "RGB"))).dataset).pixels, pixels)


def test_a_frame_larger_than_the_limit_is_refused_before_decoding() -> None:
    """A compressed kilobyte may declare gigabytes."""
    ds = jpeg_image(np.zeros((16, 16), dtype=np.uint8))
    ds.Rows = ds.Columns = 65_535
    assert refused(ds) == "frame-too-large"


def test_more_frames_than_can_be_described_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One frame is shown; describing all of them has an end."""
    frames = np.zeros((4, 4, 4), dtype=np.uint8)
    data = part10(image(frames, NumberOfFrames=4))
    dataset = read_dicom(data).dataset
    monkeypatch.setattr("medio.pixels.MAX_DESCRIBED_BYTES", 63)
    with pytest.raises(MedioError) as caught:
        pixel_statistics(dataset)
    assert caught.value.reason == "too-many-frames"
    assert display_frame(dataset).frame_rule == "middle frame of 4"
    found = read_content(data, statistics=True)
    assert (found.statistics, found.warnings[-1:]) == (None, ("too-many-frames",))
