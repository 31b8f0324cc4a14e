"""The vendor edition says nothing about patients; what no table names is withheld; same bytes each time."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import UsageError
from appliance.evidence import verify_evidence as checked
from appliance.evidence.log import EvidenceLog
from appliance.pack import building, editions
from appliance.pack.facts import Members, PackFacts
from audit_core.claims import ClaimCheck, ClaimFinding, ClaimKind
from audit_core.results import AuditResult
from tests.appliance.evidence_case import closed_again, closed_audit
from tests.appliance.pack.small_pack import small_parts

ROOT = Path(__file__).parents[3]
SECRET = "Wxqv-"  # begins every word about patients in the marked audit; in no word of ours
NUMBERS = range(700_003, 709_000, 11)  # what every number about patients is drawn from


class Marks:
    """Values that are told from all others wherever they turn up."""

    def __init__(self) -> None:
        self.next = iter(NUMBERS)

    def over(self, value: Any) -> Any:
        """The same structure with every word and number exchanged."""
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{one.name: self.over(getattr(value, one.name)) for one in fields(value)})
        if isinstance(value, dict):
            return {key: self.over(item) for key, item in value.items()}
        if isinstance(value, tuple):
            return tuple(map(self.over, value))
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int):
            return next(self.next)
        if isinstance(value, float):
            return next(self.next) / 1e6
        return f"{SECRET}{next(self.next)}" if type(value) is str else value


def marked(given: building.PackInput) -> building.PackInput:
    """The audit with marks in all that speaks of patients or is written freely at the site."""
    marks, view = Marks(), given.view
    claim = ClaimCheck(
        "C-1", ClaimKind.PRIVATE, marks.over("contract"), finding=ClaimFinding.CONTRADICTED, basis="patients",
        lower=next(marks.next) / 1e6, allowed=next(marks.next) / 1e6, sentence=marks.over("s"),
    )  # fmt: skip
    about = ("counts", "exposure", "detectable", "histogram", "memory_by_layer", "decision_weights",
             "model_facts", "dataset_inference", "epsilon", "limits", "canaries", "reliability")  # fmt: skip
    result = replace(
        view.result,
        **{name: marks.over(getattr(view.result, name)) for name in about},
        controls=tuple(replace(one, sentence=marks.over("seen"), numbers=marks.over(dict(one.numbers)))
                       for one in view.result.controls),
        detectors=tuple(replace(marks.over(one), name=one.name) for one in view.result.detectors),
        claims=(claim,),
    )  # fmt: skip
    return replace(
        given,
        view=replace(
            view,
            row=replace(view.row, cohort=marks.over("c"), why=marks.over("w")),
            verdict=replace(view.verdict, reasons=marks.over(view.verdict.reasons)),
            result=result,
            sample_note="DEMO",
            cohort_digest=sha256(b"marked").hexdigest(),
        ),
        data=marks.over({"cohort": "c", "patients_by_role": {"target": 3}, "share": 0.5}),
        records=marks.over({"utc": "u", "log_entries": 9, "of_the_site": {"by": "officer", "entries": 3}}),
        model={**given.model, "remark": marks.over("at the site")},
    )


def readable(members: Members) -> dict[str, str]:
    """Members as text; of a PDF the words on its pages, of an envelope its payload."""
    found = {}
    for name, data in members.items():
        if name.endswith(".pdf"):
            pypdf = pytest.importorskip("pypdf", reason="not shown: needs pypdf")
            pages = pypdf.PdfReader(io.BytesIO(data)).pages
            found[name] = "\n".join(page.extract_text() for page in pages)
        elif name == checked.STATEMENT:
            found[name] = base64.b64decode(json.loads(data)["payload"]).decode()
        else:
            found[name] = data.decode("utf-8", "replace")
    return found


def marks_in(value: Any) -> set[int]:
    """The marks that stand in a document."""
    return found_in(checked.canonical(building.decimal_strings(value)).decode())


def found_in(text: str) -> set[int]:
    """The marks in a text."""
    numbers = re.findall(r"(?<![0-9A-Za-z+/])(?:0\.|" + SECRET + r")?([0-9]{6})(?![0-9A-Za-z+/])", text)
    return {int(one) for one in numbers} & set(NUMBERS)


def leaks(members: Members, given: building.PackInput) -> set[str]:
    """The members in which a mark or the cohort's digest turns up."""
    found = set()
    for name, text in readable(members).items():
        if SECRET in text or given.view.cohort_digest in text or found_in(text):
            found.add(name)
    return found


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> tuple[EvidenceLog, building.PackInput]:
    log, given = closed_audit(tmp_path_factory.mktemp("editions") / "log")
    given = closed_again(log, marked(given))
    return log, given


