"""What the two front ends see: frozen, torch-free. `appliance.api` makes them, `tui` and `cli` show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum
from typing import Any

from audit_core.results import (
    AuditResult,
    Consequence,
    ControlOutcome,
    ControlStatus,
    DetectableEffect,
    DetectorReport,
    Exposure,
    Histogram,
    Interval,
    OperatingPoint,
    Progress,
    Tier,
    Verdict,
    VerdictWord,
)

__all__ = [  # the result types the front ends may name; they never import audit_core themselves
    "AuditResult",
    "AuditRow",
    "AuditView",
    "CohortView",
    "Consequence",
    "ControlOutcome",
    "ControlStatus",
    "DetectableEffect",
    "DetectorReport",
    "Exposure",
    "Histogram",
    "IngestView",
    "Interval",
    "LogHealth",
    "LogRow",
    "ModelView",
    "OperatingPoint",
    "OverviewRow",
    "OverviewView",
    "Progress",
    "QuarantineRow",
    "Tier",
    "Verdict",
    "VerdictWord",
    "plain",
]


@dataclass(frozen=True, slots=True)
class ModelView:
    """One registered model."""

    name: str
    family: str
    digest: str  # hex SHA-256 over all file digests
    vendor: str
    released: str  # ISO date or ""
    has_base: bool
    parameters: int
    registered_utc: str


@dataclass(frozen=True, slots=True)
class CohortView:
    """One frozen cohort: patients per role, design, references, digest."""

    name: str
    digest: str
    design: str
    references: str
    counts: tuple[tuple[str, int], ...]  # role -> patients


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One finished or running audit, as a line of a table."""

    audit_id: str
    model: str
    cohort: str
    policy: str
    started_utc: str
    state: str  # "running", "done", "failed"
    verdict: VerdictWord | None
    why: str  # first reason, or the failure


@dataclass(frozen=True, slots=True)
class AuditView:
    """One audit whole: verdict, numbers, policy, provenance."""

    row: AuditRow
    verdict: Verdict
    result: AuditResult
    policy_digest: str
    cohort_digest: str
    model_digest: str
    isolation: tuple[tuple[str, str], ...]  # layer -> "on" or why not
    sample_note: str  # said on every page when the policy calls the sample small, else ""


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """One model on the overview: last verdict, why, when."""

    model: str
    vendor: str
    verdict: VerdictWord | None
    why: str
    audited_utc: str
    audit_id: str


@dataclass(frozen=True, slots=True)
class LogHealth:
    """The log in one line."""

    intact: bool
    entries: int
    root: str  # hex
    key_words: str  # ten words naming the signing key
    problem: str  # "" when intact


@dataclass(frozen=True, slots=True)
class OverviewView:
    """The first screen."""

    site: str
    demo: bool
    models: tuple[OverviewRow, ...]
    log: LogHealth
    studies: int
    reports: int
    pairs: int
    quarantined: int
    needs_me: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogRow:
    """One entry of the log as a table row."""

    index: int
    claimed_utc: str
    actor: str
    act: str
    object: str
    outcome: str


@dataclass(frozen=True, slots=True)
class IngestView:
    """Counts of one ingest; pairs and what has no partner count the whole workspace.

    Attributes:
        reports: texts taken, also out of documents and archives of messages.
        duplicates: files whose bytes were taken in before, here or in an earlier ingest.
        quarantined: reason -> files set aside, most frequent first.
        documents: DICOM objects without an image.
        orders: valid messages and resources that are no imaging report.
        empty_reports: reports without words.
        studies: studies that another system describes.
    """

    files: int
    images: int
    reports: int
    pairs: int
    duplicates: int
    quarantined: tuple[tuple[str, int], ...]
    unpaired_images: int
    unpaired_reports: int
    documents: int = 0
    orders: int = 0
    empty_reports: int = 0
    studies: int = 0


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """Files set aside for one reason; or one of them, by a keyed handle of its name."""

    reason: str
    files: int
    message: str
    set_aside_utc: str  # of the latest
    handle: str = ""  # of one file's name; "" where the row counts files


def plain(view: Any) -> dict[str, Any]:
    """A view (or any vocabulary dataclass) as JSON-ready dictionaries and lists."""
    value = _plain(view)
    assert isinstance(value, dict)
    return value


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value.name if isinstance(value, IntEnum) else value
