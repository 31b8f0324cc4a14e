"""The table of words: every key is there, is used, and says what the engine says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from appliance.pack.pages import wording
from appliance.words import table
from audit_core import alike
from audit_core.results import ControlStatus, Exposure, Interval

ROOT = Path(__file__).resolve().parents[2]
LOOK_UPS = {"tell", "count", "own", "_own", "_heads", "_detectors", "_more"}  # functions that take keys


def calls() -> Iterator[tuple[Path, ast.Call]]:
    """Every look-up in the source of appliance and screens."""
    for package in ("appliance", "tui"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                    name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                    if name in LOOK_UPS and node.args:
                        yield path, node


def keys_of(call: ast.Call) -> tuple[set[str], set[str]]:
    """Whole keys that a look-up names, and the beginnings of those it puts together."""
    whole, begun = set(), set()
    for node in (node for given in call.args for node in ast.walk(given)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            (begun if node.value.endswith(".") else whole).add(node.value)
    return whole, begun


def test_every_key_that_is_looked_up_exists() -> None:
    """No screen, command or page asks for a sentence that the table has not."""
    missing = [
        f"{path.relative_to(ROOT)}: {key}"
        for path, call in calls()
        for key in keys_of(call)[0]
        if key not in table.MESSAGES
    ]
    assert [] == missing


def test_every_sentence_is_used() -> None:
    """A sentence nobody says is taken out."""
    named = [keys_of(call) for _, call in calls()]
    whole = set().union(*(one for one, _ in named))
    begun = tuple(set().union(*(one for _, one in named)))
    assert [] == [key for key in table.MESSAGES if key not in whole and not key.startswith(begun)]


def test_parameters_are_named_and_forms_agree() -> None:
    """Every parameter has a name, and both forms of a counted sentence take the same ones."""
    for key, sentence in table.MESSAGES.items():
        forms = sentence if isinstance(sentence, tuple) else (sentence,)
        fields = [{name for _, name, _, _ in Formatter().parse(form) if name is not None} for form in forms]
        assert all(name.isidentifier() for form in fields for name in form), key
        assert len({frozenset(form) for form in fields}) == 1, key
        assert not isinstance(sentence, tuple) or "number" in fields[0], key


def test_one_and_many() -> None:
    """English has one form for 1 and one for any other number; thousands are marked."""
    said = [table.count("number.patients", number) for number in (0, 1, 2, 1_200)]
    assert ["0 patients", "1 patient", "2 patients", "1,200 patients"] == said


def test_a_sentence_is_told_or_counted() -> None:
    """A counted sentence without a number is a fault of the program, and so is an unknown key."""
    for wrong in (lambda: table.tell("number.patients"), lambda: table.count("verdict.PASS", 1)):
        with pytest.raises(AssertionError):
            wrong()
    with pytest.raises(KeyError):
        table.tell("verdict.MAYBE")


@pytest.mark.parametrize("status", [None, *ControlStatus])
def test_provisos_are_worded_as_the_engine_words_them(status: ControlStatus | None) -> None:
    """What pages say of unlike groups is what the verdict's reasons say of them."""
    found = Exposure(
        3, 9, Interval(0, 1), 0.1, 0.3, 0.2, None, 0.0, None, None, missing_controls=0, targets_alike=status
    )
    assert alike.not_stated(found) == wording.not_stated(found)
    assert wording.expected_false(found).endswith(alike.proviso(found) or "to be false")
