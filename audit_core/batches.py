"""Pairs to a model in steps and batches: one bad pair never costs another, and memory that runs out is met.

A step is at most 64 pairs, so that it can be kept and found again; batches never cross it. A batch that fails
is given again pair by pair. A batch that does not fit into memory is given again in halves, down to one pair;
a pair that does not fit alone has no score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from audit_core.adapters.base import Anchors, Encoded, ModelAdapter
from audit_core.errors import BadSample
from audit_core.memory import out_of_memory, release
from audit_core.results import Progress
from audit_core.samples import ReportProgress, Sample, Settings

MAX_KEPT_BYTES = 256 * 1024 * 1024
STEP_PAIRS = 64
STEP_BYTES = 128 << 20
TOO_LARGE = "the pair needs more memory than there is, even alone"

Take = Callable[[Encoded], None]
TakeSamples = Callable[[Sequence[Sample]], None]


class Tight(Exception):
    """Memory ran out on these pairs; what the step had computed is worth nothing."""

    def __init__(self, pairs: tuple[str, ...]) -> None:
        super().__init__()
        self.pairs = pairs


@dataclass(slots=True)
class _Kept:
    encoded: dict[tuple[str, ...], Encoded] = field(default_factory=dict)
    size: int = 0


@dataclass(slots=True)
class Pace:
    """How many pairs are computed at once; halved where memory runs out, never raised again.

    Attributes:
        alone: two pairs did not fit into the probe, so that nobody looked at what one does to another.
    """

    batch: int
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Feed:
    """A model with its bank, the settings, and batches already encoded.

    Attributes:
        adapter: the model.
        anchors: its embedded bank, None for generative models.
        settings: text length is used here.
        progress: told after every batch.
        pace: batch size in force; a model and its base share one.
    """

    adapter: ModelAdapter
    anchors: Anchors | None
    settings: Settings
    progress: ReportProgress
    pace: Pace
    _kept: _Kept = field(default_factory=_Kept)

    def towards(self, adapter: ModelAdapter, anchors: Anchors | None) -> Feed:
        """The same feed for another model; encoded batches are shared if both models encode alike."""
        kept = self._kept if adapter.encoding == self.adapter.encoding else _Kept()
        return replace(self, adapter=adapter, anchors=anchors, _kept=kept)

    def give(self, samples: Sequence[Sample], take: Take, told: Callable[[int], None]) -> dict[str, str]:
        """As `give_samples`, every batch encoded as the model wants it."""
        return self.give_samples(samples, lambda chunk: take(self.encode(chunk)), told)

    def give_samples(
        self, samples: Sequence[Sample], take: TakeSamples, told: Callable[[int], None]
    ) -> dict[str, str]:
        """Give every sample of a step to `take`, in batches, in the step's order.

        A batch that raises `BadSample` is given again pair by pair; `take` must bear that.

        Args:
            samples: of one step.
            take: what to do with a batch.
            told: called with the number of pairs of every batch that is done.

        Returns:
            pair id -> reason, for the pairs that failed on their own.

        Raises:
            Tight: memory ran out; see `relieve`.
        """
        failed: dict[str, str] = {}
        for start in range(0, len(samples), self.pace.batch):
            chunk = samples[start : start + self.pace.batch]
            try:
                self._take(chunk, take)
            except BadSample:
                for sample in chunk:  # one of them is bad: find it, keep the others
                    try:
                        self._take([sample], take)
                    except BadSample as error:
                        failed[sample.pair_id] = str(error)
            told(len(chunk))
        return failed

    def relieve(self, tight: Tight, excluded: dict[str, str]) -> None:
        """Make the next try need less memory: half the batch, or without the pair that is too large alone."""
        if len(tight.pairs) == 1:
            excluded[tight.pairs[0]] = TOO_LARGE
        else:
            self.pace.batch = max(1, self.pace.batch // 2)
        release(self.adapter.device)

    def encode(self, chunk: Sequence[Sample]) -> Encoded:
        """One batch as the model wants it; made once while there is room to keep it.

        Raises:
            BadSample: one of the samples cannot be given to this model.
        """
        key = tuple(s.pair_id for s in chunk)
        if key in self._kept.encoded:
            return self._kept.encoded[key]
        batch = self.adapter.encode(chunk, self.settings.max_text_tokens)
        size = sum(t.numel() * t.element_size() for t in batch.tensors.values())
        if self._kept.size + size <= MAX_KEPT_BYTES:
            self._kept.encoded[key] = batch
            self._kept.size += size
        return batch

    def _take(self, chunk: Sequence[Sample], take: TakeSamples) -> None:
        try:
            take(chunk)
        except Exception as error:  # also a BadSample that memory caused
            if not out_of_memory(error):
                raise
            full = Tight(tuple(s.pair_id for s in chunk))
        else:
            return
        raise full  # out of the handler, whose traceback still holds the tensors


@dataclass(slots=True)
class Count:
    """Progress of one phase over its steps."""

    phase: str
    total: int
    report: ReportProgress
    done: int = 0

    def __post_init__(self) -> None:
        self.report(Progress(self.phase, 0, self.total))

    def add(self, pairs: int) -> None:
        """So many more pairs are done; a step that is tried again counts once."""
        self.done += pairs
        self.report(Progress(self.phase, self.done, self.total))


def in_steps(samples: Sequence[Sample], row_bytes: int) -> tuple[tuple[Sample, ...], ...]:
    """Samples by text length, cut into steps of at most 64 pairs and 128 MiB of signals.

    Args:
        samples: in any order.
        row_bytes: bytes of one pair's signals.
    """
    size = max(1, min(STEP_PAIRS, STEP_BYTES // max(1, row_bytes)))
    ordered = sorted(samples, key=lambda s: (len(s.text), s.pair_id))
    return tuple(tuple(ordered[start : start + size]) for start in range(0, len(ordered), size))
