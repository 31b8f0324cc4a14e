"""Safe loading: a folder that has been looked at, opened by its family's adapter, offline.

The family's adapter, and with it torch, is imported only after `folder.inspect_folder` has accepted the
folder. Everything is read from absolute local paths.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from audit_core.adapters.families import GENERATIVE, MATCHING
from audit_core.adapters.folder import FolderFacts, inspect_adapter, inspect_folder
from audit_core.errors import AuditError, ModelRefused, NotEnoughMemory

if TYPE_CHECKING:
    from audit_core.adapters.base import ModelAdapter
    from audit_core.adapters.opening import Opening, Precision
    from audit_core.samples import ModelSource

OFFLINE_SWITCHES: Mapping[str, str] = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Environment the launcher sets before any import; `open_model` asserts it."""

GIB = 1 << 30


def open_model(
    path: Path, family: str, *, base: bool = False, opening: Opening | None = None
) -> ModelAdapter:
    """Load a checkpoint, frozen.

    Args:
        path: the vendor's folder.
        family: what the model was registered as; must match what the folder is.
        base: the folder is the base model of another one (only changes the wording of errors).
        opening: device, precision, PEFT adapter and tensors in place of weight files; float32 on the CPU
            from the folder's own safetensors when left out.

    Raises:
        ModelRefused: the folder cannot be audited rightly, or keys are missing or left over.
        NotEnoughMemory: it does not fit into the memory that is free.
        AuditError: the offline switches are not set.
    """
    assert_offline()
    which = "the base model" if base else "the model"
    facts = inspect_folder(path, digests=False, weights=opening.stand_in() if opening else None)
    if facts.family != family:
        raise ModelRefused(
            f"{which} is registered as {family} but its folder holds a {facts.family} model",
            "register it again",
        )
    if facts.pickled:
        raise ModelRefused(
            f"{facts.weights[0]} is a pickle and is never read at an audit",
            "register the model: its weights are converted once",
        )
    from audit_core.adapters.opening import Opening
    from audit_core.memory import out_of_memory

    opening = opening or Opening()
    _check_memory(which, opening.bytes_needed(facts), opening.device)
    try:
        adapter = _loader(facts)(path.absolute(), facts, opening)
        return adapter if opening.peft is None else _with_peft(adapter, opening.peft.absolute(), opening)
    except AuditError:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise NotEnoughMemory(f"{which} does not fit into memory") from error
        said = " ".join(str(error).split()) or type(error).__name__
        message = f"{which} cannot be loaded: {said}"
        raise ModelRefused(message[:300], "compare the folder with the vendor's copy") from error


def open_source(
    source: ModelSource, *, device: str = "cpu", precision: Precision = "auto"
) -> tuple[ModelAdapter, ModelAdapter | None]:
    """Open a registered model and its base: a folder, or the same network with its PEFT adapter off.

    Args:
        source: as registered; tensors that are still to come are taken, the model's before the base's.
        device: of both networks.
        precision: of their forward passes.

    Raises:
        ModelRefused: as `open_model`; or the base cannot be what the model was fine-tuned from.
    """
    from audit_core.adapters.opening import Opening

    opening = Opening(device, precision, source.peft, source.tensors, source.peft_tensors)
    model = open_model(source.path, source.family, opening=opening)
    if source.base is None:
        return model, model.without_peft()
    plain = Opening(device, precision, None, source.base_tensors)
    base = open_model(source.base, source.family, base=True, opening=plain)
    model.refuse_other_base(base)
    return model, base


def _loader(facts: FolderFacts) -> Callable[[Path, FolderFacts, Opening], ModelAdapter]:
    """What opens this network; its family's libraries are imported only now."""
    if facts.family == GENERATIVE:
        from audit_core.adapters.image_text_to_text import ImageTextToTextAdapter

        return ImageTextToTextAdapter.load
    if facts.family == MATCHING:
        from audit_core.adapters.matching import MatchingAdapter

        return MatchingAdapter.load
    from audit_core.adapters.contrastive import ContrastiveAdapter

    return ContrastiveAdapter.load


def _with_peft(adapter: ModelAdapter, folder: Path, opening: Opening) -> ModelAdapter:
    from audit_core.adapters.lora import put_on
    from audit_core.adapters.opening import described

    tensors = opening.peft_tensors
    inspect_adapter(folder, digests=False, weights=None if tensors is None else described(tensors))
    put_on(adapter, folder, tensors)
    return adapter


def _check_memory(which: str, needed: int, device: str) -> None:
    import torch

    from audit_core.memory import available_bytes

    free = available_bytes(torch.device(device))
    if needed > free:
        raise NotEnoughMemory(
            f"{which} needs {needed / GIB:.1f} GiB of memory and {free / GIB:.1f} GiB are free"
        )


def assert_offline() -> None:
    """Check that the hub libraries cannot reach out (they read these switches when they are imported).

    Raises:
        AuditError: a switch is missing.
    """
    missing = [f"{name}={value}" for name, value in OFFLINE_SWITCHES.items() if os.environ.get(name) != value]
    if missing:
        raise AuditError(f"offline switches are not set: {', '.join(missing)}", "start through `gradaudit`")


def refuse_wrong_keys(missing: Iterable[str], unexpected: Iterable[str], misfits: Iterable[str] = ()) -> None:
    """A checkpoint that does not fill its network exactly is refused: random weights are never audited.

    Raises:
        ModelRefused: naming the first few missing and unexpected tensors, and those of another size.
    """
    found = (
        ("missing", sorted(missing)),
        ("unexpected", sorted(unexpected)),
        ("of another size", sorted(misfits)),
    )
    parts = [
        f"{len(keys)} {word}: {', '.join(keys[:3])}{' …' if len(keys) > 3 else ''}"
        for word, keys in found
        if keys
    ]
    if parts:
        raise ModelRefused(
            f"the weights do not fit the model ({'; '.join(parts)})",
            "the checkpoint and its config must belong together",
        )
