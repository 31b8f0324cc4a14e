"""Records at closing: what they say is what log, keyring, policies and box say; nothing names a person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import policy_file
from appliance.api import Appliance
from appliance.evidence.verify_evidence import canonical
from appliance.isolation import LAYERS, ON
from appliance.isolation.attempts import ATTEMPTS
from appliance.pack.records.gathered import gathered
from appliance.permissions import RULES
from appliance.workspace.catalogue import Catalogue
from appliance.workspace.keyslots import UNSAFE_FAST_KDF
from tests.appliance import members_site as case
from tests.appliance.evidence_case import FrozenClock

BOXED = {**dict.fromkeys(LAYERS, ON), "self-probe": ON}
FOUND = "Mrs. Canary was looked up twice"
JUNE = 1_780_300_800_000  # 2026-06-01 08:00 UTC


@pytest.fixture
def officer(tmp_path: Path) -> Iterator[Appliance]:
    root = tmp_path / "workspace"
    with case.opened(root, "officer", case.build(root)) as opened:
        opened._log.clock = FrozenClock(JUNE)
        yield opened


def records(site: Appliance, policy: str = "default", **layers: str) -> dict[str, Any]:
    return gathered(site._workspace, site._log, policy_file.load(policy), {**BOXED, **layers})


def test_a_review_stands_with_its_window_and_without_its_words(officer: Appliance) -> None:
    """Who, when, which entries, how long ago; the digest of what was found, never the words."""
    assert records(officer)["log_review"]["reviews"] == []
    assert records(officer)["log_review"]["seconds_since"] is None
    row = officer.review_log(0, 2, FOUND)
    officer._log.clock = FrozenClock(JUNE + 86_400_000)
    said = records(officer)["log_review"]
    (one,) = said["reviews"]
    assert (one["by"], one["entry"], one["first"], one["last"]) == (row.by, row.entry, 0, 2)
    assert (one["kept"], one["utc"]) == (True, row.reviewed_utc)
    assert said["seconds_since"] == 86_400
    assert said["entries_since_window"] == officer._log.size - 3
    assert "Canary" not in json.dumps(said)


def test_a_review_that_is_not_the_logged_one_has_no_window(
    officer: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that is gone or changed is said to be gone, and an audit closes all the same."""
    officer.review_log(0, 4, "nothing unusual")
    for stored in (None, '{"first":0,"found":"","last":9,"salt":"","v":1}'):
        with monkeypatch.context() as patched:
            patched.setattr(Catalogue, "review", lambda *_, kept=stored: kept)
            said = records(officer)["log_review"]
            assert {(one["kept"], one["first"], one["last"]) for one in said["reviews"]} == {
                (False, None, None)
            }
            assert said["entries_since_window"] == officer._log.size - officer._log.origin


def test_access_is_counted_by_role_and_names_nobody(officer: Appliance) -> None:
    """Counts are the keyring's, rules those that are enforced; no name of a user stands anywhere."""
    said = records(officer)["access"]
    users = officer._workspace.keyring.users()
    assert said["users_by_role"] == {
        role: sum(one.role == role for one in users) for role in said["users_by_role"]
    }
    assert sum(said["users_by_role"].values()) == len(users) > 3
    assert said["findings_opened_together_by"] == officer._workspace.keyring.quorum
    assert said["acts"]["findings.reveal"] == "officer"
    assert set(said["acts"]) == {rule.act for rule in RULES.values()}
    words = json.dumps([value for key, value in said.items() if key not in ("acts", "users_by_role")])
    names = {one.name for one in users} - set(said["users_by_role"])
    assert names and not [name for name in names if name in words]


def test_refused_unlocks_are_counted(officer: Appliance) -> None:
    """A refused unlock is one more."""
    before = records(officer)["access"]["refused"]["unlock"]
    officer._log.append("workspace.unlock", "", "refused", actor="anonymous")
    officer._log.append("workspace.unlock", "", "allowed", actor="officer")
    assert records(officer)["access"]["refused"]["unlock"] == before + 1


def test_encryption_is_what_the_files_say(officer: Appliance) -> None:
    """Slots with their cost, grants by kind, SQLCipher's own values; no secret, no salt."""
    said, keyring = records(officer)["encryption"], officer._workspace.keyring
    assert len(said["key_slots"]) == len(keyring.slots)
    assert sum(said["grants"]["kinds"].values()) == len(keyring.grants)
    assert said["catalogue"]["hmac_algorithm"] == "HMAC_SHA512"
    assert said["catalogue"]["version"].startswith("4.")
    cheap = {"name": "argon2id", "memory_kib": UNSAFE_FAST_KDF.memory_kib, "passes": 1, "lanes": 1}
    assert cheap in [
        slot["kdf"] for slot in said["key_slots"]
    ]  # tests make slots below the floor, and it is told
    assert said["slots_below_floor"] == sum(slot["kdf"] == cheap for slot in said["key_slots"]) > 0
    words = json.dumps(said)
    held = [one for slot in keyring.slots for one in (slot.salt, slot.nonce, slot.wrapped, slot.user.public)]
    assert not [one for one in held if one.hex() in words]


def test_egress_counts_what_layers_stopped(officer: Appliance) -> None:
    """With all layers every attempt was stopped; of a layer that is missing nothing is promised."""
    probe = records(officer)["egress"]["probe"]
    assert (probe["attempts"], probe["got_out"], probe["not_promised"]) == (len(ATTEMPTS), 0, [])
    assert sorted(probe["stopped"]) == sorted(ATTEMPTS)
    said = records(officer, landlock="the kernel refused")["egress"]
    assert said["layers"]["landlock"] == "the kernel refused"
    assert said["probe"]["not_promised"] == ["file outside, read", "file outside, write"]
    leaking = records(officer, **{"self-probe": "got out: dns"})["egress"]["probe"]
    assert (leaking["stopped"], leaking["got_out"], leaking["outcome"]) == ([], None, "got out: dns")


def test_records_are_canonical_and_the_same_again(officer: Appliance) -> None:
    """Gathered twice at one state of the log they are equal, and without a fraction."""
    assert canonical(records(officer)) == canonical(records(officer))
    assert canonical(records(officer)) != canonical(records(officer, seccomp="off"))
