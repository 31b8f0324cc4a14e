"""The audits of the simulation: who plays which role, and one judged audit as one row of numbers.

Every audit deals roles anew. `judge` and `decide` are the appliance's own, with the default policy's numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from honesty_gradients import dealt, silent
from honesty_worlds import READ, World
from numpy.typing import NDArray

from audit_core.cohort import reference_folds
from audit_core.judgement import judge
from audit_core.policy import Policy, decide, settings
from audit_core.results import (
    AuditResult,
    Consequence,
    ControlName,
    ControlOutcome,
    ControlStatus,
    Design,
    Finding,
    References,
    Role,
)
from audit_core.samples import Settings

SIZES = {Role.MEMBER: 100, Role.FITTING: 100, Role.CALIBRATION: 130, Role.TARGET: 100}
LEAST = {Role.MEMBER: 100, Role.FITTING: 100, Role.CALIBRATION: 100, Role.TARGET: 100}
"""Where another source must give all the controls, there are no more of them than the policy's minima."""
MASKED = {Role.MEMBER: 100, Role.FITTING: 100, Role.CALIBRATION: 100, Role.TARGET: 80}
TILT = 1.0
LENIENT = 0.5
"""Clean audits are also judged as if they had to find this share only: under the default policy's share, so
few patients never give a PASS."""
IDENTITY = ControlOutcome(
    ControlName.IDENTITY.value, ControlStatus.PASSED, Consequence.VOID, "The model is held in memory."
)
MEMBERS = "members elsewhere"
SHIFTS = ("targets elsewhere", "controls elsewhere", "longer", "shorter", "brighter", "darker", "hidden")


@dataclass(frozen=True, slots=True)
class Case:
    """One audit to be run.

    Attributes:
        part: null, shifted, hidden, planted, said or masked.
        setting: as tables print it.
        number: of the audit; the seed of its deal and of its judgement.
        base: whether the base model is registered.
        share: of targets that were trained on; None asks the audit itself what it could have seen.
        shift: one of SHIFTS, MEMBERS, or "".
        copy: spiked copy, for L4.
    """

    part: str
    setting: str
    number: int
    base: bool = True
    share: float | None = 0.0
    shift: str = ""
    references: References = References.L1
    design: Design = Design.RANDOM
    copy: int | None = None


Roles = dict[str, Role]


def run(world: World, case: Case, policy: Policy) -> dict[str, Any]:
    """One audit, or two where the first one's own statement says what share is planted in the second."""
    rng = np.random.default_rng([case.number, *case.setting.encode()])
    if case.share is not None:
        return _row(world, case, policy, deal(world, case, case.share, rng), case.share)
    state = rng.bit_generator.state
    first = _row(world, case, policy, deal(world, case, 0.0, rng), 0.0)
    if first["detectable"] is None:  # it names no share; what is left is one more audit of clean targets
        return {**first, "part": "null", "setting": f"clean targets, {case.setting}"}
    rng.bit_generator.state = state
    share = float(first["detectable"])
    return _row(world, case, policy, deal(world, case, share, rng), share)


def deal(world: World, case: Case, share: float, rng: np.random.Generator) -> Roles:
    """Pair id -> role, one fresh deal; targets last, exposed ones first among them."""
    if case.shift == MEMBERS:
        return _masked(world, share, rng)
    if case.shift:
        return _shifted(world, case, rng)
    trained = [sample.pair_id for sample in world.lots.trained]
    fresh = [sample.pair_id for sample in world.lots.fresh]
    if not world.exposed:
        fresh, trained = [*trained, *fresh], []
    return _unshifted(case, share, _mixed(trained, rng), _mixed(fresh, rng), world)


def _unshifted(case: Case, share: float, trained: list[str], fresh: list[str], world: World) -> Roles:
    spiked = [] if case.copy is None else list(world.copies[case.copy][0])
    fresh = [pair for pair in fresh if pair not in set(spiked)]
    wanted = dict(SIZES)
    if case.references in (References.L4, References.L5):
        wanted.pop(Role.MEMBER)
    roles: Roles = dict.fromkeys(spiked, Role.FITTING)
    for role, count in wanted.items():
        if role is Role.MEMBER:
            roles |= dict.fromkeys(_take(trained if world.exposed else fresh, count), role)
        elif role is Role.TARGET:
            exposed = round(share * count)
            roles |= dict.fromkeys(_take(trained, exposed), role)
            roles |= dict.fromkeys(_take(fresh, count - exposed), role)
        else:
            roles |= dict.fromkeys(_take(fresh, count - (len(spiked) if role is Role.FITTING else 0)), role)
    return roles


