"""What an audit could not do, why, and what would help."""

from __future__ import annotations

from textual.content import Content

from appliance.views import Limit
from appliance.words.table import tell
from tui.text import foreign
from tui.widgets.drawing import Drawing

_INDENT = 2


class Limits(Drawing):
    """One paragraph per limit: what, then why, then what would help."""

    def __init__(self, limits: tuple[Limit, ...]) -> None:
        super().__init__()
        self.limits = limits

    def draw(self, width: int) -> list[Content]:
        """The gravest first, as the audit gives them."""
        room = max(8, width - _INDENT)
        lines: list[Content] = []
        for limit in self.limits:
            lines += foreign(limit.what, "bold").wrap(max(8, width))
            for word, said in (
                (tell("text.limit.why"), limit.why),
                (tell("text.limit.remedy"), limit.remedy),
            ):
                if said:
                    text = Content.assemble((f"{word}: ", "$muted"), foreign(said))
                    lines += [part.pad_left(_INDENT) for part in text.wrap(room)]
        return lines
