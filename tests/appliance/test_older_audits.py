"""Audits closed by an earlier version: their packs are rebuilt, and verify against the digest in the log."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from appliance import codec, shown
from appliance.errors import IntegrityError
from appliance.evidence import verify_evidence as checked
from appliance.evidence.log import EvidenceLog
from appliance.pack import building as pack
from appliance.workspace.rows import StoredAudit
from audit_core.results import AuditResult, VerdictWord
from tests.appliance import evidence_case as case

VECTOR = Path(__file__).parent.parent / "vectors" / "result-of-an-earlier-version.json"


@cache
def vector() -> dict[str, Any]:
    """What an earlier version stored, wrote and committed to."""
    found: dict[str, Any] = json.loads(VECTOR.read_text(encoding="utf-8"))
    return found


def older(stored: dict[str, Any]) -> pack.PackInput:
    """The audit behind the vector, its result read by this version."""
    view = replace(case.view(), result=codec.load(AuditResult, json.dumps(stored)))
    return pack.PackInput(
        view, "St. Example", case.POLICY, {"name": "lumen-vlm"}, {"share": 0.5}, stored=stored
    )


def log_closed_with(directory: Path, commitment: str) -> EvidenceLog:
    """A log whose entry for the audit holds that digest."""
    log = case.small_log(directory)
    policy = case.view().policy_digest
    log.append("audit.run", log.identifier(case.AUDIT), "begins", policy_digest=policy)
    log.append(
        checked.CLOSING_ACT.decode(), log.identifier(case.AUDIT), "FAIL", actor="officer",
        policy_digest=policy, result_root=commitment,
    )  # fmt: skip
    return log


def test_the_vector_is_older_than_this_version() -> None:
    """It lacks fields that results have now; with all of them the test would show nothing."""
    now = {field.name for field in fields(AuditResult)}
    assert {"dataset_inference", "limits", "canaries", "slices_by_layer"} <= now - set(vector()["result"])
    assert "targets_alike" not in vector()["result"]["exposure"]


def test_a_pack_of_an_older_audit_has_the_bytes_that_were_committed(tmp_path: Path) -> None:
    """Byte for byte the earlier version's results.json; the pack verifies against the log."""
    given = older(vector()["result"])
    assert pack.committed_members(given)["results.json"].decode() == vector()["results.json"]
    log = log_closed_with(tmp_path, vector()["commitment"])
    report = checked.check_pack(pack.build(log, given))
    assert any("verdict FAIL" in line for line in report.lines)


@pytest.mark.parametrize("change", ["number", "field"])
def test_a_stored_result_that_was_changed_is_not_exported(change: str, tmp_path: Path) -> None:
    """Another number, or one field less, is not what the log committed to."""
    stored = json.loads(json.dumps(vector()["result"]))
    if change == "number":
        stored["exposure"]["flagged"] = 0
    else:
        del stored["as_published"]
    log = log_closed_with(tmp_path, vector()["commitment"])
    with pytest.raises(IntegrityError, match="not the one whose verdict was logged"):
        pack.build(log, older(stored))


def test_what_is_closed_today_is_committed_whole() -> None:
    """The stored form of a result of this version leaves nothing out."""
    result = case.result()
    given = older(json.loads(codec.dump(result)))
    assert pack.committed_members(given) == pack.committed_members(replace(given, stored=None))


def test_the_note_keeps_the_words_it_was_closed_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewording the note later changes nothing about an audit that is closed; without one it is made."""
    document = {
        "result": vector()["result"],
        "verdict": {"word": "FAIL", "line": 3, "reasons": ["Reason 1."]},
        "isolation": {},
        "small_sample": True,
    }
    stored = StoredAudit(
        case.AUDIT, "m", "c", "p", "2026-11-20T14:02:31Z", state="done", verdict=VerdictWord.FAIL,
        result=document, digests={"policy": "p", "cohort": "c", "model": "m"},
    )  # fmt: skip
    closed = shown.noted(stored, demo=True)
    before = shown.audit_view(closed, demo=True).sample_note
    assert before.startswith("DEMO. Small sample") and shown.audit_view(stored, True).sample_note == before
    monkeypatch.setattr(shown, "SMALL_SAMPLE", "Reworded.")
    assert shown.audit_view(closed, demo=True).sample_note == before
