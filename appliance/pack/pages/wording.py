"""Numbers, tiers and controls of an audit in words: every page, screen and export uses it.

The sentences themselves stand in `appliance.words`.
"""

from __future__ import annotations

from appliance.words.table import count, tell
from audit_core.claim_rules import REASON
from audit_core.claims import ClaimCheck, ClaimKind
from audit_core.results import (
    AuditResult,
    ControlName,
    ControlStatus,
    Design,
    Exposure,
    Interval,
    OperatingPoint,
    References,
    Role,
    Tier,
    VerdictWord,
)
from audit_core.shares import percent as percent

MEANING = {word: tell(f"verdict.{word.name}") for word in VerdictWord}

GLYPH = {
    VerdictWord.PASS: "✓",
    VerdictWord.REVIEW: "!",
    VerdictWord.FAIL: "✕",
    VerdictWord.INCONCLUSIVE: "?",
    VerdictWord.VOID: "∅",
}

TIER_PROVES = {tier: tell(f"tier.{tier.name}") for tier in Tier}
TIER_LEAVES_OPEN = {tier: tell(f"open.{tier.name}") for tier in Tier}
DESIGN = {design: tell(f"design.{design}") for design in Design}
REFERENCES = {references: tell(f"references.{references}") for references in References}
ROLE = {role.value: tell(f"role.{role}") for role in Role if role is not Role.CANARY}
ROLE_SHORT = {role: tell(f"role.short.{role}") for role in ROLE}
CONTROL_ASKS = {name: tell(f"control.{name.name}") for name in ControlName}

NOT_LEGAL_ADVICE = tell("report.not_legal_advice")
COMPARE_WORDS = tell("report.compare_words")


def meaning(word: VerdictWord, why: str) -> str:
    """What a verdict says in one sentence; a FAIL for a vendor's claim alone is not one for exposure.

    Where the reason is withheld, the sentence covers both.

    Args:
        word: the verdict's.
        why: its first reason.
    """
    if word is VerdictWord.FAIL and why.startswith(REASON):
        return tell("verdict.claim")
    if word is VerdictWord.FAIL and why == tell("pack.withheld"):
        return tell("verdict.fail_withheld")
    return MEANING[word]


def percent_interval(interval: Interval) -> str:
    """ "95 % CI 31–61 %"."""
    low, high = percent(interval.low).removesuffix(" %"), percent(interval.high)
    return _interval(interval, low, high)


def _interval(interval: Interval, low: str, high: str) -> str:
    return tell("number.interval", level=f"{interval.level * 100:.0f}", low=low, high=high)


def p_value(p: float) -> str:
    """ "p = 0.012" or "p < 0.001"."""
    if p < 0.0005:
        return tell("number.p_below")
    return tell("number.p", value=f"{p:.3f}" if p < 0.9995 else "1")


def area(value: float | None, interval: Interval | None) -> str:
    """An AUROC with its interval, or why there is none."""
    if value is None:
        return tell("number.not_measured")
    if interval is None:
        return f"{value:.2f}"
    between = _interval(interval, f"{interval.low:.2f}", f"{interval.high:.2f}")
    return tell("number.area", area=f"{value:.2f}", interval=between)


def patients(number: int) -> str:
    """ "1 patient", "7 patients"."""
    return count("number.patients", number)


def operating_point(point: OperatingPoint) -> str:
    """Share of known training patients found at a false-positive rate, or the controls missing to say it."""
    at = tell("number.false_alarms", share=percent(point.alpha))
    if point.tpr is None:
        return count("number.not_resolvable", point.missing_controls, rate=at)
    if point.label == "headline":
        return tell("number.found_at", share=percent(point.tpr), rate=at)
    return tell("number.found_at_few", share=percent(point.tpr), rate=at, label=point.label)


