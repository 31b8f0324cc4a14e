"""Stored rows to views: what a screen may see of them, with foreign text made inert."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from appliance import codec
from appliance.registry import ModelRecord
from appliance.sanitise import safe
from appliance.views import (
    AuditRow,
    AuditView,
    CohortView,
    ModelView,
    OverviewRow,
    QuarantineRow,
    VerdictWord,
)
from appliance.workspace.rows import Quarantined, StoredAudit, StoredCohort, StoredModel
from audit_core.results import AuditResult, Verdict
from medio.records import Cohort

SMALL_SAMPLE = "Small sample: intervals are wide, and only large exposures can be found."
ROLE_ORDER = ("member", "fitting", "calibration", "target", "post_release", "bank")


def model_record(stored: StoredModel) -> ModelRecord:
    """The registry's document as a record."""
    return codec.load(ModelRecord, json.dumps(stored.document))


def model_view(stored: StoredModel) -> ModelView:
    """One model for a screen."""
    record = model_record(stored)
    return ModelView(
        name=safe(record.name),
        family=record.family,
        digest=record.digest,
        vendor=safe(record.vendor),
        released=record.released,
        has_base=bool(record.base_path),
        parameters=record.parameters,
        registered_utc=stored.registered_utc,
    )


def cohort_document(stored: StoredCohort) -> Cohort:
    """The frozen cohort as it was stored."""
    return codec.load(Cohort, json.dumps(stored.document))


def cohort_view(document: Cohort) -> CohortView:
    """One cohort for a screen: counts, never a pseudonym."""
    patients = {
        role: len({one.patient for one in document.assignments if one.role == role}) for role in ROLE_ORDER
    }
    return CohortView(
        name=safe(document.name),
        digest=document.digest,
        design=document.design,
        references=document.references,
        counts=tuple((role, patients[role]) for role in ROLE_ORDER if patients[role]),
        warnings=document.warnings,
    )


def audit_row(stored: StoredAudit) -> AuditRow:
    """One audit as a line of a table."""
    return AuditRow(
        audit_id=stored.audit_id,
        model=safe(stored.model),
        cohort=safe(stored.cohort),
        policy=safe(stored.policy),
        started_utc=stored.started_utc,
        state=stored.state,
        verdict=VerdictWord(stored.verdict) if stored.verdict else None,
        why=safe(stored.why, 300),
    )


def audit_view(stored: StoredAudit, demo: bool) -> AuditView:
    """One finished audit whole.

    Raises:
        IntegrityError: the stored result does not fit its form.
    """
    document: Mapping[str, Any] = stored.result or {}
    notes = ["DEMO"] * demo + [SMALL_SAMPLE] * bool(document["small_sample"])
    return AuditView(
        row=audit_row(stored),
        verdict=codec.load(Verdict, json.dumps(document["verdict"])),
        result=codec.load(AuditResult, json.dumps(document["result"])),
        policy_digest=str(stored.digests["policy"]),
        cohort_digest=str(stored.digests["cohort"]),
        model_digest=str(stored.digests["model"]),
        isolation=tuple((str(layer), str(state)) for layer, state in document["isolation"].items()),
        sample_note=". ".join(notes),
    )


def overview_row(model: ModelView, last: StoredAudit | None) -> OverviewRow:
    """One model with its last finished audit."""
    return OverviewRow(
        model=model.name,
        vendor=model.vendor,
        verdict=VerdictWord(last.verdict) if last is not None and last.verdict else None,
        why=safe(last.why, 300) if last is not None else "never audited",
        audited_utc=last.finished_utc if last is not None else "",
        audit_id=last.audit_id if last is not None else "",
    )


def needs_a_person(row: OverviewRow) -> str:
    """What an officer has to do about a model; "" when nothing."""
    if row.verdict is None:
        return f"{row.model}: not audited yet"
    if row.verdict in (VerdictWord.FAIL, VerdictWord.REVIEW, VerdictWord.VOID):
        return f"{row.model}: {row.verdict} — {row.why}"
    return ""


def quarantine_rows(files: Sequence[Quarantined], each: bool) -> tuple[QuarantineRow, ...]:
    """Files set aside: one row a reason, most frequent first; or one row a file, oldest first."""
    if each:
        return tuple(
            QuarantineRow(file.reason, 1, safe(file.message), file.set_aside_utc, file.name_hmac)
            for file in files
        )
    latest = {file.reason: file for file in files}  # oldest first, so the last one stays
    return tuple(
        QuarantineRow(reason, count, safe(latest[reason].message), latest[reason].set_aside_utc)
        for reason, count in Counter(file.reason for file in files).most_common()
    )
