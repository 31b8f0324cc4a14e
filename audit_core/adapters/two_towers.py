"""What differs between the layouts of a contrastive model: how a pair is encoded and how it is embedded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from audit_core.adapters.base import Candidate
from audit_core.errors import BadSample
from audit_core.samples import Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TwoTowers(ABC):
    """One layout of image tower and text tower. Letters: B samples, T tokens, E embedding."""

    sigmoid: bool = False
    """Trained with a sigmoid per pair, not with a softmax over the batch."""

    @abstractmethod
    def texts(self, samples: Sequence[Sample], max_text_tokens: int) -> dict[str, Tensor]:
        """Token ids, and a mask where the model was trained with one.

        Raises:
            BadSample: a report cannot be given to this model.
        """

    @abstractmethod
    def pixels(self, image: NDArray[np.uint8]) -> dict[str, Tensor]:
        """One image as the model wants it, without the leading B."""

    @abstractmethod
    def embed(self, model: Any, given: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Unit embeddings [B, E] of images and texts, float32."""

    @abstractmethod
    def temperature(self, model: Any) -> tuple[Tensor, Tensor]:
        """What cosines are multiplied with, and what is added then (zero for softmax models), float32."""

    @abstractmethod
    def candidate(self, name: str) -> Candidate:
        """Tower and block of a linear layer."""

    @property
    @abstractmethod
    def encoding(self) -> str:
        """Identity of all that `texts` and `pixels` depend on."""


def padded(rows: Sequence[Sequence[int]], padding_id: int, width: int | None = None) -> tuple[Tensor, Tensor]:
    """Ids [B, T] padded on the right, and their mask; T is `width`, or that of the longest row."""
    width = width or max(len(ids) for ids in rows)
    input_ids = torch.full((len(rows), width), padding_id)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for row, ids in enumerate(rows):
        input_ids[row, : len(ids)] = torch.tensor(ids)
        mask[row, : len(ids)] = 1
    return input_ids, mask


def shortened(ids: list[int], most: int) -> list[int]:
    """At most so many ids; the closing token stays."""
    return ids if len(ids) <= most else [*ids[: most - 1], ids[-1]]


def report_text(sample: Sample, text: str) -> str:
    """The text to be encoded.

    Raises:
        BadSample: it is empty.
    """
    if not text:
        raise BadSample(f"pair {sample.pair_id} has no report text")
    return text
