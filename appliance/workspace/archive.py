"""A backup as one file: a tar archive with a manifest first and a seal last (docs/backup-and-restore.md).

    manifest.json    what this is, and of each member name, size and SHA-256
    …                the members, in the manifest's order
    seal.json        SHA-256 of the manifest, and its HMAC under a key of the workspace

There is one spelling: a reader composes every header itself and compares, so it never follows what a header
says, and a byte changed anywhere is noticed. Any tar program can look inside.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import os
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from appliance.errors import ApplianceError, Busy, CannotWrite, IntegrityError, UsageError
from appliance.workspace.durable import DIRECTORY_MODE, FILE_MODE
from appliance.workspace.keys import SecretKey
from appliance.workspace.layout import Part, part_of

FORMAT: Final = "gradaudit-backup"
VERSION: Final = 1
MANIFEST: Final = "manifest.json"
SEAL: Final = "seal.json"
LOG_KEY: Final = "log/signing.key.ga1"
_SEALING: Final = "gradaudit backup v1: manifest"
_BLOCK: Final = 512
_PIECE: Final = 4 << 20
_LONGEST_MANIFEST: Final = 1 << 28
_NO_DIGEST: Final = "0" * 64
_HINT: Final = "Take another backup; this file cannot be trusted."

Step = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Source:
    """One file to be archived.

    Attributes:
        name: in the archive.
        path: where it is; its size is that of now.
    """

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says of itself.

    Attributes:
        about: workspace id, time, log size and root, root of the catalogue.
        members: name, bytes, hex SHA-256, in order.
        digest: hex SHA-256 of the manifest's bytes.
        authentic: HMAC of the manifest, to be compared by whoever opened the workspace.
    """

    about: dict[str, Any]
    members: tuple[tuple[str, int, str], ...]
    digest: str
    authentic: str

    def check_author(self, key: SecretKey) -> None:
        """Make sure that a holder of the workspace's keys put these members together.

        Raises:
            IntegrityError: somebody else did.
        """
        if not hmac.compare_digest(self.authentic, _authentic(key, self.digest)):
            raise IntegrityError("the backup was not put together by this workspace", _HINT)


def write_archive(
    target: Path, about: dict[str, Any], sources: Sequence[Source], key: SecretKey, on_step: Step
) -> Manifest:
    """Write an archive to a new file; it is on disk when this returns.

    The manifest's place is kept free and filled in at the end, so that every file is read once.

    Raises:
        Busy: a file went away or changed its size meanwhile.
        CannotWrite: the disk is full or refuses.
    """
    members = [(one.name, _size(one.path), _NO_DIGEST) for one in sources]
    placeholder = _manifest_bytes(about, members)
    try:
        descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(descriptor, "wb+") as file:
            _add(file, MANIFEST, io.BytesIO(placeholder), len(placeholder))
            for index, (one, (name, size, _)) in enumerate(zip(sources, members, strict=True)):
                members[index] = (name, size, _add_file(file, one, size))
                on_step(index + 1, len(members))
            manifest = _manifest_bytes(about, members)
            digest = hashlib.sha256(manifest).hexdigest()
            seal = _seal_bytes(digest, _authentic(key, digest))
            _add(file, SEAL, io.BytesIO(seal), len(seal))
            file.write(bytes(2 * _BLOCK))
            file.seek(_BLOCK)
            file.write(manifest)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CannotWrite(f"cannot write the backup: {error.strerror}", "Free some space there.") from None
    return Manifest(about, tuple(members), digest, _authentic(key, digest))


