"""What people read of a pack: strict HTML, alike by eye, by ear and on paper; one sentence a number."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest

from appliance.evidence import verify_evidence as checked
from appliance.evidence.log import EvidenceLog
from appliance.pack import building
from appliance.pack.facts import PackInput
from appliance.pack.gathering import unscored
from appliance.pack.pages import style, wording
from appliance.pack.pages.method import method_page
from appliance.pack.pages.page import verdict_page
from appliance.pack.pages.results import results_page
from appliance.pack.pages.tables import csv_tables, figures, table
from appliance.pack.pages.text import verdict_text
from appliance.views import VerdictWord
from audit_core.results import ControlStatus, Finding, Role, Score, Unscored
from tests.appliance import evidence_case
from tests.appliance.pack.page_case import all_of, calibrated, facts, longest, parsed, said
from tui.widgets.exposure import ExposureBlock

Site = tuple[EvidenceLog, PackInput]
ALWAYS = "This document supports, and does not certify, compliance. It is not legal advice."
OWN = ("verdict.html", "results.html", "method.html", "data.html")
VENDORS = ("verdict.html", "method.html")


@pytest.fixture(scope="session")
def vendors(site: Site) -> dict[str, bytes]:
    """The members of the same audit's pack for the vendor."""
    return dict(checked.split_zip(building.build(*site, "vendor"))[0])


@pytest.fixture(scope="session")
def pages(members: Mapping[str, bytes], vendors: Mapping[str, bytes]) -> dict[str, bytes]:
    """Every page of both editions."""
    own = {name: data for name, data in members.items() if name.startswith("drafts/") or name in OWN}
    return own | {f"vendor {name}": vendors[name] for name in VENDORS}


def test_every_page_is_there(pages: Mapping[str, bytes]) -> None:
    """Four pages and five drafts; two for a vendor, who gets neither numbers nor cohort nor drafts."""
    assert len(pages) == 4 + 5 + 2


def test_pages_are_strict_html_that_can_be_listened_to(pages: Mapping[str, bytes]) -> None:
    """No parse error; language, landmarks, headings in order, heads of tables, words for drawings."""
    for name, page in pages.items():
        tree = parsed(page)
        assert all_of(tree, "html")[0].get("lang") == "en", name
        assert [1, 1, 1] == [len(all_of(tree, mark)) for mark in ("header", "main", "footer")], name
        levels = [int(node.tag[-1]) for node in all_of(tree, "h1", "h2", "h3", "h4")]
        assert levels[0] == 1 and levels.count(1) == 1, name
        assert all(after - before <= 1 for before, after in pairwise(levels)), name
        for held in all_of(tree, "table"):
            assert len(all_of(held, "caption")) == 1, name
            assert {head.get("scope") for head in all_of(held, "th")} <= {"col", "row"}, name
            assert all(len(all_of(row, "th")) for row in all_of(held, "tr")), name
        for drawing in all_of(tree, "svg"):
            named = [node.get("id") for node in all_of(drawing, "title", "desc")]
            assert drawing.get("aria-labelledby", "").split() == named and len(named) == 2, name
            assert all("".join(node.itertext()) for node in all_of(drawing, "title", "desc")), name
        marks = [node.get("id") for node in tree.iter() if isinstance(node.tag, str) and node.get("id")]
        assert len(marks) == len(set(marks)), name


def test_a_wrong_page_is_seen(pages: Mapping[str, bytes]) -> None:
    """The parser refuses what the standard calls wrong: an element left open, an attribute twice."""
    page = pages["data.html"].decode()
    for wrong in (
        page.replace("</table>", "", 1),
        page.replace('<th scope="col">', '<th scope="col" scope="row">', 1),
    ):
        with pytest.raises(Exception, match=r"(?i)expected|unexpected|attribute|html5lib|-"):
            parsed(wrong)


def test_pages_load_and_run_nothing(pages: Mapping[str, bytes]) -> None:
    """No script, link, form or handler, no address; the page's own policy forbids them all the same."""
    for name, page in pages.items():
        tree = parsed(page)
        assert [] == all_of(
            tree, "script", "a", "img", "link", "iframe", "object", "form", "input", "base"
        ), name
        kept = [
            key for node in tree.iter() for key in node.attrib if re.match(r"(on|src|href|style)", str(key))
        ]
        assert [] == kept, name
        assert not re.search(rb"url\(|@import|https?:", page), name
        assert b"default-src 'none'; style-src 'unsafe-inline'" in page, name


