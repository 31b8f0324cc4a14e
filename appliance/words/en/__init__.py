"""English."""

from __future__ import annotations

from typing import Final

from appliance.words.en import (
    answers,
    cases,
    claims,
    commands,
    crosswalk,
    drafts,
    findings,
    interop,
    pack,
    receiver,
    report,
    schedule,
    screens,
    service,
    site,
    verdicts,
    watch,
)

MESSAGES: Final[dict[str, str | tuple[str, str]]] = {
    **verdicts.MESSAGES,
    **report.MESSAGES,
    **pack.MESSAGES,
    **interop.MESSAGES,
    **crosswalk.MESSAGES,
    **drafts.MESSAGES,
    **answers.MESSAGES,
    **receiver.MESSAGES,
    **commands.MESSAGES,
    **screens.MESSAGES,
    **schedule.MESSAGES,
    **service.MESSAGES,
    **site.MESSAGES,
    **findings.MESSAGES,
    **cases.MESSAGES,
    **claims.MESSAGES,
    **watch.MESSAGES,
}

TO: Final = "to"  # between the ends of a range, read aloud
ALOUD: Final = {
    "·": ",",
    "→": " to ",
    "≥": " at least ",
    "≤": " at most ",
    "×": " times ",
    "ε": " epsilon ",
    "δ": " delta ",
    "–": ", ",
    "—": ", ",
    **dict.fromkeys("…✓✔✗✕∅▸•⊘", ""),
}
"""Signs that screen readers skip or misread, in words."""


def form(number: int) -> int:
    """Which plural form a number takes: 0 for one, 1 for any other."""
    return 0 if number == 1 else 1
