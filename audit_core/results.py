"""The vocabulary of an audit's answer. Frozen, torch-free, safe to store and to show.

Nothing here computes. `AuditResult` holds aggregates only (counts, intervals, controls); what concerns one
pair or patient lives in `Finding` and stays sealed in the vault.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from audit_core.claims import ClaimCheck


class Role(StrEnum):
    """What a pair is in a cohort (DESIGN §4)."""

    MEMBER = "member"
    FITTING = "fitting"  # control half used for mask and fusion
    CALIBRATION = "calibration"  # control half used for p-values
    TARGET = "target"
    BANK = "bank"  # anchors of contrastive losses
    POST_RELEASE = "post_release"
    CANARY = "canary"  # made-up pair of a design, planted or not; never a patient


class References(StrEnum):
    """Where known members come from (METHOD §7)."""

    L1 = "L1"  # named by the vendor under contract
    L2 = "L2"  # public data the model is known to be trained on
    L3 = "L3"  # pairs this hospital handed over or fine-tuned on
    L4 = "L4"  # none; spike-in on a copy
    L5 = "L5"  # none at all


class Design(StrEnum):
    """How members, controls and targets were told apart (METHOD §7, evidence tiers)."""

    COMMITTED = "committed"
    RANDOM = "random"
    CONVENIENCE = "convenience"


class Tier(IntEnum):
    """How much the cohort's design lets the number prove, E0 … E4 (METHOD §7)."""

    E0 = 0
    E1 = 1
    E2 = 2
    E3 = 3
    E4 = 4


class VerdictWord(StrEnum):
    """The five answers. INCONCLUSIVE and VOID never round up to PASS."""

    PASS = "PASS"
    REVIEW = "REVIEW"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    VOID = "VOID"


class ControlStatus(StrEnum):
    """Outcome of one control; `NOT_APPLICABLE` never counts as passed."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


class Consequence(StrEnum):
    """The one thing that follows when a control fails (METHOD §6)."""

    VOID = "voids the audit"
    BARS_PASS = "bars PASS"
    TIER_E2 = "tier at most E2"
    TIER_E1 = "tier at most E1"
    NONE = "diagnosis only"


class ControlName(StrEnum):
    """The controls of METHOD §6, as printed."""

    IDENTITY = "pipeline identity"
    UNSCORED = "unscored"
    LABEL_PERMUTATION = "label permutation"
    CONTROL_AGAINST_CONTROL = "control against control"
    POSITIVE = "positive control"
    BLIND_MEMBERS = "blind baseline, members"
    BLIND_TARGETS = "blind baseline, targets"
    CONDITIONAL = "conditional test"
    REFERENCE_MODEL = "reference model"
    POST_RELEASE = "post-release studies"
    SHUFFLED = "shuffled pairs"


@dataclass(frozen=True, slots=True)
class Score:
    """A finite number; larger means more member-like."""

    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError("a score is a finite number; use Unscored for a failure")


@dataclass(frozen=True, slots=True)
class Unscored:
    """Why there is no score. Never 0.0."""

    reason: str


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval [low, high] at `level` (0.95 = 95 %)."""

    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class ControlOutcome:
    """One control of METHOD §6: what happened, in numbers and in one sentence for an officer."""

    name: str
    status: ControlStatus
    consequence: Consequence
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """True-positive rate at a nominal false-positive rate, or how many controls are missing to print it."""

    alpha: float
    tpr: float | None
    label: str  # "headline", "rough" or "not resolvable"
    missing_controls: int  # non-members still needed before a headline may be printed
    realised_fpr: Interval | None = None


@dataclass(frozen=True, slots=True)
class DetectorReport:
    """One detector on the references (cross-fitted) and on targets against calibration controls."""

    name: str
    decides: bool
    reference_auroc: float | None  # members against fitting controls; None without members
    reference_auroc_ci: Interval | None
    target_auroc: float | None  # targets against calibration controls
    target_auroc_ci: Interval | None
    operating_points: tuple[OperatingPoint, ...]
    roc: tuple[tuple[float, float], ...]  # (fpr, tpr) of targets against calibration controls
    unscored: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """Scores of the deciding detector by role; `edges` has one more number than each count list.

    Attributes:
        counts: role -> counts; None stands for a few patients that are not told, in a rounded one alone.
        threshold: smallest flagged score, or what it rounds to; None when nobody is flagged.
        rounded: made to leave the site: coarse, with no number that is a patient's.
    """

    edges: tuple[float, ...]
    counts: Mapping[str, tuple[int | None, ...]]
    threshold: float | None
    rounded: bool = False


@dataclass(frozen=True, slots=True)
class Exposure:
    """How many of the judged patients are exposed, and how sure that is (METHOD §7)."""

    flagged: int  # patients flagged by Benjamini-Hochberg at q
    patients: int  # target patients judged
    flagged_ci: Interval  # binomial, of the share flagged: not of the exposed share, and shown nowhere
    q: float
    expected_false: float  # q * flagged: bounds the mean over audits, not this list
    rank_test_p: float  # one-sided, targets against calibration controls, by patient
    prevalence_null_p: float | None  # parametric bootstrap test of pi = 0
    prevalence_lower: float  # 95 % lower bound of the exposed share; 0.0 where none is stated
    prevalence_estimate: float | None  # quantifier, only where its guard-rails allow
    prevalence_ci: Interval | None
    missing_controls: int  # further calibration controls needed to flag one patient at q; 0 when resolvable
    targets_alike: ControlStatus | None = None  # blind baseline of targets; no share is stated unless passed


