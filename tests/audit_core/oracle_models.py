"""Tiny networks of the families hospitals have, behind thin adapters, and slow obvious oracles for them.

Letters: B samples, T positions, I inputs, O outputs, S slices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers.models.bert.configuration_bert import BertConfig
from transformers.models.bert.modeling_bert import BertForMaskedLM
from transformers.models.clip.configuration_clip import CLIPConfig
from transformers.models.clip.modeling_clip import CLIPModel
from transformers.models.gemma.configuration_gemma import GemmaConfig
from transformers.models.gemma.modeling_gemma import GemmaForCausalLM
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaForCausalLM
from transformers.models.mistral.configuration_mistral import MistralConfig
from transformers.models.mistral.modeling_mistral import MistralForCausalLM
from transformers.models.qwen2.configuration_qwen2 import Qwen2Config
from transformers.models.qwen2.modeling_qwen2 import Qwen2ForCausalLM
from transformers.models.siglip.configuration_siglip import SiglipConfig
from transformers.models.siglip.modeling_siglip import SiglipModel

from audit_core.adapters.base import Anchors, Candidate, Encoded, ModelAdapter, Outcome
from audit_core.samples import Sample

WORDS = 40
END = WORDS - 1  # where CLIP reads its text embedding
IGNORED = -100
LENGTHS = (9, 5, 7)
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
DECODER = {**SIZES, "vocab_size": WORDS, "num_key_value_heads": 2, "max_position_embeddings": 64}


class ThinAdapter(ModelAdapter):
    """Any network and any loss: what the engine needs of a model and nothing else."""

    family = "image-text-to-text"

    def __init__(self, model: nn.Module, losses: Callable[[nn.Module, Encoded], Tensor]) -> None:
        super().__init__(model, {})
        self.losses = losses

    def candidates(self) -> tuple[Candidate, ...]:
        return tuple(Candidate(n, "head", -1, n) for n in self.linear_names() if not n.endswith("lm_head"))

    def adaptable(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.candidates())

    @property
    def encoding(self) -> str:
        return ""

    def _encode(self, samples: Sequence[Sample], max_text_tokens: int) -> Encoded:
        raise NotImplementedError

    def _forward(self, batch: Encoded, anchors: Anchors | None) -> Outcome:
        losses_B = self.losses(self.model, batch)
        return Outcome(losses_B, {}, (1,) * len(losses_B))

    def _training_loss(self, batch: Encoded) -> Tensor:
        return self.losses(self.model, batch).mean()


def texts(*, pixels: bool = False) -> Encoded:
    """Right-padded rows of unequal length; with pixels an image each."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(5, END, (len(LENGTHS), max(LENGTHS)), generator=generator)
    ids[torch.arange(len(LENGTHS)), torch.tensor(LENGTHS) - 1] = END
    mask = (torch.arange(max(LENGTHS))[None] < torch.tensor(LENGTHS)[:, None]).long()
    names = tuple(f"pair{n}" for n in range(len(LENGTHS)))
    tensors = {"input_ids": ids * mask, "attention_mask": mask}
    if pixels:
        tensors["pixel_values"] = torch.randn(len(LENGTHS), 3, 8, 8, generator=generator)
    return Encoded(names, names, tensors)


def alone(batch: Encoded, number: int) -> Encoded:
    """One sample without its padding."""
    length = int(batch.tensors["attention_mask"][number].sum())
    row = slice(number, number + 1)
    tensors = {k: t[row] if k == "pixel_values" else t[row, :length] for k, t in batch.tensors.items()}
    return Encoded(batch.pair_ids[row], batch.patients[row], tensors)


def decoder_losses(model: nn.Module, batch: Encoded) -> Tensor:
    """Mean cross-entropy of the tokens from the third on."""
    ids, mask = batch.tensors["input_ids"], batch.tensors["attention_mask"]
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
    labels = ids.masked_fill(mask == 0, IGNORED)[:, 1:].clone()
    labels[:, :2] = IGNORED
    losses_BT = cross_entropy(logits.mT, labels, ignore_index=IGNORED, reduction="none")
    return losses_BT.sum(1) / (labels != IGNORED).sum(1)


