"""Workspaces that something happened to: a name, an operation on a small whole one, and what must be said.

A target is a path below the workspace; `@frame`, `@report`, `@weights` and `@step` are sealed files, whose
names differ from one workspace to the next.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlcipher3.dbapi2 as sqlcipher


@dataclass(frozen=True)
class Stage:
    """The workspace that is damaged, an earlier state of it, and another site's."""

    root: Path
    earlier: Path
    other: Path

    def find(self, target: str, root: Path | None = None) -> Path:
        """The file that a target names."""
        root = root or self.root
        sizes = {"@frame": (30_000, 99_000), "@weights": (20_000, 30_000), "@report": (0, 1_000)}
        if target == "@step":
            return next((root / "steps").rglob("*.ga1"))
        if target in sizes:
            low, high = sizes[target]
            return next(p for p in (root / "objects").rglob("*.ga1") if low <= p.stat().st_size < high)
        return root / target


Act = Callable[[Stage, Path], None]


@dataclass(frozen=True)
class Case:
    """One damaged workspace.

    Attributes:
        name: of the case.
        target: what is damaged.
        act: how.
        says: what the message contains; the file's own name where this is empty.
        code: exit code of `workspace verify`.
        stops: whether other commands stop as well; None where that depends on what lies there.
    """

    name: str
    target: str
    act: Act
    says: str = ""
    code: int = 20
    stops: bool | None = True


def flip(at: int, bit: int = 1) -> Act:
    """One bit, counted from the end for a negative place."""

    def act(stage: Stage, path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at if at < 0 else min(at, len(data) - 1)] ^= bit
        path.write_bytes(data)

    return act


def cut(kept: int) -> Act:
    """Only the first bytes; of a negative number, all but the last."""
    return lambda stage, path: void(path.write_bytes(path.read_bytes()[:kept]))


def write(data: bytes) -> Act:
    """Other bytes."""
    return lambda stage, path: void(path.write_bytes(data))


def append(data: bytes) -> Act:
    """More bytes."""
    return lambda stage, path: void(path.write_bytes(path.read_bytes() + data))


def change(old: bytes, new: bytes) -> Act:
    """Other words."""

    def act(stage: Stage, path: Path) -> None:
        data = path.read_bytes()
        assert old in data
        path.write_bytes(data.replace(old, new, 1))

    return act


def gone(stage: Stage, path: Path) -> None:
    """Deleted."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def folder(stage: Stage, path: Path) -> None:
    """A folder in its place."""
    path.unlink(missing_ok=True)
    path.mkdir()


def link(stage: Stage, path: Path) -> None:
    """A link to the very same bytes elsewhere."""
    elsewhere = stage.root.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def pipe(stage: Stage, path: Path) -> None:
    """A pipe that nobody writes to."""
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)


def shared(stage: Stage, path: Path) -> None:
    """Open to every account."""
    path.chmod(0o666)


def put_back(stage: Stage, path: Path) -> None:
    """As it was an hour ago."""
    shutil.copy(stage.earlier / path.relative_to(stage.root), path)


def log_put_back(stage: Stage, path: Path) -> None:
    """The whole log as it was an hour ago."""
    shutil.rmtree(path)
    shutil.copytree(stage.earlier / "log", path)


def others(target: str) -> Act:
    """Another site's."""
    return lambda stage, path: void(shutil.copy(stage.find(target, stage.other), path))


def swapped(target: str) -> Act:
    """Exchanged with another file of the same workspace."""

    def act(stage: Stage, path: Path) -> None:
        second = stage.find(target)
        one, two = path.read_bytes(), second.read_bytes()
        path.write_bytes(two)
        second.write_bytes(one)

    return act


def moved(stage: Stage, path: Path) -> None:
    """In another folder of the vault."""
    home = path.parent.parent / ("00" if path.parent.name != "00" else "01")
    home.mkdir(exist_ok=True)
    path.rename(home / path.name)


def put(name: str, data: bytes = b"?") -> Act:
    """A file of this name inside."""

    def act(stage: Stage, path: Path) -> None:
        path.mkdir(exist_ok=True, parents=True)
        (path / name).write_bytes(data)
        (path / name).chmod(0o600)

    return act


def plain(stage: Stage, path: Path) -> None:
    """A database without encryption."""
    path.unlink()
    connection = sqlcipher.connect(path)
    connection.execute("CREATE TABLE settings (key, value)")
    connection.commit()
    connection.close()


def void(_: object) -> None:
    """For expressions."""


