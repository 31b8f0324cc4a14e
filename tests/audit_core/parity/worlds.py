"""Small real models that were trained on the members of a cohort, as a folder and as the network itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llava.configuration_llava import LlavaConfig
from transformers.models.llava.modeling_llava import LlavaForConditionalGeneration
from transformers.models.mistral.configuration_mistral import MistralConfig

from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.loading import open_model
from audit_core.adapters.opening import Opening
from audit_core.results import Role
from audit_core.samples import Sample
from tests.audit_core import engine_models as tiny  # sets the offline switches before torch
from tests.audit_core.parity import by_hand

SIZES = {Role.MEMBER: 12, Role.FITTING: 12, Role.CALIBRATION: 12, Role.TARGET: 10}
PLANTED = 5
"""So many of the targets were trained on as well."""

Given = Mapping[str, Tensor]


@dataclass(frozen=True)
class World:
    """A trained model twice: opened from its folder by the engine, and as the network that was trained.

    `names` are the matrices by hand; `loss` is one pair's loss on the network itself.
    """

    adapter: ModelAdapter
    network: nn.Module
    names: list[str]
    loss: Callable[[str], Tensor]
    samples: list[Sample]
    bank: list[Sample]

    def ids(self, *roles: Role) -> list[str]:
        """Pairs of these roles."""
        return [s.pair_id for s in self.samples if s.role in roles]


def cohort() -> tuple[list[Sample], list[Sample]]:
    """The audited pairs and a bank of eight."""
    roles = [role for role, count in SIZES.items() for _ in range(count)]
    samples = [replace(tiny.sample(number), role=role) for number, role in enumerate(roles)]
    return samples, [replace(tiny.sample(200 + k), role=Role.BANK) for k in range(8)]


def planted(samples: list[Sample]) -> list[Sample]:
    """What the models are trained on: members and some targets."""
    targets = [s for s in samples if s.role is Role.TARGET]
    return [s for s in samples if s.role is Role.MEMBER] + targets[:PLANTED]


def train(network: nn.Module, loss: Callable[[], Tensor], steps: int) -> None:
    """Fit the trainable parameters."""
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=2e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()


def _given(adapter: ModelAdapter, samples: list[Sample]) -> dict[str, Given]:
    """What the model is given for each pair alone; the same for both ways of computing."""
    return {s.pair_id: dict(adapter.encode([s], 64).tensors) for s in samples}


def _llava(folder: Path, text: Any) -> LlavaForConditionalGeneration:
    """A LLaVA of five vision blocks, read one block early, and four language blocks; saved with its parts."""
    tiny.write_llava(folder)
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=5, num_attention_heads=2,
        image_size=8, patch_size=4, projection_dim=16,
    )  # fmt: skip
    torch.manual_seed(0)
    network = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=text, image_token_index=4, vision_feature_layer=-2)
    ).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.2, generator=generator)
    network.save_pretrained(folder)
    return network


def _text(kind: Any) -> Any:
    window = {"sliding_window": 6} if kind is MistralConfig else {}
    return kind(
        **window,
        vocab_size=32, hidden_size=16, intermediate_size=20, num_hidden_layers=4, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=256, pad_token_id=1, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip


def llava(folder: Path, text: Any) -> World:
    """A LLaVA around the given kind of language model."""
    samples, _ = cohort()
    network = _llava(folder, _text(text))
    adapter = open_model(folder, "image-text-to-text")
    loss = _token_loss(network, _given(adapter, samples))
    together = adapter.encode(planted(samples), 64).tensors
    train(network, lambda: network(**together).loss, 25)
    network.save_pretrained(folder)
    towers = (r"language_model\.layers\.(\d+)\.", r"vision_tower.*\.layers\.(\d+)\.")
    names = by_hand.last_three(network, towers, ("model.multi_modal_projector.",))
    return World(open_model(folder, "image-text-to-text"), network, names, loss, samples, [])


def lora(folder: Path, *, dora: bool = False) -> World:
    """The Llama-LLaVA with a LoRA (or DoRA) of rank 4 on attention and MLP of its language model."""
    samples, _ = cohort()
    base = _llava(folder / "base", _text(LlamaConfig))
    adapter = open_model(folder / "base", "image-text-to-text")
    targets = r".*language_model\.layers\.\d+\.(self_attn\.(q|v)_proj|mlp\.down_proj)"
    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=targets, use_dora=dora)
    network = get_peft_model(base, config)
    loss = _token_loss(network, _given(adapter, samples))
    together = adapter.encode(planted(samples), 64).tensors
    train(network, lambda: network(**together).loss, 30)
    network.eval().save_pretrained(folder / "lora")
    opened = open_model(folder / "base", "image-text-to-text", opening=Opening(peft=folder / "lora"))
    return World(opened, network, by_hand.lora_matrices(network), loss, samples, [])


def _token_loss(network: nn.Module, given: Mapping[str, Given]) -> Callable[[str], Tensor]:
    def loss(pair: str) -> Tensor:
        found: Tensor = network(**given[pair]).loss  # the library's own: mean over supervised tokens
        return found

    return loss


def biomedclip(folder: Path) -> World:
    """A BiomedCLIP; a pair's loss is half of both InfoNCE losses against the bank."""
    samples, bank = cohort()
    tiny.write_clip(folder)
    adapter = open_model(folder, "contrastive")
    given = _given(adapter, [*samples, *bank])
    network = adapter.model
    network.requires_grad_(True)
    anchors: list[tuple[Tensor, Tensor]] = []

    def embedded(pair: str) -> tuple[Tensor, Tensor]:
        image, text = network(**given[pair])
        return image[0] / image[0].norm(), text[0] / text[0].norm()

    def loss(pair: str) -> Tensor:
        image, text = embedded(pair)
        scale = network.logit_scale.exp()
        to_text = torch.stack([image @ text, *(image @ other for _, other in anchors)]) * scale
        to_image = torch.stack([image @ text, *(text @ other for other, _ in anchors)]) * scale
        return -0.5 * (torch.log_softmax(to_text, 0)[0] + torch.log_softmax(to_image, 0)[0])

    def fill() -> None:
        with torch.no_grad():
            anchors[:] = [embedded(sample.pair_id) for sample in bank]

    fill()
    train(network, lambda: torch.stack([loss(s.pair_id) for s in planted(samples)]).mean(), 25)
    fill()
    save_file(network.state_dict(), folder / "open_clip_pytorch_model.safetensors")
    towers = (r"visual\.trunk\.blocks\.(\d+)\.", r"text\.transformer\.encoder\.layer\.(\d+)\.")
    names = by_hand.last_three(network, towers, ("visual.head.", "text.proj."))
    return World(open_model(folder, "contrastive"), network, names, loss, samples, bank)


WORLDS: dict[str, Callable[[Path], World]] = {
    "Llama-LLaVA": lambda folder: llava(folder, LlamaConfig),
    "Mistral-LLaVA": lambda folder: llava(folder, MistralConfig),
    "BiomedCLIP": biomedclip,
    "LoRA": lora,
}
