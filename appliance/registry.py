"""Models on site: what was registered, by digest, and whether it is still the same."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.conversion import KIND, SealedTensor
from appliance.errors import ModelRejected, UsageError
from appliance.served import FILE_KIND
from audit_core.errors import ModelRefused
from audit_core.estimates import Trial
from audit_core.identity import differences
from audit_core.samples import ModelSource

if TYPE_CHECKING:
    from audit_core.adapters.folder import AdapterFacts, FolderFacts

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One registered model.

    Attributes:
        path: the vendor's folder when it was registered; it is not needed afterwards.
        digests: file name -> hex SHA-256, weights, preprocessor, tokenizer and configuration alike.
        base_digests: the same of the base model; empty without one.
        parameters: counted in the loaded model.
        peft_path: folder of an adapter that is put on the model; empty without one.
        peft_digests: its files.
        tensors: its weights in the vault.
        base_tensors: the same of the base.
        wrappers: pickled file -> key under which its tensors were found.
        trial: what a trial load showed; None in records older than it.
        files: its small files in the vault, file name -> object; empty in records older than them.
        base_files: the same of the base.
        peft_files: the same of the adapter.
        peft_tensors: the adapter's weights in the vault.
        of_line: the line that a version the watch has found belongs to; empty for a first version.
        version: its number in the line.
        replaces: name of the version before.
        found: how it came to be known, a word of `watch.views.Found`.
        seen_utc: when the watch saw it first, ISO; empty for a first version.
        changed: parts that are not as in the version before.
        announcement: digest of the note that announced the change.
        superseded: a later version is registered; known when the record is read, never stored as true.
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
    tensors: tuple[SealedTensor, ...] = ()
    base_tensors: tuple[SealedTensor, ...] = ()
    wrappers: Mapping[str, str] = field(default_factory=dict)
    trial: Trial | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    base_files: Mapping[str, str] = field(default_factory=dict)
    peft_files: Mapping[str, str] = field(default_factory=dict)
    peft_tensors: tuple[SealedTensor, ...] = ()
    of_line: str = ""
    version: int = 1
    replaces: str = ""
    found: str = "registered"
    seen_utc: str = ""
    changed: tuple[str, ...] = ()
    announcement: str = ""
    superseded: bool = False

    @property
    def line(self) -> str:
        """What the site calls the model, whichever version."""
        return self.of_line or self.name

    @property
    def replaced(self) -> str:
        """The version before by the name that, typed, means it: NAME@1 for the first; "" for none."""
        return f"{self.replaces}@1" if self.replaces == self.line else self.replaces

    @property
    def digest(self) -> str:
        """One hex SHA-256 over all file digests of model, base and adapter."""
        lines = [f"model {name} {value}\n" for name, value in sorted(self.digests.items())]
        lines += [f"base {name} {value}\n" for name, value in sorted(self.base_digests.items())]
        lines += [f"adapter {name} {value}\n" for name, value in sorted(self.peft_digests.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def sealed(self) -> bool:
        """Whether the vault holds it; records of earlier versions name the vendor's folder only."""
        return bool(self.files)

    @property
    def sealed_digest(self) -> str:
        """One hex SHA-256 over all that was sealed: tensors as they are opened, small files as they came."""
        lines = []
        for part in self.parts():
            lines += [f"{part.name} {name} {part.digests[name]}\n" for name in sorted(part.files)]
            for one in sorted(part.tensors, key=lambda tensor: tensor.name):
                lines.append(f"{part.name} {one.name} {one.dtype} {list(one.shape)} {one.digest}\n")
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def parts(self) -> tuple[Part, ...]:
        """The model, and base and adapter where it has them."""
        every = (
            Part("model", self.path, self.digests, self.tensors, self.files),
            Part("base", self.base_path, self.base_digests, self.base_tensors, self.base_files),
            Part("adapter", self.peft_path, self.peft_digests, self.peft_tensors, self.peft_files),
        )
        return tuple(part for part in every if part.path)

    def folders(self) -> list[Path]:
        """The vendor's folders."""
        return [Path(part.path) for part in self.parts()]

    def objects(self) -> Iterator[tuple[str, str]]:
        """Kind and name of every object of the vault that belongs to this model."""
        for part in self.parts():
            yield from ((FILE_KIND, one) for one in part.files.values())
            yield from ((KIND, one) for tensor in part.tensors for one in tensor.objects)

    def source(self) -> ModelSource:
        """The vendor's folders, as they were registered."""
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


@dataclass(frozen=True, slots=True)
class Part:
    """Model, base or adapter, as `ModelRecord` says of each."""

    name: str
    path: str
    digests: Mapping[str, str]
    tensors: tuple[SealedTensor, ...]
    files: Mapping[str, str]


def checked(record: ModelRecord, piece: Callable[[], None] = lambda: None) -> ModelSource:
    """The vendor's folders as they lie there now.

    Args:
        piece: called before every piece of a file that is read; may raise to stop.

    Returns:
        The source with what is not as it was registered (`vendor`), and which parts are not there any more
        (`absent`): there is no folder, or a later version of the model lies in it.
    """
    absent = tuple(
        part.name for part in record.parts() if record.superseded or not holds_anything(Path(part.path))
    )
    source = replace(record.source(), absent=absent)
    return replace(source, vendor=tuple(differences(source, piece)))


def holds_anything(folder: Path) -> bool:
    """Whether anything lies there; the place of a disk that is not mounted is an empty folder."""
    try:
        return any(folder.iterdir())
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Described:
    """A model folder that was looked at.

    Attributes:
        record: all but what sealing and trial tell.
        model: what the folder is.
        base: what the base's folder is; None without one.
        adapter: what the adapter's folder is; None without one.
    """

    record: ModelRecord
    model: FolderFacts
    base: FolderFacts | None
    adapter: AdapterFacts | None


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


def described(
    name: str,
    folders: Folders,
    *,
    family: str,
    vendor: str,
    released: str,
    digests: Mapping[str, Mapping[str, str]] | None = None,
) -> Described:
    """Look at a vendor's folders without running anything of them; parameters come with a trial load.

    Args:
        digests: folder (`model`, `base`, `adapter`) -> file -> hex SHA-256, where they were just read; what
            is sealed is held to them as to any others.

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

    anew = digests is None
    try:
        facts = inspect_folder(folders.path, digests=anew)
        base = inspect_folder(folders.base, digests=anew) if folders.base is not None else None
        adapter = inspect_adapter(folders.adapter, digests=anew) if folders.adapter is not None else None
    except ModelRefused as refused:
        raise ModelRejected(str(refused), refused.hint) from refused
    if digests is not None:
        facts = replace(facts, digests=digests["model"])
        base = replace(base, digests=digests["base"]) if base is not None else None
        adapter = replace(adapter, digests=digests["adapter"]) if adapter is not None else None
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
    return Described(record, facts, base, adapter)


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
