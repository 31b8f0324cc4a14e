"""No number that leaves is one patient's score or counts fewer than five; the officer's own are whole."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import replace
from hashlib import sha256
from itertools import product

import numpy as np
import pytest

from appliance.evidence import verify_evidence as checked
from appliance.evidence.log import EvidenceLog
from appliance.pack import building, leaving
from appliance.pack.facts import PackInput
from audit_core.calibration import clopper_pearson
from audit_core.reports import histogram
from audit_core.results import ControlName, Histogram, Limit, ReliabilityBin, Role, Timing
from tests.appliance.evidence_case import given, small_log
from tests.appliance.pack.test_editions import readable

LOWEST, HIGHEST, FLAGGED = -3.14159, 7.31642, 2.71828
NEWER = ControlName.POST_RELEASE
POLICY = b"""# lowered to its 174174 patients
name = "demo"
version = "ver-731641"
[minimum]
members = 731642
[decision]
layers = "lay-731643"  # of 174175 people
"""
VALUES = ("731641", "731642", "731643")


def bins() -> tuple[ReliabilityBin, ...]:
    """Known pairs by probability; in two bins few of one kind."""
    counted = ((0.051, 0, 17), (0.152, 3, 9), (0.453, 6, 12), (0.854, 13, 14))
    return tuple(ReliabilityBin(p, some, of, clopper_pearson(some, of)) for p, some, of in counted)


def site(policy: bytes = POLICY) -> PackInput:
    """An audit with few newer studies, single patients at both ends, and a policy with comments."""
    audit = given()
    result = audit.view.result
    counts = {
        "target": (1, 4, 0, 6, 9, 26),
        "calibration": (12, 20, 5, 2, 1, 0),
        "member": (0, 0, 7, 9, 8, 12),
    }
    edges = tuple(np.linspace(LOWEST, HIGHEST, 7).tolist())
    said = "Of 3 patients with studies newer than the model, 33 % are beyond; p = 0.14."
    result = replace(
        result,
        counts={**result.counts, "post_release": 3},
        histogram=Histogram(edges, counts, FLAGGED),
        controls=tuple(
            replace(one, sentence=said, numbers={"share": 0.33}) if one.name == NEWER else one
            for one in result.controls
        ),
        limits=(Limit("3 post_release patients: no statistic.", "There are 3 bank patients.", "More."),),
        timings=(Timing("signals", 813.579),),
        reliability=bins(),
    )  # fmt: skip
    return replace(
        audit,
        policy_text=policy,
        view=replace(audit.view, result=result, policy_digest=sha256(policy).hexdigest(),
                     policy_version="ver-731641"),
        data={
            "patients_by_role": {"target": 46, "calibration": 40, "fitting": 28, "post_release": 3},
            "pairs_by_role": {"target": 60, "calibration": 44, "fitting": 31, "post_release": 7},
            "patients_by_modality": {"CR": 4, "CT": 61, "MR": 52},
        },
        run={**audit.run, "code": "00", "hardware": {"processor": "Wxqv CPU", "cores": 63}},
    )  # fmt: skip


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> tuple[EvidenceLog, PackInput]:
    log, audit = small_log(tmp_path_factory.mktemp("leaving") / "log"), site()
    log.append("audit.run", log.identifier(audit.view.row.audit_id), "begins")
    building.close_audit(log, audit, "officer")
    return log, audit


def packed(closed: tuple[EvidenceLog, PackInput], *asked: object) -> dict[str, str]:
    """Members of a pack as text."""
    return readable(checked.split_zip(building.build(*closed, *asked))[0])  # type: ignore[arg-type]


def test_no_score_of_a_patient_is_in_any_member(closed: tuple[EvidenceLog, PackInput]) -> None:
    """Neither the ends of the axis nor the threshold, in page, drawing, table or document."""
    members = packed(closed)
    scores = re.compile("|".join(re.escape(f"{x:.3g}") for x in (LOWEST, HIGHEST, FLAGGED)))
    said = {name: text for name, text in members.items() if name.startswith(("verdict", "results", "fig"))}
    assert {name: scores.findall(text) for name, text in said.items() if scores.search(text)} == {}
    drawn = json.loads(members["results.json"])["result"]["histogram"]
    assert drawn["rounded"] and drawn["edges"] == ["-4", "-2", "0", "2", "4", "6", "8"]
    assert drawn["threshold"] == "2" and "from about 2 on" in members["results.html"]
    assert drawn["counts"]["member"] == [0, 0, 7, 9, 8, 12]
    for role, row in drawn["counts"].items():
        assert all(number is None or number == 0 or number >= 5 for number in row), role
    assert drawn["counts"]["target"].count(None) == 2
    assert "dotted: few patients" in members["figures/scores.svg"]
    assert closed[1].view.result.histogram == site().view.result.histogram  # what the officer sees is whole


def test_no_group_under_five_is_told(closed: tuple[EvidenceLog, PackInput]) -> None:
    """By role or modality, in documents and sentences, nor by subtraction; k of N stays."""
    members = packed(closed)
    data, results = json.loads(members["data.json"]), json.loads(members["results.json"])["result"]
    assert data["patients_by_role"] == {
        "calibration": 40, "fitting": "not told", "post_release": "< 5", "target": 46,
    }  # fmt: skip
    assert data["pairs_by_role"] == {
        "calibration": 44, "fitting": "not told", "post_release": "not told", "target": 60,
    }  # fmt: skip
    assert data["patients_by_modality"] == {"CR": "< 5", "CT": 61, "MR": "not told"}
    assert results["counts"] == {
        "bank": "not told", "calibration": 40, "fitting": "not told", "member": 36,
        "post_release": "< 5", "target": 46,
    }  # fmt: skip
    [control] = [one for one in results["controls"] if one["name"] == NEWER]
    assert (control["numbers"], "Fewer than 5" in control["sentence"]) == ({}, True)
    bad = re.compile(r"\b[1-4] (patients|post_release|bank)|Of 3 ")
    assert {name: bad.findall(text) for name, text in members.items() if bad.search(text)} == {}
    assert "21 of 46" in members["verdict.txt"]
    told = [(one["members"], one["references"] - one["members"]) for one in results["reliability"]]
    assert told == [(0, 17), (22, 13)] and members["results.html"].count(" / 35") == 1


def test_what_is_hidden_does_not_follow_from_the_sum() -> None:
    """Of every row of two to four counts: what is seen of it fits other counts in each hidden place."""
    for places, most in ((2, 14), (3, 10), (4, 7)):
        worlds = defaultdict(list)
        for row in product(range(most), repeat=places):
            hide = leaving.hidden(row)
            if hide is not None:
                told = leaving.grouped({str(at): number for at, number in enumerate(row)})
                seen = tuple(told.values())
                assert tuple(None if at in hide else number for at, number in enumerate(row)) == tuple(
                    number if isinstance(number, int) else None for number in seen
                )
                assert not {1, 2, 3, 4} & set(seen)
                worlds[seen, sum(row)].append(row)
        for (seen, total), rows in worlds.items():
            if total < most:  # larger sums have worlds beyond those tried
                for at, number in enumerate(seen):
                    assert isinstance(number, int) or len({row[at] for row in rows}) > 1, (seen, rows)


def test_edges_as_the_audit_makes_them_fall_into_the_grid() -> None:
    """No patient changes places between the screen's fine bins and the coarse ones that leave."""
    rng = np.random.default_rng(3)
    for scale, middle in ((1e-4, 0.0), (0.3, 5.0), (7.0, -2.0), (900.0, 1e4)):
        scores = rng.normal(middle, scale, 400)
        fine = histogram({Role.TARGET: scores}, float(scores.max()))
        assert fine is not None and sum(filter(None, fine.counts["target"])) == 400
        coarse = leaving.histogram(fine)
        assert coarse is not None and len(coarse.edges) <= 9
        assert coarse.edges[0] <= scores.min() and coarse.edges[-1] >= scores.max()
        assert not set(np.round(scores, 9)) & set(np.round([*fine.edges, *coarse.edges], 9))
        found = np.histogram(scores, coarse.edges)[0]
        for own, number in zip(coarse.counts["target"], found, strict=True):
            assert own is None or own == number
        assert leaving.histogram(coarse) == coarse


