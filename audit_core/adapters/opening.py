"""How a model is opened: where it computes, in which precision, and from which tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from audit_core.adapters.folder import FolderFacts
from audit_core.adapters.headers import Shapes, tensor_shapes
from audit_core.adapters.streamed import Weights, coming, dtypes_of, shapes_of, stored
from audit_core.adapters.weights import WeightFiles

Precision = Literal["auto", "float32", "bfloat16"]
BILLION = 1_000_000_000
_KINDS = {torch.bfloat16: "BF16", torch.float16: "F16"}  # what `WeightFiles.stored_bits` asks for


@dataclass(frozen=True, slots=True)
class Opening:
    """What the caller decides about a load.

    Attributes:
        device: of the network, `cpu` or `cuda`; samples and signals stay on the CPU.
        precision: of the forward pass; statistics are float32 whatever it is. `auto` is bfloat16 for models
            of a billion parameters and more that are stored in 16 bits, else float32.
        peft: folder of a LoRA or DoRA adapter to be put on the model, not merged.
        tensors: in place of the folder's weight files; what is still to come can be taken once.
        peft_tensors: the same for the adapter's folder.
    """

    device: str = "cpu"
    precision: Precision = "auto"
    peft: Path | None = None
    tensors: Weights | None = None
    peft_tensors: Weights | None = None

    def stand_in(self) -> WeightFiles | None:
        """The tensors as a folder's weights are described; None where the folder's own are read."""
        return None if self.tensors is None else described(self.tensors)

    def shapes(self, path: Path, facts: FolderFacts) -> Shapes:
        """Names and shapes of the tensors the network is filled from; nothing of them is read."""
        if self.tensors is not None:
            return shapes_of(self.tensors)
        return {k: v for name in facts.weights for k, v in tensor_shapes(path / name).items()}

    def coming(self, path: Path, facts: FolderFacts) -> Iterable[tuple[str, Tensor]]:
        """Every tensor the network is filled from, one at a time, as it was stored."""
        return stored(path, facts.weights) if self.tensors is None else coming(self.tensors)

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


def described(weights: Weights) -> WeightFiles:
    """Tensors that lie in no file of their own, as `inspect_folder` wants to know them."""
    kinds = {name: _KINDS.get(dtype, "F32") for name, dtype in dtypes_of(weights).items()}
    return WeightFiles((), False, shapes_of(weights), kinds)
