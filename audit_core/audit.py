"""The whole audit on one page: identity, signals, controls that need the model, judgement.

Start here after `results.py`. Everything after the signals is `judgement.judge`, which never sees a model.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast, get_args

import numpy as np
import torch

from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.families import CONTRASTIVE
from audit_core.adapters.loading import open_source
from audit_core.adapters.opening import Precision
from audit_core.blind import pair_facts
from audit_core.canaries import canary_findings
from audit_core.cohort import judged_pairs, reference_folds
from audit_core.collect import collect_signals
from audit_core.errors import CohortNotDisjoint, PolicyInvalid, StaleStep
from audit_core.identity import identity_control, not_identical, with_self_check
from audit_core.judgement import judge, nothing_judged
from audit_core.limits import limits_of
from audit_core.machine import machine
from audit_core.policy import WITHOUT_MEMBERS
from audit_core.readings.seam import Reading, suited
from audit_core.results import (
    AuditResult,
    ControlOutcome,
    ControlStatus,
    Finding,
    Progress,
    References,
    Role,
    Timing,
)
from audit_core.samples import LEAST_SPIKED, ModelSource, Registered, ReportProgress, Sample, Settings
from audit_core.scoring import SpikeSignals, readings_asked_for
from audit_core.self_check import self_check
from audit_core.signals import SignalTable
from audit_core.spike_in import spike_in
from audit_core.store import COPY, Shelf, SignalStore, digest_of_samples

LEAST_CONTROLS = 10
LEAST_TARGETS = 5
LEAST_MEMBERS = 2  # leaving one out of a mean leaves another


@dataclass(frozen=True, slots=True)
class _Opened:
    """The model, its base, and the pairs by what is done with them."""

    model: ModelAdapter
    base: ModelAdapter | None
    bank: list[Sample]
    asked: list[Sample]
    members: list[str]
    settings: Settings
    asked_settings: Settings
    progress: ReportProgress
    shelf: Shelf | None


def run_audit(
    source: ModelSource,
    samples: Sequence[Sample],
    settings: Settings,
    progress: ReportProgress,
    store: SignalStore | None = None,
    registered: Registered | None = None,
) -> tuple[AuditResult, tuple[Finding, ...]]:
    """Audit one model against one cohort.

    Args:
        source: the registered checkpoint; its digests are recomputed before anything is loaded.
        samples: every pair of the cohort, the bank included, and a design's canaries where there are some.
        settings: the policy's numbers.
        progress: small events; any of them may be skipped.
        store: where finished steps are kept; with the store of an audit that was cut off, its steps are read
            instead of computed. None keeps nothing.
        registered: cohort and code as written down before the audit; None where nobody did.

    Returns:
        Aggregates and one finding per pair. A model that is not the registered one, or a cohort too small for
        any statistic, gives a result without exposure and no findings.

    Raises:
        ModelRefused: the folder cannot be audited rightly.
        CohortNotDisjoint: a patient or a pair stands in two roles.
        CohortTooSmall: too few anchors or references for the engine.
        PolicyInvalid: a setting has no meaning.
    """
    _refuse_shared(samples)
    result, findings = _audited(source, samples, settings, progress, store, registered)
    return replace(result, limits=limits_of(result)), findings


def _audited(
    source: ModelSource,
    samples: Sequence[Sample],
    settings: Settings,
    progress: ReportProgress,
    store: SignalStore | None,
    registered: Registered | None,
) -> tuple[AuditResult, tuple[Finding, ...]]:
    """Identity first; then what the model is asked for; then judgement."""
    counts = _patients(samples)
    identity = identity_control(source, samples, registered)
    progress(Progress("identity", 1, 1, "steps"))
    if identity.status is not ControlStatus.PASSED:
        return nothing_judged(settings, counts, (identity,), identity.sentence), ()
    why = _too_few(counts, source.family, samples, settings)
    if why:
        return nothing_judged(settings, counts, (identity,), why), ()
    started = time.perf_counter()
    opened = _open(source, samples, settings, progress, store)
    identity = with_self_check(identity, source.self_check, self_check(opened.model, opened.base))
    if identity.status is not ControlStatus.PASSED:
        return nothing_judged(settings, counts, (identity,), identity.sentence), ()
    try:
        return _measured(opened, identity, started)
    except StaleStep as stale:
        identity = not_identical(identity, str(stale))
        return nothing_judged(settings, counts, (identity,), identity.sentence), ()


def _measured(
    opened: _Opened, identity: ControlOutcome, started: float
) -> tuple[AuditResult, tuple[Finding, ...]]:
    """Every signal that needs the model, then judgement."""
    loaded = time.perf_counter()
    table, base_table = _signals(opened)
    # Later passes take the batch size that was measured, or what was left of it when memory ran out.
    batch_size = int(table.facts["batch_size"])
    opened = replace(opened, settings=replace(opened.settings, batch_size=batch_size))
    read = time.perf_counter()
    shuffled = _shuffled_signals(opened)
    spike = _spike_signals(opened)
    controls_read = time.perf_counter()
    facts, canaries = (
        [pair_facts(sample) for sample in opened.asked if (sample.role is Role.CANARY) is beside]
        for beside in (False, True)
    )
    result, findings = judge(
        table,
        base_table,
        facts,
        opened.asked_settings,
        identity=identity,
        spike=spike,
        shuffled=shuffled,
        progress=opened.progress,
    )
    before = (
        Timing("open", loaded - started),
        Timing("signals", read - loaded),
        Timing("shuffled pairs and spike-in", controls_read - read),
    )
    if canaries:
        findings += canary_findings(table, base_table, facts, canaries, opened.asked_settings)
    return replace(result, timings=before + result.timings), findings


def _refuse_shared(samples: Sequence[Sample]) -> None:
    """One patient, one role; one pair, one place: anything else would pass for memory, or hide some."""
    roles: dict[str, set[Role]] = {}
    for sample in samples:
        roles.setdefault(sample.patient, set()).add(sample.role)
    shared = sum(len(found) > 1 for found in roles.values())
    if shared:
        raise CohortNotDisjoint(f"{shared} patients stand in more than one role")
    twice = len(samples) - len({sample.pair_id for sample in samples})
    if twice:
        raise CohortNotDisjoint(f"{twice} pairs stand in the cohort more than once")


def _patients(samples: Sequence[Sample]) -> dict[str, int]:
    """Role -> patients; a canary is none."""
    people = {(sample.role.value, sample.patient) for sample in samples if sample.role is not Role.CANARY}
    found = Counter(role for role, _ in people)
    return dict(sorted(found.items()))


def _too_few(counts: dict[str, int], family: str, samples: Sequence[Sample], settings: Settings) -> str:
    """Why no statistic is possible on this cohort; empty where one is."""
    needed = {Role.CALIBRATION: LEAST_CONTROLS, Role.TARGET: LEAST_TARGETS}
    if settings.references not in WITHOUT_MEMBERS:
        needed[Role.MEMBER] = LEAST_MEMBERS
    for role, least in needed.items():
        if counts.get(role, 0) < least:
            return f"{counts.get(role, 0)} {role.value} patients: no statistic is possible under {least}."
    anchors = sum(sample.role is Role.BANK for sample in samples)
    if family == CONTRASTIVE and anchors < settings.minimum_bank:
        return f"The bank holds {anchors} anchor pairs; the policy asks for {settings.minimum_bank}."
    return ""


def _open(
    source: ModelSource,
    samples: Sequence[Sample],
    settings: Settings,
    progress: ReportProgress,
    store: SignalStore | None,
) -> _Opened:
    asked = [sample for sample in samples if sample.role is not Role.BANK]
    chosen = judged_pairs(asked, settings.seed)
    members = [s.pair_id for s in asked if s.role is Role.MEMBER and s.pair_id in chosen]
    folders = 1 if source.base is None else 2
    progress(Progress("open", 0, folders, "models"))
    model, base = open_source(source, device=device(), precision=precision(settings))
    progress(Progress("open", folders, folders, "models"))
    return _Opened(
        model=model,
        base=base,
        bank=[sample for sample in samples if sample.role is Role.BANK],
        asked=asked,
        members=[] if settings.references in WITHOUT_MEMBERS else members,
        settings=settings,
        asked_settings=settings,
        progress=progress,
        shelf=None if store is None else Shelf(store, model_identity(source)),
    )


def device() -> str:
    """Where models compute: on the graphics card where torch sees one, else on the processor."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def precision(settings: Settings) -> Precision:
    """The precision that the settings ask for.

    Raises:
        PolicyInvalid: there is none of that name.
    """
    for known in get_args(Precision):
        if settings.precision == known:
            return cast("Precision", known)
    raise PolicyInvalid(
        f"precision {settings.precision!r} is not known", f"one of {', '.join(get_args(Precision))}"
    )


