"""What the vendor claims and what the audit found of it, as CycloneDX declarations (ECMA-424, attestations).

The site is the assessor, and no third party. An affirmation is a person's decision and is left out. A score
is given only where a rule gives one: 0 for a claim that is contradicted and for FAIL; PASS has none, since it
does not prove that the whole requirement is met.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from appliance import policy_file
from appliance.claims.views import ClaimEffect
from appliance.errors import ApplianceError
from appliance.pack.editions import FULL
from appliance.pack.facts import PackFacts
from appliance.pack.pages import wording
from appliance.views import AuditView, VerdictWord
from appliance.words.table import tell
from audit_core.claim_rules import questions
from audit_core.claims import ClaimCheck, ClaimFinding, ClaimKind
from audit_core.policy import decide

ASSESSOR, TARGET, REQUIREMENT = "assessor", "target", "requirement-policy"
_AUDIT, _RESULTS, _ENTRY = "claim-of-the-audit", "evidence-results", "evidence-log-entry"
NO_ANSWER: Final = (VerdictWord.VOID, VerdictWord.INCONCLUSIVE)
_BY_FINDING: Final = {
    ClaimFinding.CONTRADICTED: ClaimEffect.CONTRADICTS,
    ClaimFinding.QUESTIONED: ClaimEffect.QUESTIONS,
}
_AGAINST: Final = (ClaimEffect.CONTRADICTS, ClaimEffect.QUESTIONS)


def declarations(facts: PackFacts, target: Mapping[str, Any], results: Mapping[str, str]) -> dict[str, Any]:
    """Assessor, target, claims with evidence and counter-evidence, and how far they conform.

    Args:
        target: the component that the claims are about, without its `bom-ref`.
        results: member -> digest of the results as this pack shows them; empty where it withholds them.
    """
    effects = {check.claim: effect(facts, check) for check in facts.view.result.claims}
    evidence = _evidence(facts, results)
    known = [one["bom-ref"] for one in evidence]
    return {
        "assessors": [{"bom-ref": ASSESSOR, "thirdParty": False, "organization": {"name": facts.given.site}}],
        "attestations": [
            {
                "summary": tell("bom.summary"),
                "assessor": ASSESSOR,
                "map": [_verdict_map(facts.view), *_claim_maps(facts, effects)],
            }
        ],
        "claims": [_own_claim(facts, known), *_claims(facts, effects, known)],
        "evidence": evidence,
        "targets": {"components": [{"bom-ref": TARGET, **target}]},
    }


def standard(facts: PackFacts) -> dict[str, Any]:
    """The policy in force as what the audit was held against: one requirement."""
    return {
        "bom-ref": "policy",
        "name": facts.view.row.policy,
        "version": facts.view.policy_digest,
        "owner": facts.given.site,
        "requirements": [
            {"bom-ref": REQUIREMENT, "identifier": "verdict", "text": tell("bom.requirement")},
        ],
    }


def effect(facts: PackFacts, check: ClaimCheck) -> ClaimEffect:
    """What this one audit does to a claim (docs/claims.md); silent where the pack does not let it be told."""
    word = facts.view.verdict.word
    if word in NO_ANSWER or check.kind is ClaimKind.DE_IDENTIFIED:
        return ClaimEffect.SILENT
    if check.kind is ClaimKind.PRIVATE:
        supports = check.finding is ClaimFinding.WITHIN and word is VerdictWord.PASS and check.accounted
        return _BY_FINDING.get(check.finding, ClaimEffect.SUPPORTS if supports else ClaimEffect.SILENT)
    of_memory = _without_claims(facts)
    if of_memory is VerdictWord.FAIL:
        return ClaimEffect.CONTRADICTS
    if of_memory is VerdictWord.REVIEW:
        return ClaimEffect.QUESTIONS
    seen = facts.view.result.detectable.share
    return ClaimEffect.SUPPORTS if of_memory is VerdictWord.PASS and seen is not None else ClaimEffect.SILENT


def _without_claims(facts: PackFacts) -> VerdictWord | None:
    """What the audit had ended in without any claim; None where that cannot be told."""
    view = facts.view
    if not questions(view.result):
        return view.verdict.word
    if facts.edition != FULL:  # the numbers that would decide are withheld
        return None
    try:
        policy = policy_file.stored(facts.given.policy_text).policy
    except ApplianceError:
        return None
    return decide(policy, replace(view.result, claims=())).word


def _own_claim(facts: PackFacts, evidence: list[str]) -> dict[str, Any]:
    view = facts.view
    row, word = view.row, view.verdict.word
    said = tell("bom.verdict", audit=row.audit_id, policy=row.policy, verdict=word.value)
    why = tell("pack.withheld")
    if facts.edition == FULL:
        meaning = wording.meaning(word, view.verdict.reasons[0])
        seen = f"{wording.exposure(view.result, word).rstrip('.')}."
        why = " ".join([meaning, seen, wording.does_not_prove(view.result.tier)])
    return {
        "bom-ref": _AUDIT,
        "target": TARGET,
        "predicate": said,
        "reasoning": why,
        **({"evidence": evidence} if evidence else {}),
    }


def _claims(
    facts: PackFacts, effects: Mapping[str, ClaimEffect], evidence: list[str]
) -> list[dict[str, Any]]:
    return [
        {
            "bom-ref": _claim_ref(check),
            "target": TARGET,
            "predicate": said,
            "reasoning": why,
            **_side(effects[check.claim], evidence),
        }
        for check, said, why in _said(facts, effects)
    ]


def _said(facts: PackFacts, effects: Mapping[str, ClaimEffect]) -> list[tuple[ClaimCheck, str, str]]:
    """(claim, as the vendor made it, what this audit says of it); for a vendor without the site's words."""
    result, full = facts.view.result, facts.edition == FULL
    made = wording.claimed(result)
    answers = wording.answers(result, facts.view.verdict.word)
    return [
        (
            check,
            f"{name}. {words}" if full else name,
            tell(f"bom.effect.{effects[check.claim].name.lower()}", why=answer if full else "").strip(),
        )
        for check, (name, words), (_, answer) in zip(result.claims, made, answers, strict=True)
    ]


