"""What an audit's numbers say of the vendor's claims that were in force when it was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from textual.content import Content

from appliance.claims.views import ClaimCheck, ClaimFinding, ClaimKind
from appliance.pack.pages.wording import claims
from appliance.views import AuditResult, VerdictWord
from appliance.words.table import tell
from tui.text import foreign
from tui.widgets.drawing import Drawing

_SIGNS: Final = {
    ClaimFinding.CONTRADICTED: ("FAIL", "bold $fail"),
    ClaimFinding.QUESTIONED: ("REVIEW", "bold $review"),
    ClaimFinding.WITHIN: ("PASS", "$pass"),
    ClaimFinding.NOT_TESTED: ("INCONCLUSIVE", "$inconclusive"),
}
_SILENT: Final = (VerdictWord.VOID, VerdictWord.INCONCLUSIVE)
_INDENT = 2


class ClaimChecks(Drawing):
    """A claim a paragraph, contradicted ones first, worded as in every report, each with its sign."""

    def __init__(self, result: AuditResult, word: VerdictWord) -> None:
        super().__init__()
        self.word = word
        order, told = list(_SIGNS), zip(result.claims, claims(result, word), strict=True)
        self.claims = sorted(told, key=lambda one: order.index(one[0].finding))

    def draw(self, width: int) -> list[Content]:
        """Head, then the sentences below it."""
        return [row for check, told in self.claims for row in self._claim(check, *told, width)]

    def _claim(self, check: ClaimCheck, name: str, sentence: str, width: int) -> Iterator[Content]:
        yield from Content.assemble(self._sign(check), "  ", foreign(name, "bold")).wrap(width)
        for part in foreign(sentence).wrap(max(8, width - _INDENT)):
            yield part.pad_left(_INDENT)

    def _sign(self, check: ClaimCheck) -> Content:
        """Of a claim that numbers answer; the others are answered by the verdict, or by no audit."""
        if check.kind is not ClaimKind.PRIVATE:
            return Content.styled(self.glyphs.dot, "$muted")
        found = ClaimFinding.NOT_TESTED if self.word in _SILENT else check.finding
        sign, style = _SIGNS[found]
        return Content.styled(f"{self.glyphs.verdicts[sign]} {tell(f'result.claim.{found.name}')}", style)
