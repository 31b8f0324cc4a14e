"""The spike-in's training in steps: what was learnt so far is kept, and training goes on from there.

Trained parameters and the optimiser's moments are all there is to keep: there is no dropout, and the order
of the pairs follows from the seed. Above one blob nothing is kept, and the copy is trained again, which gives
the same bits on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from audit_core.batches import STEP_PAIRS
from audit_core.references import ONE_BLOB
from audit_core.store import COPY, Shelf, packed, unpacked

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # of AdamW


@dataclass(frozen=True, slots=True)
class TrainingSteps:
    """The training of one copy.

    Attributes:
        shelf: depends on model, pairs in order and recipe; None keeps nothing.
        parameters: those that are trained, in a fixed order.
        optimiser: AdamW over exactly these.
        total: pairs of all epochs together.
    """

    shelf: Shelf | None
    parameters: Sequence[nn.Parameter]
    optimiser: torch.optim.AdamW
    total: int

    def begin(self) -> int:
        """Go back to the last state that was kept; returns how many pairs it has seen, 0 for none."""
        ends = [*range(STEP_PAIRS, self.total, STEP_PAIRS), self.total]
        for done in reversed(ends):
            place = self._place(done)
            blob = None if place is None else place.get()
            if blob is not None:
                facts, arrays = unpacked(blob)
                self._restore(arrays)
                return int(facts["done"])
        return 0

    def after(self, before: int, done: int) -> None:
        """Keep the state if a step ended between these two counts of pairs, or training did."""
        if done // STEP_PAIRS == before // STEP_PAIRS and done < self.total:
            return
        place = self._place(done if done == self.total else done // STEP_PAIRS * STEP_PAIRS)
        if place is not None:
            place.put(packed({"done": done}, self._arrays()))

    def _place(self, done: int) -> Shelf | None:
        size = (1 + 2) * sum(p.numel() * p.element_size() for p in self.parameters)
        if self.shelf is None or size > ONE_BLOB:
            return None
        return replace(self.shelf.on(pairs_done=done), kind=COPY)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {}
        for number, parameter in enumerate(self.parameters):
            arrays[f"{number}"] = parameter.detach().cpu().numpy()
            for name in _MOMENTS:
                arrays[f"{number} {name}"] = self.optimiser.state[parameter][name].cpu().numpy()
        return arrays

    def _restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        with torch.no_grad():
            for number, parameter in enumerate(self.parameters):
                parameter.copy_(torch.from_numpy(arrays[f"{number}"]))
                self.optimiser.state[parameter] = {
                    name: _like(torch.from_numpy(arrays[f"{number} {name}"]), parameter, name)
                    for name in _MOMENTS
                }


def _like(tensor: torch.Tensor, parameter: nn.Parameter, name: str) -> torch.Tensor:
    """The count of steps stays on the CPU, as the optimiser has it."""
    return tensor if name == "step" else tensor.to(parameter.device)
