"""From signals to an audit's answer: score, control, judge (METHOD §6, §7). Never touches a model.

One patient, one number. Everything random comes from the audit's seed, each step from a stream of its own,
so that adding a step changes no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audit_core.alike import GATES, no_sensitivity, shown_alike, status_of
from audit_core.bounds import epsilon_bounds
from audit_core.calibration import fit_mixture, likelihood_ratio
from audit_core.clock import StepClock
from audit_core.cohort import Rows, references, scored_rows
from audit_core.control_run import (
    MEMBERS_IN_THEIR_OWN_MEAN,
    SCORED_ROLES,
    ControlRun,
    run_controls,
    unscored,
)
from audit_core.dataset_inference import dataset_inference
from audit_core.detectable import detectable_effect
from audit_core.detectors.published.calibration import published_mixture
from audit_core.detectors.seam import Labelled
from audit_core.exposure import QUANTIFIER_MINIMUM_AUROC, Judged, judge_exposure
from audit_core.findings import leak_probabilities, make_findings
from audit_core.policy import WITHOUT_MEMBERS
from audit_core.ranking import Resampler, auroc
from audit_core.reliability import reliability
from audit_core.reports import (
    audited_layers,
    decision_carried,
    decision_weights,
    detector_reports,
    histogram,
    memory_by_layer,
    slices_by_layer,
    slices_kept,
)
from audit_core.results import (
    AuditResult,
    ControlName,
    ControlOutcome,
    ControlStatus,
    Design,
    DetectableEffect,
    DetectorReport,
    EpsilonBound,
    Finding,
    Interval,
    References,
    ReliabilityBin,
    Role,
    Tier,
)
from audit_core.samples import PairFacts, ReportProgress, Settings
from audit_core.scoring import Scored, SpikeSignals, deciding_detector, score_all, score_spike
from audit_core.signals import SignalTable
from audit_core.tiers import evidence_tier

Floats = NDArray[np.float64]
Positive = tuple[str, float, Interval]

LEAST_CALIBRATION = 10
LEAST_TARGETS = 5
STEPS = ("detectors", "controls", "exposure", "findings")
JUDGED_ROLES = (Role.MEMBER, Role.FITTING, Role.CALIBRATION, Role.TARGET, Role.POST_RELEASE)


@dataclass(frozen=True, slots=True)
class _Scene:
    """Who is judged, and the deciding detector's finite scores by role.

    Attributes:
        spiked: scores of the spike-in's leaked and clean pairs, None without a spike-in.
    """

    rows: Rows
    refs: Labelled
    scored: Mapping[str, Scored]
    decider: Scored
    facts: tuple[PairFacts, ...]
    settings: Settings
    members: Floats
    calibration: Floats
    targets: Floats
    target_rows: NDArray[np.int64]
    spiked: tuple[Floats, Floats] | None


def judge(
    table: SignalTable,
    base_table: SignalTable | None,
    facts: Sequence[PairFacts],
    settings: Settings,
    *,
    identity: ControlOutcome,
    spike: SpikeSignals | None,
    shuffled: SignalTable | None,
    progress: ReportProgress,
) -> tuple[AuditResult, tuple[Finding, ...]]:
    """Judge an audit from its signals.

    Args:
        table: the audited model's signals.
        base_table: the base model's, for the same pairs, or None.
        facts: data-only facts of every pair but the bank's.
        settings: the policy's numbers and the cohort's design.
        identity: outcome of the pipeline-identity control.
        spike: signals of the spiked copy, or None.
        shuffled: scalars with reports moved between patients, or None.
        progress: called once per step.

    Returns:
        The aggregates, and one finding per pair. With too few patients for any statistic the exposure is
        None and a sentence says so.

    Raises:
        PolicyInvalid: the deciding detector is not known.
    """
    clock = StepClock(STEPS, progress)
    scene = _scene(table, base_table, tuple(facts), settings, spike)
    clock.step()
    why = _too_few(scene)
    if why:
        few = unscored(scene.rows, scene.facts, settings)
        counts = _counts(scene.rows, scene.decider)
        stopped = nothing_judged(settings, counts, (identity, few), why)
        stopped = replace(stopped, deciding_detector=scene.decider.name, model_facts=dict(table.facts))
        return stopped, make_findings(scene.scored, scene.rows, facts, scene.target_rows, None, ())
    reports = detector_reports(scene.scored, scene.decider.name, scene.rows, settings)
    positives = _positives(scene, reports[0])
    controls = _controls(scene, identity, positives, shuffled)
    clock.step()
    judged = _exposure(scene, reports[0], controls)
    detectable = _detectable(scene, positives, controls)
    clock.step()
    result = replace(
        _described(scene, reports, judged, table.facts),
        controls=controls,
        tier=_tier(judged, settings, controls),
        detectable=detectable,
        dataset_inference=dataset_inference(scene.rows, settings),
        epsilon=_epsilon(scene, controls),
        reliability=_reliability(scene, positives, controls),
    )
    odds = _probabilities(scene, judged, positives, controls)
    findings = make_findings(scene.scored, scene.rows, facts, scene.target_rows, judged, odds)
    clock.step()
    return replace(result, timings=tuple(clock.timings)), findings


def nothing_judged(
    settings: Settings,
    counts: Mapping[str, int],
    controls: tuple[ControlOutcome, ...],
    why: str,
) -> AuditResult:
    """The result of an audit that stopped before any signal was read."""
    return AuditResult(
        deciding_detector=settings.deciding_detector,
        references=settings.references,
        design=settings.design,
        counts=counts,
        detectors=(),
        controls=controls,
        exposure=None,
        tier=Tier.E0,
        detectable=DetectableEffect(None, "none", why),
        histogram=None,
        slices_kept=0,
        slices_total=0,
        audited_layers=(),
        memory_by_layer=(),
        decision_weights=(),
        model_facts={},
        timings=(),
        as_published=settings.as_published,
    )


def _scene(
    table: SignalTable,
    base: SignalTable | None,
    facts: tuple[PairFacts, ...],
    settings: Settings,
    spike: SpikeSignals | None,
) -> _Scene:
    rows = scored_rows(table, base, facts, settings)
    refs = references(rows, settings)
    name = deciding_detector(settings, rows.signals, refs)
    scored = score_all(rows, refs, settings)
    decider = scored[name]
    targets = rows.of(Role.TARGET)
    targets = targets[np.isfinite(decider.values[targets])]
    known = settings.references not in WITHOUT_MEMBERS
    return _Scene(
        rows=rows,
        refs=refs,
        scored=scored,
        decider=decider,
        facts=facts,
        settings=settings,
        members=decider.at(rows.of(Role.MEMBER)) if known else np.array([]),
        calibration=decider.at(rows.of(Role.CALIBRATION)),
        targets=decider.values[targets],
        target_rows=targets,
        spiked=None if spike is None else score_spike(spike, name, rows, refs, settings),
    )


def _too_few(scene: _Scene) -> str:
    """Why no statistic is possible, or an empty string."""
    if scene.decider.found is None:
        return f"The deciding detector, {scene.decider.name}, has no score: {scene.decider.reason}."
    for word, group, least in (
        ("calibration controls", scene.calibration, LEAST_CALIBRATION),
        ("targets", scene.targets, LEAST_TARGETS),
    ):
        if group.size < least:
            lost = f" ({scene.decider.reason})" if not np.isfinite(scene.decider.values).all() else ""
            return f"{group.size} {word} have a score{lost}; no statistic is possible under {least}."
    return ""


def _counts(rows: Rows, decider: Scored) -> dict[str, int]:
    """Role -> patients with a score: of the deciding detector where it could run and judges the role."""
    found = {role: rows.of(role) for role in JUDGED_ROLES}
    return {
        role.value: int(decider.at(who).size if decider.found and role in SCORED_ROLES else who.size)
        for role, who in found.items()
        if who.size
    }


def _positives(scene: _Scene, report: DetectorReport) -> tuple[Positive, ...]:
    """What the positive control may look for: known members, then the spike-in."""
    found: list[Positive] = []
    if report.reference_auroc is not None and report.reference_auroc_ci is not None:
        found.append(("members", report.reference_auroc, report.reference_auroc_ci))
    if scene.spiked is not None and min(part.size for part in scene.spiked) >= 2:
        leaked, clean = scene.spiked
        rng = np.random.default_rng([scene.settings.seed, 5])
        draws = Resampler(leaked.size, clean.size, scene.settings.bootstrap, rng)
        found.append(("spike-in", auroc(leaked, clean), draws.interval(leaked, clean)))
    return tuple(found)


def _controls(
    scene: _Scene, identity: ControlOutcome, positives: tuple[Positive, ...], shuffled: SignalTable | None
) -> tuple[ControlOutcome, ...]:
    run = ControlRun(
        scene.rows, scene.refs, scene.decider, scene.facts, scene.settings, identity, positives, shuffled
    )
    return run_controls(run)


def _exposure(scene: _Scene, report: DetectorReport, controls: Sequence[ControlOutcome]) -> Judged:
    return judge_exposure(
        scene.targets,
        scene.calibration,
        _exchangeable_members(scene, report, controls),
        scene.settings,
        np.random.default_rng([scene.settings.seed, 4]),
        status_of(ControlName.BLIND_TARGETS, controls),
    )


def _basis(positives: Sequence[Positive]) -> str:
    """The positive that counts, by the positive control's rule; "none" where it was not found."""
    return next((name for name, _, interval in positives[:1] if interval.low > 0.5), "none")


