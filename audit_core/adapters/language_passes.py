"""Further passes over an image-text-to-text network: all predictions, the image as the language model sees
it, and greedy text.

Letters: B samples, T positions, D width, V vocabulary, P predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig
from transformers.models.paligemma.modeling_paligemma import PaliGemmaForConditionalGeneration

from audit_core.adapters.base import Encoded
from audit_core.adapters.predictions import IMAGE, UNKNOWN, Predictions
from audit_core.errors import BadSample

IGNORED = -100
MOST_GENERATED = 128
SAME, SAME_IN_HALF = 1e-3, 0.1
"""How far the head's answer may be from the network's own, in log-probability and relative to it."""


class _Seen(Exception):
    """The language model has been given what was to be looked at; the rest need not be computed."""


def predictions(model: Any, batch: Encoded, image_token: int, where: str) -> tuple[Predictions, ...]:
    """What the network predicts for each sample, its head applied only when asked.

    The head's input is taken on its way; the network itself only sees the last position through to the end,
    to show that nothing comes after the head that is not known here.

    Raises:
        BadSample: the network says something else than its head.
    """
    given = {name: tensor for name, tensor in batch.tensors.items() if name != "labels"}
    head = model.get_output_embeddings()
    held: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor]:
        del module
        held.append(inputs[0])
        return (inputs[0][:, -1:],)

    handle = head.register_forward_pre_hook(keep)
    try:
        out = model(**given, use_cache=False, logits_to_keep=0)
    finally:
        handle.remove()
    (states_BTD,) = held
    spoken = _spoken(model, head)
    ours, own = spoken(states_BTD[:, -1]), torch.log_softmax(out.logits[:, -1].float(), dim=-1)
    far = SAME if states_BTD.dtype == torch.float32 else SAME_IN_HALF
    if not torch.allclose(ours, own, atol=far, rtol=far, equal_nan=True):
        raise BadSample(f"the network's output is not its head's, at pair {batch.pair_ids[0]}")
    wanted = batch.tensors["input_ids"] == image_token if where == IMAGE else None
    return tuple(
        _one(states_TD, labels_T, None if wanted is None else wanted[b], spoken)
        for b, (states_TD, labels_T) in enumerate(zip(states_BTD, batch.tensors["labels"], strict=True))
    )


def _one(
    states_TD: Tensor, labels_T: Tensor, image_T: Tensor | None, spoken: Callable[[Tensor], Tensor]
) -> Predictions:
    if image_T is not None:
        states = states_TD[image_T]
        return Predictions(states, torch.full((len(states),), UNKNOWN, device=states.device), spoken)
    told = labels_T[1:] != IGNORED
    return Predictions(states_TD[:-1][told], labels_T[1:][told], spoken)


def _spoken(model: Any, head: nn.Module) -> Callable[[Tensor], Tensor]:
    cap = None
    if isinstance(model, PaliGemmaForConditionalGeneration):
        cap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)

    def log_probabilities(states_PD: Tensor) -> Tensor:
        with torch.no_grad():
            logits_PV: Tensor = head(states_PD).float()
            if cap is not None:
                logits_PV = torch.tanh(logits_PV / cap) * cap
            return torch.log_softmax(logits_PV, dim=-1)

    return log_probabilities


def image_vectors(model: Any, batch: Encoded, image_token: int) -> Tensor:
    """Mean over the image's positions of what the language model is given there, float32 [B, D].

    Raises:
        BadSample: the language model was given no embeddings.
    """
    given = {name: tensor for name, tensor in batch.tensors.items() if name != "labels"}
    seen: list[Tensor] = []

    def look(module: nn.Module, inputs: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        del module, inputs
        if named.get("inputs_embeds") is not None:
            seen.append(named["inputs_embeds"])
            raise _Seen

    handle = model.get_decoder().register_forward_pre_hook(look, with_kwargs=True)
    try:
        with suppress(_Seen):
            model(**given, use_cache=False, logits_to_keep=1)
    finally:
        handle.remove()
    if not seen:
        raise BadSample(f"no image reaches the language model at pair {batch.pair_ids[0]}")
    weight_BT = (given["input_ids"] == image_token).float()
    return torch.einsum("btd,bt->bd", seen[0].float(), weight_BT) / weight_BT.sum(1, keepdim=True)


def greedy(model: Any, batch: Encoded, closing: tuple[int, ...], padding: int) -> list[list[int]]:
    """The most likely token, again and again, from the prompt of each sample on.

    Whatever the folder's generation settings say, nothing is sampled, punished or forbidden.

    Args:
        model: the network.
        batch: samples whose prompts have one length; each report is cut off, and is as long as the answer may
            get.
        closing: ids that end an answer.
        padding: any id; it fills answers that ended before others.
    """
    told_BT = batch.tensors["labels"] != IGNORED
    first, lengths = int(told_BT[0].int().argmax()), told_BT.sum(1).clamp_max(MOST_GENERATED).tolist()
    shape = tuple(told_BT.shape)
    given = {
        name: tensor[:, :first] if tuple(tensor.shape[:2]) == shape else tensor
        for name, tensor in batch.tensors.items()
        if name != "labels"
    }
    plain = GenerationConfig(
        max_new_tokens=max(lengths),
        do_sample=False,
        num_beams=1,
        use_cache=True,
        eos_token_id=list(closing) or None,
        pad_token_id=padding,
    )
    with _settings(model, plain):
        made_BT: Tensor = model.generate(**given)
    if torch.equal(made_BT[:, :first], given["input_ids"]):
        made_BT = made_BT[:, first:]
    return [_ended(made, closing, most) for made, most in zip(made_BT.tolist(), lengths, strict=True)]


def one_prompt_length(batch: Encoded) -> bool:
    """Whether the reports of all samples begin at one position."""
    firsts = (batch.tensors["labels"] != IGNORED).int().argmax(1)
    return bool((firsts == firsts[0]).all())


def _ended(made: list[int], closing: tuple[int, ...], most: int) -> list[int]:
    """Up to and with what closes the answer, or to as many tokens as it may have."""
    end = next((place for place, token in enumerate(made, start=1) if token in closing), len(made))
    return made[: min(end, most)]


@contextmanager
def _settings(model: nn.Module, plain: GenerationConfig) -> Iterator[None]:
    holders: list[Any] = [
        part for part in model.modules() if getattr(part, "generation_config", None) is not None
    ]
    saved = [part.generation_config for part in holders]
    for part in holders:
        part.generation_config = plain
    try:
        yield
    finally:
        for part, settings in zip(holders, saved, strict=True):
            part.generation_config = settings
