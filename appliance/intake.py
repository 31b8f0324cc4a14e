"""Ingest as an act: files in; sealed frames and texts, catalogue rows, pairs and a quarantine out."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance import codec
from appliance.errors import UsageError, WorkerFailed
from appliance.views import IngestView, Progress
from appliance.worker import Worker
from appliance.workspace.rows import (
    Quarantined,
    StoredFile,
    StoredInstance,
    StoredPair,
    StoredReport,
    StoredStudy,
)
from appliance.workspace.workspace import Workspace
from medio.deidentify import pseudonym
from medio.pairing import PairableImage, Pairing, pair
from medio.records import Instance, Outcome, Report, ReportSource, Study
from medio.sources import walk

FRAME = "frame"
REPORT_TEXT = "report-text"
PARSER_DIED = "parser-died"
FILE_TIMEOUT_S = 60.0  # longest silence on one file before its parser is killed


class Intake:
    """One ingest into one workspace.

    Args:
        workspace: open, with the writer's lock held by the caller.
        start_worker: makes a boxed child that may read the given files; called again when a file kills one.
        step: told after every file.
    """

    def __init__(
        self, workspace: Workspace, start_worker: Callable[[], Worker], step: Callable[[Progress], None]
    ) -> None:
        self._workspace = workspace
        self._start_worker = start_worker
        self._step = step
        self._counts: Counter[str] = Counter()
        self._taken: set[str] = set()  # digests of what this ingest has kept
        self._reasons: Counter[str] = Counter()
        self._instances: list[StoredInstance] = []
        self._reports: list[StoredReport] = []
        self._studies: list[StoredStudy] = []
        self._files: list[StoredFile] = []
        self._quarantined: list[Quarantined] = []

    def run(self, paths: Sequence[Path]) -> IngestView:
        """Read every file below `paths`, then pair what the workspace holds.

        Raises:
            UsageError: a path does not exist, or there is no file below any of them.
        """
        files = list_files(paths)
        fresh = self._fresh(files)
        with self._workspace.vault.batch():
            self._read(fresh, len(files))
        self._commit()
        pairing = self._pair()
        return IngestView(
            files=len(files),
            images=self._counts["image"],
            reports=self._counts["reports"],
            pairs=len(pairing.pairs),
            duplicates=len(files) - len(fresh) + self._counts["duplicate"],
            quarantined=tuple(sorted(self._reasons.items())),
            unpaired_images=len(pairing.unpaired_images),
            unpaired_reports=len(pairing.unpaired_reports),
        )

    def _fresh(self, files: Sequence[Path]) -> list[tuple[Path, str]]:
        """Files whose bytes the catalogue does not know yet, each once, with their SHA-256.

        A member of an archive has no digest before the worker has unpacked it.
        """
        digests = {path: _digest(path) for path in files}
        known = set(self._workspace.catalogue.known_digests(set(digests.values())))
        fresh = []
        for path, digest in digests.items():
            if digest not in known:
                fresh.append((path, digest))
                known |= {digest} - {""}
        return fresh

    def _read(self, fresh: Sequence[tuple[Path, str]], total: int) -> None:
        """Feed the worker; a file that kills it is set aside and the rest goes to a new one."""
        done = 0
        while done < len(fresh):
            batch = fresh[done:]
            answered = 0

            def take(event: dict[str, Any], blob: bytes, batch: Sequence[tuple[Path, str]] = batch) -> None:
                nonlocal answered
                path, digest = batch[event["index"]]
                self._take(path, digest, event, blob)
                answered += 1
                self._step(Progress("ingest", total - len(batch) + answered, total, "files"))

            try:
                with self._start_worker() as worker:
                    _ = worker.isolation  # a worker that cannot even start is no file's fault
                    try:
                        job = {"type": "ingest", "paths": [str(path) for path, _ in batch]}
                        worker.call(job, on_event=take, timeout_s=FILE_TIMEOUT_S)
                    except WorkerFailed as died:
                        if answered < len(batch):
                            self._set_aside(*batch[answered], PARSER_DIED, str(died))
                            answered += 1
                        raise
            except WorkerFailed:
                if answered == 0:
                    raise
            done += answered

    def _take(self, path: Path, digest: str, event: dict[str, Any], blob: bytes) -> None:
        """Keep what one file gave; the bytes may have changed between listing and reading."""
        read = str(event["digest"])
        outcome = Outcome(event["outcome"])
        if outcome in (Outcome.REJECTED, Outcome.UNSUPPORTED):
            self._set_aside(path, read or digest, str(event["reason"]), str(event["message"]))
            return
        if self._seen(read):
            self._counts["duplicate"] += 1
            return
        self._counts[outcome] += 1
        self._files.append(StoredFile(read, outcome, str(event["reason"]), _now()))
        if outcome is Outcome.IMAGE:
            self._instances.append(self._sealed_image(codec.load(Instance, event["instance"]), event, blob))
        self._studies += [
            StoredStudy(**_shared(codec.load(Study, record), StoredStudy)) for record in event["studies"]
        ]
        self._take_reports([codec.load(Report, record) for record in event["reports"]])

    def _take_reports(self, reports: Sequence[Report]) -> None:
        """A message file may hold reports that came before in another file."""
        fresh = [report for report in reports if not self._seen("report " + report.content_digest)]
        self._counts["reports"] += len(fresh)
        self._reports += map(self._sealed_report, fresh)

    def _seen(self, digest: str) -> bool:
        """Whether this content came before, in an earlier ingest or in this one; from now on it has."""
        stored = digest.removeprefix("report ")
        seen = digest in self._taken or bool(self._workspace.catalogue.known_digests({stored}))
        self._taken.add(digest)
        return seen

    def _sealed_image(self, instance: Instance, event: dict[str, Any], blob: bytes) -> StoredInstance:
        return StoredInstance(
            **_shared(instance, StoredInstance),
            frame_object=self._workspace.vault.put(FRAME, blob),
            frame_rule=str(event["frame_rule"]),
            height=int(event["height"]),
            width=int(event["width"]),
        )

    def _sealed_report(self, report: Report) -> StoredReport:
        text = self._workspace.vault.put(REPORT_TEXT, report.text.encode())
        return StoredReport(**_shared(report, StoredReport), text_object=text)

    def _set_aside(self, path: Path, digest: str, reason: str, message: str) -> None:
        self._reasons[reason] += 1
        name = self._workspace.keys.names.handle("quarantine", str(path))
        self._quarantined.append(Quarantined(digest or name, reason, message, name, _now()))

    def _commit(self) -> None:
        self._workspace.catalogue.add_records(
            self._instances, self._reports, self._studies, self._files, self._quarantined
        )

    def _pair(self) -> Pairing:
        """Pair everything the workspace holds; a report may arrive weeks after its images."""
        catalogue = self._workspace.catalogue
        images = (PairableImage(_instance(row), row.frame_rule) for row in catalogue.instances())
        pairing = pair(images, (_report(row) for row in catalogue.reports()))
        key = self._workspace.keys.pseudonym.raw
        rows = [
            StoredPair(
                **_shared(one, StoredPair), patient=pseudonym(key, one.IssuerOfPatientID, one.PatientID)
            )
            for one in pairing.pairs
        ]
        catalogue.settle_pairs(rows)
        return pairing


def list_files(paths: Sequence[Path]) -> list[Path]:
    """Every regular file below the given paths, sorted; links are not followed.

    Raises:
        UsageError: a path does not exist, or there is no file at all.
    """
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(
                "one of the given paths does not exist", "check the spelling; nothing was ingested"
            )
    files = [path.absolute() for path in walk(paths)]
    if not files:
        raise UsageError(
            "there is no file to ingest below the given paths", "give a folder with DICOM files and reports"
        )
    return files


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _digest(path: Path) -> str:
    """Hex SHA-256 of a file; empty for what cannot be opened here, the worker says why."""
    try:
        if path.is_symlink() or not path.is_file():
            return ""
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def _instance(row: StoredInstance) -> Instance:
    return Instance(**_shared(row, Instance))


def _report(row: StoredReport) -> Report:
    """A stored report for pairing; its text stays sealed, the object's keyed name tells equal texts."""
    return Report(**_shared(row, Report) | {"source": ReportSource(row.source), "text": row.text_object})


def _shared(record: Any, kind: type) -> dict[str, Any]:
    """The fields that a medical record and its stored row have in common, by name."""
    names = {field.name for field in fields(kind)}
    return {field.name: getattr(record, field.name) for field in fields(record) if field.name in names}
