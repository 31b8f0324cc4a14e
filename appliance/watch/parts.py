"""What of a model a file is: one table, and every file falls in exactly one part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from appliance.registry import ModelRecord
from appliance.watch.views import FileChange, ModelPart

_WEIGHTS: Final = (".safetensors", ".bin", ".pt", ".pth", ".safetensors.index.json", ".bin.index.json")
_PAPERS: Final = (".md", ".png", ".jpg", ".jpeg", ".txt")
_BY_NAME: Final[Mapping[str, ModelPart]] = {
    **dict.fromkeys(
        ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json"),
        ModelPart.PREPROCESSOR,
    ),
    **dict.fromkeys(
        (
            "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
            "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "chat_template.json",
        ),
        ModelPart.TOKENIZER,
    ),
    **dict.fromkeys(("LICENSE", "NOTICE", "README", ".gitattributes"), ModelPart.DOCUMENTS),
}  # fmt: skip
_OTHER_FOLDERS: Final = {"base": ModelPart.BASE, "adapter": ModelPart.ADAPTER}
CHANGED, NEW, GONE = "changed", "new", "gone"


def part_of(folder: str, file: str) -> ModelPart:
    """The part that a file belongs to.

    Args:
        folder: `model`, `base` or `adapter`: whatever lies in the last two is of that part.
        file: its name in the folder.
    """
    name = PurePosixPath(file).name
    if folder in _OTHER_FOLDERS:
        return _OTHER_FOLDERS[folder]
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name.lower().endswith(_WEIGHTS):
        return ModelPart.WEIGHTS
    if name.lower().endswith(".jinja"):
        return ModelPart.TOKENIZER
    return ModelPart.DOCUMENTS if name.lower().endswith(_PAPERS) else ModelPart.CONFIG


def files_changed(
    before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]
) -> Iterator[FileChange]:
    """Every file that two sets of folders do not share, named as in the model's list of files.

    Args:
        before: folder -> file -> hex SHA-256.
        after: the same.
    """
    for folder in sorted({*before, *after}, key=("model", "adapter", "base").index):
        old, new = before.get(folder, {}), after.get(folder, {})
        for file in sorted({*old, *new}):
            if old.get(file) != new.get(file):
                how = CHANGED if file in old and file in new else NEW if file in new else GONE
                shown = file if folder == "model" else f"{folder}/{file}"
                yield FileChange(shown, part_of(folder, file), how)


def parts_changed(files: Iterator[FileChange]) -> tuple[ModelPart, ...]:
    """The parts that these files belong to, in the order of `ModelPart`."""
    found = {one.part for one in files}
    return tuple(part for part in ModelPart if part in found)


def digests_of(record: ModelRecord) -> dict[str, Mapping[str, str]]:
    """Folder -> file -> hex SHA-256 of a registered version."""
    return {part.name: part.digests for part in record.parts()}
