"""Pairs to a model in batches: encoded once, retried pair by pair; one bad pair never costs another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from audit_core.adapters.base import Anchors, Encoded, ModelAdapter
from audit_core.errors import AuditError, BadSample
from audit_core.results import Progress
from audit_core.samples import ReportProgress, Sample, Settings

MAX_KEPT_BYTES = 256 * 1024 * 1024
PROBE_PAIRS = 2


@dataclass(slots=True)
class _Kept:
    encoded: dict[tuple[str, ...], Encoded] = field(default_factory=dict)
    size: int = 0


@dataclass(frozen=True, slots=True)
class Feed:
    """A model with its bank, the settings, and batches already encoded.

    Attributes:
        adapter: the model.
        anchors: its embedded bank, None for generative models.
        settings: batch size and text length are used here.
        progress: told after every batch.
    """

    adapter: ModelAdapter
    anchors: Anchors | None
    settings: Settings
    progress: ReportProgress
    _kept: _Kept = field(default_factory=_Kept)

    def towards(self, adapter: ModelAdapter, anchors: Anchors | None) -> Feed:
        """The same feed for another model; encoded batches are shared if both models encode alike."""
        kept = self._kept if adapter.encoding == self.adapter.encoding else _Kept()
        return replace(self, adapter=adapter, anchors=anchors, _kept=kept)

    def run(self, samples: Sequence[Sample], phase: str, take: Callable[[Encoded], None]) -> dict[str, str]:
        """Give every sample to `take`, in batches of similar text length.

        A batch that raises `BadSample` is given again pair by pair; `take` must bear that.

        Returns:
            pair id -> reason, for the pairs that failed on their own.
        """
        failed: dict[str, str] = {}
        done = 0
        self.progress(Progress(phase, 0, len(samples)))
        for chunk in self._chunks(samples):
            try:
                take(self._encode(chunk))
            except BadSample:
                for sample in chunk:  # one of them is bad: find it, keep the others
                    try:
                        take(self._encode([sample]))
                    except BadSample as error:
                        failed[sample.pair_id] = str(error)
            done += len(chunk)
            self.progress(Progress(phase, done, len(samples)))
        return failed

    def probe(self, samples: Sequence[Sample]) -> Encoded:
        """The first few pairs that can be encoded.

        Raises:
            AuditError: there are none.
        """
        usable: list[Sample] = []
        for sample in samples:
            try:
                self._encode([sample])
            except BadSample:
                continue  # the passes name it; the probe only needs pairs that work
            usable.append(sample)
            if len(usable) == PROBE_PAIRS:
                break
        if not usable:
            raise AuditError(
                "no pair of this cohort can be given to the model",
                "check the reports and the model's family",
            )
        return self._encode(usable)

    def _chunks(self, samples: Sequence[Sample]) -> Iterator[Sequence[Sample]]:
        ordered = sorted(samples, key=lambda s: (len(s.text), s.pair_id))
        for start in range(0, len(ordered), self.settings.batch_size):
            yield ordered[start : start + self.settings.batch_size]

    def _encode(self, chunk: Sequence[Sample]) -> Encoded:
        key = tuple(s.pair_id for s in chunk)
        if key in self._kept.encoded:
            return self._kept.encoded[key]
        batch = self.adapter.encode(chunk, self.settings.max_text_tokens)
        size = sum(t.numel() * t.element_size() for t in batch.tensors.values())
        if self._kept.size + size <= MAX_KEPT_BYTES:
            self._kept.encoded[key] = batch
            self._kept.size += size
        return batch
