"""Decoded values against the array that was encoded, over syntaxes, bit depths, colour models and layouts."""

from __future__ import annotations

import io
import itertools
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.pixels.utils import pack_bits
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from medio.decoders import JPEG_EXTENDED, JPEG_PROGRESSIVE
from medio.dicom import read_dicom
from medio.errors import MedioError
from medio.ingest import read_content
from medio.layout import DEFLATED_FRAMES, ENCAPSULATED_UNCOMPRESSED
from medio.pixels import display_frame, pixel_statistics, stored_frames
from medio.records import Outcome
from medio.transforms import to_frame
from tests.medio.objects import dataset, image, part10

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
DEPTHS = ((1, 8), (5, 8), (8, 8), (8, 16), (10, 16), (12, 16), (16, 16), (32, 32))
SHAPES = ((5, 7, 1), (1, 1, 3), (3, 4, 3), (5, 7, 3))  # rows, columns, frames


def values_of(shape: tuple[int, ...], bits: int, allocated: int, signed: bool) -> NDArray[Any]:
    """A slope over the whole range that repeats: every bit is used, and codecs can press it."""
    low, span = (-(1 << (bits - 1)) if signed else 0), 1 << bits
    steps = np.arange(int(np.prod(shape)), dtype=np.int64) * max(1, span // 199) % span
    return (steps + low).reshape(shape).astype(f"{'i' if signed else 'u'}{allocated // 8}")


def native(
    values: NDArray[Any], photometric: str, bits: int, frames: int, planar: int = 0, syntax: UID = NATIVE[1]
) -> FileDataset:
    """An uncompressed image of [N, H, W] or [N, H, W, 3] values in any native syntax."""
    colour = values.ndim == 4
    ds = dataset(syntax=syntax)
    ds.set_original_encoding(syntax.is_implicit_VR, syntax.is_little_endian)
    ds.Rows, ds.Columns = values.shape[1:3]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 3 if colour else 1, photometric
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = values.itemsize * 8, bits, bits - 1
    ds.PixelRepresentation = int(values.dtype.kind == "i")
    if frames > 1:
        ds.NumberOfFrames = frames
    if colour:
        ds.PlanarConfiguration = planar
    if photometric == "PALETTE COLOR":
        for name in ("Red", "Green", "Blue"):
            ds.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
            setattr(ds, f"{name}PaletteColorLookupTableData", np.arange(256, dtype="<u2").tobytes())
    data = values.transpose(0, 3, 1, 2) if colour and planar else values
    data = data.astype(data.dtype.newbyteorder("<" if syntax.is_little_endian else ">")).tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
    return ds


def decoded(ds: FileDataset) -> NDArray[Any]:
    """All stored values [N, …] of an object that went through a file; it can be shown and described, too."""
    return decoded_bytes(part10(ds))


def decoded_bytes(data: bytes) -> NDArray[Any]:
    """The same of the file's bytes."""
    found = read_dicom(data).dataset
    frames = np.stack(list(stored_frames(found)))
    statistics = pixel_statistics(found)
    assert statistics.shape == (frames.shape if len(frames) > 1 else frames.shape[1:])
    assert (statistics.minimum, statistics.maximum) == (float(frames.min()), float(frames.max()))
    assert to_frame(found).pixels.dtype == np.uint8
    return frames


def refused(ds: FileDataset) -> str:
    """The reason code with which this object's pixels are refused."""
    with pytest.raises(MedioError) as caught:
        display_frame(read_dicom(part10(ds)).dataset)
    return caught.value.reason


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB"])
def test_native_pixels(syntax: UID, photometric: str) -> None:
    """Every depth, sign, plane order, odd size and number of frames gives what was stored."""
    colour = photometric == "RGB"
    for (bits, allocated), signed, planar, (rows, columns, frames) in itertools.product(
        DEPTHS, (False, True), (0, 1) if colour else (0,), SHAPES
    ):
        if signed and photometric in ("RGB", "PALETTE COLOR"):
            continue
        values = values_of((frames, rows, columns, *((3,) if colour else ())), bits, allocated, signed)
        found = decoded(native(values, photometric, bits, frames, planar, syntax))
        np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("frames", [1, 3])
def test_single_bits_need_not_end_at_a_byte(frames: int) -> None:
    """Frames of 35 bits follow one another without a gap."""
    values = values_of((frames, 5, 7), 1, 8, False)
    ds = native(values, "MONOCHROME2", 1, frames)
    ds.BitsAllocated, ds.PixelData = 1, pack_bits(values)
    np.testing.assert_array_equal(decoded(ds), values)


@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_the_stored_ones_do_not_count(signed: bool) -> None:
    """Overlays of old files lie in the high bits."""
    values = values_of((1, 5, 7), 12, 16, signed)
    ds = native(values, "MONOCHROME2", 12, 1)
    high = np.random.default_rng(0).integers(0, 16, values.shape).astype(np.uint16) << 12
    ds.PixelData = (values.view(np.uint16) & 0x0FFF | high).tobytes()
    np.testing.assert_array_equal(decoded(ds), values)


def test_bytes_in_big_endian_words_are_swapped() -> None:
    """8-bit pixels may be stored as words, frame borders in the middle of them."""
    values = values_of((3, 5, 7), 8, 8, False)
    ds = native(values, "MONOCHROME2", 8, 3, syntax=ExplicitVRBigEndian)
    ds.PixelData = np.frombuffer(ds.PixelData, np.uint16).byteswap().tobytes()
    ds["PixelData"].VR = "OW"
    np.testing.assert_array_equal(decoded(ds), values)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(("keyword", "bits"), [("FloatPixelData", 32), ("DoubleFloatPixelData", 64)])
def test_real_numbers(syntax: UID, keyword: str, bits: int) -> None:
    """Float pixels come without BitsStored."""
    values = np.random.default_rng(0).normal(size=(3, 5, 7)).astype(f"f{bits // 8}")
    ds = native(values_of((3, 5, 7), 16, 16, False), "MONOCHROME2", 16, 3, syntax=syntax)
    del ds.PixelData, ds.BitsStored, ds.HighBit
    ds.BitsAllocated = bits
    order = "<" if syntax.is_little_endian else ">"
    ds.add_new(
        keyword, "OF" if bits == 32 else "OD", values.astype(values.dtype.newbyteorder(order)).tobytes()
    )
    np.testing.assert_array_equal(decoded(ds), values)


def test_shared_chroma() -> None:
    """Native YBR_FULL_422: two pixels, one chroma; grey chroma gives grey pixels."""
    luma = values_of((2, 4, 6), 8, 8, False)
    ds = native(np.zeros((2, 4, 6, 3), np.uint8), "YBR_FULL_422", 8, 2)
    pairs = luma.reshape(-1, 2)
    ds.PixelData = np.hstack([pairs, np.full_like(pairs, 128)]).tobytes()
    np.testing.assert_array_equal(decoded(ds), np.repeat(luma[..., None], 3, axis=3))


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda uid: uid.name)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB"])
def test_lossless_compression(syntax: UID, photometric: str) -> None:
    """RLE, JPEG-LS and JPEG 2000 give back every value, signed ones and odd sizes among them."""
    plugin = {RLELossless: "pydicom", JPEGLSLossless: "pyjpegls", JPEG2000Lossless: "pylibjpeg"}[syntax]
    for (bits, allocated), signed, frames in itertools.product(DEPTHS, (False, True), (1, 3)):
        if allocated == 32 or (signed and photometric in ("RGB", "PALETTE COLOR")):
            continue
        if (syntax == RLELossless and (bits, allocated) == (8, 16)) or (
            syntax == JPEGLSLossless and bits == 1
        ):
            continue  # what no encoder here writes
        shape = (frames, 39, 41, *((3,) if photometric == "RGB" else ()))
        values = values_of(shape, bits, allocated, signed)
        ds = native(values, photometric, bits, frames)
        ds.compress(syntax, encoding_plugin=plugin)
        np.testing.assert_array_equal(decoded(ds), values)