def model_identity(source: ModelSource) -> dict[str, Any]:
    """What signals depend on of a checkpoint: the digest of every file, and the family that reads them."""
    return {
        "family": source.family,
        "files": dict(source.digests),
        "base_files": dict(source.base_digests),
        "peft_files": dict(source.peft_digests),
    }


def _signals(opened: _Opened) -> tuple[SignalTable, SignalTable | None]:
    return collect_signals(
        opened.model,
        opened.asked,
        opened.members,
        bank=opened.bank,
        base=opened.base,
        settings=opened.settings,
        progress=opened.progress,
        folds=reference_folds(opened.asked, opened.settings),
        shelf=opened.shelf,
        readings=_readings(opened),
    )


def _readings(opened: _Opened) -> tuple[Reading, ...]:
    return suited(readings_asked_for(opened.settings), opened.model.family)


def _shuffled_signals(opened: _Opened) -> SignalTable | None:
    """Scalars of members (or targets) and controls, each with the report of another patient of its role."""
    exposed = Role.MEMBER if opened.members else Role.TARGET
    rng = np.random.default_rng([opened.settings.seed, 6])
    chosen = judged_pairs(opened.asked, opened.settings.seed)
    moved: list[Sample] = []
    for roles in ((exposed,), (Role.FITTING, Role.CALIBRATION)):
        group = [s for s in opened.asked if s.role in roles and s.pair_id in chosen]
        if len(group) < 2:
            return None
        order = rng.permutation(len(group))
        giver = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))  # nobody keeps their own
        moved += [replace(sample, text=group[giver[i]].text) for i, sample in enumerate(group)]
    table, _ = collect_signals(
        opened.model,
        moved,
        (),
        bank=opened.bank,
        base=None,
        settings=opened.settings,
        progress=opened.progress,
        gradients=False,
        shelf=opened.shelf,
    )
    return table


