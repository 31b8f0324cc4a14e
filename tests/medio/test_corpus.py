"""Every real file the project has, against what its manifest says must come out."""

from __future__ import annotations

import csv
import time
from collections import Counter
from pathlib import Path
from statistics import median

import numpy as np

from medio.dicom import read_dicom
from medio.errors import MedioError
from medio.ingest import read_file
from medio.pixels import stored_frames
from medio.records import FileContent, Outcome

MAX_SECONDS = 10.0
# Lossy JPEG: decoders may round the inverse cosine transform differently (T.83 allows one grey level).
LOSSY_JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
Found = FileContent | MedioError


def manifest(folder: Path) -> list[dict[str, str]]:
    """Rows of a folder's MANIFEST.csv."""
    with (folder / "MANIFEST.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def outcome(path: Path) -> Found:
    """What reading gives; any exception that is not ours fails the test, and so does a hang."""
    started = time.monotonic()
    try:
        found: Found = read_file(path)
    except MedioError as error:
        found = error
    assert time.monotonic() - started < MAX_SECONDS, path.name
    return found


def statistics_match(path: Path, row: dict[str, str]) -> bool:
    """All decoded values against the manifest's reference, byte order of the memory layout aside."""
    frames = np.stack(list(stored_frames(read_dicom(path.read_bytes()).dataset)))
    values = frames[0] if len(frames) == 1 else frames
    lossy = row["transfer_syntax"] in LOSSY_JPEG
    mean = float(row["ref_mean"])
    step, tolerance = (1.0, 0.08) if lossy else (0.0, 1e-6 * max(1.0, abs(mean)))
    return (
        "x".join(map(str, values.shape)) == row["ref_shape"]
        and values.dtype.newbyteorder("=") == np.dtype(row["ref_dtype"]).newbyteorder("=")
        and abs(float(values.min()) - float(row["ref_min"])) <= step
        and abs(float(values.max()) - float(row["ref_max"])) <= step
        and abs(float(values.mean(dtype=np.float64)) - mean) <= tolerance
    )


def test_dicom_corpus(real_data: Path) -> None:
    """All valid images with equal values, all other objects as documents, all damaged files refused."""
    wrong: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for row in manifest(real_data / "dicom"):
        path = real_data / "dicom" / row["file"]
        found, expect = outcome(path), row["expect"]
        seen[expect] += 1
        right = {
            "accept": found.outcome is Outcome.IMAGE and (expect != "accept" or statistics_match(path, row)),
            "accept_non_image": found.outcome is Outcome.DOCUMENT,
            "accept_or_unsupported": found.outcome in (Outcome.IMAGE, Outcome.UNSUPPORTED),
            "reject": found.outcome is Outcome.REJECTED,
            "either": True,
        }
        if not right[expect]:
            wrong[f"{expect} {row['file']} {getattr(found, 'reason', type(found).__name__)}"] += 1
    assert seen["accept"] > 200 and seen["reject"] > 30
    assert wrong == Counter()


def test_hl7_corpus(real_data: Path) -> None:
    """All reports read, empty ones flagged, orders and laboratory told apart, fragments refused."""
    wrong: list[str] = []
    rows = [row for row in manifest(real_data / "reports") if row["kind"] == "hl7v2"]
    for row in rows:
        found, expect = outcome(real_data / "reports" / row["file"]), row["expect"]
        reason = getattr(found, "reason", "")
        right = {
            "accept_report": found.outcome is Outcome.REPORT,
            "accept_empty_report": found.outcome is Outcome.EMPTY_REPORT,
            "accept_not_report": found.outcome is Outcome.ORDER,
            "reject": found.outcome is Outcome.REJECTED,
            "either": True,
        }
        if not right[expect]:
            wrong.append(f"{expect} {row['file']} {reason}")
    assert len(rows) > 500
    assert wrong == ["accept_report hl7v2/dcm4che/ORU_R01-PDF.hl7 embedded-document"]


def test_hl7_identity(real_data: Path) -> None:
    """Patient and accession number are those the manifest took from the same messages."""
    compared = 0
    for row in manifest(real_data / "reports"):
        if row["kind"] != "hl7v2" or row["expect"] != "accept_report":
            continue
        found = outcome(real_data / "reports" / row["file"])
        if isinstance(found, MedioError) or not found.reports:
            continue
        first, ids = found.reports[0], row["patient_id"].split("~")
        assert {first.PatientID, *first.OtherPatientIDs} >= {one.split("^")[0] for one in ids if one}, row[
            "file"
        ]
        assert first.AccessionNumber == row["accession"].split("^")[0], row["file"]
        compared += 1
    assert compared > 450


def test_other_report_files_never_crash(real_data: Path) -> None:
    """FHIR resources and listener logs are set aside by name until they are read."""
    rows = [row for row in manifest(real_data / "reports") if row["kind"] != "hl7v2"]
    assert rows and all(isinstance(outcome(real_data / "reports" / row["file"]), MedioError) for row in rows)


def test_reading_an_image_is_fast(real_data: Path) -> None:
    """Read and transform of a small JPEG Secondary Capture: at most 10 ms of one core."""
    path = real_data / "dicom" / "files" / "pydicom" / "SC_rgb_jpeg.dcm"
    taken = []
    for _ in range(15):
        started = time.process_time()
        read_file(path)
        taken.append(time.process_time() - started)
    assert median(taken) <= 0.010
