"""What may be opened and what is refused: layouts, missing keys, code, pickles, links, half folders."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from audit_core.adapters import contents, layouts
from audit_core.adapters.folder import inspect_folder
from audit_core.adapters.headers import tensor_shapes
from audit_core.adapters.layouts import read_open_clip
from audit_core.adapters.loading import open_model
from audit_core.adapters.opening import Opening
from audit_core.errors import AuditError, ModelRefused
from tests.audit_core import engine_models as tiny
from tests.audit_core.families.two_tower_models import TWO_TOWER_MODELS

LLAVA, CLIP = "image-text-to-text", "contrastive"
# From the names the library saves today; each line of DESIGN §7's table that is a Hugging Face layout.
LAYOUTS = {
    "4.51": {"vision_tower.": "vision_tower.vision_model."},
    "4.52": {
        "language_model.model.": "model.language_model.",
        "language_model.lm_head.": "lm_head.",
        "multi_modal_projector.": "model.multi_modal_projector.",
        "vision_tower.": "model.vision_tower.vision_model.",
    },
    "in memory": {
        "language_model.model.": "model.language_model.",
        "language_model.lm_head.": "lm_head.",
        "multi_modal_projector.": "model.multi_modal_projector.",
        "vision_tower.": "model.vision_tower.",
    },
}
CLIP_WEIGHTS = "open_clip_pytorch_model.safetensors"


@pytest.fixture
def llava(tmp_path: Path) -> Path:
    return tiny.write_llava(tmp_path / "llava")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return tiny.write_clip(tmp_path / "clip")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_key_layout_holds_the_same_model(llava: Path, tmp_path: Path, layout: str) -> None:
    """File names up to 4.51, from 4.52 on and as in memory load to identical losses."""
    other = tiny.write_llava(tmp_path / "other")
    before = set(tensor_shapes(other / "model.safetensors"))
    tiny.rename(other, "model.safetensors", LAYOUTS[layout])
    assert set(tensor_shapes(other / "model.safetensors")) != before
    losses = []
    for folder in (llava, other):
        adapter = open_model(folder, LLAVA)
        losses.append(adapter.forward(adapter.encode([tiny.sample(1)], 99)).losses_B)
    torch.testing.assert_close(losses[0], losses[1], rtol=0, atol=0)


@pytest.mark.parametrize(
    "part", ["language_model.model.layers.1.mlp.up_proj", "vision_tower.encoder.layers.0.mlp.fc1.w"]
)
def test_a_missing_tensor_is_refused_by_name(llava: Path, part: str) -> None:
    """Random weights are never audited: a LLaVA without one tensor is refused."""
    tiny.rename(llava, "model.safetensors", {part: ""})
    with pytest.raises(ModelRefused, match=r"1 missing: model\..*layers\.[01]\.mlp\.(up_proj|fc1)\.weight\)"):
        open_model(llava, LLAVA)


def test_an_unexpected_tensor_is_refused_by_name(llava: Path) -> None:
    """A tensor that belongs to another network is refused."""
    tiny.rename(llava, "model.safetensors", {"multi_modal_projector.linear_2": "projector.extra"})
    with pytest.raises(ModelRefused, match=r"2 unexpected: .*projector\.extra"):
        open_model(llava, LLAVA)


def test_biomedclip_loads_its_own_tensors_strictly(clip: Path) -> None:
    """Every tensor of the file is a parameter of the model, bit for bit, the fused qkv included."""
    adapter = open_model(clip, CLIP)
    stored = load_file(clip / CLIP_WEIGHTS)
    loaded = dict(adapter.model.named_parameters())
    assert set(stored) == set(loaded)
    assert "visual.trunk.blocks.0.attn.qkv.weight" in stored
    assert all(torch.equal(stored[name], loaded[name]) for name in stored)


def test_biomedclip_with_a_wrong_key_names_it(clip: Path) -> None:
    """A renamed tensor shows up as one missing and one unexpected."""
    tiny.rename(clip, CLIP_WEIGHTS, {"visual.trunk.norm.weight": "visual.trunk.norm.gain"})
    with pytest.raises(
        ModelRefused, match=r"missing: visual\.trunk\.norm\.weight.*unexpected: visual\.trunk\.norm\.gain"
    ):
        open_model(clip, CLIP)


def test_biomedclip_position_ids_of_older_berts_are_no_surprise(clip: Path) -> None:
    """The one constant buffer older BERTs saved is dropped, and only that one."""
    state = load_file(clip / CLIP_WEIGHTS)
    state["text.transformer.embeddings.position_ids"] = torch.arange(16)[None]
    save_file(state, clip / CLIP_WEIGHTS)
    assert open_model(clip, CLIP).parameters > 0


def test_biomedclip_that_contradicts_its_config_is_refused(clip: Path) -> None:
    """Image size in the json against the position table; a missing block in the middle; a strange pooling."""
    config = json.loads((clip / "open_clip_config.json").read_text())
    shapes = tensor_shapes(clip / CLIP_WEIGHTS)
    config["model_cfg"]["vision_cfg"]["image_size"] = 12
    with pytest.raises(ModelRefused, match="12, the position table says 8"):
        read_open_clip(config, shapes)
    config["model_cfg"]["vision_cfg"]["image_size"] = 8
    holed = {k: v for k, v in shapes.items() if not k.startswith("visual.trunk.blocks.0.")}
    with pytest.raises(ModelRefused, match=r"visual\.trunk\.blocks\.0"):
        read_open_clip(config, holed)
    config["model_cfg"]["text_cfg"]["hf_pooler_type"] = "mean_pooler"
    with pytest.raises(ModelRefused, match="mean_pooler"):
        read_open_clip(config, shapes)


def test_heads_are_stated_or_64_wide(clip: Path) -> None:
    """`heads` in the config wins; without it a head is 64 wide, and another width is not guessed at."""
    config = json.loads((clip / "open_clip_config.json").read_text())
    shapes = dict(tensor_shapes(clip / CLIP_WEIGHTS))
    assert read_open_clip(config, shapes).trunk.heads == 2
    del config["model_cfg"]["vision_cfg"]["heads"]
    with pytest.raises(ModelRefused, match="does not say how many attention heads") as refused:
        read_open_clip(config, shapes)
    assert "state `heads`" in refused.value.hint
    assert layouts._heads({}, 768) == 12
    config["model_cfg"]["vision_cfg"]["heads"] = 2
    config["model_cfg"]["text_cfg"]["heads"] = 5
    with pytest.raises(ModelRefused, match="16 cannot have 5 heads"):
        read_open_clip(config, shapes)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("modeling_llava.py", "is code"),
        ("sub/tool.so", "is code"),
        ("pytorch_model.bin", "carry code"),
        ("weights.pt", "carry code"),
        ("weights.pth", "carry code"),
        ("last.ckpt", "carry code"),
        ("state.PKL", "carry code"),
        ("notes.docx", "not a kind of file"),
    ],
)
def test_code_and_pickles_are_refused_by_name(llava: Path, name: str, reason: str) -> None:
    """Anything that can run, or carries what can run, is refused before it is read."""
    (llava / name).parent.mkdir(exist_ok=True)
    (llava / name).write_bytes(b"x")
    with pytest.raises(ModelRefused, match=reason) as caught:
        inspect_folder(llava)
    assert name in str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_link_is_refused(llava: Path, tmp_path: Path) -> None:
    """A link could point at another model tomorrow."""
    (tmp_path / "elsewhere.json").write_text("{}")
    (llava / "extra.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ModelRefused, match=r"extra\.json is a link"):
        inspect_folder(llava)


def _edit(name: str, change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        document = json.loads((folder / name).read_text())
        change(document)
        (folder / name).write_text(json.dumps(document))

    return act


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_edit("config.json", lambda d: d.update(auto_map={"AutoModel": "x.Y"})), "auto_map"),
        (_edit("tokenizer_config.json", lambda d: d.update(auto_map={"A": "b"})), "auto_map"),
        (_edit("config.json", lambda d: d.update(nested={"trust_remote_code": True})), "trust_remote_code"),
        (_edit("config.json", lambda d: d.update(architectures=["GptOss"])), "GptOss"),
        (_edit("config.json", lambda d: d.update(architectures=5)), "not stated"),
        (_edit("config.json", lambda d: d["text_config"].update(model_type="mamba")), "mamba"),
        (_edit("config.json", lambda d: d.update(quantization_config={"bits": 4})), "quantised"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer.json"),
        (lambda f: (f / "preprocessor_config.json").unlink(), "preprocessor"),
        (lambda f: (f / "config.json").unlink(), "config.json"),
        (lambda f: (f / "model.safetensors").unlink(), "model.safetensors"),
        (lambda f: (f / "config.json").write_text("{"), "not readable json"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\xff" * 40), "not a readable safetensors"),
    ],
)  # fmt: skip
def test_spoiled_llava_folders_are_refused_with_a_hint(
    llava: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    """Remote code, unknown architectures, missing parts and damage each give one line and a hint."""
    inspect_folder(llava)
    spoil(llava)
    with pytest.raises(ModelRefused, match=reason) as caught:
        inspect_folder(llava)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_truncated_weight_file_is_refused(llava: Path) -> None:
    """A copy that stopped half way has a fine header; its size against the header says so."""
    weights = llava / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelRefused, match=r"it should hold \d+ bytes of numbers and holds \d+"):
        inspect_folder(llava)


def test_tensors_of_another_size_are_refused_by_name(llava: Path) -> None:
    """A config of another width names the tensors that do not fit; nothing is filled with random numbers."""
    _edit("config.json", lambda d: d["text_config"].update(vocab_size=d["text_config"]["vocab_size"] + 1))(
        llava
    )
    with pytest.raises(ModelRefused, match=r"of another size: .*embed_tokens"):
        open_model(llava, LLAVA)


VAST = 10_000_000


@pytest.mark.parametrize("converted", [False, True])
def test_a_config_alone_decides_no_memory(llava: Path, converted: bool) -> None:
    """A config of matrices no machine can hold is refused by the tensors' names, before any is made."""
    tensors = load_file(llava / "model.safetensors") if converted else None
    _edit("config.json", lambda d: d["text_config"].update(hidden_size=VAST, intermediate_size=VAST))(llava)
    with pytest.raises(ModelRefused, match=r"of another size: .*embed_tokens"):
        open_model(llava, LLAVA, opening=Opening(tensors=tensors))


