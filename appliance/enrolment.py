"""A vendor's model taken in: looked at, its pickles converted into the vault, opened for a trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from appliance import codec, conversion
from appliance.errors import ApplianceError, ModelRejected, WorkerSilent
from appliance.registry import Described, ModelRecord
from appliance.worker import Worker
from appliance.workspace.workspace import Workspace
from audit_core.estimates import Trial
from audit_core.samples import ModelSource, Settings

if TYPE_CHECKING:
    from audit_core.adapters.folder import FolderFacts

TRIAL_SETTINGS: Final = Settings()
TRIAL_S: Final = 7200.0  # a folder may not hold the workspace for ever; large models on slow disks take long


def enrolled(workspace: Workspace, found: Described, trial_worker: Worker | None = None) -> ModelRecord:
    """The record of a model that an audit could open.

    Args:
        workspace: its vault gets what pickled weights hold.
        found: the folders, looked at.
        trial_worker: opens the model instead of a worker of its own.

    Raises:
        ModelRejected: the weights cannot be converted, or the model cannot be opened as it stands.
    """
    try:
        record = _converted(workspace, found)
        trial = _tried(workspace, record, trial_worker)
    except ApplianceError as refused:
        raise ModelRejected(str(refused), refused.hint) from refused
    return replace(record, trial=trial, parameters=trial.parameters)


def _converted(workspace: Workspace, found: Described) -> ModelRecord:
    tensors, wrappers = _weights(workspace, found.model, Path(found.record.path))
    record = replace(found.record, tensors=tensors, wrappers=wrappers)
    if found.base is None:
        return record
    return replace(record, base_tensors=_weights(workspace, found.base, Path(found.record.base_path))[0])


def _weights(
    workspace: Workspace, facts: FolderFacts, path: Path
) -> tuple[tuple[conversion.ConvertedTensor, ...], Mapping[str, str]]:
    """What a folder's pickles hold, sealed; nothing for safetensors. Their reader ends here."""
    if not facts.pickled:
        return (), {}
    size = sum(facts.files[name] for name in facts.weights)
    receiver = conversion.Receiver(workspace.vault, 2 * size)
    memory = conversion.memory_bytes(path, facts.weights)
    with Worker([path], "convert", memory_bytes=memory, threads=1) as reader:
        job = conversion.job(path, facts.weights, facts.expected)
        reader.call(job, on_event=receiver.take, timeout_s=conversion.SILENCE_S)
    converted = receiver.whole()
    return converted.tensors, converted.wrappers


def _tried(workspace: Workspace, record: ModelRecord, given: Worker | None) -> Trial:
    job = {
        "type": "inspect",
        "source": codec.dump(record.source(), ModelSource),
        "settings": codec.dump(TRIAL_SETTINGS, Settings),
    }
    loader = given or Worker(record.folders(), "audit")
    try:
        answer = loader.call(job, frames=record.weight_frames(workspace.vault), timeout_s=TRIAL_S)
    except WorkerSilent:
        loader.kill()
        raise
    finally:
        if given is None:
            loader.close()
    return codec.load(Trial, str(answer["trial"]))
