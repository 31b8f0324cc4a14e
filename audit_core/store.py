"""Where signals are kept while an audit runs, and under which name: the SHA-256 of all they depend on.

A `Shelf` is a store with the facts that everything on it depends on: weights, preprocessor, code, machine. A
pass adds its own (pairs in order, references, bank, batch size, step), and the canonical JSON of all of them
gives the key. An artefact of another model, order or code version has another key, so it is never found. Each
also begins with its own key: one that a store hands out under another name is not read either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from audit_core.errors import StaleStep
from audit_core.samples import Sample

Arrays = Mapping[str, NDArray[Any]]
_FACTS = "__facts__"
COPY = "copy-"
"""Kind of what a throw-away copy has learnt: the store forgets it before anything else."""


class SignalStore(Protocol):
    """Bytes by key; what was put is found again, also by a later process."""

    def get(self, key: str) -> bytes | None:
        """What was put under this key, or None."""

    def put(self, key: str, blob: bytes) -> None:
        """Keep these bytes; they are safe when this returns."""


@dataclass(slots=True)
class MemoryStore:
    """A store that ends with the process: for tests, benchmarks and audits nobody will resume."""

    kept: dict[str, bytes] = field(default_factory=dict)

    def get(self, key: str) -> bytes | None:
        """What was put under this key, or None."""
        return self.kept.get(key)

    def put(self, key: str, blob: bytes) -> None:
        """Keep these bytes."""
        self.kept[key] = blob


@dataclass(frozen=True, slots=True)
class Shelf:
    """A store and everything that what lies there depends on.

    Attributes:
        depends: name -> strings, whole numbers, truth values, lists and mappings of them; no floats.
        kind: what stands before the digest in a key, so that the store can tell: `COPY` or nothing.
    """

    store: SignalStore
    depends: Mapping[str, Any] = field(default_factory=dict)
    kind: str = ""

    def on(self, **more: object) -> Shelf:
        """The same store, with more that it depends on.

        Raises:
            ValueError: a name is taken already: nothing may hide what a key holds.
        """
        if taken := set(more) & set(self.depends):
            raise ValueError(f"{', '.join(sorted(taken))} is part of the key already")
        return Shelf(self.store, {**self.depends, **more}, self.kind)

    @property
    def key(self) -> str:
        """The kind and the hex SHA-256 of the canonical JSON of all it depends on."""
        return self.kind + hashlib.sha256(canonical(self.depends)).hexdigest()

    def get(self) -> bytes | None:
        """What lies here, or None.

        Raises:
            StaleStep: something lies here that was put elsewhere.
        """
        key = self.key
        blob = self.store.get(key)
        if blob is None:
            return None
        own = _digest(key)
        if blob[: len(own)] != own:
            raise StaleStep("a kept step was made from another model, other pairs or other code")
        return blob[len(own) :]

    def put(self, blob: bytes) -> None:
        """Put this here."""
        key = self.key
        self.store.put(key, _digest(key) + blob)


def _digest(key: str) -> bytes:
    return bytes.fromhex(key[-64:])


def canonical(value: Mapping[str, Any]) -> bytes:
    """One text for one value: sorted names, no spaces, no floats.

    Raises:
        TypeError: a float, or something that is not JSON: its text could differ between machines.
    """
    _refuse_floats(value)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii")


def digest_of_samples(samples: Sequence[Sample]) -> str:
    """Hex SHA-256 over pairs in their order: id, patient, text and every pixel."""
    digest = hashlib.sha256()
    for sample in samples:
        head = [sample.pair_id, sample.patient, sample.text, list(sample.image.shape)]
        text = json.dumps(head, ensure_ascii=True).encode("ascii")
        digest.update(len(text).to_bytes(8, "big") + text)
        digest.update(np.ascontiguousarray(sample.image).data)
    return digest.hexdigest()


def packed(facts: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Facts (JSON) and arrays in one blob, in the safetensors format."""
    head = np.frombuffer(json.dumps(facts, allow_nan=False).encode("ascii"), np.uint8)
    return bytes(save_arrays({_FACTS: head, **{k: np.asarray(a, order="C") for k, a in arrays.items()}}))


def unpacked(blob: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What `packed` was given."""
    arrays = load_arrays(blob)
    facts: dict[str, Any] = json.loads(arrays.pop(_FACTS).tobytes())
    return facts, arrays


def _refuse_floats(value: object) -> None:
    if isinstance(value, Mapping):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)
    elif not (value is None or isinstance(value, str | int)):
        raise TypeError(f"a key holds strings and whole numbers, not {type(value).__name__}")