def _spike_signals(opened: _Opened) -> SpikeSignals | None:
    """Signals of a copy fine-tuned on half of the fitting controls.

    Only where references are L4, which is what that level means: named members are the better positive
    control, and at L5 the hospital has said that there is to be none. None as well without epochs.
    """
    if opened.settings.references is not References.L4:
        return None
    chosen = judged_pairs(opened.asked, opened.settings.seed)
    fitting = [s for s in opened.asked if s.role is Role.FITTING and s.pair_id in chosen]
    clean = [s for s in opened.asked if s.role is Role.CALIBRATION and s.pair_id in chosen]
    spiked = fitting[: len(fitting) // 2]
    if opened.settings.spike_in_epochs < 1 or len(spiked) < LEAST_SPIKED:
        return None
    ids = tuple(sample.pair_id for sample in spiked)
    shelf = _spike_shelf(opened, spiked)
    with spike_in(
        opened.model, spiked, settings=opened.settings, progress=opened.progress, shelf=shelf
    ) as copy:
        table, base = collect_signals(
            copy,
            [*spiked, *clean],
            ids,
            bank=opened.bank,
            base=opened.base,
            settings=opened.settings,
            progress=opened.progress,
            shelf=shelf,
            readings=_readings(opened),
        )
    return SpikeSignals(table, base, ids, tuple(sample.pair_id for sample in clean))


def _spike_shelf(opened: _Opened, spiked: Sequence[Sample]) -> Shelf | None:
    """What the copy depends on besides the model: whom it was trained on, how long, on which machine.

    All that is kept here, what was read of the copy too, is of its kind: forgotten before anything else.
    """
    if opened.shelf is None:
        return None
    settings, model = opened.settings, opened.model
    shelf = opened.shelf.on(
        copy={
            **machine(model.device),
            "spiked": digest_of_samples(spiked),
            "encoding": model.encoding,
            "precision": str(model.dtype),
            "epochs": settings.spike_in_epochs,
            "seed": settings.seed,
            "max_text_tokens": settings.max_text_tokens,
        }
    )
    return replace(shelf, kind=COPY)
