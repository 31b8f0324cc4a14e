"""How a version, a claim or a watched folder stands, as sign and word; a table's cell has room for both."""

from __future__ import annotations

from typing import Final

from textual.content import Content

from appliance.claims.views import ClaimEffect, ClaimStanding
from appliance.watch.views import ChangeRow, Found, ModelPart, VersionRow, WatchState
from tui.glyphs import Glyphs
from tui.text import line

_CLAIM: Final = {
    ClaimStanding.SUPPORTED: ("PASS", "bold $pass"),
    ClaimStanding.CONTRADICTED: ("FAIL", "bold $fail"),
    ClaimStanding.QUESTIONED: ("REVIEW", "bold $review"),
    ClaimStanding.NOT_TESTED: ("INCONCLUSIVE", "$inconclusive"),
}
_EFFECT: Final = {
    ClaimEffect.SUPPORTS: ClaimStanding.SUPPORTED,
    ClaimEffect.CONTRADICTS: ClaimStanding.CONTRADICTED,
    ClaimEffect.QUESTIONS: ClaimStanding.QUESTIONED,
    ClaimEffect.SILENT: ClaimStanding.NOT_TESTED,
}
_WATCHED: Final = {
    WatchState.UNCHANGED: ("PASS", "$muted"),
    WatchState.CHANGED: ("REVIEW", "bold $review"),
    WatchState.ABSENT: ("INCONCLUSIVE", "bold $inconclusive"),
    WatchState.REFUSED: ("FAIL", "bold $fail"),
    WatchState.UNREADABLE: ("FAIL", "bold $fail"),
    WatchState.CHANGING: ("INCONCLUSIVE", "bold $inconclusive"),
}
WORST: Final = (
    ClaimStanding.CONTRADICTED,
    ClaimStanding.QUESTIONED,
    ClaimStanding.NOT_TESTED,
    ClaimStanding.SUPPORTED,
)


def claim_sign(standing: ClaimStanding, glyphs: Glyphs, number: int = 0) -> Content:
    """`✗ contradicted`, or of several `✗ 2 contradicted`."""
    sign, style = _CLAIM[standing]
    return Content.styled(f"{glyphs.verdicts[sign]} {f'{number} ' if number else ''}{standing.value}", style)


def effect_sign(effect: ClaimEffect, glyphs: Glyphs) -> Content:
    """What an audit does to a claim."""
    sign, style = _CLAIM[_EFFECT[effect]]
    return Content.styled(f"{glyphs.verdicts[sign]} {effect.value}", style)


def watch_sign(state: WatchState, glyphs: Glyphs) -> Content:
    """What a look at the vendor's folders found."""
    sign, style = _WATCHED[state]
    return Content.styled(f"{glyphs.verdicts[sign]} {state.value}", style)


def found_sign(version: VersionRow | ChangeRow, glyphs: Glyphs) -> Content:
    """How a version came to be known; an unannounced one that nobody has answered stands out."""
    if version.waits:
        return Content.styled(f"{glyphs.verdicts['REVIEW']} {version.found.value}", "bold $review")
    if version.found is Found.UNANNOUNCED:
        return Content.styled(f"{glyphs.passed} answered", "$muted")
    sign = glyphs.passed if version.found is Found.ANNOUNCED else glyphs.dot
    return Content.styled(f"{sign} {version.found.value}", "$muted")


def changed_parts(parts: tuple[ModelPart, ...], equal_to: int = 0) -> Content:
    """What is not as in the version before."""
    told = ", ".join(part.value for part in parts)
    again = f"{' ' if told else ''}(equal to version {equal_to})" if equal_to else ""
    return Content(line(told + again))


def line_of(model: str) -> str:
    """What a site calls a model, whichever version: NAME of NAME@2."""
    return model.partition("@")[0]
