"""Words and times that only screens need; verdicts and numbers are worded by `evidence.report.wording`."""

from __future__ import annotations

from appliance.evidence.report.wording import ROLE_SHORT
from appliance.views import VerdictWord

ORDER = (
    VerdictWord.PASS,
    VerdictWord.REVIEW,
    VerdictWord.FAIL,
    VerdictWord.INCONCLUSIVE,
    VerdictWord.VOID,
)

STYLE = {
    VerdictWord.PASS: "$pass",
    VerdictWord.REVIEW: "$review",
    VerdictWord.FAIL: "$fail",
    VerdictWord.INCONCLUSIVE: "$inconclusive",
    VerdictWord.VOID: "$void",
}

ROLE = ROLE_SHORT


def duration(seconds: float) -> str:
    """ "9 s", "2 min 05 s", "3 h 07 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def day(utc: str) -> str:
    """The date of an ISO time, "" when there is none."""
    return utc[:10]


def moment(utc: str) -> str:
    """Date and minute of an ISO time in UTC."""
    return utc[:16].replace("T", " ")
