"""LLaVA-shaped models: an image and a prompt in, the report's tokens supervised.

The prompt is the model's own chat template where it has one. The label mask is built from the ids after the
image placeholder was expanded to one id per image feature, so the number of supervised tokens is the number
of report tokens (and the end token) whatever the image size is.

Letters: B samples, T positions, V vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava.modeling_llava import LlavaForConditionalGeneration
from transformers.utils import logging

from audit_core.adapters.base import Anchors, Candidate, Encoded, ModelAdapter, Outcome
from audit_core.adapters.families import GENERATIVE
from audit_core.adapters.folder import FolderFacts
from audit_core.adapters.loading import refuse_wrong_keys
from audit_core.adapters.opening import Opening
from audit_core.errors import BadSample, ModelRefused
from audit_core.samples import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

INSTRUCTION = "Describe this image."
PLAIN_PROMPT = "USER: <image>\n" + INSTRUCTION + " ASSISTANT:"
"""The prompt of models that ship no chat template; the report follows after one space."""

IGNORED = -100
LOWEST_SHARE = 0.2  # Min-K 20 %

_PROCESSORS = {"CLIPImageProcessor": CLIPImageProcessorPil, "LlavaImageProcessor": LlavaImageProcessorPil}


class ImageTextToTextAdapter(ModelAdapter):
    """A LLaVA checkpoint in Hugging Face layout (file names up to 4.51 and from 4.52 on)."""

    family = GENERATIVE

    def __init__(self, model: nn.Module, tokenizer: Any, processor: Any, facts: Mapping[str, str]) -> None:
        super().__init__(model, facts)
        self.tokenizer = tokenizer
        self.processor = processor
        config: Any = model.config
        self.image_token_id = int(config.image_token_index)
        self.image_token = str(tokenizer.convert_ids_to_tokens(self.image_token_id))
        self.prompt = self._prompt()
        self.image_tokens = _image_tokens(config)
        self._check_pixels(int(config.vision_config.image_size))
        self.positions = int(config.text_config.max_position_embeddings)

    @classmethod
    def load(cls, path: Path, facts: FolderFacts, opening: Opening) -> Self:
        """Open a folder that `inspect_folder` has accepted.

        Raises:
            ModelRefused: keys are missing or left over, or tokenizer, prompt and model do not fit together.
        """
        with _no_progress_bar():
            model, info = LlavaForConditionalGeneration.from_pretrained(
                str(path),
                local_files_only=True,
                use_safetensors=True,
                dtype=opening.dtype(facts),
                attn_implementation="sdpa",
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # so that they are named below, and refused
            )
        refuse_wrong_keys(
            list(info["missing_keys"]),
            list(info["unexpected_keys"]),
            [str(key) for key, *_ in info["mismatched_keys"]],
        )
        tokenizer = PreTrainedTokenizerFast.from_pretrained(str(path), local_files_only=True)
        if not tokenizer.chat_template:
            tokenizer.chat_template = _separate_template(path)
        processor = _image_processor(path)
        said = {
            "architecture": facts.architecture,
            "vision_tower": "the one inside the checkpoint",
            "preprocessor": f"{type(processor).__name__} {facts.preprocessor[:16]}",
        }
        return cls(opening.placed(model, facts), tokenizer, processor, said)

    def candidates(self) -> tuple[Candidate, ...]:
        """Linear layers of vision tower, projector and language model."""
        return tuple(_candidate(name) for name in self.linear_names() if not name.endswith("lm_head"))

    def adaptable(self) -> tuple[str, ...]:
        """All linear layers of the language model and the projector."""
        return tuple(c.name for c in self.candidates() if c.tower != "vision")

    @property
    def encoding(self) -> str:
        """Tokenizer, prompt, preprocessing and the sizes that decide how many image tokens there are."""
        parts = [self.tokenizer.backend_tokenizer.to_str(), self.processor.to_json_string(), self.prompt]
        sizes = [self.image_token_id, self.image_tokens, self.positions, self._padding_id()]
        return json.dumps([*parts, self.tokenizer.eos_token_id, *sizes])

    # ---- encoding ---------------------------------------------------------------------------------------

    def _encode(self, samples: Sequence[Sample], max_text_tokens: int) -> Encoded:
        rows = [self._ids_and_labels(sample, max_text_tokens) for sample in samples]
        width = max(len(ids) for ids, _ in rows)
        input_ids = torch.full((len(rows), width), self._padding_id())
        labels = torch.full((len(rows), width), IGNORED)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for row, (ids, marks) in enumerate(rows):
            input_ids[row, : len(ids)] = torch.tensor(ids)
            labels[row, : len(ids)] = torch.tensor(marks)
            mask[row, : len(ids)] = 1
        pixels = torch.stack([self._pixels(sample.image) for sample in samples])
        return Encoded(
            tuple(s.pair_id for s in samples),
            tuple(s.patient for s in samples),
            {"input_ids": input_ids, "labels": labels, "attention_mask": mask, "pixel_values": pixels},
        )

    def _ids_and_labels(self, sample: Sample, max_text_tokens: int) -> tuple[list[int], list[int]]:
        text = sample.text.strip()
        if not text:
            raise BadSample(f"pair {sample.pair_id} has no report text")
        joint = self.prompt + ("" if self.prompt[-1].isspace() else " ") + text
        special = not (self.tokenizer.bos_token and joint.startswith(self.tokenizer.bos_token))
        coded = self.tokenizer(joint, add_special_tokens=special, return_offsets_mapping=True)
        ids, labels, left = [], [], max_text_tokens
        for token, (_, end) in zip(coded["input_ids"], coded["offset_mapping"], strict=True):
            supervised = end > len(self.prompt)
            if supervised and token == self.image_token_id:
                raise BadSample(f"the report of pair {sample.pair_id} contains the model's image token")
            if supervised and left == 0:
                break
            left -= int(supervised)
            copies = self.image_tokens if token == self.image_token_id else 1
            ids += [token] * copies
            labels += [token if supervised else IGNORED] * copies
        end_token = self.tokenizer.eos_token_id
        if left and end_token is not None and ids[-1] != end_token:
            ids.append(end_token)
            labels.append(end_token)
        ids, labels = ids[: self.positions], labels[: self.positions]
        if all(label == IGNORED for label in labels):
            raise BadSample(f"no token of pair {sample.pair_id}'s report reaches the model")
        return ids, labels

    def _pixels(self, image: NDArray[np.uint8]) -> Tensor:
        coded = self.processor(Image.fromarray(image), return_tensors="pt")
        pixels: Tensor = coded["pixel_values"][0]
        return pixels.float()

    def _check_pixels(self, edge: int) -> None:
        made = tuple(self._pixels(np.zeros((edge + 9, edge, 3), np.uint8)).shape)
        if made != (3, edge, edge):
            raise ModelRefused(
                f"the preprocessor makes {made[1]}×{made[2]} images, the vision tower takes {edge}×{edge}",
                "preprocessor_config.json and config.json must belong to the same model",
            )

    def _padding_id(self) -> int:
        pad = self.tokenizer.pad_token_id
        pad = self.tokenizer.eos_token_id if pad is None else pad
        return 0 if pad is None or pad == self.image_token_id else int(pad)

    def _prompt(self) -> str:
        """The model's own template around one image and one instruction; exactly one image placeholder."""
        prompt = PLAIN_PROMPT.replace("<image>", self.image_token)
        if self.tokenizer.chat_template:
            prompt = _render(self.tokenizer, self.image_token)
        if prompt.count(self.image_token) != 1:
            raise ModelRefused("the model's chat template does not place exactly one image")
        if self.tokenizer(prompt)["input_ids"].count(self.image_token_id) != 1:
            raise ModelRefused(
                f"the tokenizer does not know the image token {self.image_token!r}",
                "tokenizer and config must belong to the same model",
            )
        return prompt

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
            scalars = _token_scalars(logp.detach(), chosen.detach(), counts_B.tolist())
        return Outcome(losses_B, scalars, tuple(counts_B.tolist()))

    def _training_loss(self, batch: Encoded) -> Tensor:
        return self._forward(batch, None).losses_B.mean()

    def _logits(self, batch: Encoded) -> tuple[Tensor, Tensor]:
        """Logits from the first supervised position on, and the token each of them must predict."""
        labels_BT = batch.tensors["labels"]
        first = int((labels_BT != IGNORED).any(0).int().argmax())
        keep = labels_BT.shape[1] - first + 1
        out = self.model(
            input_ids=batch.tensors["input_ids"],
            attention_mask=batch.tensors["attention_mask"],
            pixel_values=batch.tensors["pixel_values"],
            use_cache=False,
            logits_to_keep=keep,
        )
        return out.logits[:, :-1], labels_BT[:, first:]


