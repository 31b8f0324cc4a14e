"""How surely near-duplicates are found: real images, changed as other systems change them.

    .venv/bin/python benchmarks/duplicates.py

Needs the real test data (817 images; GRADAUDIT_TEST_DATA, else ../shared/data); prints the tables of
docs/pairing-and-cohorts.md. Under two minutes on one core.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from medio.duplicates import (
    ALIKE_IMAGE_BITS,
    SAME_IMAGE_BITS,
    Fingerprint,
    _differing,
    _signs,
    fingerprint,
    image_hash,
    picture_groups,
    shared_pictures,
    text_groups,
    text_triples,
)

Picture = NDArray[np.uint8]
MANY = 10_000


def jpeg(picture: Picture, quality: int) -> Picture:
    """Compressed and opened again."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def resized(picture: Picture, factor: float) -> Picture:
    """At another size, both sides by the same factor."""
    height, width = picture.shape[:2]
    size = max(8, int(width * factor)), max(8, int(height * factor))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def cropped(picture: Picture, *shares: float) -> Picture:
    """Without so much of the top, bottom, left and right."""
    height, width = picture.shape[:2]
    top, bottom, left, right = shares if len(shares) == 4 else shares * 4
    return picture[
        int(height * top) : height - int(height * bottom), int(width * left) : width - int(width * right)
    ]


def bordered(picture: Picture, share: float) -> Picture:
    """With a black border."""
    height, width = picture.shape[:2]
    rows, columns = int(height * share), int(width * share)
    return np.pad(picture, ((rows, rows), (columns, columns), (0, 0)))


def brighter(picture: Picture, factor: float, offset: float = 0.0) -> Picture:
    """Another window: linear, cut at black and white."""
    return np.clip(picture.astype(np.float32) * factor + offset, 0, 255).astype(np.uint8)


def curved(picture: Picture, gamma: float) -> Picture:
    """Another tone curve."""
    return (255 * (picture / 255.0) ** gamma).astype(np.uint8)


def written_on(picture: Picture) -> Picture:
    """With a burned-in mark."""
    image = Image.fromarray(picture.copy())
    ImageDraw.Draw(image).text((5, 5), "L  PORTABLE 12:31", fill=(255, 255, 255))
    return np.asarray(image)


def noisy(picture: Picture) -> Picture:
    """Noise of eight grey levels."""
    return np.clip(picture + np.random.default_rng(0).normal(0, 8, picture.shape), 0, 255).astype(np.uint8)


CHANGES: tuple[tuple[str, Callable[[Picture], Picture]], ...] = (
    ("JPEG quality 60", lambda picture: jpeg(picture, 60)),
    ("JPEG quality 20", lambda picture: jpeg(picture, 20)),
    ("60 % size, JPEG quality 60", lambda picture: jpeg(resized(picture, 0.6), 60)),
    ("25 % size", lambda picture: resized(picture, 0.25)),
    ("brightness × 0.8 + 20", lambda picture: brighter(picture, 0.8, 20)),
    ("brightness × 1.4, cut at white", lambda picture: brighter(picture, 1.4)),
    ("brightness × 1.8, cut at white", lambda picture: brighter(picture, 1.8)),
    ("gamma 0.6", lambda picture: curved(picture, 0.6)),
    ("gamma 1.8", lambda picture: curved(picture, 1.8)),
    ("noise, 8 grey levels", noisy),
    ("burned-in mark", written_on),
    ("inverted", lambda picture: 255 - picture),
    ("2 % cropped on every side", lambda picture: cropped(picture, 0.02)),
    ("5 % cropped on every side", lambda picture: cropped(picture, 0.05)),
    ("10 % cropped on every side", lambda picture: cropped(picture, 0.10)),
    ("0, 4, 1 and 5 % cropped", lambda picture: cropped(picture, 0.00, 0.04, 0.01, 0.05)),
    ("10, 0, 2 and 8 % cropped", lambda picture: cropped(picture, 0.10, 0.00, 0.02, 0.08)),
    ("black border of 5 %", lambda picture: bordered(picture, 0.05)),
    ("black border of 10 %", lambda picture: bordered(picture, 0.10)),
)


def main() -> None:
    """Print the three tables."""
    folder = Path(os.environ.get("GRADAUDIT_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    with (folder / "pairs" / "pairs.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    pictures = [np.asarray(Image.open(folder / "pairs" / row["image_path"]).convert("RGB")) for row in rows]
    began = time.process_time()
    prints = [fingerprint(picture, row["text"]) for picture, row in zip(pictures, rows, strict=True)]
    each_ms = 1e3 * (time.process_time() - began) / len(prints)
    signs = _signs([one.image_hash for one in prints])
    _apart(rows, signs)
    _changed(pictures, signs)
    _texts(rows, prints)
    _speed(prints, each_ms)


def _apart(rows: list[dict[str, str]], signs: NDArray[np.float32]) -> None:
    patients = np.array([row["patient_id"] for row in rows])
    first, second = np.triu_indices(len(rows), 1)
    others = patients[first] != patients[second]
    differing = _differing(signs, signs)[first, second][others]
    print(f"{others.sum():,} pairs of images of two patients among {len(set(patients))} patients")
    for bits in (SAME_IMAGE_BITS, ALIKE_IMAGE_BITS):
        print(f"  at most {bits} signs differ in {(differing <= bits).sum()}")
    tail = ", ".join(f"{np.quantile(differing, share):.0f} ({share:g})" for share in (1e-5, 1e-4, 1e-3, 1e-2))
    print(f"  fewest {differing.min():.0f}; quantiles {tail}\n")


def _changed(pictures: list[Picture], signs: NDArray[np.float32]) -> None:
    print("| change | median signs | found | found when the texts agree |\n| --- | --- | --- | --- |")
    for name, change in CHANGES:
        copies = _signs([image_hash(change(picture)) for picture in pictures])
        differing = np.diag(_differing(signs, copies))
        found = [100 * np.mean(differing <= bits) for bits in (SAME_IMAGE_BITS, ALIKE_IMAGE_BITS)]
        print(f"| {name} | {np.median(differing):.0f} | {found[0]:.1f} % | {found[1]:.1f} % |")
    print()


def _texts(rows: list[dict[str, str]], prints: list[Fingerprint]) -> None:
    groups = text_groups(prints)
    across = sum(len({rows[index]["patient_id"] for index in group}) > 1 for group in groups)
    print(f"texts: {len(groups)} groups of the same report, {across} of them with several patients")
    changed, total = 0, 0
    for row in rows:
        words = row["text"].split()
        if len(words) < 40:
            continue
        total += 1
        edited = " ".join(["Report:", *words[:20], "additionally", *words[20:]])
        both = [Fingerprint("", text_triples(text)) for text in (row["text"], edited)]
        changed += bool(text_groups(both))
    print(f"texts of 40 words and more with a heading and a word put in: {changed} of {total} found\n")


def _speed(prints: list[Fingerprint], each_ms: float) -> None:
    many = (prints * (MANY // len(prints) + 1))[:MANY]
    began = time.process_time()
    shared_pictures(many[: MANY // 2], many[MANY // 2 :])
    across = time.process_time() - began
    began = time.process_time()
    picture_groups(many)
    within = time.process_time() - began
    print(f"fingerprint {each_ms:.1f} ms; {MANY // 2:,} against {MANY // 2:,} {across:.1f} s; ", end="")
    print(f"groups in {MANY:,} {within:.1f} s, one core")


if __name__ == "__main__":
    main()