def _exchangeable_members(
    scene: _Scene, report: DetectorReport, controls: Sequence[ControlOutcome]
) -> Floats | None:
    """Members' scores where the quantifier may use them (METHOD §7, Prevalence), else None."""
    settings = scene.settings
    alike = (
        settings.references in (References.L1, References.L3) and settings.design is not Design.CONVENIENCE
    )
    alike = alike and all(shown_alike(gate, controls) for gate in GATES)
    strong = report.reference_auroc is not None and report.reference_auroc >= QUANTIFIER_MINIMUM_AUROC
    return scene.members if alike and strong and scene.members.size else None


def _detectable(
    scene: _Scene, positives: Sequence[Positive], controls: Sequence[ControlOutcome]
) -> DetectableEffect:
    if scene.settings.as_published:
        return DetectableEffect(None, "none", MEMBERS_IN_THEIR_OWN_MEAN)
    basis = _basis(positives)
    if basis == "none":
        why = "Known positives were not found" if positives else "There are no known positives"
        return DetectableEffect(None, "none", f"{why}, so sensitivity cannot be stated.")
    if basis == "members" and no_sensitivity(controls):
        return DetectableEffect(None, "none", no_sensitivity(controls))
    leaked, clean = scene.members, scene.calibration
    if basis == "spike-in" and scene.spiked is not None:
        leaked, clean = scene.spiked
    return detectable_effect(
        leaked, clean, scene.targets.size, scene.settings, basis, seed=scene.settings.seed
    )


