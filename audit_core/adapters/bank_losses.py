"""The loss of a pair against a fixed bank of anchor pairs, and the signals read off the same logits.

Bank embeddings are detached, so the loss of a pair does not depend on its neighbours in the batch. Two kinds,
after what the model was trained with (METHOD §4):

softmax   L = ½(InfoNCE image→text + text→image) over {own pair} ∪ bank.
sigmoid   L = −log σ(z_own) − (N / N_open) · ½ Σ_open (log σ(−z image→text) + log σ(−z text→image)): own pair
          matches, no anchor does; the training loss of Zhai 2023 with the bank in place of the batch.

Anchors of the pair's own patient are closed: never its own negative.

Letters: B samples, N anchors, E embedding, C = 1 + N choices (own pair first).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from audit_core.adapters.base import Anchors, Encoded

SOFTMAX = "softmax over own pair and bank"
SIGMOID = "sigmoid: own pair against the bank"


def softmax_loss(
    image_BE: Tensor, text_BE: Tensor, scale: Tensor, anchors: Anchors, closed_BN: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Losses [B] and scalars of models trained with a softmax over the batch.

    Args:
        image_BE: unit embeddings, differentiable.
        text_BE: the same of the texts.
        scale: what cosines are multiplied with.
        anchors: the bank.
        closed_BN: from `closed`.
    """
    own_B = (image_BE * text_BE).sum(1)
    to_text_BC = _logits(scale, own_B, image_BE @ anchors.text_ND.T, closed_BN)
    to_image_BC = _logits(scale, own_B, text_BE @ anchors.image_ND.T, closed_BN)
    both = [torch.log_softmax(logits, dim=1) for logits in (to_text_BC, to_image_BC)]
    losses_B = -0.5 * (both[0][:, 0] + both[1][:, 0])
    with torch.no_grad():
        entropy = [torch.special.entr(logp.exp()).sum(1) for logp in both]
        best = [logp.amax(1) for logp in both]
        scalars = {
            "mink": torch.minimum(both[0][:, 0], both[1][:, 0]),
            "minkpp": _standardised([to_text_BC, to_image_BC], closed_BN),
            "neg_entropy": -0.5 * (entropy[0] + entropy[1]),
            "max_logp": 0.5 * (best[0] + best[1]),
        }
        scalars |= {"neg_loss": -losses_B.detach(), "cosine": own_B.detach()}
    return losses_B, scalars


def sigmoid_loss(
    image_BE: Tensor, text_BE: Tensor, scale: Tensor, bias: Tensor, anchors: Anchors, closed_BN: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Losses [B] and scalars of models trained with a sigmoid per pair of image and text (SigLIP).

    Arguments as for `softmax_loss`; `bias` is added to every logit. Scalars: `mink` is log σ of the own pair,
    its one positive decision; entropy and best log-probability are means over its 1 + N_open decisions, both
    directions.
    """
    own_B = (image_BE * text_BE).sum(1)
    logits_BC = [
        torch.cat([own_B[:, None], others_BN], dim=1) * scale + bias
        for others_BN in (image_BE @ anchors.text_ND.T, text_BE @ anchors.image_ND.T)
    ]
    open_BN = ~closed_BN
    weight_B = open_BN.shape[1] / open_BN.sum(1)
    positive_B = functional.logsigmoid(logits_BC[0][:, 0])
    negative_B = sum((functional.logsigmoid(-z[:, 1:]) * open_BN).sum(1) for z in logits_BC)
    losses_B = -positive_B - 0.5 * weight_B * negative_B
    with torch.no_grad():
        kept_BC = torch.cat([torch.ones_like(open_BN[:, :1]), open_BN], dim=1)
        count_B = 2 * kept_BC.sum(1)
        sure = [(functional.logsigmoid(z.abs()) * kept_BC).sum(1) for z in logits_BC]
        entropy = [(_binary_entropy(z) * kept_BC).sum(1) for z in logits_BC]
        scalars = {
            "mink": positive_B.detach(),
            "minkpp": _standardised(logits_BC, closed_BN),
            "neg_entropy": -(entropy[0] + entropy[1]) / count_B,
            "max_logp": (sure[0] + sure[1]) / count_B,
            "neg_loss": -losses_B.detach(),
            "cosine": own_B.detach(),
        }
    return losses_B, scalars


def closed(batch: Encoded, anchors: Anchors) -> Tensor:
    """True [B, N] where an anchor is the pair itself or of the same patient."""
    own = [[p == a for a in anchors.patients] for p in batch.patients]
    return torch.tensor(own, dtype=torch.bool, device=anchors.image_ND.device)


def _logits(scale: Tensor, own_B: Tensor, others_BN: Tensor, closed_BN: Tensor) -> Tensor:
    others_BN = (scale * others_BN).masked_fill(closed_BN, -torch.inf)
    return torch.cat([(scale * own_B)[:, None], others_BN], dim=1)


def _standardised(logits_BC: Sequence[Tensor], closed_BN: Tensor) -> Tensor:
    """Own logit in standard deviations of the bank's, mean of both directions (METHOD §4, Min-K%++)."""
    open_BN = ~closed_BN
    count_B = open_BN.sum(1)
    standard = []
    for logits in logits_BC:
        others = logits[:, 1:].masked_fill(closed_BN, 0.0)
        mean = others.sum(1) / count_B
        variance = ((others - mean[:, None]).square() * open_BN).sum(1) / count_B
        standard.append((logits[:, 0] - mean) / variance.clamp_min(1e-12).sqrt())
    return 0.5 * (standard[0] + standard[1])


def _binary_entropy(logits: Tensor) -> Tensor:
    p = torch.sigmoid(logits)
    return -(p * functional.logsigmoid(logits) + (1 - p) * functional.logsigmoid(-logits))
