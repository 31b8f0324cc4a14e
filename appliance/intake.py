"""Ingest as an act: files in; sealed frames and texts, catalogue rows, pairs and a quarantine out.

Frames and texts are sealed in the threads that receive them. Rows are written in batches: first the vault's
objects reach the disk, then the rows that name them, so a kill costs one batch of work and nothing else.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance import limits
from appliance.frames import FRAME
from appliance.listing import Listing
from appliance.readers import Readers
from appliance.reading import PATIENT_ERASED, Reading
from appliance.sealed import REPORT_TEXT
from appliance.site.room import expect_room
from appliance.views import IngestView, Progress
from appliance.worker import Worker
from appliance.workspace import erasing
from appliance.workspace.rows import Quarantined, StoredFile, StoredInstance, StoredReport, StoredStudy
from appliance.workspace.vault import Arriving
from appliance.workspace.workspace import Workspace
from medio.records import Instance, Outcome, Report, Study

_fields: dict[type, frozenset[str]] = {}  # asked for every row


@dataclass(frozen=True, slots=True)
class _Sealed:
    """One file as it leaves its thread: read, and its frame and texts sealed but not yet stored."""

    path: Path
    reading: Reading
    frame: Arriving | None
    texts: tuple[Arriving, ...]


@dataclass(slots=True)
class _Batch:
    """What is stored next, in one step."""

    begun: float = field(default_factory=time.monotonic)
    size: int = 0  # bytes sealed
    digests: set[str] = field(default_factory=set)  # of its files
    arrivals: list[Arriving] = field(default_factory=list)
    instances: list[StoredInstance] = field(default_factory=list)
    reports: list[StoredReport] = field(default_factory=list)
    studies: list[StoredStudy] = field(default_factory=list)
    files: list[StoredFile] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # of all its files, as handles

    @property
    def full(self) -> bool:
        return (
            len(self.names) >= limits.BATCH_FILES
            or self.size >= limits.BATCH_BYTES
            or time.monotonic() - self.begun >= limits.BATCH_S
        )

    def add_arrivals(self, arrivals: Iterable[Arriving]) -> None:
        """Count and keep what was sealed."""
        for arriving in arrivals:
            self.arrivals.append(arriving)
            self.size += arriving.size


class Intake:
    """One ingest into one workspace.

    Args:
        workspace: open, with the writer's lock held by the caller.
        start_worker: makes a boxed child that may read the given files.
        step: told after every file.
        workers: parsers side by side; 0 for one a core.
    """

    def __init__(
        self,
        workspace: Workspace,
        start_worker: Callable[[], Worker],
        step: Callable[[Progress], None],
        workers: int = 0,
    ) -> None:
        self._workspace = workspace
        self._step = step
        self._readers = Readers(
            start_worker,
            self._seal,
            workers=workers or limits.workers(),
            wanted=lambda digest: not workspace.catalogue.has_file(digest),
        )
        self._erased = erasing.refused(workspace.catalogue)
        self._counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._warnings: Counter[str] = Counter()
        self._batch = _Batch()

    def run(self, files: Listing) -> IngestView:
        """Read every file, then pair what the workspace holds.

        Raises:
            ApplianceError: no worker can be started, or the disk refuses.
            NotNow: less is free than the site keeps free; what was stored stays, and a later ingest goes on.
        """
        from appliance.joining import settle

        expect_room(self._workspace.root)
        done = 0
        try:
            with closing(self._readers.read(files)) as readings:
                for sealed in readings:
                    self._take(sealed)
                    if self._batch.full:
                        self._store()
                        expect_room(self._workspace.root)
                    done += 1
                    self._step(Progress("ingest", done, max(done, files.total), "files"))
            self._store()
        finally:
            self._workspace.vault.sweep()  # what was sealed and not stored, when this was stopped
        self._warnings.update(code for codes in files.warnings.values() for code in codes)
        pairing = settle(self._workspace)
        return IngestView(
            files=done,
            images=self._counts[Outcome.IMAGE],
            reports=self._counts["reports"],
            pairs=len(pairing.pairs),
            duplicates=self._counts["duplicate"],
            quarantined=tuple(self._reasons.most_common()),
            unpaired_images=len(pairing.unpaired_images),
            unpaired_reports=len(pairing.unpaired_reports),
            documents=self._counts[Outcome.DOCUMENT],
            orders=self._counts[Outcome.ORDER],
            empty_reports=self._counts[Outcome.EMPTY_REPORT],
            studies=self._counts["studies"],
            warnings=tuple(self._warnings.most_common()),
        )

    def _seal(self, path: Path, reading: Reading, frame: bytes) -> _Sealed:
        """In a reader's thread: no frame and no text waits for its turn in the clear."""
        vault = self._workspace.vault
        if self._erased:
            reading = self._without_erased(reading)
            frame = frame if reading.outcome is Outcome.IMAGE else b""
        return _Sealed(
            path,
            reading,
            vault.bring(FRAME, frame, self._subject(reading.instance)) if frame else None,
            tuple(
                vault.bring(REPORT_TEXT, report.text.encode(), self._subject(report))
                for report in reading.reports
            ),
        )

    def _without_erased(self, reading: Reading) -> Reading:
        """What a file says of patients who were not erased; nothing, not even its digest, of the others."""
        records: list[Instance | Report | Study] = [*reading.reports, *reading.studies]
        records += [reading.instance] if reading.instance is not None else []
        gone = [one for one in records if self._subject(one) in self._erased]
        if not gone:
            return reading
        if len(gone) == len(records) or reading.instance in gone:
            said = "a patient who was erased; not taken in again"
            return Reading(Outcome.REJECTED, reason=PATIENT_ERASED, message=said)
        return replace(
            reading,
            reports=tuple(one for one in reading.reports if one not in gone),
            studies=tuple(one for one in reading.studies if one not in gone),
            warnings=(*reading.warnings, PATIENT_ERASED),
        )

    def _subject(self, record: Instance | Report | Study | None) -> str:
        """Whose key seals this."""
        if record is None:
            return ""
        handle = self._workspace.subjects.handle
        return handle(record.IssuerOfPatientID, record.PatientID, record.content_digest)

    def _take(self, sealed: _Sealed) -> None:
        """Add one file to the batch."""
        reading = sealed.reading
        name = self._workspace.keys.names.handle("quarantine", str(sealed.path.absolute()))
        self._batch.names.append(name)
        self._batch.add_arrivals(filter(None, (sealed.frame, *sealed.texts)))
        if reading.set_aside:
            self._set_aside(name, reading)
        elif reading.outcome is None or self._is_known(reading.digest):
            self._counts["duplicate"] += 1
        else:
            self._keep(sealed, reading.outcome)

    def _is_known(self, digest: str) -> bool:
        """Asked again in turn: when a copy was looked at, this file may not have been stored yet."""
        return digest in self._batch.digests or self._workspace.catalogue.has_file(digest)

    def _keep(self, sealed: _Sealed, outcome: Outcome) -> None:
        reading, batch = sealed.reading, self._batch
        self._counts[outcome] += 1
        self._warnings.update(reading.warnings)
        batch.digests.add(reading.digest)
        batch.files.append(StoredFile(reading.digest, outcome, reading.reason, _now()))
        if reading.instance is not None and sealed.frame is not None:
            batch.instances.append(_stored_instance(reading, reading.instance, sealed.frame))
        batch.studies += [StoredStudy(**_shared(study, StoredStudy)) for study in reading.studies]
        self._counts["studies"] += len(reading.studies)
        for report, text in zip(reading.reports, sealed.texts, strict=True):
            self._keep_report(report, text)

    def _keep_report(self, report: Report, text: Arriving) -> None:
        """A file of messages may hold reports that came before in another file."""
        digest = report.content_digest
        stored = {row.content_digest for row in self._batch.reports}
        if digest in stored or self._workspace.catalogue.report(digest) is not None:
            return
        self._counts["reports"] += 1
        self._batch.reports.append(StoredReport(**_shared(report, StoredReport), text_object=text.object_id))

    def _set_aside(self, name: str, reading: Reading) -> None:
        self._reasons[reading.reason] += 1
        self._batch.quarantined.append(
            Quarantined(reading.digest or name, reading.reason, reading.message, name, _now())
        )

    def _store(self) -> None:
        """Objects first, rows after: a row never names what is not there."""
        batch = self._batch
        self._workspace.vault.settle(batch.arrivals)
        self._workspace.catalogue.add_records(
            batch.instances, batch.reports, batch.studies, batch.files, batch.quarantined, batch.names
        )
        self._batch = _Batch()


def _stored_instance(reading: Reading, instance: Instance, frame: Arriving) -> StoredInstance:
    return StoredInstance(
        **_shared(instance, StoredInstance),
        frame_object=frame.object_id,
        frame_rule=reading.frame_rule,
        height=reading.height,
        width=reading.width,
        warnings=reading.warnings,
    )


def _shared(record: Any, kind: type) -> dict[str, Any]:
    """The fields that a medical record and its stored row have in common, by name."""
    return {name: getattr(record, name) for name in _names(type(record)) if name in _names(kind)}


def _names(kind: Any) -> frozenset[str]:
    if kind not in _fields:
        _fields[kind] = frozenset(column.name for column in fields(kind))
    return _fields[kind]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
