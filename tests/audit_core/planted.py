"""A made-up world of signals with a known truth: the simulator behind the judgement tests.

`effect` is the membership effect in units of the noise of a likelihood signal; 0 is a model that never saw
anybody. `shift` moves data-only facts and every signal of one role, as another hospital would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from audit_core.results import (
    AuditResult,
    Consequence,
    ControlName,
    ControlOutcome,
    ControlStatus,
    Design,
    Finding,
    Progress,
    References,
    Role,
)
from audit_core.samples import PairFacts, Settings
from audit_core.signals import Matrix, SignalTable

IDENTITY = ControlOutcome(
    ControlName.IDENTITY.value, ControlStatus.PASSED, Consequence.VOID, "All files are as registered."
)
FAST = Settings(references=References.L1, design=Design.RANDOM, bootstrap=400, simulations=120)
SIZES = {Role.MEMBER: 36, Role.FITTING: 28, Role.CALIBRATION: 40, Role.TARGET: 46}
WORDS = ("heart", "lungs", "normal", "effusion", "left", "right", "mass", "no", "clear", "mild", "bone")
SCALARS = ("neg_loss", "mink", "minkpp", "neg_entropy", "max_logp")


@dataclass(frozen=True)
class World:
    """How the made-up signals come about."""

    effect: float = 0.0
    exposed: float = 0.5  # share of targets that were trained on
    members_trained: bool = True
    shift: Mapping[Role, float] = field(default_factory=dict)
    with_base: bool = True
    slices: int = 400
    matrices: int = 4
    sizes: Mapping[Role, int] = field(default_factory=lambda: SIZES)
    pairs_per_patient: int = 1


@dataclass(frozen=True)
class Planted:
    """A cohort, its signals and the truth."""

    table: SignalTable
    base: SignalTable | None
    facts: tuple[PairFacts, ...]
    trained: NDArray[np.bool_]

    def rows(self, role: Role) -> NDArray[np.int64]:
        """Rows of a role."""
        return np.flatnonzero([fact.role is role for fact in self.facts])


def planted(world: World, seed: int) -> Planted:
    """Draw one cohort of signals."""
    rng = np.random.default_rng(seed)
    who = [
        (role, patient, pair)
        for role, count in world.sizes.items()
        for patient in range(count)
        for pair in range(world.pairs_per_patient)
    ]
    shift = np.array([world.shift.get(role, 0.0) for role, _, _ in who])
    trained = np.array(
        [
            (role is Role.MEMBER and world.members_trained)
            or (role is Role.TARGET and patient < world.exposed * world.sizes[Role.TARGET])
            for role, patient, _ in who
        ]
    )
    facts = tuple(
        PairFacts(f"{role.value}-{patient}-{pair}", f"{role.value}-{patient}", role, *_data(shift[i], rng))
        for i, (role, patient, pair) in enumerate(who)
    )
    table, base = _tables(world, tuple(fact.pair_id for fact in facts), trained, shift, rng)
    return Planted(table, base, facts, trained)


def _data(shift: float, rng: np.random.Generator) -> tuple[str, dict[str, str | float], NDArray[np.float64]]:
    odds = np.exp(0.4 * shift * np.linspace(-1, 1, len(WORDS)))
    words = rng.choice(WORDS, size=12, p=odds / odds.sum())
    maker = "A" if rng.random() < 1 / (1 + np.exp(-shift)) else "B"
    return (
        " ".join(words),
        {"maker": maker, "rows": 512.0 + 20 * rng.normal(shift)},
        rng.normal(0.5 * shift, 1, 12),
    )


def _tables(
    world: World,
    pairs: tuple[str, ...],
    trained: NDArray[np.bool_],
    shift: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[SignalTable, SignalTable | None]:
    n = len(pairs)
    ease = rng.normal(size=n) + shift  # some reports are easy for any model
    push = world.effect * trained
    base = {name: 0.9 * ease + 0.45 * rng.normal(size=n) for name in SCALARS}
    mine = {name: base[name] + 0.25 * rng.normal(size=n) + 0.6 * push for name in SCALARS}
    mine["neg_log_grad_norm"] = ease + rng.normal(size=n) + 0.8 * push
    strength = np.where(rng.random(world.slices) < 0.2, rng.gamma(2.0, 0.08, world.slices), 0.0)
    common = 0.1 * rng.normal(size=(n, 1)) + 0.05 * shift[:, None]
    cosines = common + 0.2 * rng.normal(size=(n, world.slices)) + push[:, None] * strength
    each = world.slices // world.matrices // 2
    matrices = tuple(
        Matrix(f"m{i}", f"layer {i // 2}", 2 * each * i, each, each) for i in range(world.matrices)
    )
    task = 0.1 * rng.normal(size=(n, world.matrices)) + 0.02 * push[:, None]
    table = SignalTable(
        pairs,
        mine,
        rng.normal(size=(n, world.matrices)).astype(np.float32),
        cosines.astype(np.float32),
        task[:, : world.matrices * world.with_base].astype(np.float32),
        matrices,
        facts={"parameters": "4000000"},
    )
    empty = np.empty((n, 0), dtype=np.float32)
    base_table = SignalTable(pairs, base, empty, empty, empty, ()) if world.with_base else None
    return table, base_table


def silent(event: Progress) -> None:
    """Progress that nobody looks at."""


def judged(world: World, seed: int, **changed: object) -> tuple[AuditResult, tuple[Finding, ...]]:
    """One judged audit of a planted world under the fast settings."""
    from audit_core.judgement import judge

    cohort = planted(world, seed)
    settings = replace(FAST, seed=seed, **changed)  # type: ignore[arg-type]
    return judge(
        cohort.table, cohort.base, cohort.facts, settings,
        identity=IDENTITY, spike=None, shuffled=None, progress=silent,
    )  # fmt: skip
