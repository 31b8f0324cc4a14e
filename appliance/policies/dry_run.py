"""What a policy would have made of audits that have finished: told from what they left, or not at all.

`audit_core.policy.decide` judges the stored result anew. Where a key that changes entered into the result,
the verdict is told only if it is the same whatever that part of the result would have become; else the audit
needs a new run. Nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from appliance import codec, policy_file
from appliance.designs.unfavourable import CONTROL as LOST_PATIENTS
from appliance.errors import ApplianceError
from appliance.isolation import ON
from appliance.policies.difference import reference
from appliance.policies.views import DryRunRow, Outcome
from appliance.policy_file import LoadedPolicy
from appliance.policy_keys import KEYS
from appliance.sanitise import safe
from appliance.views import VerdictWord
from appliance.workspace.rows import StoredAudit
from audit_core.policy import decide
from audit_core.results import AuditResult, Tier, Verdict

_ISOLATION: Final = "isolation.required"
_BANK: Final = "minimum.bank"
_NO_PART: Final = frozenset(
    {"name", "version", "report.small_sample_note", "decision.must_detect", "decision.fail_tier"}
    | {"controls.required", _ISOLATION, _BANK}
    | {f"minimum.{role}" for role in ("members", "fitting", "calibration", "targets")}
    | {key for key in KEYS if key.partition(".")[0] in ("approval", "retention", "cadence")}
)
"""Keys that no number of a result depends on: only the decision reads them, or nothing of an audit does."""
_SHARE: Final = frozenset({"decision.alpha_fail", "decision.exposure_limit", "method.simulations"})
"""Keys on which the smallest detectable share depends, and nothing else that decides.

The level of a FAIL also decides the conditional test of a cohort whose blind gates failed, whose tier is too
low for FAIL in any case.
"""
_TIER: Final = frozenset({"decision.alpha_review"})
"""Keys on which the evidence tier depends as well."""
_LOSSES: Final = _TIER | _SHARE - {"method.simulations"}
"""Keys by which a design that lost patients is judged at their worst scores: that needs the scores."""


def dry_run(policy: LoadedPolicy, audits: Iterable[StoredAudit]) -> Iterator[DryRunRow]:
    """Each finished audit under another policy.

    Args:
        policy: the one to try.
        audits: finished ones, with their results.

    Raises:
        IntegrityError: a stored result does not fit its form.
    """
    for audit in audits:
        document: Mapping[str, Any] = audit.result or {}
        then = VerdictWord(audit.verdict)
        row = DryRunRow(
            audit_id=audit.audit_id,
            model=safe(audit.model),
            policy=safe(audit.policy),
            audited_utc=audit.finished_utc,
            verdict=then,
            would_be=None,
            outcome=Outcome.UNKNOWN,
            why="",
        )
        try:
            ran = policy_file.stored(str(document["policy_text"]).encode())
            tried = policy_file.as_asked(policy, audit.digests.get("asked", {}))
        except (KeyError, ApplianceError) as unreadable:
            yield replace(row, why=_unreadable(unreadable))
            continue
        yield _judged(replace(row, policy=safe(reference(ran))), document, ran, tried)


def _unreadable(error: Exception) -> str:
    if isinstance(error, KeyError):
        return "an earlier version of the software ran it and did not keep its policy"
    return safe(f"it cannot be read under both policies: {error}", 300)


def _judged(row: DryRunRow, document: Mapping[str, Any], ran: LoadedPolicy, tried: LoadedPolicy) -> DryRunRow:
    result = codec.load(AuditResult, json.dumps(document["result"]))
    if decide(ran.policy, result).word != row.verdict:
        return replace(row, why="the rules of deciding are not those of its day")
    missing = [layer for layer in tried.policy.required_isolation if document["isolation"].get(layer) != ON]
    if missing:
        why = f"it ran without {', '.join(missing)}, which the policy requires"
        return replace(row, outcome=Outcome.REFUSED, why=why)
    changed = {key for key in KEYS if ran.value(key) != tried.value(key)}
    unknown = _unknown(changed, result, ran, tried)
    found = [] if unknown else _verdicts(changed, result, tried)
    if len({verdict.word for verdict in found}) != 1:
        keys = unknown or changed & (_SHARE | _TIER)
        why = "only a new run can tell, for the audit computed with what changes: "
        return replace(row, why=why + _listed(keys))
    word = found[0].word
    outcome = Outcome.SAME if word is row.verdict else Outcome.OTHER
    return replace(row, would_be=word, outcome=outcome, why=safe(found[0].reasons[0], 300))


def _unknown(changed: set[str], result: AuditResult, ran: LoadedPolicy, tried: LoadedPolicy) -> set[str]:
    """Keys that change more of the result than can be told."""
    found = changed - _NO_PART - _SHARE - _TIER
    if any(control.name == LOST_PATIENTS for control in result.controls):
        found |= changed & _LOSSES
    least = max(ran.policy.minimum_bank, tried.policy.minimum_bank)
    bank = result.model_facts.get("bank_size", "")
    if result.exposure is None or (
        bank.isdecimal() and 0 < int(bank) < least
    ):  # too small a bank stops an audit before its controls
        found |= changed & {_BANK}
    return found


def _verdicts(changed: set[str], result: AuditResult, tried: LoadedPolicy) -> list[Verdict]:
    """The verdict for every value that unknown parts may have; the first is what nothing unknown bars."""
    shares = [result.detectable.share]
    tiers = [result.tier]
    if changed & (_SHARE | _TIER):
        shares = [0.0, None]
    if changed & _TIER:
        tiers = [Tier.E4, Tier.E0]
    return [
        decide(tried.policy, replace(result, tier=tier, detectable=replace(result.detectable, share=share)))
        for share in shares
        for tier in tiers
    ]


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(key for key in KEYS if key in set(keys))