@pytest.mark.parametrize(("bits", "signed"), [(5, False), (5, True), (7, False), (8, False), (8, True)])
def test_few_bits_of_lossless_jpeg_do_not_end_the_process(tmp_path: Path, bits: int, signed: bool) -> None:
    """gdcm asserts that bytes are filled; it is asked for whole bytes and the rest is done here."""
    values = values_of((1, 40, 42), bits, 8, signed)
    ds = native(values, "MONOCHROME2", bits, 1)
    ds.PixelData = encapsulate(
        [_by_gdcm(native(values.view(np.uint8) & (1 << bits) - 1, "MONOCHROME2", 8, 1), tmp_path)]
    )
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    np.testing.assert_array_equal(decoded(ds), values)


@pytest.mark.parametrize(("bits", "signed"), [(10, False), (12, True), (16, False), (16, True)])
def test_lossless_jpeg(tmp_path: Path, bits: int, signed: bool) -> None:
    """Lossless JPEG knows no sign and no spare bits; the header does."""
    values = values_of((1, 40, 42), bits, 16, signed)
    ds = native(values, "MONOCHROME2", bits, 1)
    ds.PixelData = encapsulate([_by_gdcm(ds, tmp_path)])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    np.testing.assert_array_equal(decoded(ds), values)


def _by_gdcm(ds: FileDataset, folder: Path) -> bytes:
    """The first frame as lossless JPEG."""
    gdcm = pytest.importorskip("gdcm", reason="not shown: needs python-gdcm")
    plain, pressed = folder / "plain.dcm", folder / "pressed.dcm"
    plain.write_bytes(part10(ds))
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(plain))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(pressed))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    found = read_dicom(pressed.read_bytes()).dataset
    return next(generate_frames(found.PixelData, number_of_frames=1))


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG_EXTENDED, JPEG_PROGRESSIVE])
@pytest.mark.parametrize(
    ("bits", "allocated", "colour"),
    [(8, 8, False), (8, 8, True), (7, 8, False), (8, 16, False), (8, 16, True)],
)
def test_8_bit_jpeg(syntax: str, bits: int, allocated: int, colour: bool) -> None:
    """Baseline, extended and progressive streams, also of fewer bits and in words."""
    shape = (40, 42, 3) if colour else (40, 42)
    values = np.full(shape, 90, np.uint8)
    values[10:30, 8:32] = 20
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "JPEG", quality=98, progressive=syntax == JPEG_PROGRESSIVE)
    ds = native(values[None].astype(f"u{allocated // 8}"), "YBR_FULL" if colour else "MONOCHROME2", bits, 1)
    ds.PixelData = encapsulate([buffer.getvalue()])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    found = decoded(ds)
    assert found.dtype == np.dtype(f"u{allocated // 8}")
    assert np.abs(found[0].astype(int) - values).max() <= 4


