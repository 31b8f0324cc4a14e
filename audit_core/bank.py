"""The bank of contrastive losses (METHOD §4): which pairs, and their embeddings, made once for an audit."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

from audit_core.adapters.base import Anchors, ModelAdapter
from audit_core.errors import BadSample, CohortTooSmall
from audit_core.memory import out_of_memory, release
from audit_core.samples import Sample, Settings
from audit_core.store import Shelf, packed, unpacked

MAX_BANK = 255
_BATCH = 16  # where the audit's own batch size is not known yet


def drawn(bank: Sequence[Sample], settings: Settings) -> list[Sample]:
    """The pairs of the bank that are used: all of them, or 255 drawn by the seed.

    Raises:
        CohortTooSmall: there are fewer than the settings ask for.
    """
    if len(bank) < settings.minimum_bank:
        raise CohortTooSmall(
            f"the bank has {len(bank)} pairs, at least {settings.minimum_bank} are needed",
            "add independent pairs to the cohort's bank",
        )
    ordered = sorted(bank, key=lambda s: s.pair_id)
    if len(ordered) > MAX_BANK:
        ordered = random.Random(settings.seed).sample(ordered, MAX_BANK)
    return ordered


def embedded(
    adapter: ModelAdapter, bank: Sequence[Sample], settings: Settings, shelf: Shelf | None, phase: str
) -> Anchors | None:
    """The bank embedded, or as it was kept; in halves where memory runs out. None where none is needed.

    Raises:
        BadSample: a pair of the bank cannot be encoded.
    """
    if not adapter.uses_bank:
        return None
    place = None if shelf is None else shelf.on(phase=phase)
    ids, patients = tuple(s.pair_id for s in bank), tuple(s.patient for s in bank)
    blob = None if place is None else place.get()
    if blob is not None:
        kept = {name: torch.from_numpy(v).to(adapter.device) for name, v in unpacked(blob)[1].items()}
        return Anchors(ids, patients, kept["image"], kept["text"])
    found = _in_halves(adapter, bank, settings)
    if found is not None and place is not None:
        arrays = {"image": found.image_ND.cpu().numpy(), "text": found.text_ND.cpu().numpy()}
        place.put(packed({}, arrays))
    return found


def _in_halves(adapter: ModelAdapter, bank: Sequence[Sample], settings: Settings) -> Anchors | None:
    size = settings.batch_size or _BATCH
    while True:
        try:
            return adapter.anchors(bank, settings.max_text_tokens, size)
        except (MemoryError, RuntimeError, BadSample) as error:
            if size == 1 or not out_of_memory(error):
                raise
        size //= 2
        release(adapter.device)
