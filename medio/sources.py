"""Which files there are to read, and their bytes. Standard library only: listing needs no parser, no torch.

A member of a ZIP archive is named `archive.zip!/member`. Links are listed, and refused when read.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from medio.errors import NotReadable

MAX_FILE_BYTES = 1 << 30
MAX_MEMBERS = 20_000  # SECURITY §5
MAX_ARCHIVE_BYTES = 4 << 30
MAX_ARCHIVE_RATIO = 200
_INSIDE = "!/"
_ZIP = b"PK\x03\x04"


def walk(paths: Iterable[Path]) -> Iterator[Path]:
    """Every file below these paths, folders and ZIP archives opened up, in sorted order.

    Nothing is refused here: a link, a special file, a folder that cannot be listed or an archive beyond the
    limits is listed as itself and `read_bytes` says why it cannot be read.
    """
    for path in sorted(paths):
        inside = _listed(path)
        if inside is None:
            yield from _members(path)
        else:
            yield from walk(inside)


def _listed(path: Path) -> list[Path] | None:
    """What is in a folder; None for anything else, a folder that may not be looked into among it."""
    try:
        return list(path.iterdir()) if path.is_dir() and not path.is_symlink() else None
    except OSError:
        return None


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, or of an archive's member.

    Raises:
        NotReadable: a link, no regular file, empty, too large, or an archive beyond the limits.
    """
    archive, inside, member = str(path).partition(_INSIDE)
    if inside and not os.path.lexists(path):
        return _read_member(Path(archive), member)
    data = _read_file(path)
    if data.startswith(_ZIP):
        with _archive(path) as opened:
            _check(opened)
        raise NotReadable("archive-nested", "an archive inside an archive, or handed over as one file")
    return data


def _read_file(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        reason = "link" if path.is_symlink() else "unreadable-file"
        raise NotReadable(reason, f"cannot be opened ({error.strerror})") from error
    with os.fdopen(descriptor, "rb") as stream:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise NotReadable("not-a-file", "no regular file")
        if facts.st_size > MAX_FILE_BYTES:
            raise NotReadable("too-large", f"more than {MAX_FILE_BYTES} bytes")
        data = stream.read(MAX_FILE_BYTES + 1)
    if not data:
        raise NotReadable("empty-file", "no bytes")
    return data


def _members(path: Path) -> Iterator[Path]:
    try:
        if path.is_symlink() or not path.is_file() or _first_bytes(path) != _ZIP:
            yield path
            return
        with _archive(path) as opened:
            _check(opened)
            names = sorted(info.filename for info in opened.infolist() if not info.is_dir())
    except (NotReadable, OSError):
        yield path
        return
    yield from (Path(f"{path}{_INSIDE}{name}") for name in names)


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(4)


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise NotReadable("archive-damaged", "a ZIP archive that cannot be opened") from error


def _check(archive: zipfile.ZipFile) -> None:
    infos = archive.infolist()
    packed = sum(info.compress_size for info in infos)
    unpacked = sum(info.file_size for info in infos)
    if (
        len(infos) > MAX_MEMBERS
        or unpacked > MAX_ARCHIVE_BYTES
        or unpacked > MAX_ARCHIVE_RATIO * max(packed, 1)
    ):
        raise NotReadable("archive-limits", "too many members, or too much inside")
    for info in infos:
        name = PurePosixPath(info.filename)
        if name.is_absolute() or ".." in name.parts or stat.S_ISLNK(info.external_attr >> 16):
            raise NotReadable("archive-names", "a link, or a member that points outside")


def _read_member(path: Path, member: str) -> bytes:
    if path.is_symlink():
        raise NotReadable("link", "links are not followed")
    try:
        with _archive(path) as opened:
            _check(opened)
            info = opened.getinfo(member)
            if info.file_size > MAX_FILE_BYTES:
                raise NotReadable("too-large", f"more than {MAX_FILE_BYTES} bytes")
            with opened.open(info) as stream:
                data = stream.read(info.file_size + 1)
    except (KeyError, OSError, RuntimeError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise NotReadable("archive-damaged", "a member that cannot be read") from error
    except Exception as error:  # zlib, lzma and bz2 each raise their own
        if isinstance(error, NotReadable):
            raise
        raise NotReadable("archive-damaged", "a member that cannot be read") from error
    if len(data) != info.file_size:
        raise NotReadable("archive-limits", "a member larger than the archive says")
    if data.startswith(_ZIP):
        raise NotReadable("archive-nested", "an archive inside an archive")
    if not data:
        raise NotReadable("empty-file", "no bytes")
    return data
