"""The chart of a model's versions: what answers the same question, in order; the rest apart, with why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance import policy_file
from appliance.api import Appliance
from appliance.charted import series
from appliance.errors import UsageError
from appliance.views import AuditView, VerdictWord
from appliance.workspace.rows import StoredAudit
from tests.appliance import evidence_case, ward

POLICY = (policy_file.FOLDER / "default.toml").read_text()
MADE = {"vendor": "Lumen", "family": "image-text-to-text", "architecture": "Llava"}


def audit(name: str, begun: str, model: str = "lumen", made: Any = MADE, **changed: Any) -> Any:
    """One finished audit, stored and seen."""
    view = evidence_case.view()
    row = replace(view.row, audit_id=name, model=model, started_utc=f"{begun}T10:00:00Z")
    document = {"policy_text": POLICY, "pack": {"model": made}}
    stored = StoredAudit(name, model, "spring", "default", row.started_utc, state="done", result=document)
    return stored, replace(view, row=row, **changed)


def other_detector(view: AuditView) -> Any:
    return replace(view.result, deciding_detector="loss")


def test_versions_stand_in_order_with_the_policys_limit() -> None:
    """Same name, or same maker, family and architecture; oldest first, whatever order they came in."""
    audits = [audit("A-3", "2026-09-01", "lumen 2"), audit("A-1", "2026-01-01"), audit("A-2", "2026-05-01")]
    view = series(audits, "A-3")
    assert [(one.audit_id, one.name) for one in view.points] == [
        ("A-1", "lumen"), ("A-2", "lumen"), ("A-3", "lumen 2"),
    ]  # fmt: skip
    assert view.limit == policy_file.parse(POLICY.encode()).policy.exposure_limit
    assert view.apart == ()


def test_another_model_is_not_on_the_chart() -> None:
    """Another maker's, or one whose maker nobody named, is no version of it."""
    nameless = {**MADE, "vendor": ""}
    audits = [
        audit("A-1", "2026-01-01"),
        audit("A-2", "2026-02-01", "harbor", {**MADE, "vendor": "Harbor"}),
        audit("A-3", "2026-03-01", "someone", nameless),
    ]
    assert [one.audit_id for one in series(audits, "A-1").points] == ["A-1"]
    assert [one.audit_id for one in series(audits, "A-3").points] == ["A-3"]


def test_what_answers_another_question_stands_apart() -> None:
    """Other patients, another detector, another rate: each with its reason, none with a number."""
    base = evidence_case.view()
    exposure = base.result.exposure
    assert exposure is not None
    other_rate = replace(base.result, exposure=replace(exposure, q=exposure.q / 2))
    audits = [
        audit("A-0", "2026-06-01"),
        audit("A-1", "2026-01-01", cohort_digest="0" * 64),
        audit("A-2", "2026-02-01", result=other_detector(base)),
        audit("A-3", "2026-03-01", result=other_rate),
    ]
    view = series(audits, "A-0")
    assert [one.audit_id for one in view.points] == ["A-0"]
    assert [one.audit_id for one in view.apart] == ["A-1", "A-2", "A-3"]
    assert len({one.why for one in view.apart}) == 3
    assert all(one.why for one in view.apart)


def test_void_and_stopped_keep_their_place_without_a_number() -> None:
    """A gap in the chart says that an audit was run; its count is not a number."""
    base = evidence_case.view()
    void = replace(base.verdict, word=VerdictWord.VOID)
    stopped = replace(base.result, exposure=None)
    audits = [
        audit("A-0", "2026-06-01"),
        audit("A-1", "2026-01-01", verdict=void),
        audit("A-2", "2026-02-01", result=stopped),
    ]
    points = {one.audit_id: one for one in series(audits, "A-0").points}
    assert [points[name].flagged for name in ("A-1", "A-2")] == [None, None]
    assert points["A-0"].flagged is not None


def test_one_limit_only_where_one_policy_decided() -> None:
    """Under two policies no line is drawn; nor where an earlier version kept no text."""
    audits = [audit("A-0", "2026-06-01"), audit("A-1", "2026-01-01", policy_digest="0" * 64)]
    assert series(audits, "A-0").limit is None
    stored, view = audit("A-0", "2026-06-01")
    assert series([(replace(stored, result={}), view)], "A-0").limit is None


def test_over_a_workspace(root: Path) -> None:
    """The ward's audit stands alone, and no audit has no chart."""
    with Appliance.unlock(root, ward.PASSPHRASE) as site:
        assert [one.audit_id for one in site.audit_series(ward.AUDIT).points] == [ward.AUDIT]
        for name in ("A-ffffffffffff", ward.CUT_OFF):
            with pytest.raises(UsageError):
                site.audit_series(name)
