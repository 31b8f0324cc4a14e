"""What an audit's numbers say of the vendor's claims that were in force when it was asked for."""

from __future__ import annotations

from typing import Final

from textual.content import Content

from appliance.claims.views import ClaimCheck, ClaimFinding
from appliance.words.table import tell
from tui.text import foreign, line
from tui.widgets.drawing import Drawing

_SIGNS: Final = {
    ClaimFinding.CONTRADICTED: ("FAIL", "bold $fail"),
    ClaimFinding.QUESTIONED: ("REVIEW", "bold $review"),
    ClaimFinding.WITHIN: ("PASS", "$pass"),
    ClaimFinding.NOT_TESTED: ("INCONCLUSIVE", "$inconclusive"),
}
_INDENT = 2


class ClaimChecks(Drawing):
    """A claim a paragraph, contradicted ones first: what it says, its source, the sentence with the bound."""

    def __init__(self, claims: tuple[ClaimCheck, ...]) -> None:
        super().__init__()
        order = list(_SIGNS)
        self.claims = sorted(claims, key=lambda one: order.index(one.finding))

    def draw(self, width: int) -> list[Content]:
        """Head, then the sentence below it."""
        return [row for one in self.claims for row in self._claim(one, width)]

    def _claim(self, one: ClaimCheck, width: int) -> list[Content]:
        sign, style = _SIGNS[one.finding]
        word = tell(f"claims.finding.{one.finding.name.lower()}")
        says = tell(f"claims.kind.{one.kind.name.lower()}")
        if one.epsilon is not None:
            says = tell("claims.epsilon", kind=says, epsilon=f"{one.epsilon:g}", delta=f"{one.delta or 0:g}")
        head = Content.assemble(
            (f"{self.glyphs.verdicts[sign]} {word}", style),
            "  ",
            (says, "bold"),
            (f"  {line(one.claim)}, {line(one.source)}", "$muted"),
        )
        told = foreign(one.sentence).wrap(max(8, width - _INDENT))
        return [*head.wrap(width), *(part.pad_left(_INDENT) for part in told)]
