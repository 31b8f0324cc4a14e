"""Folders made to mislead: nothing of them is run, each is refused in one line with a hint."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from audit_core.adapters import headers, weights
from audit_core.adapters.folder import inspect_adapter, inspect_folder, is_adapter
from audit_core.adapters.loading import open_model
from audit_core.errors import ModelRefused, NotEnoughMemory
from tests.audit_core import engine_models as tiny

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = '{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}'
Spoil = Callable[[Path], object]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sound LLaVA."""
    return tiny.write_llava(tmp_path_factory.mktemp("made") / "llava")


@pytest.fixture
def llava(made: Path, tmp_path: Path) -> Path:
    """A copy of it to be spoiled."""
    return shutil.copytree(made, tmp_path / "llava")


def edit(name: str, change: Callable[[dict[str, Any]], object]) -> Spoil:
    """Change one json file."""

    def act(folder: Path) -> None:
        document = json.loads((folder / name).read_text())
        change(document)
        (folder / name).write_text(json.dumps(document))

    return act


def say(**entries: object) -> Spoil:
    """Put keys into config.json."""
    return edit("config.json", lambda document: document.update(entries))


def inside(part: str, **entries: object) -> Spoil:
    """Put keys into an inner config."""
    return edit("config.json", lambda document: document[part].update(entries))


def header(change: Callable[[dict[str, Any]], object]) -> Spoil:
    """Change the header of the weight file, leave its numbers."""

    def act(folder: Path) -> None:
        data = (folder / WEIGHTS).read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        document = json.loads(data[8 : 8 + length])
        change(document)
        text = json.dumps(document).encode()
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])

    return act


def first(document: dict[str, Any]) -> dict[str, Any]:
    """The first tensor of a header."""
    found: dict[str, Any] = document[min(set(document) - {"__metadata__"})]
    return found


def twice(folder: Path) -> None:
    """A header that names one tensor twice."""
    data = (folder / WEIGHTS).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    text = data[8 : 8 + length].rstrip()
    again = text[:-1] + b',"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' * 2 + b"}"
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(again)) + again + data[8 + length :])


def stored_as(dtype: torch.dtype) -> Spoil:
    """One matrix as codes of that kind."""

    def act(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        name = next(name for name in tensors if name.endswith("up_proj.weight"))
        tensors[name] = tensors[name].to(dtype)
        save_file(tensors, folder / WEIGHTS)

    return act


def shards(folder: Path) -> None:
    """The weights in two files with their index."""
    tensors = load_file(folder / WEIGHTS)
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[:9], "model-00002-of-00002.safetensors": names[9:]}
    for file, own in parts.items():
        save_file({name: tensors[name] for name in own}, folder / file, metadata={"format": "pt"})
    mapped = {name: file for file, own in parts.items() for name in own}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": mapped}))
    (folder / WEIGHTS).unlink()


def then(*acts: Spoil) -> Spoil:
    """One after the other."""
    return lambda folder: [act(folder) for act in acts]


def remap(change: Callable[[dict[str, str]], object]) -> Spoil:
    """Shards with a changed index."""
    return then(shards, edit(INDEX, lambda document: change(document["weight_map"])))


def some(mapped: dict[str, str]) -> str:
    """A tensor of the first shard."""
    return min(name for name, file in mapped.items() if "00001" in file)


