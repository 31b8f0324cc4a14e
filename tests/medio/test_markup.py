from __future__ import annotations

import time

import pytest

from medio.errors import MedioError
from medio.reports.markup import MAX_MARKUP, markup_text


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("<div><p>One <b>bold</b>\n word</p><p>Two</p></div>", "One bold word\nTwo"),
        ("a<br/>b<BR>c", "a\nb\nc"),
        ("<pre>one\n  two</pre>", "one\ntwo"),
        ("<table><tr><td>Spine</td><td>-0.4</td></tr><tr><td>Hip</td></tr></table>", "Spine -0.4\nHip"),
        ("size &lt; 5&nbsp;mm &amp; smooth", "size < 5 mm & smooth"),
        ("5 < 6 and 7 > 6", "5 < 6 and 7 > 6"),
        ("<style>p {}</style><script>alert('x')</script>Clear", "Clear"),
        ("<script/>Clear", "Clear"),
        ("<!-- hidden --><![CDATA[ hidden ]]><?php hidden ?>Clear", "Clear"),
        ("<ns0:text><ns0:paragraph>One</ns0:paragraph>Two</ns0:text>", "One\nTwo"),
        ("Clear <b", "Clear"),
        ("", ""),
    ],
)
def test_what_a_reader_would_see(markup: str, shown: str) -> None:
    """Blocks are lines, cells are separated, nothing hidden is shown, and a sign is no tag."""
    assert markup_text(markup) == shown


@pytest.mark.parametrize("piece", ["<!--", "<a b='", "</", "<![CDATA[", "<", "&#", "<div>", "<script>"])
def test_time_grows_with_length_alone(piece: str) -> None:
    """A megabyte of any unfinished piece are done in seconds, not minutes."""
    markup = piece * (1_000_000 // len(piece))
    started = time.process_time()
    markup_text(markup)
    assert time.process_time() - started < 5


def test_too_much_is_refused() -> None:
    """The limit is above any report."""
    with pytest.raises(MedioError) as caught:
        markup_text(" " * (MAX_MARKUP + 1))
    assert caught.value.reason == "too-large"
