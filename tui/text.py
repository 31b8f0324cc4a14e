"""The door foreign text passes before any widget: control characters, escapes, bidi and markup end here."""

from __future__ import annotations

from textual.content import Content

from appliance.sanitise import printable, safe


def line(text: str) -> str:
    """Foreign text as one harmless line; never parsed as markup afterwards."""
    return " ".join(safe(text, 600).split())


def foreign(text: str, style: str = "") -> Content:
    """Foreign text as content, which is never parsed as markup: `[@click=…]` stays words."""
    return Content.styled(line(text), style)


def verbatim(text: str) -> Content:
    """One line of a file as it stands, brackets too; what would act on a terminal is a sign. Never markup."""
    return Content(printable(text.replace("\n", " ")))


def wrapped(content: Content, width: int, indent: int = 0) -> list[Content]:
    """Content broken into lines of at most `width` cells, continuation lines indented by `indent`."""
    inner = max(8, width - indent)
    lines = content.wrap(inner)
    return [part if row == 0 and not indent else part.pad_left(indent) for row, part in enumerate(lines)]