REFUSED: dict[str, tuple[Spoil, str]] = {
    # code that would be run, or chosen
    "auto_map": (say(auto_map={"AutoModel": "x.Y"}), "auto_map"),
    "auto_map inside": (inside("text_config", auto_map={"AutoModel": "x.Y"}), "auto_map"),
    "auto_map of the processor": (
        edit("preprocessor_config.json", lambda d: d.update(auto_map={"A": "b.C"})),
        "auto_map",
    ),
    "trust_remote_code": (say(trust_remote_code=True), "trust_remote_code"),
    "custom_generate": (
        lambda f: (f / "generation_config.json").write_text('{"custom_generate": "x/y"}'),
        "custom_generate",
    ),
    "attention from a hub": (say(_attn_implementation="someone/kernels"), "chooses which code computes"),
    "attention inside": (inside("vision_config", attn_implementation="eager"), "attn_implementation"),
    "internal attention": (say(_attn_implementation_internal="x/y"), "_attn_implementation_internal"),
    "autoset as a name": (say(_attn_implementation_autoset="x/y"), "_attn_implementation_autoset"),
    "experts": (say(_experts_implementation="x/y"), "_experts_implementation"),
    "weights by name": (say(transformers_weights="../other.safetensors"), "transformers_weights"),
    "pretrained backbone": (inside("vision_config", use_pretrained_backbone=True), "use_pretrained_backbone"),
    "kernels": (say(kernel_config={"a": "b"}), "kernel_config"),
    # networks we do not know
    "unknown architecture": (say(architectures=["EvilForCausalLM"]), "EvilForCausalLM"),
    "two architectures": (say(architectures=["LlavaForConditionalGeneration", "B"]), "not stated"),
    "unknown model_type": (say(model_type="evil"), "evil"),
    "unknown text": (inside("text_config", model_type="mamba"), "mamba"),
    "unknown part": (say(audio_config={"model_type": "whisper"}), "audio_config is not a part"),
    "part that is a list": (say(text_config=[1]), "text_config"),
    "config that is a list": (lambda f: (f / "config.json").write_text("[]"), "no usable config"),
    # numbers that cannot be
    "negative width": (inside("text_config", hidden_size=-16), "hidden_size"),
    "huge width": (inside("text_config", hidden_size=10**12), "hidden_size"),
    "width as a word": (inside("text_config", hidden_size="16"), "hidden_size"),
    "layers without end": (inside("text_config", num_hidden_layers=5_000_000), "num_hidden_layers: 5000000"),
    "blocks without end": (inside("vision_config", depth=5_000_000), "depth: 5000000"),
    "infinite": (say(initializer_range=float("inf")), "initializer_range"),
    "deep": (say(nested=json.loads("[" * 40 + "]" * 40)), "nested too deep"),
    # codes instead of numbers
    "4 bit": (say(quantization_config={"load_in_4bit": True}), "slice statistics would be wrong, because"),
    "8 bit inside": (inside("text_config", quantization_config={"quant_method": "gptq"}), "quantised"),
    "awq in the vision tower": (inside("vision_config", quantization_config={"q": 1}), "quantised"),
    "load_in_8bit": (say(load_in_8bit=True), "load_in_8bit"),
    "gptq file": (lambda f: (f / "quantize_config.json").write_text('{"bits": 4}'), "quantize_config"),
    "fp8 dtype": (say(dtype="float8_e4m3fn"), "float8_e4m3fn"),
    "int8 tensor": (stored_as(torch.int8), "up_proj.* is quantised"),
    "uint8 tensor": (stored_as(torch.uint8), "is quantised"),
    "fp8 tensor": (stored_as(torch.float8_e4m3fn), "is quantised"),
    # damaged or dressed-up weights
    "overlap": (header(lambda d: first(d).update(data_offsets=[0, 0], shape=[0])), "follows a hole|overlaps"),
    "past the end": (
        header(lambda d: first(d).update(data_offsets=[10**9, 10**9 + 4], shape=[1], dtype="F32")),
        "hole|overlap|should hold",
    ),
    "negative offset": (header(lambda d: first(d).update(data_offsets=[-4, 0])), "no possible size"),
    "wrong size": (header(lambda d: first(d).update(shape=[1, 1])), "another number of bytes"),
    "shape of words": (header(lambda d: first(d).update(shape=["2", 2])), "no possible size"),
    "unknown dtype": (header(lambda d: first(d).update(dtype="F128")), "quantised"),
    "no offsets": (header(lambda d: first(d).pop("data_offsets")), "does not have the form"),
    "twice": (twice, "names a tensor twice"),
    "padded": (lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes() + b"x" * 9), "should hold"),
    "header longer than the file": (
        lambda f: (f / WEIGHTS).write_bytes(struct.pack("<Q", 1 << 25) + b"{}"),
        "safetensors",
    ),
    "deep header": (
        lambda f: (f / WEIGHTS).write_bytes(struct.pack("<Q", 60_000) + b"[" * 60_000),
        "not a readable safetensors",
    ),
    # sets of weights
    "two sets": (lambda f: shutil.copy(f / WEIGHTS, f / "other.safetensors"), "two sets of weights"),
    "pickle beside": (lambda f: (f / "pytorch_model.bin").write_bytes(b"x"), "carry code"),
    "missing shard": (
        then(shards, lambda f: (f / "model-00002-of-00002.safetensors").unlink()),
        "model-00002-of-00002.safetensors is missing",
    ),
    "escape": (remap(lambda m: m.update({some(m): "../llava/model.safetensors"})), "outside the folder"),
    "absolute": (remap(lambda m: m.update({some(m): "/etc/passwd"})), "outside the folder"),
    "unlisted": (remap(lambda m: m.update({some(m): "third.safetensors"})), "third.safetensors is missing"),
    "no safetensors": (remap(lambda m: m.update({some(m): "config.json"})), "not .safetensors"),
    "promised elsewhere": (
        remap(lambda m: m.update({some(m): "model-00002-of-00002.safetensors"})),
        "where the index puts it|where the index does not put it",
    ),
    "left out of the index": (remap(lambda m: m.pop(some(m))), "where the index does not put it"),
    "index of words": (then(shards, edit(INDEX, lambda d: d.update(weight_map="x"))), "names no tensors"),
    "index of other weights": (
        lambda f: (f / "pytorch_model.bin.index.json").write_text("{}"),
        "index of weights that are not there",
    ),
    # files
    "code": (lambda f: (f / "modeling_llava.py").write_text("import os"), "is code"),
    "notebook": (lambda f: (f / "example.ipynb").write_text("{}"), "is code"),
    "trainer's pickle": (lambda f: (f / "training_args.bin").write_bytes(b"x"), "carry code"),
    "device": (lambda f: __import__("os").mkfifo(f / "config2.json"), "not a plain file"),
    "name that acts": (lambda f: (f / "\x1b[2Jx.json").write_text("{}"), "not readable"),
    "adapter inside": (lambda f: (f / "adapter_config.json").write_text("{}"), "a model and an adapter"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_misleads_is_refused_with_reason_and_hint(llava: Path, case: str) -> None:
    """One line that names what is wrong, and a hint; nothing is loaded to find out."""
    spoil, reason = REFUSED[case]
    spoil(llava)
    with pytest.raises(ModelRefused, match=reason) as caught:
        inspect_folder(llava)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "harmless",
    [
        shards,
        say(_attn_implementation_autoset=True, quantization_config=None, auto_map=None),
        lambda f: (f / "README.md").write_text("text"),
        lambda f: (f / "figure.png").write_bytes(b"x"),
    ],
)
def test_what_vendors_leave_behind_is_no_obstacle(llava: Path, harmless: Spoil) -> None:
    """Shards with a right index, marks of older versions, papers and pictures."""
    before = inspect_folder(llava).parameters
    harmless(llava)
    assert inspect_folder(llava).parameters == before
    assert open_model(llava, "image-text-to-text").parameters == before


