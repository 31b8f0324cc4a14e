"""Image-text-to-text models: an image and a prompt in, the report's tokens supervised.

One adapter for every network of transformers' image-text-to-text mapping that the table of families lists.
The network's own processor expands the image's placeholder; the label mask is made from the expanded ids, so
the number of supervised tokens is that of report tokens (and the closing token) whatever the image size is.

Letters: B samples, T positions, V vocabulary.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import transformers
from PIL import Image
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast
from transformers.models.llava.modeling_llava import LlavaForConditionalGeneration

from audit_core.adapters import language_passes, llava_med
from audit_core.adapters.base import Anchors, Candidate, Encoded, ModelAdapter, Outcome
from audit_core.adapters.families import GENERATIVE
from audit_core.adapters.folder import FolderFacts
from audit_core.adapters.networks import open_network
from audit_core.adapters.opening import Opening
from audit_core.adapters.pieces import PIECES_FILE, open_pieces
from audit_core.adapters.pixels import open_pixels
from audit_core.adapters.predictions import Predictions
from audit_core.adapters.processors import RECIPES, Recipe, open_processor
from audit_core.adapters.prompts import chat_prompt, folder_template, plain_prompt
from audit_core.adapters.tiles import together, units
from audit_core.adapters.token_signals import token_columns, token_scalars
from audit_core.adapters.towers import language_candidates, not_audited
from audit_core.errors import AuditError, BadSample, ModelRefused
from audit_core.samples import Sample

IGNORED = -100
_BEFORE = "a"  # a word inside a text may be another token than the same word alone
IMAGE_MARKS = (
    "image_token",
    "video_token",
    "boi_token",
    "eoi_token",
    "fake_image_token",
    "start_image_token",
    "end_image_token",
)
"""Names under which processors keep the texts that stand for images or for their borders."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One sample: ids, labels and what else the network wants per token [T]; its image's tensors."""

    ids: list[int]
    labels: list[int]
    per_token: Mapping[str, list[int]]
    pixels: Mapping[str, Tensor]