def _token_scalars(logp_NV: Tensor, chosen_N: Tensor, counts: Sequence[int]) -> dict[str, Tensor]:
    """Likelihood signals of METHOD §4 from the log-probabilities at report tokens, sample after sample."""
    p_NV = logp_NV.exp()
    mean_N = (p_NV * logp_NV).sum(1)
    spread_N = ((p_NV * logp_NV.square()).sum(1) - mean_N.square()).clamp_min(1e-12).sqrt()
    standard_N = (chosen_N - mean_N) / spread_N
    best_N = logp_NV.amax(1)
    out: dict[str, list[Tensor]] = {k: [] for k in ("neg_loss", "mink", "minkpp", "neg_entropy", "max_logp")}
    parts = (torch.split_with_sizes(t, list(counts)) for t in (chosen_N, standard_N, mean_N, best_N))
    for chosen, standard, mean, best in zip(*parts, strict=True):
        lowest = max(1, int(LOWEST_SHARE * len(chosen)))
        out["neg_loss"].append(chosen.mean())
        out["mink"].append(chosen.topk(lowest, largest=False).values.mean())
        out["minkpp"].append(standard.topk(lowest, largest=False).values.mean())
        out["neg_entropy"].append(mean.mean())
        out["max_logp"].append(best.mean())
    return {name: torch.stack(values) for name, values in out.items()}


