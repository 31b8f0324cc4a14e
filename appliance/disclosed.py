"""The acts around findings: what an audit says of single patients, behind the evidence key (SECURITY §2).

A program that stays open, such as the screens, opens them once (`open_findings`) and pages through; a
command opens them for itself. Either way an entry is written before any of them is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from appliance import lockout, shown
from appliance.acts import attempted
from appliance.designed import Designed
from appliance.errors import Busy, Locked, NotPermitted, UsageError
from appliance.evidence.entries import Act
from appliance.finding_views import (
    ALL,
    FindingRow,
    FindingsAsked,
    FindingsNeed,
    FindingsPage,
    FindingView,
    RevealedView,
    RevealView,
    Second,
)

if TYPE_CHECKING:
    from appliance.workspace.evidence_held import HeldEvidence
    from appliance.workspace.evidence_listing import Listing
    from appliance.workspace.evidence_store import EvidenceStore
    from appliance.workspace.evidence_tables import StoredFinding, StoredReveal
    from appliance.workspace.keys import SecretKey
    from appliance.workspace.keyslots import Identity
    from appliance.workspace.rows import StoredAudit

_DAMAGED = "bring evidence/damaged back from a backup into evidence/waiting, or move it elsewhere"
OPEN, LIST, SHOW = "findings.open", "findings.list", "findings.show"
REVEAL, ERASED = "findings.reveal", "findings.erase"


class Disclosed(Designed):
    """Findings of one site; an entry is written before any of them is shown."""

    _held: HeldEvidence | None = None
    _typed: Identity | None = None  # whoever works here, once the passphrase was typed for findings

    # -- opening them for a session --------------------------------------------------------------------

    def findings_need(self) -> FindingsNeed:
        """What opening the findings takes now."""
        return FindingsNeed(self._held is not None, not self._has_typed(), self._workspace.keyring.quorum > 1)

    def open_findings(self, passphrase: str = "", second: Second | None = None) -> None:
        """Open the findings until a lock or the end of the program.

        Args:
            passphrase: of whoever works here, where it was not typed for this program.
            second: where findings take two; present for this act alone.

        Raises:
            Locked: a wrong passphrase, or too many of them.
            NotPermitted: somebody is missing.
            IntegrityError: the findings are missing or damaged, or were put back to an earlier state.
            Busy: somebody else is at the findings.
        """
        from appliance.workspace.evidence_held import HeldEvidence

        self._drop_findings()
        if passphrase:
            self._type(passphrase)
        with self._beside(second):
            key = self._key_for(OPEN, self._workspace.workspace_id)
        self._record(OPEN, self._workspace.workspace_id, "allowed")
        self._held = HeldEvidence(self._workspace, key)

    def close(self) -> None:
        """Close the findings, then the workspace."""
        self._drop_findings()
        super().close()

    # -- looking ---------------------------------------------------------------------------------------

    def findings(self, audit_id: str, asked: FindingsAsked = ALL) -> tuple[FindingRow, ...]:
        """What an audit says of every pair that is asked for, by pseudonym. Raises as `findings_page`."""
        return self.findings_page(audit_id, asked).rows

    def findings_page(
        self,
        audit_id: str,
        asked: FindingsAsked = ALL,
        offset: int = 0,
        limit: int = -1,
        on_step: Callable[[int, int], None] | None = None,
    ) -> FindingsPage:
        """Some of what an audit says of single pairs; of findings that are open, the first page is an entry.

        Args:
            audit_id: of a finished audit.
            asked: which, and in which order.
            offset: of the first one, among those that are asked for.
            limit: at most so many; -1 for all.
            on_step: called where all rows are read through, the first time after a merge or a change, with
                how many findings were read, of how many; may raise to stop.

        Raises:
            UsageError: no such audit, it has not finished, or no such prior or order.
            NotPermitted: the evidence key is not at hand.
            IntegrityError: the findings are missing or damaged, or were put back to an earlier state.
            Busy: somebody else is at the findings.
        """
        from appliance import findings
        from appliance.workspace.evidence_listing import ChangedMeanwhile

        wanted = findings.sifting(asked)
        if offset < 0:
            raise UsageError("an offset is 0 or more", "")
        stored = self._finished_audit(audit_id)
        for last in (False, True):
            try:
                with self._listing(stored, on_step) as listing:
                    found, total = listing.page(wanted, offset, limit), listing.count(wanted)
                break
            except ChangedMeanwhile:  # between the look whether anybody had, and the reading
                if last:
                    raise Busy("the findings are being changed", "Try again in a moment.") from None
        return FindingsPage(tuple(map(findings.finding_row, found)), total)

    def finding(self, audit_id: str, patient: str) -> tuple[FindingView, ...]:
        """All pairs of one pseudonym in an audit, with every score; no identity.

        Raises:
            UsageError: no such audit or pseudonym, or the audit has not finished.
            NotPermitted, IntegrityError: as `findings_page`.
        """
        from appliance import findings

        stored = self._finished_audit(audit_id)
        with self._evidence(SHOW, f"{audit_id}\0{patient}") as store:
            found = _of_patient(store, stored, patient)
        return findings.finding_views(self._workspace, found)

    def reveal_finding(self, audit_id: str, patient: str, reason: str) -> RevealView:
        """Break the glass: who a pseudonym is. The reason is kept, and its digest logged, before.

        Raises:
            UsageError: no such audit or pseudonym, or no reason.
            NotPermitted: not an officer, or the evidence key is not at hand.
            IntegrityError: as `findings_page`.
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

    def reveal_images(
        self, audit_id: str, patient: str, reason: str, second: Second | None = None
    ) -> RevealedView:
        """Break the glass, and open each pair: a small image and the masked text.

        Args:
            audit_id: of a finished audit.
            patient: pseudonym.
            reason: as typed.
            second: where findings take two; present for this act alone.

        Raises: as `reveal_finding`.
            IntegrityError: an image or a text is missing or damaged, too.
        """
        from appliance import revealed

        with self._beside(second):
            who = self.reveal_finding(audit_id, patient, reason)
        return RevealedView(who, revealed.pairs(self._workspace, who))

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
    def _evidence(
        self, act: str, name: str, *, entry: bool = True, on_step: Callable[[int, int], None] | None = None
    ) -> Iterator[EvidenceStore]:
        """The open store, after an entry that says so; a refusal is an entry too.

        Args:
            entry: False where the caller writes a fuller one before it shows anything, and whoever it takes
                has to be here, also where the findings are open.
            on_step: as `findings_page`.
        """
        from appliance.workspace.evidence_store import opened

        held = self._held
        if held is None or not entry:
            key = self._key_for(act, name)
        if entry:
            self._record(act, name, "allowed")
        with (
            self._dropping(),
            opened(self._workspace, key, on_step) if held is None else held.merged(on_step) as (
                store,
                erasures,
            ),
        ):
            for erasure in erasures:
                self._record(ERASED, erasure, "done")
            yield store

    @contextmanager
    def _listing(self, stored: StoredAudit, on_step: Callable[[int, int], None] | None) -> Iterator[Listing]:
        """An audit's listing: the one that is open where nothing has changed, else after an entry."""
        from appliance import findings

        with self._dropping():
            known = self._held.unchanged(stored.audit_id) if self._held is not None else None
        if known is not None:
            yield known
            return
        deciding = shown.audit_view(stored, self._workspace.demo).result.deciding_detector
        with self._evidence(LIST, stored.audit_id, on_step=on_step) as store:
            if self._held is not None:
                yield self._held.listed(store, stored.audit_id, deciding, findings.PRIORS)
            else:
                yield store.listing(stored.audit_id, deciding, findings.PRIORS)

    def _key_for(self, act: str, name: str) -> SecretKey:
        """The evidence key, of everybody who is here; a refusal is an entry."""
        here = [one for one in (self._typed, *self._present) if one is not None]
        try:
            return self._workspace.evidence_key(here)
        except NotPermitted:
            self._record(act, name, "refused")
            raise

    def _has_typed(self) -> bool:
        with suppress(NotPermitted):
            self._workspace.authority()  # takes a passphrase, too
            return True
        return self._typed is not None

    def _type(self, passphrase: str) -> None:
        """Whoever works here types the passphrase once more, for findings."""
        name = self._workspace.user.name
        with attempted(self._workspace.root, self._log, lockout.JOIN, name):
            self._typed = self._workspace.keyring.identify(passphrase, name)

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        """Whoever must not look any more keeps nothing open."""
        try:
            yield
        except Locked:
            self._drop_findings()
            raise

    def _drop_findings(self) -> None:
        held, self._held, self._typed = self._held, None, None
        if held is not None:
            held.close()

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