@pytest.mark.parametrize(
    "odd", [(0.0, 1e308, 1.7e308), (-1e308, 0.0, 1e308), (1.0, 0.0, 2.0), (0.0, 1.0, 2.0, 3.0)]
)
def test_what_is_no_histogram_is_left_out(odd: tuple[float, ...]) -> None:
    """A worker's answer stops no audit from closing."""
    assert leaving.histogram(Histogram(odd, {"target": (7, 8)}, None)) is None
    same = leaving.histogram(Histogram((2.0, 2.0, 2.0), {"target": (7, 8)}, 2.0))
    assert same is not None and sum(filter(None, same.counts["target"])) == 15


def test_what_the_log_closed_without_leaves_stays(closed: tuple[EvidenceLog, PackInput]) -> None:
    """An older audit's commitment is over what was said then."""
    older = building.committed_members(replace(site(), salt_seed=b""))
    assert json.loads(older["results.json"])["result"]["histogram"]["threshold"] == "2.71828"
    once = building.committed_members(closed[1])
    assert once == building.committed_members(leaving.projected(closed[1]))


def test_a_withheld_policy_is_in_no_member(closed: tuple[EvidenceLog, PackInput]) -> None:
    """Neither its text nor a value of it; the pages that need it are left out."""
    whole, members = packed(closed), packed(closed, "full", ["policy.toml"])
    with_it = {name for name, text in whole.items() if any(value in text for value in VALUES)}
    assert {"policy.toml", "method.html", "verdict.html"} <= with_it
    assert {name for name, text in members.items() if any(value in text for value in VALUES)} == set()
    assert {"data.json", "results.json", "crosswalk.json"} <= set(members)


def test_a_vendor_reads_settings_and_no_comment_time_or_hardware(
    closed: tuple[EvidenceLog, PackInput],
) -> None:
    """A comment may count patients, and time per pair tells how many there are."""
    members = packed(closed, "vendor")
    assert "policy.toml" not in members and "731642" in members["method.html"]
    bad = re.compile(r"17417[45]|Wxqv|813\.579")
    assert {
        name for name, text in members.items() if bad.search(text) and name != "verify_evidence.py"
    } == set()
    assert json.loads(members["manifest.json"])["run"] == {"code": "00", "seed": 0}
    assert json.loads(packed(closed)["manifest.json"])["run"]["timings"] == {"signals": "813.579"}
