"""Foreign text does nothing: no escape, no markup, no action, in every place of every screen."""

from __future__ import annotations

import unicodedata
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from appliance.errors import ApplianceError
from appliance.runs.views import PhaseView, RunState, RunView
from appliance.views import LogRow
from tests.tui.pilot import drive, glass, press, settle
from tests.tui.simulator import Simulator
from tui.app import GradAuditApp
from tui.screens.progress import ProgressDialog
from tui.screens.section import Section
from tui.widgets.chrome import Notice

PAYLOADS = {
    "closing tag": "[/x]",
    "action and link": "[@click=app.quit]press me[/][link=https://example.org]out[/link][bold red",
    "formats": "$(reboot) {self.app} %s",
    "clipboard": "\x1b]52;c;UEFUSUVOVA==\x07\x1b[2J\x1b[31mred\x1b[0m",
    "eight-bit controls": "\x9b31m\x90q\x9c\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\",
    "controls and bidi": "\r\n\x08\x7f\x00\t\v\u202egnp.exe\u2066\u200f\u200b\ufeff\U000e0041\ud800",
    "marks and wide signs": "\u0301" * 40 + "名" * 30,
}
KEPT = {"verdict", "state", "audit_id", "word", "status", "consequence", "design", "references", "tier"}


def planted(value: Any, payload: str, name: str = "") -> Any:
    """The view with `payload` in front of every string it holds, whatever its depth."""
    if is_dataclass(value) and not isinstance(value, type):
        changed = {
            part.name: planted(getattr(value, part.name), payload, part.name) for part in fields(value)
        }
        return replace(value, **changed)
    if isinstance(value, str) and not isinstance(value, Enum):
        return value if name in KEPT else payload + value
    if isinstance(value, tuple):
        return tuple(planted(item, payload, name) for item in value)
    if isinstance(value, dict):
        return {
            (key if name == "counts" else payload + key): planted(item, payload, name)
            for key, item in value.items()
        }
    return value


class Hostile(Simulator):
    """An appliance all of whose text was written by an attacker."""

    payload = ""

    def log_entries(self, offset: int, limit: int) -> tuple[LogRow, ...]:
        """Entries with the payload in every field."""
        rows = super().log_entries(offset, limit)
        return tuple(planted(row, self.payload) for row in rows)

    def cohorts(self) -> Any:
        """Cohorts with the payload."""
        return planted(super().cohorts(), self.payload)

    def policies(self) -> tuple[str, ...]:
        """Policies with the payload."""
        return tuple(self.payload + name for name in super().policies())

    def policy_versions(self) -> Any:
        """Names, versions and persons with the payload."""
        return planted(super().policy_versions(), self.payload)

    def policy(self, reference: str) -> Any:
        """Text and deeds with the payload."""
        return planted(super().policy(reference.removeprefix(self.payload)), self.payload)

    def diff_policies(self, first: str, second: str = "") -> Any:
        """Values and explanations with the payload."""
        names = (first.removeprefix(self.payload), second.removeprefix(self.payload))
        return planted(super().diff_policies(*names), self.payload)

    def dry_run_policy(self, reference: str, since: str = "") -> Any:
        """Models, policies and reasons with the payload."""
        return planted(super().dry_run_policy(reference.removeprefix(self.payload)), self.payload)

    def audits(self) -> Any:
        """Rows with the payload."""
        return planted(super().audits(), self.payload)

    def models(self) -> Any:
        """Models with the payload in every fact."""
        return planted(super().models(), self.payload)

    def compare_models(self, first: str, second: str) -> Any:
        """Differences with the payload."""
        return planted(super().compare_models(first, second), self.payload)

    def quarantine(self, each: bool = False) -> Any:
        """Reasons, messages and handles with the payload."""
        return planted(super().quarantine(each), self.payload)

    def pairing(self) -> Any:
        """Rules and reasons with the payload."""
        view = planted(super().pairing(), self.payload)
        return replace(view, rules=tuple((self.payload + rule, pairs) for rule, pairs in view.rules))

    def doctor(self) -> Any:
        """Sentences and hints with the payload."""
        return planted(super().doctor(), self.payload)

    def packs(self) -> Any:
        """Times and persons with the payload."""
        return planted(super().packs(), self.payload)

    def verify_pack(self, path: Path) -> Any:
        """Words with the payload."""
        return planted(super().verify_pack(path), self.payload)