def test_a_biomedclip_config_alone_decides_no_memory(clip: Path) -> None:
    """The same for the one size that BiomedCLIP's layout takes from its json."""
    _edit("open_clip_config.json", lambda d: d["model_cfg"].update(embed_dim=10**12))(clip)
    with pytest.raises(ModelRefused, match=r"2 of another size: text\.proj\.\S+, visual\.head\.proj\.weight"):
        open_model(clip, CLIP)


def test_a_base_of_another_shape_is_refused(llava: Path, tmp_path: Path) -> None:
    """A model of other sizes cannot be what this one was fine-tuned from; its own kind can."""
    model = open_model(llava, LLAVA)
    model.refuse_other_base(open_model(tiny.write_llava(tmp_path / "base", seed=1), LLAVA, base=True))
    other = open_model(llava, LLAVA, base=True)
    head = other.model.get_submodule(other.candidates()[-1].name.rpartition(".")[0])
    name = other.candidates()[-1].name.rpartition(".")[2]
    setattr(head, name, torch.nn.Linear(3, 5))
    with pytest.raises(ModelRefused, match=rf"{name} is \(5, 3\)"):
        model.refuse_other_base(other)


def test_hostile_numbers_in_a_config_are_refused(clip: Path) -> None:
    """Infinity, words and lists where a size belongs give a refusal, not a crash."""
    for value in (float("inf"), "wide", [1], None):
        _edit("open_clip_config.json", lambda d, v=value: d["model_cfg"].update(embed_dim=v))(clip)
        with pytest.raises(ModelRefused, match=r"expected form|no possible value"):
            inspect_folder(clip)


