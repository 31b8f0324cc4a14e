"""The only door for screens and command line: acts in, frozen views out. Torch-free.

Every act is a log entry before it takes effect and its outcome another after; where the log cannot be
written, nothing is done (SECURITY §3).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from appliance import codec, config, policy_file, registry, shown
from appliance.errors import ApplianceError, Locked, ModelRejected, UsageError
from appliance.evidence.log import EvidenceLog
from appliance.views import (
    AuditRow,
    AuditView,
    CohortView,
    DuplicateView,
    IngestView,
    LogHealth,
    LogRow,
    ModelView,
    OverviewView,
    PairView,
    Progress,
    QuarantineRow,
    UnpairedView,
)
from appliance.workspace.keyslots import read_keyring
from appliance.workspace.rows import StoredAudit, StoredCohort, StoredModel
from appliance.workspace.workspace import KEYRING, LOG, Workspace

if TYPE_CHECKING:
    from appliance.cohorts import CohortRequest
    from appliance.exporting import ExportView
    from appliance.library import Library, ReportRow, ReportView, StudyRow, StudyView
    from appliance.registry import ModelRecord
    from appliance.selection import PairRow
    from appliance.worker import Worker
    from medio.records import Cohort

Step = Callable[[Progress], None]


class Appliance:
    """An unlocked workspace with its log."""

    def __init__(self, workspace: Workspace, fresh: bool = False) -> None:
        self._workspace = workspace
        self._log = EvidenceLog.open(workspace.log_dir, create=fresh)

    # -- opening and closing ---------------------------------------------------------------------------

    @classmethod
    def create(cls, root: Path, passphrase: str, *, site: str, demo: bool = False) -> Appliance:
        """Make a workspace and open it.

        Raises:
            UsageError: something is there already, or the passphrase is too short.
        """
        if len(passphrase) < config.MINIMUM_PASSPHRASE:
            raise UsageError(
                f"a passphrase needs at least {config.MINIMUM_PASSPHRASE} characters",
                "four random words are easy to keep",
            )
        appliance = cls(Workspace.create(root, passphrase, site, demo), fresh=True)
        appliance._record("workspace.create", appliance._workspace.workspace_id, "done")
        return appliance

    @classmethod
    def unlock(cls, root: Path, passphrase: str) -> Appliance:
        """Open with the officer's passphrase; a wrong one is logged as well.

        Raises:
            Locked: no workspace there, or a wrong passphrase.
            IntegrityError: keyring, catalogue or log is damaged.
        """
        try:
            workspace = Workspace.open(root, passphrase)
        except Locked:
            _log_unopened(root, "workspace.unlock", "refused")
            raise
        appliance = cls(workspace)
        appliance._record("workspace.unlock", workspace.workspace_id, "allowed")
        return appliance

    @classmethod
    def resume(cls, root: Path) -> Appliance | None:
        """Open what `unlock` left open; None when it is locked or not there."""
        try:
            return cls(Workspace.resume(root))
        except Locked:
            return None

    @staticmethod
    def expect_workspace(root: Path) -> None:
        """Make sure that there is a workspace to unlock.

        Raises:
            Locked: there is none; the hint says how to make one.
        """
        read_keyring(root / KEYRING)

    def remember(self) -> None:
        """Let later commands `resume`, until `forget` or a restart of the machine."""
        self._workspace.keep_unlocked()

    @staticmethod
    def forget(root: Path) -> None:
        """Lock: no later command can `resume`.

        Raises:
            Locked: no workspace there.
        """
        Workspace.lock(root)
        _log_unopened(root, "workspace.lock", "done")

    def lock(self) -> None:
        """Lock and close."""
        self._record("workspace.lock", self._workspace.workspace_id, "done")
        Workspace.lock(self._workspace.root)
        self.close()

    def close(self) -> None:
        """Close the catalogue; the log has nothing open between entries."""
        self._workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- studies, models, cohorts ----------------------------------------------------------------------

    def ingest(
        self,
        paths: Sequence[Path],
        step: Step,
        start_worker: Callable[[], Worker] | None = None,
        workers: int = 0,
    ) -> IngestView:
        """Read studies and reports below `paths`; see `IngestView` for what came of them.

        Args:
            workers: parsers side by side; 0 for one a core.

        Raises:
            UsageError: a path does not exist or holds no file.
            Busy: another command is writing.
        """
        from appliance.intake import Intake
        from appliance.readers import listing, parser

        files = listing(paths)
        start = start_worker or (lambda: parser(paths))
        with self._act("studies.ingest", *(str(path.absolute()) for path in paths)):
            return Intake(self._workspace, start, step, workers).run(files)

    def quarantine(self, each: bool = False) -> tuple[QuarantineRow, ...]:
        """What was set aside, by reason or file by file; files go by a keyed handle of their name."""
        return shown.quarantine_rows(self._workspace.catalogue.quarantined(), each)

    def export_studies(
        self, paths: Sequence[Path], folder: Path, step: Step, *, accept_burned_in: bool = False
    ) -> ExportView:
        """Write images below `paths` without identity; see `ExportView` for what was refused.

        Raises:
            UsageError: a path does not exist or holds no file, or the folder is inside the workspace.
            Busy: another command is writing.
        """
        from appliance.exporting import Export, exporter
        from appliance.readers import listing

        files = listing(paths)
        export = Export(self._workspace, folder.absolute(), lambda: exporter(paths), step, accept_burned_in)
        given = (str(path.absolute()) for path in (*paths, folder))
        with self._act("studies.export", *given):
            return export.run(files, lambda: files.total)

    def studies(self) -> tuple[StudyRow, ...]:
        """Every study with its handles: for the officer's own eyes, never for a log or a pack."""
        return self._library().studies()

    def study(self, name: str) -> StudyView:
        """One study by UID or accession number, with its images and reports; likewise.

        Raises:
            UsageError: no such study, or several.
        """
        return self._library().study(name)

    def reports(self) -> tuple[ReportRow, ...]:
        """Every report with its handles; likewise."""
        return self._library().reports()

    def report(self, prefix: str) -> ReportView:
        """One report with its masked text; an entry says that it was looked at.

        Raises:
            UsageError: no such report, or several.
        """
        view = self._library().report(prefix)
        self._record("report.show", view.row.digest, "allowed")
        return view

    def pairs(self) -> tuple[PairRow, ...]:
        """Every pair with its handles: for the officer's own eyes, never for a log or a pack."""
        from appliance.cohorts import pair_rows

        return pair_rows(self._workspace)

    def unpaired(self) -> tuple[UnpairedView, ...]:
        """What found no partner, and why: for the officer's own eyes, as `pairs`."""
        from appliance import pairs

        return pairs.unpaired(self._workspace)

    def pair(self, name: str) -> PairView:
        """One pair whole, by its id or the first digits of it; for the officer's own eyes.

        Raises:
            UsageError: no such pair, or several.
        """
        from appliance import pairs

        return pairs.show(self._workspace, name)

    def duplicates(self, step: Step) -> tuple[DuplicateView, ...]:
        """Images and reports that show the same as another; for the officer's own eyes."""
        from appliance import pairs

        return pairs.duplicates(self._workspace, step)

    def add_model(
        self,
        name: str,
        path: Path,
        *,
        family: str = "",
        base: Path | None = None,
        vendor: str = "",
        released: str = "",
        worker: Worker | None = None,
    ) -> ModelView:
        """Register a vendor model after a trial load in the worker.

        Raises:
            ModelRejected: code, pickles, missing parts or keys; nothing is registered.
        """
        from appliance.worker import Worker

        record = registry.described(name, path, family=family, base=base, vendor=vendor, released=released)
        with self._act("model.add", name):
            loader = worker or Worker(read=record.folders(), preload="audit")
            try:
                job = {
                    "type": "inspect",
                    "path": record.path,
                    "base": record.base_path,
                    "family": record.family,
                }
                record = replace(record, parameters=int(loader.call(job)["parameters"]))
            except ApplianceError as refused:
                raise ModelRejected(str(refused), refused.hint) from refused
            finally:
                if worker is None:
                    loader.close()
            self._workspace.catalogue.add_model(StoredModel(name, asdict(record), _now()))
        return self.model(name)

    def model(self, name: str) -> ModelView:
        """One registered model.

        Raises:
            UsageError: there is none of that name.
        """
        return next(view for view in self.models() if view.name == self._model(name).name)

    def models(self) -> tuple[ModelView, ...]:
        """Registered models by name."""
        return tuple(shown.model_view(stored) for stored in self._workspace.catalogue.models())

    def create_cohort(self, request: CohortRequest) -> CohortView:
        """Freeze a cohort.

        Raises:
            UsageError: a selection is empty, roles share a patient, or near-duplicates stand across roles.
        """
        from appliance.cohorts import freeze

        with self._act("cohort.create", request.name):
            document = freeze(self._workspace, request)
            self._workspace.catalogue.add_cohort(
                StoredCohort(request.name, document.digest, json.loads(codec.dump(document)), _now())
            )
        return self.cohort(request.name)

    def cohort(self, name: str) -> CohortView:
        """One frozen cohort with the balance of its roles and what may mislead.

        Raises:
            UsageError: there is none of that name.
            IntegrityError: it is not what was frozen.
        """
        from appliance.cohorts import described

        return described(self._workspace, self._cohort(name))

    def cohorts(self) -> tuple[CohortView, ...]:
        """Frozen cohorts by name."""
        return tuple(
            shown.cohort_view(shown.cohort_document(stored)) for stored in self._workspace.catalogue.cohorts()
        )

    def policies(self) -> tuple[str, ...]:
        """Names of the shipped policies."""
        return policy_file.shipped()

    # -- audits ----------------------------------------------------------------------------------------

    def run_audit(
        self, model: str, cohort: str, policy: str, on_progress: Step, worker: Worker | None = None
    ) -> AuditView:
        """Run one audit to its end; raising from `on_progress` cancels it and leaves nothing half-written.

        Raises:
            UsageError: no such model, cohort or policy.
            IntegrityError: cohort or vault does not match its digests.
            ApplianceError: a required isolation layer is missing, or the worker failed.
        """
        from appliance import auditing
        from appliance.evidence.pack import close_audit
        from appliance.packing import described, pack_input
        from appliance.worker import Worker

        record, document = self._model(model), self._cohort(cohort)
        loaded = policy_file.load(policy)
        begun = auditing.begun(record, document, loaded)
        with self._act("audit.run", begun.audit_id, policy_digest=loaded.digest):
            self._close_interrupted()
            self._workspace.catalogue.start_audit(begun)
            runner = worker or Worker(read=record.folders(), preload="audit")
            try:
                outcome = auditing.run(self._workspace, runner, record, document, loaded, on_progress)
            except BaseException as stopped:
                runner.kill()
                why = str(stopped) if isinstance(stopped, ApplianceError) else "stopped before it finished"
                self._workspace.catalogue.finish_audit(auditing.failed(begun, why))
                raise
            if worker is None:
                runner.close()
            pack = described(self._workspace, record, document, loaded.policy.seed)
            finished = auditing.finished(begun, outcome, loaded, pack)
            view = shown.audit_view(finished, self._workspace.demo)
            close_audit(self._log, pack_input(self._workspace, finished, view), actor="officer")
            self._workspace.catalogue.finish_audit(finished)
        return self.audit(begun.audit_id)

    def audits(self) -> tuple[AuditRow, ...]:
        """All audits, newest first."""
        return tuple(shown.audit_row(stored) for stored in self._workspace.catalogue.audits())

    def audit(self, audit_id: str) -> AuditView:
        """One finished audit whole.

        Raises:
            UsageError: no such audit, or it has not finished.
        """
        return shown.audit_view(self._finished_audit(audit_id), self._workspace.demo)

    def export_pack(self, audit_id: str, path: Path) -> Path:
        """Write the evidence pack of an audit: no patient data, verifiable alone.

        Raises:
            UsageError: no such audit, or the folder is not there.
        """
        from appliance.evidence.pack import write
        from appliance.packing import pack_input

        given = pack_input(self._workspace, self._finished_audit(audit_id), self.audit(audit_id))
        with self._act("evidence.export", audit_id):
            return write(self._log, given, path.absolute())

    # -- overview and log ------------------------------------------------------------------------------

    def overview(self) -> OverviewView:
        """Models with their last verdicts, the log's health, counts, and what needs a person."""
        counts = self._workspace.catalogue.counts()
        last = {row.model: row for row in reversed(self._workspace.catalogue.audits()) if row.state == "done"}
        rows = tuple(shown.overview_row(view, last.get(view.name)) for view in self.models())
        return OverviewView(
            site=self._workspace.site_name,
            demo=self._workspace.demo,
            models=rows,
            log=self.log_verify(),
            studies=counts.studies,
            reports=counts.reports,
            pairs=counts.pairs,
            quarantined=counts.quarantined,
            needs_me=tuple(filter(None, map(shown.needs_a_person, rows))),
        )

    def log_count(self) -> int:
        """How many entries the log has."""
        return self._log.size

    def log_entries(self, offset: int, limit: int) -> tuple[LogRow, ...]:
        """At most `limit` entries from `offset`, oldest first."""
        return self._log.rows(offset, limit)

    def log_verify(self) -> LogHealth:
        """Re-derive the whole log."""
        return self._log.verify()

    # -- how it is done --------------------------------------------------------------------------------

    @contextmanager
    def _act(self, act: str, *names: str, policy_digest: str = "") -> Iterator[None]:
        """One writer, an entry before and an entry after; a failure is an outcome too."""
        name = "\0".join(names)
        with self._workspace.writing():
            self._record(act, name, "begins", policy_digest=policy_digest)
            try:
                yield
            except BaseException as stopped:
                outcome = "failed" if isinstance(stopped, Exception) else "cancelled"
                self._record(act, name, outcome, policy_digest=policy_digest)
                raise
            self._record(act, name, "done", policy_digest=policy_digest)

    def _record(
        self, act: str, name: str, outcome: str, *, policy_digest: str = "", result_root: str = ""
    ) -> None:
        handle = self._log.identifier(name)
        self._log.append(
            act, handle, outcome, actor="officer", policy_digest=policy_digest, result_root=result_root
        )

    def _library(self) -> Library:
        from appliance.library import Library

        return Library(self._workspace)

    def _model(self, name: str) -> ModelRecord:
        stored = self._workspace.catalogue.model(name)
        if stored is None:
            raise UsageError(
                f"no model {name}", "see `gradaudit models ls`, or register it with `gradaudit models add`"
            )
        return shown.model_record(stored)

    def _cohort(self, name: str) -> Cohort:
        from appliance.cohorts import checked

        stored = self._workspace.catalogue.cohort(name)
        if stored is None:
            raise UsageError(
                f"no cohort {name}", "see `gradaudit cohort ls`, or freeze one with `gradaudit cohort create`"
            )
        return checked(shown.cohort_document(stored))

    def _close_interrupted(self) -> None:
        """An audit that still runs although nobody writes was cut off; it stays in the list as that."""
        from appliance.auditing import failed

        for row in self._workspace.catalogue.audits():
            if row.state == "running":
                self._workspace.catalogue.finish_audit(failed(row, "cut off before it finished"))

    def _finished_audit(self, audit_id: str) -> StoredAudit:
        stored = self._workspace.catalogue.audit(audit_id)
        if stored is None:
            raise UsageError(f"no audit {audit_id}", "see `gradaudit audit ls`")
        if stored.result is None:
            raise UsageError(f"audit {audit_id} has no result: {stored.state}", stored.why)
        return stored


def _log_unopened(root: Path, act: str, outcome: str) -> None:
    """An entry about a workspace that is not open; the log's keys need no passphrase (SECURITY §3)."""
    if os.path.isdir(root / LOG):  # noqa: PTH112 - False, not an error, where the folder is another account's
        log = EvidenceLog.open(root / LOG, create=False)
        log.append(act, log.identifier(str(root)), outcome, actor="anonymous")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