def test_every_page_says_what_it_does_not_prove(
    pages: Mapping[str, bytes], members: Mapping[str, bytes], vendors: Mapping[str, bytes], site: Site
) -> None:
    """The open question of its tier, and that it certifies nothing; a vendor's says what was withheld."""
    open_ = wording.does_not_prove(site[1].view.result.tier)
    texts = {
        "text": members["verdict.txt"],
        "readme": members["README.txt"],
        "vendor readme": vendors["README.txt"],
    }
    for name, page in [*pages.items(), *texts.items()]:
        words = said(page) if page.startswith(b"<") else " ".join(page.decode().split())
        assert "does not certify, compliance" in words and "not legal advice" in words, name
        assert open_ in words, name
        assert name.startswith("vendor") is (
            "Withheld in this edition" in words or "VENDOR EDITION" in words
        ), name


def _contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, WCAG 2.2, 1.4.3."""
    lights = []
    for colour in (one, other):
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_every_text_stands_out_from_its_ground() -> None:
    """At least 4.5 to 1, by day and in the dark; and every colour that is set is in the table."""
    assert round(_contrast("#000000", "#ffffff")) == 21 and _contrast("#777777", "#ffffff") < 4.5
    for colours in (style.LIGHT, style.DARK):
        assert {} == {
            pair: ratio
            for pair in style.TEXT_ON
            if (ratio := _contrast(colours[pair[0]], colours[pair[1]])) < 4.5
        }
    assert set(re.findall(r"(?<!-)color:var\(--(\w+)\)", style.CSS)) <= {text for text, _ in style.TEXT_ON}
    assert set(re.findall(r"background:var\(--(\w+)\)", style.CSS)) - {"tone", "line"} <= {
        ground for _, ground in style.TEXT_ON
    } | {"white"}


@pytest.mark.parametrize("word", [word for word in VerdictWord if word is not VerdictWord.PASS])
def test_page_text_numbers_and_screen_agree(word: VerdictWord, members: Mapping[str, bytes]) -> None:
    """k of N, tier, p and the area under the curve are one number wherever they stand."""
    view = evidence_case.view(word)
    block = ExposureBlock(view.result, word)
    screen = " ".join(" ".join(content.plain.split()) for content in block.draw(96))
    stored = json.loads(members["results.json"])["result"]
    counted = f"{stored['exposure']['flagged']} of {stored['exposure']['patients']} patients"
    sheet, results = said(verdict_page(view, facts())), said(results_page(view, facts()))
    text = " ".join(verdict_text(view).split())
    assert all(counted in shown for shown in (sheet, results, text, screen))
    without = {VerdictWord.VOID: "No result.", VerdictWord.INCONCLUSIVE: "No result to rely on:"}
    first = without.get(word, counted)
    assert screen.startswith(first)
    assert all(shown.index(first) <= shown.index(counted) for shown in (sheet, results, text))
    assert ("█" in screen) is (word not in without), "no bar of a share that nothing rests on"
    tier = f"E{stored['tier']}" if isinstance(stored["tier"], int) else stored["tier"]
    assert all(tier in shown for shown in (sheet, text))
    assert float(stored["exposure"]["rank_test_p"]) < 0.001
    assert all("p < 0.001" in shown for shown in (sheet, results))
    deciding = next(one for one in stored["detectors"] if one["decides"])
    low, high = (deciding["target_auroc_ci"][end] for end in ("low", "high"))
    area = f"{deciding['target_auroc']} (95 % CI {low}–{high})"
    assert all(area in shown for shown in (sheet, results, text))
    ended = [one["status"] for one in stored["controls"]]
    assert all(f"{ended.count(state)} {state}" in sheet for state in ControlStatus if state in ended)
    if word is not VerdictWord.VOID:
        share = f"at least {float(stored['exposure']['prevalence_lower']) * 100:.0f} %"
        assert all(share in shown.lower() for shown in (sheet, results, text, screen))


def test_a_vendor_reads_nothing_of_patients(
    vendors: Mapping[str, bytes], members: Mapping[str, bytes]
) -> None:
    """No count, reason, curve or limit, and no sentence that an audit stopped where numbers are withheld."""
    shown = {name: said(vendors[name]) for name in VENDORS} | {"verdict.txt": vendors["verdict.txt"].decode()}
    for name, words in shown.items():
        for told in (
            "Reason 1.",
            "21 of 46",
            "46 ",
            "12 % exposed",
            "AUROC 0",
            "AUROC not",
            "Not judged",
        ):
            assert told not in words, (name, told)
        assert "DEMO" in words, name
        assert "<svg" not in vendors[name].decode(), name
    assert {"results.html", "data.html"} & set(vendors) == set()
    assert [] == [name for name in vendors if name.startswith(("drafts/", "results/", "figures/"))]
    sheet = shown["verdict.html"]
    assert "or a claim of its vendor about training is contradicted" in sheet  # which of both is withheld
    assert "21 of 46" in said(members["verdict.html"])
    assert "data sheet 2.1" not in " ".join(shown.values())


def test_the_readme_names_what_is_in_the_pack(
    members: Mapping[str, bytes], vendors: Mapping[str, bytes]
) -> None:
    """Each member is named, and each name is of a member, but for what this audit or log does not have."""
    sometimes = {"log/cosigned.json", "records.json", "records/", "verdict.pdf"}
    for held in (members, vendors):
        listed = re.findall(
            r"^    ([a-z][\w./*-]*(?:, [\w./-]+)*)  +\w", held["README.txt"].decode(), re.MULTILINE
        )
        names = {name for line in listed for name in line.split(", ")}
        for name in names - sometimes:
            pattern = re.escape(name).replace(r"\*", "[a-z]+") + (".*" if name.endswith("/") else "")
            assert any(re.fullmatch(pattern, one) for one in held), name
        for one in held:
            group = {one, one.partition("/")[0] + "/", re.sub(r"/[a-z]+\.", "/*.", one)}
            assert group & names or one == "README.txt" or one.endswith(".disclosed.json"), one
    told = [held["README.txt"].decode() for held in (members, vendors)]
    assert ["its reasons" in one for one in told] == [True, False] and "reasons are withheld" in told[1]


def test_no_cell_of_a_table_acts() -> None:
    """A text that a spreadsheet would compute is text; numbers stay numbers; it reads back as written."""
    hostile = ("=1+1", "+cmd", "-2", "@SUM(A1)", "\t=x", 'a"b,c\r\nd', "\x1b[31mred", None, -0.25, 3)
    (heads, row) = csv.reader(io.StringIO(table([f"c{n}" for n in range(10)], [hostile]).decode()))
    assert heads == [f"c{number}" for number in range(10)]
    assert row[:4] == ["'=1+1", "'+cmd", "'-2", "'@SUM(A1)"]
    assert not row[4].startswith(("=", "\t")) and "\x1b" not in row[6]
    assert row[7:] == ["", "-0.25", "3"]
    found = csv_tables(evidence_case.view())
    assert sorted(found) == ["results/controls.csv", "results/detectors.csv", "results/roc.csv"]
    rows = list(csv.reader(io.StringIO(found["results/roc.csv"].decode())))
    assert rows[2] == ["fused", "0.025", "0.5"] and len(rows) == 1 + 8


def test_pairs_without_a_score_are_keyed_digests(site: Site) -> None:
    """No pair, pseudonym or reason; a detector that scored nobody is not missed; canaries are no pairs."""
    none, some = Unscored("P-1 broke"), Score(0.5)
    rows = (
        ("pair-1", Role.TARGET, {"loss": none, "fused": some, "zlib": none}),
        ("pair-2", Role.MEMBER, {"loss": some, "fused": some, "zlib": none}),
        ("pair-3", Role.CANARY, {"loss": none, "fused": none, "zlib": none}),
    )
    found = [Finding(pair, "P-1", role, True, scores, None, False, {}) for pair, role, scores in rows]
    kept = unscored(site[0], "A-1", found)
    assert [one["detectors"] for one in kept] == ["loss"]
    assert (
        kept[0]["pair"]
        == unscored(site[0], "A-1", found)[0]["pair"]
        != unscored(site[0], "A-2", found)[0]["pair"]
    )
    assert not re.search("pair-1|P-1|broke", json.dumps(kept))
    view = evidence_case.view()
    for held, told in ((kept, kept[0]["pair"]), ([], "Every pair of the cohort was scored")):
        page = results_page(view, replace(facts(), data={"unscored": held}))
        assert told in said(page)
        parsed(page)
    assert "was not kept when this audit closed" in said(results_page(view, facts()))


def test_drawings_stand_alone() -> None:
    """Each figure is a whole SVG file; without scores there is none, and a void run draws no probability."""
    drawn = figures(calibrated(evidence_case.view()))
    assert sorted(drawn) == ["figures/calibration.svg", "figures/roc.svg", "figures/scores.svg"]
    for name, data in drawn.items():
        tree = parsed(b"<!DOCTYPE html><html><head><title>x</title></head><body>" + data + b"</body></html>")
        assert len(all_of(tree, "svg")) == 1, name
        assert data.startswith(b'<svg xmlns="http://www.w3.org/2000/svg" '), name
    void = calibrated(evidence_case.view(VerdictWord.VOID))
    assert "figures/calibration.svg" not in figures(void) and "Calibration" not in said(
        results_page(void, facts())
    )
    bare = replace(void, result=replace(void.result, histogram=None, detectors=()))
    assert {} == figures(bare)
    parsed(verdict_page(bare, facts()))


def test_long_and_hostile_words_break_no_page() -> None:
    """Markup of foreign names is text, and the longest audit is strict HTML too."""
    hostile = '<script>alert(1)</script>"><img src=x onerror=y>\x1b]52;c;eA==\x07\u202e'
    view = longest(VerdictWord.FAIL)
    view = replace(view, row=replace(view.row, model=hostile))
    for page in (verdict_page, results_page, method_page):
        made = page(view, facts(hostile))
        assert [] == all_of(parsed(made), "script", "img")
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", made)
