"""Which matrices an audit looks at, found on a few real pairs that the network gives finite numbers for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from audit_core.adapters.base import Candidate
from audit_core.as_published import published_layers
from audit_core.batches import Feed
from audit_core.errors import AuditError, BadSample, NotEnoughMemory
from audit_core.gradients import audited_layers, capture
from audit_core.memory import out_of_memory, release
from audit_core.samples import Sample
from audit_core.signal_rows import NOT_FINITE

PROBE_PAIRS = 2
TRIED_IN_VAIN = 8
"""After so many pairs that do not fit, with none that does, none is expected to."""
SIZES_LOOKED_AT = 8
"""Images of other sizes that are encoded to find one with another share of the packed rows."""
_NOTHING_FITS = "not even one pair fits into memory"


def audited(feed: Feed, samples: Sequence[Sample]) -> tuple[Candidate, ...]:
    """The layers an audit looks at, by a probe of two pairs; of one, where two do not fit into memory.

    Raises:
        ModelRefused: the pairs of a batch touch each other in a layer, or cannot be told apart there.
        NotEnoughMemory: not even one pair fits.
        AuditError: no pair gives finite numbers, or no layer receives a gradient.
    """
    find = published_layers if feed.settings.as_published else audited_layers
    usable = list(islice(_usable(feed, samples), PROBE_PAIRS))
    for count in range(len(usable), 0, -1):
        try:
            return find(feed.adapter, feed.encode(usable[:count]), feed.settings.layers, feed.anchors)
        except Exception as error:
            if not out_of_memory(error):
                raise
        release(feed.adapter.device)
        feed.pace.batch, feed.pace.alone = 1, True
    raise NotEnoughMemory(_NOTHING_FITS)


def _usable(feed: Feed, samples: Sequence[Sample]) -> Iterator[Sample]:
    """Pairs that fit and are finite alone, the second with another share of packed rows if there is one.

    The others are passed over here; the passes name them.
    """
    waiting, reasons, tight, found = list(samples), list[str](), 0, False
    while waiting:
        sample = waiting.pop(0)
        try:
            reason = _unusable(feed, sample)
        except Exception as error:
            if not out_of_memory(error):
                raise
            reason, tight = _NOTHING_FITS, tight + 1
        if not reason:
            yield sample
            waiting = waiting if found else _another_share_first(feed, sample, waiting)
            found = True
            continue
        reasons.append(reason)
        release(feed.adapter.device)
        if tight == TRIED_IN_VAIN and not found:
            break
    if not found and tight:
        raise NotEnoughMemory(_NOTHING_FITS)
    if not found:
        raise AuditError(
            f"no pair could be scored: {reasons[0] if reasons else 'there are none'}",
            "check the reports, the model's family and its weights",
        )


def _unusable(feed: Feed, sample: Sample) -> str:
    """Why this pair proves nothing about the network; empty if it does."""
    names = [candidate.name for candidate in feed.adapter.candidates()]
    try:
        finite = capture(feed.adapter, feed.encode([sample]), names, feed.anchors).finite_B
    except BadSample as error:
        if out_of_memory(error):
            raise
        return str(error)
    return "" if bool(finite.all()) else NOT_FINITE


def _another_share_first(feed: Feed, first: Sample, others: Sequence[Sample]) -> list[Sample]:
    """The other pairs; in front one whose rows are more or fewer, so that sharing them out is proven."""
    sizes = {first.image.shape: 0}
    for place, sample in enumerate(others):
        sizes.setdefault(sample.image.shape, place)
    for place in list(sizes.values())[1 : 1 + SIZES_LOOKED_AT]:
        try:
            shares = feed.encode([first, others[place]]).share_B
        except BadSample:
            continue
        if len(set(shares)) > 1:
            return [others[place], *others[:place], *others[place + 1 :]]
    return list(others)