def test_headers_are_bounded_one_by_one_and_together(llava: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header is json that is read in full: neither one nor many of them may fill the memory."""
    count = len(load_file(llava / WEIGHTS))
    shards(llava)
    monkeypatch.setattr(weights, "MAX_TENSORS", count)
    inspect_folder(llava, digests=False)
    monkeypatch.setattr(weights, "MAX_TENSORS", count - 1)
    with pytest.raises(ModelRefused, match=f"more than {count - 1} tensors"):
        inspect_folder(llava, digests=False)
    monkeypatch.setattr(headers, "MAX_HEADER_BYTES", 300)
    with pytest.raises(ModelRefused, match="no possible length"):
        inspect_folder(llava, digests=False)


def test_an_adapter_alone_says_what_it_needs(tmp_path: Path) -> None:
    """A PEFT folder is no model; what to give instead stands in the hint."""
    (tmp_path / "adapter_config.json").write_text(ADAPTER)
    save_file({"a": torch.ones(2)}, tmp_path / "adapter_model.safetensors")
    assert is_adapter(tmp_path)
    assert inspect_adapter(tmp_path).parameters == 2
    with pytest.raises(ModelRefused, match="an adapter and not the model") as caught:
        inspect_folder(tmp_path)
    assert "--base" in caught.value.hint


def test_an_adapter_folder_is_held_to_the_same_rules(tmp_path: Path, made: Path) -> None:
    """Pickles, code and whole models are no adapters."""
    (tmp_path / "adapter_config.json").write_text(ADAPTER)
    (tmp_path / "adapter_model.bin").write_bytes(b"x")
    with pytest.raises(ModelRefused, match="carry code"):
        inspect_adapter(tmp_path)
    (tmp_path / "adapter_model.bin").unlink()
    with pytest.raises(ModelRefused, match=r"no weights \(adapter_model\.safetensors\)"):
        inspect_adapter(tmp_path)
    with pytest.raises(ModelRefused, match="holds a whole model"):
        inspect_adapter(made)


def test_a_model_that_does_not_fit_is_said_before_it_is_loaded(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Need and what is free are both named; nothing of the weights is read."""
    monkeypatch.setattr("audit_core.memory.available_bytes", lambda device: 1000)
    monkeypatch.setattr("audit_core.adapters.loading._loader", lambda facts: pytest.fail("it was loaded"))
    with pytest.raises(NotEnoughMemory, match=r"needs 0\.0 GiB of memory and 0\.0 GiB are free") as caught:
        open_model(made, "image-text-to-text")
    assert "machine with more" in caught.value.hint
