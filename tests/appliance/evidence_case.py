"""A small log and a small audit, as evidence tests need them."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from appliance.evidence.entries import Act
from appliance.evidence.log import EvidenceLog
from appliance.pack import building as pack
from appliance.views import AuditRow, AuditView
from audit_core.results import (
    AuditResult,
    Consequence,
    ControlName,
    ControlOutcome,
    ControlStatus,
    DatasetInference,
    Design,
    DetectableEffect,
    DetectorReport,
    EpsilonBound,
    Exposure,
    Histogram,
    Interval,
    OperatingPoint,
    References,
    Tier,
    Timing,
    Verdict,
    VerdictWord,
)

POLICY = b'name = "demo"\nversion = "1"\n'
AUDIT = "A-0123456789ab"


class FrozenClock:
    """A clock that stands until a test moves it."""

    def __init__(self, utc_ms: int = 1_790_000_000_123, boot_ns: int = 5_000_000_000) -> None:
        self.utc, self.boot = utc_ms, boot_ns

    def utc_ms(self) -> int:
        """As set."""
        return self.utc

    def boot_ns(self) -> int:
        """As set."""
        return self.boot


def small_log(directory: Path, singles: int = 5, batches: tuple[int, ...] = (3, 2)) -> EvidenceLog:
    """A log with entries written one by one and in batches."""
    log = EvidenceLog.open(directory, clock=FrozenClock())
    for number in range(singles):
        log.append("models.add", log.identifier(f"model {number}"), "done", actor="officer")
    for size in batches:
        log.append_all([Act("ingest.file", log.identifier(f"study {number}")) for number in range(size)])
    return log


def result() -> AuditResult:
    """An audit's aggregates with every kind of field filled."""
    point = OperatingPoint(0.05, 0.84, "rough", 160, Interval(0.01, 0.09))
    far = OperatingPoint(0.01, None, "not resolvable", 60)
    roc = ((0.0, 0.0), (0.025, 0.5), (0.1, 0.9), (1.0, 1.0))
    detectors = tuple(
        DetectorReport(
            name, decides, 0.95, Interval(0.9, 1.0), 0.94, Interval(0.87, 0.99), (point, far), roc, 0
        )
        for name, decides in (("fused", True), ("loss", False))
    )
    states = (ControlStatus.PASSED, ControlStatus.FAILED, ControlStatus.NOT_APPLICABLE)
    controls = tuple(
        ControlOutcome(name.value, states[number % 3], Consequence.TIER_E1, f"Seen {number}.", {"auroc": 0.5})
        for number, name in enumerate(ControlName)
    )
    return AuditResult(
        deciding_detector="fused",
        references=References.L3,
        design=Design.RANDOM,
        counts={"member": 36, "fitting": 28, "calibration": 40, "target": 46, "bank": 24},
        detectors=detectors,
        controls=controls,
        exposure=Exposure(
            21, 46, Interval(0.309, 0.61), 0.1, 2.1, 2e-7, 1e-4, 0.348, 0.49, Interval(0.36, 0.6), 0
        ),
        tier=Tier.E3,
        detectable=DetectableEffect(0.12, "members", "12 % exposed would have been seen."),
        histogram=Histogram((-1.0, 0.0, 1.0, 2.0), {"target": (3, 2, 9), "calibration": (8, 4, 0)}, 1.25),
        slices_kept=1204,
        slices_total=10240,
        audited_layers=("language layer 3",),
        memory_by_layer=(("language layer 3", 0.41),),
        decision_weights=(("loss below base", 1.42),),
        model_facts={"parameters": "2113408"},
        timings=(Timing("signals", 4.2),),
        dataset_inference=DatasetInference(0.004, 0.7, 20, ("neg_loss",), "As sets they differ (p = 0.004)."),
        epsilon=(EpsilonBound("one run", 1.82, 0.95, {"guesses": 20}, "Epsilon is at least 1.82."),),
    )


def view(word: VerdictWord = VerdictWord.FAIL, model: str = "lumen-vlm") -> AuditView:
    """A finished audit."""
    row = AuditRow(AUDIT, model, "demo", "demo", "2026-11-20T14:02:31Z", "done", word, "Reason 1.")
    return AuditView(
        row=row,
        verdict=Verdict(word, 3, ("Reason 1.", "Reason 2.", "Reason 3.")),
        result=result(),
        policy_digest=sha256(POLICY).hexdigest(),
        cohort_digest=sha256(b"cohort").hexdigest(),
        model_digest=sha256(b"model").hexdigest(),
        isolation=(("seccomp", "on"),),
        sample_note="DEMO. The sample is small.",
    )


def given(word: VerdictWord = VerdictWord.FAIL) -> pack.PackInput:
    """What a pack of the audit is made of."""
    return pack.PackInput(
        view=view(word),
        site="St. Example",
        policy_text=POLICY,
        model={
            "name": "lumen-vlm",
            "vendor": "Lumen",
            "released": "2026-03-01",
            "files": {"a.safetensors": "00"},
        },
        data={"counts": {"target": 46}, "share": 0.5},
        run={"seed": 0},
        salt_seed=bytes(range(32)),
        related=("model 1",),
    )


def closed_audit(directory: Path, word: VerdictWord = VerdictWord.FAIL) -> tuple[EvidenceLog, pack.PackInput]:
    """A log in which an audit began and closed, with other acts around it."""
    log, audit = small_log(directory), given(word)
    log.append("audit.run", log.identifier(AUDIT), "begins", policy_digest=audit.view.policy_digest)
    log.append("models.add", log.identifier("model 9"), "refused")
    pack.close_audit(log, audit, "officer")
    log.append("audit.run", log.identifier(AUDIT), "done", policy_digest=audit.view.policy_digest)
    return log, audit


def closed_again(log: EvidenceLog, given: pack.PackInput, actor: str = "officer") -> pack.PackInput:
    """An audit beside the first: no audit is closed twice."""
    number = len(log.acts("audit.close"))
    row = replace(given.view.row, audit_id=f"A-{number:012x}")
    given = replace(given, view=replace(given.view, row=row))
    log.append("audit.run", log.identifier(row.audit_id), "begins", policy_digest=given.view.policy_digest)
    pack.close_audit(log, given, actor)
    return given


def renamed(given: pack.PackInput, model: str) -> pack.PackInput:
    """The same audit of a model of another name."""
    return replace(given, view=replace(given.view, row=replace(given.view.row, model=model)))