def _shifted(world: World, case: Case, rng: np.random.Generator) -> Roles:
    """Nobody was trained on; targets, and every other time members too, come from elsewhere."""
    names = [sample.pair_id for sample in world.lots.audited]
    order = _mixed(names, rng)
    if case.shift in ("targets elsewhere", "controls elsewhere"):
        big = largest_source(world)
        inside = [pair for pair in order if world.lots.source[pair] == big]
        outside = [pair for pair in order if world.lots.source[pair] != big]
        home = {Role.MEMBER, Role.TARGET} if case.shift == "controls elsewhere" else set(Role) - {Role.TARGET}
        return {
            pair: role
            for role, count in LEAST.items()
            for pair in _take(inside if role in home else outside, count)
        }
    weight = TILT * tilt(world, case.shift) + rng.gumbel(size=len(names))
    first = [names[i] for i in np.argsort(-weight)]
    roles = dict.fromkeys(first[: SIZES[Role.TARGET]], Role.TARGET)
    if case.number % 2:
        roles |= dict.fromkeys(first[SIZES[Role.TARGET] : 2 * SIZES[Role.TARGET]], Role.MEMBER)
    rest = [pair for pair in order if pair not in roles]
    for role, count in SIZES.items():
        if role not in roles.values():
            roles |= dict.fromkeys(_take(rest, count), role)
    return roles


def _masked(world: World, share: float, rng: np.random.Generator) -> Roles:
    """Members were never trained on and come from elsewhere: they are found by where they come from.

    Such an audit seems able to see exposure and may be blind to it. Targets and controls are of one source.
    """
    big, source = largest_source(world), world.lots.source
    fresh = _mixed([sample.pair_id for sample in world.lots.fresh], rng)
    inside = [pair for pair in fresh if source[pair] == big]
    outside = [pair for pair in fresh if source[pair] != big]
    trained = _mixed([s.pair_id for s in world.lots.trained if source[s.pair_id] == big], rng)
    exposed = round(share * MASKED[Role.TARGET])
    roles: Roles = dict.fromkeys(_take(trained, exposed), Role.TARGET)
    roles |= dict.fromkeys(_take(inside, MASKED[Role.TARGET] - exposed), Role.TARGET)
    roles |= dict.fromkeys(_take(outside, MASKED[Role.MEMBER]), Role.MEMBER)
    for role in (Role.FITTING, Role.CALIBRATION):
        roles |= dict.fromkeys(_take(inside, MASKED[role]), role)
    return roles


def possible(world: World, case: Case) -> bool:
    """Whether there are two sources, and enough patients of each, for a shift between sources."""
    if case.shift not in ("targets elsewhere", "controls elsewhere", MEMBERS):
        return True
    big, source = largest_source(world), world.lots.source
    if case.shift == MEMBERS:
        fresh = [source[sample.pair_id] == big for sample in world.lots.fresh]
        trained = sum(source[sample.pair_id] == big for sample in world.lots.trained)
        return sum(fresh) >= 240 and len(fresh) - sum(fresh) >= 100 and trained >= 40
    inside = sum(source[sample.pair_id] == big for sample in world.lots.audited)
    outside = len(world.lots.audited) - inside
    home = len(LEAST) - 1 if case.shift == "targets elsewhere" else len(LEAST) - 2
    return inside >= 100 * home and outside >= 100 * (len(LEAST) - home)


def tilt(world: World, shift: str) -> NDArray[np.float64]:
    """[N] standardised ranks of what the targets have more of.

    "hidden" is how easy a pair is for the model beyond what length, brightness and source tell: a difference
    between cohorts that hardly any look at the data alone can see.
    """
    length = np.array([float(len(fact.text)) for fact in world.reading.facts])
    brightness = np.array([float(fact.pixels[0]) for fact in world.reading.facts])
    seen = {"longer": length, "shorter": -length, "brighter": brightness, "darker": -brightness}
    if shift in seen:
        return _standard_ranks(seen[shift])
    big = largest_source(world)
    source = [float(world.lots.source[fact.pair_id] == big) for fact in world.reading.facts]
    known = np.column_stack(
        [_standard_ranks(length), _standard_ranks(brightness), source, np.ones(len(source))]
    )
    loss = _standard_ranks(world.reading.table.scalars["neg_loss"])
    return _standard_ranks(loss - known @ np.linalg.lstsq(known, loss)[0])


