"""A model sealed and opened in one process: the two ends of the way, without a worker between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from appliance import enrolment, model_jobs, registry
from appliance.registry import Folders, ModelRecord
from appliance.run_folder import RunFolder
from appliance.served import Served
from appliance.workspace.workspace import Workspace
from audit_core.samples import ModelSource


class Reader:
    """In place of a boxed process that reads weight files."""

    def __init__(self, *ignored: object, **options: object) -> None: ...

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *ignored: object) -> None: ...

    def call(self, job: dict[str, Any], *, on_event: Any, **options: object) -> dict[str, Any]:
        """The job, its messages handed straight on."""

        class Told:
            def send(self, message: dict[str, Any], blob: bytes = b"") -> None:
                on_event(message, blob)

        work = {"convert": model_jobs.convert, "read-weights": model_jobs.read_weights}[job["type"]]
        return work(job, [], Told())  # type: ignore[arg-type]


class Asking:
    """The worker's end of a channel whose other end answers at once; remembers how large answers were."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._answer: tuple[dict[str, Any], bytes] = ({}, b"")
        self.sizes: list[int] = []

    def send(self, message: dict[str, Any], blob: bytes = b"") -> None:
        self._answer = self._served.answer(message)
        self.sizes.append(len(self._answer[1]))

    def receive(self) -> tuple[dict[str, Any], bytes]:
        return self._answer


def seal(workspace: Workspace, folders: Folders, monkeypatch: Any, name: str = "m") -> ModelRecord:
    """The record of a model whose objects lie in the vault; nothing of it is opened."""
    monkeypatch.setattr(enrolment, "Worker", Reader)
    found = registry.described(name, folders, family="", vendor="", released="")
    record, arriving = enrolment._sealed(workspace.vault, found, lambda step: None)
    workspace.vault.settle(arriving)
    return record


@contextmanager
def opened(workspace: Workspace, record: ModelRecord) -> Iterator[tuple[ModelSource, Asking]]:
    """What the worker's end opens, while its small files are there."""
    served = Served(workspace.vault, record)
    asking, folder = Asking(served), RunFolder()
    try:
        with served.placed(folder, registry.checked(record)) as source:
            yield model_jobs.with_weights(source, list(served.frames()), asking), asking  # type: ignore[arg-type]
    finally:
        folder.remove()


def objects(root: Path) -> set[str]:
    """Names of all files of the vault."""
    return {path.name for path in (root / "objects").rglob("*.ga1")}