def _side(found: ClaimEffect, evidence: list[str]) -> dict[str, list[str]]:
    if not evidence or found is ClaimEffect.SILENT:
        return {}
    return {"counterEvidence" if found in _AGAINST else "evidence": evidence}


def _verdict_map(view: AuditView) -> dict[str, Any]:
    conformance: dict[str, Any] = {
        "rationale": tell(
            "bom.verdict", audit=view.row.audit_id, policy=view.row.policy, verdict=view.verdict.word.value
        )
    }
    if view.verdict.word is VerdictWord.FAIL:
        conformance["score"] = 0
    return {"requirement": REQUIREMENT, "claims": [_AUDIT], "conformance": conformance}


def _claim_maps(facts: PackFacts, effects: Mapping[str, ClaimEffect]) -> list[dict[str, Any]]:
    found = []
    for check, _, why in _said(facts, effects):
        one: dict[str, Any] = {"claims": [_claim_ref(check)], "conformance": {"rationale": why}}
        if effects[check.claim] in _AGAINST:
            one["counterClaims"] = [_AUDIT]
        if effects[check.claim] is ClaimEffect.CONTRADICTS:
            one["conformance"]["score"] = 0
        found.append(one)
    return found


def _claim_ref(check: ClaimCheck) -> str:
    return f"claim-of-the-vendor/{check.claim}"


def _evidence(facts: PackFacts, results: Mapping[str, str]) -> list[dict[str, Any]]:
    found = [
        {
            "bom-ref": _RESULTS,
            "description": tell("bom.evidence.results", member=name, digest=value),
            "data": [{"name": name, "contents": {"url": name}}],
            "created": facts.closed_utc,
        }
        for name, value in results.items()
    ]
    entry = {
        "bom-ref": _ENTRY,
        "description": tell("bom.evidence.entry", entry=facts.closing.index),
        "data": [{"name": f"entry {facts.closing.index}", "contents": {"url": "log/entries.jsonl"}}],
        "created": facts.closed_utc,
    }
    return [*found, entry]
