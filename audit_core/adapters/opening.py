"""How a model is opened: where it computes, in which precision, and from which tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from audit_core.adapters.folder import FolderFacts
from audit_core.adapters.headers import Shapes, tensor_shapes
from audit_core.errors import ModelRefused

Precision = Literal["auto", "float32", "bfloat16"]
BILLION = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Opening:
    """What the caller decides about a load.

    Attributes:
        device: of the network, `cpu` or `cuda`; samples and signals stay on the CPU.
        precision: of the forward pass; statistics are float32 whatever it is. `auto` is bfloat16 for models
            of a billion parameters and more that are stored in 16 bits, else float32.
        peft: folder of a LoRA or DoRA adapter to be put on the model, not merged.
        tensors: name -> tensor, in place of the folder's weight files (those converted once from pickles).
    """

    device: str = "cpu"
    precision: Precision = "auto"
    peft: Path | None = None
    tensors: Mapping[str, Tensor] | None = None

    def described(self, facts: FolderFacts) -> FolderFacts:
        """The folder's facts, with those of the tensors that stand in for its pickles.

        Raises:
            ModelRefused: its weights are pickles and nothing stands in for them.
        """
        if not facts.pickled:
            return facts
        if self.tensors is None:
            raise ModelRefused(
                f"{facts.weights[0]} is a pickle and is never read at an audit",
                "register the model: its weights are converted once",
            )
        numbers = sum(tensor.numel() for tensor in self.tensors.values())
        narrow = sum(t.numel() for t in self.tensors.values() if t.dtype in (torch.bfloat16, torch.float16))
        return facts.with_tensors(numbers, 16 if 2 * narrow > numbers else 32)

    def shapes(self, path: Path, facts: FolderFacts) -> Shapes:
        """Names and shapes of the tensors the network is filled from; nothing of them is read."""
        if self.tensors is not None:
            return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}
        return {k: v for name in facts.weights for k, v in tensor_shapes(path / name).items()}

    def bytes_needed(self, facts: FolderFacts) -> int:
        """Memory the network takes once it is open; a tenth more while it is being opened."""
        width = torch.finfo(self.dtype(facts)).bits // 8
        return facts.parameters * width * 11 // 10

    def dtype(self, facts: FolderFacts) -> torch.dtype:
        """Precision of the forward pass for this folder."""
        if self.precision == "auto":
            large = facts.parameters >= BILLION and facts.stored_bits == 16
            return torch.bfloat16 if large else torch.float32
        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    def placed(self, model: nn.Module, facts: FolderFacts) -> nn.Module:
        """The network where and as it will compute."""
        return model.to(device=self.device, dtype=self.dtype(facts))
