"""The acts around audits: run one, go on with one that was cut off, give one up, look at what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance import policy_file, shown
from appliance.errors import ApplianceError, UsageError
from appliance.registered import Registered
from appliance.views import AuditRow, AuditView, EstimateView, Progress
from appliance.workspace.rows import StoredAudit
from appliance.workspace.steps import kept, remove_steps
from appliance.workspace.workspace import STEPS

if TYPE_CHECKING:
    from appliance.designs.assignment import Assignment
    from appliance.policy_file import LoadedPolicy
    from appliance.registry import ModelRecord
    from appliance.worker import Worker
    from medio.records import Cohort

Step = Callable[[Progress], None]
SPIKE_IN = "spike-in"  # phase of the engine in which a throw-away copy is trained
MADE, DESTROYED = "copy.make", "copy.destroy"
PROBED, MISSING = "isolation.probe", "isolation.missing"  # of the second: `.network`, `.seccomp`, `.landlock`


class Audited(Registered):
    """Audits of one site."""

    def audit_price(self, model: str, cohort: str, policy: str) -> EstimateView | None:
        """What an audit takes whose deciding detector makes it dearer than an officer's; None for any other.

        Raises:
            UsageError: no such model or cohort.
            PolicyError: no such policy, or one that means nothing.
        """
        deciding = policy_file.load(policy).policy.deciding_detector
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
        from appliance import auditing

        record, document = self._model(model), self._cohort(cohort)
        asked = {
            "policy": _place_of(policy),
            "as_published": as_published,
            "mask": mask,
            "spike_in": spike_in or spike_in_epochs > 0,
            "spike_in_epochs": spike_in_epochs,
        }
        loaded = _loaded(asked)
        auditing.settings(loaded, document)  # refused before anything is written down
        self._design_of(record, document)
        begun = auditing.begun(record, document, loaded, asked)
        with self._act("audit.run", begun.audit_id, policy_digest=loaded.digest):
            self._tidy_audits()
            self._workspace.catalogue.start_audit(begun)
            self._carry_out(begun, record, document, loaded, on_progress, worker)
        return self.audit(begun.audit_id)

    def resume_audit(self, audit_id: str, on_progress: Step, worker: Worker | None = None) -> AuditView:
        """Go on with an audit that was cut off; what it had done is read, and the result is the same.

        Raises:
            UsageError: no such audit, it is not interrupted, or model, cohort, policy or code have changed.
            IntegrityError: cohort, vault or a sealed step does not match its digests.
            ApplianceError: as `run_audit`.
        """
        from appliance import auditing

        stored = self._stored_audit(audit_id)
        record, document = self._model(stored.model), self._cohort(stored.cohort)
        if "asked" not in stored.digests:
            raise UsageError(
                f"audit {audit_id} cannot be resumed: an earlier version began it", "run a new audit"
            )
        loaded = _loaded(stored.digests["asked"])
        with self._act("audit.resume", audit_id, policy_digest=loaded.digest):
            self._tidy_audits(going_on=audit_id)
            stored = self._interrupted_audit(audit_id)
            auditing.refuse_changes(stored, record, document, loaded)
            running = auditing.resumed(stored)
            self._workspace.catalogue.move_audit(running, "interrupted")
            self._carry_out(running, record, document, loaded, on_progress, worker)
        return self.audit(audit_id)

    def abandon_audit(self, audit_id: str) -> AuditRow:
        """Give up an audit that was cut off: its sealed steps are removed, and it cannot be resumed.

        Raises:
            UsageError: no such audit, or it is not interrupted.
        """
        from appliance import auditing

        self._stored_audit(audit_id)
        with self._act("audit.abandon", audit_id):
            self._tidy_audits()
            given_up = auditing.failed(self._interrupted_audit(audit_id), "given up before it finished")
            self._workspace.catalogue.move_audit(given_up, "interrupted")
            self._over(audit_id)
        return shown.audit_row(given_up)

    def audits(self) -> tuple[AuditRow, ...]:
        """All audits, newest first. One that nobody works on any more is shown as interrupted."""
        return tuple(map(shown.audit_row, self._as_they_stand(self._workspace.catalogue.audits())))

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

    # -- how it is done --------------------------------------------------------------------------------

    def _carry_out(
        self,
        audit: StoredAudit,
        record: ModelRecord,
        document: Cohort,
        loaded: LoadedPolicy,
        on_progress: Step,
        worker: Worker | None,
    ) -> None:
        """From a running audit to one that is done, interrupted or failed."""
        from appliance import auditing, limits
        from appliance.worker import Worker

        memory_bytes = limits.audit_bytes(record.trial, len(document.assignments))
        runner = worker or Worker(read=[], preload="audit", memory_bytes=memory_bytes)
        watched = self._watching_for_a_copy(audit.audit_id, on_progress)
        try:
            self._boxed(runner, audit.audit_id)
            design = self._design_of(record, document)
            outcome = auditing.run(
                self._workspace, runner, record, document, loaded, watched, audit.audit_id, design
            )
            if worker is None:
                runner.close()
            self._close(audit, outcome, record, document, loaded)
        except BaseException as stopped:
            runner.kill()
            if worker is None:
                runner.close()
            self._stopped(audit, stopped)
            raise
        self._over(audit.audit_id)

    def _boxed(self, runner: Worker, audit_id: str) -> None:
        """Write into the log how the worker's box stands, before anything of the site goes in."""
        from appliance.isolation import LAYERS, ON
        from appliance.worker import SELF_PROBE

        layers = runner.isolation
        self._record(PROBED, audit_id, "ok" if layers.get(SELF_PROBE) == ON else "failed")
        for layer in LAYERS:
            if layers.get(layer) != ON:
                self._record(f"{MISSING}.{layer.partition('_')[0]}", audit_id, "noted")

    def _watching_for_a_copy(self, audit_id: str, on_progress: Step) -> Step:
        """Write into the log that a throw-away copy was made, once for every time one is."""
        made = False

        def watch(step: Progress) -> None:
            nonlocal made
            if step.phase == SPIKE_IN and not made:
                made = True
                self._record(MADE, audit_id, "done")
            on_progress(step)

        return watch

    def _over(self, audit_id: str) -> None:
        """Remove all that an audit has kept: it is done, failed or given up."""
        from appliance import findings

        self._destroy_copy(audit_id)
        self._workspace.steps(audit_id).clear()
        if self._stored_audit(audit_id).state == "failed":
            findings.discard(self._workspace, audit_id)

    def _destroy_copy(self, audit_id: str) -> None:
        """Remove what a throw-away copy has learnt, and write down that it is gone.

        The copy itself ended with its process, and only one process works on audits.
        """
        steps = self._workspace.steps(audit_id)
        learnt = steps.holds_copy()
        steps.forget_copy()
        if steps.holds_copy():
            return  # not gone, so not said to be
        acts = [entry.act for entry in self._log.about(self._log.identifier(audit_id))]
        told = [act for act in acts if act in (MADE, DESTROYED)]
        if learnt or told[-1:] == [MADE]:
            self._record(DESTROYED, audit_id, "done")

    def _design_of(self, record: ModelRecord, document: Cohort) -> Assignment | None:
        """The verified design behind a cohort, None where it names none. Raises as `verified.behind`."""
        from appliance.designs.verified import behind

        found = behind(self._workspace, self._log, document, record.released)
        return found.assignment if found is not None else None

    def _close(
        self,
        audit: StoredAudit,
        outcome: Any,
        record: ModelRecord,
        document: Cohort,
        loaded: LoadedPolicy,
    ) -> None:
        """Verdict into the log, result into the catalogue."""
        from appliance import auditing
        from appliance.evidence.pack import close_audit
        from appliance.packing import described, pack_input

        pack = described(self._workspace, record, document, loaded.policy.seed)
        finished = shown.noted(auditing.finished(audit, outcome, loaded, pack), self._workspace.demo)
        view = shown.audit_view(finished, self._workspace.demo)
        given = pack_input(self._workspace, finished, view)
        close_audit(self._log, given, self._actor, outcome.findings_digest)
        self._workspace.catalogue.finish_audit(finished)

    def _stopped(self, audit: StoredAudit, stopped: BaseException) -> None:
        """Write down why an audit ended early, and keep its steps where it may go on."""
        from appliance import auditing

        if not auditing.can_go_on(stopped):
            self._workspace.catalogue.finish_audit(auditing.failed(audit, str(stopped)))
            self._over(audit.audit_id)
            return
        if isinstance(stopped, ApplianceError):
            goes_on = f"`gradaudit audit resume {audit.audit_id}` goes on where it stopped."
            stopped.hint = f"{stopped.hint} {goes_on}".strip()
        with suppress(ApplianceError):  # a full disk: the next command finds it running, and nobody at work
            self._workspace.catalogue.finish_audit(auditing.interrupted(audit))

    def _tidy_audits(self, going_on: str = "") -> None:
        """For the only writer: a running audit was cut off, and steps of audits that are over may go.

        So may what throw-away copies of audits that were cut off have learnt, but for the one that goes on:
        resumed, the others train theirs again.
        """
        from appliance import auditing, findings

        findings.sweep(self._workspace)
        resumable, known = set(), set()
        for row in self._workspace.catalogue.audits():
            known.add(row.audit_id)
            if row.state == "running":
                self._workspace.catalogue.finish_audit(auditing.interrupted(row))
            if row.state in ("running", "interrupted"):
                resumable.add(row.audit_id)
        directory = self._workspace.root / STEPS
        for audit_id in kept(directory):
            if audit_id not in known:
                remove_steps(directory / audit_id)
            elif audit_id not in resumable:
                self._over(audit_id)
        for audit_id in resumable - {going_on}:
            self._destroy_copy(audit_id)

    def _cohort(self, name: str) -> Cohort:
        from appliance.cohorts import checked

        stored = self._workspace.catalogue.cohort(name)
        if stored is None:
            raise UsageError(
                f"no cohort {name}", "see `gradaudit cohort ls`, or freeze one with `gradaudit cohort create`"
            )
        return checked(shown.cohort_document(stored))

    def _stored_audit(self, audit_id: str) -> StoredAudit:
        stored = self._workspace.catalogue.audit(audit_id)
        if stored is None:
            raise UsageError(f"no audit {audit_id}", "see `gradaudit audit ls`")
        return stored

    def _as_they_stand(self, stored: tuple[StoredAudit, ...]) -> tuple[StoredAudit, ...]:
        """The same audits; one that is running, and that nobody works on any more, was cut off."""
        from appliance import auditing

        if all(row.state != "running" for row in stored) or self._workspace.written():
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


def _place_of(policy: str) -> str:
    """A shipped policy's name, or the absolute path of a file: to be found again from another folder."""
    return policy if policy in policy_file.shipped() else str(Path(policy).absolute())


def _loaded(asked: Mapping[str, Any]) -> LoadedPolicy:
    """The policy as an audit was asked for it."""
    loaded, mask = policy_file.load(str(asked.get("policy", ""))), str(asked.get("mask", ""))
    if asked.get("as_published"):
        loaded = policy_file.published(loaded, mask)
    elif mask:
        raise UsageError("--mask goes with --as-published", "the policy's method.mask holds for other audits")
    if asked.get("spike_in"):
        loaded = policy_file.with_spike_in(loaded, int(asked.get("spike_in_epochs", 0)))
    return loaded
