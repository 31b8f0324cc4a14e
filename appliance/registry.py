"""Models on site: what was registered, by digest, and whether it is still the same."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from appliance.errors import ModelRejected, UsageError
from audit_core.errors import ModelRefused
from audit_core.samples import ModelSource

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One registered model.

    Attributes:
        digests: file name -> hex SHA-256, weights, preprocessor, tokenizer and configuration alike.
        base_digests: the same of the base model; empty without one.
        parameters: counted in the loaded model.
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

    @property
    def digest(self) -> str:
        """One hex SHA-256 over all file digests of model and base."""
        lines = [f"model {name} {value}\n" for name, value in sorted(self.digests.items())]
        lines += [f"base {name} {value}\n" for name, value in sorted(self.base_digests.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def source(self) -> ModelSource:
        """What the audit is told of this model."""
        return ModelSource(
            path=Path(self.path),
            family=self.family,
            digests=self.digests,
            base=Path(self.base_path) if self.base_path else None,
            base_digests=self.base_digests,
        )

    def folders(self) -> list[Path]:
        """Folders a worker must be able to read for this model."""
        return [Path(path) for path in (self.path, self.base_path) if path]


def described(
    name: str, path: Path, *, family: str, base: Path | None, vendor: str, released: str
) -> ModelRecord:
    """Look at a vendor's folder without running anything of it; parameters are filled in after a trial load.

    Raises:
        UsageError: the name or the date is not usable.
        ModelRejected: code, pickles, missing parts, or another family than said.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            "a model name has letters, digits, dot, dash and underscore", "for example lumen-vlm-2"
        )
    if released:
        _check_date(released)
    from audit_core.adapters.folder import inspect_folder

    try:
        facts = inspect_folder(path)
        base_facts = inspect_folder(base) if base is not None else None
    except ModelRefused as refused:
        raise ModelRejected(str(refused), refused.hint) from refused
    if family and facts.family != family:
        raise ModelRejected(
            f"the folder holds a model of family {facts.family}, not {family}", "leave --family out"
        )
    if base_facts is not None and base_facts.family != facts.family:
        raise ModelRejected(
            "the base is of another family than the model", "give the folder it was fine-tuned from"
        )
    return ModelRecord(
        name=name,
        path=str(path.absolute()),
        family=facts.family,
        architecture=facts.architecture,
        preprocessor=facts.preprocessor,
        digests=dict(facts.digests),
        base_path=str(base.absolute()) if base is not None else "",
        base_digests=dict(base_facts.digests) if base_facts is not None else {},
        parameters=facts.parameters,
        vendor=vendor,
        released=released,
    )


def _check_date(released: str) -> None:
    try:
        date.fromisoformat(released)
    except ValueError as wrong:
        raise UsageError(f"not a date: {released}", "write the release date as YYYY-MM-DD") from wrong
