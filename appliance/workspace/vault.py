"""The vault: sealed objects addressed by a keyed digest of their content.

    objects/ab/<object id>.ga1      sealed, complete, on disk
    objects/incoming/<random>       sealed, on the way; left behind only by a crash, swept by the next writer

An object id says nothing about the content without the key, and the same content has the same id, so storing
twice costs nothing and a catalogue row can never point at other bytes than those it was written for. What
belongs to a patient is sealed under that subject's key, and its name ends in the subject: `<id>.<subject>`.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.errors import CannotWrite, IntegrityError
from appliance.workspace.durable import make_directory, sync_directory, sync_filesystem, write_new
from appliance.workspace.ga1 import Meaning, Unsealer, seal, unsealing
from appliance.workspace.keys import RunKeys, SecretKey
from appliance.workspace.subjects import SubjectKeys

ASSIGNMENT: Final = "assignment"  # of a design: who may leave, and what was planted
KEY_EPOCH: Final = 1  # sealing keys stay the same when the RUN key changes
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_ARRIVING: Final = re.compile("[0-9a-f]{32}")
_NAME: Final = re.compile(r"([0-9a-f]{64})(?:\.([0-9a-f]{32}))?")


@dataclass(frozen=True, slots=True)
class Arriving:
    """A sealed object on its way.

    Attributes:
        object_id: name of the object.
        path: where it waits for `settle`; None when the same content is stored already.
        size: bytes of its content.
    """

    object_id: str
    path: Path | None
    size: int


class Vault:
    """Sealed objects of one workspace."""

    def __init__(self, directory: Path, keys: RunKeys, workspace_id: bytes, subjects: SubjectKeys) -> None:
        self._directory = directory
        self._incoming = directory / "incoming"
        self._workspace_id = workspace_id
        self._keys = keys
        self._subjects = subjects
        self._flushed = False  # whether the names of earlier writers are known to be on disk

    def __repr__(self) -> str:
        return f"Vault({str(self._directory)!r})"

    def put(self, kind: str, content: bytes, subject: str = "") -> str:
        """Seal `content` and return its name; the same content of the same kind is stored once.

        The object is on disk when this returns.

        Args:
            kind: what it is, 1 to 16 of `a-z0-9-`; part of what is authenticated.
            content: plaintext of any length.
            subject: whose it is, as `SubjectKeys.handle` gives it; empty for what is of no one patient.

        Raises:
            CannotWrite: the disk is full or refuses.
        """
        arriving = self._sealed(kind, content, subject, sync=True)
        with self._all_or_none([arriving]) as named:
            if arriving.path is None:
                self._flush()
            else:
                self._subjects.settle()
                self._name(arriving.object_id, arriving.path, named)
                sync_directory(self._locate(arriving.object_id).parent)
                sync_directory(self._directory)
        return arriving.object_id

    def bring(self, kind: str, content: bytes, subject: str = "") -> Arriving:
        """Seal `content`, to be stored by `settle` with many others; several threads may do so at once.

        Arguments as of `put`.

        Raises:
            CannotWrite: the disk is full or refuses.
        """
        return self._sealed(kind, content, subject, sync=False)

    def settle(self, arrivals: Sequence[Arriving]) -> None:
        """Store what was brought, with two waits for the disk instead of three an object.

        All of it is on disk when this returns, so write catalogue rows that name it afterwards. So is what
        was found stored already: a name given by another process, which may have been killed before its last
        wait, is believed only after a wait of one's own.

        Raises:
            CannotWrite: the disk is full or refuses; none of it has a name then, and another try begins anew.
        """
        waiting = [(one.object_id, one.path) for one in arrivals if one.path is not None]
        with self._all_or_none(arrivals) as named:
            if waiting:
                self._subjects.settle()
                sync_filesystem(self._directory)  # bytes first: a name never leads to a hole
                for object_id, path in waiting:
                    self._name(object_id, path, named)
                sync_filesystem(self._directory)
                self._flushed = True
            else:
                self._flush()
            for one in arrivals:
                self._locate(one.object_id).lstat()  # another batch may have taken back what `bring` found

    def exists(self, object_id: str) -> bool:
        """Whether an object is stored; says nothing about its health."""
        return self._locate(object_id).is_file()

    def get(self, kind: str, object_id: str) -> bytes:
        """The whole plaintext.

        Raises:
            IntegrityError: missing, damaged, swapped, or of another kind; the file is named.
        """
        with self.open(kind, object_id) as sealed:
            return sealed.read(0, sealed.size)

    def read_range(self, kind: str, object_id: str, start: int, length: int) -> bytes:
        """Plaintext bytes [start, start + length), fewer at the end; only those chunks are opened.

        Raises:
            IntegrityError: as `get`, for the header, the end and this range.
        """
        with self.open(kind, object_id) as sealed:
            return sealed.read(start, length)

    @contextmanager
    def open(self, kind: str, object_id: str) -> Iterator[Unsealer]:
        """Many ranges of one object.

        Raises:
            IntegrityError: missing, cut, swapped, or of another kind; the file is named.
        """
        path = self._locate(object_id)
        meaning, name = self._meaning(kind, object_id), str(path.relative_to(self._directory.parent))
        with unsealing(path, self._opening_key(kind, object_id), meaning, name) as sealed:
            yield sealed

    def remove(self, object_id: str) -> bool:
        """Delete an object's file; False when there was none. Its key is what erases it."""
        path = self._locate(object_id)
        there = path.is_file()
        path.unlink(missing_ok=True)
        return there

    def sweep(self) -> int:
        """Remove what was brought and never settled; returns how many. What is none of ours stays.

        Call it holding the writer lock, while nothing is being brought: what then lies there is a leftover.

        Raises:
            CannotWrite: the disk refuses.
        """
        self._flushed = False  # the writer before may have been killed
        try:
            make_directory(self._incoming)  # tools that copy leave out empty folders
            with os.scandir(self._incoming) as entries:
                ours = (one for one in entries if _ARRIVING.fullmatch(one.name))
                leftovers = [one.path for one in ours if not one.is_dir(follow_symlinks=False)]
            for left in leftovers:
                os.unlink(left)  # noqa: PTH108 - as scandir names it
        except OSError as error:
            raise self._cannot_write(error) from None
        return len(leftovers)

    def _locate(self, object_id: str) -> Path:
        name, _ = _parts(object_id)
        return self._directory / name[:2] / f"{name}.ga1"

    def _sealed(self, kind: str, content: bytes, subject: str, *, sync: bool) -> Arriving:
        key = self._subjects.for_sealing(subject) if subject else self._site_key(kind)
        object_id = _named(key, kind, content) + (f".{subject}" if subject else "")
        if self.exists(object_id):
            return Arriving(object_id, None, len(content))
        arriving = self._incoming / secrets.token_hex(16)
        pieces = seal(key, self._meaning(kind, object_id), content)
        try:
            write_new(arriving, pieces, sync=sync)
        except OSError as error:
            arriving.unlink(missing_ok=True)
            raise self._cannot_write(error) from None
        return Arriving(object_id, arriving, len(content))

    @contextmanager
    def _all_or_none(self, arrivals: Sequence[Arriving]) -> Iterator[list[Path]]:
        """Take back every name that the block has listed if it fails; leave nothing on its way.

        After a failed flush the kernel may call the same bytes clean, and the next flush succeeds: a name
        that stayed would be acknowledged without being on disk.
        """
        named: list[Path] = []
        try:
            yield named
        except BaseException as error:
            self._flushed = False
            _remove(named)
            if isinstance(error, OSError):
                raise self._cannot_write(error) from None
            raise
        finally:
            _remove([one.path for one in arrivals if one.path is not None])

    def _flush(self) -> None:
        if not self._flushed:
            sync_filesystem(self._directory)
            self._flushed = True

    def _name(self, object_id: str, arriving: Path, named: list[Path]) -> None:
        """Give an arrived file its name, unless the same content has it by now; lists what was named."""
        path = self._locate(object_id)
        make_directory(path.parent)
        if not path.is_file():
            arriving.replace(path)
            named.append(path)

    def _cannot_write(self, error: OSError) -> CannotWrite:
        path = Path(error.filename) if isinstance(error.filename, str) else self._directory
        name = path.relative_to(self._directory.parent)
        hint = (
            "Free some space" if error.errno in _FULL else "`gradaudit workspace verify` says what is wrong"
        )
        return CannotWrite(
            f"cannot write to the vault: {name}: {error.strerror}", f"{hint}; nothing was changed."
        )

    def _site_key(self, kind: str) -> SecretKey:
        return self._keys.assignments if kind == ASSIGNMENT else self._keys.vault

    def _opening_key(self, kind: str, object_id: str) -> SecretKey:
        _, subject = _parts(object_id)
        if not subject:
            return self._site_key(kind)
        key = self._subjects.existing(subject)
        if key is None:
            raise IntegrityError("the key of this patient was erased", "What was erased cannot be shown.")
        return key

    def _meaning(self, kind: str, object_id: str) -> Meaning:
        return Meaning(self._workspace_id, bytes.fromhex(_parts(object_id)[0]), kind, KEY_EPOCH)


def _parts(object_id: str) -> tuple[str, str]:
    """File name and subject of an object; no subject for what is of no one patient."""
    known = _NAME.fullmatch(object_id)
    if known is None:
        raise ValueError("not an object id")
    return known[1], known[2] or ""


def _named(key: SecretKey, kind: str, content: bytes) -> str:
    naming_key = key.derive("gradaudit object id v1")
    mac = hmac.new(naming_key.raw, kind.encode("ascii") + b"\x00", hashlib.sha256)
    mac.update(content)
    return mac.hexdigest()


def create_objects(directory: Path) -> None:
    """Lay out an empty vault."""
    make_directory(directory)
    make_directory(directory / "incoming")
    sync_directory(directory)


def _remove(paths: Sequence[Path]) -> None:
    """Remove what can be removed; the rest is flushed again before it is believed, or swept."""
    for path in paths:
        with suppress(OSError):
            path.unlink(missing_ok=True)
