"""The acts around findings: what an audit says of single patients, behind the evidence key (SECURITY §2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from appliance import shown
from appliance.designed import Designed
from appliance.errors import NotPermitted, UsageError
from appliance.evidence.entries import Act

if TYPE_CHECKING:
    from appliance.findings import FindingRow, FindingView, RevealView
    from appliance.workspace.evidence_store import EvidenceStore
    from appliance.workspace.evidence_tables import StoredFinding, StoredReveal
    from appliance.workspace.rows import StoredAudit

_DAMAGED = "bring evidence/damaged back from a backup into evidence/waiting, or move it elsewhere"
LIST, SHOW, REVEAL, ERASED = "findings.list", "findings.show", "findings.reveal", "findings.erase"


class Disclosed(Designed):
    """Findings of one site; an entry is written before any of them is shown."""

    def findings(
        self,
        audit_id: str,
        *,
        min_probability: float | None = None,
        prior: str = "",
        min_score: float | None = None,
        role: str = "",
    ) -> tuple[FindingRow, ...]:
        """What an audit says of every pair, by pseudonym, in the audit's order.

        Args:
            min_probability: leave out what is less likely, or has no leak probability, under `prior`.
            prior: one of `findings.PRIORS`; "" for 0.01.
            min_score: leave out what the deciding detector scores lower, or not at all.
            role: of the cohort; "" for all.

        Raises:
            UsageError: no such audit, it has not finished, or no such prior.
            NotPermitted: the evidence key is not at hand.
            IntegrityError: the findings are missing or damaged, or were put back to an earlier state.
            Busy: somebody else is at the findings.
        """
        from appliance import findings

        asked = prior or findings.PRIOR
        if asked not in findings.PRIORS:
            raise UsageError(f"no such prior: {asked}", "one of " + ", ".join(findings.PRIORS))
        stored = self._finished_audit(audit_id)
        deciding = shown.audit_view(stored, self._workspace.demo).result.deciding_detector
        with self._evidence(LIST, audit_id) as store:
            store.expect(audit_id)
            found = store.findings(
                audit_id,
                role=role,
                detector=deciding,
                min_score=min_score,
                prior=asked,
                min_probability=min_probability,
            )
        return tuple(findings.finding_row(one, deciding, asked) for one in found)

    def finding(self, audit_id: str, patient: str) -> tuple[FindingView, ...]:
        """All pairs of one pseudonym in an audit, with every score.

        Raises:
            UsageError: no such audit or pseudonym, or the audit has not finished.
            NotPermitted, IntegrityError: as `findings`.
        """
        from appliance import findings

        stored = self._finished_audit(audit_id)
        with self._evidence(SHOW, f"{audit_id}\0{patient}") as store:
            return tuple(findings.finding_view(one) for one in _of_patient(store, stored, patient))

    def reveal_finding(self, audit_id: str, patient: str, reason: str) -> RevealView:
        """Break the glass: who a pseudonym is. The reason is kept, and its digest logged, before.

        Raises:
            UsageError: no such audit or pseudonym, or no reason.
            NotPermitted: not an officer, or the evidence key is not at hand.
            IntegrityError: as `findings`.
        """
        from appliance import findings

        stored, name = self._finished_audit(audit_id), f"{audit_id}\0{patient}"
        with self._evidence(REVEAL, name, entry=False) as store:
            _of_patient(store, stored, patient)  # nothing is logged for a pseudonym that is not there
            store.expect(audit_id, identities=True)
            document, digest = findings.reason_document(
                self._workspace, audit_id, patient, reason, [one.user.name for one in self._present]
            )
            allowed = Act(REVEAL, self._log.identifier(name), "allowed", self._actor, detail_digest=digest)
            store.keep_reveal(document, [allowed])
            found, known = store.findings(audit_id, patient=patient), store.identities(audit_id, patient)
        return findings.reveal_view(self._workspace, patient, found, known, digest)

    def reveals(self) -> tuple[StoredReveal, ...]:
        """Every look at an identity with its reason, oldest first; one without a record says so.

        Raises:
            NotPermitted, IntegrityError: as `findings`.
        """
        from appliance import findings

        with self._evidence("findings.reveals", self._workspace.workspace_id) as store:
            allowed = [entry for entry in self._log.acts(REVEAL) if entry.outcome == "allowed"]
            return findings.looks(store.reveals(), allowed)

    # -- how it is done --------------------------------------------------------------------------------

    @contextmanager
    def _evidence(self, act: str, name: str, *, entry: bool = True) -> Iterator[EvidenceStore]:
        """The open store, after an entry that says so; a refusal is an entry too.

        Args:
            entry: False where the caller writes a fuller one before it shows anything.
        """
        from appliance.workspace.evidence_store import opened

        try:
            key = self._workspace.evidence_key(self._present)
        except NotPermitted:
            self._record(act, name, "refused")
            raise
        if entry:
            self._record(act, name, "allowed")
        with opened(self._workspace, key) as (store, erasures):
            for erasure in erasures:
                self._record(ERASED, erasure, "done")
            yield store

    def _batches_set_aside(self) -> tuple[str, ...]:
        """What an officer has to do because sealed findings could not be opened."""
        from appliance.workspace.evidence_batches import EvidenceBatches

        count = EvidenceBatches.of(self._workspace).damaged()
        if not count:
            return ()
        return (f"{count} sealed batches of findings are damaged: {_DAMAGED}",)


def _of_patient(store: EvidenceStore, stored: StoredAudit, patient: str) -> tuple[StoredFinding, ...]:
    store.expect(stored.audit_id)
    found = store.findings(stored.audit_id, patient=patient)
    if not found:
        raise UsageError(
            "no finding of this audit has this pseudonym",
            f"see `gradaudit findings ls {stored.audit_id}`; a patient who was erased is not in it",
        )
    return found
