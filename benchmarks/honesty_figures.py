"""From rows of audits to the promises: levels, coverage, false discoveries, power. Each with its interval.

A promise is met where the measured rate is on its right side, or where the number of audits cannot tell it
from the promised one (95 % Clopper-Pearson); which of the two is printed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from statistics import mean, median, stdev
from typing import Any

from audit_core.calibration import clopper_pearson
from audit_core.policy import Policy

Row = dict[str, Any]
Rows = Sequence[Row]

WORDS = ("PASS", "REVIEW", "FAIL", "INCONCLUSIVE", "VOID")
COVERAGE = 0.93
POWER = 0.80


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise and what came of it.

    Attributes:
        at_most: the measured rate may not exceed `bound`; else it may not be below.
        count: audits in which it happened, of `total`; for a mean, None.
    """

    name: str
    bound: float
    at_most: bool
    rate: float
    low: float
    high: float
    total: int
    count: int | None

    @property
    def holds(self) -> str:
        """ "yes", "cannot be told" or "no"."""
        if (self.rate <= self.bound) if self.at_most else (self.rate >= self.bound):
            return "yes"
        return "cannot be told" if self.low <= self.bound <= self.high else "no"

    def plain(self) -> dict[str, Any]:
        """As printed by --json."""
        return {
            "promise": self.name,
            "asked": f"{'at most' if self.at_most else 'at least'} {self.bound:g}",
            "measured": round(self.rate, 4),
            "interval": [round(self.low, 4), round(self.high, 4)],
            "audits": self.total,
            "count": self.count,
            "holds": self.holds,
        }


def share_promise(
    name: str, rows: Iterable[Row], happened: Callable[[Row], bool], bound: float, *, at_most: bool
) -> Promise | None:
    """A promise about a share of audits; None where there is no audit to look at."""
    seen = [bool(happened(row)) for row in rows]
    if not seen:
        return None
    count, total = sum(seen), len(seen)
    interval = clopper_pearson(count, total)
    return Promise(name, bound, at_most, count / total, interval.low, interval.high, total, count)


def mean_promise(name: str, values: Sequence[float], bound: float) -> Promise | None:
    """A promise that a mean is at most `bound`, with a normal interval."""
    if len(values) < 2:
        return None
    middle, error = mean(values), 1.96 * stdev(values) / sqrt(len(values))
    return Promise(name, bound, True, middle, max(0.0, middle - error), middle + error, len(values), None)


def promises(rows: Rows, policy: Policy) -> list[Promise]:
    """Every promise that these audits can speak about."""
    null, shifted = of(rows, "null"), of(rows, "shifted")
    sound = [row for row in rows if row["part"] in ("null", "planted", "said")]
    alpha, review = policy.alpha_fail, policy.alpha_review
    printed = [row for row in sound if row["low"] is not None]
    found = [
        share_promise("null: FAIL", null, _word("FAIL"), alpha, at_most=True),
        share_promise("null: rank test p < alpha_review", null, _below("p", review), review, at_most=True),
        share_promise(
            "null: test of no exposure p < .05", null, _below("mixture_p", 0.05), 0.05, at_most=True
        ),
        share_promise(
            "null: dataset inference p < .05",
            [row for row in null if row.get("inference_p") is not None],
            _below("inference_p", 0.05),
            0.05,
            at_most=True,
        ),
        share_promise(
            "controls against controls: dataset inference p < .05",
            [row for row in sound if row.get("inference_null_p") is not None],
            _below("inference_null_p", 0.05),
            0.05,
            at_most=True,
        ),
        share_promise(
            "null: empirical separation above 0",
            [row for row in null if row.get("separation") is not None],
            lambda row: bool(row["separation"] > 0.0),
            0.05,
            at_most=True,
        ),
        share_promise("sound cohorts: VOID", sound, _word("VOID"), 0.01, at_most=True),
        share_promise(
            "PASS where as many were exposed as it had to find",
            of(rows, "planted"),
            _blind_pass,
            1.0 - POWER,
            at_most=True,
        ),
        share_promise("masked: the same", of(rows, "masked"), _blind_pass, 0.0, at_most=True),
        share_promise("shifted: FAIL", shifted, _word("FAIL"), 0.0, at_most=True),
        share_promise("interval of the share covers", printed, covered, COVERAGE, at_most=False),
        share_promise("lower bound holds", sound, bound_holds, 0.95, at_most=False),
        mean_promise("false discoveries", [false_share(row) for row in sound], policy.q),
        share_promise(
            "fires at the share the audit names", of(rows, "said"), _below("p", alpha), POWER, at_most=False
        ),
    ]
    return [promise for promise in found if promise is not None]