def duration(seconds: float) -> str:
    """ "9 s", "2 min 05 s", "3 h 07 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return tell("duration.seconds", seconds=whole)
    if whole < 3600:
        return tell("duration.minutes", minutes=whole // 60, seconds=f"{whole % 60:02d}")
    return tell("duration.hours", hours=whole // 3600, minutes=f"{whole % 3600 // 60:02d}")


def flagged_of(found: Exposure) -> str:
    """ "21 of 46 patients"."""
    return tell("exposure.count", flagged=f"{found.flagged:,}", patients=patients(found.patients))


def exposure(result: AuditResult, word: VerdictWord) -> str:
    """The headline: k of N patients, or why there is none to rely on.

    Without an interval: flags share their controls and a cut that the data chose, so a binomial one would be
    no interval of the exposed share, for which it would be taken; that has its bound and its estimate.
    """
    found = result.exposure
    if found is None:
        return tell("exposure.none")
    if word is VerdictWord.VOID:
        return tell("exposure.void", count=flagged_of(found))
    if word is VerdictWord.INCONCLUSIVE:
        return tell("exposure.inconclusive", count=flagged_of(found))
    return tell("exposure.flagged", count=flagged_of(found))


def share_bounds(result: AuditResult, word: VerdictWord) -> str:
    """What is known about the exposed share beyond the patients flagged, and what flagging one would need."""
    found = result.exposure
    if found is None or word is VerdictWord.VOID:
        return ""
    said = tell("exposure.at_least", share=percent(found.prevalence_lower))
    if why := not_stated(found):
        said = tell("exposure.not_stated", why=why)
    elif found.prevalence_lower <= 0:
        said = tell("exposure.no_bound")
    if found.prevalence_estimate is not None and found.prevalence_ci is not None:
        between = percent_interval(found.prevalence_ci)
        said += "; " + tell("exposure.estimate", share=percent(found.prevalence_estimate), interval=between)
    if found.missing_controls:
        said += "; " + more_controls(found)
    return said


def more_controls(found: Exposure) -> str:
    """How many controls are missing to flag a single patient alone."""
    return count("exposure.more_controls", found.missing_controls)


def expected_false(found: Exposure) -> str:
    """What q bounds: the expected share of false ones over audits, not in the list at hand."""
    proviso = {
        ControlStatus.FAILED: tell("exposure.disproved"),
        ControlStatus.NOT_APPLICABLE: tell("exposure.untried"),
    }
    said = tell("exposure.expected_false", share=percent(found.q))
    return said + (proviso.get(found.targets_alike, "") if found.targets_alike else "")


def not_stated(found: Exposure) -> str:
    """Why no share of exposed patients is stated, as half a sentence; "" where one is."""
    why = {
        ControlStatus.FAILED: tell("exposure.told_apart"),
        ControlStatus.NOT_APPLICABLE: tell("exposure.not_compared"),
    }
    return why.get(found.targets_alike, "") if found.targets_alike else ""


def least_share(found: Exposure) -> str:
    """The bound of the exposed share on a line of its own, or why none is stated."""
    if why := not_stated(found):
        return tell("exposure.least_not_stated", why=why)
    return tell("exposure.least", share=percent(found.prevalence_lower))


def does_not_prove(tier: Tier) -> str:
    """What this audit leaves open, as a sentence."""
    return tell("open.sentence", open=TIER_LEAVES_OPEN[tier])


def beside(result: AuditResult, word: VerdictWord) -> tuple[tuple[str, str], ...]:
    """(name, sentence) of the numbers that no verdict follows from; a void run has none."""
    if word is VerdictWord.VOID:
        return ()
    found = [(bound.name, bound.sentence) for bound in result.epsilon]
    if result.dataset_inference is not None:
        found.insert(0, (tell("beside.dataset"), result.dataset_inference.sentence))
    return tuple(found)


def claims(result: AuditResult, word: VerdictWord) -> tuple[tuple[str, str], ...]:
    """(name, sentence) of every vendor claim that the verdict knew: number, source and what was found."""
    return tuple(
        (
            tell("claims.name", claim=check.claim, kind=check.kind),
            " ".join(filter(None, [_claimed(check), _recomputed(check), _answered(check, word)])),
        )
        for check in result.claims
    )


def answers(result: AuditResult, word: VerdictWord) -> tuple[tuple[str, str], ...]:
    """(name, sentence) of every vendor claim with what this audit says of it, without its source."""
    return tuple(
        (tell("claims.name", claim=check.claim, kind=check.kind), _answered(check, word))
        for check in result.claims
    )


def claimed(result: AuditResult) -> tuple[tuple[str, str], ...]:
    """(name, sentence) of every vendor claim, as the vendor made it: nothing of what an audit found."""
    return tuple(
        (
            tell("claims.name", claim=check.claim, kind=check.kind),
            " ".join(filter(None, [_claimed(check), _recomputed(check)])),
        )
        for check in result.claims
    )


def _claimed(check: ClaimCheck) -> str:
    said = tell("claims.source", source=check.source)
    if check.epsilon is None:
        return said
    return f"{tell('claims.epsilon', epsilon=f'{check.epsilon:g}', delta=f'{check.delta:g}')} {said}"


def _recomputed(check: ClaimCheck) -> str:
    if check.kind is not ClaimKind.PRIVATE:
        return ""
    if check.accounted is None:
        return tell("claims.not_recomputed")
    return tell("claims.recomputed", accountant=check.accountant, upper=f"{check.accounted:.3f}")


def _answered(check: ClaimCheck, word: VerdictWord) -> str:
    if word in (VerdictWord.VOID, VerdictWord.INCONCLUSIVE):
        return tell("claim.audit.no_answer", verdict=word)
    if check.kind is ClaimKind.PRIVATE:
        return check.sentence
    return tell("claims.by_verdict" if check.kind is ClaimKind.NOT_TRAINED else "claim.audit.identity")
