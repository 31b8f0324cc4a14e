"""Drives the screens without a terminal: settle instead of sleep, and read what is on the glass."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from textual import events
from textual.app import App
from textual.keys import REPLACED_KEYS, _character_to_key, _get_unicode_name_from_key
from textual.pilot import Pilot

from tests.tui.simulator import SimulatedDoor, Simulator, unlock
from tui.app import GradAuditApp

SIZES = ((80, 24), (120, 40), (60, 20))
DEADLINE_S = 20.0
Steps = Callable[[Pilot[Any], GradAuditApp], Awaitable[None]]


async def until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    """Let the app work until `condition` holds; fails after a deadline."""
    end = monotonic() + DEADLINE_S
    while not condition():
        assert monotonic() < end, "the screens did not get there"
        await pilot.pause(0.005)
    await pilot.pause(0)


async def settle(pilot: Pilot[Any]) -> None:
    """Until no call to the appliance is under way, the audit apart, and nothing is left to tell or draw."""
    end = monotonic() + DEADLINE_S
    while True:
        await pilot.app.animator.wait_until_complete()
        await pilot.pause(0)
        called = any(not worker.is_finished and worker.group != "audit" for worker in pilot.app.workers)
        if not called and _quiet(pilot.app):
            return
        assert monotonic() < end, "the screens did not get there"
        if called:
            await asyncio.sleep(0.005)


def _quiet(app: App[Any]) -> bool:
    screen, moving = app.screen, app.animator
    if moving._animations or moving._scheduled:
        return False
    waits = screen._layout_required or screen._scroll_required or screen._repaint_required
    if waits or screen._dirty_widgets or screen._callbacks:
        return False
    told = (app, *screen.walk_children(with_self=True))
    return not any(node.message_queue_size or node._next_callbacks for node in told)


async def press(pilot: Pilot[Any], *keys: str) -> None:
    """Press keys one by one and let each have its effect.

    A pilot's own `press` waits for an idle processor, which no machine that does something else has.
    """
    for key in keys:
        named = _character_to_key(key) if len(key) == 1 and not key.isalnum() else key
        event = events.Key(named, _sign(named))
        event.set_sender(pilot.app)
        pilot.app.post_message(event)
        await settle(pilot)


def _sign(key: str) -> str | None:
    try:
        return unicodedata.lookup(_get_unicode_name_from_key(REPLACED_KEYS.get(key, key)))
    except KeyError:
        return key if len(key) == 1 else None


def glass(app: GradAuditApp) -> str:
    """The text on the screen, line by line."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def sees(pilot: Pilot[Any], app: GradAuditApp, *words: str) -> None:
    """Wait until all of it is on the glass, however it is broken into lines."""
    await until(pilot, lambda: all(one in " ".join(glass(app).split()) for one in words))


def drive(steps: Steps, size: tuple[int, int] = (80, 24), **options: Any) -> GradAuditApp:
    """Run `steps` on an app over the simulator, after its first screen has loaded."""
    options.setdefault("backend", Simulator())
    options.setdefault("door", SimulatedDoor(options.pop("unlock", unlock)))

    async def whole() -> GradAuditApp:
        app = GradAuditApp(**options)
        async with app.run_test(size=size) as pilot:
            try:
                await settle(pilot)
                await steps(pilot, app)
            finally:  # a failed step must not leave an audit's thread waiting, nor this process for it
                if (gate := getattr(options["backend"], "gate", None)) is not None:
                    gate.release(10_000)
        return app

    return asyncio.run(whole())
