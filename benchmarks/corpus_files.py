"""Real files for benchmarks: the valid ones of the corpus by kind, and any number of copies of them.

Copies differ from their originals in the UIDs of instance, series and study, and in the preamble.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

_UID = re.compile(rb"[012](?:\.\d+){4,}")


def kind_of(row: dict[str, str]) -> str:
    """One kind a file, the first that fits."""
    syntax, frames = row["ts_name"], row["frames"] or "1"
    if frames != "1":
        return "several frames"
    for word, kind in (
        ("High-Throughput", "HTJ2K"),
        ("JPEG-LS", "JPEG-LS"),
        ("JPEG 2000", "JPEG 2000"),
        ("JPEG", "JPEG"),
        ("RLE", "RLE"),
    ):
        if word in syntax:
            return kind
    if row["modality"] in ("CR", "DX", "MG", "RG", "RF"):
        return "radiographs, uncompressed"
    if row["photometric"].startswith(("RGB", "YBR", "PALETTE")):
        return "colour, uncompressed"
    return "CT and MR, uncompressed" if row["modality"] in ("CT", "MR") else "other, uncompressed"


def corpus(data: Path) -> dict[str, list[Path]]:
    """Valid images by kind; reports under their own."""
    kinds: dict[str, list[Path]] = defaultdict(list)
    with (data / "dicom" / "MANIFEST.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            path = data / "dicom" / row["file"]
            if row["expect"] == "accept" and "!/" not in row["file"] and path.is_file():
                kinds[kind_of(row)].append(path)
    with (data / "reports" / "MANIFEST.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["expect"] == "accept_report" and (path := data / "reports" / row["file"]).is_file():
                kinds["reports"].append(path)
    return dict(kinds)


def copies(paths: Sequence[Path], count: int, folder: Path) -> list[Path]:
    """`count` files with identities of their own, a hundred a folder."""
    made = []
    for number in range(count):
        source = paths[number % len(paths)]
        home = folder / f"{number // 100:04}"
        home.mkdir(exist_ok=True)
        made.append(home / f"{number:06}{source.suffix}")
        made[-1].write_bytes(_renamed(source.read_bytes(), number))
    return made


def _renamed(data: bytes, number: int) -> bytes:
    """Other last digits in all UIDs that belong to the file, in place; and another preamble."""
    from pydicom import dcmread

    header = dcmread(io.BytesIO(data), force=True, stop_before_pixels=True)
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        uid = str(header.get(keyword) or "").encode()
        if _UID.fullmatch(uid):
            data = data.replace(uid, uid[:-5] + b"%05d" % number)
    return b"%0128d" % number + data[128:]  # the preamble is anybody's (PS3.10 §7.1)


def can_be_copied(path: Path) -> bool:
    """Whether a file can be given another identity in place: it has a preamble, and is not deflated."""
    start = path.read_bytes()[:2048]
    return start[128:132] == b"DICM" and b"1.2.840.10008.1.2.1.99" not in start
