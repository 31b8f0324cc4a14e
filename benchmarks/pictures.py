"""Draws every screen of the terminal UI as an SVG picture, for README and docs.

    python benchmarks/pictures.py --backend MODULE:CALLABLE [--out docs/pictures] [--size 100x30]

CALLABLE takes nothing and returns an unlocked backend (see tui/backend.py); without `--backend` the tests'
simulator answers. The pictures hold what the backend says: point this at demo material only.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from textual.pilot import Pilot  # noqa: E402 - the checkout comes first on the path

from tui.app import GradAuditApp  # noqa: E402
from tui.backend import Backend  # noqa: E402

STEPS_BEFORE_PICTURE = 24
_WEB_FONT = re.compile(r"\s*@font-face\s*\{.*?\}", re.DOTALL)  # pictures must not fetch anything
_CREDIT = re.compile(r"\s*<!-- Generated with .*?-->")
_FONT = "DejaVu Sans Mono, Menlo, Consolas"


class Halting:
    """Passes everything on to a backend, but holds an audit after some steps until told to go on."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.held = threading.Event()
        self.go_on = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def run_audit(self, model: str, cohort: str, policy: str, on_progress: Callable[[Any], None]) -> Any:
        """Run, and wait once on the way."""
        steps = 0

        def stepped(step: Any) -> None:
            nonlocal steps
            steps += 1
            on_progress(step)
            if steps == STEPS_BEFORE_PICTURE:
                self.held.set()
                self.go_on.wait()

        return self._backend.run_audit(model, cohort, policy, stepped)


def svg(app: GradAuditApp) -> str:
    """The present screen, without web fonts."""
    drawn = _CREDIT.sub("", _WEB_FONT.sub("", app.export_screenshot(title="gradaudit")))
    return drawn.replace("Fira Code", _FONT)


async def settle(pilot: Pilot[Any]) -> None:
    """Until the screen has what it asked for."""
    await pilot.pause()
    while not all(worker.is_finished or worker.group == "audit" for worker in pilot.app.workers):
        await pilot.pause(0.01)
    await pilot.pause()


async def draw(backend: Backend, out: Path, size: tuple[int, int]) -> None:
    """Walk through the screens and write one picture each."""
    halting = Halting(backend)
    app = GradAuditApp(halting, lambda _: backend)  # type: ignore[arg-type]
    out.mkdir(parents=True, exist_ok=True)
    async with app.run_test(size=size) as pilot:

        async def picture(name: str, *keys: str) -> None:
            for key in keys:
                await pilot.press(key)
                await settle(pilot)
            (out / f"{name}.svg").write_text(svg(app), encoding="utf-8")

        await settle(pilot)
        await picture("overview")
        await picture("audits", "2")
        await picture("result", "1", "down", "down", "enter")
        await picture("result-numbers", "pagedown")
        await picture("result-controls", "pagedown")
        await picture("log", "4", "v")
        await picture("help", "question_mark")
        await picture("run", "escape", "1", "r")
        for key in ("tab", "tab", "tab", "tab", "enter"):
            await pilot.press(key)
        while not halting.held.is_set():
            await pilot.pause(0.01)
        await picture("progress")
        halting.go_on.set()
        while app.running is not None:
            await pilot.pause(0.01)
        await picture("locked", "ctrl+l")


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", default="tests.tui.simulator:paced", help="MODULE:CALLABLE")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    parser.add_argument("--size", default="100x30", help="columns x rows")
    chosen = parser.parse_args()
    module, _, name = chosen.backend.partition(":")
    columns, _, rows = chosen.size.partition("x")
    backend = getattr(importlib.import_module(module), name)()
    asyncio.run(draw(backend, chosen.out, (int(columns), int(rows))))
    print(f"pictures in {chosen.out}")


if __name__ == "__main__":
    main()
