"""The drafts: facts filled in with their source, decisions blank, and no word that decides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from appliance.evidence import verify_evidence as checked
from appliance.isolation import LAYERS
from appliance.pack import building
from appliance.pack.drafts.forms import FORMS
from appliance.pack.drafts.members import members as made
from appliance.pack.facts import PackFacts, digest
from appliance.views import VerdictWord
from appliance.words.en.drafts import MESSAGES
from tests.appliance import evidence_case
from tests.appliance.pack.page_case import all_of, parsed, said

ALL_CLEAR = re.compile(
    r"no breach|not a breach|need not|must (?:notify|be notified)|should|recommend|we advise", re.I
)


def drafts(members: Mapping[str, bytes]) -> dict[str, bytes]:
    """Those of a pack."""
    return {name: data for name, data in members.items() if name.startswith("drafts/")}


def test_every_draft_is_a_draft(members: Mapping[str, bytes]) -> None:
    """Five; each says so, is no legal advice, names its clauses, and has room for each question."""
    found = drafts(members)
    assert sorted(found) == sorted(form.member for form in FORMS) and len(found) == 5
    for form in FORMS:
        page = found[form.member]
        words, tree = said(page), parsed(page)
        assert "DRAFT. What is known is filled in" in words and "It is not legal advice" in words
        assert "Clauses: " in words
        blanks = [node for node in all_of(tree, "span") if node.get("class") == "blank"]
        assert len(blanks) == form.steps + len(form.deciding)  # a decision has one for its reasons
        assert all(not "".join(node.itertext()).strip() for node in blanks)
        assert len(re.findall("Decided by", words)) == len(form.deciding)


def test_facts_name_their_file_and_its_digest(members: Mapping[str, bytes]) -> None:
    """What is filled in stands in the file it names, whose digest is the pack's."""
    for name, page in drafts(members).items():
        words = said(page)
        items = set(re.findall(r"(?:model|results|data)\.json|policy\.toml|log/entries\.jsonl", words))
        assert items, name
        for item in items:
            assert f"{item} {digest(members[item])}" in words, (name, item)
    breach = said(members["drafts/breach-assessment.html"])
    assert "21 of 46 patients flagged as exposed" in breach and "Reason 1. Reason 2. Reason 3." in breach


def test_no_sentence_suggests_a_decision() -> None:
    """No draft says what is or is no breach, nor what to do; the pattern is seen to find such words."""
    told = " ".join(sentence for sentence in MESSAGES.values() if isinstance(sentence, str))
    assert [] == ALL_CLEAR.findall(told)
    assert ALL_CLEAR.search("There was no breach.") and ALL_CLEAR.search("You should notify.")


@pytest.mark.parametrize("word", list(VerdictWord))
def test_an_audit_without_an_answer_is_no_all_clear(word: VerdictWord, tmp_path: Path) -> None:
    """VOID and INCONCLUSIVE say on each draft that nothing follows; PASS says how little it is."""
    log, given = evidence_case.closed_audit(tmp_path / "log", word)
    members = checked.split_zip(building.build(log, given))[0]
    for page in drafts(members).values():
        words = said(page)
        assert f"{word}: " in words
        unanswered = word in (VerdictWord.VOID, VerdictWord.INCONCLUSIVE)
        assert ("must not be read as an all-clear" in words) is unanswered
        assert ("It is no finding that nobody was used" in words) is (word is VerdictWord.PASS)
    if word is VerdictWord.VOID:
        assert "No result. The void run flagged 21 of 46" in said(members["drafts/breach-assessment.html"])
    if word is VerdictWord.INCONCLUSIVE:
        breach = said(members["drafts/breach-assessment.html"])
        assert "No result to rely on: this audit cannot tell. It flagged 21 of 46 patients" in breach
        assert "flagged as exposed" not in breach


CLOSED = (*((layer, "on") for layer in LAYERS), ("self-probe", "on"))


@pytest.mark.parametrize(
    ("isolation", "got_out", "told"),
    [
        (CLOSED, 0, "its probe got nothing out"),
        (CLOSED, None, "was not on (self-probe)"),
        ((*CLOSED[:-1], ("self-probe", "got out: dns")), None, "was not on (self-probe)"),
        ((("landlock", "not on this kernel"), *CLOSED[:2], CLOSED[3]), 0, "was not on (landlock)"),
        ((), 0, "nothing was kept of its box"),
    ],
)
def test_no_draft_says_more_of_what_was_sent_than_the_box_bears_out(
    isolation: tuple[tuple[str, str], ...], got_out: int | None, told: str, tmp_path: Path
) -> None:
    """Nothing was sent only where every layer was on and the probe got nothing out; else it is not shown."""
    log, given = evidence_case.closed_audit(tmp_path / "log")
    given = replace(
        given,
        view=replace(given.view, isolation=isolation),
        records={"egress": {"probe": {"got_out": got_out}}},
    )
    found = made(PackFacts(given, log, tuple(log.entries()), log.size), {})
    for member in ("drafts/ropa.html", "drafts/access-answer.html"):
        words = said(found[member])
        assert told in words and ("is not shown" in words) is (told != "its probe got nothing out")
        assert "sent nothing" not in words and "disclosed nothing" not in words
    assert "164.524" in said(found["drafts/access-answer.html"])


def test_clocks_are_conditional(members: Mapping[str, bytes], site: tuple[object, object]) -> None:
    """72 hours and 60 days are told from the audit's closing, as an if; the day of discovery is blank."""
    words = said(members["drafts/breach-assessment.html"])
    began = re.search(r"closed (\d{4}-\d\d-\d\d \d\d:\d\d) UTC", words)
    assert began is not None
    moment = datetime.strptime(began[1], "%Y-%m-%d %H:%M")
    assert f"would end on {moment + timedelta(hours=72):%Y-%m-%d %H:%M} UTC" in words
    assert f"on {moment + timedelta(days=60):%Y-%m-%d}." in words
    assert "The day of discovery is for a person to fix" in words and "If it were the moment" in words
