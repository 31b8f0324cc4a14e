"""A plain terminal: every screen and dialog in ASCII, frames too, and the focus told by a sign."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

from tests.tui.everywhere import WAYS, go
from tests.tui.pilot import drive, glass, press
from tui.app import GradAuditApp

PLAIN = {"TERM": "dumb", "LC_ALL": "C", "NO_COLOR": "1"}


@pytest.mark.parametrize("name", WAYS)
def test_every_screen_and_dialog_is_ascii(name: str) -> None:
    """Frames, signs, scroll bars and foreign text: nothing that a console without UTF-8 cannot show."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await go(pilot, app, name)
        assert [sign for sign in glass(app) if ord(sign) > 126] == []

    drive(steps, environ=PLAIN)


@pytest.mark.parametrize(("name", "kind"), [("WizardScreen", Input), ("OwnPassphraseDialog", Button)])
def test_the_focus_has_a_sign(name: str, kind: type[Input | Button]) -> None:
    """What has the focus differs by a sign from the same part without it."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await go(pilot, app, name)
        focused = app.screen.focused
        assert isinstance(focused, kind)
        before = line_of(app, focused)
        await press(pilot, "tab")
        after = line_of(app, focused)
        assert before != after and "[" in before and "[" not in after

    drive(steps, environ=PLAIN)


def line_of(app: GradAuditApp, part: Input | Button) -> str:
    """The cells of a part and of what frames it."""
    region = part.region
    return glass(app).splitlines()[region.y][region.x : region.right]
