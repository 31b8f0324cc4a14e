"""HTML, XHTML or a CDA narrative block -> lines of visible text.

One pass over the markup. The standard library's parser takes quadratic time on markup made for it (two
megabytes of `<!--` keep it busy for minutes); here tags only say where a line ends, which needs no tree.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from medio.errors import NotReadable

MAX_MARKUP = 4 << 20  # characters
_BLOCKS = frozenset(
    (
        *("address", "article", "blockquote", "br", "caption", "dd", "div", "dl", "dt", "footer", "header"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "hr", "item", "li", "list", "main", "ol", "p", "paragraph"),
        *("pre", "section", "table", "tbody", "tfoot", "thead", "tr", "ul"),
    )
)
_CELLS = frozenset(("td", "th"))
_UNSEEN = frozenset(("script", "style", "head", "template"))
_NAME = re.compile(r"/?(?:[A-Za-z][\w.-]{0,31}:)?([A-Za-z][A-Za-z0-9]{0,31})")  # a prefix is left out


def markup_text(markup: str) -> str:
    """The text a reader would see: one line a block, cells of a table row separated by blanks.

    Raises:
        NotReadable: longer than any report.
    """
    if len(markup) > MAX_MARKUP:
        raise NotReadable("too-large", "more markup than a report holds")
    parts: list[str] = []
    unseen = ""
    for tag, text in _tokens(markup):
        if unseen:
            unseen = "" if tag == "/" + unseen else unseen
        elif tag in _UNSEEN:
            unseen = tag
        elif tag.lstrip("/") in _BLOCKS:
            parts.append("\n")
        elif tag.lstrip("/") in _CELLS:
            parts.append(" ")
        else:
            parts.append(text)
    folded = (" ".join(line.split()) for line in "".join(parts).split("\n"))
    return "\n".join(line for line in folded if line)


def _tokens(markup: str) -> Iterator[tuple[str, str]]:
    """Tags as (name, ""), with `/` before the name of an end; and text between them as ("", text).

    White space is folded as a browser does, except inside `pre`. Comments and declarations are left out.
    """
    place, preformatted = 0, False
    while place < len(markup):
        start = markup.find("<", place)
        end = len(markup) if start < 0 else start
        if end > place:
            text = html.unescape(markup[place:end])
            yield "", text if preformatted else re.sub(r"[ \t\r\n]+", " ", text)
        if start < 0:
            return
        closing = (
            "-->" if markup.startswith("<!--", start) else "]]>" if markup.startswith("<![", start) else ">"
        )
        name = _NAME.match(markup, start + 1)
        if name is None and markup[start + 1 : start + 2] not in ("!", "?"):
            yield "", "<"  # a sign, as in `< 5 mm`
            place = start + 1
            continue
        end = markup.find(closing, start)
        if end < 0:
            return  # a tag that never ends: the rest is no text
        place = end + len(closing)
        if name is not None:
            tag = name.group(1).lower()
            ended = markup[start + 1] == "/"
            preformatted = preformatted if tag != "pre" else not ended
            if tag not in _UNSEEN or markup[end - 1] != "/":
                yield ("/" if ended else "") + tag, ""
