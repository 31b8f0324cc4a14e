"""Two audits side by side: what is the same, what differs, and what may not be compared and why.

A number is only compared with another where both answer the same question: about the same patients, by the
same detector, in audits whose controls held. Everything else is set apart with its reason, never as a
difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from appliance.pack.pages.wording import (
    DESIGN,
    REFERENCES,
    ROLE,
    area,
    flagged_of,
    not_stated,
    p_value,
    percent,
    percent_interval,
)
from appliance.views import AuditRow, AuditView, Exposure, Interval, VerdictWord
from appliance.words.table import tell


class Standing(StrEnum):
    """How two values stand to each other."""

    SAME = "same"
    DIFFERS = "differs"
    CLOSE = "no difference shown"  # the intervals overlap
    APART = "not comparable"


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One property of two audits.

    Attributes:
        part: model, cohort, policy, verdict or exposure.
        why: for values that may not be compared, and what a difference means; else "".
    """

    part: str
    what: str
    first: str
    second: str
    standing: Standing
    why: str = ""


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """Two audits, property by property."""

    first: AuditRow
    second: AuditRow
    rows: tuple[ComparedRow, ...]


def compared(first: AuditView, second: AuditView) -> ComparisonView:
    """Set two finished audits side by side; no order of time is implied."""
    rows = (*_model(first, second), *_cohort(first, second), *_policy(first, second))
    return ComparisonView(first.row, second.row, (*rows, *_verdict(first, second), *_exposure(first, second)))


def _model(one: AuditView, other: AuditView) -> Iterator[ComparedRow]:
    yield _row("model", "name", one.row.model, other.row.model)
    yield _row("model", "digest", one.model_digest, other.model_digest)


def _cohort(one: AuditView, other: AuditView) -> Iterator[ComparedRow]:
    yield _row("cohort", "name", one.row.cohort, other.row.cohort)
    yield _row("cohort", "digest", one.cohort_digest, other.cohort_digest)
    yield _row("cohort", "patients", _counts(one), _counts(other))
    yield _row("cohort", "design", DESIGN[one.result.design], DESIGN[other.result.design])
    yield _row(
        "cohort", "known members", REFERENCES[one.result.references], REFERENCES[other.result.references]
    )


def _policy(one: AuditView, other: AuditView) -> Iterator[ComparedRow]:
    yield _row("policy", "name", one.row.policy, other.row.policy)
    yield _row("policy", "version", one.policy_version, other.policy_version)
    yield _row("policy", "digest", one.policy_digest, other.policy_digest)
    yield _row("policy", "deciding detector", one.result.deciding_detector, other.result.deciding_detector)
    if one.result.as_published or other.result.as_published:
        yield _row("policy", "run", _way(one), _way(other))


def _verdict(one: AuditView, other: AuditView) -> Iterator[ComparedRow]:
    words = (one.verdict.word, other.verdict.word)
    why = ""
    if VerdictWord.VOID in words:
        why = tell("compared.void")
    elif one.policy_digest != other.policy_digest:
        why = tell("compared.rules")
    elif one.cohort_digest != other.cohort_digest:
        why = tell("compared.patients")
    elif one.result.as_published is not other.result.as_published:
        why = tell("compared.published")
    note = tell("compared.inconclusive") if VerdictWord.INCONCLUSIVE in words else ""
    yield _row("verdict", "word", words[0].value, words[1].value, why, note)
    proves = tell("compared.tier")
    yield _row("verdict", "tier", one.result.tier.name, other.result.tier.name, note=proves)


