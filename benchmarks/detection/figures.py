"""Scores to figures: AUROC with its interval, TPR where it can be resolved, and the summary of comparisons.

An AUROC is the mean over seeds. Its interval is a patient bootstrap: patients are drawn with replacement, and
a patient drawn k times counts k times in every seed that tested it, whatever class it had there. So seeds
that share patients are not taken for independent, and two detectors are compared on the same draws.

Letters: D draws, m tested members, n tested others, G grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.scoring import WITHOUT, Scores

Floats = NDArray[np.float64]

DRAWS = 2000
LEVELS = {"tpr5": 0.05, "tpr1": 0.01}
ROOM = 0.90


@dataclass(frozen=True, slots=True)
class Row:
    """One detector in one setting, over all its seeds.

    Attributes:
        auroc: mean over seeds.
        draws: [D] the same under the patient bootstrap.
        tpr: level's name -> mean over seeds at each seed's own threshold; None where it is not resolved.
        rough: names of levels with fewer than ten expected false positives among all others.
    """

    setting: str
    detector: str
    auroc: float
    draws: Floats
    tpr: Mapping[str, float | None]
    rough: tuple[str, ...]
    seeds: int
    needs_base: bool
    scores: tuple[Scores, ...]

    @property
    def ci(self) -> tuple[float, float]:
        """95 % interval of the AUROC."""
        return interval(self.draws)

    def plain(self) -> dict[str, Any]:
        """As printed by --json."""
        return {
            "setting": self.setting,
            "detector": self.detector,
            "auroc": round(self.auroc, 4),
            "ci": [round(edge, 4) for edge in self.ci],
            **{name: None if value is None else round(value, 4) for name, value in self.tpr.items()},
            "rough": list(self.rough),
            "seeds": self.seeds,
        }


def rows(scores: Sequence[Scores], settings: Sequence[str]) -> list[Row]:
    """One row per setting and detector, settings in the given order, detectors in the order they came."""
    groups: dict[tuple[str, str], list[Scores]] = {}
    for one in sorted(scores, key=lambda one: one.seed):
        groups.setdefault((one.setting, one.detector), []).append(one)
    return [
        _row(tuple(group)) for setting in settings for (where, _), group in groups.items() if where == setting
    ]


def _row(group: tuple[Scores, ...]) -> Row:
    others = sum(one.others.size for one in group)
    enough = {name: others * level >= 1 for name, level in LEVELS.items()}
    tpr = {
        name: float(np.mean([tpr_at(one.members, one.others, level) for one in group]))
        if enough[name]
        else None
        for name, level in LEVELS.items()
    }
    rough = tuple(name for name, level in LEVELS.items() if enough[name] and others * level < 10)
    first = group[0]
    return Row(
        first.setting,
        first.detector,
        float(np.mean([auroc(one.members, one.others) for one in group])),
        bootstrap(group),
        tpr,
        rough,
        len(group),
        any(one.needs_base for one in group),
        group,
    )


def auroc(members: Floats, others: Floats) -> float:
    """Share of member–other pairs in the right order, ties half."""
    return float(_order(members, others).mean())


def tpr_at(members: Floats, others: Floats, level: float) -> float:
    """Largest share of members above a threshold that at most `level` of the others reach."""
    allowed = int(np.floor(level * others.size + 1e-9))
    threshold = np.sort(others)[::-1][allowed]  # this one must not be reached
    return float((members > threshold).mean())


def _order(members: Floats, others: Floats) -> Floats:
    """[m, n] 1 where the member lies above, ½ for ties."""
    above: Floats = (members[:, None] > others[None, :]) + 0.5 * (members[:, None] == others[None, :])
    return above


def bootstrap(group: Sequence[Scores]) -> Floats:
    """[D] mean AUROC over seeds, patients drawn with replacement; the same patients for all detectors."""
    tested = tuple((one.member_patients, one.other_patients) for one in group)
    means = []
    for one, (weight_m, weight_n) in zip(group, _drawn(tested), strict=True):
        right = ((weight_m @ _order(one.members, one.others)) * weight_n).sum(axis=1)
        means.append(right / np.maximum(weight_m.sum(axis=1) * weight_n.sum(axis=1), 1.0))
    return np.asarray(np.mean(means, axis=0))


@lru_cache(maxsize=16)
def _drawn(tested: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]) -> list[tuple[Floats, Floats]]:
    """Per seed, how often each tested member [D, m] and other [D, n] was drawn."""
    patients = sorted({patient for seed in tested for part in seed for patient in part})
    place = {patient: number for number, patient in enumerate(patients)}
    even = np.full(len(patients), 1 / len(patients))
    drawn = np.random.default_rng(len(patients)).multinomial(len(patients), even, size=DRAWS)
    counts: Floats = drawn.astype(np.float64)
    return [
        (counts[:, [place[p] for p in members]], counts[:, [place[p] for p in others]])
        for members, others in tested
    ]


def interval(draws: Floats) -> tuple[float, float]:
    """The middle 95 %."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def roc(group: Sequence[Scores], grid_G: Floats) -> Floats:
    """[G] mean TPR over seeds at these false positive rates."""
    curves = [
        [tpr_at(one.members, one.others, rate) if rate < 1 else 1.0 for rate in grid_G] for one in group
    ]
    return np.asarray(np.mean(curves, axis=0))


