"""What the pages on security and reliability name as shown is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import run as soak
import vault

ROOT = Path(__file__).parent.parent
PAGES = {
    name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("security.md", "reliability.md")
}
NAMED = re.compile(r"`((?:tests|benchmarks)/[\w/]+\.py)")
SECTION_6 = 18  # threats of the table in the design


def absent(text: str) -> list[str]:
    """Files that a text names and that do not exist."""
    return sorted(name for name in set(NAMED.findall(text)) if not (ROOT / name).is_file())


def threats() -> list[str]:
    """Lines of the table of threats."""
    table = PAGES["security.md"].split("## Threats")[1].split("\n## ")[0]
    return [line for line in table.splitlines() if line.startswith("| ")][2:]


@pytest.mark.parametrize("page", PAGES)
def test_every_named_test_and_harness_exists(page: str) -> None:
    """A test that was renamed takes its line on the page with it."""
    assert [] == absent(PAGES[page])
    assert len(NAMED.findall(PAGES[page])) > 10
    assert ["tests/test_nothing.py"] == absent("see `tests/test_nothing.py`")


def test_every_threat_is_shown_by_something() -> None:
    """Each line of the table names a control, and a test or a harness."""
    assert len(threats()) >= SECTION_6
    assert [] == [line for line in threats() if not NAMED.search(line.split(" | ")[2])]


def test_every_harness_has_a_line() -> None:
    """The page on reliability says of each long harness what it does, and which test is its short form."""
    lines = [line for line in PAGES["reliability.md"].splitlines() if line.startswith("| `")]
    named = {line.split("`")[1] for line in lines if NAMED.search(line)}
    assert {harness.name for harness in soak.HARNESSES} == named


def test_figures_have_their_places() -> None:
    """Both runs find the marks between which they write."""
    for marks in (soak.MARKS, vault.MARKS):
        assert [1, 1] == [PAGES["reliability.md"].count(mark) for mark in marks]
