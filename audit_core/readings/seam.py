"""What a reading is: further forward passes over every pair, declared and priced before they are made.

A detector names the readings it needs; an audit makes those of its battery and of its deciding detector, no
others. Adding one is one module in this package. Its scalars join those of the signal table.

Letters: n samples of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
import torch
from numpy.typing import NDArray

import audit_core.readings
from audit_core.adapters.base import Encoded, ModelAdapter
from audit_core.batches import Feed
from audit_core.samples import Sample

Floats = NDArray[np.float64]
Scalars = Mapping[str, Floats]
Read = Callable[[Sequence[Sample]], Scalars]
"""A batch of samples -> scalar name -> [n], every number finite."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a reading may look at besides the samples it is given.

    Attributes:
        feed: model, embedded bank and settings; `feed.encode` gives a batch as the model wants it.
        members: reference members, one pair per patient; empty where there are none.
        controls: fitting controls, one pair per patient; empty where there are none.
        base: the model it was fine-tuned from, where there is one.
    """

    feed: Feed
    members: tuple[Sample, ...] = ()
    controls: tuple[Sample, ...] = ()
    base: ModelAdapter | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One registered reading.

    Attributes:
        name: the module's.
        scalars: what it adds to the table; larger = more member-like where the source says which way.
        families: model families it can be read off.
        passes: forward passes a pair, for the estimate, from `prices.PASSES`.
        open: prepares once and gives the function that reads a batch; it may raise `BadSample` for a batch,
            which is then given again pair by pair.
        of_base: also read off the base model, where there is one.
        needs_references: cannot be read where there are neither members nor fitting controls.
        needs_base: cannot be read without a base model.
    """

    name: str
    scalars: tuple[str, ...]
    families: tuple[str, ...]
    passes: float
    open: Callable[[Scene], Read]
    of_base: bool = False
    needs_references: bool = False
    needs_base: bool = False


_REGISTRY: dict[str, Reading] = {}


def register(reading: Reading) -> Reading:
    """Make a reading known; called once, at import, by the module that defines it."""
    _REGISTRY[reading.name] = reading
    return reading


@cache
def readings() -> Mapping[str, Reading]:
    """Every reading by name; a new module in the package is found by itself."""
    for module in iter_modules(audit_core.readings.__path__):
        import_module(f"audit_core.readings.{module.name}")
    return dict(sorted(_REGISTRY.items()))


def losses(feed: Feed, batch: Encoded) -> Floats:
    """Loss of every pair of a batch, [n], without gradients."""
    with torch.no_grad():
        found = feed.adapter.forward(batch, feed.anchors).losses_B
    return np.asarray(found.double().cpu().numpy())


def columns(rows: Sequence[Mapping[str, float]]) -> Scalars:
    """One mapping of scalars per pair, as one array per scalar."""
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def suited(names: Iterable[str], family: str) -> tuple[Reading, ...]:
    """The named readings that can be read off this family, in a fixed order."""
    known = readings()
    return tuple(known[name] for name in sorted(set(names)) if family in known[name].families)
