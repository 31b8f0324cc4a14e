"""The acts around audits: run one, go on with one that was cut off, give one up, look at what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from appliance import policy_file, shown
from appliance.carried_out import CLAIMS, CarriedOut
from appliance.errors import PolicyError, UsageError
from appliance.views import AuditRow, AuditView, EstimateView, Progress
from appliance.workspace.rows import StoredAudit

if TYPE_CHECKING:
    from appliance.policy_file import LoadedPolicy
    from appliance.registry import ModelRecord
    from appliance.worker import Worker
    from medio.records import Cohort

Step = Callable[[Progress], None]


class Audited(CarriedOut):
    """Audits of one site."""

    def audit_price(self, model: str, cohort: str, policy: str) -> EstimateView | None:
        """What an audit takes whose deciding detector makes it dearer than an officer's; None for any other.

        Raises:
            UsageError: no such model or cohort.
            PolicyError: no such policy, or one that means nothing.
        """
        deciding = self._policy(policy)[0].policy.deciding_detector
        record, pairs = self._model(model), len(self._cohort(cohort).assignments)
        if record.trial is None or not shown.is_dear(deciding):
            return None
        return shown.estimate(record, record.trial, pairs, deciding)

    def run_audit(
        self,
        model: str,
        cohort: str,
        policy: str,
        on_progress: Step,
        worker: Worker | None = None,
        *,
        as_published: bool = False,
        mask: str = "",
        spike_in: bool = False,
        spike_in_epochs: int = 0,
    ) -> AuditView:
        """Run one audit to its end; raising from `on_progress` interrupts it, and it can be resumed.

        Args:
            as_published: GradAudit as its authors released it decides, whatever the policy says.
            mask: one of its rules; "" keeps the policy's where that was published.
            spike_in: a throw-away copy trained on half of the fitting controls shows what would be seen.
            spike_in_epochs: of its training; 0 keeps the policy's, or is one where the policy has none.

        Raises:
            UsageError: no such model, cohort or policy; a mask without `as_published`; a spike-in on a cohort
                with known members.
            PolicyError: the policy cannot decide as published, or not on this cohort.
            IntegrityError: cohort or vault does not match its digests.
            ApplianceError: a required isolation layer is missing, or the worker failed.
        """
        asked = asked_as(self._policy(policy)[1], as_published, mask, spike_in, spike_in_epochs)
        exact = self._model(model).name
        return self._audit_anew(exact, cohort, self._with_claims(asked, exact), on_progress, worker)

    def resume_audit(self, audit_id: str, on_progress: Step, worker: Worker | None = None) -> AuditView:
        """Go on with an audit that was cut off; what it had done is read, and the result is the same.

        Raises:
            UsageError: no such audit, it is not interrupted, or model, cohort, policy or code have changed.
            IntegrityError: cohort, vault or a sealed step does not match its digests.
            ApplianceError: as `run_audit`.
        """
        from appliance import auditing

        stored = self._stored_audit(audit_id)
        record, document = self._exactly(stored.model), self._cohort(stored.cohort)
        if "asked" not in stored.digests:
            raise UsageError(
                f"audit {audit_id} cannot be resumed: an earlier version began it", "run a new audit"
            )
        loaded = self._loaded(stored.digests["asked"])
        with self._act(
            "audit.resume", audit_id, turn=self._workspace.auditing(), policy_digest=loaded.digest
        ):
            with self._workspace.writing(self._patience_s):
                self._tidy_audits(going_on=audit_id)
                was, now = stored.state, self._stored_audit(audit_id).state
                closed_before = was != "done" and now == "done"  # the log had its verdict, now it is stored
                if not closed_before:
                    stored = self._interrupted_audit(audit_id)
                    self._finish_closed(stored)
                    auditing.refuse_changes(stored, record, document, loaded)
                    running = auditing.resumed(stored)
                    self._workspace.catalogue.move_audit(running, "interrupted")
            if not closed_before:
                self._carry_out(running, record, document, loaded, on_progress, worker)
        return self.audit(audit_id)

    def abandon_audit(self, audit_id: str) -> AuditRow:
        """Give up an audit that was cut off: its sealed steps are removed, and it cannot be resumed.

        Raises:
            UsageError: no such audit, or it is not interrupted.
        """
        self._stored_audit(audit_id)
        with self._act("audit.abandon", audit_id, turn=self._beside_an_audit()):
            self._interrupted_audit(audit_id)
            self._give_up(audit_id)
        return shown.audit_row(self._stored_audit(audit_id))

    def audits(self) -> tuple[AuditRow, ...]:
        """All audits, newest first. One that nobody works on any more is shown as interrupted."""
        return tuple(map(shown.audit_row, self._as_they_stand(self._workspace.catalogue.audits())))

    def audit(self, audit_id: str) -> AuditView:
        """One finished audit whole.

        Raises:
            UsageError: no such audit, or it has not finished.
        """
        return shown.audit_view(self._finished_audit(audit_id), self._workspace.demo)

    # -- how it is done --------------------------------------------------------------------------------

    def _audit_anew(
        self,
        model: str,
        cohort: str,
        asked: Mapping[str, Any],
        on_progress: Step,
        worker: Worker | None = None,
        audit_id: str = "",
        digest: str = "",
    ) -> AuditView:
        """Run one audit as it was asked for, of exactly this version; with a digest only under that policy.

        Raises as `run_audit`.
        """
        from appliance import auditing

        record, document, loaded = self._asked_for(model, cohort, asked)
        if digest and loaded.digest != digest:
            raise PolicyError(
                "the policy has changed since this audit was asked for",
                "ask for a new audit with `audit run`",
            )
        begun = auditing.begun(record, document, loaded, asked, audit_id)
        with self._act(
            "audit.run", begun.audit_id, turn=self._workspace.auditing(), policy_digest=loaded.digest
        ):
            with self._workspace.writing(self._patience_s):
                self._tidy_audits()
                self._workspace.catalogue.start_audit(begun)
            self._carry_out(begun, record, document, loaded, on_progress, worker)
        return self.audit(begun.audit_id)

    def _asked_for(
        self, model: str, cohort: str, asked: Mapping[str, Any]
    ) -> tuple[ModelRecord, Cohort, LoadedPolicy]:
        """Model, cohort and policy of an audit to be; what it would refuse is refused before anything is
        written down. Raises as `run_audit`.
        """
        from appliance import auditing
        from appliance.policies.demands import check_quorum

        record, document, loaded = self._exactly(model), self._cohort(cohort), self._loaded(asked)
        check_quorum(loaded, self._workspace.keyring.quorum)
        auditing.settings(loaded, document)
        self._design_of(record, document)
        return record, document, loaded

    def _with_claims(self, asked: Mapping[str, Any], model: str) -> dict[str, Any]:
        """What is asked, with the vendor's claims in force about exactly this version.

        Raises:
            IntegrityError: a claim is not what was logged.
        """
        from appliance.claims import shelf

        return {**asked, CLAIMS: shelf.in_force(self._workspace, self._log, model)}

    def _policy(self, reference: str) -> tuple[LoadedPolicy, str]:
        """A policy, and how exactly this text is found again. Raises as `shelf.loaded`."""
        from appliance.policies import shelf

        return shelf.loaded(self._workspace, self._log, reference)

    def _loaded(self, asked: Mapping[str, Any]) -> LoadedPolicy:
        """The policy as an audit was asked for it."""
        return policy_file.as_asked(self._policy(str(asked.get("policy", "")))[0], asked)

    def _cohort(self, name: str) -> Cohort:
        from appliance.cohorts import checked

        stored = self._workspace.catalogue.cohort(name)
        if stored is None:
            raise UsageError(
                f"no cohort {name}", "see `gradaudit cohort ls`, or freeze one with `gradaudit cohort create`"
            )
        return checked(shown.cohort_document(stored))

    def _as_they_stand(self, stored: tuple[StoredAudit, ...]) -> tuple[StoredAudit, ...]:
        """The same audits; one that is running, and that nobody works on any more, was cut off."""
        from appliance import auditing

        if all(row.state != "running" for row in stored) or self._workspace.audited():
            return stored
        return tuple(auditing.interrupted(row) if row.state == "running" else row for row in stored)

    def _interrupted_audit(self, audit_id: str) -> StoredAudit:
        stored = self._stored_audit(audit_id)
        if stored.state != "interrupted":
            raise UsageError(
                f"audit {audit_id} was not cut off: it is {stored.state}", "see `gradaudit audit ls`"
            )
        return stored

    def _finished_audit(self, audit_id: str) -> StoredAudit:
        stored = self._stored_audit(audit_id)
        if stored.result is None:
            (stored,) = self._as_they_stand((stored,))
            raise UsageError(f"audit {audit_id} has no result: {stored.state}", stored.why)
        return stored


def asked_as(
    policy: str, as_published: bool, mask: str, spike_in: bool, spike_in_epochs: int
) -> dict[str, Any]:
    """How an audit was asked for, besides model and cohort: what is kept to find its policy again.

    Args:
        policy: exactly this text: NAME@VERSION, or the absolute path of a file.
    """
    return {
        "policy": policy,
        "as_published": as_published,
        "mask": mask,
        "spike_in": spike_in or spike_in_epochs > 0,
        "spike_in_epochs": spike_in_epochs,
    }
