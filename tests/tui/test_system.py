"""System: every check with what mends it, the gravest first."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.pilot import drive, glass, press
from tests.tui.simulator import CHECKS, Simulator
from tui.app import GradAuditApp

SIZES = ((80, 24), (132, 40))


@pytest.mark.parametrize("size", SIZES)
def test_the_gravest_comes_first_with_what_mends_it(size: tuple[int, int]) -> None:
    """State as word and glyph, every check in a row, and hint and command in full below."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "s")
        shown = glass(app)
        assert "Do not audit here before this is mended. 1 ✗ failure   2 ▲ warning   3 ✓ ok" in shown
        assert [check.name for check in CHECKS if check.name not in shown] == []
        assert shown.index("SQLCipher") < shown.index("swap") < shown.index("isolation")
        assert "mend it: pip install --force-reinstall sqlcipher3" in shown
        await press(pilot, "down", "down")
        assert "mend it: sudo swapoff -a" in glass(app)
        await press(pilot, "end")
        assert "nothing to mend" in glass(app)

    drive(steps, size)


def test_after_mending_a_checks_again() -> None:
    """a asks the machine once more and says that audits can run."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "s")
        backend.checks = tuple(check for check in CHECKS if check.status != "failure")
        await press(pilot, "u")
        assert "This machine can audit. 2 ▲ warning   3 ✓ ok" in glass(app)
        assert backend.calls.count("doctor") == 2

    drive(steps, backend=backend)
