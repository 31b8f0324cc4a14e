"""Opening one of transformers' own networks: offline, filled exactly, its tokenizer pinned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedModel
from transformers.models.clip.tokenization_clip import CLIPTokenizer
from transformers.utils import logging

from audit_core.adapters.folder import FolderFacts
from audit_core.adapters.loading import refuse_wrong_keys
from audit_core.adapters.opening import Opening
from audit_core.adapters.streamed import taken
from audit_core.errors import ModelRefused

CONSTANT: Final = "position_ids"  # a buffer older versions saved; counted up from 0, never learnt
_TOGETHER: Final = "tokenizer and weights must belong to the same model"


def open_network(
    kind: type[PreTrainedModel],
    path: Path,
    facts: FolderFacts,
    opening: Opening,
    attention: str = "sdpa",
    **layout: Any,
) -> Any:
    """A network of a known class, every tensor from its files or from `opening.tensors`.

    It is first filled with shapes alone, by the library's own renaming of older names: a config of other
    sizes than the weights is refused before it has taken any memory.

    `layout` is for files of another layout than transformers' own: its `config` and `key_mapping`.

    Raises:
        ModelRefused: tensors are missing, left over or of another shape.
    """
    config = layout.get("config") or kind.config_class.from_pretrained(str(path), local_files_only=True)
    given = {**layout, "config": config, "attn_implementation": attention, "dtype": opening.dtype(facts)}
    shapes = opening.shapes(path, facts)
    shadows = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    _filled(kind, state_dict=shadows, device_map={"": "meta"}, **given)
    tensors = taken(opening.coming(path, facts), opening.dtype(facts))
    model = _filled(kind, state_dict=tensors, **given)
    return opening.placed(model, facts)


def _filled(kind: type[PreTrainedModel], **given: Any) -> Any:
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # its own bar would write into the worker's stderr
    try:
        model, info = kind.from_pretrained(
            None,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that they are named below, and refused
            **given,
        )
    finally:
        if shown:
            logging.enable_progress_bar()
    refuse_wrong_keys(
        list(info["missing_keys"]),
        [key for key in info["unexpected_keys"] if key.rpartition(".")[2] != CONSTANT],
        [str(key) for key, *_ in info["mismatched_keys"]],
    )
    return model


def open_tokenizer(path: Path, known: int) -> Tokenizer:
    """The folder's tokenizer, neither padding nor cutting by itself.

    Args:
        path: with tokenizer.json, or with CLIP's vocab.json and merges.txt.
        known: number of tokens the model knows.

    Raises:
        ModelRefused: it is of a kind that cannot be read, or knows tokens the model does not.
    """
    if (path / "tokenizer.json").is_file():
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    elif not (path / "merges.txt").is_file():
        raise ModelRefused("the model folder has no tokenizer.json", "ask the vendor for one of this model")
    else:
        tokenizer = CLIPTokenizer.from_pretrained(str(path), local_files_only=True).backend_tokenizer
    tokenizer.no_padding()
    tokenizer.no_truncation()
    largest = max(tokenizer.get_vocab().values())
    if largest >= known:
        raise ModelRefused(f"the tokenizer has a token {largest}, the model knows {known}", _TOGETHER)
    return tokenizer


def named_token(path: Path, role: str, tokenizer: Tokenizer) -> int | None:
    """Id of the token that the tokenizer's settings name for a role (`pad_token`); None where they do not."""
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        said = read_json(path / file).get(role)
        text = said.get("content") if isinstance(said, dict) else said
        if isinstance(text, str):
            found: int | None = tokenizer.token_to_id(text)
            return found
    return None


def read_json(path: Path) -> dict[str, Any]:
    """One json object; empty where there is no such file."""
    if not path.is_file():
        return {}
    document = json.loads(path.read_text(encoding="utf-8"))
    return document if isinstance(document, dict) else {}


def stacked(images: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors of single images as one batch."""
    return {name: torch.stack([image[name] for image in images]) for name in images[0]}
