"""A folder of pairs to one pair per patient, dealt by seed into base, members and others.

DIR holds a pairs.csv with columns id, image_path, text and patient_id; `source` may be there. Pairs whose
source is `vqarad` (CC0 questions and answers) only ever train the base.
"""

from __future__ import annotations

import csv
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audit_core.results import Role
from audit_core.samples import Sample

COLUMNS = ("id", "image_path", "text", "patient_id")
BASE_SOURCE = "vqarad"
BASE_SHARE = Fraction(126, 566)  # of the patients; members and others get one half of the rest each
REFERENCE_SHARE = Fraction(80, 220)  # of members, and of others
FEWEST_REFERENCES = 30  # of a class; the fused detector needs 60 in all
MINIMUM_PATIENTS = 140  # fewer leave less than 31 pairs for the base, which also serve as bank


class UnusableFolder(Exception):
    """The folder cannot be benchmarked; the message says why."""


@dataclass(frozen=True, slots=True)
class Folder:
    """What a folder gave: pairs to deal, pairs for the base alone, and rows left out by reason."""

    dealt: tuple[Sample, ...]
    base_only: tuple[Sample, ...]
    skipped: Counter[str]

    @property
    def counts(self) -> dict[str, int | dict[str, int]]:
        """For the output."""
        return {
            "patients": len(self.dealt),
            "base_only": len(self.base_only),
            "skipped": dict(sorted(self.skipped.items())),
        }


@dataclass(frozen=True, slots=True)
class Lots:
    """Pairs by part, patient-disjoint.

    Attributes:
        base: train the base, make the tokenizer, serve as bank.
        members: train the audited model; `others` do not.
    """

    base: tuple[Sample, ...]
    members: tuple[Sample, ...]
    others: tuple[Sample, ...]

    @staticmethod
    def split(pairs: Sequence[Sample]) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
        """References, tested; where the class has twice as many, at least what a fit needs."""
        cut = max(round(REFERENCE_SHARE * len(pairs)), min(FEWEST_REFERENCES, len(pairs) // 2))
        return tuple(pairs[:cut]), tuple(pairs[cut:])


def read(folder: Path) -> Folder:
    """One pair per patient, the first by id that can be used.

    Raises:
        UnusableFolder: no pairs.csv, a column is missing, or there are too few patients.
    """
    kept: dict[bool, list[Sample]] = {False: [], True: []}
    skipped: Counter[str] = Counter()
    ids: set[str] = set()
    patients: set[str] = set()
    for row in sorted(_rows(folder), key=lambda row: row["id"]):
        reason = _reason(row, ids, patients)
        image = None if reason else _image(folder / row["image_path"])
        if image is None:
            skipped[reason or "image cannot be read"] += 1
            continue
        ids.add(row["id"])
        patients.add(row["patient_id"])
        sample = Sample(row["id"], row["patient_id"], Role.TARGET, image, row["text"])
        kept[row.get("source") == BASE_SOURCE].append(sample)
    if len(kept[False]) < MINIMUM_PATIENTS:
        raise UnusableFolder(
            f"{len(kept[False])} patients can be used, at least {MINIMUM_PATIENTS} are needed; "
            f"left out: {dict(skipped) or 'nothing'}"
        )
    return Folder(tuple(kept[False]), tuple(kept[True]), skipped)


def deal(folder: Folder, seed: int) -> Lots:
    """Deal the patients by seed: 22 % to the base, 39 % each to members and others."""
    order = list(folder.dealt)
    coin = random.Random(f"benchmark {seed}")
    coin.shuffle(order)
    base = round(BASE_SHARE * len(order))
    members = (len(order) - base) // 2
    own = [*order[:base], *folder.base_only]
    coin.shuffle(own)
    return Lots(tuple(own), tuple(order[base : base + members]), tuple(order[base + members :][:members]))


def halves(folder: Folder, seed: int) -> Lots:
    """Every pair to members or others, half each, for models that start without a base.

    The tokenizer is then made of both halves' texts alike, so that it favours neither.
    """
    order = [*folder.dealt, *folder.base_only]
    random.Random(f"halves {seed}").shuffle(order)
    half = len(order) // 2
    return Lots(tuple(order[: 2 * half]), tuple(order[:half]), tuple(order[half : 2 * half]))


def _rows(folder: Path) -> list[dict[str, str]]:
    path = folder / "pairs.csv"
    if not path.is_file():
        raise UnusableFolder(f"{path} is not there")
    usual = csv.field_size_limit(1 << 24)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise UnusableFolder(f"pairs.csv has no column {', '.join(missing)}")
            return [{name: row.get(name) or "" for name in (*COLUMNS, "source")} for row in reader]
    finally:
        csv.field_size_limit(usual)  # it holds for the whole process


def _reason(row: dict[str, str], ids: set[str], patients: set[str]) -> str:
    """Why a row is left out before its image is looked at; "" where it is not."""
    checks = {
        "no id, or one seen before": not row["id"] or row["id"] in ids,
        "no patient": not row["patient_id"],
        "no text": not row["text"].strip(),
        "further pair of a patient": row["patient_id"] in patients,
    }
    return next((reason for reason, holds in checks.items() if holds), "")


def _image(path: Path) -> NDArray[np.uint8] | None:
    """RGB; None where it cannot be read. More than 8 bits are spread over the range that is there."""
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                deep = np.asarray(image, dtype=np.float64)
                low, high = float(deep.min()), float(deep.max())
                grey = (255.0 * (deep - low) / max(high - low, 1e-12)).astype(np.uint8)
                return np.repeat(grey[:, :, None], 3, axis=2)
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
