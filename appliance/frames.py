"""How a frame crosses the pipe and lies in the vault: a grey one once, a colour one as RGB.

An audit sees [H, W, 3] in any case; three equal channels would cost three times the sealing and the disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FRAME = "frame"  # kind of object in the vault


def packed(pixels: NDArray[np.uint8]) -> bytes:
    """The bytes of a frame [H, W, 3], row by row: H·W of them when it is grey, else H·W·3."""
    red, green, blue = (pixels[:, :, channel] for channel in range(3))
    grey = pixels.strides[2] == 0 or ((red == green).all() and (green == blue).all())
    return (red if grey else pixels).tobytes()


def unpacked(content: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """The frame [H, W, 3] that was packed.

    Raises:
        ValueError: the bytes do not fit the size.
    """
    import numpy as np

    pixels_HWC = np.frombuffer(content, np.uint8).reshape(height, width, -1)
    if pixels_HWC.shape[2] not in (1, 3):
        raise ValueError("a frame has one channel or three")
    return np.broadcast_to(pixels_HWC, (height, width, 3))
