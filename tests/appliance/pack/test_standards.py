"""What the libraries of the standards say of whole packs: of each edition, and through the command."""

from __future__ import annotations

from pathlib import Path

import pack_standards
import pytest

from appliance.evidence import verify_evidence as checked
from appliance.evidence.log import EvidenceLog
from appliance.pack.facts import PackInput
from tests.appliance.pack.interop_case import packed

STANDARDS = {"crosswalk.oscal.json", "log/audit-events.fhir.json", "model.cdx.json", "run.intoto.json"}


@pytest.mark.parametrize("edition", ["full", "vendor"])
def test_each_member_that_follows_a_standard_is_looked_at(
    site: tuple[EvidenceLog, PackInput], edition: str
) -> None:
    """All four are in both editions, and no library has anything against them; one that is absent says so."""
    found = pack_standards.looked_at(packed(*site, edition))
    assert {name for name, _, _ in found} == STANDARDS
    absent = {answer for _, _, answer in found if answer.startswith("not shown")}
    assert [] == [(name, answer) for name, _, answer in found if answer and answer not in absent]
    if absent:
        pytest.skip("; ".join(sorted(absent)))


def test_the_command_refuses_a_pack_with_a_broken_member(
    members: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each member and exit 0; exit 1 where one is not what it says it is; exit 2 for no pack."""
    pytest.importorskip("fhir.resources", reason="not shown: needs fhir.resources")
    whole, broken, none = tmp_path / "whole.zip", tmp_path / "broken.zip", tmp_path / "none.zip"
    whole.write_bytes(checked.build_zip(members))
    name = "log/audit-events.fhir.json"
    bad = members[name].replace(b'"type":"collection"', b'"kind":"collection"')
    broken.write_bytes(checked.build_zip({**members, name: bad}))
    none.write_bytes(b"no pack")
    assert 0 == pack_standards.main([str(whole)])
    assert 5 == len(capsys.readouterr().out.splitlines())
    assert 1 == pack_standards.main([str(broken)])
    assert "validation error" in capsys.readouterr().out
    assert 2 == pack_standards.main([str(none)])
