"""The only door for screens and command line: acts in, frozen views out. Torch-free.

Opening, closing and the log entry around every act are in `acts`; studies, reports and pairs in `collected`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from appliance import codec, policy_file, registry, shown
from appliance.collected import Collected
from appliance.errors import ApplianceError, ModelRejected, UsageError
from appliance.views import (
    AuditRow,
    AuditView,
    CohortView,
    LogHealth,
    LogRow,
    ModelView,
    OverviewView,
    Progress,
)
from appliance.workspace.rows import StoredAudit, StoredCohort, StoredModel

if TYPE_CHECKING:
    from appliance.cohorts import CohortRequest
    from appliance.registry import ModelRecord
    from appliance.worker import Worker
    from medio.records import Cohort

Step = Callable[[Progress], None]


class Appliance(Collected):
    """One site: everything an officer may do."""

    # -- models and cohorts ----------------------------------------------------------------------------

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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