def test_nothing_about_patients_is_in_the_vendor_edition(
    audit: tuple[EvidenceLog, building.PackInput],
) -> None:
    """No word, number or digest of those that the full edition shows in page, table and document."""
    full = checked.split_zip(building.build(*audit))[0]
    assert {"data.json", "records.json", "results.json", "verdict.html"} <= leaks(full, audit[1])
    pack = building.build(*audit, edition="vendor")
    vendor = checked.split_zip(pack)[0]
    assert leaks(vendor, audit[1]) == set()
    assert {"verdict.html", "verdict.txt", "model.disclosed.json", "results.disclosed.json"} <= set(vendor)
    assert not {
        name for name in vendor if name.startswith(("records", "drafts", "data", "figures", "results/"))
    }
    lines = checked.check_pack(pack).lines
    assert {"data.json", "model.json", "policy.toml", "records.json", "results.json"} == {
        line.split()[-1] for line in lines if line.startswith("withheld ")
    }


def test_the_vendor_sees_what_is_said_of_the_model(audit: tuple[EvidenceLog, building.PackInput]) -> None:
    """Verdict, tier, controls by name, the model's files, and what became of each claim."""
    vendor = checked.split_zip(building.build(*audit, edition="vendor"))[0]
    shown = {
        "/".join(map(str, way)): value
        for _, _, way, value in json.loads(vendor["results.disclosed.json"])["shown"]
    }
    assert (shown["verdict/word"], shown["result/tier"]) == ("FAIL", "E3")
    assert shown["result/claims/0/finding"] == ClaimFinding.CONTRADICTED
    assert shown["result/controls/1/status"] == "failed"
    assert not {way for way in shown if way.endswith(("sentence", "auroc", "roc", "source"))}
    model = json.loads(vendor["model.disclosed.json"])["shown"]
    assert ["files", "a.safetensors"] in [way for _, _, way, _ in model]


@dataclass(frozen=True)
class Later(AuditResult):
    """A result as a later version may know it."""

    made_up: str = "Wxqv made up"


def surprise(facts: PackFacts, so_far: Members) -> Members:
    """A part of a later version."""
    return {
        "drafts/surprise.html": b"Wxqv",
        "README.txt": b"r\n",
        "verify_evidence.py": b"v\n",
    } | dict.fromkeys(checked.VERDICTS, b"page\n")


def test_a_new_field_or_member_is_withheld_from_a_vendor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a table names it: fields of result, model, data and records, and pages of new parts."""
    log, given = closed_audit(tmp_path)
    result = given.view.result
    known = {one.name: getattr(result, one.name) for one in fields(result)}
    given = replace(
        given,
        view=replace(given.view, result=Later(**known)),
        model={**given.model, "made_up": "Wxqv"},
        data={**given.data, "made_up": "Wxqv"},
        records={"made_up": "Wxqv"},
    )
    given = closed_again(log, given)
    monkeypatch.setattr(building, "PARTS", (surprise,))
    assert building.build(log, given).count(b"Wxqv") == 5
    pack = building.build(log, given, "vendor")
    assert b"Wxqv" not in pack
    assert "left out drafts/surprise.html: it is made of what is withheld" in checked.check_pack(pack).lines
    assert b"made_up" not in pack


def test_every_part_is_asked_with_what_the_edition_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part cannot show what it is not given: facts and members of the vendor edition hold nothing of it."""
    asked: list[PackFacts] = []

    def part(facts: PackFacts, so_far: Members) -> Members:
        asked.append(facts)
        assert "data.json" not in so_far and "results.json" not in so_far
        return surprise(facts, so_far)

    log, given = closed_audit(tmp_path)
    monkeypatch.setattr(building, "PARTS", (part,))
    building.build(log, given, "vendor")
    [facts] = asked
    assert (facts.given.data, facts.given.records, facts.given.salt_seed, facts.edition) == (
        {},
        {},
        b"",
        "vendor",
    )
    assert [one.member for one in facts.withheld] == ["data.json", "policy.toml", "results.json"]
    assert facts.view.result.exposure is None


