"""A vendor's model taken in: looked at, read in a box, sealed in the vault, opened from there for a trial.

Nothing is registered before all of it has succeeded, and what was sealed goes again when it does not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from appliance import answers, codec, conversion, quarantine, registry, shown
from appliance.errors import ApplianceError, ModelRejected, WorkerSilent
from appliance.registry import Described, ModelRecord
from appliance.served import FILE_KIND, Served
from appliance.views import Progress
from appliance.worker import Worker
from appliance.workspace.vault import Arriving, Vault
from appliance.workspace.workspace import Workspace
from audit_core.adapters.weights import PICKLED_INDEX, SAFE_INDEX
from audit_core.estimates import Trial
from audit_core.samples import ModelSource, Settings

if TYPE_CHECKING:
    from audit_core.adapters.folder import AdapterFacts, FolderFacts

Step = Callable[[Progress], None]
SEALING, TRIAL = "sealing weights", "trial"  # phases
_CHECKED: Final = Progress("checking files again", 0, 1, "look")
TRIAL_SETTINGS: Final = Settings()
TRIAL_S: Final = 7200.0  # a folder may not hold the workspace for ever; large models on slow disks take long
SMALL_KINDS: Final = (".json", ".txt", ".model", ".jinja")
"""What loaders read besides weights; papers and pictures stay with the vendor."""
MAX_SMALL_BYTES: Final = 256 << 20  # of one part: they lie in memory while a worker needs them


@dataclass(slots=True)
class _Sealing:
    """What has been sealed of one part, not yet stored."""

    tensors: tuple[conversion.SealedTensor, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    wrappers: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def enrolled(
    workspace: Workspace,
    found: Described,
    trial_worker: Worker | None = None,
    step: Step = lambda _: None,
) -> Iterator[ModelRecord]:
    """The record of a model that an audit could open; the caller registers it inside.

    Args:
        workspace: its vault gets the model; the caller holds its writer lock.
        found: the folders, looked at.
        trial_worker: opens the model instead of a worker of its own.
        step: told as weights are sealed, every second of waiting for a worker, and when the trial ends; may
            raise to cancel.

    Raises:
        ModelRejected: the weights cannot be read, or the model cannot be opened as it stands.
    """
    try:
        record, arriving = _sealed(workspace.vault, found, step)
    except ApplianceError as refused:
        raise ModelRejected(str(refused), refused.hint) from refused
    with quarantine.held(workspace.root, workspace.vault, arriving, lambda: named(workspace)):
        try:
            trial = _tried(workspace, record, trial_worker, step)
            step(Progress(TRIAL, 1, 1, "load"))
        except ApplianceError as refused:
            raise ModelRejected(str(refused), refused.hint) from refused
        yield replace(record, trial=trial, parameters=trial.parameters)


def named(workspace: Workspace) -> set[str]:
    """Objects of all registered models."""
    records = map(shown.model_record, workspace.catalogue.models())
    return {name for record in records for _, name in record.objects()}


def _sealed(vault: Vault, found: Described, step: Step) -> tuple[ModelRecord, list[Arriving]]:
    """Every file of every part that an audit needs."""
    facts: dict[str, FolderFacts | AdapterFacts | None] = {
        "model": found.model, "base": found.base, "adapter": found.adapter,
    }  # fmt: skip
    parts = [(part, known) for part in found.record.parts() if (known := facts[part.name]) is not None]
    pickled = any(getattr(known, "pickled", False) for _, known in parts)
    memory = max(
        conversion.memory_bytes(Path(part.path), known.weights, getattr(known, "pickled", False))
        for part, known in parts
    )
    arriving: list[Arriving] = []
    done: dict[str, _Sealing] = {part.name: _Sealing() for part, _ in parts}
    folders = [Path(part.path) for part, _ in parts]
    with Worker(folders, "convert" if pickled else "read-weights", memory_bytes=memory, threads=1) as reader:
        for part, known in parts:
            taken = _weights(vault, reader, Path(part.path), known, step)
            arriving += taken.arriving
            sealing = done[part.name]
            sealing.tensors, sealing.wrappers = taken.tensors, taken.wrappers
            sealing.files = _small_files(vault, part, arriving)
    if pickled and (changed := registry.checked(found.record, lambda: step(_CHECKED)).vendor):
        raise ModelRejected(f"{changed[0]} while it was read", "register the model again")
    return _recorded(found.record, done), arriving


def _recorded(record: ModelRecord, done: Mapping[str, _Sealing]) -> ModelRecord:
    model, none = done["model"], _Sealing()
    base, adapter = done.get("base", none), done.get("adapter", none)
    return replace(
        record,
        tensors=model.tensors, files=model.files, wrappers=model.wrappers,
        base_tensors=base.tensors, base_files=base.files,
        peft_tensors=adapter.tensors, peft_files=adapter.files,
    )  # fmt: skip


def _weights(
    vault: Vault, reader: Worker, path: Path, facts: FolderFacts | AdapterFacts, step: Step
) -> conversion.TakenIn:
    """What a folder's weight files hold, sealed."""
    pickled = bool(getattr(facts, "pickled", False))
    size = sum(facts.files[name] for name in facts.weights)
    whole = {} if pickled else {name: facts.digests[name] for name in facts.weights}
    receiver = conversion.Receiver(vault, 2 * size if pickled else size, whole)
    done = 0

    def take(message: dict[str, Any], blob: bytes) -> None:
        nonlocal done
        receiver.take(message, blob)
        done += len(blob)
        waits()

    def waits() -> None:
        step(Progress(SEALING, done >> 20, max(done, size) >> 20, "MiB"))

    job = conversion.job(path, facts.weights, getattr(facts, "expected", {}), pickled)
    known = answers.phrases([*facts.digests, *answers.pickled_names()])
    reader.call(job, on_event=take, on_wait=waits, timeout_s=conversion.SILENCE_S, known=known)
    return receiver.whole()


