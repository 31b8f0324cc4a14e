"""Near-duplicates: the same picture or the same report in other bytes.

A target that is also a control would void a comparison, and a patient counted twice would flatter it.

An image is remembered as 256 signs of its low cosine frequencies, once whole and three times with its edges
cut off (a perceptual hash: resizing, recompression, brightness and borders leave one of them almost
unchanged), a text as the set of its word triples. Thresholds and what they find:
docs/pairing-and-cohorts.md, measured by benchmarks/duplicates.py.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HASH_BITS = 256
SAME_IMAGE_BITS = 36  # differing signs up to which two images are one, whatever their texts
ALIKE_IMAGE_BITS = 56  # the same, when the texts agree too
SAME_TEXT = 0.8  # Jaccard overlap of word triples
WINDOWS = (0.0, 0.03, 0.06, 0.09)  # share of height and width cut off on every side before hashing
MIN_TRIPLES = 6  # a shorter text agrees by chance
FLAT = 1.0  # standard deviation in grey levels below which a picture shows nothing to compare
_SIDE, _LOW, _FINE = 64, 17, 256
_BLOCK = 1024  # rows compared at once: bounds memory, not the result
_BANDS, _BAND_ROWS = 32, 4  # of 128 minimum hashes: overlaps of 0.8 are missed once in 10 million
_WORD = re.compile(r"\w+")
_SECTION = re.compile(  # a section's name: one route writes it before the same words, another does not
    r"^\W*(?:findings?|impressions?|conclusions?|report|narrative|results?|indication|technique|comparison)\s*:",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is remembered of a pair for comparison; cannot be turned back into image or text.

    Attributes:
        image_hash: 64 hex digits a window; empty for a picture without contrast, which is like any other.
        triples: sorted 64-bit digests of every three words in a row.
    """

    image_hash: str
    triples: bytes


def fingerprint(pixels: NDArray[np.uint8], text: str) -> Fingerprint:
    """Fingerprint of a display-ready frame [H, W, 3] and its report text."""
    return Fingerprint(image_hash(pixels), text_triples(text))


def image_hash(pixels: NDArray[np.uint8]) -> str:
    """Signs of the 16 x 16 lowest cosine frequencies of the grey image against their median, by window."""
    grey = pixels.mean(axis=2, dtype=np.float32) if pixels.ndim == 3 else pixels.astype(np.float32)
    if float(grey.std()) < FLAT:
        return ""
    fine = _area(grey.shape[0], _FINE) @ grey @ _area(grey.shape[1], _FINE).T
    return "".join(_signs_of(fine, cut) for cut in WINDOWS)


def text_triples(text: str) -> bytes:
    """Digests of every three words in a row, case and punctuation left out."""
    words = _WORD.findall(text.lower())
    triples = {" ".join(words[i : i + 3]) for i in range(len(words) - 2)}
    digests = [hashlib.blake2b(triple.encode(), digest_size=8).digest() for triple in triples]
    return np.sort(np.frombuffer(b"".join(digests), np.uint64)).tobytes()


def same_picture(one: str, other: str) -> bool:
    """Whether two image hashes show the same picture, whatever the texts say."""
    if not one or not other:
        return False
    return bool(_differing(_signs([one]), _signs([other]))[0, 0] <= SAME_IMAGE_BITS)


def same_text(one: str, other: str) -> bool:
    """Whether two texts are the same report: word for word, or all but a few words of a longer one.

    Names of sections before a colon do not count.
    """
    one, other = _SECTION.sub("", one), _SECTION.sub("", other)
    if _WORD.findall(one.lower()) == _WORD.findall(other.lower()):
        return True
    return _overlapping(text_triples(one), text_triples(other))


def shared_pictures(left: Sequence[Fingerprint], right: Sequence[Fingerprint]) -> tuple[set[int], set[int]]:
    """Those of `left` whose picture `right` shows too, and the other way round, by index."""
    mine: set[int] = set()
    theirs: set[int] = set()
    for start, alike in _alike(left, right):
        mine.update((start + np.flatnonzero(alike.any(axis=1))).tolist())
        theirs.update(np.flatnonzero(alike.any(axis=0)).tolist())
    return mine, theirs


def picture_groups(fingerprints: Sequence[Fingerprint]) -> list[tuple[int, ...]]:
    """Indices that show the same picture, directly or by way of another; only groups of two or more."""
    label = np.arange(len(fingerprints))
    while True:  # the smallest index of a group spreads to all of it, a step a round
        before = label.copy()
        for start, alike in _alike(fingerprints, fingerprints):
            nearest = np.where(alike, label[None, :], len(label)).min(axis=1)
            block = slice(start, start + len(alike))
            label[block] = np.minimum(label[block], nearest)
        if (before == label).all():
            return _groups(label)


def text_groups(fingerprints: Sequence[Fingerprint]) -> list[tuple[int, ...]]:
    """Indices that have the same report text; only groups of two or more."""
    return _groups(_text_labels([one.triples for one in fingerprints]))


