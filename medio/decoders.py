"""Two compressed forms that pydicom's own plugins leave out: 12-bit JPEG by gdcm, HTJ2K by openjpeg.

Both libraries are optional and permissively licensed (BSD); without them the frame is refused by name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medio.errors import NotReadable, NotSupported

JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
HTJ2K = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
_OPENJPEG_J2K_CODESTREAM = 2  # `version` of decode_pixel_data: hands back bytes


def decode_jpeg_12bit(frame: bytes, rows: int, columns: int, bits_stored: int) -> NDArray[Any]:
    """One grey JPEG Extended frame of 9 to 12 bits -> uint16 [rows, columns].

    Raises:
        NotSupported: gdcm is not installed.
        NotReadable: it cannot be decoded.
    """
    try:
        import gdcm
    except ImportError as error:
        raise NotSupported("needs-decoder", "12-bit JPEG needs python-gdcm") from error
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(JPEG_EXTENDED)))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, bits_stored, bits_stored - 1, 0))
    plain = image.GetBuffer()
    if plain is None:
        raise NotReadable("bad-pixel-data", "a 12-bit JPEG that cannot be decoded")
    return _shaped(plain.encode("utf-8", "surrogateescape"), 16, (rows, columns))


def decode_htj2k(frame: bytes, rows: int, columns: int, samples: int, bits_allocated: int) -> NDArray[Any]:
    """One high-throughput JPEG 2000 frame -> [rows, columns] or [rows, columns, samples], unsigned.

    Raises:
        NotSupported: pylibjpeg-openjpeg is not installed.
        NotReadable: it cannot be decoded.
    """
    try:
        import openjpeg
    except ImportError as error:
        raise NotSupported("needs-decoder", "HTJ2K needs pylibjpeg-openjpeg") from error
    decode: Any = openjpeg.decode_pixel_data  # type: ignore[attr-defined]  # re-exported without __all__
    plain = decode(frame, version=_OPENJPEG_J2K_CODESTREAM)
    shape = (rows, columns) if samples == 1 else (rows, columns, samples)
    return _shaped(bytes(plain), bits_allocated, shape)


def _shaped(plain: bytes, bits: int, shape: tuple[int, ...]) -> NDArray[Any]:
    values = np.frombuffer(plain, dtype=np.dtype(f"<u{bits // 8}"))
    if values.size != int(np.prod(shape)):
        raise NotReadable("pixel-size-mismatch", "the decoded frame has another size than stated")
    return values.reshape(shape)