def test_jpeg_of_more_than_12_bits_is_named() -> None:
    """The process ends at 12 bits; of a stream that claims 16, gdcm would keep the lowest twelve."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(buffer, "JPEG")
    coded = bytearray(buffer.getvalue())
    coded[coded.index(b"\xff\xc0") + 4] = 16
    ds = native(np.zeros((1, 16, 16), np.uint16), "MONOCHROME2", 15, 1)
    ds.PixelData = encapsulate([bytes(coded)])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = UID(JPEG_EXTENDED)
    assert refused(ds) == "needs-decoder"


def _film(last: bytes) -> FileDataset:
    """Three JPEG frames of 16 x 16, the last one as given."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(buffer, "JPEG")
    ds = native(np.zeros((3, 16, 16), np.uint8), "MONOCHROME2", 8, 3)
    ds.PixelData = encapsulate([buffer.getvalue(), buffer.getvalue(), last])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return ds


@pytest.mark.parametrize("statistics", [False, True])
@pytest.mark.parametrize(
    ("size", "cut", "reason"), [(8, 0, "pixel-size-mismatch"), (16, 8, "truncated-pixels")]
)
def test_a_wrong_frame_is_refused_though_another_is_shown(
    statistics: bool, size: int, cut: int, reason: str
) -> None:
    """Of another size, or without its end: an ingest and a dry run say the same."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((size, size), np.uint8)).save(buffer, "JPEG")
    with pytest.raises(MedioError) as caught:
        read_content(part10(_film(buffer.getvalue()[: -cut or None])), statistics=statistics)
    assert caught.value.reason == reason


def test_a_frame_that_cannot_be_decoded_costs_the_description() -> None:
    """The frame that is shown is whole: the image is taken in, and no number stands for the others."""
    ds = native(np.zeros((3, 16, 16), np.uint8), "MONOCHROME2", 8, 3)
    ds.compress(RLELossless, generate_instance_uid=False)
    whole = list(generate_frames(ds.PixelData, number_of_frames=3))
    ds.PixelData = encapsulate([whole[0], whole[1], whole[2][:64] + bytes(len(whole[2]) - 64)])
    taken, described = (read_content(part10(ds), statistics=asked) for asked in (False, True))
    assert (taken.outcome, described.outcome) == (Outcome.IMAGE, Outcome.IMAGE)
    assert described.statistics is None and described.warnings[-1:] == ("frame-unreadable",)
    assert taken.warnings == described.warnings[:-1]


@pytest.mark.parametrize("syntax", [DEFLATED_FRAMES, ENCAPSULATED_UNCOMPRESSED])
@pytest.mark.parametrize(("bits", "allocated"), [(1, 8), (8, 8), (12, 16)])
def test_plain_and_deflated_frames(syntax: str, bits: int, allocated: int) -> None:
    """Each frame is a fragment of its own, as it is or deflated."""
    values = values_of((3, 5, 7), bits, allocated, False)
    ds = native(values, "MONOCHROME2", bits, 3)
    whole, cut = ([frame.tobytes()[:length] for frame in values] for length in (None, 9))
    np.testing.assert_array_equal(decoded_bytes(_in_fragments(ds, whole, syntax)), values)
    with pytest.raises(MedioError) as caught:
        display_frame(read_dicom(_in_fragments(ds, cut, syntax)).dataset)
    assert caught.value.reason == "truncated-pixels"


def _in_fragments(ds: FileDataset, frames: list[bytes], syntax: str) -> bytes:
    ds.PixelData = encapsulate([_pressed(frame, syntax) for frame in frames])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = UID(
        ENCAPSULATED_UNCOMPRESSED
    )  # pydicom writes no others it does not know
    return part10(ds).replace(ENCAPSULATED_UNCOMPRESSED.encode(), syntax.encode().ljust(22, b"\0"))


def _pressed(plain: bytes, syntax: str) -> bytes:
    if syntax != DEFLATED_FRAMES:
        return plain
    press = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return press.compress(plain) + press.flush()


@pytest.mark.parametrize("fragments", [1, 2])
@pytest.mark.parametrize("has_table", [False, True])
def test_frames_in_fragments(fragments: int, has_table: bool) -> None:
    """With and without offset table, one or several fragments a frame."""
    values = values_of((3, 40, 41), 12, 16, False)
    ds = native(values, "MONOCHROME2", 12, 3)
    ds.compress(JPEG2000Lossless, encoding_plugin="pylibjpeg")
    coded = list(generate_frames(ds.PixelData, number_of_frames=3))
    ds.PixelData = encapsulate(coded, fragments_per_frame=fragments, has_bot=has_table)
    ds["PixelData"].is_undefined_length = True
    np.testing.assert_array_equal(decoded(ds), values)


def test_frames_by_the_extended_offset_table() -> None:
    """Long objects keep their offsets in attributes of their own."""
    values = values_of((3, 40, 41), 12, 16, False)
    ds = native(values, "MONOCHROME2", 12, 3)
    ds.compress(JPEG2000Lossless, encoding_plugin="pylibjpeg")
    coded = list(generate_frames(ds.PixelData, number_of_frames=3))
    ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(coded)
    ds["PixelData"].is_undefined_length = True
    np.testing.assert_array_equal(decoded(ds), values)


@pytest.mark.parametrize(
    ("syntax", "reason"),
    [
        ("1.2.840.10008.1.2.4.102", "video"),
        ("1.2.840.10008.1.2.4.107", "video"),
        ("1.2.840.10008.1.2.7.1", "video"),
        ("1.2.840.10008.1.2.4.110", "needs-decoder"),
        ("1.2.840.10008.1.2.4.92", "needs-decoder"),
        ("1.2.840.10008.1.2.4.204", "needs-decoder"),
        ("1.2.3.4.5", "needs-decoder"),
    ],
)
def test_what_nothing_decodes_is_named(syntax: str, reason: str) -> None:
    """Video, JPEG XL and private syntaxes are valid and not read."""
    ds = image(np.zeros((4, 4), np.uint8))
    ds.PixelData = encapsulate([bytes(20)])
    ds["PixelData"].is_undefined_length = True
    data = part10(ds).replace(
        b"UI\x14\x001.2.840.10008.1.2.1\0", b"UI\x18\x00" + syntax.encode().ljust(24, b"\0")
    )
    with pytest.raises(MedioError) as caught:
        display_frame(read_dicom(data).dataset)
    assert caught.value.reason == reason


def test_colour_models_without_a_way_to_rgb_are_named() -> None:
    """CMYK was retired before anybody stored it."""
    assert refused(image(np.zeros((4, 4), np.uint8), "CMYK")) == "colour-model"


def test_real_rare_syntaxes(real_data: Path) -> None:
    """12-bit progressive and spectral JPEG show the picture their extended twin shows; HTJ2K its own."""
    folder = real_data / "dicom" / "files" / "cornerstonewadoimageloader"
    twin, *others = (
        next(stored_frames(read_dicom(next(folder.glob(f"*.4.{number}.dcm")).read_bytes()).dataset))
        for number in (51, 53, 55)
    )
    for other in others:
        assert np.abs(other.astype(int) - twin).mean() < 1.0
    htj2k = read_dicom((real_data / "dicom/files/pydicom-data/HTJ2KLossless_08_RGB.dcm").read_bytes()).dataset
    assert next(stored_frames(htj2k)).shape == (480, 640, 3)
