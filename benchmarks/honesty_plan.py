"""Which audits are run on which model, and how often. A full run is what docs/honesty.md prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from honesty_audits import MEMBERS, SHIFTS, Case

from audit_core.results import Design, References

SHARES = (0.02, 0.05, 0.10, 0.20, 0.35, 0.50)
QUICK = 100
"""A quick run does one audit in so many, and only of every other kind."""


@dataclass(frozen=True, slots=True)
class Planned:
    """So many audits of one kind on the model of one recipe; a share is planted each."""

    world: str
    count: int
    case: Case
    shares: tuple[float | None, ...] = (0.0,)


def _null(world: str, setting: str, count: int, **changed: object) -> Planned:
    return Planned(world, count, replace(Case("null", setting, 0), **changed))  # type: ignore[arg-type]


def _planted(world: str, setting: str, count: int, **changed: object) -> Planned:
    case = replace(Case("planted", setting, 0), **changed)  # type: ignore[arg-type]
    return Planned(world, count, case, SHARES)


def _shifted(shift: str, count: int, *, base: bool, design: Design = Design.RANDOM) -> Planned:
    part = "hidden" if shift == "hidden" else "shifted"
    words = ("" if base else ", no base") + (", declared as it is" if design is Design.CONVENIENCE else "")
    case = Case(part, f"{shift}{words}", 0, base=base, shift=shift, design=design)
    return Planned("never trained", count, case)


PLAN = (
    _null("never trained", "members not trained on", 50),
    _null("never trained", "members not trained on, no base", 50, base=False),
    _null("never trained", "no members (L5)", 30, references=References.L5),
    _null("never trained", "no members (L5), no base", 30, references=References.L5, base=False),
    _null("never trained", "spike-in (L4)", 45, references=References.L4),
    _null("3 epochs", "clean targets, 3 epochs", 50),
    _null("3 epochs", "clean targets, 3 epochs, no base", 30, base=False),
    _null("1 epoch", "clean targets, 1 epoch", 40),
    _null("1 epoch", "clean targets, 1 epoch, no base", 20, base=False),
    _null("contrastive, never trained", "contrastive, members not trained on", 50, base=False),
    _null("contrastive, 20 epochs", "contrastive, clean targets", 30, base=False),
    *(_shifted(shift, 18, base=base) for shift in SHIFTS for base in (True, False)),
    *(_shifted(shift, 10, base=False, design=Design.CONVENIENCE) for shift in SHIFTS[:2]),
    _planted("3 epochs", "3 epochs", 25),
    _planted("3 epochs", "3 epochs, no base", 12, base=False),
    _planted("3 epochs", "3 epochs, no members (L5)", 10, references=References.L5),
    _planted("1 epoch", "1 epoch", 15),
    _planted("1 epoch", "1 epoch, no base", 12, base=False),
    _planted("contrastive, 20 epochs", "contrastive, 20 epochs", 12, base=False),
    *(
        Planned(world, 12, Case("masked", f"{world}{words}", 0, base=base, shift=MEMBERS), (0.5,))
        for world in ("3 epochs", "1 epoch")
        for base, words in ((True, ""), (False, ", no base"))
    ),
    Planned("3 epochs", 30, Case("said", "3 epochs", 0), (None,)),
    Planned("3 epochs", 20, Case("said", "3 epochs, no base", 0, base=False), (None,)),
    Planned("1 epoch", 30, Case("said", "1 epoch", 0), (None,)),
)


def cases(world: str, *, every: int, first: int, copies: int) -> Iterator[Case]:
    """Every audit of one model, numbered from `first`.

    Args:
        world: name of its recipe.
        every: run one audit in so many, at least one of each kind; from QUICK on, of every other kind.
        first: number of the first audit, so that another seed deals other roles.
        copies: spiked copies there are.
    """
    number = first
    for planned in PLAN[:: 2 if every >= QUICK else 1]:
        if planned.world != world:
            continue
        for share in planned.shares[:: 2 if every >= QUICK else 1]:
            for _ in range(max(1, planned.count // every)):
                number += 1
                copy = number % copies if planned.case.references is References.L4 else None
                yield replace(planned.case, number=number, share=share, copy=copy)
