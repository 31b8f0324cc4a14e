"""How a claim stands against everything measured. Derived whenever somebody asks, and stored nowhere.

"Supported" needs an audit that could have found the opposite. What is void, inconclusive or was never looked
at supports nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from appliance import codec, policy_file
from appliance.claims.records import Kept
from appliance.claims.views import ClaimAudit, ClaimEffect, ClaimRequest, ClaimRow, ClaimStanding, ClaimView
from appliance.errors import ApplianceError
from appliance.sanitise import safe
from appliance.views import VerdictWord
from appliance.words.table import tell
from appliance.workspace.rows import StoredAudit
from audit_core.claim_checks import above_claim, checked, tightest
from audit_core.claim_rules import questions
from audit_core.claims import Claim, ClaimFinding, ClaimKind
from audit_core.policy import decide
from audit_core.results import AuditResult, Verdict
from audit_core.shares import finely

_SOURCE, _TYPED = 200, 2000  # most characters shown
_BY_EFFECT = {
    ClaimEffect.CONTRADICTS: ClaimStanding.CONTRADICTED,
    ClaimEffect.QUESTIONS: ClaimStanding.QUESTIONED,
    ClaimEffect.SUPPORTS: ClaimStanding.SUPPORTED,
}


@dataclass(frozen=True)
class Finished:
    """A finished audit, read once for all claims, and only where one speaks of its model.

    Attributes:
        stored: what the catalogue has of it but its result.
        whole: gives an audit with its result, by id.
    """

    stored: StoredAudit
    whole: Callable[[str], StoredAudit | None]

    @cached_property
    def document(self) -> Mapping[str, Any]:
        """What the catalogue has of its result."""
        found = self.whole(self.stored.audit_id)
        return (found.result if found is not None else None) or {}

    @cached_property
    def result(self) -> AuditResult:
        """Its numbers. Raises IntegrityError where they do not fit their form."""
        return codec.load(AuditResult, json.dumps(self.document.get("result")))

    @cached_property
    def verdict(self) -> Verdict:
        """What it ended in. Raises as `result`."""
        return codec.load(Verdict, json.dumps(self.document.get("verdict")))

    @cached_property
    def of_memory(self) -> Verdict | None:
        """The verdict as it were without any claim; None where that cannot be told."""
        if not questions(self.result):
            return self.verdict
        try:
            text = str(self.document["policy_text"])
            return decide(policy_file.stored(text.encode()).policy, replace(self.result, claims=()))
        except (KeyError, ApplianceError):
            return None

    @property
    def claims(self) -> frozenset[str]:
        """The claims that its verdict knew."""
        return frozenset(check.claim for check in self.result.claims)


def in_force(kept: Iterable[Kept], model: str) -> tuple[Kept, ...]:
    """The claims that nobody has withdrawn and that speak of a model, by its exact name."""
    return tuple(one for one in kept if one.withdrawn is None and speaks_of(one.request, model))


def speaks_of(request: ClaimRequest, model: str) -> bool:
    """Whether a claim is about this version: the one it names, or a later one where it says so."""
    line, _, version = request.model.partition("@")
    other, _, later = model.partition("@")
    if line != other:
        return False
    said, asked = int(version or 1), int(later or 1)
    return asked == said or (request.later and asked > said)


def as_asked(kept: Kept) -> Claim:
    """The claim as an audit is told of it."""
    request, found = kept.request, kept.recomputed
    source = safe(request.source, _SOURCE)
    return Claim(kept.claim_id, request.kind, source, request.budget, found.accounts, found.by)


def row(kept: Kept, audits: Sequence[ClaimAudit]) -> ClaimRow:
    """One claim with its standing against these audits, which speak of it."""
    request = kept.request
    standing, why = _standing(kept, audits)
    return ClaimRow(
        claim_id=kept.claim_id,
        model=safe(request.model),
        later=request.later,
        kind=request.kind,
        says=says(request),
        source=safe(request.source, _SOURCE),
        dated=safe(request.dated),
        standing=standing,
        why=why,
        in_force=kept.withdrawn is None,
        added_utc=kept.added.utc,
    )


def view(kept: Kept, audits: Sequence[ClaimAudit]) -> ClaimView:
    """One claim whole."""
    request, found, withdrawn = kept.request, kept.recomputed, kept.withdrawn
    budget = request.budget
    return ClaimView(
        row=row(kept, audits),
        budget=replace(budget, accountant=safe(budget.accountant)) if budget else None,
        accounts=found.accounts,
        accounted_by=safe(found.by),
        accounted_why=_why_not_recomputed(kept),
        audits=tuple(audits),
        by=kept.added.by,
        entry=kept.added.entry.index if kept.added.entry else None,
        withdrawn_utc=withdrawn.utc if withdrawn else "",
        reason=safe(withdrawn.record.reason, _TYPED) if withdrawn else "",
        notes=_notes(request),
    )


def says(request: ClaimRequest) -> str:
    """The claim in words, with its numbers."""
    if request.budget is None:
        return str(request.kind)
    budget = request.budget
    numbers = {"epsilon": f"{budget.epsilon:g}", "delta": f"{budget.delta:g}", "unit": budget.unit}
    return tell("claim.says.private", **numbers)


def against(
    kept: Kept, audits: Iterable[Finished], read: MutableMapping[tuple[str, str], ClaimAudit]
) -> tuple[ClaimAudit, ...]:
    """Every one of these audits that is of what a claim speaks of, and what it does to it.

    Args:
        kept: the claim.
        audits: finished ones, newest first.
        read: what is known of claim and audit from before; added to.

    Raises:
        IntegrityError: a stored result does not fit its form.
    """
    found = []
    for one in audits:
        if speaks_of(kept.request, one.stored.model):
            key = kept.added.digest, one.stored.audit_id
            if key not in read:
                read[key] = _against(kept, one)
            found.append(read[key])
    return tuple(found)


def _against(kept: Kept, audit: Finished) -> ClaimAudit:
    stored = audit.stored
    plain = ClaimAudit(
        audit_id=stored.audit_id,
        model=safe(stored.model),
        cohort=safe(stored.cohort),
        finished_utc=stored.finished_utc,
        verdict=VerdictWord(stored.verdict),
        tier=audit.result.tier.name,
        effect=ClaimEffect.SILENT,
        why="",
        decided=kept.claim_id in audit.claims,
    )
    if plain.verdict in (VerdictWord.VOID, VerdictWord.INCONCLUSIVE):
        return replace(plain, why=tell("claim.audit.no_answer", verdict=plain.verdict))
    if kept.request.kind is ClaimKind.DE_IDENTIFIED:
        return replace(plain, why=tell("claim.audit.identity"))
    if kept.request.kind is ClaimKind.NOT_TRAINED:
        return _of_training(plain, audit)
    return _of_privacy(plain, kept, audit)


def _of_training(plain: ClaimAudit, audit: Finished) -> ClaimAudit:
    verdict = audit.of_memory
    if verdict is None:
        return replace(plain, why=tell("claim.audit.not_told"))
    why = safe(verdict.reasons[0], 300)
    if verdict.word is VerdictWord.FAIL:
        return replace(plain, effect=ClaimEffect.CONTRADICTS, why=why)
    if verdict.word is VerdictWord.REVIEW:
        return replace(plain, effect=ClaimEffect.QUESTIONS, why=why)
    share = audit.result.detectable.share
    if verdict.word is VerdictWord.PASS and share is not None:
        return replace(plain, effect=ClaimEffect.SUPPORTS, why=tell("claim.audit.clean", share=finely(share)))
    return replace(plain, why=tell("claim.audit.no_answer", verdict=verdict.word))


def _of_privacy(plain: ClaimAudit, kept: Kept, audit: Finished) -> ClaimAudit:
    """By the audit's own bound: what accountants say holds for the claim, and not for one audit."""
    (check,) = checked([replace(as_asked(kept), accounts=())], audit.result)
    found = replace(plain, why=check.sentence, lower=check.lower, allowed=check.allowed)
    if check.finding is ClaimFinding.CONTRADICTED:
        return replace(found, effect=ClaimEffect.CONTRADICTS)
    if check.finding is ClaimFinding.QUESTIONED:
        return replace(found, effect=ClaimEffect.QUESTIONS)
    if check.finding is ClaimFinding.WITHIN and plain.verdict is VerdictWord.PASS:
        return replace(found, effect=ClaimEffect.SUPPORTS)
    return found


