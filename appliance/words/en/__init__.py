"""English."""

from __future__ import annotations

from appliance.words.en import pack, report, verdicts

MESSAGES: dict[str, str | tuple[str, str]] = {**verdicts.MESSAGES, **report.MESSAGES, **pack.MESSAGES}


def form(number: int) -> int:
    """Which plural form a number takes: 0 for one, 1 for any other."""
    return 0 if number == 1 else 1