def _groups(labels: NDArray[np.int64]) -> list[tuple[int, ...]]:
    members: dict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(labels.tolist()):
        members[label].append(index)
    return [tuple(found) for label, found in members.items() if label >= 0 and len(found) > 1]


# -- pictures ----------------------------------------------------------------------------------------------


def _alike(
    left: Sequence[Fingerprint], right: Sequence[Fingerprint]
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Row offset and [rows, len(right)] truth of "the same picture", block by block."""
    if not left or not right:
        return
    signs_left = _signs([one.image_hash for one in left])
    signs_right = _signs([one.image_hash for one in right])
    texts = _text_labels([one.triples for one in (*left, *right)])
    texts_left, texts_right = texts[: len(left)], texts[len(left) :]
    for start in range(0, len(left), _BLOCK):
        block = slice(start, start + _BLOCK)
        differing = _differing(signs_left[block], signs_right)
        same_texts = (texts_left[block, None] == texts_right[None, :]) & (texts_right >= 0)[None, :]
        yield start, (differing <= SAME_IMAGE_BITS) | (same_texts & (differing <= ALIKE_IMAGE_BITS))


def _differing(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """[L, R] fewest differing signs over the windows of which one at least is the whole picture.

    A negative has all signs turned: it is the same picture.
    """
    windows = range(len(WINDOWS))
    agreement = np.zeros((len(left), len(right)), np.float32)
    for i, j in [(0, 0), *((0, j) for j in windows[1:]), *((i, 0) for i in windows[1:])]:
        np.maximum(agreement, np.abs(left[:, i] @ right[:, j].T), out=agreement)
    return np.asarray((HASH_BITS - agreement) / 2)


def _signs(hashes: Sequence[str]) -> NDArray[np.float32]:
    """[N, windows, 256] of plus and minus one; zeros, which agree with nothing, for a flat picture."""
    empty = "00" * (len(WINDOWS) * HASH_BITS // 8)
    raw = np.frombuffer(bytes.fromhex("".join(one or empty for one in hashes)), np.uint8)
    bits = np.unpackbits(raw.reshape(len(hashes), len(WINDOWS), HASH_BITS // 8), axis=2)
    signs = bits.astype(np.float32) * 2 - 1
    signs[[not one for one in hashes]] = 0
    return signs


def _signs_of(fine: NDArray[np.float32], cut: float) -> str:
    window = _area(_FINE, _SIDE, cut)
    low = (_COSINES @ (window @ fine @ window.T) @ _COSINES.T)[1:, 1:].ravel()
    return np.packbits(low > np.median(low)).tobytes().hex()


def _area(length: int, cells: int, cut: float = 0.0) -> NDArray[np.float32]:
    """[cells, length] weights: how much of each sample falls into each cell, summing to one.

    Exact areas, so that the result hardly depends on the size of the original.
    """
    edges = np.linspace(cut * length, (1 - cut) * length, cells + 1)
    place = np.arange(length)
    overlap = np.minimum(edges[1:, None], place + 1) - np.maximum(edges[:-1, None], place)
    weights = np.clip(overlap, 0.0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


_COSINES = np.cos(np.pi * np.arange(_LOW)[:, None] * (np.arange(_SIDE)[None, :] + 0.5) / _SIDE)


# -- texts -------------------------------------------------------------------------------------------------


def _text_labels(texts: Sequence[bytes]) -> NDArray[np.int64]:
    """The index of the first text that says the same; -1 for one too short to tell."""
    leaders: dict[bytes, list[int]] = defaultdict(list)
    labels = np.full(len(texts), -1, np.int64)
    for index, triples in enumerate(texts):
        if len(triples) < 8 * MIN_TRIPLES:
            continue
        bands = _bands(triples)
        candidates = dict.fromkeys(leader for band in bands for leader in leaders.get(band, ()))
        found = next((one for one in candidates if _overlapping(texts[one], triples)), index)
        labels[index] = found
        if found == index:
            for band in bands:
                leaders[band].append(index)
    return labels


def _overlapping(one: bytes, other: bytes) -> bool:
    """Jaccard overlap of at least `SAME_TEXT`, for texts long enough to tell."""
    if min(len(one), len(other)) < 8 * MIN_TRIPLES:
        return False
    if one == other:
        return True
    common = np.intersect1d(np.frombuffer(one, np.uint64), np.frombuffer(other, np.uint64), True).size
    return bool(common >= SAME_TEXT * (len(one) // 8 + len(other) // 8 - common))


def _bands(triples: bytes) -> list[bytes]:
    """Minimum hashes in bands: two texts that overlap share at least one, others hardly any."""
    values = np.frombuffer(triples, np.uint64)
    least = (values[None, :] * _FACTORS[:, None]).min(axis=1)  # modulo 2**64
    return [bytes([place]) + band.tobytes() for place, band in enumerate(least.reshape(_BANDS, _BAND_ROWS))]


_FACTORS = np.frombuffer(hashlib.shake_256(b"minimum hashes").digest(8 * _BANDS * _BAND_ROWS), np.uint64) | 1
