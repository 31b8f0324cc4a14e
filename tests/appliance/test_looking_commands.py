"""What the screens only look at, on the command line: the same answers, for readers and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.api import Appliance
from appliance.views import plain
from tests.appliance import ward
from tests.appliance.test_findings_commands import gradaudit

OTHER = "A-00000000000c"
CANARY = "CANARY"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with two finished audits."""
    root = ward.build(tmp_path_factory.mktemp("ward") / "workspace", lambda text: f"{CANARY}{text}")
    with Appliance.unlock(root, ward.PASSPHRASE) as site:
        ward.audited(site._workspace, site._cohort(ward.COHORT), OTHER, "done")
    return root


def test_two_audits_are_compared(root: Path) -> None:
    """One line a property, with its standing and why; JSON has the same."""
    code, out, _ = gradaudit(root, "audit", "compare", ward.AUDIT, OTHER)
    assert (code, out.split()[:6]) == (0, ["part", "what", "first", "second", "standing", "why"])
    code, out, _ = gradaudit(root, "audit", "compare", ward.AUDIT, OTHER, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert {row["part"] for row in rows} == {"model", "cohort", "policy", "verdict", "exposure"}
    assert [row["standing"] for row in rows if row["what"] == "digest"] == ["same"] * 3
    assert gradaudit(root, "audit", "compare", ward.AUDIT, "A-000000000000")[0] == 2


def test_pairs_are_counted_without_a_patient(root: Path) -> None:
    """The counts are those of the appliance, and nothing of a patient is printed."""
    with Appliance.unlock(root, ward.PASSPHRASE) as site:
        counted, pairs = site.pairing(), site.pairs()
    assert CANARY in repr(pairs)
    assert sum(number for _, number in counted.rules) == len(pairs) > 0
    code, out, _ = gradaudit(root, "pairs", "count", "--json")
    assert (code, json.loads(out)) == (0, plain(counted))
    code, out, _ = gradaudit(root, "pairs", "count")
    assert (code, f"{len(pairs):7} paired by " in out, CANARY in out) == (0, True, False)


def test_packs_are_listed_and_checked(root: Path, tmp_path: Path) -> None:
    """No pack, no line; what is no pack is refused with a hint."""
    assert gradaudit(root, "evidence", "ls", "--json")[:2] == (0, "")
    (tmp_path / "no-pack.zip").write_bytes(b"no pack")
    code, out, said = gradaudit(root, "evidence", "verify", str(tmp_path / "no-pack.zip"))
    assert (code > 0, out) == (True, "")
    assert "hint:" in said
