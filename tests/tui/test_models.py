"""Models: digests and lineage of the one under the cursor, and what changed since the last version."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from textual.pilot import Pilot

from appliance.errors import IntegrityError
from appliance.views import ModelView
from tests.tui.pilot import drive, glass, press
from tests.tui.simulator import Simulator, demo_overview
from tui.app import GradAuditApp
from tui.screens.difference import DifferenceDialog
from tui.screens.models import ModelsScreen, last_version, made_from

SIZES = ((80, 24), (132, 40))


def model(name: str, registered: str, **changes: Any) -> ModelView:
    """A model of one vendor and family."""
    plain = ModelView(name, "contrastive", "ab" * 32, "Lumen", "", False, 1, registered)
    return replace(plain, **changes)


@dataclass
class Versions(Simulator):
    """A vendor's three versions."""

    def models(self) -> tuple[ModelView, ...]:
        """By name, as the appliance gives them."""
        return tuple(model(f"lumen-{number}", f"2026-0{number}-01T00:00:00Z") for number in (1, 2, 3))


@pytest.mark.parametrize("size", SIZES)
def test_the_model_under_the_cursor_is_shown_in_full(size: tuple[int, int]) -> None:
    """Digest, lineage and last version are there at once, files a tab and a key away."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "down")
        shown = glass(app)
        for words in (
            "image-text-to-text",
            "Harbor Health AI",
            "lineage",
            "fine-tuned from /srv/models/base-vlm",
        ):
            assert words in shown
        assert "e77d" * 14 in shown
        await press(pilot, "tab", "end")
        assert "base/model.safetensors" in glass(app)

    drive(steps, size)


def test_the_last_version_is_the_one_registered_before_by_the_same_vendor() -> None:
    """Neither a later one, nor another vendor's or family's, nor one without a vendor."""
    first, second = model("a", "2026-01-01T00:00:00Z"), model("b", "2026-02-01T00:00:00Z")
    others = (
        model("c", "2026-02-15T00:00:00Z", vendor="Other"),
        model("d", "2026-02-15T00:00:00Z", family="image-text-matching"),
    )
    newest = model("e", "2026-03-01T00:00:00Z")
    registry = (first, second, *others, newest)
    assert last_version(registry, newest) is second
    assert last_version(registry, first) is None
    nameless = tuple(replace(one, vendor="") for one in (first, second))
    assert last_version(nameless, nameless[1]) is None


def test_a_base_that_is_registered_goes_by_its_name() -> None:
    """Lineage is told by digests; where no digest tells, by the folder that was given."""
    base = model("origin", "2026-01-01T00:00:00Z", files={"model.safetensors": "0b" * 32})
    tuned = model(
        "tuned", "2026-02-01T00:00:00Z", has_base=True, base_path="/in/base", files={"base/w": "0b" * 32}
    )
    adapted = replace(tuned, files={"base/w": "ff" * 32}, has_adapter=True, adapter_path="/in/lora")
    assert made_from((base, tuned), tuned) == "fine-tuned from origin"
    assert made_from((base, adapted), adapted) == "/in/base, with the adapter /in/lora"
    sibling = replace(tuned, name="sibling")
    assert made_from((sibling, tuned), tuned) == "fine-tuned from /in/base"
    assert made_from((base,), base).startswith("not named")


def test_diff_is_to_the_last_version_or_to_the_marked_one() -> None:
    """d alone asks for the version before; after m for the marked model; escape comes back."""
    backend = Versions()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "end", "d")
        assert backend.calls[-1] == "compare_models lumen-2 lumen-3"
        assert isinstance(app.screen, DifferenceDialog)
        shown = glass(app)
        assert "41c041c041c041c0…" in shown
        assert "none" in shown
        await press(pilot, "escape", "home", "m", "end", "d")
        assert backend.calls[-1] == "compare_models lumen-1 lumen-3"
        await press(pilot, "escape")
        assert "(marked)" in glass(app)

    drive(steps, backend=backend)


def test_a_first_version_says_how_to_compare_it() -> None:
    """Without an earlier version d names the keys that help, and asks nothing."""
    backend = Versions()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "d")
        assert "no earlier model of Lumen  hint: press m on the one" in " ".join(glass(app).split("\n"))
        assert not [call for call in backend.calls if call.startswith("compare_models")]

    drive(steps, backend=backend)


def test_verify_says_what_it_found() -> None:
    """v: as registered, or the files that differ, or what the vault says."""

    async def whole(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "v")
        assert "✓ lumen-vlm is what was registered" in glass(app)

    async def changed(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "v")
        assert "✗ lumen-vlm is not what was registered: changed: a; changed: b" in glass(app)
        assert "and 1 more" in " ".join(glass(app).split())

    async def damaged(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "v")
        assert "✗ an object is damaged" in glass(app)

    drive(whole)
    drive(changed, backend=Simulator(different=tuple(f"changed: {name}" for name in "abcd")))
    drive(damaged, backend=Simulator(failing={"verify_model": IntegrityError("an object is damaged")}))


def test_an_empty_registry_names_the_next_step() -> None:
    """No model: the key that registers one; the others do nothing."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "d", "m", "v")
        assert "No model yet: press n to register one." in glass(app)
        assert isinstance(app.screen, ModelsScreen)

    drive(steps, backend=Simulator(view=replace(demo_overview(), models=())))
