"""Exposure over the versions of one model: which audits belong on one chart, and which do not and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.errors import PolicyError
from appliance.views import AuditView, VerdictWord
from appliance.words.table import tell

if TYPE_CHECKING:
    from appliance.workspace.rows import StoredAudit


@dataclass(frozen=True, slots=True)
class AuditPoint:
    """One audit on the chart.

    Attributes:
        name: model version, as registered; foreign text.
        day: on which it began, ISO.
        flagged: patients flagged; None where the audit gives no number.
        patients: patients judged.
        span: 95 % interval of the exposed share, 0 … 1; None where none is stated.
    """

    name: str
    day: str
    word: VerdictWord | None
    flagged: int | None
    patients: int
    span: tuple[float, float] | None
    audit_id: str = ""


@dataclass(frozen=True, slots=True)
class ApartAudit:
    """An audit of the same model that is not on the chart, and why."""

    audit_id: str
    name: str
    day: str
    why: str


@dataclass(frozen=True, slots=True)
class SeriesView:
    """The audits of one model's versions, oldest first.

    Attributes:
        limit: share of exposed patients that the policy tolerates; None where the audits have not one policy.
    """

    points: tuple[AuditPoint, ...]
    limit: float | None
    apart: tuple[ApartAudit, ...]


def audit_point(view: AuditView) -> AuditPoint:
    """What one audit adds to the chart; a void run adds no number.

    The interval is that of the exposed share: its estimate's, else from its lower bound on. A count of flags
    has none of its own.
    """
    found, row, word = view.result.exposure, view.row, view.verdict.word
    name, when = row.model, row.started_utc[:10]
    if found is None or word is VerdictWord.VOID:
        return AuditPoint(name, when, word, None, 0, None, row.audit_id)
    span = None
    if found.prevalence_ci is not None:
        span = (found.prevalence_ci.low, found.prevalence_ci.high)
    elif found.prevalence_lower > 0:
        span = (found.prevalence_lower, 1.0)
    return AuditPoint(name, when, word, found.flagged, found.patients, span, row.audit_id)


def series(audits: Sequence[tuple[StoredAudit, AuditView]], audit_id: str) -> SeriesView:
    """The chart on which one audit stands.

    On it are the finished audits of the same model, in the order in which they began: of all versions of its
    line, or of another name with the same vendor, family and architecture, where a vendor is named. A number
    is only put beside another where both answer one question: the same cohort, the same deciding detector and
    share of false flags (q). What answers another one stands apart with the reason; one that is void, or
    stopped before judgement, keeps its place and has no number. The limit is the policy's tolerated share,
    where one policy decided all of them.

    Args:
        audits: finished ones, with their views; `audit_id` among them.
        audit_id: the audit that others are compared with.
    """
    this, shown = next(pair for pair in audits if pair[0].audit_id == audit_id)
    ordered = sorted(audits, key=lambda pair: (pair[0].started_utc, pair[0].audit_id))
    ours = [(stored, view) for stored, view in ordered if _same_model(stored, this)]
    reasons = [(view, _another_question(view, shown)) for _, view in ours]
    together = [view for view, why in reasons if not why]
    apart = tuple(
        ApartAudit(view.row.audit_id, view.row.model, view.row.started_utc[:10], why)
        for view, why in reasons
        if why
    )
    one_policy = {view.policy_digest for view in together} == {shown.policy_digest}
    return SeriesView(tuple(map(audit_point, together)), _limit(this) if one_policy else None, apart)


def _same_model(one: StoredAudit, other: StoredAudit) -> bool:
    made, theirs = _made(one), _made(other)
    lines = (one.model.partition("@")[0], other.model.partition("@")[0])  # NAME@2 is of the line NAME
    return lines[0] == lines[1] or (bool(made[0]) and made == theirs)


def _made(stored: StoredAudit) -> tuple[str, str, str]:
    """Vendor, family and architecture, as the audit keeps them; empty in what an earlier version stored."""
    model: dict[str, Any] = (stored.result or {}).get("pack", {}).get("model", {})
    vendor, family, architecture = (str(model.get(name, "")) for name in ("vendor", "family", "architecture"))
    return vendor, family, architecture


def _another_question(view: AuditView, shown: AuditView) -> str:
    """Why the number of an audit may not stand beside the shown one's; "" where it may."""
    if view.cohort_digest != shown.cohort_digest:
        return tell("compared.cohorts")
    if view.result.deciding_detector != shown.result.deciding_detector:
        return tell("compared.detector")
    found, ours = view.result.exposure, shown.result.exposure
    return tell("compared.rate") if found and ours and found.q != ours.q else ""


def _limit(stored: StoredAudit) -> float | None:
    from appliance import policy_file

    text = (stored.result or {}).get("policy_text")
    try:
        return policy_file.stored(str(text).encode()).policy.exposure_limit if text else None
    except PolicyError:  # an earlier version's policy that this one does not read
        return None
