"""`safe()` lets nothing through that acts on a terminal, a markup parser or a reader's eye."""

import unicodedata

import pytest

from appliance.sanitise import Tainted, safe

PAYLOADS = [
    "\x1b]52;c;aGVsbG8=\x07",
    "\x1b]52;c;aGVsbG8=\x1b\\",
    "\x9d52;c;aGVsbG8=\x9c",
    "\x1b[31mred\x1b[0m",
    "\x9b31mred",
    "\x1b[2J\x1b[H",
    "\x1bP+q544e\x1b\\",
    "\x1b_Gf=100;AAAA\x1b\\",
    "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
    "\x1b(0lqqk",
    "\x1bc",
    "\x1b]0;title",
    "\x1b[",
    "\x1b",
    "[/x]",
    "[@click=app.quit]quit[/]",
    "[bold red]x[/bold red]",
    "\\[b]x",
    "name\u202egnp.exe",
    "\u2066hidden\u2069",
    "zero\u200bwidth\ufeff",
    "tag\U000e0041\U000e0042",
    "line\nbreak\r\nnext\u2028end",
    "nul\x00byte\x7f",
    "back\x08\x08\x08space",
    "a" + "\u0301" * 500,
    "\ud800",
    "\ue000",
    "\x85next",
    "x" * 100_000,
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payload_is_inert(payload: str) -> None:
    """No control, format, surrogate or private character, no bracket, no long text survives."""
    shown = safe(payload, 80)
    assert all(unicodedata.category(sign)[0] != "C" for sign in shown)
    assert "[" not in shown
    assert "]" not in shown
    assert len(shown) <= 80


def test_sequences_leave_no_residue() -> None:
    """A colour or clipboard sequence goes as a whole, the text around it stays."""
    assert safe("a\x1b[31mb\x1b]52;c;eA==\x07c") == "abc"


def test_plain_names_stay() -> None:
    """Names in any script, with accents and HTML signs, are left as they are."""
    for name in ("Müller^Jürgen", "Ирина", "山田^太郎", "O'Brien & <Söhne>", "e\u0301"):
        assert safe(name) == name


def test_long_text_is_cut_with_a_sign() -> None:
    """A cut is visible and never exceeds the limit."""
    assert safe("abcdef", 4) == "abc…"
    assert safe("abcd", 4) == "abcd"


def test_hostile_length_is_linear() -> None:
    """Thousands of unterminated introducers cost no more than a moment."""
    assert len(safe("\x9d" * 500_000 + "\x1b]" * 500_000, 10_000)) <= 10_000


def test_tainted_text_cannot_be_shown() -> None:
    """Every way of printing foreign text by accident is a TypeError."""
    name = Tainted("Doe^Jane")
    with pytest.raises(TypeError):
        str(name)
    with pytest.raises(TypeError):
        f"{name}"
    with pytest.raises(TypeError):
        "%s" % name  # noqa: UP031
    with pytest.raises(TypeError):
        "x" + name
    with pytest.raises(TypeError):
        name + "x"
    assert "Jane" not in repr(name)


def test_tainted_text_can_be_kept_and_cleaned() -> None:
    """Comparing, encoding and cleaning foreign text work."""
    name = Tainted("Doe^Jane\x1b[1m")
    assert name == "Doe^Jane\x1b[1m"
    assert name.raw() == "Doe^Jane\x1b[1m"
    assert type(name.raw()) is str
    assert safe(name) == "Doe^Jane"
