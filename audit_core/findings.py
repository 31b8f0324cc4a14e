"""One finding per pair: scores of every detector, and for judged targets p-value, flag and probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from audit_core.calibration import PRIORS, LikelihoodRatio, Mixture
from audit_core.cohort import Rows
from audit_core.exposure import Judged
from audit_core.results import Finding, Score, Unscored
from audit_core.samples import PairFacts
from audit_core.scoring import Scored


def make_findings(
    scored: Mapping[str, Scored],
    rows: Rows,
    facts: Sequence[PairFacts],
    target_rows: NDArray[np.int64],
    judged: Judged | None,
    probabilities: Sequence[Mapping[str, float]],
) -> tuple[Finding, ...]:
    """Findings of all pairs in the order of `facts`.

    Args:
        scored: every detector.
        rows: the scored pairs.
        facts: every pair, scored or not.
        target_rows: rows of the judged targets, in the order of `judged`.
        judged: None when the audit stopped before judgement.
        probabilities: leak probabilities of the judged targets, same order.
    """
    row_of = {fact.pair_id: row for row, fact in enumerate(rows.facts)}
    place = {int(row): number for number, row in enumerate(target_rows)}
    found = []
    for fact in facts:
        row = row_of.get(fact.pair_id)
        number = place.get(row) if row is not None and judged is not None else None
        decided = judged if number is not None else None
        found.append(
            Finding(
                pair_id=fact.pair_id,
                patient=fact.patient,
                role=fact.role,
                judged=bool(row is not None and rows.judged[row]),
                scores=_scores(scored, rows, fact.pair_id, row),
                p_value=None if decided is None or number is None else float(decided.p_values[number]),
                flagged=bool(decided is not None and number is not None and decided.flagged[number]),
                leak_probability={} if decided is None or number is None else dict(probabilities[number]),
            )
        )
    return tuple(found)


def _scores(
    scored: Mapping[str, Scored], rows: Rows, pair_id: str, row: int | None
) -> dict[str, Score | Unscored]:
    if row is None:
        return dict.fromkeys(scored, Unscored(rows.unscored[pair_id]))
    return {
        name: Score(float(one.values[row])) if np.isfinite(one.values[row]) else Unscored(one.reason)
        for name, one in scored.items()
    }


def leak_probabilities(
    scores: NDArray[np.float64], ratio: LikelihoodRatio | None, mixture: Mixture | None
) -> list[dict[str, float]]:
    """Per target: posterior at each prior, and under the mixture, each where its guard-rail allowed it."""
    columns: dict[str, NDArray[np.float64]] = {}
    if ratio is not None:
        columns |= {prior: ratio.posterior(scores, float(prior)) for prior in PRIORS}
    if mixture is not None:
        columns["mixture"] = mixture.leak_probability(scores)
    return [{name: float(values[i]) for name, values in columns.items()} for i in range(scores.size)]