def read_archive(path: Path, into: Path | None, on_step: Step) -> Manifest:
    """Check every byte of an archive and, with `into`, write its members there; sync them afterwards.

    Raises:
        UsageError: there is no such file, or it is no backup of this format.
        IntegrityError: cut, changed or longer than it was; the member is named.
        CannotWrite: the disk is full or refuses.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(f"cannot read {path.name}: {error.strerror}", "Name a backup.") from None
    with os.fdopen(descriptor, "rb") as file:
        data = _read_manifest(file)
        about, members = _parsed(data)
        for index, (name, size, digest) in enumerate(members):
            if _take(file, name, size, into) != digest:
                raise _changed(name)
            on_step(index + 1, len(members))
        digest = hashlib.sha256(data).hexdigest()
        authentic = _read_seal(file, digest)
        if file.read(2 * _BLOCK + 1) != bytes(2 * _BLOCK):
            raise _changed("its end")
    return Manifest(about, members, digest, authentic)


# -- writing -------------------------------------------------------------------------------------------------


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        raise _went_away(path.name) from None


def _add_file(archive: IO[bytes], one: Source, size: int) -> str:
    try:
        descriptor = os.open(one.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        raise _went_away(one.name) from None
    with os.fdopen(descriptor, "rb") as file:
        return _add(archive, one.name, file, size)


def _add(archive: IO[bytes], name: str, content: IO[bytes], size: int) -> str:
    archive.write(_header(name, size))
    digest, left = hashlib.sha256(), size
    while left:
        piece = content.read(min(_PIECE, left))
        if not piece:
            raise _went_away(name)
        archive.write(piece)
        digest.update(piece)
        left -= len(piece)
    archive.write(bytes(-size % _BLOCK))
    return digest.hexdigest()


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, FILE_MODE, 0
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def _manifest_bytes(about: dict[str, Any], members: Sequence[tuple[str, int, str]]) -> bytes:
    document = {"format": FORMAT, "version": VERSION, **about, "members": [list(one) for one in members]}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _seal_bytes(digest: str, authentic: str) -> bytes:
    return json.dumps({"hmac": authentic, "manifest": digest}, sort_keys=True).encode("ascii")


def _authentic(key: SecretKey, digest: str) -> str:
    return hmac.digest(key.derive(_SEALING).raw, bytes.fromhex(digest), "sha256").hex()


def _went_away(name: str) -> Busy:
    return Busy(f"{name} changed while the backup was made", "Make it again.")


# -- reading -------------------------------------------------------------------------------------------------


def _read_manifest(file: IO[bytes]) -> bytes:
    header = file.read(_BLOCK)
    try:
        size = tarfile.TarInfo.frombuf(header, "ascii", "strict").size
    except (tarfile.TarError, ValueError):
        raise UsageError("this is no backup", "Name a file that `gradaudit backup` has written.") from None
    if header != _header(MANIFEST, size) or size > _LONGEST_MANIFEST:
        raise _changed(MANIFEST)
    data = file.read(size)
    if len(data) != size or file.read(-size % _BLOCK) != bytes(-size % _BLOCK):
        raise _changed(MANIFEST)
    return data


def _parsed(data: bytes) -> tuple[dict[str, Any], tuple[tuple[str, int, str], ...]]:
    try:
        document = json.loads(data)
        kind, version = document.pop("format"), document.pop("version")
        members = tuple((str(name), int(size), str(digest)) for name, size, digest in document.pop("members"))
        again = _manifest_bytes(document, members) if (kind, version) == (FORMAT, VERSION) else data
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _changed(MANIFEST) from None
    if kind == FORMAT and version != VERSION:
        raise UsageError(f"the backup has version {version}, this software reads {VERSION}")
    names = [name for name, _, _ in members]
    if kind != FORMAT or again != data or len(set(names)) != len(names):
        raise _changed(MANIFEST)
    for name, size, _ in members:
        if not _belongs(name) or size < 0:
            raise IntegrityError(f"the backup holds {ascii(name)[:80]}: no part of a workspace", _HINT)
    return document, members


def _belongs(name: str) -> bool:
    return name == LOG_KEY or part_of(name) not in (Part.FOREIGN, Part.PASSING, Part.LOG_KEY)


def _take(file: IO[bytes], name: str, size: int, into: Path | None) -> str:
    if file.read(_BLOCK) != _header(name, size):
        raise _changed(name)
    sink = _created(into / name) if into is not None else None
    try:
        digest, left = hashlib.sha256(), size
        while left:
            piece = file.read(min(_PIECE, left))
            if not piece:
                raise IntegrityError(f"the backup ends in the middle of {name}", _HINT)
            digest.update(piece)
            if sink is not None:
                sink.write(piece)
            left -= len(piece)
    except OSError as error:
        raise CannotWrite(f"cannot write the workspace: {error.strerror}", "Free some space.") from None
    finally:
        if sink is not None:
            sink.close()
    if file.read(-size % _BLOCK) != bytes(-size % _BLOCK):
        raise _changed(name)
    return digest.hexdigest()


def _created(path: Path) -> IO[bytes]:
    try:
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.fdopen(os.open(path, flags, FILE_MODE), "wb", buffering=0)
    except OSError as error:
        raise CannotWrite(f"cannot write the workspace: {error.strerror}", "Free some space.") from None


def _read_seal(file: IO[bytes], digest: str) -> str:
    size = len(_seal_bytes(_NO_DIGEST, _NO_DIGEST))
    expected_padding = bytes(-size % _BLOCK)
    if file.read(_BLOCK) != _header(SEAL, size):
        raise _changed(SEAL)
    data = file.read(size)
    try:
        authentic = str(json.loads(data)["hmac"])
    except (ValueError, TypeError, KeyError):
        raise _changed(SEAL) from None
    if data != _seal_bytes(digest, authentic) or file.read(len(expected_padding)) != expected_padding:
        raise _changed(SEAL)
    return authentic


def _changed(what: str) -> ApplianceError:
    return IntegrityError(f"the backup was changed or is cut: {what} is not what was written", _HINT)
