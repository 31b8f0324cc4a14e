"""The glossary: a sentence and a reason for each word, found as it stands on screens, printed as a page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from appliance.commands.plainly import whole
from appliance.words.glossary import TERMS, Term, looked_for, named, nearest, standing_in

PAGE = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"
HEAD = """# Glossary

What the words on screens and pages mean, and why they matter. `gradaudit glossary TERM` says the same, `?`
on any screen explains the words that stand there, and F8 opens the whole list.

| word | is | matters because |
| --- | --- | --- |
"""


def page() -> str:
    """docs/glossary.md as the table has it."""
    rows = (f"| **{term.name}** | {term.says} | {term.why} |\n" for term in TERMS.values())
    return HEAD + "".join(rows)


def test_the_page_is_the_table() -> None:
    """docs/glossary.md says what the table says; `page()` of this test writes it."""
    assert page() == PAGE.read_text(encoding="utf-8")


def test_every_term_is_one_sentence_and_one_reason() -> None:
    """Two sentences that end, none of which is empty or two."""
    for term in TERMS.values():
        for sentence in (term.says, term.why):
            assert re.fullmatch(r"[A-Z0-9'][^|\n]*\.", sentence), sentence
            assert ". " not in sentence, sentence


def test_no_form_means_two_things() -> None:
    """A word that stood under two terms would be explained wrongly once."""
    forms = [form for term in TERMS.values() for form in term.forms]
    assert sorted(set(forms)) == sorted(forms)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("AUROC 0.94 (95 % CI 0.87–0.99), targets against controls", ["AUROC", "confidence interval"]),
        ("Flagged: at q = 0.1", ["flagged", "false discovery rate"]),
        ("Cohorts and\n  calibration   controls", ["cohort", "calibration control"]),
        ("they fail to pass a review", []),
        ("blind-folded, e3 and L7", []),
    ],
)
def test_terms_are_found_as_they_stand(text: str, names: list[str]) -> None:
    """Plurals, line breaks and capitals do not hide a word; everyday words are not taken for one."""
    found = [term.name for term in standing_in(text)]
    assert [name for name in found if name in names] == sorted(names, key=found.index)
    assert set(names) <= set(found)
    if not names:
        assert found == []


def test_searching() -> None:
    """What begins with the letters comes first; a word that is none has a neighbour."""
    assert looked_for("calib")[0].name == "calibration"
    assert {"calibration control"} <= {term.name for term in looked_for("calib")}
    assert len(TERMS) == len(looked_for(""))
    assert looked_for("zebra") == ()
    assert (named("Cohorts"), named("zebra")) == (TERMS["cohort"], None)
    assert (nearest("cohrot"), nearest("%%")) == ("cohort", "")


def test_the_command_says_a_term(capsys: pytest.CaptureFixture[str]) -> None:
    """One word, all words, line by line and as JSON; no workspace is opened."""
    run = whole_command()
    run("glossary", "auroc")
    assert capsys.readouterr().out == f"AUROC: {TERMS['AUROC'].says}\n{TERMS['AUROC'].why}\n"
    run("glossary", "--json")
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Term(row["name"], tuple(row["forms"]), row["says"], row["why"]) for row in rows] == list(
        TERMS.values()
    )


def whole_command() -> object:
    """The command line in this process."""
    from appliance import cli

    def run(*arguments: str) -> None:
        whole(cli.app)(list(arguments), standalone_mode=False)

    return run
