"""Words and times that only screens need; verdicts and numbers are worded by `pack.pages.wording`."""

from __future__ import annotations

from appliance.pack.pages.wording import ROLE_SHORT, duration
from appliance.views import VerdictWord

__all__ = ["ORDER", "ROLE", "STYLE", "day", "duration", "moment"]

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


def day(utc: str) -> str:
    """The date of an ISO time, "" when there is none."""
    return utc[:10]


def moment(utc: str) -> str:
    """Date and minute of an ISO time in UTC."""
    return utc[:16].replace("T", " ")
