"""Evidence: which packs an audit has, writing one, and checking any."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from appliance.errors import CannotWrite
from tests.tui.pilot import drive, glass, press
from tests.tui.simulator import WORDS, Simulator, demo_overview
from tui.app import GradAuditApp
from tui.screens.evidence import quarter_of

SIZES = ((80, 24), (132, 40))


def words(app: GradAuditApp) -> str:
    """The glass without the layout's blanks and a dialog's frame."""
    return " ".join(glass(app).replace("│", " ").split())


@pytest.mark.parametrize("size", SIZES)
def test_packs_of_the_audit_under_the_cursor(size: tuple[int, int]) -> None:
    """Finished audits with the number of their packs; below, when and by whom each was written."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "8")
        shown = words(app)
        assert "✗ FAIL lumen-vlm 2026-11-20 14:02 2 2026-11-20 14:20" in shown
        assert "2026-11-20 14:20 officer:77aa full 147" in shown
        assert "2026-11-20 14:11 auditor:01f2 full 131" in shown
        assert "north-vlm" not in shown, "an audit that failed has no evidence"
        await press(pilot, "down")
        assert "No pack of this audit yet: press e to write one" in words(app)

    drive(steps, size)


def test_a_pack_is_checked_as_soon_as_it_is_written() -> None:
    """e, enter: written for the audit under the cursor, verified, and the list is read again."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "8", "down", "e", "enter")
        assert [path.name for path in backend.written] == ["evidence-a-0002.zip"]
        calls = [call for call in backend.calls if call in ("export_pack", "verify_pack", "packs")]
        assert calls == ["packs", "export_pack", "verify_pack", "packs"]
        assert (
            "✓ evidence-a-0002.zip written and verified: 148 log entries, signed by this workspace"
            in words(app)
        )

    drive(steps, (132, 40), backend=backend)


def test_a_pack_that_could_not_be_written_is_not_said_to_be() -> None:
    """A full disk: one line with a hint, and nothing is verified."""
    backend = Simulator(failing={"export_pack": CannotWrite("the disk is full", "make room")})

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "8", "e", "enter")
        assert "✗ the disk is full hint: make room" in words(app)
        assert "verify_pack" not in backend.calls

    drive(steps, backend=backend)


def test_any_pack_can_be_checked() -> None:
    """v asks for a file: whole, signed by another key, or broken and where."""
    foreign = demo_overview()
    foreign = replace(foreign, log=replace(foreign.log, key_words="ten other words"))

    async def whole(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "8", "v", *"pack", "enter")
        assert f"signed by this workspace ({WORDS})" in words(app)
        await press(pilot, "v", *"broken", "enter")
        assert "✗ broken is broken: verdict.json differs hint: ask its sender" in words(app)

    async def another(pilot: Pilot[Any], app: GradAuditApp) -> None:
        backend.view = foreign
        await press(pilot, "8", "v", *"pack", "enter")
        assert "signed by another key: compare its ten words (ten other words)" in words(app)

    backend = Simulator()
    drive(whole)
    drive(another, backend=backend)


def test_a_pack_for_the_vendor_and_with_parts_withheld() -> None:
    """The dialog asks for edition and parts; what is withheld is said, and that there is no PDF."""
    backend = Simulator(lacking="verdict.pdf was not made: Pango is not on this machine.")

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "8", "e", *"vendor", "tab", "right", "tab", *"data.json, policy.toml", "enter")
        assert backend.editions == [("vendor", ("data.json", "policy.toml"))]
        assert "2 members withheld or left out, each proven to be there" in words(app)
        assert "verdict.pdf was not made: Pango is not on this machine." in words(app)
        await press(pilot, "e", "enter")
        assert backend.editions[-1] == ("full", ())
        assert "Pango" not in words(app)

    drive(steps, (132, 40), backend=backend)


def test_an_auditor_is_answered_with_three_keys() -> None:
    """8, w, enter: the model under the cursor in the quarter of its audit, and what that comes to."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "8", "w", "enter")
        assert backend.asked_for == [("lumen-vlm", "2026-10-01", "2026-12-31")]
        assert [path.name for path in backend.written] == ["answer-lumen-vlm-2026-10-01-2026-12-31.zip"]
        shown = words(app)
        assert "of this model finished in this span" in shown
        assert f"signed by <{WORDS}>" in shown
        assert "python3 verify_evidence.py" in shown

    drive(steps, (132, 40), backend=backend)


def test_an_answer_without_an_audit_is_told_as_no_pass() -> None:
    """Another model is typed; nothing was measured, and no sign says that all is well."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "8", "w", *["backspace"] * 9, *"north", "enter")
        assert backend.asked_for == [("north", "2026-10-01", "2026-12-31")]
        assert [path.name for path in backend.written] == ["answer-north-2026-10-01-2026-12-31.zip"]
        assert "That is not a pass: nothing was measured" in words(app)

    drive(steps, backend=backend)


def test_an_answer_that_could_not_be_written_is_not_said_to_be() -> None:
    """What is missing is named before anything is read; what fails keeps what was typed."""
    backend = Simulator(failing={"answer_auditor": CannotWrite("the disk is full", "make room")})

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "8", "w", *["backspace"] * 9, "enter")
        assert "model, days and file are needed" in words(app)
        assert "answer_auditor" not in backend.calls
        await press(pilot, *"lumen", "enter")
        assert "the disk is full hint: make room" in words(app)
        assert "lumen" in words(app)

    drive(steps, backend=backend)


@pytest.mark.parametrize(
    ("utc", "days"),
    [
        ("2026-01-01T00:00:00Z", ("2026-01-01", "2026-03-31")),
        ("2026-06-30T23:59:59Z", ("2026-04-01", "2026-06-30")),
        ("2026-08-31T12:00:00Z", ("2026-07-01", "2026-09-30")),
        ("2028-12-31T12:00:00Z", ("2028-10-01", "2028-12-31")),
        ("[@click=app.quit]", ("", "")),
    ],
)
def test_quarters(utc: str, days: tuple[str, str]) -> None:
    """First and last day."""
    assert quarter_of(utc) == days


def test_without_an_audit_the_next_key_is_named() -> None:
    """No audit: r runs one; e does nothing."""
    backend = Simulator(audits_={}, packs_=())

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "8", "e")
        assert "No audit has finished yet: press r to run one" in glass(app)

    drive(steps, backend=backend)
    assert backend.written == []
