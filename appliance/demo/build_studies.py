"""Build the demo's studies: DICOM Secondary Capture images, HL7 v2 and DICOM SR reports, lists and truth.

    python -m appliance.demo.build_studies DATA [OUT]

DATA is a folder with `pairs.csv`, `vqa.csv` and `images/` of VQA-RAD (CC0 1.0). The same DATA gives the same
bytes: every identifier is a hash, every date is drawn by a hash, and nothing looks at the clock.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from appliance.demo.blanking import LEFT_OUT, LEFT_OUT_OVERLAY, blank
from appliance.demo.dicom_objects import basic_text_sr, secondary_capture
from appliance.demo.hl7_message import oru_r01
from appliance.demo.people import RELEASE, Patient, accession_number, invent
from appliance.demo.roles import SHIPPED_SEED, Split, split

ASSETS = Path(__file__).parent / "assets"
VENDORS = ("lumen", "harbor")
PHRASES = "left-out-questions.txt"
# What the hospital knows, one list per role. The members are the vendors' own lists.
COHORT_LISTS = {
    "bank": ("bank",),
    "controls": ("fitting", "calibration"),
    "targets": ("exposed", "clean"),
    "post-release": ("post_release",),
}
# U+FFFD stands where the published file lost an apostrophe; reports carry the apostrophe.
REPAIRS = {"\ufffd": "'"}


def question_and_answer(row: dict[str, str]) -> str:
    """One line of a report, as both report formats carry it."""
    line = f"Q: {row['question'].strip()} A: {row['answer'].strip()}"
    for broken, whole in REPAIRS.items():
        line = line.replace(broken, whole)
    return " ".join(line.split())


def read_source(data: Path) -> list[tuple[dict[str, str], bytes, list[str]]]:
    """VQA-RAD rows that are kept, each with its blanked JPEG and its lines of questions and answers."""
    lines: dict[str, list[str]] = {}
    with (data / "vqa.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            lines.setdefault(row["id"], []).append(question_and_answer(row))
    kept = []
    with (data / "pairs.csv").open(encoding="utf-8", newline="") as file:
        for row in sorted(csv.DictReader(file), key=lambda r: r["id"]):
            source_id = row["id"].removeprefix("vqarad-synpic")
            if row["source"] != "vqarad" or source_id in LEFT_OUT:
                continue
            jpeg = (data / row["image_path"]).read_bytes()
            source_width = int(row["source_size"].split("x")[0])
            kept.append((row, blank(jpeg, source_id, source_width), _first_of_each(lines[row["id"]])))
    return kept


def left_out_phrases(data: Path) -> list[str]:
    """Questions and answers about pictures left out for their overlay: text that concerns no demo patient."""
    names = {f"vqarad-synpic{source_id}" for source_id in LEFT_OUT_OVERLAY}
    with (data / "vqa.csv").open(encoding="utf-8", newline="") as file:
        return sorted({question_and_answer(row) for row in csv.DictReader(file) if row["id"] in names})


def build(data: Path, out: Path = ASSETS, seed: int = SHIPPED_SEED) -> Split:
    """Write studies, lists by role, disclosures and truth below `out`; give back the split."""
    source = read_source(data)
    lots = split(seed, {accession_number(row["id"]): _organ(row) for row, _, _ in source})
    people = {}
    for row, _, _ in source:
        people[row["id"]] = invent(row["id"], _organ(row), lots.lot[accession_number(row["id"])])
    studies = out / "studies"
    studies.mkdir(parents=True, exist_ok=True)
    for stale in studies.iterdir():
        stale.unlink()
    for row, jpeg, lines in source:
        person = people[row["id"]]
        stem = person.AccessionNumber
        image = secondary_capture(person, jpeg)
        (studies / f"{stem}.dcm").write_bytes(image)
        if person.report_format == "sr":
            (studies / f"{stem}-report.dcm").write_bytes(basic_text_sr(person, lines))
        else:
            (studies / f"{stem}.hl7").write_bytes(oru_r01(person, lines))
    _write_lists(out, lots, people)
    (out / PHRASES).write_text("\n".join(left_out_phrases(data)) + "\n", encoding="utf-8")
    return lots


def _write_lists(out: Path, lots: Split, people: dict[str, Patient]) -> None:
    def accessions(*names: str) -> list[str]:
        return list(lots.patients(*names))

    for vendor in VENDORS:
        _write_accessions(out / f"disclosure-{vendor}.csv", accessions("member"))
    for name, drawn in COHORT_LISTS.items():
        _write_accessions(out / f"{name}.csv", accessions(*drawn))
    _write_csv(
        out / "origin.csv",
        ("AccessionNumber", "vqarad", "organ"),
        sorted((p.AccessionNumber, key.removeprefix("vqarad-"), p.organ) for key, p in people.items()),
    )
    leaky = {"trained_on": accessions("member", "exposed"), "must_be": "FAIL"}
    truth = {
        "released": RELEASE,
        "exposed_targets": accessions("exposed"),
        "clean_targets": accessions("clean"),
        "base_trained_on": accessions("bank"),
        "models": {
            "lumen-vlm": leaky,
            "harbor-clip": leaky,
            "clear-vlm": {"trained_on": [], "must_not_be": "FAIL"},
        },
    }
    (out / "truth.json").write_text(json.dumps(truth, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _write_accessions(path: Path, accessions: Sequence[str]) -> None:
    _write_csv(path, ("AccessionNumber",), [(accession,) for accession in accessions])


def _organ(row: dict[str, str]) -> str:
    return row["extra"].split(";")[0].removeprefix("organ ").strip()


def _first_of_each(lines: list[str]) -> list[str]:
    return list(dict.fromkeys(lines))


def main(arguments: Sequence[str]) -> int:
    """Build from the folder named first into the folder named second (default: the shipped assets)."""
    if not 1 <= len(arguments) <= 2:
        sys.stderr.write("usage: python -m appliance.demo.build_studies DATA [OUT]\n")
        return 2
    out = Path(arguments[1]) if len(arguments) == 2 else ASSETS
    lots = build(Path(arguments[0]), out)
    size = sum(f.stat().st_size for f in (out / "studies").iterdir())
    sys.stderr.write(f"{len(lots.lot)} patients, {size / 1e6:.1f} MB in {out / 'studies'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
