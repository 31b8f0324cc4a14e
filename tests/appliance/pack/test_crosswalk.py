"""The crosswalk: every clause whole, digests right, and no clause goes further than its items."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from appliance.evidence import verify_evidence as checked
from appliance.pack import building as pack
from appliance.pack.crosswalk import docs
from appliance.pack.crosswalk import members as crosswalk
from appliance.pack.crosswalk.judged import NEEDS, RECORDED, judged
from appliance.pack.crosswalk.page import LATER
from appliance.pack.crosswalk.table import Compared, State, clauses, frameworks, supports
from appliance.pack.facts import PackFacts, Withheld, digest
from appliance.views import AuditView, VerdictWord
from appliance.words.table import tell
from tests.appliance.evidence_case import closed_again, closed_audit, view

ROOT = Path(__file__).parent.parent.parent.parent
RECORDS: dict[str, Any] = {
    "log_entries": 7,
    "utc": "2026-11-20 14:02 UTC",
    "access": {"auto_lock_minutes": 15, "policy_approvals": [{"by": ["officer"]}]},
    "egress": {
        "layers": {"network_namespace": "on", "seccomp": "on", "landlock": "on"},
        "probe": {"outcome": "on"},
    },
    "encryption": {"slots_below_floor": 0},
    "log_review": {"reviews": [{"kept": True}]},
    "retention": {"kept_years": 6, "last_backup": {"entry": 3}},
}


def claimed(audited: AuditView, number: int) -> AuditView:
    """The same audit with so many claims of the vendor; what they say is not looked at here."""
    claims: Any = (object(),) * number
    return replace(audited, result=replace(audited.result, claims=claims))


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> PackFacts:
    log, given = closed_audit(tmp_path_factory.mktemp("crosswalk") / "log")
    given = replace(given, view=claimed(view(), 1), records=RECORDS)
    return PackFacts(given, log, tuple(log.entries()), log.size)


@pytest.fixture(scope="module")
def whole() -> dict[str, bytes]:
    """Every member that the table names."""
    names = {name for clause in clauses() for name in clause.items}
    return {name: name.encode() for name in sorted(names)}


def found(facts: PackFacts, members: dict[str, bytes]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(crosswalk.members(facts, members)[crosswalk.JSON])
    return document


def test_every_clause_has_all_its_fields() -> None:
    """Number, state, items or a reason, a source with an address, a day; no number twice."""
    for one in clauses():
        about = f"{one.framework} {one.clause}"
        assert one.framework and one.clause and "https://" in one.source and len(one.source) < 300, about
        if one.compared is Compared.NOTHING:
            assert one.doubt and not one.checked, about
        else:
            assert date(2026, 1, 1) <= date.fromisoformat(one.checked) <= date(2027, 1, 1), about
        assert bool(one.why) == (one.state is not State.COVERED), about
        assert bool(one.items) == bool(one.shows) == (one.state is not State.OUT), about
        assert set(one.needs) <= set(NEEDS) and not (one.needs and one.state is State.OUT), about
        assert len(set(one.items)) == len(one.items), about
        assert max(map(len, (one.shows, one.why))) <= 200, about
    numbers = [(one.framework, one.clause) for one in clauses()]
    assert len(set(numbers)) == len(numbers) >= 100
    asked = {need for one in clauses() for need in one.needs}
    assert asked == set(NEEDS)
    for need in NEEDS:
        assert tell(f"crosswalk.need.{need}") and tell(f"crosswalk.unmet.{need}", word="VOID")


def test_numbers_have_the_form_of_their_framework() -> None:
    """A slip of the pen in a number is seen: each framework numbers in one way."""
    forms = {
        "HIPAA Security Rule": r"164\.3(08|10|12|14|16)(\([a-z]\)(\(\d\)(\([ivx]+\)(\([A-D]\))?)?)?)",
        "HIPAA Privacy Rule": r"164\.5\d\d(\([a-z]\)(\(\d\)(\([ivx]+\)(\([A-J]\))?)?)?)?",
        "HIPAA Breach Notification Rule": r"164\.4(02|04|06|08|10|12|14)(\([a-z]\))?(\(\d\))?",
        "GDPR": r"Art\. \d\d?(\(\d\)(\([a-h]\))?)",
        "EDPB Opinion 28/2024": r".+",
        "EU AI Act": r"Art\. \d\d?(\(\d\)(\([a-h]\))?)?|Annex (IV|XI, section 1)\(\d\)\([a-h]\)",
        "NIST AI RMF 1.0": r"(GOVERN [1-6]|MAP [1-5]|MANAGE [1-4])\.[1-7]|MEASURE [1-4]\.([1-9]|1[0-3])",
        "ISO/IEC 42001": r"(6|7|8|9|10)\.\d(\.\d)?|A\.([2-9]|10)\.[1-9](\.[1-9])?",
    }
    assert set(forms) == set(frameworks())
    for one in clauses():
        assert re.fullmatch(forms[one.framework], one.clause), f"{one.framework} {one.clause}"


def test_with_everything_there_each_clause_reaches_what_the_table_says(
    facts: PackFacts, whole: dict[str, bytes]
) -> None:
    """All items, all needs: the table's states, with the digest of each item."""
    document = found(facts, whole)
    assert [row["state"] for row in document["clauses"]] == [str(one.state) for one in clauses()]
    assert not [row for row in document["clauses"] if row["missing"] or row["unmet"]]
    for row, one in zip(document["clauses"], clauses(), strict=True):
        assert (row["framework"], row["clause"], row["why"]) == (one.framework, one.clause, one.why)
        assert [item["member"] for item in row["items"]] == list(one.items)
        for item in row["items"]:
            assert item["sha256"] == digest(whole[item["member"]])
    counted = {name: sum(row.values()) for name, row in document["counts"].items()}
    assert sum(counted.values()) == len(clauses()) and list(counted) == sorted(frameworks())