def test_a_tokenizer_model_is_no_tokenizer_of_two_towers(tmp_path: Path) -> None:
    """Only image-text-to-text networks read one; others are refused at the first look, not when opened."""
    folder = TWO_TOWER_MODELS["medsiglip"](tmp_path / "siglip")
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")
    with pytest.raises(ModelRefused, match=r"has no tokenizer\.json$"):
        inspect_folder(folder)


def test_papers_beside_the_weights_are_no_obstacle(llava: Path) -> None:
    """Licence, readme and git attributes are digested like the rest."""
    for name in ("LICENSE", "README.md", ".gitattributes"):
        (llava / name).write_text("text")
    assert {"LICENSE", "README.md", ".gitattributes"} <= set(inspect_folder(llava).digests)


def test_a_preprocessor_of_another_size_is_refused(llava: Path) -> None:
    """Pixels that do not fit the vision tower are found at loading, not at the first pair."""
    _edit("preprocessor_config.json", lambda d: d.update(crop_size={"height": 12, "width": 12}))(llava)
    with pytest.raises(ModelRefused, match=r"12×12 images, the vision tower takes 8×8"):
        open_model(llava, LLAVA)


@pytest.mark.parametrize(
    "said",
    [
        {"size": {"shortest_edge": 100_000}},
        {"crop_size": 2**40},
        {"size": float("1e300")},
        {"image_processor_type": "Qwen2VLImageProcessor", "size": {"longest_edge": 10**9}},
        {"image_processor_type": "GotOcr2ImageProcessor", "max_patches": 5_000},
    ],
)
def test_a_preprocessor_cannot_ask_for_any_size(llava: Path, said: dict[str, object]) -> None:
    """Settings alone never make an image that fills the memory: refused before one is made, by the key."""
    _edit("preprocessor_config.json", lambda d: d.update(said))(llava)
    with pytest.raises(ModelRefused, match=rf"no possible value for {list(said)[-1]}$"):
        open_model(llava, LLAVA)