def of(rows: Rows, part: str) -> list[Row]:
    """Rows of one part."""
    return [row for row in rows if row["part"] == part]


def _word(word: str) -> Callable[[Row], bool]:
    return lambda row: bool(row["verdict"] == word)


def _blind_pass(row: Row) -> bool:
    return bool(row["had_to_find_it"] == "PASS")


def _below(name: str, level: float) -> Callable[[Row], bool]:
    return lambda row: bool(row[name] is not None and row[name] < level)


def truth(row: Row) -> float:
    """Share of the judged targets that were trained on."""
    return float(row["exposed"] / row["patients"])


def covered(row: Row) -> bool:
    """Whether "k of N patients" is inside the printed interval."""
    return bool(row["low"] - 1e-9 <= truth(row) <= row["high"] + 1e-9)


def bound_holds(row: Row) -> bool:
    """Whether the printed lower bound is not above the truth."""
    return bool(row["lower"] <= truth(row) + 1e-9)


def false_share(row: Row) -> float:
    """Share of the flagged patients that were never trained on; 0 where nobody is flagged."""
    return float(row["false"] / max(1, row["flagged"]))


def verdicts(rows: Rows) -> list[dict[str, Any]]:
    """Per part, setting and planted share: how often each word, and which controls failed."""
    found = []
    keys = dict.fromkeys((r["part"], r["setting"], _asked_share(r)) for r in rows)
    for key in keys:
        group = [row for row in rows if (row["part"], row["setting"], _asked_share(row)) == key]
        words = Counter(row["verdict"] for row in group)
        failed = Counter(name for row in group for name in row["failed"])
        printed = [row for row in group if row["low"] is not None]
        found.append(
            {
                "part": key[0],
                "setting": key[1],
                "share": key[2],
                "audits": len(group),
                **{word: words[word] for word in WORDS},
                "E2+": sum(row["tier"] > 1 for row in group),
                "p<.001": sum(row["p"] < 0.001 for row in group),
                "PASS if": f"{sum(row['had_to_find_it'] == 'PASS' for row in group)}/{len(group)}",
                "covered": f"{sum(map(covered, printed))}/{len(printed)}" if printed else "–",
                "bound": f"{sum(map(bound_holds, group))}/{len(group)}",
                "fdr": round(mean(map(false_share, group)), 3),
                "flagged": round(mean(row["flagged"] for row in group), 1),
                "reference_auroc": _mean([row["reference_auroc"] for row in group]),
                "target_auroc": _mean([row["target_auroc"] for row in group]),
                "failed": dict(sorted(failed.items())),
            }
        )
    return found


def _asked_share(row: Row) -> Any:
    return "named" if row["part"] == "said" else row["share"]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(mean(known), 3) if known else None


def power(rows: Rows, alpha: float) -> list[dict[str, Any]]:
    """Per setting: the observed curve, the share found in 80 % by it, and the share the audits named.

    The curve starts from the null audits of the same setting where there are some; it is read off by straight
    lines between planted shares.
    """
    found = []
    for setting in dict.fromkeys(row["setting"] for row in of(rows, "planted")):
        group = [row for row in of(rows, "planted") if row["setting"] == setting]
        curve = []
        for share in sorted({row["share"] for row in group}):
            fired = [row["p"] < alpha for row in group if row["share"] == share]
            interval = clopper_pearson(sum(fired), len(fired))
            failed = mean(row["verdict"] == "FAIL" for row in group if row["share"] == share)
            curve.append([share, mean(fired), interval.low, interval.high, failed])
        said = [row for row in of(rows, "said") if row["setting"] == setting]
        named = [row["detectable"] for row in group if row["detectable"] is not None]
        found.append(
            {
                "setting": setting,
                "curve": curve,
                "observed": _crossing([(0.0, 0.0), *((point[0], point[1]) for point in curve)]),
                "named": round(median(named), 3) if named else None,
                "named_in": f"{len(named)}/{len(group)}",
                "fired_at_named": f"{sum(row['p'] < alpha for row in said)}/{len(said)}" if said else "–",
            }
        )
    return found


def _crossing(points: Sequence[tuple[float, float]]) -> float | None:
    """Where straight lines between the points first reach 80 %; None where they never do."""
    for (x, y), (u, v) in pairwise(points):
        if v >= POWER:
            return round(u if v == y else x + (u - x) * (POWER - y) / (v - y), 3)
    return None
