"""Which files an ingest has to read: folders walked here, archives and file-sets opened in a boxed worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from appliance.errors import ApplianceError, UsageError, WorkerFailed
from appliance.worker import Worker
from medio.sources import files_below, is_archive, is_file_set, member_path

REFERENCED_FILES_MISSING = "referenced-files-missing"
LIST_TIMEOUT_S = 60.0  # for one archive or DICOMDIR


class Listing:
    """Every file below the given paths, found while it is read; folders stay lazy, each file comes once.

    A ZIP archive gives its members, a DICOMDIR named itself the files it refers to. What cannot be listed is
    given as it stands: reading it says why.

    Args:
        paths: files and folders as given; what is found below a relative path is relative, too.
        start_worker: makes a boxed child that may read them, with `preload="list"`; started when needed.

    Attributes:
        total: files to come and gone, as far as known.
        warnings: what the listing itself found wrong, by file; complete for every file that was given.

    Raises:
        UsageError: a path does not exist, or there is no file below any of them.
    """

    def __init__(self, paths: Sequence[Path], start_worker: Callable[[], Worker]) -> None:
        if not all(map(os.path.lexists, paths)):
            raise UsageError(
                "one of the given paths does not exist", "check the spelling; nothing was ingested"
            )
        self.total = sum(1 for _ in files_below(paths))
        if not self.total:
            raise UsageError(
                "there is no file to ingest below the given paths",
                "give a folder with DICOM files and reports",
            )
        self.warnings: dict[Path, tuple[str, ...]] = {}
        self._start_worker = start_worker
        self._worker: Worker | None = None
        self._named = set(paths)
        self._files = self._found(paths)

    def __iter__(self) -> Iterator[Path]:
        return self

    def __next__(self) -> Path:
        return next(self._files)

    def close(self) -> None:
        """Let the worker go, if there is one."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _found(self, paths: Sequence[Path]) -> Iterator[Path]:
        try:
            for path in files_below(paths):
                inside = [path]
                if is_archive(path):
                    inside = self._members(path)
                elif path in self._named and is_file_set(path):
                    inside = [path, *self._file_set(path)]
                self.total += len(inside) - 1
                yield from inside
        finally:
            self.close()

    def _members(self, archive: Path) -> list[Path]:
        names = _texts(self._asked(archive).get("names"))
        return [member_path(archive, name) for name in names] or [archive]

    def _file_set(self, directory: Path) -> list[Path]:
        """The files a DICOMDIR refers to, without those that come anyway."""
        referenced = self._asked(directory).get("referenced")
        tree = _Tree(directory.parent)
        found = [tree.find(_texts(components)) for components in _list(referenced)]
        if None in found:
            self.warnings[directory] = (REFERENCED_FILES_MISSING,)
        files = {path for path in found if path and self._named.isdisjoint((path, *path.parents))}
        self._named |= files
        return sorted(files)

    def _asked(self, path: Path) -> dict[str, Any]:
        """What the worker says is inside; nothing when that kills it."""
        try:
            if self._worker is None:
                self._worker = self._start_worker()
                _ = self._worker.isolation
        except WorkerFailed:
            self.close()
            raise  # a worker that cannot even start is no file's fault
        job = {"type": "list", "path": str(path.absolute())}
        try:
            return self._worker.call(job, timeout_s=LIST_TIMEOUT_S)
        except WorkerFailed:
            self._worker.kill()
            self.close()
        except ApplianceError:
            pass  # refused: reading it says why
        return {}


def readable(paths: Sequence[Path]) -> list[Path]:
    """What a worker must be able to open for an ingest of these paths: a DICOMDIR needs its whole folder."""
    return [path.absolute().parent if is_file_set(path) else path.absolute() for path in paths]


def _list(answer: object) -> list[object]:
    """A list from the worker, which has read foreign bytes and may say anything."""
    return answer if isinstance(answer, list) else []


def _texts(answer: object) -> list[str]:
    return [str(one) for one in _list(answer)]


class _Tree:
    """Names below the folder of a DICOMDIR.

    Discs are copied with names in lower case, with a version (`IM1.;1`) or a point at the end.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[Path, dict[str, list[str]]] = {}

    def find(self, components: Sequence[str]) -> Path | None:
        """The file a Referenced File ID names; None when it is not there, or not below the folder."""
        path = self._root
        for component in components:
            alike = self._inside(path).get(_plain(component), [])
            if not alike or (path != self._root and path.is_symlink()):
                return None
            path = path / (component if component in alike else alike[0])
        return None if path == self._root or path.is_dir() else path

    def _inside(self, folder: Path) -> dict[str, list[str]]:
        """The names in a folder by what may be meant by them; a name of the folder itself is none."""
        if folder not in self._names:
            names: dict[str, list[str]] = {}
            for entry in _listed(folder):
                names.setdefault(_plain(entry), []).append(entry)
            self._names[folder] = names
        return self._names[folder]


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []


def _plain(name: str) -> str:
    return name.partition(";")[0].rstrip(".").casefold()
