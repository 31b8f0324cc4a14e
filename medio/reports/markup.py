"""HTML or XHTML -> lines of text with the standard library's parser: no scripts, addresses or recursion."""

from __future__ import annotations

from html.parser import HTMLParser

from medio.errors import NotReadable

MAX_MARKUP = 2 << 20  # characters
_BLOCKS = frozenset(
    (
        *("address", "article", "blockquote", "br", "caption", "dd", "div", "dl", "dt", "footer", "header"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "hr", "item", "li", "list", "main", "ol", "p", "paragraph"),
        *("pre", "section", "table", "tbody", "tfoot", "thead", "tr", "ul"),
    )
)
_CELLS = frozenset(("td", "th"))
_UNSEEN = frozenset(("script", "style", "head", "template"))


def markup_text(markup: str) -> str:
    """The text a reader would see: one line a block, cells of a table row separated by blanks.

    Raises:
        NotReadable: longer than any report.
    """
    if len(markup) > MAX_MARKUP:
        raise NotReadable("too-large", "more markup than a report holds")
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    """Collects visible text; white space is folded outside `pre`, as a browser does."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[list[str]] = [[]]
        self._unseen = 0
        self._preformatted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a block or a cell."""
        self._unseen += tag in _UNSEEN
        self._preformatted += tag == "pre"
        self._border(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<br/>` and other empty elements, which have no end to wait for."""
        self._border(tag)

    def handle_endtag(self, tag: str) -> None:
        """End a block or a cell; an end without a start counts for nothing."""
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))
        self._preformatted = max(0, self._preformatted - (tag == "pre"))
        self._border(tag)

    def handle_data(self, data: str) -> None:
        """Keep what would be shown."""
        if self._unseen:
            return
        if self._preformatted:
            first, *others = data.splitlines() or [""]
            self._lines[-1].append(first)
            self._lines.extend([line] for line in others)
        else:
            self._lines[-1].append(data)

    def _border(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._lines.append([])
        elif tag in _CELLS:
            self._lines[-1].append(" ")

    def text(self) -> str:
        """Lines that say something, in order."""
        folded = (" ".join("".join(parts).split()) for parts in self._lines)
        return "\n".join(line for line in folded if line)
