"""May this image leave the site? Cleaned by the profile, searched for what is left, looked at for writing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medio.burned_in import SUSPECTED, suspects_writing
from medio.decoders import decoded_frame
from medio.dicom import wall
from medio.errors import NotSupported
from medio.layout import check_layout
from medio.pixels import chosen_frame, display_frame
from medio.profile import Replacements, deidentified, image_of

RESIDUAL_IDENTITY = "residual-identity"
_DARKEST, _BRIGHTEST = 0.5, 99.5  # per cent of the values that a frame without a window is stretched between


def exported(data: bytes, given: Replacements, *, accept_burned_in: bool = False) -> bytes:
    """The image without identity, as a whole file.

    Args:
        data: the original file.
        given: replacements for `handles_of` of it.
        accept_burned_in: let an image pass in which writing is suspected; somebody has looked at it.

    Raises:
        NotReadable: damaged, or its pixels cannot be decoded and so not be looked at.
        NotSupported: it cannot be cleaned, identity is left in it, or writing is suspected in its pixels.
    """
    if has_writing(image_of(data).dataset) and not accept_burned_in:
        raise NotSupported(SUSPECTED, "there may be writing in the picture, or the header says so")
    result = deidentified(data, given)
    if left := result.residue():
        places = f"{len(left)} places" if len(left) > 1 else "one place"
        raise NotSupported(
            RESIDUAL_IDENTITY, f"the cleaned file still holds identity of the original in {places}"
        )
    return result.data


def has_writing(dataset: Any) -> bool:
    """Whether header or pixels suggest burned-in text; of many frames the first, middle and last count.

    Raises:
        NotReadable, NotSupported: the pixels cannot be decoded.
    """
    shown = [_bytes(display_frame(dataset).values)]
    layout = check_layout(dataset)
    chosen, _ = chosen_frame(layout.frames)
    for index in {0, layout.frames - 1} - {chosen}:
        shown.append(_stretched(decoded_frame(dataset, layout, index)))
    return suspects_writing(dataset, *shown)


def _bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Values in 0..1 as grey levels."""
    return np.asarray(np.round(values * 255), dtype=np.uint8)


def _stretched(stored: NDArray[Any]) -> NDArray[np.uint8]:
    """Stored values as grey levels over nearly their whole range; colour that is colour already stays."""
    with wall("bad-pixel-data"):
        if stored.dtype == np.uint8:
            return stored
        low, high = np.percentile(stored, (_DARKEST, _BRIGHTEST))
        return _bytes(np.clip((stored - low) / max(float(high - low), 1.0), 0, 1))
