"""What the two front ends see: frozen, torch-free. `appliance.api` makes them, `tui` and `cli` show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

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
    Limit,
    OperatingPoint,
    Progress,
    ReliabilityBin,
    Tier,
    Verdict,
    VerdictWord,
)

if TYPE_CHECKING:
    from appliance.cases.views import CaseRow

__all__ = [  # the result types the front ends may name; they never import audit_core themselves
    "AuditResult",
    "AuditRow",
    "AuditView",
    "BalanceView",
    "BreakdownView",
    "CohortView",
    "Consequence",
    "ControlOutcome",
    "ControlStatus",
    "DetectableEffect",
    "DetectorReport",
    "DifferenceView",
    "DuplicateView",
    "EstimateView",
    "Exposure",
    "Histogram",
    "IngestView",
    "Interval",
    "Limit",
    "LogHealth",
    "LogRow",
    "ModelCheck",
    "ModelDifference",
    "ModelView",
    "OperatingPoint",
    "OverviewRow",
    "OverviewView",
    "PairView",
    "PairingRow",
    "PairingView",
    "Progress",
    "QuarantineRow",
    "ReliabilityBin",
    "RoleView",
    "Tier",
    "UnpairedView",
    "Verdict",
    "VerdictWord",
    "VersionView",
    "plain",
]


@dataclass(frozen=True, slots=True)
class EstimateView:
    """What an audit of a model will take: extrapolated from a trial, not a promise.

    Attributes:
        pairs: size of the cohort it is for.
        seconds: of the model's part of the audit.
        peak_bytes: most memory the worker will hold.
        basis: what it was extrapolated from, in one sentence.
    """

    pairs: int
    seconds: float
    peak_bytes: int
    basis: str


@dataclass(frozen=True, slots=True)
class ModelView:
    """One registered model.

    Attributes:
        digest: hex SHA-256 over all file digests of model, base and adapter.
        released: ISO date or "".
        audited: what is looked at, such as `language layers 29–31, vision layers 21–23, projector`.
        not_audited: what is not.
        matrices: how many matrices are audited.
        converted: one line for every pickle that was converted into the vault.
        facts: what the loaded model says of itself: precision, vision tower, preprocessor …
        sealed: hex SHA-256 over all that was sealed, as it is opened; empty in records of earlier versions.
        files: file -> hex SHA-256; those of base and adapter under `base/` and `adapter/`.
        line: what the site calls it, whichever version; the name of the first.
        version: its number in the line.
        replaces: name of the version before.
        found: registered, announced or unannounced: how this version came to be known.
        superseded: a later version is registered.
    """

    name: str
    family: str
    digest: str
    vendor: str
    released: str
    has_base: bool
    parameters: int
    registered_utc: str
    has_adapter: bool = False
    architecture: str = ""
    path: str = ""
    base_path: str = ""
    adapter_path: str = ""
    audited: str = ""
    not_audited: str = ""
    matrices: int = 0
    converted: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    estimate: EstimateView | None = None
    sealed: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    line: str = ""
    version: int = 1
    replaces: str = ""
    found: str = "registered"
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """Whether the vendor's folders are still what was registered, once all that was sealed has opened.

    Attributes:
        different: one phrase for each file that is missing, changed or new.
        absent: parts that are not there any more: `model`, `base`, `adapter`.
        superseded: they are not because a later version lies there.
    """

    name: str
    digest: str
    different: tuple[str, ...]
    absent: tuple[str, ...] = ()
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class ModelDifference:
    """One file or fact that two models do not share; empty where one has none."""

    what: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class RoleView:
    """One role of a cohort: patients, pairs, first and last study date."""

    role: str
    patients: int
    pairs: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class BreakdownView:
    """How many patients of each role have a word of a characteristic.

    Attributes:
        patients: word -> patients, in the order of the cohort's roles.
    """

    characteristic: str
    patients: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class DifferenceView:
    """One characteristic among targets and calibration controls.

    Attributes:
        value: the word whose shares are given; empty where they are means.
        standardised: in standard deviations; None where the characteristic alone tells the roles apart.
        remark: empty where the groups are alike.
    """

    characteristic: str
    value: str
    targets: float
    controls: float
    standardised: float | None
    remark: str


@dataclass(frozen=True, slots=True)
class BalanceView:
    """How alike the roles of a cohort are. Has small groups: for the officer's own eyes."""

    roles: tuple[RoleView, ...]
    breakdowns: tuple[BreakdownView, ...]
    differences: tuple[DifferenceView, ...]


