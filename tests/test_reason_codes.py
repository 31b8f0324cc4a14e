"""docs/reason-codes.md lists exactly the codes that the packages give."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reason-codes.md"
SOURCES = [
    *sorted((ROOT / "medio").rglob("*.py")),
    *(ROOT / "appliance" / name for name in ("listing.py", "reading.py", "pipeline.py")),
]
CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# Words with hyphens that are no codes: character sets, FHIR's own words, names of formats.
OTHER_WORDS = re.compile(
    r"utf-.*|iso8859-.*|latin-1|tis-620|entered-in-error|has-member|read-weights|gradaudit-.*"
)
ERRORS = {
    *(
        "NotReadable",
        "NotSupported",
        "NothingToUse",
        "NotAReport",
        "EmptyReport",
        "TextElsewhere",
        "CohortRefused",
    ),
    *("wall", "Unpaired"),
}
TABLES = {"_DOCUMENTS", "_OTHER_ZIPS", "REASONS"}  # dictionaries of codes, as keys or as values


def words(node: ast.AST | None) -> Iterator[str]:
    """Strings a value may be, through conditions."""
    if isinstance(node, ast.IfExp):
        yield from words(node.body)
        yield from words(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def given(tree: ast.AST) -> Iterator[str]:
    """Codes a module gives: every word with a hyphen, and single words where a code stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "-" in node.value:
            yield node.value
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in ERRORS:
                for argument in node.args[:2] if name == "Unpaired" else node.args[:1]:
                    yield from words(argument)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {getattr(target, "id", "") for target in targets}
            if "reason" in names:
                yield from words(node.value)
            if names & TABLES and isinstance(node.value, ast.Dict):
                for one in (*node.value.keys, *node.value.values):
                    yield from words(one)
        elif isinstance(node, ast.Yield):
            yield from words(node.value)


def codes() -> set[str]:
    """All codes of the packages."""
    found: Counter[str] = Counter()
    for source in SOURCES:
        texts = given(ast.parse(source.read_text(encoding="utf-8")))
        found.update(text for text in texts if CODE.fullmatch(text) and not OTHER_WORDS.fullmatch(text))
    return set(found)


def test_every_code_is_explained_once() -> None:
    """The page has one row a code, and none for a code that is gone."""
    listed = re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [code for code, count in Counter(listed).items() if count > 1] == []
    assert sorted(codes() - set(listed)) == []
    assert sorted(set(listed) - codes()) == []


def test_codes_are_found_where_they_are_given() -> None:
    """The search sees single words, conditions and tables; without that the first test could not fail."""
    lines = 'NotReadable("nesting" if deep else "deflate")', 'REASONS = {"copy": "x"}', 'reason = "video"'
    assert set(given(ast.parse("\n".join(lines)))) >= {"nesting", "deflate", "copy", "video"}
    assert len(codes()) > 100


def test_rows_say_something() -> None:
    """Every row has its meaning, and every table of files its outcome and advice."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert all(all(cell.strip() for cell in row.strip("|").split("|")) for row in rows)
