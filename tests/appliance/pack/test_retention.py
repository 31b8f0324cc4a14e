"""The retention certificate: the policy's years, the hold, and a signature for this purpose alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance import policy_file
from appliance.api import Appliance
from appliance.errors import PolicyError
from appliance.evidence import verify_evidence as checked
from appliance.evidence.log import EvidenceLog
from appliance.pack import building as pack
from appliance.pack.facts import PackInput
from appliance.pack.records.gathered import gathered
from appliance.pack.records.members import CERTIFICATE, FILES, NOTE
from appliance.policies import demands
from tests.appliance import members_site as case
from tests.appliance.evidence_case import FrozenClock, closed_again, closed_audit

NEW_YEARS_EVE = 1_798_761_540_000  # 2026-12-31 23:59 UTC


def years(site: Appliance) -> dict[str, Any]:
    found: dict[str, Any] = gathered(site._workspace, site._log, policy_file.load("default"), {})["retention"]
    return found


def test_the_earliest_day_follows_year_policy_and_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept from the end of its year for the longest policy in force; holds are told, set and lifted."""
    root = tmp_path / "workspace"
    with case.opened(root, "officer", case.build(root)) as officer:
        officer._log.clock = FrozenClock(NEW_YEARS_EVE)
        said = years(officer)
        assert (said["floor_years"], said["log_year"]) == (6, 2026)
        assert said["kept_years"] == max(6, said["policy_years"], demands.log_years(_shelf(officer)))
        assert said["not_before"] == f"{2027 + said['kept_years']}-01-01"
        officer._log.clock = FrozenClock(NEW_YEARS_EVE + 60_000)
        assert years(officer)["not_before"] == f"{2028 + said['kept_years']}-01-01"
        assert (said["legal_hold"], said["holds"]) == (False, [])
        officer.hold_log(True)
        held = years(officer)
        assert (held["legal_hold"], [one["set"] for one in held["holds"]]) == (True, [True])
        officer.hold_log(False)
        lifted = years(officer)
        assert (lifted["legal_hold"], [one["set"] for one in lifted["holds"]]) == (False, [True, False])
        assert said["last_backup"] is None
        officer.backup(tmp_path / "copy.backup", lambda done, total: None)
        assert years(officer)["last_backup"]["entry"] == officer._log.size - 1

        def unreadable(_: object) -> int:
            raise PolicyError("of a later version")

        monkeypatch.setattr(demands, "log_years", unreadable)
        unknown = years(officer)
        assert (unknown["kept_years"], unknown["not_before"]) == (None, None)


def _shelf(site: Appliance) -> Any:
    from appliance.policies import shelf

    return shelf.read(site._workspace, site._log)


RECORDS = {
    "log_entries": 7,
    "utc": "2026-11-20 14:02 UTC",
    "access": {"acts": {}},
    "egress": {"layers": {}},
    "encryption": {"slots_below_floor": 0},
    "log_review": {"reviews": []},
    "retention": {"kept_years": 6, "legal_hold": False},
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[EvidenceLog, PackInput, dict[str, bytes]]:
    log, given = closed_audit(tmp_path_factory.mktemp("retention") / "log")
    given = closed_again(log, replace(given, records=RECORDS))
    return log, given, dict(checked.split_zip(pack.build(log, given))[0])


def test_each_record_repeats_what_the_log_committed_to(
    kept: tuple[EvidenceLog, PackInput, dict[str, bytes]],
) -> None:
    """Every part of records.json has its file, with the same content, under the audit's name."""
    _, given, members = kept
    committed = json.loads(members["records.json"])
    for part, name in FILES.items():
        document = json.loads(members[name])
        assert document["record"] == committed[part] == RECORDS[part]
        assert (document["audit"], document["from"]) == (given.view.row.audit_id, f"records.json#/{part}")
        assert document["does_not_show"]


def test_the_certificate_is_signed_for_this_purpose_alone(
    kept: tuple[EvidenceLog, PackInput, dict[str, bytes]],
) -> None:
    """The note verifies over this certificate, over no other byte, and not as the note of a manifest."""
    log, _, members = kept
    certificate, note = members[CERTIFICATE], members[NOTE]
    text, signature = note.split(b"\n\n")
    assert text + b"\n" == checked.retention_text(certificate)
    assert text.startswith(b"gradaudit retention certificate 1\n")
    assert checked.retention_text(certificate) != checked.manifest_text(certificate)
    assert log.sign_retention(certificate) == note
    assert log.sign_retention(certificate + b" ").split(b"\n\n")[1] != signature
    assert json.loads(certificate)["closing_entry"] == len(log.entries()) - 1


def test_a_changed_or_missing_certificate_breaks_the_pack(
    kept: tuple[EvidenceLog, PackInput, dict[str, bytes]],
) -> None:
    """Another year under the old note, or a certificate without its note, is refused and named."""
    log, _, members = kept
    longer = members[CERTIFICATE].replace(b'"kept_years":6', b'"kept_years":9')
    assert longer != members[CERTIFICATE]
    for changed in ({**members, CERTIFICATE: longer}, {k: v for k, v in members.items() if k != NOTE}):
        manifest = json.loads(changed["manifest.json"])
        manifest["members"] = {
            name: checked.sha256(data).hex()
            for name, data in changed.items()
            if not name.startswith("manifest.")
        }
        changed["manifest.json"] = checked.canonical(manifest)
        changed["manifest.note"] = log.sign_manifest(changed["manifest.json"])
        with pytest.raises(checked.Broken, match="records/retention"):
            checked.check_pack(checked.build_zip(changed))


def test_an_audit_from_before_has_no_records_and_a_vendor_sees_none(
    kept: tuple[EvidenceLog, PackInput, dict[str, bytes]], tmp_path: Path
) -> None:
    """Nothing is invented where nothing was kept; the vendor's edition has none."""
    log, given, _ = kept
    old = checked.split_zip(pack.build(*closed_audit(tmp_path / "log")))[0]
    vendor = checked.split_zip(pack.build(log, given, "vendor"))[0]
    for members in (old, vendor):
        assert not [name for name in members if name.startswith("records")]
