"""How many pairs at once: measured on the longest of the real pairs, within a budget of memory.

Batches of 1, 2, 4 … pairs go through what a scoring pass does. The smallest size within 5 % of the best
throughput is taken; a size whose memory, foreseen from the sizes before it, is over the budget is not tried.
What was chosen is kept with the signals, because another size gives other last bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from audit_core.adapters.base import Encoded
from audit_core.batches import STEP_PAIRS, Feed, Tight
from audit_core.errors import NotEnoughMemory
from audit_core.memory import available_bytes, peak_bytes
from audit_core.samples import Sample
from audit_core.store import Shelf, packed, unpacked

BUDGET = 0.5  # share of the memory that is free before the first batch
AS_GOOD = 1.05  # a size this near to the fastest is taken for what it saves in memory
GIVE_UP = 1.15  # larger sizes this much slower are not followed further


@dataclass(frozen=True, slots=True)
class Tried:
    """One batch size: seconds a pair, and the most memory that was held until then, in bytes."""

    size: int
    pair_s: float
    peak_bytes: int


def choose(tried: Sequence[Tried]) -> int:
    """The smallest size that is nearly as fast a pair as the fastest.

    Raises:
        NotEnoughMemory: not even one pair fits.
    """
    if not tried:
        raise NotEnoughMemory("not even one pair fits into memory")
    fastest = min(one.pair_s for one in tried)
    return next(one.size for one in tried if one.pair_s <= fastest * AS_GOOD)


def measured(
    feed: Feed,
    samples: Sequence[Sample],
    work: Callable[[Encoded], None],
    *,
    clock: Callable[[], float] = time.perf_counter,
    budget_bytes: int | None = None,
) -> int:
    """Find the batch size. Pairs that do not fit alone are passed over: they will be unscored.

    Args:
        feed: of the model; its pace is used and left at the size that was found.
        samples: the audit's pairs.
        work: what a scoring pass does with a batch.
        clock: seconds.
        budget_bytes: memory that batches may take; half of what is free when left out.

    Raises:
        NotEnoughMemory: not even one pair fits.
    """
    device = feed.adapter.device
    budget = int(BUDGET * available_bytes(device)) if budget_bytes is None else budget_bytes
    longest = sorted(samples, key=lambda s: (-len(s.text), s.pair_id))
    floor, tried = peak_bytes(device), list[Tried]()
    size = 1
    while size <= min(1 if feed.pace.alone else STEP_PAIRS, len(longest)):
        try:
            seconds = _timed(feed, longest[:size], work, clock)
        except Tight as tight:
            feed.relieve(tight, {})
            if tried:
                break
            longest.pop(0)
            continue
        tried.append(Tried(size, seconds / size, peak_bytes(device)))
        slow = seconds / size > GIVE_UP * min(one.pair_s for one in tried)
        if slow or 2 * (tried[-1].peak_bytes - floor) > budget:
            break
        size *= 2
    feed.pace.batch = choose(tried)
    return feed.pace.batch


def kept_or_measured(
    feed: Feed, samples: Sequence[Sample], work: Callable[[Encoded], None], shelf: Shelf | None
) -> int:
    """As `measured`, but the size that was found before on the same shelf is taken again."""
    place = None if shelf is None else shelf.on(phase="batch size")
    blob = None if place is None else place.get()
    if blob is not None:
        feed.pace.batch = int(unpacked(blob)[0]["batch"])
        return feed.pace.batch
    size = measured(feed, samples, work)
    if place is not None:
        place.put(packed({"batch": size}, {}))
    return size


def _timed(
    feed: Feed, samples: Sequence[Sample], work: Callable[[Encoded], None], clock: Callable[[], float]
) -> float:
    """Seconds of one batch, the better of two: the first of a size also warms caches."""
    feed.pace.batch = len(samples)
    seconds = []
    for _ in range(2):
        started = clock()
        feed.give(samples, work, lambda done: None)
        seconds.append(clock() - started)
    return min(seconds)
