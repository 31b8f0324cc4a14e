"""Export of images as an act: files in; files without identity out, named by keyed handles.

The worker reads, cleans and searches; it asks for replacements and never sees a key. The name of a new file
comes from the key and the digest of the old one, never from its name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from appliance import codec, limits
from appliance.errors import ApplianceError, IntegrityError, UsageError, WorkerFailed, WorkerSilent
from appliance.listing import readable
from appliance.reading import PARSER_DIED, PARSER_TIMEOUT, check_told
from appliance.views import Progress
from appliance.worker import Worker
from appliance.workspace.durable import FILE_MODE
from appliance.workspace.workspace import Workspace
from medio.deidentify import pseudonym
from medio.sources import MAX_FILE_BYTES

UID_ROOT: Final = "2.25."  # UUIDs as UIDs (PS3.5 B.2); 128 bits that only the key can make again
_UID_KEY: Final = "export uid v1"
_NAME_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """One file that was not exported; its path is for the officer's own eyes.

    Attributes:
        reason: stable code; docs/reason-codes.md says what to do about it.
    """

    path: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ExportView:
    """What came of an export.

    Attributes:
        already_there: files that an earlier export into the same folder wrote.
    """

    folder: str
    files: int
    written: int
    already_there: int
    refused: tuple[RefusedFile, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the worker says about a file; all but `reason` and `message` only before it is cleaned."""

    reason: str
    message: str
    digest: str = ""
    size: int = 0
    patient_id: str = ""
    issuer: str = ""
    uids: tuple[str, ...] = ()


@dataclass
class Export:
    """One export from given files into one folder.

    Args:
        workspace: open; its keys make pseudonyms, UIDs and names, the same in every export.
        folder: where the new files go, one folder a patient; outside the workspace.
        start_worker: makes a boxed child that may read the files; called again when a file kills one.
        step: told after every file.
        accept_burned_in: let images pass in which writing is suspected.
    """

    workspace: Workspace
    folder: Path
    start_worker: Callable[[], Worker]
    step: Callable[[Progress], None]
    accept_burned_in: bool = False
    _worker: Worker | None = None
    _refused: list[RefusedFile] = field(default_factory=list)

    def run(self, files: Iterable[Path], total: Callable[[], int]) -> ExportView:
        """Export every file that can be; the others are listed with a reason.

        Raises:
            UsageError: the folder is inside the workspace, or cannot be made.
            WorkerFailed: no worker could be started.
        """
        prepare(self.folder, self.workspace.root)
        seen = written = known = 0
        try:
            for seen, file in enumerate(files, 1):
                target, data = self._exported(file)
                if target is not None:
                    fresh = _write(target, data)
                    written, known = written + fresh, known + (not fresh)
                self.step(Progress("export", seen, total(), "files"))
        finally:
            self._close()
        return ExportView(str(self.folder), seen, written, known, tuple(self._refused))

    def _exported(self, file: Path) -> tuple[Path | None, bytes]:
        """Where the clean file goes, and its bytes; None when it was refused."""
        worker = self._ready()
        try:
            handles, _ = _asked(worker, {"type": "handles", "path": str(file.absolute())}, limits.LOOK_S)
            if not handles.reason:
                question = {"type": "export", **self._replacements(handles)}
                answer, data = _asked(worker, question, limits.wall_seconds(handles.size))
                if not answer.reason:
                    return self._target(handles), data
                handles = answer
            self._refused.append(RefusedFile(str(file), handles.reason, handles.message))
        except WorkerSilent as silent:
            self._refused.append(RefusedFile(str(file), PARSER_TIMEOUT, str(silent)))
            self._close()
        except WorkerFailed as died:
            self._refused.append(RefusedFile(str(file), PARSER_DIED, str(died)))
            self._close()
        return None, b""

    def _ready(self) -> Worker:
        """A worker whose box is closed; one that cannot even start is no file's fault."""
        if self._worker is not None and self._worker.resident_bytes() > limits.RESIDENT_BYTES:
            self._close()
        if self._worker is None:
            self._worker = self.start_worker()
            self._worker.begin({"type": "export"})
        return self._worker

    def _replacements(self, handles: _Answer) -> dict[str, Any]:
        """The same old value has the same new one in every export of this workspace, and in no other's."""
        key = self.workspace.keys.pseudonym.derive(_UID_KEY)
        uids = {uid: UID_ROOT + str(int(key.handle(uid)[:32], 16)) for uid in handles.uids}
        return {"patient": self._patient(handles), "uids": uids, "accept_burned_in": self.accept_burned_in}

    def _patient(self, handles: _Answer) -> str:
        key = self.workspace.keys.pseudonym.raw
        return pseudonym(key, handles.issuer, handles.patient_id) if handles.patient_id else ""

    def _target(self, handles: _Answer) -> Path:
        name = self.workspace.keys.names.handle("export", handles.digest)[:_NAME_DIGITS]
        return self.folder / (self._patient(handles) or "no-patient-id") / f"{name}.dcm"

    def _close(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def exporter(paths: Sequence[Path]) -> Worker:
    """A boxed child that may read the files below `paths`, within the limits for one file."""
    return Worker(readable(paths), "export", memory_bytes=limits.MEMORY_BYTES, threads=1)


def prepare(folder: Path, workspace: Path) -> None:
    """Make the folder that an export goes to.

    Raises:
        UsageError: it is inside the workspace, or cannot be made.
    """
    if folder.resolve().is_relative_to(workspace.resolve()):
        raise UsageError("an export cannot go into the workspace", "choose a folder outside it with --output")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as wrong:
        raise UsageError("the folder for the export cannot be made", str(wrong.strerror)) from wrong


def _asked(worker: Worker, question: dict[str, Any], timeout_s: float) -> tuple[_Answer, bytes]:
    """One question, and its answer held to its form, as that of any parser (`appliance.reading`)."""
    told, data = worker.ask(question, timeout_s)
    try:
        answer = codec.load(_Answer, json.dumps(told))
        check_told((answer.reason,), answer.message)
    except IntegrityError as wrong:
        raise WorkerFailed("the worker sent something that is not an answer") from wrong
    if answer.size > MAX_FILE_BYTES:
        raise WorkerFailed("the worker sent something that is not an answer")
    return answer, data


def _write(target: Path, data: bytes) -> bool:
    """Write a new file whole or not at all; False when it is there already.

    Raises:
        ApplianceError: the disk is full or refuses.
    """
    partial = target.with_suffix(".part")
    try:
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            return False
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)  # its name says that it is whole, also after a power cut
        partial.rename(target)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise ApplianceError(
            f"cannot write the export: {error.strerror}", "Free some space; the same command goes on."
        ) from None
    return True