def masked_losses(model: nn.Module, batch: Encoded) -> Tensor:
    """Mean cross-entropy over all real tokens."""
    ids, mask = batch.tensors["input_ids"], batch.tensors["attention_mask"]
    logits = model(input_ids=ids, attention_mask=mask).logits.float()
    losses_BT = cross_entropy(logits.mT, ids.masked_fill(mask == 0, IGNORED), reduction="none")
    return losses_BT.sum(1) / mask.sum(1)


def tower_losses(model: nn.Module, batch: Encoded) -> Tensor:
    """A pair against a fixed bank of embeddings; both directions."""
    out = model(**batch.tensors)
    bank = torch.nn.functional.normalize(
        torch.randn(6, out.image_embeds.shape[1], generator=torch.Generator().manual_seed(9)), dim=1
    ).to(out.image_embeds)
    own_B = (out.image_embeds * out.text_embeds).sum(1, keepdim=True)
    both = [torch.cat([own_B, 1.0 * x @ bank.T], 1) for x in (out.image_embeds, out.text_embeds)]
    return -sum(torch.log_softmax(4.0 * x.float(), 1)[:, 0] for x in both)


def _towers(config: type, model: type, **more: int) -> nn.Module:
    text = {**SIZES, "vocab_size": WORDS, "max_position_embeddings": 16, **more}
    vision = {**SIZES, "image_size": 8, "patch_size": 4}
    made: nn.Module = model(config(text_config=text, vision_config=vision))
    return made


def network(name: str) -> ThinAdapter:
    """A seeded network of this family with weights large enough that gradients of pairs differ."""
    torch.manual_seed(0)
    make: dict[str, Callable[[], nn.Module]] = {
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**DECODER)),
        "mistral": lambda: MistralForCausalLM(MistralConfig(**DECODER, sliding_window=4)),
        "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**DECODER)),
        "gemma": lambda: GemmaForCausalLM(GemmaConfig(**DECODER, head_dim=8)),
        "bert": lambda: BertForMaskedLM(
            BertConfig(**SIZES, vocab_size=WORDS, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        ),
        "clip": lambda: _towers(CLIPConfig, CLIPModel, projection_dim=32, eos_token_id=END),
        "siglip": lambda: _towers(SiglipConfig, SiglipModel, projection_size=32),
    }
    losses = {"bert": masked_losses, "clip": tower_losses, "siglip": tower_losses}.get(name, decoder_losses)
    model = make[name]()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.2, generator=generator)
            elif key.endswith("bias"):
                parameter.normal_(std=0.1, generator=generator)
    return ThinAdapter(model, losses)


def looped(
    adapter: ModelAdapter, batch: Encoded, names: Sequence[str], *, padded: bool = False
) -> dict[str, Tensor]:
    """The oracle: one pair at a time, autograd to the weights, [B, O, I] per layer."""
    weights = [adapter.linear(name).weight.requires_grad_(True) for name in names]
    found = []
    for number in range(len(batch.pair_ids)):
        own = batch if padded else alone(batch, number)
        loss = adapter.forward(own).losses_B
        found.append(torch.autograd.grad(loss[number] if padded else loss.sum(), weights))
    adapter.model.requires_grad_(False)
    return {name: torch.stack(grads) for name, grads in zip(names, zip(*found, strict=True), strict=True)}


def slices_of(grads_BOI: Tensor, reference_OI: Tensor) -> tuple[Tensor, Tensor]:
    """Squared norms and cosines with the reference, rows then columns, in float64: [B, S] each."""
    grads, reference = grads_BOI.double(), reference_OI.double()
    squares = torch.cat([grads.square().sum(2), grads.square().sum(1)], 1)
    dots = torch.cat([(grads * reference).sum(2), (grads * reference).sum(1)], 1)
    lengths = torch.cat([reference.square().sum(1), reference.square().sum(0)])
    return squares, dots / (squares * lengths).sqrt()