def test_facts_name_every_file_and_change_with_it(llava: Path) -> None:
    """Digests cover all files; the preprocessor has its own, and a changed mean changes both."""
    before = inspect_folder(llava)
    assert set(before.digests) == {p.name for p in llava.iterdir()} == set(before.files)
    assert before.family == LLAVA
    _edit("preprocessor_config.json", lambda d: d.update(image_mean=[0.5, 0.5, 0.5]))(llava)
    after = inspect_folder(llava)
    changed = {name for name in before.digests if before.digests[name] != after.digests[name]}
    assert changed == {"preprocessor_config.json"}
    assert before.preprocessor != after.preprocessor


def test_parameters_are_counted_from_the_header(llava: Path, clip: Path) -> None:
    """The torch-free count equals the loaded model's."""
    assert inspect_folder(llava).parameters == open_model(llava, LLAVA).parameters
    assert inspect_folder(clip).parameters == open_model(clip, CLIP).parameters


def test_the_wrong_family_is_refused(clip: Path) -> None:
    """A folder that is not what was registered is not opened as something else."""
    with pytest.raises(ModelRefused, match="holds a contrastive model"):
        open_model(clip, LLAVA)


def test_opening_needs_the_offline_switches(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the launcher's switches nothing is opened."""
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with pytest.raises(AuditError, match="HF_HUB_OFFLINE=1"):
        open_model(clip, CLIP)


def test_a_shard_outside_the_folder_is_refused(llava: Path) -> None:
    """An index may only name files that are there."""
    (llava / "model.safetensors").rename(llava / "part.safetensors")
    index = {"weight_map": {"a": "../../etc/passwd", "b": "part.safetensors"}}
    (llava / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelRefused, match="outside the folder"):
        inspect_folder(llava)


def test_inspection_imports_no_torch(llava: Path) -> None:
    """Looking at a folder must not load torch, transformers or numpy."""
    code = (
        "import sys; from pathlib import Path; from audit_core.adapters.folder import inspect_folder;"
        f"inspect_folder(Path({str(llava)!r}));"
        "print([m for m in ('torch', 'transformers', 'safetensors', 'numpy') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"


def test_json_files_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many files, each of a size one would let pass: parsed they would take thirty times their bytes."""
    tiny.write_llava(tmp_path)
    monkeypatch.setattr(contents, "MAX_JSON_BYTES", 50_000)
    inspect_folder(tmp_path, digests=False)
    for name in ("one.json", "two.json", "six.json"):
        (tmp_path / name).write_text(json.dumps([0] * 8_000))
    with pytest.raises(ModelRefused, match="too large for a configuration"):
        inspect_folder(tmp_path, digests=False)


def test_a_tokenizer_with_another_image_token_is_refused(tmp_path: Path) -> None:
    """The processor expands what the tokenizer calls its image token; the network would see no image."""
    template = "<image> poison Describe this image . ASSISTANT :"
    folder = tiny.write_llava(tmp_path, chat_template=template)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "image_token": "poison"}))
    with pytest.raises(ModelRefused, match="no image reaches the model") as refused:
        open_model(folder, LLAVA)
    assert refused.value.hint


def test_a_config_the_library_finds_wrong_is_refused_with_the_library_s_reason(llava: Path) -> None:
    """Its message has a heading and the reason on another line: both are told, on one."""
    config = json.loads((llava / "config.json").read_text())
    config["vision_config"]["num_attention_heads"] = 5
    (llava / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelRefused, match="heads") as refused:
        open_model(llava, LLAVA)
    assert "\n" not in str(refused.value)


def test_a_base_that_is_another_network_is_refused_as_that(tmp_path: Path) -> None:
    """The message says that it is the base that lacks a layer."""
    model = open_model(tiny.write_llava(tmp_path / "llava"), LLAVA)
    base = open_model(tiny.write_clip(tmp_path / "clip"), CLIP)
    with pytest.raises(ModelRefused, match="the base model is another network") as refused:
        model.refuse_other_base(base)
    assert "fine-tuned from" in refused.value.hint
