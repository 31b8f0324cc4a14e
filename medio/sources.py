"""Which files there are to read, and their bytes. Standard library only: no pydicom, no torch.

A member of a ZIP archive is named `archive.zip!/member`. Links are listed, and refused when read. Foreign
bytes are parsed by `Reader` alone; `files_below` and `is_archive` parse nothing and may run anywhere.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Self

from medio.archives import HEAD_BYTES, Archive, is_zip, refuse_other_archives
from medio.errors import MedioError, NotReadable

MAX_FILE_BYTES = 1 << 30
_INSIDE = "!/"
_DICOMDIR = b"1.2.840.10008.1.3.10\2\0"  # the next element follows at once
_HEADER_BYTES = 1024  # where a file of PS3.10 names its class


def walk(paths: Iterable[Path]) -> Iterator[Path]:
    """Every file below these paths, folders and ZIP archives opened up, in sorted order.

    Nothing is refused here: a link, a special file, a folder that cannot be listed or an archive beyond the
    limits is listed as itself and `read_bytes` says why it cannot be read.
    """
    with Reader() as reader:
        for path in files_below(paths):
            yield from reader.members(path) if is_archive(path) else (path,)


def files_below(paths: Iterable[Path]) -> Iterator[Path]:
    """Every file below these paths, folder by folder in sorted order; no file is opened, no link followed.

    Paths may overlap: each file comes once.
    """
    waiting = sorted(_outermost(paths), reverse=True)
    while waiting:
        path = waiting.pop()
        inside = _listed(path)
        if inside is None:
            yield path
        else:
            waiting += inside


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """These paths without those that a walk through another one of them comes to."""
    by_place = {_place(path): path for path in sorted(paths, reverse=True)}
    return [path for place, path in by_place.items() if by_place.keys().isdisjoint(place.parents)]


def _place(path: Path) -> Path:
    """Where a path is; of a link, where the link is, for a walk does not follow it."""
    if path.is_symlink():
        return Path(os.path.realpath(path.parent), path.name)
    return Path(os.path.realpath(path))


def _listed(path: Path) -> list[Path] | None:
    """What is in a folder; None for anything else, a folder that may not be looked into among it."""
    try:
        return None if path.is_symlink() or not path.is_dir() else sorted(path.iterdir(), reverse=True)
    except OSError:
        return None


def is_archive(path: Path) -> bool:
    """Whether a file starts as a ZIP archive does. Looks at its first bytes and at nothing they say."""
    try:
        if path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as stream:
            return is_zip(stream.read(HEAD_BYTES))
    except OSError:
        return False


def is_file_set(path: Path) -> bool:
    """Whether a file names itself a DICOMDIR at its start. Looks for one UID and parses nothing."""
    try:
        if path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as stream:
            return _DICOMDIR in stream.read(_HEADER_BYTES)
    except OSError:
        return False


def member_path(archive: Path, name: str) -> Path:
    """How a member of an archive is named."""
    return Path(f"{archive}{_INSIDE}{name}")


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, or of an archive's member.

    Raises:
        NotReadable, NotSupported: as `Reader.read`.
    """
    with Reader() as reader:
        return reader.read(path)


class Reader:
    """Reads files and archive members; keeps the last archive open, whose members come one after another."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._archive: Archive | None = None

    def read(self, path: Path) -> bytes:
        """The bytes of a file, or of an archive's member.

        Raises:
            NotReadable: a link, no regular file, empty, too large, damaged, or an archive beyond the limits.
            NotSupported: an encrypted member, or a kind of archive that is not opened.
        """
        archive, member = _split(path)
        data = self._opened(archive).read(member) if member else _read_file(path)
        if is_zip(data):
            if not member:
                self._opened(path).names()  # says why the archive is refused as a whole
            raise NotReadable("archive-nested", "an archive inside an archive, or handed over as one file")
        if not data:
            raise NotReadable("empty-file", "no bytes")
        refuse_other_archives(data)
        return data

    def members(self, path: Path) -> list[Path]:
        """The members of an archive, sorted, named as `read` takes them; itself when refused as a whole."""
        try:
            return [member_path(path, name) for name in self.names(path)]
        except MedioError:
            return [path]

    def names(self, path: Path) -> list[str]:
        """The names of an archive's members, sorted.

        Raises:
            NotReadable: the archive is refused as a whole.
        """
        return self._opened(path).names()

    def close(self) -> None:
        """Close the archive that is open."""
        if self._archive is not None:
            self._archive.close()
        self._path = self._archive = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _opened(self, path: Path) -> Archive:
        if self._archive is None or self._path != path:
            self.close()
            self._archive = Archive(_open(path))
            self._path = path
        return self._archive


def _open(path: Path) -> BinaryIO:
    """A regular file, opened without following a link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        reason = "link" if path.is_symlink() else "unreadable-file"
        if getattr(error, "errno", 0) == errno.ENXIO:  # a socket
            reason = "not-a-file"
        raise NotReadable(reason, f"cannot be opened ({getattr(error, 'strerror', 'name')})") from error
    stream = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        stream.close()
        raise NotReadable("not-a-file", "no regular file")
    return stream


def _read_file(path: Path) -> bytes:
    with _open(path) as stream:
        start = stream.read(HEAD_BYTES)
        if is_zip(start):
            return start  # of any size; its members are read one by one
        if os.fstat(stream.fileno()).st_size > MAX_FILE_BYTES:
            raise NotReadable("too-large", f"more than {MAX_FILE_BYTES} bytes")
        stream.seek(0)
        return stream.read(MAX_FILE_BYTES + 1)


def _split(path: Path) -> tuple[Path, str]:
    """`archive.zip!/member` in two; folders may have a name that ends in `!` as well."""
    text = str(path)
    place = text.find(_INSIDE)
    while place >= 0 and not os.path.lexists(path):
        if (archive := Path(text[:place])).is_file():
            return archive, text[place + len(_INSIDE) :]
        place = text.find(_INSIDE, place + 1)
    return path, ""
