"""Networks to be timed: LLaVA-shaped, random weights, real transformers classes, behind a thin adapter.

A sample is one image and one row of token ids: image tokens, a prompt of four tokens and report tokens, of
which the report is supervised. Reports differ in length, as reports do; texts are right-padded.

Letters: B samples, T positions of the language model, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llava.configuration_llava import LlavaConfig
from transformers.models.llava.modeling_llava import LlavaForConditionalGeneration

from audit_core.adapters.base import Anchors, Candidate, Encoded, ModelAdapter, Outcome
from audit_core.samples import Sample

IGNORED = -100
IMAGE_TOKEN = 4
PROMPT_TOKENS = 4


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of one network.

    Attributes:
        vision: width, inner width, blocks, heads of the vision tower.
        text: width, inner width, blocks, heads, key heads of the language model.
        vocabulary: V.
        batch: tokens -> samples at once.
        patches: tokens -> patches along one edge of the image; every patch is a token.
    """

    vision: tuple[int, int, int, int]
    text: tuple[int, int, int, int, int]
    vocabulary: int
    batch: dict[int, int]
    patches: dict[int, int]


SHORT, LONG = 36, 256
_PATCHES = {SHORT: 4, LONG: 14}
SHAPES = {
    "1M": Shape((64, 128, 3, 2), (128, 352, 4, 4, 4), 1000, {SHORT: 16, LONG: 16}, _PATCHES),
    "30M": Shape((256, 1024, 6, 4), (512, 1376, 8, 8, 8), 2000, {SHORT: 16, LONG: 8}, _PATCHES),
    "150M": Shape((512, 2048, 8, 8), (896, 2432, 12, 14, 14), 4000, {SHORT: 16, LONG: 4}, _PATCHES),
}
LARGE, LARGE_TOKENS = "LLaVA-Med 7B shape", 700
LARGE_SHAPE = Shape(
    (1024, 4096, 24, 16), (4096, 14336, 32, 32, 8), 32000, {LARGE_TOKENS: 8}, {LARGE_TOKENS: 24}
)


class BenchmarkAdapter(ModelAdapter):
    """A LLaVA made here; batches are made here too, so it encodes no samples."""

    family = "image-text-to-text"

    def candidates(self) -> tuple[Candidate, ...]:
        """Linear layers of vision tower, projector and language model."""
        return tuple(_candidate(name) for name in self.linear_names() if not name.endswith("lm_head"))

    def adaptable(self) -> tuple[str, ...]:
        """All linear layers of the language model."""
        return tuple(c.name for c in self.candidates() if c.tower == "language")

    @property
    def encoding(self) -> str:
        """Nothing is encoded."""
        return ""

    def _encode(self, samples: Sequence[Sample], max_text_tokens: int) -> Encoded:
        raise NotImplementedError

    def _forward(self, batch: Encoded, anchors: Anchors | None) -> Outcome:
        del anchors
        labels_BT = batch.tensors["labels"]
        first = int((labels_BT != IGNORED).any(0).int().argmax())
        given = {k: v for k, v in batch.tensors.items() if k != "labels"}
        keep = labels_BT.shape[1] - first + 1
        logits_BTV = self.model(**given, use_cache=False, logits_to_keep=keep).logits[:, :-1].float()
        losses_BT = nn.functional.cross_entropy(
            logits_BTV.mT, labels_BT[:, first:], ignore_index=IGNORED, reduction="none"
        )
        counts_B = (labels_BT != IGNORED).sum(1)
        return Outcome(losses_BT.sum(1) / counts_B, {}, (1,) * len(counts_B))

    def _training_loss(self, batch: Encoded) -> Tensor:
        return self._forward(batch, None).losses_B.mean()


def build(shape: Shape, tokens: int, dtype: torch.dtype, device: str = "cpu") -> BenchmarkAdapter:
    """A network with random weights, made where and as it computes."""
    width, inner, blocks, heads = shape.vision
    vision = CLIPVisionConfig(
        hidden_size=width, intermediate_size=inner, num_hidden_layers=blocks, num_attention_heads=heads,
        image_size=16 * shape.patches[tokens], patch_size=16, projection_dim=width,
    )  # fmt: skip
    width, inner, blocks, heads, key_heads = shape.text
    text = LlamaConfig(
        vocab_size=shape.vocabulary, hidden_size=width, intermediate_size=inner, num_hidden_layers=blocks,
        num_attention_heads=heads, num_key_value_heads=key_heads, max_position_embeddings=2048,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=IMAGE_TOKEN, vision_feature_layer=-2
    )
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return BenchmarkAdapter(LlavaForConditionalGeneration(config), {})
    finally:
        torch.set_default_dtype(before)


def with_lora(adapter: BenchmarkAdapter, rank: int = 16) -> BenchmarkAdapter:
    """The same network with a LoRA adapter on every attention matrix of the language model."""
    config = LoraConfig(r=rank, target_modules=r".*language_model.*(q_proj|k_proj|v_proj|o_proj)")
    return BenchmarkAdapter(inject_adapter_in_model(config, adapter.model), {})


def make_batch(shape: Shape, tokens: int, samples: int, seed: int) -> Encoded:
    """Random pixels and ids; reports of 60 to 100 % of the room there is."""
    generator = torch.Generator().manual_seed(seed)
    images = shape.patches[tokens] ** 2
    start = images + PROMPT_TOKENS
    ids = torch.randint(10, shape.vocabulary, (samples, tokens), generator=generator)
    ids[:, :images] = IMAGE_TOKEN
    room = tokens - start
    lengths = torch.randint(room * 6 // 10, room + 1, (samples,), generator=generator)
    lengths[0] = room
    real = torch.arange(tokens)[None] < (start + lengths)[:, None]
    ids = ids.masked_fill(~real, 0)
    labels = ids.masked_fill(~real, IGNORED)
    labels[:, :start] = IGNORED
    edge = 16 * shape.patches[tokens]
    pixels = torch.randn(samples, 3, edge, edge, generator=generator)
    names = tuple(f"pair{seed}-{n}" for n in range(samples))
    given = {"input_ids": ids, "attention_mask": real.long(), "pixel_values": pixels, "labels": labels}
    return Encoded(names, names, given)


def one_of(batch: Encoded, number: int) -> Encoded:
    """One sample without padding, as the published code feeds it."""
    length = int(batch.tensors["attention_mask"][number].sum())
    tensors = {
        name: tensor[number : number + 1] if name == "pixel_values" else tensor[number : number + 1, :length]
        for name, tensor in batch.tensors.items()
    }
    return Encoded(batch.pair_ids[number : number + 1], batch.patients[number : number + 1], tensors)


def _candidate(name: str) -> Candidate:
    parts = name.split(".")
    if "layers" not in parts:
        return Candidate(name, "head", -1, "projector")
    tower = "language" if "language_model" in parts else "vision"
    block = int(parts[parts.index("layers") + 1])
    return Candidate(name, tower, block, f"{tower} layer {block}")