def _exposure(one: AuditView, other: AuditView) -> Iterator[ComparedRow]:
    apart = _not_one_question(one, other)
    ours, theirs = _number(one), _number(other)
    other_rate = bool(ours and theirs and ours.q != theirs.q)
    by_rate = apart or (tell("compared.rate") if other_rate else "")
    unseen = tell("compared.unflagged")
    yield _row("exposure", "flagged", _flagged(ours), _flagged(theirs), by_rate, unseen)
    bound = tell("compared.bound")
    yield _row("exposure", "exposed share", _bound(ours), _bound(theirs), apart, bound)
    intervals = (ours.prevalence_ci if ours else None, theirs.prevalence_ci if theirs else None)
    estimates = (_estimate(ours), _estimate(theirs))
    unstated = apart or _one_sided(*intervals)
    yield _row("exposure", "estimated share", *estimates, unstated, close=_overlap(*intervals))
    yield _row("exposure", "rank test", _test(ours), _test(theirs), tell("compared.p_values"))
    (area_one, ci_one), (area_other, ci_other) = _area(one), _area(other)
    unstated = apart or _one_sided(ci_one, ci_other)
    areas = (area_one, area_other)
    yield _row("exposure", "AUROC of targets", *areas, unstated, close=_overlap(ci_one, ci_other))
    smaller = tell("compared.detectable")
    yield _row("exposure", "detectable share", _detectable(one), _detectable(other), note=smaller)


def _not_one_question(one: AuditView, other: AuditView) -> str:
    """Why numbers of two audits may not be compared; "" where they may."""
    if VerdictWord.VOID in (one.verdict.word, other.verdict.word):
        return tell("compared.void_number")
    if one.result.exposure is None or other.result.exposure is None:
        return tell("compared.stopped")
    if one.cohort_digest != other.cohort_digest:
        return tell("compared.cohorts")
    if one.result.deciding_detector != other.result.deciding_detector:
        return tell("compared.detector")
    return ""


def _row(
    part: str, what: str, first: str, second: str, apart: str = "", note: str = "", close: bool = False
) -> ComparedRow:
    """A row that is set apart where `apart` says why; `note` is said where values differ.

    Args:
        close: the intervals of the two values overlap.
    """
    if apart:
        return ComparedRow(part, what, first, second, Standing.APART, apart)
    if first == second:
        return ComparedRow(part, what, first, second, Standing.SAME)
    if close:
        return ComparedRow(part, what, first, second, Standing.CLOSE, tell("compared.close"))
    return ComparedRow(part, what, first, second, Standing.DIFFERS, note)


def _number(view: AuditView) -> Exposure | None:
    """The exposure an audit found; a void run found none, whatever it counted."""
    return None if view.verdict.word is VerdictWord.VOID else view.result.exposure


def _counts(view: AuditView) -> str:
    return ", ".join(f"{number:,} {ROLE.get(role, role)}" for role, number in view.result.counts.items())


def _way(view: AuditView) -> str:
    return tell("compared.way.published") if view.result.as_published else tell("compared.way.policy")


def _test(found: Exposure | None) -> str:
    return p_value(found.rank_test_p) if found else tell("compared.no_number")


def _flagged(found: Exposure | None) -> str:
    return flagged_of(found) if found else tell("compared.no_number")


def _bound(found: Exposure | None) -> str:
    """`at least 35 % (95 % bound)`, or why none is stated."""
    if found is None:
        return tell("compared.no_number")
    if why := not_stated(found):
        return tell("compared.not_stated", why=why)
    return tell("compared.at_least", share=percent(found.prevalence_lower))


def _estimate(found: Exposure | None) -> str:
    if found is None or found.prevalence_estimate is None or found.prevalence_ci is None:
        return tell("compared.unstated")
    estimate, between = percent(found.prevalence_estimate), percent_interval(found.prevalence_ci)
    return tell("number.area", area=estimate, interval=between)


def _area(view: AuditView) -> tuple[str, Interval | None]:
    decides = next((one for one in view.result.detectors if one.decides), None)
    if decides is None or _number(view) is None:
        return tell("number.not_measured"), None
    return area(decides.target_auroc, decides.target_auroc_ci), decides.target_auroc_ci


def _detectable(view: AuditView) -> str:
    effect = view.result.detectable
    void = view.verdict.word is VerdictWord.VOID
    if void or effect.share is None:
        return tell("compared.not_shown")
    return tell("compared.share", share=percent(effect.share))


def _one_sided(one: Interval | None, other: Interval | None) -> str:
    """Why two values cannot be compared of which one has no interval."""
    return tell("compared.one_sided") if (one is None) is not (other is None) else ""


def _overlap(one: Interval | None, other: Interval | None) -> bool:
    return bool(one and other and one.low <= other.high and other.low <= one.high)