def test_without_an_item_no_clause_that_names_it_is_covered(
    facts: PackFacts, whole: dict[str, bytes]
) -> None:
    """For every item: taken out, its clauses are partial, with a reason that names it; the others stay."""
    full = [judged(one, facts, whole) for one in clauses()]
    for gone in whole:
        members = {name: data for name, data in whole.items() if name != gone}
        for before, one in zip(full, clauses(), strict=True):
            now = judged(one, facts, members)
            if gone in one.items:
                assert now.state is State.PARTIAL and gone in now.why and gone in now.missing
                assert gone not in now.items
            elif gone != "log/cosigned.json" or "witness" not in one.needs:
                assert now == before


@pytest.mark.parametrize(("leaves", "word"), ((3, "Shown in part"), (9, "Withheld")))
def test_what_is_withheld_covers_nothing(
    facts: PackFacts, whole: dict[str, bytes], leaves: int, word: str
) -> None:
    """A member withheld in part or whole makes its clauses partial, and the reason says that it is there."""
    hidden = replace(facts, withheld=(Withheld("results.json", leaves, 9),))
    members = {name: data for name, data in whole.items() if name != "results.json"}
    if leaves < 9:
        members["results.disclosed.json"] = b"some"
    rows = [judged(one, hidden, members) for one in clauses() if "results.json" in one.items]
    assert any(row.clause.state is State.COVERED for row in rows)
    assert all(row.state is State.PARTIAL and word in row.why for row in rows)
    assert all(("results.disclosed.json" in row.items) == (leaves < 9) for row in rows)


BROKEN: dict[str, dict[str, Any]] = {
    "approval": {"access": {**RECORDS["access"], "policy_approvals": []}},
    "autolock": {"access": {**RECORDS["access"], "auto_lock_minutes": 0}},
    "backup": {"retention": {**RECORDS["retention"], "last_backup": None}},
    "box": {"egress": {**RECORDS["egress"], "probe": {"outcome": "got out: dns"}}},
    "keys": {"encryption": {"slots_below_floor": 1}},
    "review": {"log_review": {"reviews": [{"kept": False}]}},
    "years": {"retention": {**RECORDS["retention"], "kept_years": None}},
}