@dataclass(frozen=True, slots=True)
class CohortView:
    """One frozen cohort: patients per role, design, references, digest.

    Attributes:
        warnings: what may mislead; found at freezing, or since.
        balance: where it was asked for.
    """

    name: str
    digest: str
    design: str
    references: str
    counts: tuple[tuple[str, int], ...]  # role -> patients
    warnings: tuple[str, ...] = ()
    balance: BalanceView | None = None


@dataclass(frozen=True, slots=True)
class UnpairedView:
    """One image or report that is in no pair, with its handles and why."""

    kind: str  # image or report
    content_digest: str
    reason: str
    why: str
    patient_id: str
    accession: str
    study_uid: str
    study_date: str
    modality: str
    status: str
    source: str
    by: str  # digest of what stands in its place, else ""


@dataclass(frozen=True, slots=True)
class PairingRow:
    """How many images and reports are in no pair for one reason: a stable code, and its words."""

    reason: str
    why: str
    images: int
    reports: int


@dataclass(frozen=True, slots=True)
class PairingView:
    """How pairs were found and what is in none, in numbers: names no patient.

    Attributes:
        rules: what joined image and report -> standing pairs, most frequent first.
        unpaired: most frequent reason first; earlier versions and copies are reasons too.
    """

    rules: tuple[tuple[str, int], ...]
    unpaired: tuple[PairingRow, ...]


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version of a pair's report, or a copy of it."""

    content_digest: str
    status: str
    issued: str
    source: str
    state: str  # stands, superseded or copy


@dataclass(frozen=True, slots=True)
class PairView:
    """One pair whole: why it is one, both sides' handles, every version of the report.

    Attributes:
        standing: False once a later report took its place.
        image, report: keyword -> value.
        copies: digests of files with the same image.
    """

    pair_id: str
    patient: str
    standing: bool
    rule: str
    note: str
    frame_rule: str
    image: tuple[tuple[str, str], ...]
    report: tuple[tuple[str, str], ...]
    versions: tuple[VersionView, ...]
    copies: tuple[str, ...]
    places: tuple[tuple[str, str], ...]  # cohort, role


@dataclass(frozen=True, slots=True)
class DuplicateView:
    """One image or report that has a near-duplicate; those of one group show the same."""

    group: int
    kind: str  # picture or text
    content_digest: str
    patient_id: str
    accession: str
    study_date: str
    source: str
    pair_id: str  # standing pair, else ""
    patients: int  # in the group


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One finished or running audit, as a line of a table."""

    audit_id: str
    model: str
    cohort: str
    policy: str
    started_utc: str
    state: str  # "running", "interrupted", "done", "failed"
    verdict: VerdictWord | None
    why: str  # first reason, or the failure
    policy_version: str = ""  # "" where an earlier version did not keep it
    policy_digest: str = ""  # hex SHA-256 of its text


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
    policy_version: str = ""  # "" in what an earlier version stored without the policy's text

    @property
    def policy(self) -> str:
        """The policy it was decided by, with its version."""
        return f"{self.row.policy}, version {self.policy_version}" if self.policy_version else self.row.policy


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """One model on the overview: last verdict, why, when."""

    model: str
    vendor: str
    verdict: VerdictWord | None
    why: str
    audited_utc: str
    audit_id: str
    due: str = ""  # when its next audit by a schedule is due, ISO; in the past where nobody has started it
    policy: str = ""  # NAME@VERSION of what decided last
    policy_digest: str = ""


@dataclass(frozen=True, slots=True)
class LogHealth:
    """The log in one line.

    Attributes:
        intact: nothing was found that is not as signed.
        verified_entries: how many entries were re-derived together, last; those after it were when they came.
        verified_utc: when; "" where nobody vouches for any time.
    """

    intact: bool
    entries: int
    root: str  # hex
    key_words: str  # ten words naming the signing key
    problem: str  # "" when intact
    witnessed: str = ""  # "witnessed", "not yet", "unwitnessed": evidence waits for longer than seven days
    witnessed_utc: str = ""  # of the last cosignature, by the witness's clock
    verified_entries: int = 0
    verified_utc: str = ""


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
    cases: tuple[CaseRow, ...] = ()  # those that are not closed, the most urgent first
    needs_at: tuple[str, ...] = ()  # of each need, the place of the screens where that is done; "" for here


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
        warnings: code -> files that were taken in although something about them is odd.
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
    warnings: tuple[tuple[str, int], ...] = ()


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
