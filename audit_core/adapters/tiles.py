"""Images of several sizes in one batch: tiles and patches, as processors lay them out.

Shapes of one image's `pixel_values`: [1, C, H, W]; [n, C, H, W], tiles along the batch; [1, n, C, H, W],
tiles in a dimension of their own; [n, D], patches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional


def units(pixels: Tensor) -> int:
    """How many tiles or patches an image became: [1, n, C, H, W], [n, C, H, W] or [n, D]."""
    return int(pixels.shape[1] if pixels.dim() == 5 else pixels.shape[0])


def together(images: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors of single images as one batch; where tiles have a dimension of their own, filled up with zeros.

    An all-zero tile is no image to the networks that have this dimension: they drop it, or count their own.
    """
    most = max(units(image["pixel_values"]) for image in images)
    out: dict[str, Tensor] = {}
    for name, first in images[0].items():
        parts = [image[name] for image in images]
        if images[0]["pixel_values"].dim() == 5 and name in ("pixel_values", "pixel_attention_mask"):
            behind = [0] * (2 * (first.dim() - 2))
            parts = [functional.pad(part, [*behind, 0, most - part.shape[1]]) for part in parts]
        out[name] = torch.cat(parts)
    return out
