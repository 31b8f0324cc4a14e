"""Readings made over a cohort, and their scalars put into the signal table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from audit_core.batches import Count
from audit_core.readings.seam import Read, Reading, Scalars, Scene
from audit_core.samples import Sample
from audit_core.signal_rows import Columns, StepRows, TableRows
from audit_core.signals import SignalTable
from audit_core.stepwise import read_in_steps
from audit_core.store import Shelf, digest_of_samples


def with_readings(
    table: SignalTable,
    readings: Sequence[Reading],
    scene: Scene,
    samples: Sequence[Sample],
    shelf: Shelf | None,
    whose: str = "",
) -> SignalTable:
    """Make every reading; a pair that one of them cannot score becomes unscored, with the reading's reason.

    Args:
        table: of the same samples, in the same order.
        readings: those that suit the model's family.
        scene: the model, and the references that readings may look at.
        samples: the cohort.
        shelf: where steps are kept; it must depend on model, samples and folds.
        whose: told with the progress where it is not the audited model.

    Raises:
        AuditError: not one pair could be read.
    """
    for reading in readings:
        if not _possible(reading, scene):
            continue
        found = _made(reading, scene, samples, shelf, whose)
        unscored = {pair: f"{reading.name}: {why}" for pair, why in found.unscored.items()}
        table = replace(
            table,
            scalars={**table.scalars, **found.scalars},
            unscored={**unscored, **table.unscored},
        )
    return table


def _possible(reading: Reading, scene: Scene) -> bool:
    known = bool(scene.members and scene.controls) or not reading.needs_references
    return known and (scene.base is not None or not reading.needs_base)


def _made(
    reading: Reading, scene: Scene, samples: Sequence[Sample], shelf: Shelf | None, whose: str
) -> SignalTable:
    rows = TableRows.empty([s.pair_id for s in samples], Columns(reading.scalars), streamed=False)
    phase = f"{whose} {reading.name}".strip()
    count = Count(phase, len(samples), scene.feed.progress)
    place = None
    if shelf is not None:
        known = {"members": digest_of_samples(scene.members), "controls": digest_of_samples(scene.controls)}
        place = shelf.on(phase=phase, **known)
    opened: list[Read] = []

    def read(chunk: Sequence[Sample], into: StepRows) -> None:
        if not opened:  # not before a step is to be computed: all may be on the shelf
            opened.append(reading.open(scene))
        into.put(tuple(s.pair_id for s in chunk), _checked(reading, opened[0](chunk), len(chunk)))

    read_in_steps(scene.feed, samples, rows, read, count, place, 0)
    return rows.table({})


def _checked(reading: Reading, found: Scalars, size: int) -> Scalars:
    if set(found) != set(reading.scalars) or any(values.shape != (size,) for values in found.values()):
        raise ValueError(f"reading {reading.name} gave something else than it declares")
    return found