def _standing(kept: Kept, audits: Sequence[ClaimAudit]) -> tuple[ClaimStanding, str]:
    """The gravest of what audits and accountants say; support only where nothing says otherwise."""
    if kept.request.kind is ClaimKind.DE_IDENTIFIED:
        return ClaimStanding.NOT_TESTED, tell("claim.audit.identity")
    accountant = not_borne_out(kept)
    for effect in (ClaimEffect.CONTRADICTS, ClaimEffect.QUESTIONS, ClaimEffect.SUPPORTS):
        if effect is ClaimEffect.SUPPORTS and kept.request.budget and not kept.recomputed.accounts:
            continue
        if effect is not ClaimEffect.CONTRADICTS and accountant:
            return ClaimStanding.QUESTIONED, accountant
        found = next((one for one in audits if one.effect is effect), None)
        if found is not None:
            return _BY_EFFECT[effect], tell("claim.by_audit", audit=found.audit_id, why=found.why)
    return ClaimStanding.NOT_TESTED, tell("claim.silent" if audits else "claim.no_audit")


def not_borne_out(kept: Kept) -> str:
    """Why the claim's own parameters do not bear it out; "" where they do, or nobody could tell."""
    budget, account = kept.request.budget, tightest(kept.recomputed.accounts)
    if budget is None or not above_claim(kept.recomputed.accounts, budget.epsilon):
        return ""
    if account is None:
        return tell("claim.no_finite", by=safe(kept.recomputed.by), epsilon=f"{budget.epsilon:g}")
    return tell(
        "claim.accountant",
        accountant=account.accountant,
        by=safe(kept.recomputed.by),
        upper=f"{account.upper:.3f}",
        epsilon=f"{budget.epsilon:g}",
    )


def _why_not_recomputed(kept: Kept) -> str:
    if kept.request.budget is None or kept.recomputed.accounts:
        return ""
    return safe(kept.recomputed.why, 300) or tell("claim.not_yet", claim=kept.claim_id)


def _notes(request: ClaimRequest) -> tuple[str, ...]:
    """What this kind of claim needs, and what no audit can show of it."""
    notes = [tell(f"claim.note.{request.kind.name.lower()}")]
    if request.budget is not None:
        notes.append(
            tell("claim.note.neighbours" if request.budget.neighbours is None else "claim.note.level")
        )
    notes.append(
        tell("claim.note.later" if request.later else "claim.note.version", model=safe(request.model))
    )
    return tuple(notes)
