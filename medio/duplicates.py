"""Near-duplicates: the same picture in other bytes. A target that is also a control would void a comparison.

An image is remembered as 256 signs of its low cosine frequencies (a perceptual hash: resizing, recompression
and brightness leave it almost unchanged), a text as the set of its word triples. Among 817 images of 760
patients no two differ in fewer than 60 signs; the same image at 60 % size and JPEG quality 60 in at most 10.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HASH_BITS = 256
SAME_IMAGE_BITS = 20  # differing signs up to which two images are one, whatever their texts
ALIKE_IMAGE_BITS = 44  # the same, when the texts agree too
SAME_TEXT = 0.8  # Jaccard overlap of word triples
_MIN_TRIPLES = 6  # a shorter text agrees by chance
_SIDE, _LOW = 64, 17
_BLOCK = 2048  # rows compared at once: bounds memory, not the result
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is remembered of a pair for comparison; cannot be turned back into image or text."""

    image_hash: str  # 64 hex digits
    triples: frozenset[int]


def fingerprint(pixels: NDArray[np.uint8], text: str) -> Fingerprint:
    """Fingerprint of a display-ready frame [H, W, 3] and its report text."""
    return Fingerprint(image_hash(pixels), text_triples(text))


def image_hash(pixels: NDArray[np.uint8]) -> str:
    """Signs of the 16 x 16 lowest cosine frequencies of the grey image against their median, as hex."""
    grey = _small(pixels.mean(axis=2) if pixels.ndim == 3 else pixels.astype(np.float64))
    low = (_COSINES @ grey @ _COSINES.T)[1:, 1:].ravel()
    return np.packbits(low > np.median(low)).tobytes().hex()


def text_triples(text: str) -> frozenset[int]:
    """64-bit digests of every three words in a row, case and punctuation left out."""
    words = _WORD.findall(text.lower())
    return frozenset(
        int.from_bytes(hashlib.blake2b(" ".join(words[i : i + 3]).encode(), digest_size=8).digest())
        for i in range(len(words) - 2)
    )


def near_duplicates(left: Sequence[Fingerprint], right: Sequence[Fingerprint]) -> Iterator[tuple[int, int]]:
    """Index pairs (in `left`, in `right`) that show the same picture."""
    if not left or not right:
        return
    signs_left, signs_right = _signs(left), _signs(right)
    for start in range(0, len(left), _BLOCK):
        agreement = signs_left[start : start + _BLOCK] @ signs_right.T
        differing = (HASH_BITS - agreement) / 2
        for i, j in np.argwhere(differing <= ALIKE_IMAGE_BITS):
            one, other = left[start + i], right[j]
            if differing[i, j] <= SAME_IMAGE_BITS or _same_text(one.triples, other.triples):
                yield start + int(i), int(j)


def _same_text(one: frozenset[int], other: frozenset[int]) -> bool:
    if min(len(one), len(other)) < _MIN_TRIPLES:
        return False
    return len(one & other) >= SAME_TEXT * len(one | other)


def _signs(fingerprints: Sequence[Fingerprint]) -> NDArray[np.float32]:
    raw = np.frombuffer(bytes.fromhex("".join(one.image_hash for one in fingerprints)), np.uint8)
    bits = np.unpackbits(raw.reshape(len(fingerprints), HASH_BITS // 8), axis=1)
    return bits.astype(np.float32) * 2 - 1


def _small(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over a 64 x 64 grid; exact areas, so the result hardly depends on the size of the original."""
    return np.asarray(_area(grey.shape[0]) @ grey @ _area(grey.shape[1]).T)


def _area(length: int) -> NDArray[np.float64]:
    """[64, length] weights: how much of each input sample falls into each cell, summing to one."""
    edges = np.linspace(0.0, length, _SIDE + 1)
    place = np.arange(length)
    overlap = np.minimum(edges[1:, None], place + 1) - np.maximum(edges[:-1, None], place)
    weights = np.clip(overlap, 0.0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


_COSINES = np.cos(np.pi * np.arange(_LOW)[:, None] * (np.arange(_SIDE)[None, :] + 0.5) / _SIDE)
