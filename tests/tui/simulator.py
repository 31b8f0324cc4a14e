"""An appliance without a workspace: planted views behind the screens' backend protocol.

`python tests/tui/simulator.py [SECONDS]` opens the screens on it; an audit then takes about SECONDS.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from appliance.cases.views import CaseRow, CaseState, CaseView
from appliance.doctor import Check
from appliance.errors import ApplianceError, IntegrityError, Locked, NotPermitted, UsageError
from appliance.evidence.index import asked, fits
from appliance.evidence.views import (
    CheckedFile,
    ExportedLog,
    LogFilter,
    LogPage,
    PackRow,
    StateView,
    WitnessRow,
)
from appliance.finding_views import Second
from appliance.members import UserView
from appliance.pack.answer.pages import said
from appliance.pack.answer.views import AnsweredAudit, AnswerView
from appliance.permissions import RULES
from appliance.runs.views import RunState, RunView
from appliance.setup_view import STEPS, SetupView
from appliance.strength import Strength, strength
from appliance.views import (
    AuditRow,
    AuditView,
    CohortView,
    LogHealth,
    LogRow,
    ModelCheck,
    ModelDifference,
    ModelView,
    OverviewRow,
    OverviewView,
    PairingRow,
    PairingView,
    Progress,
    QuarantineRow,
)
from appliance.workspace.paper import words_of
from audit_core.results import (
    AuditResult,
    Consequence,
    ControlOutcome,
    ControlStatus,
    Design,
    DetectableEffect,
    DetectorReport,
    Exposure,
    Histogram,
    Interval,
    OperatingPoint,
    References,
    ReliabilityBin,
    Tier,
    Timing,
    Verdict,
    VerdictWord,
)
from tests.tui.arrivals import Arrivals
from tests.tui.case_views import decided, demo_cases, owned
from tests.tui.claim_views import CHECKED
from tests.tui.finding_simulator import PlantedFindings
from tests.tui.policy_simulator import SimulatedPolicies
from tests.tui.simulated_runs import SimulatedRuns
from tests.tui.watch_simulator import SimulatedWatch

MAY = {
    role: frozenset(name for name, rule in RULES.items() if role in rule.roles)
    for role in ("officer", "operator", "auditor")
}

WORDS = "harbor velvet onion cricket amber tunnel frost pepper lantern moss"
PASSPHRASE = "correct horse"


def bell(centre: float, spread: float, total: int, edges: tuple[float, ...]) -> tuple[int, ...]:
    """Counts of a normal bump over the bins, summing to about `total`."""
    weights = [math.exp(-(((a + b) / 2 - centre) ** 2) / (2 * spread**2)) for a, b in pairwise(edges)]
    return tuple(round(total * weight / sum(weights)) for weight in weights)


def histogram(leaky: bool) -> Histogram:
    """Scores by role; a leaky model has two humps among the targets."""
    edges = tuple(-4 + 0.25 * step for step in range(41))
    clean, exposed = bell(-1.2, 0.8, 22, edges), bell(3.4 if leaky else -1.0, 0.9, 24, edges)
    return Histogram(
        edges=edges,
        counts={
            "calibration": bell(-1.3, 0.85, 40, edges),
            "target": tuple(a + b for a, b in zip(clean, exposed, strict=True)),
            "member": bell(3.1 if leaky else -1.1, 1.0, 36, edges),
        },
        threshold=1.87 if leaky else None,
    )


def roc(power: float) -> tuple[tuple[float, float], ...]:
    """A smooth ROC; power 1 is chance, smaller is better."""
    return tuple((step / 40, (step / 40) ** power) for step in range(41))


def report(name: str, decides: bool, power: float) -> DetectorReport:
    """A detector report whose area follows from `power`."""
    auc = 1 / (1 + power)
    spread = Interval(max(0, auc - 0.07), min(1, auc + 0.05))
    return DetectorReport(
        name=name,
        decides=decides,
        reference_auroc=min(1.0, auc + 0.01),
        reference_auroc_ci=Interval(max(0, auc - 0.05), min(1, auc + 0.06)),
        target_auroc=auc,
        target_auroc_ci=spread,
        operating_points=(
            OperatingPoint(0.05, 0.05**power, "rough", 160, Interval(0.01, 0.17)),
            OperatingPoint(0.01, None, "not resolvable", 60),
        ),
        roc=roc(power),
        unscored=0,
    )


def controls(leaky: bool) -> tuple[ControlOutcome, ...]:
    """The controls of one run, with one that failed when the model is clean."""
    passed, absent = ControlStatus.PASSED, ControlStatus.NOT_APPLICABLE
    positive = passed if leaky else ControlStatus.FAILED
    found = (
        "Known members were found: AUROC 0.97, lower bound 0.91."
        if leaky
        else "Known members were not told apart: lower bound 0.43."
    )
    rows = (
        (
            "pipeline identity",
            passed,
            Consequence.VOID,
            "All digests equal the registered ones; the self-check pair gave the same loss.",
        ),
        ("unscored", passed, Consequence.VOID, "0 of 170 pairs had no score."),
        (
            "label permutation",
            passed,
            Consequence.VOID,
            "With labels permuted 20 times the mean AUROC was 0.50, as it must be.",
        ),
        (
            "control against control",
            passed,
            Consequence.VOID,
            "Half of the calibration controls as targets: 0 of 20 flagged.",
        ),
        ("positive control", positive, Consequence.BARS_PASS, found),
        (
            "blind baseline",
            passed,
            Consequence.TIER_E2,
            "Role cannot be told from the data alone: AUROC 0.52, lower bound 0.41.",
        ),
        (
            "conditional test",
            passed,
            Consequence.TIER_E1,
            "Still significant within ten strata of look-alike patients.",
        ),
        ("reference model", passed, Consequence.TIER_E1, "The base model shows no such difference."),
        (
            "post-release studies",
            absent,
            Consequence.TIER_E1,
            "The cohort holds no study newer than the model.",
        ),
        (
            "shuffled pairs",
            passed,
            Consequence.NONE,
            "62 % of the difference hangs on the pair, 38 % on the report alone.",
        ),
    )
    return tuple(ControlOutcome(*row) for row in rows)


def exposure(leaky: bool) -> Exposure:
    """21 of 46 patients, or nobody."""
    if not leaky:
        return Exposure(0, 46, Interval(0, 0.077), 0.1, 0.0, 0.61, 0.48, 0.0, None, None, 419)
    return Exposure(
        21, 46, Interval(0.309, 0.61), 0.1, 2.1, 2e-7, 0.0001, 0.348, 0.49, Interval(0.36, 0.61), 0
    )


def result(leaky: bool) -> AuditResult:
    """A whole result."""
    power = 0.06 if leaky else 0.95
    names = (
        ("fused", power),
        ("base_referenced", power * 1.3),
        ("minkpp", power * 3),
        ("loss", power * 4),
        ("gradaudit", power * 6),
    )
    return AuditResult(
        deciding_detector="fused",
        references=References.L3,
        design=Design.RANDOM,
        counts={"member": 36, "fitting": 28, "calibration": 40, "target": 46, "bank": 24},
        detectors=tuple(report(name, name == "fused", value) for name, value in names),
        controls=controls(leaky),
        exposure=exposure(leaky),
        tier=Tier.E3 if leaky else Tier.E0,
        detectable=DetectableEffect(
            0.12 if leaky else 0.31,
            "members" if leaky else "spike-in",
            "Fires in 80 % of 2,000 simulated audits.",
        ),
        histogram=histogram(leaky),
        slices_kept=1_204 if leaky else 96,
        slices_total=10_240,
        audited_layers=("language layer 3", "language layer 2"),
        memory_by_layer=(
            ("language layer 3, mlp", 0.41),
            ("language layer 3, attention", 0.33),
            ("language layer 2, mlp", 0.24),
            ("projector", 0.19),
            ("language layer 2, attention", 0.11),
            ("vision layer 2", 0.04),
        )
        if leaky
        else (),
        decision_weights=(
            ("loss below base", 1.42),
            ("Min-K%++ below base", 1.05),
            ("masked slices", 0.61),
            ("loss", 0.38),
            ("gradient norm", -0.22),
        ),
        model_facts={
            "parameters": "2,113,408",
            "precision": "float32",
            "vision tower": "from the checkpoint",
        },
        timings=(Timing("signals", 4.2), Timing("spike-in", 1.9), Timing("judgement", 0.8)),
        slices_by_layer=(
            ("language layer 3, mlp", 614, 2_048),
            ("language layer 3, attention", 328, 2_048),
            ("language layer 2, mlp", 184, 2_048),
            ("projector", 41, 1_024),
            ("language layer 2, attention", 33, 2_048),
            ("vision layer 2", 4, 1_024),
        )
        if leaky
        else (),
        reliability=(
            ReliabilityBin(0.06, 1, 31, Interval(0.001, 0.17)),
            ReliabilityBin(0.47, 5, 11, Interval(0.17, 0.77)),
            ReliabilityBin(0.93, 30, 34, Interval(0.73, 0.97)),
        )
        if leaky
        else (),
        claims=CHECKED if leaky else (),
    )


REASONS = {
    VerdictWord.FAIL: (
        "Targets rank above calibration controls by patient: p = 0.0000002, below alpha_fail 0.001.",
        "The cohort's evidence tier is E3: a documented random split; the data do not give roles away.",
        "The policy allows 0 exposed patients; 21 of 46 are flagged at q = 0.10.",
    ),
    VerdictWord.INCONCLUSIVE: (
        "No test fired: p = 0.61, nobody flagged.",
        "The smallest share this audit could have seen is 31 %; the policy asks for 10 %.",
    ),
    VerdictWord.PASS: (
        "No test fired: p = 0.48, nobody flagged.",
        "The audit would have seen 8 % exposed patients; the policy asks for 10 %.",
    ),
    VerdictWord.REVIEW: ("Targets rank above controls: p = 0.021, tier E1.",),
    VerdictWord.VOID: (
        "The control 'pipeline identity' failed: the weights differ from the registered ones.",
    ),
}
LINES = {
    VerdictWord.VOID: 1,
    VerdictWord.FAIL: 3,
    VerdictWord.REVIEW: 4,
    VerdictWord.PASS: 5,
    VerdictWord.INCONCLUSIVE: 6,
}


def audit_view(audit_id: str, model: str, word: VerdictWord) -> AuditView:
    """A finished audit of the given verdict."""
    began = "2026-11-20T14:02:31Z"
    row = AuditRow(audit_id, model, "demo", "demo", began, "done", word, REASONS[word][0], "2")
    return AuditView(
        row=row,
        verdict=Verdict(word, LINES[word], REASONS[word]),
        result=result(word is VerdictWord.FAIL),
        policy_digest="5b1f" * 16,
        cohort_digest="90ac" * 16,
        model_digest="e77d" * 16,
        isolation=(
            ("seccomp", "on"),
            ("Landlock", "on"),
            ("network namespace", "not available: no user namespaces"),
        ),
        sample_note="Demo data, and few of them: 46 target patients against 40 controls.",
    )


def demo_overview(entries: int = 148) -> OverviewView:
    """Three audited models."""
    rows = (
        OverviewRow(
            "lumen-vlm",
            "Lumen Imaging",
            VerdictWord.FAIL,
            REASONS[VerdictWord.FAIL][0],
            "2026-11-20T14:02:31Z",
            "a-0003",
        ),
        OverviewRow(
            "harbor-clip",
            "Harbor Health AI",
            VerdictWord.FAIL,
            REASONS[VerdictWord.FAIL][0],
            "2026-11-20T14:02:44Z",
            "a-0002",
        ),
        OverviewRow(
            "clear-vlm",
            "Clearwater",
            VerdictWord.INCONCLUSIVE,
            REASONS[VerdictWord.INCONCLUSIVE][1],
            "2026-11-20T14:02:58Z",
            "a-0001",
        ),
        OverviewRow("north-vlm", "Northfield", None, "", "", ""),
    )
    needs = (
        "lumen-vlm@3: weights, config changed and nobody had announced it; 1 d 23 h left",
        "north-vlm was never audited",
        "the log was not reviewed for 31 days",
    )
    cases = tuple(view.row for view in demo_cases().values() if view.row.state is not CaseState.CLOSED)
    verified = entries, "2026-11-20T08:00:00Z"
    health = LogHealth(True, entries, "3fa9c2d17b60e4855d" * 3, WORDS, "", "", "", *verified)
    places = "models", "", "log"
    return OverviewView("St. Brigid General", True, rows, health, 189, 189, 174, 3, needs, cases, places)


PAIRING = PairingView(
    (("AccessionNumber", 120), ("StudyInstanceUID", 54)),
    (
        PairingRow("no-report", "no report names this study, and none stands alone near its date", 11, 0),
        PairingRow("no-image", "no image of the study it names is here", 0, 4),
    ),
)
CHECKS = (
    Check("python", "ok", "Python 3.12.3"),
    Check("packages", "ok", "all required packages are there in the expected versions"),
    Check("disk", "warning", "2.1 GiB are free for the workspace", "make room there, or use a larger disk"),
    Check("swap", "warning", "memory may be written in clear text to /swap.img", "sudo swapoff -a"),
    Check(
        "SQLCipher",
        "failure",
        "the database library does not encrypt",
        "pip install --force-reinstall sqlcipher3, in the version of requirements.lock",
    ),
    Check("isolation", "ok", "network namespace, seccomp and Landlock are on; nothing gets out"),
)


@dataclass
class Simulator(Arrivals, SimulatedWatch, SimulatedPolicies, PlantedFindings):
    """Planted answers; `gate`, when set, gives the run at work its steps."""

    view: OverviewView = field(default_factory=demo_overview)
    audits_: dict[str, AuditView] = field(
        default_factory=lambda: {
            "a-0003": audit_view("a-0003", "lumen-vlm", VerdictWord.FAIL),
            "a-0002": audit_view("a-0002", "harbor-clip", VerdictWord.FAIL),
            "a-0001": audit_view("a-0001", "clear-vlm", VerdictWord.INCONCLUSIVE),
        }
    )
    entries: int = 148
    failing: dict[str, ApplianceError] = field(default_factory=dict)
    gate: threading.Semaphore | None = None
    pause_s: float = 0.0
    queue_: SimulatedRuns | None = None
    calls: list[str] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)
    editions: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    asked_for: list[tuple[str, str, str]] = field(default_factory=list)  # model and days of answers
    lacking: str = ""  # what packs lack on this machine
    requested: list[tuple[int, int]] = field(default_factory=list)
    aside: tuple[QuarantineRow, ...] = (
        QuarantineRow("truncated-pixels", 2, "the pixel data end too early", "2026-11-20T13:58:02Z"),
        QuarantineRow(
            "archive-encrypted", 1, "a member of the archive has a password", "2026-11-20T13:58:40Z"
        ),
    )
    paired: PairingView = PAIRING
    checks: tuple[Check, ...] = field(default_factory=lambda: CHECKS)
    packs_: tuple[PackRow, ...] = (
        PackRow("a-0003", 147, "2026-11-20T14:20:00.000Z", "officer:77aa"),
        PackRow("a-0003", 131, "2026-11-20T14:11:00.000Z", "auditor:01f2"),
    )
    different: tuple[str, ...] = ()
    cases_: dict[str, CaseView] = field(default_factory=demo_cases)
    role: str = "officer"
    quorum_: int = 1
    users_: tuple[UserView, ...] = (
        UserView("a.huber", "officer", "everything; findings", True),
        UserView("b.meyer", "operator", "studies, models, audits", False),
        UserView("paper", "recovery", "a new officer; findings", False),
    )
    settled: SetupView = field(default_factory=SetupView)

    def _enter(self, call: str) -> None:
        self.calls.append(call)
        if call in self.failing:
            raise self.failing[call]

    def overview(self) -> OverviewView:
        self._enter("overview")
        return self.view

    def audits(self) -> tuple[AuditRow, ...]:
        self._enter("audits")
        failed = AuditRow(
            "a-0000",
            "north-vlm",
            "demo",
            "demo",
            "2026-11-19T09:00:00Z",
            "failed",
            None,
            "the worker ran out of memory",
        )
        return (*(view.row for view in self.audits_.values()), failed)

    def audit(self, audit_id: str) -> AuditView:
        self._enter("audit")
        if audit_id not in self.audits_:
            raise UsageError(f"audit {audit_id} has no result: failed", "given up before it finished")
        return self.audits_[audit_id]

    def cohorts(self) -> tuple[CohortView, ...]:
        self._enter("cohorts")
        counts = (("member", 36), ("fitting", 28), ("calibration", 40), ("target", 46), ("bank", 24))
        return (CohortView("demo", "90ac" * 16, "random", "L3", counts),)

    def models(self) -> tuple[ModelView, ...]:
        self._enter("models")
        return tuple(
            ModelView(
                row.model,
                "image-text-to-text",
                "e77d" * 16,
                row.vendor,
                "2026-03-01",
                True,
                2_113_408,
                "2026-11-20T14:00:00Z",
                architecture="LlavaForConditionalGeneration",
                path=f"/srv/models/{row.model}",
                base_path="/srv/models/base-vlm",
                audited="language layers 2–3, vision layer 2, projector",
                matrices=24,
                facts={"precision": "float32", "vision_tower": "from the checkpoint"},
                files={"model.safetensors": "e77d" * 16, "base/model.safetensors": "0b5e" * 16},
                line=row.model,
                version=3 if row.model == "lumen-vlm" else 1,
                found="unannounced" if row.model == "lumen-vlm" else "registered",
            )
            for row in self.view.models
        )

    def compare_models(self, first: str, second: str) -> tuple[ModelDifference, ...]:
        self._enter(f"compare_models {first} {second}")
        return (
            ModelDifference("parameters", "2,113,408", "2,113,920"),
            ModelDifference("file model.safetensors", "e77d" * 16, "41c0" * 16),
            ModelDifference("file adapter/adapter_model.safetensors", "", "77aa" * 16),
        )

    def verify_model(self, name: str) -> ModelCheck:
        self._enter("verify_model")
        return ModelCheck(name, "e77d" * 16, self.different)

    def quarantine(self, each: bool = False) -> tuple[QuarantineRow, ...]:
        self._enter("quarantine")
        if not each:
            return self.aside
        return tuple(
            replace(row, files=1, handle=f"{place:08x}" * 4)
            for row in self.aside
            for place in range(row.files)
        )

    def pairing(self) -> PairingView:
        self._enter("pairing")
        return self.paired

    def doctor(self) -> tuple[Check, ...]:
        self._enter("doctor")
        return self.checks

    def cases(self) -> tuple[CaseRow, ...]:
        self._enter("cases")
        return tuple(view.row for view in self.cases_.values())

    def case(self, audit_id: str) -> CaseView:
        self._enter("case")
        return self.cases_[audit_id]

    def assign_case(self, audit_id: str, owner: str = "") -> CaseView:
        self._enter(f"assign_case {owner}")
        return self._stepped(audit_id, owned(self.cases_[audit_id], owner))

    def decide_case(self, audit_id: str, decision: str, reason: str, answers: Sequence[str] = ()) -> CaseView:
        self._enter("decide_case")
        return self._stepped(audit_id, decided(self.cases_[audit_id], decision, reason, tuple(answers)))

    def reopen_case(self, audit_id: str, reason: str) -> CaseView:
        self._enter("reopen_case")
        return self._stepped(audit_id, decided(self.cases_[audit_id], "open", reason, ()))

    def _stepped(self, audit_id: str, view: CaseView) -> CaseView:
        self.cases_ = {**self.cases_, audit_id: view}
        return view

    def packs(self) -> tuple[PackRow, ...]:
        self._enter("packs")
        return self.packs_

    def verify_pack(self, path: Path) -> CheckedFile:
        self._enter("verify_pack")
        if "broken" in path.name:
            raise IntegrityError(
                f"{path.name} is broken: verdict.json differs", "ask its sender for a fresh copy"
            )
        held = ("withheld 18 of 18 leaves of data.json", "withheld 292 of 365 leaves of results.json")
        log, vendor = self.view.log, "vendor" in path.name
        return CheckedFile(
            True, self.entries, log.root, log.key_words, withheld=held if vendor else (), paper=not vendor
        )

    def log_count(self) -> int:
        self._enter("log_count")
        return self.entries

    def log_entries(self, offset: int, limit: int) -> tuple[LogRow, ...]:
        self._enter("log_entries")
        self.requested.append((offset, limit))
        acts = (
            "unlock",
            "ingest",
            "model.add",
            "cohort.create",
            "audit.start",
            "audit.result",
            "evidence.export",
            "log.view",
        )
        return tuple(
            LogRow(
                index,
                f"2026-11-20T{index // 3600 % 24:02d}:{index // 60 % 60:02d}:{index % 60:02d}Z",
                "officer-1",
                acts[index % len(acts)],
                f"hmac:{index * 2654435761 % 2**32:08x}",
                "refused" if index % 41 == 40 else "ok",
            )
            for index in range(offset, min(self.entries, offset + limit))
        )

    def log_find(self, wanted: LogFilter, offset: int, limit: int, newest_first: bool = False) -> LogPage:
        self._enter("log_find")
        below = self.entries if wanted.below is None else min(self.entries, wanted.below)
        if wanted == LogFilter(below=wanted.below):
            total = below
            first = max(0, below - offset - limit) if newest_first else offset
            rows = self.log_entries(first, max(0, min(limit, below - offset)))
        else:
            fit = [row for row in self.log_entries(0, below) if fits(row, asked(wanted))]
            total = len(fit)
            rows = tuple((fit[::-1] if newest_first else fit)[offset : offset + limit])
            return LogPage(rows, total)
        return LogPage(rows[::-1] if newest_first else rows, total)

    def log_verify(self, on_step: Callable[[int, int], None] | None = None) -> LogHealth:
        self._enter("log_verify")
        if on_step is not None:
            on_step(self.entries // 2, self.entries)
        return replace(self.view.log, entries=self.entries, verified_entries=self.entries)

    def log_state(self) -> StateView:
        self._enter("log_state")
        return StateView(self.entries, "3f" * 32, self.view.log.key_words, "tudoz " * 10)

    def witnesses(self) -> tuple[WitnessRow, ...]:
        self._enter("witnesses")
        return (WitnessRow("stick", "bapiz " * 10, self.entries - 3, "2026-11-20T17:00:00Z"),)

    def export_log(self, path: Path, form: str, first: int | None, last: int | None) -> ExportedLog:
        self._enter("export_log")
        return ExportedLog(str(path), form, first or 0, last or 0, True)

    @property
    def queue(self) -> SimulatedRuns:
        """The runs, once they are asked for."""
        if self.queue_ is None:
            self.queue_ = SimulatedRuns(self._ended, self.gate, self.pause_s)
        return self.queue_

    def _ended(self, run: RunView) -> None:
        word = VerdictWord.INCONCLUSIVE if "clear" in run.model or "north" in run.model else VerdictWord.FAIL
        self.audits_ = {run.run_id: audit_view(run.run_id, run.model, word), **self.audits_}

    def queue_audit(self, model: str, cohort: str, policy: str) -> RunView:
        self._enter("queue_audit")
        return self.queue.queue(model, cohort, policy)

    def runs(self) -> tuple[RunView, ...]:
        if "runs" in self.failing:  # not noted: the screens look twice a second
            raise self.failing["runs"]
        return self.queue.look()

    def pause_run(self, run_id: str) -> RunView:
        self._enter("pause_run")
        return self.queue.change(run_id, RunState.PAUSED)

    def resume_run(self, run_id: str) -> RunView:
        self._enter("resume_run")
        return self.queue.change(run_id, RunState.WAITING, first=True)

    def first_run(self, run_id: str) -> RunView:
        self._enter("first_run")
        return self.queue.change(run_id, RunState.WAITING, first=True)

    def cancel_run(self, run_id: str) -> None:
        self._enter("cancel_run")
        self.queue.drop(run_id)

    def export_pack(
        self, audit_id: str, path: Path, edition: str = "full", withhold: Collection[str] = ()
    ) -> Path:
        self._enter("export_pack")
        self.written.append(path)
        self.editions.append((edition, tuple(withhold)))
        return path

    def not_made(self) -> str:
        self._enter("not_made")
        return self.lacking

    def answer_auditor(
        self, model: str, since: str, until: str, path: Path, step: Callable[[Progress], None]
    ) -> AnswerView:
        self._enter("answer_auditor")
        self.asked_for.append((model, since, until))
        self.written.append(path)
        step(Progress("building packs", 1, 1, "packs"))
        rows = [one for one in self.audits_.values() if one.row.model == model]
        audits = tuple(
            AnsweredAudit(one.row.audit_id, model, one.verdict.word, one.row.started_utc) for one in rows
        )
        found = sorted(one.verdict.value for one in audits)
        sentences = tuple(said(found, 1, 0, 1, False))
        return AnswerView(
            path.name, model, since, until, False, audits, 1, 0, 1, 24, self.entries, 1_234_567,
            self.view.log.key_words, sentences,
        )  # fmt: skip

    def auto_lock_minutes(self) -> int:
        return 15

    def may(self) -> frozenset[str]:
        return MAY[self.role]

    def expect_permission(self, name: str) -> None:
        self._enter("expect_permission")
        if name not in self.may():
            raise NotPermitted(f"{RULES[name].act} is not for the role {self.role}", "Ask an officer.")

    def setup(self) -> SetupView:
        self._enter("setup")
        return self.settled

    def leave_setup(self, step: str) -> None:
        self._enter(f"leave_setup {step}")
        self.settled = replace(self.settled, step="" if step == STEPS[-1] else STEPS[STEPS.index(step) + 1])

    def set_intake(self, inbox: str, ae_title: str) -> None:
        self._enter("set_intake")
        if not ae_title.isascii():
            raise UsageError("this is no AE title", "1 to 16 plain letters")
        self.settled = replace(self.settled, inbox=inbox, ae_title=ae_title)

    def choose_policy(self, name: str) -> None:
        self._enter("choose_policy")
        self.settled = replace(self.settled, policy=name)

    def users(self) -> tuple[UserView, ...]:
        self._enter("users")
        return self.users_

    def quorum(self) -> int:
        return self.quorum_

    def add_user(self, name: str, role: str, passphrase: str, second: Second | None = None) -> None:
        self._enter(f"add_user {name} {role} {second.name if second else '-'}")
        self.users_ = (*self.users_, UserView(name, role, "results and log", False))

    def remove_user(self, name: str, second: Second | None = None) -> None:
        self._enter(f"remove_user {name} {second.name if second else '-'}")
        self.users_ = tuple(user for user in self.users_ if user.name != name)

    def reset_passphrase(self, name: str, new: str, second: Second | None = None) -> None:
        self._enter(f"reset_passphrase {name}")

    def change_passphrase(self, old: str, new: str) -> None:
        self._enter("change_passphrase")
        if old != PASSPHRASE:
            raise Locked("the passphrase is wrong", "check the keyboard layout")

    def set_quorum(self, quorum: int, second: Second | None = None) -> None:
        self._enter(f"set_quorum {quorum} {second.name if second else '-'}")
        self.quorum_ = quorum

    def add_recovery(self, name: str = "paper", words: str = "") -> str:
        self._enter(f"add_recovery {words}")
        return words

    def lock(self) -> None:
        self._enter("lock")


def paced() -> Simulator:
    """A simulator whose audit takes a few seconds."""
    return Simulator(pause_s=0.1)


def unlock(passphrase: str, user: str = "") -> Simulator:
    """The simulator behind its passphrase."""
    if passphrase != PASSPHRASE:
        raise Locked("the passphrase is wrong", "9 attempts are left before a pause")
    return Simulator(role=user or "officer")


@dataclass
class SimulatedDoor:
    """A way in; `built` is false before a first run, `crowded` where several users type a passphrase."""

    unlock: Callable[..., Any] = unlock
    built: bool = True
    crowded: bool = False
    made: list[tuple[str, str, str]] = field(default_factory=list)

    def must_say_who(self) -> bool:
        return self.crowded

    def open(self, passphrase: str, user: str) -> Any:
        return self.unlock(passphrase, user) if user else self.unlock(passphrase)

    def create(self, site: str, user: str, passphrase: str) -> Simulator:
        if not user.islower():
            raise UsageError(f"{user!r} cannot be the name of a user", "small letters")
        self.made.append((site, user, passphrase))
        self.built = True
        return Simulator(settled=SetupView(STEPS[0]))

    def strength(self, passphrase: str, *names: str) -> Strength:
        return strength(passphrase, names)

    def new_words(self) -> str:
        return words_of(bytes(range(32)))


if __name__ == "__main__":
    from tui.app import run

    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 6.0
    sys.exit(run(Simulator(pause_s=seconds / 55), SimulatedDoor()))