class ImageTextToTextAdapter(ModelAdapter):
    """A checkpoint of a network that `processors.RECIPES` has a row for."""

    family = GENERATIVE
    predicts_tokens = True

    def __init__(
        self, model: nn.Module, tokenizer: Any, processor: Any, recipe: Recipe, facts: Mapping[str, str]
    ) -> None:
        super().__init__(model, facts)
        self.tokenizer = tokenizer
        self.processor = processor
        self.recipe = recipe
        config: Any = model.config
        self.image_token_id = image_token_id(config)
        self.image_token = str(tokenizer.convert_ids_to_tokens(self.image_token_id))
        self.placeholder = str(processor.image_token)
        self.prompt = (
            chat_prompt(tokenizer, self.placeholder)
            if tokenizer.chat_template
            else plain_prompt(recipe.prompt, tokenizer, self.placeholder)
        )
        self.vocabulary = int(config.get_text_config().vocab_size)
        self.positions = int(config.get_text_config().max_position_embeddings)
        self._marks = self._image_marks()
        self._check_prompt()
        self._check_pixels(config.vision_config)
        digest = hashlib.sha256(self.encoding.encode()).hexdigest()[:16]
        self.say(
            processor=type(processor).__name__,
            preprocessor=f"{type(processor.image_processor).__name__} {digest}",
            prompt=hashlib.sha256(self.prompt.identity.encode()).hexdigest()[:16],
            not_audited=not_audited(model, (c.name for c in self.candidates())),
        )

    @classmethod
    def load(cls, path: Path, facts: FolderFacts, opening: Opening) -> Self:
        """Open a folder that `inspect_folder` has accepted.

        Raises:
            ModelRefused: keys are missing or left over, or tokenizer, prompt and model do not fit together.
        """
        recipe = RECIPES[facts.model_type]
        tokenizer = _tokenizer(path)
        said = {"architecture": facts.architecture, "vision_tower": "the one inside the checkpoint"}
        if facts.model_type == llava_med.MODEL_TYPE:
            image_token = llava_med.name_image_token(path, tokenizer)
            token_id = int(tokenizer.convert_tokens_to_ids(image_token))
            layout = llava_med.layout(path, facts, opening, token_id)
            model = open_network(LlavaForConditionalGeneration, path, facts, opening, **layout)
            pixels = open_pixels(path, lambda: llava_med.processor_default(path, model.config))
            said["vision_tower"] = llava_med.tower_said(path)
        else:
            model = open_network(getattr(transformers, facts.architecture), path, facts, opening)
            pixels = open_pixels(path)
        token = str(tokenizer.convert_ids_to_tokens(image_token_id(model.config)))
        processor = open_processor(recipe, model.config, pixels, tokenizer, token)
        return cls(model, tokenizer, processor, recipe, said)

    def candidates(self) -> tuple[Candidate, ...]:
        """Linear layers of vision tower, what joins it to the language model, and language model."""
        return language_candidates(self.linear_names())

    def adaptable(self) -> tuple[str, ...]:
        """All linear layers of the language model and of what joins the image to it."""
        return tuple(c.name for c in self.candidates() if c.tower != "vision")

    @property
    def encoding(self) -> str:
        """Tokenizer, prompt, preprocessing and the sizes that decide how many image tokens there are."""
        config: Any = self.model.config
        parts = [
            type(self.processor).__name__,
            self.processor.image_processor.to_json_string(),
            json.dumps(self.recipe.numbers(config, self.image_token), sort_keys=True),
            self.tokenizer.backend_tokenizer.to_str(),
            str(self.tokenizer.chat_template),
            self.prompt.identity,
        ]
        return json.dumps([*parts, self.image_token_id, self.vocabulary, self.positions, self._padding_id()])

    # ---- encoding ---------------------------------------------------------------------------------------

    def _encode(self, samples: Sequence[Sample], max_text_tokens: int) -> Encoded:
        return self._encode_after(samples, (), max_text_tokens)

    def _encode_after(
        self, samples: Sequence[Sample], before: Sequence[str], max_text_tokens: int
    ) -> Encoded:
        read = [token for text in before for token in self._report_ids(text.strip())[1]]
        read = [token for token in read if token not in self._marks and token < self.vocabulary]
        rows = [self._row(sample, max_text_tokens, read) for sample in samples]
        width = max(len(row.ids) for row in rows)

        def padded(lists: Sequence[Sequence[int]], fill: int) -> Tensor:
            return torch.tensor([[*ids, *[fill] * (width - len(ids))] for ids in lists])

        tensors = {
            "input_ids": padded([row.ids for row in rows], self._padding_id()),
            "labels": padded([row.labels for row in rows], IGNORED),
            "attention_mask": padded([[1] * len(row.ids) for row in rows], 0),
        }
        for name in rows[0].per_token:
            tensors[name] = padded([row.per_token[name] for row in rows], 0)
        tensors |= together([row.pixels for row in rows])
        shares = tuple(units(row.pixels["pixel_values"]) for row in rows)
        return Encoded(
            tuple(s.pair_id for s in samples),
            tuple(s.patient for s in samples),
            tensors,
            shares if len(set(shares)) > 1 else (),
        )

    def _row(self, sample: Sample, max_text_tokens: int, before: Sequence[int] = ()) -> _Row:
        text = sample.text.strip()
        if not text:
            raise BadSample(f"pair {sample.pair_id} has no report text")
        start, per_token, pixels = self._expanded(sample.image)
        kept, report = self._report_ids(text)
        self._check_report(sample.pair_id, report)
        kept_to = len(start) - kept
        start = start[:kept_to]
        told = report[:max_text_tokens]
        closing = self.prompt.closing
        if len(told) < max_text_tokens and closing is not None and told[-1] != closing:
            told.append(closing)
        room = max(0, self.positions - len(start) - len(told))
        start += before[len(before) - min(room, len(before)) :]
        ids = (start + told)[: self.positions]
        labels = ([IGNORED] * len(start) + told)[: self.positions]
        if len(ids) <= len(start):
            raise BadSample(f"no token of pair {sample.pair_id}'s report reaches the model")
        mark = int(self.recipe.suffix)
        types = {k: (v[:kept_to] + [mark] * (len(ids) - kept_to))[: len(ids)] for k, v in per_token.items()}
        return _Row(ids, labels, types, pixels)

    def _expanded(
        self, image: np.ndarray[Any, Any]
    ) -> tuple[list[int], dict[str, list[int]], dict[str, Tensor]]:
        """The prompt's ids with the image expanded, further numbers per token, and the image's tensors."""
        more = {} if self._starts() else {"add_special_tokens": False}
        coded = self.processor(
            images=[Image.fromarray(image)], text=[self.prompt.text], return_tensors="pt", **more
        )
        shape = coded["input_ids"].shape
        ids: list[int] = coded["input_ids"][0].tolist()
        spare = ("input_ids", "attention_mask", "labels")
        per_token = {k: v[0].tolist() for k, v in coded.items() if k not in spare and v.shape == shape}
        pixels = {
            k: v.float() if v.is_floating_point() else v
            for k, v in coded.items()
            if k not in spare and k not in per_token
        }
        return ids, per_token, pixels

    def _report_ids(self, text: str) -> tuple[int, list[int]]:
        """How many ids at the prompt's end are not the same before a report, and the report's ids.

        Prompt and report are tokenised together, as in training; the first id that differs from the prompt's
        own is where the report starts.
        """
        if self.recipe.suffix:
            return 0, self._ids(text, special=False)
        alone = self._ids(self.prompt.text, special=self._starts())
        joint = self._ids(self.prompt.text + self.prompt.between + text, special=self._starts())
        same = next((i for i, (a, b) in enumerate(zip(alone, joint, strict=False)) if a != b), len(alone))
        end = self.tokenizer.eos_token_id
        report = joint[same:]
        if len(report) > 1 and report[-1] == end and alone[-1:] == [end]:
            report = report[:-1]  # the tokenizer ends every text; the prompt's closing is put below
        return len(alone) - same, report

    def _ids(self, text: str, *, special: bool) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=special)["input_ids"])

    def _starts(self) -> bool:
        """Whether the tokenizer adds its start token: the template may have written it already."""
        start = self.tokenizer.bos_token
        return not (start and self.prompt.text.startswith(start))

    def _check_report(self, pair_id: str, report: Sequence[int]) -> None:
        if not report:
            raise BadSample(f"no token of pair {pair_id}'s report reaches the model")
        if self._marks & set(report):
            raise BadSample(f"the report of pair {pair_id} contains the model's image token")
        if max(report) >= self.vocabulary:
            raise BadSample(f"the report of pair {pair_id} contains a token the model does not know")

    def _padding_id(self) -> int:
        named = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id, 0, 1)
        return next(int(i) for i in named if i is not None and i not in self._marks)

    def _image_marks(self) -> frozenset[int]:
        texts = (str(getattr(self.processor, name, "") or "") for name in IMAGE_MARKS)
        ids = (self.tokenizer.convert_tokens_to_ids(text) for text in texts if text)
        unknown = self.tokenizer.unk_token_id
        return frozenset({self.image_token_id, *(i for i in ids if i is not None and i != unknown)})

    def _check_prompt(self) -> None:
        ids, _, _ = self._expanded(np.zeros((32, 32, 3), np.uint8))
        plain = self.tokenizer(self.prompt.text)["input_ids"]
        foreign = self.placeholder != self.image_token  # some processors expand a mark to image tokens
        if self.image_token_id not in ids or (
            foreign and ids.count(self.image_token_id) <= plain.count(self.image_token_id)
        ):
            raise ModelRefused(
                f"no image reaches the model: to the tokenizer its image token is {self.image_token!r:.60}",
                "tokenizer and config must belong to the same model",
            )
        if max(ids) >= self.vocabulary:
            raise ModelRefused(
                f"the prompt has a token {max(ids)}, the model knows {self.vocabulary}",
                "tokenizer and config must belong to the same model",
            )

    def _check_pixels(self, vision: Any) -> None:
        """The pixels fit the vision tower, for networks whose images or tiles all have one size."""
        size = getattr(vision, "image_size", None)
        if size is None:
            return
        edge = int(size[0] if isinstance(size, list | tuple) else size)
        made = self._expanded(np.zeros((edge + 9, edge, 3), np.uint8))[2]["pixel_values"].shape
        if tuple(made[-3:]) != (3, edge, edge):
            raise ModelRefused(
                f"the preprocessor makes {made[-2]}×{made[-1]} images, the vision tower takes {edge}×{edge}",
                "preprocessor_config.json and config.json must belong to the same model",
            )

    # ---- forward ----------------------------------------------------------------------------------------

    def _forward(self, batch: Encoded, anchors: Anchors | None) -> Outcome:
        del anchors  # generative losses need no bank
        logits_BTV, targets_BT = self._logits(batch)
        keep_BT = targets_BT != IGNORED
        counts_B = keep_BT.sum(1)
        owner = torch.arange(len(batch.pair_ids), device=counts_B.device).repeat_interleave(counts_B)
        logp = torch.log_softmax(logits_BTV[keep_BT].float(), dim=-1)
        chosen = logp.gather(1, targets_BT[keep_BT][:, None])[:, 0]
        zeros = torch.zeros(len(batch.pair_ids), device=counts_B.device)
        losses_B = zeros.index_add(0, owner, -chosen) / counts_B
        with torch.no_grad():
            tokens_PC = token_columns(logp.detach(), chosen.detach())
            scalars = token_scalars(tokens_PC, counts_B.tolist())
        return Outcome(losses_B, scalars, tuple(counts_B.tolist()), tokens_PC)

    def _training_loss(self, batch: Encoded) -> Tensor:
        return self._forward(batch, None).losses_B.mean()

    def _logits(self, batch: Encoded) -> tuple[Tensor, Tensor]:
        """Logits from the first supervised position on, and the token each of them must predict."""
        labels_BT = batch.tensors["labels"]
        first = int((labels_BT != IGNORED).any(0).int().argmax())
        keep = labels_BT.shape[1] - first + 1
        given = {name: tensor for name, tensor in batch.tensors.items() if name != "labels"}
        out = self.model(**given, use_cache=False, logits_to_keep=keep)
        return out.logits[:, -keep:-1], labels_BT[:, first:]

    # ---- further passes -----------------------------------------------------------------------------------

    @property
    def outcomes(self) -> int:
        """Size of the vocabulary."""
        return self.vocabulary

    def feed_forward(self) -> tuple[str, ...]:
        """Those of the language model alone: it is what predicts the report."""
        inside = {c.name for c in self.candidates() if c.tower == "language"}
        return tuple(name for name in super().feed_forward() if name in inside)

    def text_positions(self, batch: Encoded) -> Tensor:
        """Those that predict a token of the report."""
        told_BT = batch.tensors["labels"] != IGNORED
        return torch.cat([told_BT[:, 1:], torch.zeros_like(told_BT[:, :1])], dim=1)

    def _predictions(self, batch: Encoded, anchors: Anchors | None, where: str) -> tuple[Predictions, ...]:
        del anchors
        return language_passes.predictions(self.model, batch, self.image_token_id, where)

    def _image_vectors(self, batch: Encoded) -> Tensor:
        return language_passes.image_vectors(self.model, batch, self.image_token_id)

    def _generated(self, batch: Encoded) -> tuple[str, ...]:
        if not language_passes.one_prompt_length(batch):
            raise AuditError("text is generated together only where the prompts have one length")
        ends = {self.prompt.closing, self.tokenizer.eos_token_id} - {None}
        closing = tuple(sorted(int(one) for one in ends if one is not None))
        made = language_passes.greedy(self.model, batch, closing, self._padding_id())
        return tuple(self._spelled(ids) for ids in made)

    def _report_ids_of(self, batch: Encoded) -> tuple[tuple[int, ...], ...]:
        labels = batch.tensors["labels"]
        return tuple(tuple(row[row != IGNORED].tolist()) for row in labels)

    def _token_ids(self, text: str) -> tuple[int, ...]:
        alone, joint = (self._ids(words, special=False) for words in (_BEFORE, f"{_BEFORE} {text}"))
        return tuple(joint[len(alone) :])

    def _spelled(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))


def image_token_id(config: Any) -> int:
    """Id that stands for one image feature, under whichever name the config has it."""
    found = getattr(config, "image_token_id", None)
    return int(config.image_token_index if found is None else found)


def _tokenizer(path: Path) -> Any:
    if not (path / "tokenizer.json").is_file() and (path / PIECES_FILE).is_file():
        tokenizer = open_pieces(path)
    else:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(str(path), local_files_only=True)
    tokenizer.chat_template = folder_template(path, tokenizer)
    return tokenizer
