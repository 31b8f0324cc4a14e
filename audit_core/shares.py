"""How a share is spelt wherever a person reads one: sentences of a verdict, tables, pages, screens."""

from __future__ import annotations


def percent(share: float) -> str:
    """A share (0 … 1) with the digits it deserves: 0.456 → "46 %", 0.004 → "0.4 %", 0.05 → "5 %"."""
    return _spelt(share, 0 < share < 0.0995 or 0.9905 < share < 1)


def finely(share: float) -> str:
    """A share that stands beside its limit, in tenths unless it is whole: 0.243 → "24.3 %", 0.2 → "20 %"."""
    return _spelt(share, True)


def _spelt(share: float, tenths: bool) -> str:
    value = round(share * 100, 6)
    return f"{value:.1f} %" if tenths and value != round(value) else f"{value:.0f} %"