@pytest.mark.parametrize("need", sorted(NEEDS))
def test_a_need_that_is_not_met_is_told_and_nothing_is_covered_by_it(
    facts: PackFacts, whole: dict[str, bytes], need: str
) -> None:
    """One need at a time fails: exactly the clauses that rest on it say so, and none of them is covered."""
    changed, members = facts, whole
    if need in BROKEN:
        changed = replace(facts, given=replace(facts.given, records={**RECORDS, **BROKEN[need]}))
    elif need == "witness":
        members = {name: data for name, data in whole.items() if name != "log/cosigned.json"}
    else:
        audited = claimed(facts.view, 0) if need == "claims" else claimed(view(VerdictWord.VOID), 1)
        changed = replace(facts, given=replace(facts.given, view=audited))
    for one in clauses():
        now = judged(one, changed, members)
        assert now.unmet == ((need,) if need in one.needs else ())
        if need in one.needs:
            assert now.state is State.PARTIAL
            assert tell(f"crosswalk.unmet.{need}", word="VOID") in now.why


def test_nothing_is_covered_that_the_pack_denies(facts: PackFacts, whole: dict[str, bytes]) -> None:
    """A log that nobody looked through is no examined one; what is one of many, or one way, is a part."""
    unread = replace(facts, given=replace(facts.given, records={**RECORDS, **BROKEN["review"]}))
    states = {one.clause: judged(one, unread, whole).state for one in clauses()}
    for clause in ("164.308(a)(1)(ii)(D)", "164.312(b)", "164.316(a)", "164.316(b)(1)", "MEASURE 2.10"):
        assert states[clause] is State.PARTIAL, clause
    covered = [one.clause for one in clauses() if judged(one, facts, whole).state is State.COVERED]
    assert covered == [
        "164.312(a)(1)", "164.312(a)(2)(i)", "164.312(a)(2)(iii)", "164.312(a)(2)(iv)", "164.312(b)",
        "MEASURE 2.1", "MEASURE 2.13",
    ]  # fmt: skip


def test_an_audit_from_before_records_were_kept_covers_nothing_by_them(
    facts: PackFacts, whole: dict[str, bytes]
) -> None:
    """No records at all: every clause that rests on one is partial, and nothing is invented."""
    old = replace(facts, given=replace(facts.given, records={}))
    members = {name: data for name, data in whole.items() if not name.startswith("records")}
    hidden = replace(old, withheld=(Withheld("records.json", 5, 5),))
    for one in clauses():
        now, vendors = judged(one, old, members), judged(one, hidden, members)
        rests = set(one.needs) & set(RECORDED)
        assert now.state is not State.COVERED or not (
            rests or [name for name in one.items if "records" in name]
        )
        assert (tell("crosswalk.unmet.not_kept") in now.why) == bool(rests)
        assert (tell("crosswalk.unmet.withheld") in vendors.why) == bool(rests)


class Page(HTMLParser):
    """What a reader of the page's structure meets."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scopes: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [
            name for name, _ in attrs if name in ("src", "href", "action") or name.startswith("on")
        ]
        self.scopes += [dict(attrs).get("scope") or "none"] if tag == "th" else []


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], ...]:
    """Members of a real pack, of the vendor's edition of it, and of one with data.json withheld."""
    log, given = closed_audit(tmp_path_factory.mktemp("built") / "log")
    given = closed_again(log, replace(given, records=RECORDS))
    asked: tuple[tuple[str, tuple[str, ...]], ...] = (("full", ()), ("vendor", ()), ("full", ("data.json",)))
    return tuple(dict(checked.split_zip(pack.build(log, given, *one))[0]) for one in asked)


def test_every_item_of_a_pack_is_in_its_crosswalk(
    built: tuple[dict[str, bytes], ...],
) -> None:
    """Each member is named by a clause or is support with a role, under its own digest; in each pack."""
    for members in built:
        document = json.loads(members[crosswalk.JSON])
        named = {item["member"] for row in document["clauses"] for item in row["items"]}
        support = {row["member"]: row["role"] for row in document["support"]}
        assert named | set(support) == set(members) - set(LATER)
        assert tell("crosswalk.unassigned") not in support.values()
        assert document["items"] == {name: digest(members[name]) for name in named | set(support)}
        page = members[crosswalk.HTML].decode()
        assert not [name for name, sha in document["items"].items() if name not in page or sha not in page]


def test_a_full_pack_has_every_item_that_the_table_names(
    built: tuple[dict[str, bytes], ...],
) -> None:
    """No clause names a member that no part makes; only a witness's answer may be absent."""
    rows = json.loads(built[0][crosswalk.JSON])["clauses"]
    assert {name for row in rows for name in row["missing"]} == {"log/cosigned.json"}


