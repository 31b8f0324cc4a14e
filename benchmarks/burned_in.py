"""How often is writing in the pixels suspected, where there is some and where there is none?

    python benchmarks/burned_in.py [--data ../shared/data] [--seed 0] [--each 60]

Truth is what a person saw: `burned_in_labels.csv` says of real images whether they show text (a legible line
of about four letters or more), one-letter markers, none, or something too small to tell. DICOM images are
looked at as they are and as ingest keeps them (512 pixels), pair images as the thumbnails they are; those
held out were labelled and run after every threshold stood. Then text is drawn on DICOM images without.
"""

from __future__ import annotations

import argparse
import csv
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.stats import beta

from medio.burned_in import writing
from medio.dicom import read_dicom
from medio.pixels import display_frame
from medio.transforms import to_frame

LABELS = Path(__file__).with_name("burned_in_labels.csv")
SIZES = (8, 10, 12, 16, 20, 28, 40)  # pixels, of the font; its capitals are 0.7 of that
CONTRASTS = (60, 90, 130, 200)  # grey levels
LINES = (
    "DOE^JOHN",
    "SMITH, MARY 04/05/1961",
    "ID 00047431395",
    "GENERAL HOSPITAL",
    "PAT: Miller",
    "1961-04-05",
)
_LEAST_SIDE = 256  # pixels; of the images that text is drawn on


def picture(data: Path, file: str) -> NDArray[np.uint8]:
    """One labelled image as it is displayed, in its own resolution."""
    if file.startswith("pairs"):
        return np.asarray(Image.open(data / file.replace("pairs-held-out", "pairs")).convert("RGB"))
    values = display_frame(read_dicom((data / file).read_bytes()).dataset).values
    return np.asarray(np.clip(np.round(values * 255), 0, 255), dtype=np.uint8)


def interval(hits: int, of: int) -> str:
    """A share with its exact 95 % interval (Clopper and Pearson)."""
    low = float(beta.ppf(0.025, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, of - hits)) if hits < of else 1.0
    return f"{hits}/{of} = {hits / of:.2f} [{low:.2f}, {high:.2f}]" if of else "none"


def labels() -> Iterator[tuple[str, str]]:
    """File below the data folder, and what was seen."""
    with LABELS.open() as rows:
        yield from ((row["file"], row["seen"]) for row in csv.DictReader(rows))


def drawn(
    grey: NDArray[np.uint8], line: str, size: int, contrast: int, chance: random.Random
) -> NDArray[np.uint8] | None:
    """The image with a line of text at a random place or in a corner; None where it does not fit."""
    mask = Image.new("L", (grey.shape[1], grey.shape[0]), 0)
    pen, font = ImageDraw.Draw(mask), ImageFont.load_default(size)
    pen.fontmode = "L" if chance.random() < 0.7 else "1"  # with and without grey edges
    width, height = int(pen.textlength(line, font=font)), int(1.3 * size)
    room, depth = grey.shape[1] - width - 4, grey.shape[0] - height - 4
    if room < 4 or depth < 4:
        return None
    corner = chance.random() < 0.5
    left = chance.choice((4, room)) if corner else chance.randint(4, room)
    top = chance.choice((4, depth)) if corner else chance.randint(4, depth)
    pen.text((left, top), line, fill=255, font=font)
    ground = float(np.median(grey[top : top + height, left : left + width]))
    ink = ground + contrast if ground + contrast <= 255 else max(0.0, ground - contrast)
    share = np.asarray(mask) / 255.0
    return np.asarray(np.clip(np.round(grey * (1 - share) + ink * share), 0, 255), dtype=np.uint8)


def on_real_images(data: Path) -> list[NDArray[np.uint8]]:
    """Print recall and precision on labelled images; returns the grey DICOM images without text."""
    found: dict[tuple[str, str], list[bool]] = defaultdict(list)
    times: dict[str, list[float]] = defaultdict(list)
    clean = []
    for file, seen in labels():
        pixels = picture(data, file)
        began = time.perf_counter()
        suspected = writing(pixels).suspected
        times[f"{pixels.shape[1]}×{pixels.shape[0]}"].append(time.perf_counter() - began)
        found[file.split("/")[0], seen].append(suspected)
        if file.startswith("dicom/"):
            kept = to_frame(read_dicom((data / file).read_bytes()).dataset).pixels
            found["dicom, as kept", seen].append(writing(kept).suspected)
        if (
            seen == "none"
            and file.startswith("dicom/")
            and min(pixels.shape[:2]) >= _LEAST_SIDE
            and not suspected
        ):
            clean.append(pixels if pixels.ndim == 2 else pixels.max(axis=2))
    print("| images | recall | precision | markers suspected | unclear suspected |")
    print("| --- | --- | --- | --- | --- |")
    for source in ("dicom", "dicom, as kept", "pairs", "pairs-held-out"):
        text, none = found[source, "text"], found[source, "none"]
        marker, unclear = found[source, "marker"], found[source, "unclear"]
        precision = interval(sum(text), sum(text) + sum(none))
        others = f"{sum(marker)} of {len(marker)} | {sum(unclear)} of {len(unclear)}"
        print(
            f"| {source} ({len(text)} with text, {len(none)} without) | {interval(sum(text), len(text))}",
            end="",
        )
        print(f" | {precision} | {others} |")
    for size in ("512×512", "800×600"):
        print(f"{size}: {1000 * median(times[size]):.1f} ms, median of {len(times[size])} images")
    return clean


def on_drawn_text(clean: Sequence[NDArray[np.uint8]], each: int, chance: random.Random) -> None:
    """Print recall by size and contrast."""
    print(f"\nText drawn on {len(clean)} images without any, {each} drawings a cell.\n")
    print("| size, pixels | " + " | ".join(f"contrast {contrast}" for contrast in CONTRASTS) + " |")
    print("| --- |" + " --- |" * len(CONTRASTS))
    for size in SIZES:
        shares = []
        for contrast in CONTRASTS:
            made = [
                drawn(chance.choice(clean), chance.choice(LINES), size, contrast, chance) for _ in range(each)
            ]
            fits = [pixels for pixels in made if pixels is not None]
            shares.append(sum(writing(pixels).suspected for pixels in fits) / len(fits))
        print(f"| {size} | " + " | ".join(f"{share:.2f}" for share in shares) + " |")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=60)
    options = parser.parse_args()
    clean = on_real_images(options.data)
    on_drawn_text(clean, options.each, random.Random(options.seed))


if __name__ == "__main__":
    main()