def _probabilities(
    scene: _Scene, judged: Judged, positives: Sequence[Positive], controls: Sequence[ControlOutcome]
) -> list[dict[str, float]]:
    """Leak probabilities, each only behind its guard-rail.

    Both compare targets with controls, which must be alike. The posteriors need members that are found, and
    that are like controls. The mixture invents a leaked fifth when nothing leaked, so it
    is shown only where its own test and the rank test both speak. An audit as published gives the mixture it
    was published with, under that name.
    """
    level = scene.settings.alpha_review
    ratio = None
    alike = shown_alike(ControlName.BLIND_TARGETS, controls)
    if _ratio_speaks(positives, controls):
        ratio = likelihood_ratio(scene.members, scene.calibration)
    null_p = judged.exposure.prevalence_null_p
    speaks = alike and null_p is not None and null_p < level and judged.exposure.rank_test_p < level
    mixture = fit_mixture(scene.calibration, scene.targets) if speaks else None
    found = leak_probabilities(scene.targets, ratio, mixture)
    if scene.settings.as_published:
        published = published_mixture(scene.calibration, scene.targets).leak_probability(scene.targets)
        found = [{**one, "as published": float(value)} for one, value in zip(found, published, strict=True)]
    return found


def _ratio_speaks(positives: Sequence[Positive], controls: Sequence[ControlOutcome]) -> bool:
    """Whether members were found, and both groups are like controls: then posteriors may be stated."""
    alike = all(
        shown_alike(name, controls) for name in (ControlName.BLIND_TARGETS, ControlName.BLIND_MEMBERS)
    )
    return _basis(positives) == "members" and alike


def _reliability(
    scene: _Scene, positives: Sequence[Positive], controls: Sequence[ControlOutcome]
) -> tuple[ReliabilityBin, ...]:
    """How right the posteriors are, where they are stated."""
    if not _ratio_speaks(positives, controls):
        return ()
    return reliability(scene.members, scene.calibration, np.random.default_rng([scene.settings.seed, 7]))


def _tier(judged: Judged, settings: Settings, controls: Sequence[ControlOutcome]) -> Tier:
    fires = judged.exposure.rank_test_p < settings.alpha_review or judged.exposure.flagged > 0
    return evidence_tier(fires, settings.design, settings.references, controls)


def _epsilon(scene: _Scene, controls: Sequence[ControlOutcome]) -> tuple[EpsilonBound, ...]:
    status = {control.name: control.status for control in controls}
    return epsilon_bounds(
        scene.targets,
        scene.calibration,
        scene.members,
        scene.decider.at(scene.rows.of(Role.FITTING)),
        scene.settings.design,
        status[ControlName.BLIND_TARGETS] is ControlStatus.PASSED,
        np.random.default_rng([scene.settings.seed, 6]),
    )


def _described(
    scene: _Scene, reports: tuple[DetectorReport, ...], judged: Judged, facts: Mapping[str, str]
) -> AuditResult:
    """The result but for controls, tier and detectable effect."""
    kept, total = slices_kept(scene.scored, scene.rows)
    by_role = {role: scene.decider.at(scene.rows.of(role)) for role in JUDGED_ROLES}
    if not scene.members.size:
        by_role.pop(Role.MEMBER)
    flagged = scene.targets[judged.flagged]
    chosen = scene.target_rows[judged.flagged] if flagged.size else scene.target_rows
    empty = nothing_judged(scene.settings, _counts(scene.rows, scene.decider), (), "")
    return replace(
        empty,
        deciding_detector=scene.decider.name,
        detectors=reports,
        exposure=judged.exposure,
        histogram=histogram(by_role, float(flagged.min()) if flagged.size else None),
        slices_kept=kept,
        slices_total=total,
        audited_layers=audited_layers(scene.rows),
        memory_by_layer=memory_by_layer(scene.scored),
        decision_weights=decision_weights(scene.decider),
        decision_carried=decision_carried(scene.decider, chosen, scene.rows.of(Role.CALIBRATION)),
        slices_by_layer=slices_by_layer(scene.scored),
        model_facts=dict(facts),
    )