def _standard_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks with mean 0 and variance 1."""
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)
    found: NDArray[np.float64] = (ranks - ranks.mean()) / ranks.std()
    return found


def largest_source(world: World) -> str:
    """The source that most audited pairs come from."""
    sources = [world.lots.source[sample.pair_id] for sample in world.lots.audited]
    return max(sorted(set(sources)), key=sources.count)


def _mixed(pairs: Sequence[str], rng: np.random.Generator) -> list[str]:
    return [pairs[i] for i in rng.permutation(len(pairs))]


def _take(pairs: list[str], count: int) -> list[str]:
    """Take so many from the front.

    Raises:
        SystemExit: there are not as many.
    """
    if len(pairs) < count:
        raise SystemExit(f"a deal asks for {count} patients of a kind; {len(pairs)} are left")
    taken, pairs[:] = pairs[:count], pairs[count:]
    return taken


def _row(world: World, case: Case, policy: Policy, roles: Roles, share: float) -> dict[str, Any]:
    asked = replace(
        settings(policy, case.references, case.design),
        seed=case.number,
        max_text_tokens=READ.max_text_tokens,
        batch_size=READ.batch_size,
        spike_in_epochs=READ.spike_in_epochs if case.copy is not None else 0,
    )
    result, findings = judged(world, case, roles, asked)
    trained = {sample.pair_id for sample in world.lots.trained} if world.exposed else set()
    return _numbers(case, share, policy, result, findings, trained)


def judged(
    world: World, case: Case, roles: Roles, asked: Settings
) -> tuple[AuditResult, tuple[Finding, ...]]:
    """The appliance's judgement of one deal."""
    reading = world.reading if case.base else world.bare
    by_id = {fact.pair_id: fact for fact in reading.facts}
    facts = [replace(by_id[pair], role=role) for pair, role in roles.items()]
    folds = reference_folds(facts, asked)
    members = [pair for pair, role in roles.items() if role is Role.MEMBER] if folds else []
    table, base = dealt(reading, list(roles), members, folds)
    clean = [pair for pair, role in roles.items() if role is Role.CALIBRATION]
    spike = None if case.copy is None else world.spike(case.copy, clean)
    return judge(table, base, facts, asked, identity=IDENTITY, spike=spike, shuffled=None, progress=silent)


def _numbers(
    case: Case,
    share: float,
    policy: Policy,
    result: AuditResult,
    findings: Sequence[Finding],
    trained: set[str],
) -> dict[str, Any]:
    """One row; `lower`, `low` and `high` are printed, `exposed` of `patients` is the truth."""
    verdict, exposure = decide(policy, result), result.exposure
    if exposure is None:
        raise SystemExit(f"an audit of {case.setting} was not judged: {result.detectable.sentence}")
    decides = next(report for report in result.detectors if report.decides)
    flagged = [finding.pair_id for finding in findings if finding.flagged]
    judged_targets = [f.pair_id for f in findings if f.role is Role.TARGET and f.judged]
    interval = exposure.prevalence_ci
    return {
        "part": case.part,
        "setting": case.setting,
        "number": case.number,
        "shift": case.shift,
        "design": case.design.value,
        "share": round(share, 4),
        "verdict": verdict.word.value,
        "line": verdict.line,
        "tier": int(result.tier),
        "failed": [c.name for c in result.controls if c.status is ControlStatus.FAILED],
        "detector": decides.name,
        "reference_auroc": decides.reference_auroc,
        "target_auroc": decides.target_auroc,
        "p": exposure.rank_test_p,
        "mixture_p": exposure.prevalence_null_p,
        "lower": exposure.prevalence_lower,
        "estimate": exposure.prevalence_estimate,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "patients": len(judged_targets),
        "exposed": len(trained & set(judged_targets)),
        "flagged": len(flagged),
        "false": len(set(flagged) - trained),
        "detectable": result.detectable.share,
        "had_to_find_it": decide(replace(policy, must_detect=share or LENIENT), result).word.value,
        **dict(_further(result)),
    }


def _further(result: AuditResult) -> Iterator[tuple[str, Any]]:
    """Numbers that an audit gives where it has them."""
    if result.dataset_inference is not None:
        yield "inference_p", result.dataset_inference.p
        yield "inference_null_p", result.dataset_inference.null_p
    for bound in result.epsilon:
        yield "separation", bound.lower
