"""A disk that forgets: what a power cut may leave of recorded file operations.

Bytes of a file are safe after an fsync of that file, names in a folder after an fsync of that folder, and
nothing else is: since then each write and each cut to length may have arrived, not arrived or arrived in
part, and each name may have arrived without those before it. Real file systems promise more.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock


@dataclass(frozen=True, slots=True)
class Operation:
    """One recorded step. `node` is a file's or folder's number; folder 0 is the base.

    Attributes:
        kind: make, make-folder, write, length, sync, rename, or told (the program was told of a state).
        home: of a name, the folder that holds it.
        new_home, new_name: of a rename.
        place: of a write; the length of a cut.
        fact: what the program was told.
    """

    kind: str
    node: int = 0
    home: int = 0
    name: str = ""
    new_home: int = 0
    new_name: str = ""
    place: int = 0
    data: bytes = b""
    fact: Any = None


@dataclass
class _Folder:
    names: dict[str, int] = field(default_factory=dict)  # safe
    waiting: list[Operation] = field(default_factory=list)


@dataclass
class _File:
    data: bytes = b""  # safe
    waiting: list[Operation] = field(default_factory=list)


class Disk:
    """Replays operations and gives disks as a power cut may leave them."""

    def __init__(self, recorder: Recorder) -> None:
        self.nodes: dict[int, _File | _Folder] = {}
        for number, data in recorder.at_first.items():
            self.nodes[number] = _Folder(dict(data)) if isinstance(data, dict) else _File(data)

    def play(self, step: Operation) -> None:
        """One step more."""
        if step.kind == "make":
            self.nodes[step.node] = _File()
        elif step.kind == "make-folder":
            self.nodes[step.node] = _Folder()
        if step.kind in ("make", "make-folder", "rename"):
            home = self.nodes[step.home]
            home.waiting.append(step)
        elif step.kind in ("write", "length"):
            self.nodes[step.node].waiting.append(step)
        elif step.kind == "sync":
            node = self.nodes[step.node]
            if isinstance(node, _Folder):
                node.names = _named(node.names, node.waiting)
            else:
                for one in node.waiting:
                    node.data = _written(node.data, one, len(one.data))
            node.waiting = []

    def after_a_cut(self, rng: random.Random, into: Path) -> None:
        """Lay out one possible disk below `into`."""
        mood = rng.choice([0.0, 0.5, 0.5, 1.0])  # all lost, some lost, all kept: the extremes often
        self._lay_out(0, rng, mood, into)

    def _lay_out(self, number: int, rng: random.Random, mood: float, path: Path) -> None:
        node = self.nodes[number]
        if isinstance(node, _Folder):
            path.mkdir(exist_ok=True, mode=0o700)
            kept = [step for step in node.waiting if rng.random() < mood]
            for name, child in _named(node.names, kept).items():
                self._lay_out(child, rng, mood if rng.random() < 0.7 else rng.choice([0.0, 1.0]), path / name)
            return
        data = node.data
        for step in node.waiting:
            if rng.random() < mood:
                torn = rng.random() < 0.3
                data = _written(data, step, rng.randrange(len(step.data) + 1) if torn else len(step.data))
        path.write_bytes(data)
        path.chmod(0o600)


def _named(names: dict[str, int], steps: list[Operation]) -> dict[str, int]:
    found = dict(names)
    for step in steps:
        if step.kind == "rename":
            if step.name in found:
                found[step.new_name] = found.pop(step.name)
            else:  # the name it had never arrived: the new one may, all the same
                found[step.new_name] = step.node
        else:
            found[step.name] = step.node
    return found


def _written(data: bytes, step: Operation, length: int) -> bytes:
    if step.kind == "length":
        return data[: step.place].ljust(step.place, b"\0")
    padded = data.ljust(step.place, b"\0")
    return padded[: step.place] + step.data[:length] + padded[step.place + length :]


class Recorder:
    """Records what a program does to the files below `base`, while it does it."""

    def __init__(self, base: Path) -> None:
        self.base = str(base)
        self.steps: list[Operation] = []
        self.at_first: dict[int, bytes | dict[str, int]] = {}
        self._by_path: dict[str, int] = {}
        self._open: dict[int, int] = {}
        self._next = 0
        self._take_in(self.base)

    def _take_in(self, path: str) -> int:
        number, self._next = self._next, self._next + 1
        self._by_path[path] = number
        if Path(path).is_dir():
            names = sorted(one.name for one in Path(path).iterdir())
            self.at_first[number] = {}
            self.at_first[number] = {name: self._take_in(f"{path}/{name}") for name in names}
        else:
            self.at_first[number] = Path(path).read_bytes()
        return number

    def told(self, fact: Any) -> None:
        """The program was told of something."""
        self.steps.append(Operation("told", fact=fact))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record system calls of this process that change files."""
        calls: dict[str, Callable[..., Any]] = {
            "open": self._opened, "close": self._closed, "pwrite": self._wrote, "ftruncate": self._cut,
            "fsync": self._synced, "rename": self._renamed, "mkdir": self._made_folder,
        }  # fmt: skip
        with mock.patch.multiple(
            os, **{name: _both(getattr(os, name), note) for name, note in calls.items()}
        ):
            yield

    def _place(self, path: Any) -> tuple[int, str] | None:
        home, _, name = os.fspath(path).rpartition("/")
        return (self._by_path[home], name) if home in self._by_path else None

    def _new(self, kind: str, path: Any) -> int | None:
        place = self._place(path)
        if place is None:
            return None
        number, self._next = self._next, self._next + 1
        self._by_path[os.fspath(path)] = number
        self.steps.append(Operation(kind, number, *place))
        return number

    def _opened(self, result: int, path: Any, flags: int, *rest: Any, **named: Any) -> None:
        number = self._by_path.get(os.fspath(path))
        if number is None and flags & os.O_CREAT:
            number = self._new("make", path)
        elif number is not None and flags & os.O_TRUNC:
            self.steps.append(Operation("length", number))
        if number is not None:
            self._open[result] = number

    def _closed(self, result: None, descriptor: int) -> None:
        self._open.pop(descriptor, None)

    def _wrote(self, result: int, descriptor: int, data: bytes, place: int) -> None:
        if descriptor in self._open:
            self.steps.append(
                Operation("write", self._open[descriptor], place=place, data=bytes(data[:result]))
            )

    def _cut(self, result: None, descriptor: int, length: int) -> None:
        if descriptor in self._open:
            self.steps.append(Operation("length", self._open[descriptor], place=length))

    def _synced(self, result: None, descriptor: int) -> None:
        if descriptor in self._open:
            self.steps.append(Operation("sync", self._open[descriptor], name=self._name(descriptor)))

    def _name(self, descriptor: int) -> str:
        number = self._open[descriptor]
        return next(path for path, one in self._by_path.items() if one == number)[len(self.base) :]

    def _renamed(self, result: None, old: Any, new: Any, **named: Any) -> None:
        before, after = self._place(old), self._place(new)
        if before is None or after is None or os.fspath(old) not in self._by_path:
            return
        number = self._by_path.pop(os.fspath(old))
        prefix = os.fspath(old) + "/"
        for path in [path for path in self._by_path if path.startswith(prefix)]:
            self._by_path[os.fspath(new) + "/" + path[len(prefix) :]] = self._by_path.pop(path)
        self._by_path[os.fspath(new)] = number
        self.steps.append(Operation("rename", number, *before, *after))

    def _made_folder(self, result: None, path: Any, *rest: Any, **named: Any) -> None:
        self._new("make-folder", path)


def _both(call: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
    def doing(*arguments: Any, **named: Any) -> Any:
        result = call(*arguments, **named)
        note(result, *arguments, **named)
        return result

    return doing
