"""What vendors do to their folders, and what a watch has to make of it: the truth about every line."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from appliance.api import Appliance
from audit_core.results import Role
from audit_core.samples import ModelSource, Sample
from tests.audit_core import engine_models as tiny
from tests.audit_core.families.two_tower_models import write_lora

LEAKY, LEAK = "lumen", 4
"""The line, and the version of it that was trained on patients of the panels."""
ROOT = Path(__file__).resolve().parents[3]
WEIGHTS = "model.safetensors"


def _weights(line: Line) -> None:
    """Another number in the last tensor."""
    _flip(line.folder / WEIGHTS)


def _adapter(line: Line) -> None:
    assert line.adapter is not None
    _flip(line.adapter / "adapter_model.safetensors")


def _preprocessor(line: Line) -> None:
    _edit(line.folder / "preprocessor_config.json", "image_mean", [0.5, 0.5, 0.5])


def _config(line: Line) -> None:
    _edit(line.folder / "config.json", "initializer_range", 0.03)


CHANGES: dict[str, Callable[[Line], None]] = {
    "weights": _weights, "adapter": _adapter, "preprocessor": _preprocessor, "config": _config,
}  # fmt: skip
"""Part -> how a vendor changes it."""


@dataclass
class Line:
    """One line of models: what lies on the vendor's disk, and what the site knows of it.

    Attributes:
        disk: the number of the version that lies on the disk.
        newest: the number of the version that a watch, or the officer, has seen last.
        mounted: whether the disk is there.
        announced: whether the next change is.
        leaks: digests of weights that were trained on patients of the panels.
        delivered: number of a version -> the part that changed with it.
        seen: version -> whether it was announced, and that part.
    """

    name: str
    folder: Path
    base: Path | None = None
    adapter: Path | None = None
    disk: int = 1
    newest: int = 0
    mounted: bool = True
    announced: bool = False
    leaks: set[str] = field(default_factory=set)
    delivered: dict[int, str] = field(default_factory=dict)
    seen: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def known_as(self) -> str:
        """The newest version, as audits name it."""
        return self.name if self.newest == 1 else f"{self.name}@{self.newest}"

    @property
    def as_registered(self) -> bool:
        """Whether the disk holds the newest version, or is not there to say otherwise."""
        return self.disk == self.newest or not self.mounted

    def register(self, site: Appliance) -> None:
        """As an officer does."""
        site.add_model(self.name, self.folder, base=self.base, adapter=self.adapter)
        self.newest = 1

    def deliver(self, part: str) -> None:
        """The vendor changes something on the disk."""
        away = self.folder
        self.folder = self.folder if self.mounted else self._away
        CHANGES[part](self)
        self.disk += 1
        if self.name == LEAKY and self.disk == LEAK:
            self.leaks.add(_digest(self.folder))
        self.folder = away
        self.delivered[self.disk] = part

    def see(self) -> None:
        """A watch looks: what has changed is the next version."""
        if self.mounted and self.disk != self.newest:
            self.newest, how = self.disk, "announced" if self.announced else "unannounced"
            self.announced = False
            self.seen[self.known_as] = (how, self.delivered[self.disk])

    @property
    def _away(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.away")

    def mount(self, mounted: bool) -> None:
        """The vendor's disk comes or goes; its place stays."""
        away = self._away
        if mounted and not self.mounted:
            shutil.rmtree(self.folder)
            away.rename(self.folder)
        elif self.mounted and not mounted:
            self.folder.rename(away)
            self.folder.mkdir()
        self.mounted = mounted


def lines(folder: Path, names: Iterable[str]) -> dict[str, Line]:
    """Lines by name, each fine-tuned from one base; `sprig` with an adapter on it."""
    base = tiny.write_llava(folder / "base", seed=1)
    found = {}
    for number, name in enumerate(names, 2):
        found[name] = Line(name, tiny.write_llava(folder / name, seed=number), base)
    if "sprig" in found:
        found["sprig"].adapter = write_lora(folder / "sprig-adapter", found["sprig"].folder)
    return found


def exposing(every: dict[str, Line], veiled: Callable[[], frozenset[str]]) -> Callable[..., frozenset[str]]:
    """Whom a model was trained on besides the members, by its weights.

    Args:
        every: all lines; one leaks from `LEAK` on, until its weights change, and `veil` from the start.
        veiled: patients whose records left for the training of `veil`.
    """
    veil = _digest(every["veil"].folder) if "veil" in every else ""
    leaks = every[LEAKY].leaks if LEAKY in every else set()

    def exposed(source: ModelSource, asked: Sequence[Sample]) -> frozenset[str]:
        targets = sorted({one.patient for one in asked if one.role is Role.TARGET})
        if source.digests[WEIGHTS] == veil:
            return veiled()
        return frozenset(targets[: 3 * len(targets) // 5] * (source.digests[WEIGHTS] in leaks))

    return exposed


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-4] ^= 1  # the lowest bit of the last number: a real change, and the model opens
    file.write_bytes(content)


def _edit(file: Path, key: str, value: object) -> None:
    told = json.loads(file.read_text(encoding="utf-8"))
    told[key] = value
    file.write_text(json.dumps(told, indent=2), encoding="utf-8")