K, C, J = "keyring.json", "catalogue.db", "log/journal"
CASES = (
    Case("keyring: missing", K, gone, "no workspace", code=21),
    Case("keyring: empty", K, write(b"")),
    Case("keyring: cut", K, cut(300)),
    Case("keyring: one bit in the digest", K, flip(-20)),
    Case("keyring: one bit in a slot", K, flip(700)),
    Case("keyring: not JSON", K, write(b"\xff\xfe\x00")),
    Case("keyring: deeply nested", K, write(b"[" * 100_000)),
    Case("keyring: a folder", K, folder, code=21),
    Case("keyring: a link", K, link, stops=False),
    Case("keyring: open to others", K, shared, stops=False),
    Case("keyring: another site's", K, others(K), "catalogue.db"),
    Case("catalogue: missing", C, gone),
    Case("catalogue: empty", C, write(b"")),
    Case("catalogue: cut in half", C, cut(60_000)),
    Case("catalogue: a page less", C, cut(-4096)),
    Case("catalogue: one bit in the salt", C, flip(3)),
    Case("catalogue: one bit in the first page", C, flip(2_000)),
    Case("catalogue: one bit in the last page", C, flip(-2_000), stops=None),
    Case("catalogue: other bytes", C, write(bytes(4096))),
    Case("catalogue: not encrypted", C, plain),
    Case("catalogue: another site's", C, others(C)),
    Case("catalogue: put back", C, put_back),
    Case("catalogue: a folder", C, folder),
    Case("catalogue: a link", C, link, stops=False),
    Case("catalogue: open to others", C, shared, stops=False),
    Case("object: missing", "@frame", gone, stops=False),
    Case("object: empty", "@frame", write(b""), stops=False),
    Case("object: header only", "@frame", cut(84), stops=False),
    Case("object: a chunk less", "@frame", cut(84 + 16_400), stops=False),
    Case("object: a byte less", "@frame", cut(-1), stops=False),
    Case("object: a byte more", "@frame", append(b"\0"), stops=False),
    Case("object: one bit in the magic", "@frame", flip(0), stops=False),
    Case("object: another kind", "@frame", flip(12), stops=False),
    Case("object: no kind at all", "@frame", flip(12, 0xFF), stops=False),
    Case("object: one bit in the salt", "@frame", flip(30), stops=False),
    Case("object: one bit in the commitment", "@frame", flip(60), stops=False),
    Case("object: one bit in the middle chunk", "@frame", flip(20_000), stops=False),
    Case("object: one bit in the last tag", "@frame", flip(-1), stops=False),
    Case("object: exchanged with another", "@frame", swapped("@weights"), stops=False),
    Case("object: another site's", "@report", others("@report"), stops=False),
    Case("object: a report that is gone", "@report", gone, stops=False),
    Case("object: damaged, of no patient", "@weights", flip(500), stops=False),
    Case("object: in another folder", "@frame", moved, stops=False),
    Case("object: a folder", "@frame", folder, stops=False),
    Case("object: a link", "@frame", link, stops=False),
    Case("object: a pipe", "@report", pipe, stops=False),
    Case("object: open to others", "@frame", shared, stops=False),
    Case("objects: a name that is none", "objects/ab", put("notes.ga1"), "notes.ga1", stops=False),
    Case("objects: rubbish by a good name", "objects/ab", put(f"{'ab' * 32}.ga1"), "ab" * 32, stops=False),
    Case("steps: one bit", "@step", flip(90), stops=False),
    Case("steps: cut", "@step", cut(50), stops=False),
    Case("steps: an audit that is none", "steps/B-1", put("x"), "B-1", stops=False),
    Case("log: missing", "log", gone, "log"),
    Case("log: journal missing", J, gone),
    Case("log: journal empty", J, write(b"")),
    Case("log: journal cut", J, cut(-100)),
    Case("log: one bit in an entry", J, flip(200)),
    Case("log: an act renamed", J, change(b"catalogue.root", b"catalogue.toor")),
    Case("log: checkpoint missing", "log/checkpoint", gone),
    Case("log: one bit in the checkpoint", "log/checkpoint", flip(60)),
    Case("log: an older checkpoint", "log/checkpoint", put_back),
    Case("log: history missing", "log/checkpoints", gone),
    Case("log: one bit in the history", "log/checkpoints", flip(5)),
    Case("log: another site's public key", "log/verifier-key", others("log/verifier-key"), "this log's key"),
    Case("log: signing key missing", "log/signing.key", gone),
    Case("log: one bit in the signing key", "log/signing.key", flip(40)),
    Case("log: another site's signing key", "log/signing.key", others("log/signing.key"), "verifier-key"),
    Case("log: signing key open to others", "log/signing.key", shared),
    Case("log: put back whole", "log", log_put_back, "catalogue.db"),
    Case("log: a file of no log", "log", put("notes"), "notes", stops=False),
    Case("evidence: a file of no findings", "evidence", put("notes.txt"), "notes.txt", stops=False),
    Case("workspace: a foreign file", ".", put("autorun.inf"), "autorun.inf", stops=False),
    Case("workspace: a foreign folder", "Thumbs", put("x"), "Thumbs", stops=False),
    Case("workspace: a hidden file", ".", put(".keyring.json.x"), ".keyring.json.x", stops=False),
)  # fmt: skip