def _separate_template(path: Path) -> str | None:
    """Vendors also ship the template beside the processor, as `chat_template.json`."""
    beside = path / "chat_template.json"
    if not beside.is_file():
        return None
    document = json.loads(beside.read_text(encoding="utf-8"))
    return str(document["chat_template"])


def _render(tokenizer: Any, image_token: str) -> str:
    structured = [{"type": "image"}, {"type": "text", "text": INSTRUCTION}]
    for content in (structured, f"{image_token}\n{INSTRUCTION}"):
        message = [{"role": "user", "content": content}]
        try:
            prompt = str(tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True))
        except Exception as error:
            if content is structured:
                continue  # older templates take plain strings only
            raise ModelRefused(
                "the model's chat template cannot be used", "ask the vendor for a working one"
            ) from error
        if prompt.count(image_token) == 1:
            return prompt
    raise ModelRefused("the model's chat template does not place exactly one image")


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """The audit reports progress as events; the library's own bar would write into the worker's stderr."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _image_tokens(config: Any) -> int:
    vision = config.vision_config
    patches = (int(vision.image_size) // int(vision.patch_size)) ** 2
    return patches if config.vision_feature_select_strategy == "default" else patches + 1


def _image_processor(path: Path) -> Any:
    """The PIL class by name: the torchvision-backed one makes slightly different pixels (DESIGN §7)."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        if not (path / name).is_file():
            continue
        document = json.loads((path / name).read_text(encoding="utf-8"))
        settings = dict(document.get("image_processor", document))
        kind = str(settings.pop("image_processor_type", "CLIPImageProcessor"))
        kind = kind.removesuffix("Fast").removesuffix("Pil")
        settings.pop("processor_class", None)
        if kind in _PROCESSORS:
            return _PROCESSORS[kind](**settings)
        raise ModelRefused(f"image preprocessor {kind} is not known", f"known: {', '.join(_PROCESSORS)}")
    raise ModelRefused("the model folder has no image preprocessor (preprocessor_config.json)")


def _candidate(name: str) -> Candidate:
    parts = name.split(".")
    tower = "head"
    layer = "projector"
    block = -1
    if "language_model" in parts or "vision_tower" in parts:
        tower = "language" if "language_model" in parts else "vision"
        block = int(parts[parts.index("layers") + 1])
        layer = f"{tower} layer {block}"
    return Candidate(name, tower, block, layer)
