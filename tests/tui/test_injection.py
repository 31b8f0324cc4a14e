"""Foreign text does nothing: no escape, no markup, no action, in every place of every screen."""

from __future__ import annotations

import unicodedata
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from inspect import getmembers, isfunction, signature
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from appliance.errors import ApplianceError
from appliance.runs.views import PhaseView, RunState, RunView
from tests.tui.everywhere import BEGUN, WAYS
from tests.tui.pilot import drive, glass, press, settle
from tests.tui.simulator import Simulator
from tui.app import GradAuditApp
from tui.backend import Backend
from tui.screens.progress import ProgressDialog
from tui.screens.section import Section
from tui.text import line
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
# Codes of ours by which a screen decides or looks a word up; no text.
KEPT = {
    "verdict",
    "state",
    "role",
    "audit_id",
    "word",
    "status",
    "consequence",
    "design",
    "references",
    "tier",
}


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
            (key if name in ("counts", "probabilities") else payload + key): planted(item, payload, name)
            for key, item in value.items()
        }
    return value


def stripped(value: Any, payload: str) -> Any:
    """What the screens hand back, without the payload: an id or a name that they were given before."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{part.name: stripped(getattr(value, part.name), payload) for part in fields(value)}
        )
    if isinstance(value, str) and not isinstance(value, Enum):
        return value.replace(payload, "").replace(line(payload), "")
    return tuple(stripped(item, payload) for item in value) if isinstance(value, tuple) else value


ANSWERS = {name for name, _ in getmembers(Backend, isfunction) if not name.startswith("_")} - {"may"}
"""Every call of the screens; what it answers is planted, field by field, so that a new one is as well."""


class Hostile(Simulator):
    """An appliance all of whose text was written by an attacker."""

    payload = ""

    def __getattribute__(self, name: str) -> Any:
        """Every answer with the payload in all its text, whatever view it is."""
        found = super().__getattribute__(name)
        if name not in ANSWERS:
            return found
        payload = self.payload

        def answer(*given: Any, **named: Any) -> Any:
            plain = {key: stripped(value, payload) for key, value in named.items()}
            return planted(found(*(stripped(one, payload) for one in given), **plain), payload)

        return answer


def hostile(payload: str) -> Hostile:
    """A simulator that says `payload` everywhere."""
    backend = Hostile()
    backend.payload = payload
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


ALL = "".join(PAYLOADS.values())


@pytest.mark.parametrize("name", sorted(set(WAYS) - set(BEGUN)))
def test_every_screen_and_dialog_is_inert(name: str) -> None:
    """All payloads at once, in every field of every view, wherever a key leads."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        for key in WAYS[name]:
            await press(pilot, key)
            inert(app)
        assert app.return_code is None

    drive(steps, size=(130, 60), backend=hostile(ALL))


def test_a_new_field_is_planted_by_itself() -> None:
    """No view of the screens holds text that is not planted, but for the few words they are told by."""

    def bare(value: Any, name: str = "") -> list[str]:
        if is_dataclass(value) and not isinstance(value, type):
            return [one for part in fields(value) for one in bare(getattr(value, part.name), part.name)]
        if isinstance(value, tuple):
            return [one for item in value for one in bare(item, name)]
        told = isinstance(value, str) and not isinstance(value, Enum) and name not in KEPT
        return [name] if told and "<planted>" not in value else []

    backend = hostile("<planted>")
    plain = [name for name in sorted(ANSWERS) if not any(takes(getattr(Simulator, name, None)))]
    assert len(plain) > 10
    assert {name: found for name in plain if (found := bare(getattr(backend, name)()))} == {}


def takes(method: Any) -> list[str]:
    """What a call cannot be made without."""
    if not isfunction(method):
        return ["a property"]
    parameters = list(signature(method).parameters.values())[1:]
    return [one.name for one in parameters if one.default is one.empty]


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