def test_the_tables_name_what_there_is(audit: tuple[EvidenceLog, building.PackInput]) -> None:
    """Every committed member has its row; a way that no audit has would be a misspelling."""
    members = building.committed_members(audit[1])
    assert set(editions.SHOWN_TO_VENDOR) == set(members)
    ways = {
        name: {"/".join("*" if isinstance(step, int) else step for step in way) for way, _ in
               checked.document_leaves(name, data)}
        for name, data in members.items()
    }  # fmt: skip
    results = set(editions.SHOWN_TO_VENDOR["results.json"])
    allowed = {"isolation/*", "result/claims", "result/timings", "result/slices_by_layer"}
    assert results - ways["results.json"] <= allowed


def test_there_are_two_editions(audit: tuple[EvidenceLog, building.PackInput]) -> None:
    """Any other word is refused before anything is written."""
    with pytest.raises(UsageError, match="no edition"):
        building.build(*audit, edition="press")


ELSEWHERE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from appliance.evidence.log import EvidenceLog
from appliance.pack import building
from tests.appliance.evidence_case import view, POLICY
from tests.appliance.pack.test_editions import again
for digest in again(Path(sys.argv[2])):
    print(digest)
"""


def again(directory: Path) -> Iterator[str]:
    """SHA-256 of each edition of the pack of the unmarked audit in this log."""
    from tests.appliance import evidence_case

    log = EvidenceLog.open(directory, clock=evidence_case.FrozenClock())
    given = evidence_case.given()
    for edition in editions.EDITIONS:
        yield sha256(building.build(log, given, edition)).hexdigest()
    yield sha256(building.build(log, given, withhold=["data.json"])).hexdigest()


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    """Every edition, twice here and once by an interpreter with another seed for its dictionaries."""
    closed_audit(tmp_path / "log")
    here = list(again(tmp_path / "log"))
    assert here == list(again(tmp_path / "log")) and len(set(here)) == 3
    command = [sys.executable, "-c", ELSEWHERE, str(ROOT), str(tmp_path / "log")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=None)
    assert done.stdout.split() == here, done.stderr


def test_small_packs_are_small() -> None:
    """The pages of one line stand in for the real ones, and only while asked to."""
    before = building.PARTS
    with small_parts():
        assert building.PARTS != before
    assert building.PARTS == before


def test_what_is_made_of_what_is_withheld_is_left_out(
    audit: tuple[EvidenceLog, building.PackInput],
) -> None:
    """With the members' real pages: nothing of the data, of the records, or of the exposure is elsewhere."""
    log, given = audit
    for member, marks in (
        ("data.json", marks_in(given.data)),
        ("records.json", marks_in({"kept": given.records["of_the_site"]})),
    ):
        pack = building.build(log, given, withhold=[member])
        assert {
            name for name, text in readable(checked.split_zip(pack)[0]).items() if marks & found_in(text)
        } == set()
        assert "verdict.html" in checked.split_zip(pack)[0]
    exposure = "results.json#/result/exposure"
    members = checked.split_zip(building.build(log, given, withhold=[exposure]))[0]
    hidden = marks_in(building.plain(given.view.result.exposure))
    assert {name for name, text in readable(members).items() if hidden & found_in(text)} == set()
    assert not {"verdict.html", "results.html", "verdict.pdf"} & set(members)
