"""What a contrastive model says of a pair against the bank, as predictions.

softmax   two predictions: which text of {own} ∪ bank the image has, and which image the text has.
sigmoid   one prediction per pair it could be: match or no match; the own pair first, then both directions.

Anchors of the pair's own patient are left out. Letters: B samples, N anchors, E embedding, P predictions.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from audit_core.adapters.base import Anchors
from audit_core.adapters.predictions import Predictions


def choices(
    image_BE: Tensor, text_BE: Tensor, scale: Tensor, bias: Tensor, anchors: Anchors, closed_BN: Tensor
) -> tuple[Predictions, ...]:
    """Two choices among 1 + N_open each; the truth is the first outcome."""
    del bias
    own_B, others = _cosines(image_BE, text_BE, anchors)
    found = []
    for b, open_N in enumerate(~closed_BN):
        rows = [torch.cat([own_B[b : b + 1], cosines_BN[b][open_N]]) for cosines_BN in others]
        truth_P = torch.zeros(2, dtype=torch.long, device=own_B.device)
        found.append(Predictions(scale * torch.stack(rows), truth_P, _of_choices))
    return tuple(found)


def decisions(
    image_BE: Tensor, text_BE: Tensor, scale: Tensor, bias: Tensor, anchors: Anchors, closed_BN: Tensor
) -> tuple[Predictions, ...]:
    """1 + 2·N_open decisions; outcome 0 is a match, which is true of the own pair alone."""
    own_B, others = _cosines(image_BE, text_BE, anchors)
    found = []
    for b, open_N in enumerate(~closed_BN):
        cosines_P = torch.cat([own_B[b : b + 1], *(cosines_BN[b][open_N] for cosines_BN in others)])
        truth_P = torch.ones(len(cosines_P), dtype=torch.long, device=own_B.device)
        truth_P[0] = 0
        found.append(Predictions((scale * cosines_P + bias)[:, None], truth_P, _of_decisions))
    return tuple(found)


def _cosines(image_BE: Tensor, text_BE: Tensor, anchors: Anchors) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    own_B = (image_BE * text_BE).sum(1)
    return own_B, (image_BE @ anchors.text_ND.T, text_BE @ anchors.image_ND.T)


def _of_choices(logits_PC: Tensor) -> Tensor:
    return torch.log_softmax(logits_PC.float(), dim=-1)


def _of_decisions(logits_P1: Tensor) -> Tensor:
    both = torch.cat([logits_P1, -logits_P1], dim=1)
    return functional.logsigmoid(both.float())
