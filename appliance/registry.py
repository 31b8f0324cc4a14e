"""Models on site: what was registered, by digest, and whether it is still the same."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.conversion import ConvertedTensor, frames
from appliance.errors import ModelRejected, UsageError
from audit_core.errors import ModelRefused
from audit_core.estimates import Trial
from audit_core.samples import ModelSource

if TYPE_CHECKING:
    from appliance.workspace.vault import Vault
    from audit_core.adapters.folder import FolderFacts

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One registered model.

    Attributes:
        digests: file name -> hex SHA-256, weights, preprocessor, tokenizer and configuration alike.
        base_digests: the same of the base model; empty without one.
        parameters: counted in the loaded model.
        peft_path: folder of an adapter that is put on the model; empty without one.
        peft_digests: its files.
        tensors: what the folder's pickled weights held; empty where they are safetensors.
        base_tensors: the same of the base.
        wrappers: pickled file -> key under which its tensors were found.
        trial: what a trial load showed; None in records older than it.
    """

    name: str
    path: str
    family: str
    architecture: str
    preprocessor: str
    digests: Mapping[str, str]
    base_path: str
    base_digests: Mapping[str, str]
    parameters: int
    vendor: str
    released: str
    peft_path: str = ""
    peft_digests: Mapping[str, str] = field(default_factory=dict)
    tensors: tuple[ConvertedTensor, ...] = ()
    base_tensors: tuple[ConvertedTensor, ...] = ()
    wrappers: Mapping[str, str] = field(default_factory=dict)
    trial: Trial | None = None

    @property
    def digest(self) -> str:
        """One hex SHA-256 over all file digests of model, base and adapter."""
        lines = [f"model {name} {value}\n" for name, value in sorted(self.digests.items())]
        lines += [f"base {name} {value}\n" for name, value in sorted(self.base_digests.items())]
        lines += [f"adapter {name} {value}\n" for name, value in sorted(self.peft_digests.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def source(self) -> ModelSource:
        """What the audit is told of this model."""
        return ModelSource(
            path=Path(self.path),
            family=self.family,
            digests=self.digests,
            base=Path(self.base_path) if self.base_path else None,
            base_digests=self.base_digests,
            peft=Path(self.peft_path) if self.peft_path else None,
            peft_digests=self.peft_digests,
            self_check=self.trial.self_check if self.trial is not None else None,
        )

    def folders(self) -> list[Path]:
        """Folders a worker must be able to read for this model."""
        return [Path(path) for path in (self.path, self.base_path, self.peft_path) if path]

    def weight_frames(self, vault: Vault) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Frames that bring converted weights to a worker; none where the folders hold safetensors.

        Raises:
            IntegrityError: an object is missing, damaged or another one.
        """
        yield from frames(vault, self.tensors)
        yield from frames(vault, self.base_tensors, base=True)


@dataclass(frozen=True, slots=True)
class Described:
    """A model folder that was looked at.

    Attributes:
        record: all but what conversion and trial tell.
        model: what the folder is.
        base: what the base's folder is; None without one.
    """

    record: ModelRecord
    model: FolderFacts
    base: FolderFacts | None


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a model lies.

    Attributes:
        path: the model, or an adapter alone.
        base: the model it was fine-tuned from.
        adapter: a PEFT adapter to be put on the model.
    """

    path: Path
    base: Path | None = None
    adapter: Path | None = None

    def arranged(self) -> Folders:
        """With an adapter alone as `path`, the base is the model it is put on.

        Raises:
            ModelRejected: an adapter alone and no model to put it on, or two adapters.
        """
        from audit_core.adapters.folder import is_adapter

        if not is_adapter(self.path):
            return self
        if self.base is None:
            raise ModelRejected(
                f"{self.path.name} holds an adapter and not the model it belongs on",
                "give that model's folder with --base",
            )
        if self.adapter is not None:
            raise ModelRejected(
                f"{self.path.name} is an adapter too", "one adapter can be put on a model, not two"
            )
        return replace(self, path=self.base, base=None, adapter=self.path)


def described(name: str, folders: Folders, *, family: str, vendor: str, released: str) -> Described:
    """Look at a vendor's folders without running anything of them; parameters come with a trial load.

    Raises:
        UsageError: the name or the date is not usable.
        ModelRejected: code, missing parts, or another family than said.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            "a model name has letters, digits, dot, dash and underscore", "for example lumen-vlm-2"
        )
    if released:
        _check_date(released)
    folders = folders.arranged()
    from audit_core.adapters.folder import inspect_adapter, inspect_folder

    try:
        facts = inspect_folder(folders.path)
        base = inspect_folder(folders.base) if folders.base is not None else None
        adapter = inspect_adapter(folders.adapter) if folders.adapter is not None else None
    except ModelRefused as refused:
        raise ModelRejected(str(refused), refused.hint) from refused
    _check_families(facts, base, family)
    record = ModelRecord(
        name=name,
        path=str(folders.path.absolute()),
        family=facts.family,
        architecture=facts.architecture,
        preprocessor=facts.preprocessor,
        digests=dict(facts.digests),
        base_path=str(folders.base.absolute()) if folders.base is not None else "",
        base_digests=dict(base.digests) if base is not None else {},
        parameters=facts.parameters,
        vendor=vendor,
        released=released,
        peft_path=str(folders.adapter.absolute()) if folders.adapter is not None else "",
        peft_digests=dict(adapter.digests) if adapter is not None else {},
    )
    return Described(record, facts, base)


def _check_families(facts: FolderFacts, base: FolderFacts | None, family: str) -> None:
    if family and facts.family != family:
        raise ModelRejected(
            f"the folder holds a model of family {facts.family}, not {family}", "leave --family out"
        )
    if base is not None and base.family != facts.family:
        raise ModelRejected(
            "the base is of another family than the model", "give the folder it was fine-tuned from"
        )


def _check_date(released: str) -> None:
    try:
        date.fromisoformat(released)
    except ValueError as wrong:
        raise UsageError(f"not a date: {released}", "write the release date as YYYY-MM-DD") from wrong
