"""What numbers leave: scores on a coarse round grid, groups under five patients told as such.

The officer's screens show an audit whole. What is committed to and packed is its projection, made here and
nowhere else: no axis end, threshold or bin is one patient's score, and no small group follows by subtraction
from what stands beside it. The headline k of N is always told. Audits whose log committed to no leaves were
closed over other bytes and stay as they are.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

from appliance.pack.facts import PackInput
from appliance.words.table import tell
from audit_core.results import AuditResult, ControlName, ControlOutcome, Histogram, ReliabilityBin, Role
from audit_core.round_grid import COARSE, round_edges

SMALL: Final = 5  # patients; a smaller group could point at one
FEW: Final = f"< {SMALL}"
UNTOLD: Final = "not told"
"""Stands for a group of five or more, lest a smaller one follow by subtraction."""
_BINS: Final = 8  # at most
_PAIRS: Final = "pairs_by_role"
_COUNTED: Final = re.compile(r"\b([1-4]) (" + "|".join(role for role in Role if role != Role.TARGET) + r") ")


def few(number: object) -> str:
    """A count of patients in words; under five it is not told."""
    if not isinstance(number, int):
        return str(number)
    return FEW if 0 < number < SMALL else f"{number:,}"


def hidden(counts: Sequence[int], always: Sequence[bool] = ()) -> frozenset[int] | None:
    """Which counts are not told: those of 1 to 4, and the next larger ones while these would follow.

    Whoever knows the sum of all knows the sum of the hidden ones. That gives them away where there is one,
    or where each must have the least or the most that a hidden one can.

    Args:
        counts: of groups that no patient shares.
        always: those that are told in any case.

    Returns:
        Their places; None where hiding all of them would not do.
    """
    few_of = {at for at, number in enumerate(counts) if 0 < number < SMALL}
    few_of -= {at for at, told in enumerate(always) if told}
    total, found = sum(counts[at] for at in few_of), set(few_of)
    if few_of and (len(few_of) == 1 or total in (len(few_of), (SMALL - 1) * len(few_of))):
        least = SMALL + (total == len(few_of))  # with all at their least, the sum would tell of them
        larger = [at for at, number in enumerate(counts) if number >= least and not (always and always[at])]
        if not larger:
            return None
        found.add(min(larger, key=lambda at: (counts[at], at)))
    return frozenset(found)


def grouped(groups: Mapping[str, Any], also: Collection[str] = ()) -> dict[str, Any]:
    """Patients by group, as they are told; targets always are: they are the N of the headline.

    Args:
        also: groups that are not told elsewhere.
    """
    names = list(groups)
    counts = [
        number if isinstance(number, int) else SMALL * (number == UNTOLD) or 1 for number in groups.values()
    ]
    always = [name == Role.TARGET for name in names]
    found = frozenset(at for at, name in enumerate(names) if groups[name] == UNTOLD)
    if not found:
        hide = hidden(counts, always)  # None: nothing larger can be hidden beside a small group
        found = frozenset(range(len(counts))) if hide is None else hide
    small = {at for at in found if 0 < counts[at] < SMALL}
    named = len(small) == 1 or small == found  # else it told that each of several is at an end
    return {
        name: (FEW if counts[at] < SMALL and named else UNTOLD)
        if number and not always[at] and (at in found or name in also) and number != FEW
        else number
        for at, (name, number) in enumerate(groups.items())
    }


def untold(groups: Mapping[str, Any]) -> frozenset[str]:
    """The groups whose number is not told."""
    return frozenset(name for name, number in groups.items() if not isinstance(number, int))


def data(gathered: Mapping[str, Any], judged: Mapping[str, int] | None = None) -> dict[str, Any]:
    """How a cohort was chosen, as it is told: small groups of patients, and the pairs of these.

    Args:
        judged: role -> patients, as the result counts them; what is hidden there is hidden here.
    """
    found = dict(gathered)
    roles, kinds, pairs = (found.get(name) for name in ("patients_by_role", "patients_by_modality", _PAIRS))
    if isinstance(roles, Mapping):
        found["patients_by_role"] = roles = grouped(roles, untold(grouped(judged or {})))
        if isinstance(pairs, Mapping):
            found[_PAIRS] = {
                role: (FEW if 0 < number < SMALL else UNTOLD)
                if isinstance(number, int) and role in untold(roles)
                else number
                for role, number in pairs.items()
            }
    if isinstance(kinds, Mapping):
        found["patients_by_modality"] = grouped(kinds)
    return found


def projected(given: PackInput) -> PackInput:
    """An audit as it may leave; twice is once."""
    if not given.salt_seed:
        return given
    view = given.view
    return replace(
        given,
        view=replace(
            view,
            row=replace(view.row, why=_said(view.row.why)),
            verdict=replace(view.verdict, reasons=tuple(map(_said, view.verdict.reasons))),
            result=_result(view.result),
        ),
        data=data(given.data, view.result.counts),
    )


def _said(sentence: str) -> str:
    """A sentence without the count of a small role."""
    return _COUNTED.sub(lambda found: tell("report.fewer_than", least=SMALL, role=found[2]) + " ", sentence)


def _result(result: AuditResult) -> AuditResult:
    return replace(
        result,
        controls=tuple(_control(one, result.counts) for one in result.controls),
        histogram=result.histogram and histogram(result.histogram),
        limits=tuple(replace(one, what=_said(one.what), why=_said(one.why)) for one in result.limits),
        reliability=reliability(result.reliability),
    )


def _control(one: ControlOutcome, counts: Mapping[str, int]) -> ControlOutcome:
    """Where few patients were looked at, shares and chances of them say how each of them scored."""
    of = {
        ControlName.POST_RELEASE: Role.POST_RELEASE,
        ControlName.CONTROL_AGAINST_CONTROL: Role.CALIBRATION,
    }.get(ControlName(one.name) if one.name in set(ControlName) else ControlName.IDENTITY)
    if of is not None and 0 < counts.get(of, 0) < SMALL:
        return replace(one, sentence=tell("report.few_looked_at", least=SMALL), numbers={})
    return replace(one, sentence=_said(one.sentence))


def reliability(bins: Sequence[ReliabilityBin]) -> tuple[ReliabilityBin, ...]:
    """Bins joined with their neighbours until each has five members, or none, and five others, or none."""
    joined: list[ReliabilityBin] = []
    for one in bins:
        if joined and _is_small(joined[-1]):
            joined[-1] = _both(joined[-1], one)
        else:
            joined.append(one)
    while len(joined) > 1 and _is_small(joined[-1]):
        joined[-2:] = [_both(joined[-2], joined[-1])]
    return () if joined and _is_small(joined[0]) else tuple(joined)


def _is_small(one: ReliabilityBin) -> bool:
    return any(0 < number < SMALL for number in (one.members, one.references - one.members))


def _both(one: ReliabilityBin, other: ReliabilityBin) -> ReliabilityBin:
    from audit_core.calibration import clopper_pearson  # numpy, which the front ends do without

    members, references = one.members + other.members, one.references + other.references
    predicted = (one.predicted * one.references + other.predicted * other.references) / references
    return ReliabilityBin(predicted, members, references, clopper_pearson(members, references))


def histogram(whole: Histogram) -> Histogram | None:
    """The same on a round grid of at most eight bins; None in place of a few patients.

    A finer bin goes where its middle lies: edges as `audit_core.reports` makes them fall into the grid, so
    that no patient changes places. A role in which nothing can be told safely is left out.
    """
    if whole.rounded or len(whole.edges) < 2:
        return whole
    edges = round_edges(whole.edges[0], whole.edges[-1], _BINS, COARSE)
    lengths = {len(finer) for finer in whole.counts.values()}
    if not edges or list(whole.edges) != sorted(whole.edges) or lengths - {len(whole.edges) - 1}:
        return None  # a worker's answer that is no histogram
    counts: dict[str, tuple[int | None, ...]] = {}
    for role, finer in whole.counts.items():
        row = [0] * (len(edges) - 1)
        for (low, high), number in zip(pairwise(whole.edges), finer, strict=True):
            row[min(bisect_right(edges, low + (high - low) / 2), len(row)) - 1] += number or 0
        hide = hidden(row)
        if hide is not None:
            counts[role] = tuple(None if at in hide else number for at, number in enumerate(row))
    at = whole.threshold
    nearest = None if at is None else min(edges, key=lambda edge: abs(edge - at))
    return Histogram(edges, counts, nearest, rounded=True)
