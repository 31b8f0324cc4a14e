"""Every real file the project has, against what its manifest says must come out."""

from __future__ import annotations

import csv
import time
from collections import Counter
from functools import cache
from pathlib import Path
from statistics import median

from medio.errors import MedioError
from medio.ingest import read_file
from medio.records import FileContent, Outcome

MAX_SECONDS = 10.0
# Lossy JPEG: decoders may round the inverse cosine transform differently (T.83 allows one grey level).
LOSSY_JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
Found = FileContent | MedioError

DICOM_OUTCOMES = {
    "accept": {Outcome.IMAGE},
    "accept_non_image": {Outcome.DOCUMENT},
    "accept_or_unsupported": {Outcome.IMAGE, Outcome.UNSUPPORTED},
    "reject": {Outcome.REJECTED},
    "either": set(Outcome),
}
REPORT_OUTCOMES = {
    "accept_report": {Outcome.REPORT},
    "accept_empty_report": {Outcome.EMPTY_REPORT},
    "accept_not_report": {Outcome.ORDER},
    "accept_study": {Outcome.STUDY},
    "reject": {Outcome.REJECTED},
    "either": set(Outcome),
}
MISSED = {
    # The words of a bone densitometry (DXA): an imaging report, which the manifest does not count as one.
    "fhir/stu3/DiagnosticReport.json": "accept_not_report, but report ",
    # A made example: Pap smear by its code, category laboratory; its text is one word.
    "fhir/test-cases/r5_diagnosticreport-eric.json": "accept_report, but order lab-not-report",
}
"""Reports that do not come out as their manifest says, each with its reason. At most one in a hundred."""


def manifest(folder: Path) -> list[dict[str, str]]:
    """Rows of a folder's MANIFEST.csv."""
    with (folder / "MANIFEST.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def read(path: Path, *, statistics: bool = False) -> Found:
    """What reading gives; any exception that is not ours fails the test, and so does a hang."""
    started = time.process_time()
    try:
        found: Found = read_file(path, statistics=statistics)
    except MedioError as error:
        found = error
    assert time.process_time() - started < MAX_SECONDS, path.name
    return found


@cache
def reports(folder: Path) -> tuple[tuple[dict[str, str], Found], ...]:
    """Each row of the reports' manifest and what reading its file gives, once for all tests."""
    return tuple((row, read(folder / row["file"])) for row in manifest(folder))


def differs(found: Found, row: dict[str, str]) -> str:
    """How the decoded values differ from the manifest's reference; empty when they are equal."""
    values = None if isinstance(found, MedioError) else found.statistics
    if values is None:
        return "no values"
    step, tolerance = (1.0, 0.08) if row["transfer_syntax"] in LOSSY_JPEG else (0.0, 1e-6)
    mean = float(row["ref_mean"])
    equal = {
        "shape": "x".join(map(str, values.shape)) == row["ref_shape"],
        "dtype": values.dtype == row["ref_dtype"],
        "min": abs(values.minimum - float(row["ref_min"])) <= step,
        "max": abs(values.maximum - float(row["ref_max"])) <= step,
        "mean": abs(values.mean - mean) <= tolerance * max(1.0, abs(mean) if step == 0.0 else 1.0),
    }
    return " ".join(name for name, same in equal.items() if not same)


def told(found: Found) -> str:
    """Outcome and reason in one word each."""
    return f"{found.outcome} {found.reason}"


def test_dicom_corpus(real_data: Path) -> None:
    """All valid images with equal values, all other objects as documents, all damaged files refused."""
    wrong: list[str] = []
    seen: Counter[str] = Counter()
    for row in manifest(real_data / "dicom"):
        expect = row["expect"]
        found = read(real_data / "dicom" / row["file"], statistics=True)
        seen[expect] += 1
        if found.outcome not in DICOM_OUTCOMES[expect]:
            wrong.append(f"{row['file']}: {expect}, but {told(found)}")
        elif expect == "accept" and (difference := differs(found, row)):
            wrong.append(f"{row['file']}: {difference}")
        if found.outcome in (Outcome.REJECTED, Outcome.UNSUPPORTED) and not found.reason:
            wrong.append(f"{row['file']}: no reason")
    assert seen["accept"] > 200 and seen["reject"] > 30
    assert wrong == []


def test_report_corpus(real_data: Path) -> None:
    """Messages, logs and resources: reports read, empty ones flagged, the rest told apart."""
    rows = reports(real_data / "reports")
    wrong: dict[str, str] = {}
    for row, found in rows:
        if found.outcome not in REPORT_OUTCOMES[row["expect"]]:
            wrong[row["file"]] = f"{row['expect']}, but {told(found)}"
    assert len(rows) > 590
    assert wrong == MISSED and len(MISSED) <= len(rows) / 100


def test_every_refusal_says_why(real_data: Path) -> None:
    """A file that gives neither report nor study has a code that says why."""
    for row, found in reports(real_data / "reports"):
        given = isinstance(found, FileContent) and (found.reports or found.studies)
        assert given or found.reason, row["file"]


def test_hl7_identity(real_data: Path) -> None:
    """Patient and accession number are those the manifest took from the same messages."""
    compared = 0
    for row, found in reports(real_data / "reports"):
        if row["kind"] != "hl7v2" or row["expect"] != "accept_report":
            continue
        if isinstance(found, MedioError) or not found.reports:
            continue
        first, ids = found.reports[0], row["patient_id"].split("~")
        known = {first.PatientID, *first.OtherPatientIDs}
        assert known >= {one.split("^")[0] for one in ids if one}, row["file"]
        assert first.AccessionNumber == row["accession"].split("^")[0], row["file"]
        compared += 1
    assert compared > 450


def test_reading_an_image_is_fast(real_data: Path) -> None:
    """Read and transform of a small JPEG Secondary Capture: at most 10 ms of one core."""
    path = real_data / "dicom" / "files" / "pydicom" / "SC_rgb_jpeg.dcm"
    taken = []
    for _ in range(15):
        started = time.process_time()
        read_file(path)
        taken.append(time.process_time() - started)
    assert median(taken) <= 0.010