def _small_files(vault: Vault, part: registry.Part, arriving: list[Arriving]) -> dict[str, str]:
    """Settings, tokenizer and templates of a part, sealed as they were looked at."""
    left, found = MAX_SMALL_BYTES, {}
    for name, digest in part.digests.items():
        if PurePosixPath(name).suffix.lower() not in SMALL_KINDS or name in (SAFE_INDEX, PICKLED_INDEX):
            continue
        content = _read(Path(part.path) / name, name, left)
        if hashlib.sha256(content).hexdigest() != digest:
            raise ModelRejected(f"{name} changed while it was read", "register the model again")
        left -= len(content)
        arriving.append(vault.bring(FILE_KIND, content))
        found[name] = arriving[-1].object_id
    return found


def _read(path: Path, name: str, most_bytes: int) -> bytes:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise ModelRejected(
            f"{name} cannot be read: {error.strerror}", "the copy may be incomplete"
        ) from None
    if len(content) > most_bytes:
        raise ModelRejected(
            f"files besides the weights take more than {MAX_SMALL_BYTES >> 20} MiB",
            "remove what no loader reads",
        )
    return content


def _tried(workspace: Workspace, record: ModelRecord, given: Worker | None, step: Step) -> Trial:
    def waits() -> None:
        step(Progress(TRIAL, 0, 1, "load"))

    waits()
    loader = given or Worker([], "audit")
    served, known = Served(workspace.vault, record), answers.phrases(answers.names_of(record))
    try:
        with served.placed(loader.folder, record.source()) as source:
            job: dict[str, Any] = {
                "type": "inspect",
                "source": codec.dump(source, ModelSource),
                "settings": codec.dump(TRIAL_SETTINGS, Settings),
            }
            answer = loader.call(
                job,
                frames=served.frames(),
                on_question=lambda question, _: served.answer(question),
                on_wait=waits,
                timeout_s=TRIAL_S,
                known=known,
            )
            return answers.trial_answer(answer, known)
    except WorkerSilent:
        loader.kill()
        raise
    finally:
        if given is None:
            loader.close()
