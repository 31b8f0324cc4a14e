"""Whose row is it: the rows of a layer's input, given to the samples of a batch.

All leading dimensions of a layer's input are rows; samples own consecutive ones. A tensor whose first
dimension is the batch gives every sample the same number. Where a vision tower packs images along its first
dimension (tiles, patches), rows follow `Encoded.share_B`. That this is so in a given network is not assumed:
`gradients.audited_layers` proves it on a probe.

Letters: B samples, T positions, F features.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from audit_core.adapters.base import Encoded
from audit_core.errors import ModelRefused


def by_sample(name: str, tensor: Tensor, batch: Encoded) -> Tensor:
    """Any [..., F] as [B, T, F]; samples with fewer rows are filled up with zeros.

    Args:
        name: of the layer, for the message.
        tensor: inputs of a layer, or gradients at its outputs.
        batch: whose samples own the rows.

    Raises:
        ModelRefused: the rows cannot be shared out among the samples.
    """
    B, F = len(batch.pair_ids), tensor.shape[-1]
    rows = tensor.numel() // F
    shares = batch.share_B or (1,) * B
    whole = sum(shares)
    if tensor.shape[0] == B or len(set(shares)) == 1:
        if rows % B:
            raise _not_whole(name, rows, B)
        return tensor.reshape(B, rows // B, F)
    if rows % whole and any(rows * share % whole for share in shares):
        raise _not_whole(name, rows, B)
    owned = [rows * share // whole for share in shares]
    return pad_sequence(list(torch.split(tensor.reshape(rows, F), owned)), batch_first=True)


def _not_whole(name: str, rows: int, samples: int) -> ModelRefused:
    return ModelRefused(
        f"{rows} rows of {name} cannot be shared out among {samples} pairs",
        "this network mixes or packs its inputs in a way that is not known here",
    )
