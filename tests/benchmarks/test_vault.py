"""The benchmark of what protects a workspace runs and names every figure that has a goal."""

from __future__ import annotations

from pathlib import Path

from vault import measured

GOALS = {"unseal", "16 MiB at a random offset, median", "unlock, median of 3"}


def test_every_figure_is_measured(tmp_path: Path) -> None:
    """A small part of the work gives a positive figure for every row, and the rows with goals are there."""
    rows = measured(tmp_path, 256)
    assert all(row.value > 0 for row in rows)
    with_goals = {row.name for row in rows if row.goal}
    assert GOALS < with_goals
    assert any(name.startswith("log verification") for name in with_goals)
    assert "catalogue bulk insert against plain SQLite" in with_goals