# ---- the summary -------------------------------------------------------------------------------------------


def comparisons(found: Sequence[Row]) -> list[dict[str, Any]]:
    """For every setting, the fused detector with and without base against what had the same inputs.

    The best single detector is chosen on the tested pairs themselves, which flatters it.
    """
    lines: list[dict[str, Any]] = []
    for setting in dict.fromkeys(row.setting for row in found):
        here = {row.detector: row for row in found if row.setting == setting}
        for name in ("fused", "fused" + WITHOUT):
            if name in here:
                lines += _against_singles(here, here[name])
    return lines


def _against_singles(here: Mapping[str, Row], fused: Row) -> list[dict[str, Any]]:
    """Fused with base against all singles; without one against those that need none."""
    combined = ("fused", "rank_average")
    singles = [
        row
        for row in here.values()
        if not row.detector.startswith(combined) and (fused.needs_base or not row.needs_base)
    ]
    lines = []
    if singles:
        best = max(singles, key=lambda row: row.auroc)
        lines.append(_difference("fused - best single", fused, best))
    if "gradaudit" in here:
        ratio = _ratio(fused.tpr["tpr5"], here["gradaudit"].tpr["tpr5"])
        lines.append({**_difference("fused - gradaudit", fused, here["gradaudit"]), "tpr5_ratio": ratio})
    return lines


def _difference(what: str, one: Row, other: Row) -> dict[str, Any]:
    low, high = interval(one.draws - other.draws)
    return {
        "setting": one.setting,
        "must": what,
        "detector": one.detector,
        "against": other.detector,
        "auroc_difference": round(one.auroc - other.auroc, 4),
        "ci": [round(low, 4), round(high, 4)],
        "against_auroc": round(other.auroc, 4),
    }


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else round(one / other, 3)


def musts(compared: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One line per comparison over all settings: the least, the mean, and where the least is.

    GradAudit counts where it leaves room: where its AUROC is under .90.

    Args:
        compared: from `comparisons`, of the settings that count.
    """
    lines: list[dict[str, Any]] = []
    for detector in dict.fromkeys(line["detector"] for line in compared):
        mine = [line for line in compared if line["detector"] == detector]
        single = [line for line in mine if line["must"] == "fused - best single"]
        room = [line for line in mine if line not in single and line["against_auroc"] < ROOM]
        lines.append(_least(f"{detector} - best single, AUROC", single, "auroc_difference"))
        lines.append(
            _least(f"{detector} - gradaudit where that is under .90, AUROC", room, "auroc_difference")
        )
        lines.append(_least(f"{detector} / gradaudit there, TPR at 5 %", room, "tpr5_ratio"))
    return [line for line in lines if line["settings"]]


def _least(what: str, lines: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any]:
    known = [line for line in lines if line.get(key) is not None]
    if not known:
        return {"must": what, "settings": 0}
    least = min(known, key=lambda line: float(line[key]))
    return {
        "must": what,
        "settings": len(known),
        "least": least[key],
        "least_at": least["setting"],
        "mean": round(float(np.mean([line[key] for line in known])), 4),
    }
