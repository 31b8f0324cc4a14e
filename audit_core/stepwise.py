"""One pass over pairs, step by step: every step is found on the shelf or computed, and added to the table.

A batch that fails is tried again pair by pair: only the bad pair becomes unscored. Memory that runs out
halves the batch, and the step is computed anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from audit_core.batches import Count, Feed, Tight, in_steps
from audit_core.samples import Sample
from audit_core.signal_rows import Columns, StepRows, TableRows
from audit_core.store import Shelf

Read = Callable[[Sequence[Sample], StepRows], None]


def read_in_steps(
    feed: Feed,
    samples: Sequence[Sample],
    rows: TableRows,
    read: Read,
    count: Count,
    shelf: Shelf | None,
    folds: int,
) -> None:
    """Find or compute every step of these pairs, and add it to the table."""
    steps = in_steps(samples, rows.columns.row_bytes(folds))
    for number, step in enumerate(steps):
        ids = tuple(s.pair_id for s in step)
        place = None if shelf is None else shelf.on(step=number, pairs=ids)
        done = _found(place, feed.pace.batch, cosines=bool(folds) or not rows.streamed)
        if done is None:
            done = _computed(feed, step, rows.columns, read, count, folds)
            if place is not None:
                done.keep(place.on(batch=done.batch))
        else:
            count.add(len(step))
        feed.pace.batch = done.batch
        rows.add(done, None if place is None else place.on(batch=done.batch))


def _found(place: Shelf | None, batch: int, *, cosines: bool) -> StepRows | None:
    """A kept step, computed with this batch size or, after memory had run out, with a half of it …"""
    while place is not None and batch >= 1:
        done = StepRows.found(place.on(batch=batch), cosines=cosines)
        if done is not None:
            return done
        batch //= 2
    return None


def _computed(
    feed: Feed, step: Sequence[Sample], columns: Columns, read: Read, count: Count, folds: int
) -> StepRows:
    excluded: dict[str, str] = {}
    before = count.done
    while True:
        ids = tuple(s.pair_id for s in step)
        done = StepRows.empty(ids, columns, folds, feed.pace.batch)
        try:
            fit = [s for s in step if s.pair_id not in excluded]
            failed = feed.give_samples(fit, lambda chunk, into=done: read(chunk, into), count.add)  # type: ignore[misc]
        except Tight as tight:
            feed.relieve(tight, excluded)
            count.done = before
            continue
        done.close({**failed, **excluded})
        return done