def hostile(payload: str) -> Hostile:
    """A simulator that says `payload` everywhere."""
    backend = Hostile()
    backend.payload = payload
    backend.view = planted(backend.view, payload)
    backend.audits_ = {key: planted(view, payload) for key, view in backend.audits_.items()}
    return backend


def inert(app: GradAuditApp) -> None:
    """No control or format character, no link and no action in any cell of the glass."""
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            bad = [sign for sign in segment.text if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co")]
            assert bad == []
            if segment.style is not None:
                assert segment.style.link is None
                assert "@click" not in segment.style.meta


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_payload_is_inert_among_policies(payload: str) -> None:
    """In names, texts, reasons and differences of policies, and in what is asked before one is approved."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        for keys in (("7",), ("d",), ("t", "down"), ("m", "v"), ("y",), ("escape", "x")):
            await press(pilot, *keys)
            inert(app)
        assert "Reject" in glass(app)
        assert app.return_code is None

    drive(steps, backend=hostile(payload))


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_payload_is_inert_everywhere(payload: str) -> None:
    """Planted in every string of every view, it changes nothing on any screen or dialog."""
    backend = hostile(payload)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        inert(app)
        assert "lumen-vlm" in glass(app) or "名" in payload
        for key in ("2", "3", "9", "v", "r"):
            await press(pilot, key)
            inert(app)
        assert app.return_code is None

    drive(steps, size=(130, 80), backend=backend)


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_payload_is_inert_in_what_is_only_looked_at(payload: str) -> None:
    """Studies, models and their differences, system, evidence and a comparison, each with its acts."""
    ways = (("5", "f"), ("6",), ("m", "end", "v", "d"), ("escape", "s"), ("8", "e", "enter"))

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        for keys in (*ways, ("v", "x", "enter"), ("c", "enter", "end", "enter")):
            await press(pilot, *keys)
            inert(app)
        assert app.return_code is None

    drive(steps, size=(130, 80), backend=hostile(payload))


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_payload_is_inert_in_errors_and_progress(payload: str) -> None:
    """Neither an error's message, its hint, nor a phase's name acts."""
    error = ApplianceError(payload + "failed", payload + "hint")

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        inert(app)
        assert "failed" in glass(app)
        app.screen.query_one(Notice).confirm(payload, payload)
        await settle(pilot)
        inert(app)

    async def progress(pilot: Pilot[Any], app: GradAuditApp) -> None:
        for key in ("2", "p", "enter", "p"):
            await press(pilot, key)
            inert(app)
        assert isinstance(app.screen, ProgressDialog)

    drive(steps, backend=Simulator(failing={"overview": error}))
    drive(progress, backend=Phases(payload))


class Phases(Simulator):
    """A run that is named by an attacker, phases and all."""

    def __init__(self, payload: str) -> None:
        super().__init__()
        self.payload = payload

    def runs(self) -> tuple[RunView, ...]:
        """A run at work whose every word is theirs."""
        phases = (PhaseView(self.payload, self.payload, 1, 3, 1.0, 1.0),) * 2
        words = dict.fromkeys(("model", "cohort", "policy", "asked_utc", "why"), self.payload)
        return (RunView("a-0004", RunState.RUNNING, **words, place=0, phases=phases, elapsed_s=1.0),)

    def pause_run(self, run_id: str) -> RunView:
        """Refused in their words."""
        raise ApplianceError(self.payload)


def test_the_detector_sees_what_it_looks_for() -> None:
    """The same look at a widget with markup on does find the action: this file can fail."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        assert isinstance(app.screen, Section)
        await app.screen.mount(Static("[@click=app.quit]press me[/]"))
        await pilot.pause()
        with pytest.raises(AssertionError):
            inert(app)

    drive(steps)
