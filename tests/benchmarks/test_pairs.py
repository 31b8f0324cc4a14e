"""A folder of pairs, whoever brings it: what is used, what is left out, how it is dealt."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from detection.pairs import MINIMUM_PATIENTS, Folder, UnusableFolder, deal, halves, read
from PIL import Image

FULL = MINIMUM_PATIENTS + 20


def _rows(count: int) -> list[dict[str, str]]:
    return [
        {
            "id": f"id{number:04d}",
            "image_path": "one.png",
            "text": f"text {number}",
            "patient_id": f"p{number}",
        }
        for number in range(count)
    ]


def _write(folder: Path, rows: list[dict[str, str]]) -> Path:
    Image.fromarray(np.full((6, 5, 3), 90, np.uint8)).save(folder / "one.png")
    with (folder / "pairs.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def _everyone(folder: Folder, seed: int) -> Iterator[str]:
    lots = deal(folder, seed)
    return (pair.patient for part in (lots.base, lots.members, lots.others) for pair in part)


def test_a_folder_without_optional_columns_is_dealt_whole(tmp_path: Path) -> None:
    """Id, image, text and patient suffice; nobody is in two parts, both classes are of one size."""
    folder = read(_write(tmp_path, _rows(FULL)))
    lots = deal(folder, 3)
    everyone = list(_everyone(folder, 3))
    assert len(everyone) == len(set(everyone))
    assert len(lots.members) == len(lots.others)
    assert FULL - len(everyone) <= 1
    assert {"patients": FULL, "base_only": 0, "skipped": {}} == folder.counts


def test_the_shares_are_those_of_the_recipe(tmp_path: Path) -> None:
    """566 patients give 126 to the base and 220 to either class, of which 80 are references."""
    lots = deal(read(_write(tmp_path, _rows(566))), 0)
    assert (126, 220, 220) == (len(lots.base), len(lots.members), len(lots.others))
    assert (80, 140) == tuple(map(len, lots.split(lots.members)))


def test_a_small_folder_keeps_enough_references_to_fit_on(tmp_path: Path) -> None:
    """209 patients give 30 references of each class, which is what the fused detector needs."""
    lots = deal(read(_write(tmp_path, _rows(209))), 0)
    assert [30, 30] == [len(lots.split(part)[0]) for part in (lots.members, lots.others)]


def test_what_cannot_be_used_is_counted(tmp_path: Path) -> None:
    """A missing image, an empty text, a second pair, a pair of nobody: left out, each with its reason."""
    rows = _rows(FULL)
    rows[0]["image_path"] = "absent.png"
    rows[1]["text"] = "  "
    rows[2]["patient_id"] = "p5"
    rows[3]["patient_id"] = ""
    rows[4]["image_path"] = "pairs.csv"
    folder = read(_write(tmp_path, rows))
    assert {
        "image cannot be read": 2,
        "no text": 1,
        "further pair of a patient": 1,
        "no patient": 1,
    } == folder.counts["skipped"]
    assert FULL - 5 == len(folder.dealt)


def test_a_patient_whose_first_pair_is_damaged_is_not_lost(tmp_path: Path) -> None:
    """The next pair of the same patient is taken."""
    rows = _rows(FULL)
    rows[0]["image_path"] = "absent.png"
    rows.append({"id": "later", "image_path": "one.png", "text": "more", "patient_id": "p0"})
    assert FULL == len(read(_write(tmp_path, rows)).dealt)


def test_questions_and_answers_train_the_base_alone(tmp_path: Path) -> None:
    """Pairs of source vqarad are in the base whatever the seed, and in no class."""
    rows = [{**row, "source": "vqarad" if number < 15 else ""} for number, row in enumerate(_rows(FULL))]
    lots = deal(read(_write(tmp_path, rows)), 1)
    apart = {f"p{number}" for number in range(15)}
    assert apart <= {pair.patient for pair in lots.base}
    assert set() == apart & {pair.patient for pair in (*lots.members, *lots.others)}


def test_too_few_patients_are_refused(tmp_path: Path) -> None:
    """The refusal names how many there are and how many are needed."""
    with pytest.raises(UnusableFolder, match=f"{MINIMUM_PATIENTS - 1} patients .* {MINIMUM_PATIENTS} are"):
        read(_write(tmp_path, _rows(MINIMUM_PATIENTS - 1)))


def test_a_missing_column_is_refused_by_name(tmp_path: Path) -> None:
    """A folder without patients is not benchmarked as if every pair were one."""
    rows = [{k: v for k, v in row.items() if k != "patient_id"} for row in _rows(FULL)]
    with pytest.raises(UnusableFolder, match="patient_id"):
        read(_write(tmp_path, rows))


def test_sixteen_bit_pictures_keep_their_grey_levels(tmp_path: Path) -> None:
    """A deep picture is spread over its own range, not clipped to white."""
    _write(tmp_path, _rows(FULL))
    deep = np.linspace(1000, 40000, 30).reshape(6, 5).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "one.png")
    image = read(tmp_path).dealt[0].image
    assert (6, 5, 3) == image.shape
    assert len(np.unique(image)) == 30


def test_halves_share_no_patient(tmp_path: Path) -> None:
    """Without a base, all pairs go to members and others, half each, and both halves make the tokenizer."""
    lots = halves(read(_write(tmp_path, _rows(FULL))), 2)
    members, others = ({pair.patient for pair in part} for part in (lots.members, lots.others))
    assert set() == members & others
    assert members | others == {pair.patient for pair in lots.base}


def test_the_deal_depends_on_the_seed_alone(tmp_path: Path) -> None:
    """The same seed deals the same lots, another seed others."""
    folder = read(_write(tmp_path, _rows(FULL)))
    assert list(_everyone(folder, 5)) == list(_everyone(folder, 5))
    assert list(_everyone(folder, 5)) != list(_everyone(folder, 6))
