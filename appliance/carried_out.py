"""How one audit is carried out: its worker, what it keeps meanwhile, its end, and what is tidied after it.

It holds the lock of audits all the time and the writer's for moments only: others write beside it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from appliance import shown
from appliance.errors import ApplianceError, Busy, IntegrityError, UsageError, WorkerFailed
from appliance.evidence_roots import CLOSED
from appliance.runs import pace, progress, queue
from appliance.views import Progress
from appliance.watched import Watched
from appliance.workspace.database import plain_json
from appliance.workspace.rows import StoredAudit
from appliance.workspace.steps import CLOSING, kept, remove_steps
from appliance.workspace.turns import HOURS_S, PATIENCE_S
from appliance.workspace.workspace import STEPS
from audit_core.readings.prices import passes

if TYPE_CHECKING:
    from appliance.designs.assignment import Assignment
    from appliance.evidence.entries import Entry
    from appliance.policy_file import LoadedPolicy
    from appliance.registry import ModelRecord
    from appliance.worker import Worker
    from audit_core.claims import Claim
    from medio.records import Cohort

Step = Callable[[Progress], None]
CLAIMS = "claims"  # of what an audit was asked for: ids of the vendor's claims in force then
SPIKE_IN = "spike-in"  # phase of the engine in which a throw-away copy is trained
MADE, DESTROYED = "copy.make", "copy.destroy"
PROBED, MISSING = "isolation.probe", "isolation.missing"  # of the second: `.network`, `.seccomp`, `.landlock`


class Stopped(BaseException):
    """Somebody ordered the audit at work to stop.

    No `Exception`, as `KeyboardInterrupt` is none: nothing on the way may take it for a failure.
    """


class CarriedOut(Watched):
    """The inner side of the acts around audits."""

    _at_work: Worker | None = None  # of the audit that runs here
    _takes_orders = False  # whether this process works through the queue
    _stopping = False  # somebody ordered it to stop

    @property
    def _patience_s(self) -> float:
        """How long an audit waits for another writer before it begins: nobody waits for one in the queue."""
        return HOURS_S if self._takes_orders else PATIENCE_S

    @contextmanager
    def _beside_an_audit(self) -> Iterator[None]:
        """Be the only writer; where no audit runs, with all others as they stand."""
        with ExitStack() as held:
            try:
                held.enter_context(self._workspace.auditing())
            except Busy:
                held.enter_context(self._workspace.writing())
            else:
                held.enter_context(self._workspace.writing())
                self._tidy_audits()
            yield

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
        self._at_work = runner = worker or Worker(read=[], preload="audit", memory_bytes=memory_bytes)
        told = self._telling(audit.audit_id, record, document, loaded.policy.deciding_detector)
        watched = told.following(self._watching_for_a_copy(audit.audit_id, on_progress))
        try:
            self._boxed(runner, audit.audit_id)
            design = self._design_of(record, document)
            claims = self._claims_of(audit)
            outcome = auditing.run(
                self._workspace, runner, record, document, loaded, watched, audit.audit_id, design, claims
            )
            if worker is None:
                runner.close()
            with self._workspace.writing(HOURS_S):
                self._heed_cancelling(audit.audit_id)
                self._close(audit, outcome, record, document, loaded)
                self._over(audit.audit_id)
        except BaseException as stopped:
            runner.kill()
            if worker is None:
                runner.close()
            self._stopped(audit, stopped)
            if self._stopping and isinstance(stopped, WorkerFailed):
                raise Stopped from None
            raise
        finally:
            self._at_work = None
            progress.forget(self._workspace.root)

    def _claims_of(self, audit: StoredAudit) -> tuple[Claim, ...]:
        """The vendor's claims that were in force when an audit was asked for. Raises as `shelf.asked`."""
        from appliance.claims import shelf

        ids = audit.digests.get("asked", {}).get(CLAIMS, ())
        return shelf.asked(self._workspace, self._log, ids)

    def _heed_cancelling(self, audit_id: str) -> None:
        """Stop what was cancelled when nothing was left to measure. Call it as the only writer."""
        job = queue.job(self._workspace.catalogue, audit_id) if self._takes_orders else None
        if job is not None and job.order is queue.Order.CANCEL:
            raise Stopped

    def _telling(
        self, audit_id: str, record: ModelRecord, document: Cohort, deciding: str
    ) -> progress.Telling:
        """Tell other terminals of this audit, with an estimate from the start."""
        roles = Counter(str(one.role) for one in document.assignments)
        has_base = bool(record.base_path or record.peft_path)
        plan = pace.planned(
            record.trial,
            roles,
            has_base=has_base,
            passes=passes(deciding, has_base),
            judge_s=self._judged_s(record.name),
        )
        return progress.Telling(self._workspace.root, audit_id, plan, here=self._takes_orders)

    def _judged_s(self, model: str) -> float | None:
        """How long judging took when this model was audited last; of any where it never was."""
        catalogue = self._workspace.catalogue
        heads = [row for row in catalogue.audit_heads() if row.state == "done"]
        last = min(heads, key=lambda row: row.model != model, default=None)  # the newest comes first
        stored = catalogue.audit(last.audit_id) if last is not None else None
        if stored is None or stored.result is None:
            return None
        result = stored.result["result"]
        return sum(float(one["seconds"]) for one in result["timings"] if one["phase"] in pace.JUDGING)

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
        queue.remove(self._workspace.catalogue, audit_id)
        if self._stored_audit(audit_id).state == "failed":
            findings.discard(self._workspace, audit_id)

    def _give_up(self, audit_id: str) -> None:
        """End an audit that nobody works on, or that only waits. Call it as the only writer.

        One that the log has closed has its verdict, and keeps it.

        Raises:
            IntegrityError: the log has closed it, and its result is not there.
        """
        from appliance import auditing

        catalogue = self._workspace.catalogue
        stored = catalogue.audit(audit_id)
        if stored is None or stored.state in ("done", "failed"):
            queue.remove(catalogue, audit_id)
            return
        try:
            if self._finish_closed(stored):
                return
        except IntegrityError:
            queue.remove(catalogue, audit_id)  # nobody can work on it
            raise
        catalogue.move_audit(auditing.failed(stored, "given up before it finished"), stored.state)
        self._over(audit_id)

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
        """Findings sealed, verdict into the log, result into the catalogue."""
        from appliance import auditing, findings
        from appliance.pack.building import close_audit
        from appliance.pack.gathering import described, pack_input, unscored
        from appliance.pack.records.gathered import gathered

        pack = described(self._workspace, record, document, loaded.policy.seed)
        pack["data"]["unscored"] = unscored(self._log, audit.audit_id, outcome.findings)
        pack["records"] = gathered(self._workspace, self._log, loaded, outcome.isolation)
        name, digest = findings.keep(self._workspace, audit.audit_id, outcome.findings)
        finished = shown.noted(auditing.finished(audit, outcome, loaded, pack, name), self._workspace.demo)
        view = shown.audit_view(finished, self._workspace.demo)
        given = pack_input(self._workspace, finished, view)
        # on disk before the log closes it: a kill after the entry loses nothing, and nothing is closed twice
        self._workspace.steps(audit.audit_id).put(CLOSING, plain_json(asdict(finished)).encode())
        close_audit(self._log, given, self._actor, digest)
        self._workspace.catalogue.finish_audit(finished)

    def _closed(self, audit_id: str) -> Entry | None:
        """The entry that closed an audit; None while the log has none."""
        self._log.refresh()
        own = self._log.about(self._log.identifier(audit_id))
        return next((entry for entry in own if entry.act == CLOSED), None)

    def _finish_closed(self, audit: StoredAudit) -> bool:
        """Give an audit that was cut off behind its closing entry the result that was closed.

        Call it as the only writer, when nobody works on the audit.

        Returns:
            False where the log has not closed it.

        Raises:
            IntegrityError: it is closed, and what was closed is not there or damaged.
        """
        closed = self._closed(audit.audit_id)
        if closed is None:
            return False
        content = self._workspace.steps(audit.audit_id).get(CLOSING)
        if content is None:
            raise IntegrityError(
                f"the log closed audit {audit.audit_id} with {closed.outcome} (entry {closed.index}), and "
                "its result is not there: it can be neither resumed nor given up",
                "`gradaudit evidence answer` lists it with that verdict; run a new audit",
            )
        self._workspace.catalogue.move_audit(StoredAudit(**json.loads(content)), audit.state)
        self._over(audit.audit_id)
        return True

    def _stopped(self, audit: StoredAudit, stopped: BaseException) -> None:
        """Write down why an audit ended early, and keep its steps where it may go on."""
        from appliance import auditing

        if self._closed(audit.audit_id) is not None:
            with suppress(ApplianceError), self._workspace.writing(HOURS_S):
                stored = self._stored_audit(audit.audit_id)
                if stored.state == "running":  # else it had been finished
                    self._finish_closed(stored)
            return
        if not auditing.can_go_on(stopped):
            with self._workspace.writing(HOURS_S):
                self._workspace.catalogue.finish_audit(auditing.failed(audit, str(stopped)))
                self._over(audit.audit_id)
            return
        if isinstance(stopped, ApplianceError):
            goes_on = f"`gradaudit audit resume {audit.audit_id}` goes on where it stopped."
            stopped.hint = f"{stopped.hint} {goes_on}".strip()
        # a full disk, a writer: the next command finds it running, and nobody at work
        with suppress(ApplianceError), self._workspace.writing():
            self._workspace.catalogue.finish_audit(auditing.interrupted(audit))

    def _tidy_audits(self, going_on: str = "") -> None:
        """A running audit was cut off, and steps of audits that are over may go: for who holds both locks.

        So may what throw-away copies of audits that were cut off have learnt, but for the one that goes on:
        resumed, the others train theirs again.
        """
        from appliance import auditing, findings

        findings.sweep(self._workspace)
        known = {row.audit_id for row in self._workspace.catalogue.audit_heads()}
        resumable = set()
        for row in self._workspace.catalogue.unfinished_audits():
            with suppress(IntegrityError):  # said to whoever resumes or gives it up
                if self._finish_closed(row):
                    continue
            resumable.add(row.audit_id)
            if row.state == "running":
                self._workspace.catalogue.finish_audit(auditing.interrupted(row))
        directory = self._workspace.root / STEPS
        for audit_id in kept(directory):
            if audit_id not in known:
                remove_steps(directory / audit_id)
            elif audit_id not in resumable:
                self._over(audit_id)
        for audit_id in resumable - {going_on}:
            self._destroy_copy(audit_id)

    def _stored_audit(self, audit_id: str) -> StoredAudit:
        stored = self._workspace.catalogue.audit(audit_id)
        if stored is None:
            raise UsageError(f"no audit {audit_id}", "see `gradaudit audit ls`")
        return stored
