"""The acts around a vendor's claims: record one, recompute it, take it back, and how each stands.

A claim is an entry of the log and a sealed record (`claims.records`); what audits make of it is derived.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.disclosed import Disclosed
from appliance.errors import UsageError
from appliance.logged import Logged
from appliance.words.table import tell

if TYPE_CHECKING:
    from appliance.claims.records import Kept, Record
    from appliance.claims.views import ClaimAudit, ClaimRequest, ClaimRow, ClaimView


class Claimed(Disclosed, Logged):
    """Claims of one site's vendors."""

    def _after_opening(self) -> None:
        self._said_of_claims: dict[tuple[str, str], ClaimAudit] = {}  # what finished audits say never changes
        super()._after_opening()

    def claims(self, model: str = "") -> tuple[ClaimRow, ...]:
        """Every claim, those in force first, of each the newest first.

        Args:
            model: only those that speak of this one; NAME is the newest version.

        Raises:
            UsageError: no such model.
            IntegrityError: a record is not what was logged.
        """
        from appliance.claims import standing

        exact = self._model(model).name if model else ""
        found = [
            one
            for one in reversed(self._kept_claims().values())
            if not exact or standing.speaks_of(one.request, exact)
        ]
        rows = [standing.row(one, audits) for one, audits in self._claims_with_audits(found)]
        return tuple(sorted(rows, key=lambda row: not row.in_force))

    def claim(self, claim_id: str) -> ClaimView:
        """One claim whole, with every audit of what it speaks of.

        Raises:
            UsageError: there is none of this id.
            IntegrityError: as `claims`.
        """
        from appliance.claims import standing

        ((kept, audits),) = self._claims_with_audits([self._kept_claim(claim_id)])
        return standing.view(kept, audits)

    def add_claim(self, request: ClaimRequest) -> ClaimView:
        """Record what a vendor claims; a claim of differential privacy is recomputed at once.

        Later audits know it. Verdicts of earlier ones stay, and the claim's standing counts them.

        Raises:
            UsageError: no such model, no source, or numbers that no claim has.
        """
        from appliance.claims import records, shelf

        request = replace(shelf.checked(request), model=self._model(request.model).name)
        claim_id = records.new_id()
        self._keep_record(records.Record(records.ADD, claim_id, request))
        return self.recompute_claim(claim_id) if request.budget is not None else self.claim(claim_id)

    def recompute_claim(self, claim_id: str) -> ClaimView:
        """Let opacus' accountants recompute a claim of differential privacy from its own parameters.

        What cannot be recomputed is written down with the reason.

        Raises:
            UsageError: no such claim, or one without an epsilon.
            IntegrityError: as `claims`.
        """
        from appliance.claims import accounting, records

        request = self._kept_claim(claim_id).request
        if request.budget is None:
            raise UsageError("only a claim of differential privacy can be recomputed", "it has an epsilon")
        found = accounting.recomputed(request.budget)
        self._keep_record(records.Record(records.ACCOUNT, claim_id, recomputed=found))
        return self.claim(claim_id)

    def withdraw_claim(self, claim_id: str, reason: str) -> ClaimView:
        """Let a claim count no more for audits to come; it stays readable, with the reason.

        Raises:
            UsageError: no such claim, it was withdrawn before, or the reason says too little.
            IntegrityError: as `claims`.
        """
        from appliance.cases.steps import check_reason
        from appliance.claims import records

        self._kept_claim(claim_id)
        self._keep_record(records.Record(records.WITHDRAW, claim_id, reason=check_reason(reason)))
        return self.claim(claim_id)

    def prune_log(self, before: int, keep_years: int = 0) -> tuple[str, ...]:
        """Remove closed years; claims stay known. Raises as `keeping.prune`."""
        from appliance.claims import records, shelf

        records.keep(self._log, shelf.said(self._workspace, self._log), self._actor)
        return super().prune_log(before, keep_years)

    # -- how it is done --------------------------------------------------------------------------------

    def _kept_claims(self) -> dict[str, Kept]:
        from appliance.claims import shelf

        return shelf.kept(self._workspace, self._log)

    def _kept_claim(self, claim_id: str) -> Kept:
        found = self._kept_claims().get(claim_id)
        if found is None:
            raise UsageError("no such claim", "see `gradaudit claim ls`")
        return found

    def _claims_with_audits(self, claims: Sequence[Kept]) -> Iterator[tuple[Kept, tuple[ClaimAudit, ...]]]:
        """Each claim with every finished audit of what it speaks of, newest first."""
        from appliance.claims import standing

        catalogue = self._workspace.catalogue
        heads = catalogue.audit_heads() if claims else ()
        finished = [standing.Finished(row, catalogue.audit) for row in heads if row.state == "done"]
        for one in claims:
            yield one, standing.against(one, finished, self._said_of_claims)

    def _keep_record(self, record: Record) -> None:
        """Seal a record, between the log's two entries about it."""
        from appliance.claims import records

        content, digest = records.sealed(self._log, self._actor, record)
        with self._act(record.act, "claim", record.claim_id, detail_digest=digest):
            if record.request is None and self._kept_claim(record.claim_id).withdrawn is not None:
                raise UsageError("this claim was withdrawn", "add it anew with `gradaudit claim add`")
            self._workspace.catalogue.set_setting(f"{records.PREFIX}{digest}", content)

    def _claims_need(self) -> Iterable[str]:
        """What somebody has to do about claims in force: ask the vendor, and withdraw what does not hold."""
        from appliance.claims import standing
        from appliance.claims.views import ClaimStanding

        in_force = [one for one in self._kept_claims().values() if one.withdrawn is None]
        for one, audits in self._claims_with_audits(in_force):
            row = standing.row(one, audits)
            if row.standing is ClaimStanding.CONTRADICTED:
                yield tell("claim.need.contradicted", model=row.model, claim=row.claim_id)
            elif standing.not_borne_out(one):
                yield tell("claim.need.accountant", model=row.model, claim=row.claim_id)
