"""Shares are spelt one way, by one function, in whatever sentence, table or screen a person reads."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit_core.shares import finely, percent

TREE = Path(__file__).resolve().parents[2]
PACKAGES = ("audit_core", "medio", "appliance", "tui")


@pytest.mark.parametrize(
    ("share", "coarse", "fine"),
    [
        (0.0, "0 %", "0 %"),
        (0.004, "0.4 %", "0.4 %"),
        (0.05, "5 %", "5 %"),
        (0.1, "10 %", "10 %"),
        (0.2 + 1e-17, "20 %", "20 %"),
        (0.243, "24 %", "24.3 %"),
        (0.9751, "98 %", "97.5 %"),
        (0.996, "99.6 %", "99.6 %"),
        (1.0, "100 %", "100 %"),
    ],
)
def test_spelling(share: float, coarse: str, fine: str) -> None:
    """Whole numbers stay whole; tenths stand where they matter, and beside a limit always."""
    assert (percent(share), finely(share)) == (coarse, fine)


def spelt_by_python(source: str) -> Iterator[int]:
    """Lines that let Python's own format write a share, as `10.0%`."""
    for node in ast.walk(ast.parse(source)):
        spec = node.format_spec if isinstance(node, ast.FormattedValue) else None
        if spec is not None and ast.unparse(spec).rstrip("'\"").endswith("%"):
            yield spec.lineno


def test_it_looks_for_what_it_says() -> None:
    """Both forms are found, in a part of a sentence, too; a number with a sign of its own is none."""
    assert list(spelt_by_python('a = f"{x:.1%}"\nb = f"at {y:.0%} or"\nc = f"{z:.0f} %"')) == [1, 2]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_sentence_spells_a_share_by_itself(package: str) -> None:
    """No f-string of the product has a per cent format of its own."""
    found = [
        f"{path.relative_to(TREE)}:{line}"
        for path in sorted((TREE / package).rglob("*.py"))
        for line in spelt_by_python(path.read_text())
    ]
    assert not found