def test_a_vendors_crosswalk_covers_less(built: tuple[dict[str, bytes], ...]) -> None:
    """Without data, records and drafts fewer clauses are covered, and none that rests on them."""
    full, vendor = (json.loads(members[crosswalk.JSON])["clauses"] for members in built[:2])
    covered = [[row["clause"] for row in rows if row["state"] == "covered"] for rows in (full, vendor)]
    assert set(covered[1]) < set(covered[0])
    assert not [row for row in vendor if row["state"] == "covered" and row["missing"]]


def test_what_is_withheld_by_name_leaves_no_digest(built: tuple[dict[str, bytes], ...]) -> None:
    """A pack without data.json has its crosswalk, which says so and holds no digest to guess against."""
    full, _, cut = built
    assert digest(full["data.json"]).encode() not in cut[crosswalk.JSON] + cut[crosswalk.HTML]
    rows = [row for row in json.loads(cut[crosswalk.JSON])["clauses"] if "data.json" in row["missing"]]
    assert rows and all("Withheld" in row["why"] and row["state"] == "partial" for row in rows)


def test_the_page_is_read_by_its_structure_and_loads_nothing(
    built: tuple[dict[str, bytes], ...],
) -> None:
    """One first heading, a caption and scopes for each table; no script, no link, and the notice."""
    page = built[0][crosswalk.HTML].decode()
    read = Page()
    read.feed(page)
    assert (read.tags.count("h1"), read.links) == (1, [])
    assert read.tags.count("table") == read.tags.count("caption") > len(frameworks())
    assert set(read.scopes) == {"col", "row"}
    assert not {"script", "img", "link", "iframe", "form"} & set(read.tags)
    assert "supports, does not certify, compliance; not legal advice" in page
    for one in clauses():
        assert one.clause.replace("&", "&amp;") in page
        assert not one.doubt or one.doubt in page


def test_a_number_counts_as_compared_only_with_what_it_was_compared_with(
    built: tuple[dict[str, bytes], ...],
) -> None:
    """Page, documentation and rows: each way stands over its own clauses, and one that was not has no day."""
    page, rows = built[0][crosswalk.HTML].decode(), json.loads(built[0][crosswalk.JSON])["clauses"]
    assert {row["compared"] for row in rows} == set(Compared)
    for row in rows:
        said = tell(f"crosswalk.compared.{row['compared']}", source=row["source"], checked=row["checked"])
        assert escape(said) in page and said in docs.written()
        assert row["certain"] or not row["checked"]
    tables = page.split("<table")[1:]
    open_ones = [one for one in tables if tell("crosswalk.compared.nothing", source="")[8:] in one]
    unread = [row["clause"] for row in rows if row["compared"] == Compared.NOTHING]
    assert open_ones and sum(one.count('class="state"') for one in open_ones) == len(unread)


def test_a_foreign_name_does_not_act_on_the_page(facts: PackFacts, whole: dict[str, bytes]) -> None:
    """A hostile model name or site is text."""
    hostile = '<script>alert(1)</script>"><img src=x>\x1b[2J'
    audited = replace(facts.view, row=replace(facts.view.row, model=hostile))
    changed = replace(facts, given=replace(facts.given, view=audited, site=hostile))
    read = Page()
    page = crosswalk.members(changed, whole)[crosswalk.HTML].decode()
    read.feed(page)
    assert not {"script", "img"} & set(read.tags) and "\x1b" not in page


def test_the_same_facts_give_the_same_bytes(facts: PackFacts, whole: dict[str, bytes]) -> None:
    """Order of the members does not matter; the JSON is canonical."""
    backwards = dict(reversed(whole.items()))
    one, other = crosswalk.members(facts, whole), crosswalk.members(facts, backwards)
    assert one == other
    assert checked.canonical(json.loads(one[crosswalk.JSON])) == one[crosswalk.JSON]


def test_support_is_used() -> None:
    """No line of support is about an item that a clause names; each says what it is for."""
    named = {name for clause in clauses() for name in clause.items}
    for one in supports():
        assert bool(one.of) != bool(one.role)
        assert not one.of or one.of in named
        assert "*" in one.member or one.member not in named - {"README.txt"}


def test_the_documentation_is_the_table() -> None:
    """docs/crosswalk.md is written from the table, and is what it would be now."""
    assert (ROOT / "docs/crosswalk.md").read_text(encoding="utf-8") == docs.written()
