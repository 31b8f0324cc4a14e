"""Word rows among the signals (ours, `audit_core.readings.word_rows`): they need a base, and no members."""

from __future__ import annotations

from collections.abc import Mapping

from audit_core.detectors.seam import Floats, Signals

SCALARS = ("word_rows", "word_rows_touched", "word_rows_faint")


def word_rows(signals: Signals) -> Mapping[str, Floats]:
    """Name -> [N]; empty without a base, and where the base's word embedding is the model's own."""
    found = {name: signals.table.scalars[name] for name in SCALARS if name in signals.table.scalars}
    return found if any(values.any() for values in found.values()) else {}
