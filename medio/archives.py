"""ZIP archives: members by name, within limits, one at a time. Standard library only.

An archive's directory is foreign bytes like any other: the appliance opens archives in the boxed worker only.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import BinaryIO

from medio.errors import MedioError, NotReadable, NotSupported

MAX_MEMBERS = 20_000  # SECURITY §5
MAX_DIRECTORY_BYTES = 8 << 20  # of an archive: 400 bytes a member
MAX_MEMBER_BYTES = 1 << 30
MAX_ARCHIVE_BYTES = 4 << 30
MAX_ARCHIVE_RATIO = 200
HARMLESS_BYTES = 1 << 20  # unpacked; a blank image of this size may be packed as well as it can
HEAD_BYTES = 132  # of a file, to tell whether it is an archive
_ZIP = b"PK\x03\x04"
_OTHER_ZIPS = {b"PK\x05\x06": "archive-empty", b"PK\x07\x08": "archive-damaged"}  # no member; a split part
_KINDS = {  # refused by name: where their mark stands, and the mark
    "tar": (257, b"ustar"),
    "gzip": (0, b"\x1f\x8b\x08"),
    "bzip2": (0, b"BZh"),
    "xz": (0, b"\xfd7zXZ\x00"),
    "zstd": (0, b"\x28\xb5\x2f\xfd"),
    "7z": (0, b"7z\xbc\xaf\x27\x1c"),
    "RAR": (0, b"Rar!\x1a\x07"),
    "ISO 9660": (32769, b"CD001"),
}
_PART10 = slice(128, 132), b"DICM"
_END = struct.Struct("<4s4H2LH")  # end of central directory (APPNOTE.TXT 4.3.16)
_ENCRYPTED = 0x1
_DAMAGE = (zipfile.BadZipFile, ValueError, OverflowError, OSError)


def is_zip(data: bytes) -> bool:
    """Whether a file with this start is a ZIP archive, or a member is one."""
    place, dicom = _PART10
    return data.startswith(_ZIP) and data[place] != dicom  # a preamble may hold anything (PS3.10 §7.1)


def refuse_other_archives(data: bytes) -> None:
    """Name the archives that are not opened.

    Raises:
        NotReadable, NotSupported: these bytes are such an archive.
    """
    place, dicom = _PART10
    if data[place] == dicom:
        return
    if reason := _OTHER_ZIPS.get(data[:4]):
        raise NotReadable(reason, "a ZIP archive without files, or a part of a split one")
    for kind, (at, magic) in _KINDS.items():
        if data.startswith(magic, at):
            raise NotSupported("archive-kind", f"a {kind} archive: unpack it, or pack it as ZIP")


class Archive:
    """One ZIP archive whose directory is within the limits; every member has a name of its own.

    Args:
        stream: the archive; closed with this object.

    Raises:
        NotReadable: damaged, beyond the limits, or with a member that points outside.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        try:
            _check_directory(self._stream)
            self._zip = zipfile.ZipFile(self._stream)
            self._infos = _named(self._zip)
        except (*_DAMAGE, NotImplementedError, struct.error) as error:
            self._stream.close()
            raise NotReadable("archive-damaged", "a ZIP archive that cannot be opened") from error
        except MedioError:
            self._stream.close()
            raise

    def names(self) -> list[str]:
        """Names of all members, sorted; an archive without any is refused."""
        if not self._infos:
            raise NotReadable("archive-empty", "an archive without files")
        return sorted(self._infos)

    def read(self, name: str) -> bytes:
        """Unpack one member.

        Raises:
            NotReadable: damaged, or beyond the limits.
            NotSupported: encrypted, or packed by another method than deflate.
        """
        info = self._infos.get(name)
        if info is None:
            raise NotReadable("archive-damaged", "a member that is not in the archive")
        if info.flag_bits & _ENCRYPTED:
            raise NotSupported("archive-encrypted", "an encrypted member: unpack it with its password first")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise NotSupported("archive-method", "packed by a method other than deflate: pack it again")
        if info.file_size > MAX_MEMBER_BYTES:
            raise NotReadable("too-large", f"more than {MAX_MEMBER_BYTES} bytes")
        if _too_dense(info.file_size, info.compress_size):
            raise NotReadable("archive-limits", f"packed more than {MAX_ARCHIVE_RATIO} times")
        try:
            with self._zip.open(info) as member:
                data = member.read(info.file_size)
        except (*_DAMAGE, RuntimeError, EOFError, zlib.error) as error:
            raise NotReadable("archive-damaged", "a member that cannot be unpacked") from error
        if len(data) != info.file_size:
            raise NotReadable("archive-damaged", "a member shorter than the archive says")
        return data

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
        self._stream.close()


def _check_directory(stream: BinaryIO) -> None:
    """Refuse a directory that zipfile would read whole into memory before anybody can count its members."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - (1 << 16) - _END.size))
    tail = stream.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < _END.size:
        raise NotReadable("archive-damaged", "a ZIP archive without its end")
    _, _, _, _, members, length, _, _ = _END.unpack_from(tail, place)
    zip64 = tail.rfind(b"PK\x06\x06", 0, place)  # APPNOTE.TXT 4.3.14; holds when its locator stands before
    if zip64 >= 0 and tail[max(0, place - 20) : place].startswith(b"PK\x06\x07"):
        members, length = struct.unpack_from("<QQ", tail, zip64 + 32)
    if members > MAX_MEMBERS or length > MAX_DIRECTORY_BYTES:
        raise NotReadable("archive-limits", f"more than {MAX_MEMBERS} members, or long names")


def _named(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Members by a name of their own, within the limits of the whole."""
    infos = archive.infolist()
    packed = sum(info.compress_size for info in infos)
    unpacked = sum(info.file_size for info in infos)
    if len(infos) > MAX_MEMBERS or unpacked > MAX_ARCHIVE_BYTES or _too_dense(unpacked, packed):
        raise NotReadable("archive-limits", "too many members, or too much inside")
    place = 0
    for info in sorted(infos, key=lambda one: one.header_offset):
        if info.header_offset < place:
            raise NotReadable("archive-limits", "members that lie over one another")
        place = info.header_offset + info.compress_size
    named: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = PurePosixPath(info.filename)
        outside = name.is_absolute() or not name.parts or ".." in name.parts
        if outside or stat.S_ISLNK(info.external_attr >> 16):
            raise NotReadable("archive-names", "a link, or a member that points outside")
        if not info.is_dir():
            named[_free(str(name), named)] = info
    return named


def _free(name: str, taken: dict[str, zipfile.ZipInfo]) -> str:
    """`name`, or for the second member of this name `name#2`: some exports repeat names."""
    count, free = 1, name
    while free in taken:
        count += 1
        free = f"{name}#{count}"
    return free


def _too_dense(unpacked: int, packed: int) -> bool:
    return unpacked > max(HARMLESS_BYTES, MAX_ARCHIVE_RATIO * packed)