@dataclass(frozen=True, slots=True)
class DetectableEffect:
    """Smallest share of exposed patients at which line 3 fires in 80 % of simulated audits."""

    share: float | None
    basis: str  # "members", "spike-in" or "none"
    sentence: str


@dataclass(frozen=True, slots=True)
class DatasetInference:
    """Are the targets as a set unlike the controls (Maini 2024)? Shown with its null check; decides nothing.

    Attributes:
        p: targets against all controls, splits combined; None where it could not run.
        null_p: the same among controls, where nothing may be found; None where it could not run.
        splits: random halvings by patient.
        signals: what the model on the first half may weigh.
        sentence: what the two numbers say, or why there are none.
    """

    p: float | None
    null_p: float | None
    splits: int
    signals: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class EpsilonBound:
    """A lower bound from counts. Speaks of differential privacy only where coins drew the members.

    Attributes:
        name: "one run" or "empirical separation".
        lower: the bound at `level`; 0.0 says that nothing is shown.
        level: its confidence.
        counts: what it was computed from, in words -> number.
        sentence: what it says and what it does not.
    """

    name: str
    lower: float
    level: float
    counts: Mapping[str, int]
    sentence: str


@dataclass(frozen=True, slots=True)
class CanaryDose:
    """Canaries planted in so many copies, against the never-planted ones of the same design.

    Attributes:
        ranks: of each one among the never-planted, 1 = above all of them; in no order that names one.
        p_value: one-sided rank test; None without a score on either side.
    """

    copies: int
    ranks: tuple[int, ...]
    p_value: float | None


@dataclass(frozen=True, slots=True)
class CanaryReport:
    """What a design's canaries say of a model; they are pairs without a patient (METHOD §7).

    Attributes:
        ids: canaries of the design.
        planted: those of them with a copy among the released studies, by a coin each.
        unscored: canaries without a score; each counts as a wrong guess.
        p_value: one-sided rank test, all planted against all never-planted.
        guesses: "planted" or "never planted", half of them each; their number was committed beforehand.
        correct: guesses that were right.
        epsilon_lower: one-run bound at 95 %, for a canary with all its copies; None without guesses.
    """

    ids: int
    planted: int
    unscored: int
    doses: tuple[CanaryDose, ...]
    p_value: float | None
    auroc: float | None
    guesses: int
    correct: int
    epsilon_lower: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Limit:
    """Something this audit could not do, why, and what would help; each one sentence for an officer."""

    what: str
    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds spent in one phase of the audit."""

    phase: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Known pairs whose predicted probability of membership lies together (METHOD §7, leak probability).

    Attributes:
        predicted: mean probability that a fit without their fold gave them.
        members: known members among them.
        references: all of them.
        interval: of the share of members, exact binomial.
    """

    predicted: float
    members: int
    references: int
    interval: Interval


@dataclass(frozen=True, slots=True)
class AuditResult:
    """Everything about an audit that names no pair and no patient."""

    deciding_detector: str
    references: References
    design: Design
    counts: Mapping[str, int]  # role -> patients judged
    detectors: tuple[DetectorReport, ...]
    controls: tuple[ControlOutcome, ...]
    exposure: Exposure | None  # None when the audit stopped before judgement
    tier: Tier
    detectable: DetectableEffect
    histogram: Histogram | None
    slices_kept: int
    slices_total: int
    audited_layers: tuple[str, ...]
    memory_by_layer: tuple[tuple[str, float], ...]  # layer -> mean sensitivity gap, largest first
    decision_weights: tuple[tuple[str, float], ...]  # fused: signal -> standardised weight
    model_facts: Mapping[str, str]  # parameters, vision tower audited, bank size, precision …
    timings: tuple[Timing, ...]
    as_published: bool = False  # GradAudit as its authors released it: neither PASS nor FAIL can follow
    dataset_inference: DatasetInference | None = None
    epsilon: tuple[EpsilonBound, ...] = ()  # only where the design was by coins or a random split
    limits: tuple[Limit, ...] = ()  # what could not be done
    canaries: CanaryReport | None = None  # only where a design planted some
    decision_carried: tuple[tuple[str, float], ...] = ()  # signal -> log-odds of targets above controls
    slices_by_layer: tuple[tuple[str, int, int], ...] = ()  # layer, slices kept, slices it has
    reliability: tuple[ReliabilityBin, ...] = ()  # of leak probabilities, where any is stated; by probability
    claims: tuple[ClaimCheck, ...] = ()  # of the vendor, in force when the audit was asked for


@dataclass(frozen=True, slots=True)
class Finding:
    """One pair in one audit. Membership is health information: sealed, never in a log or a pack."""

    pair_id: str
    patient: str  # pseudonym
    role: Role
    judged: bool  # False for the further pairs of a patient
    scores: Mapping[str, Score | Unscored]
    p_value: float | None
    flagged: bool
    leak_probability: Mapping[str, float]  # prior ("0.001", …) -> posterior, "mixture", "as published"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The policy's answer, the line of METHOD §7 that gave it, and reasons in sentences."""

    word: VerdictWord
    line: int  # 1 … 6
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of long work; a slow terminal may skip any of them."""

    phase: str
    done: int
    total: int
    unit: str = "pairs"
