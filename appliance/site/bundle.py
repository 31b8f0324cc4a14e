"""The file that carries the appliance to a machine without a network: its format, and how it is checked.

A plain tar in one exact form: `bundle.json` (canonical JSON: what this is, what it needs, every file with its
size and SHA-256), `bundle.key`, `bundle.sig` (a signed note over the digest of `bundle.json`), then the files
in the order of the list. Headers are rebuilt and compared, so no byte of the file is free. Runs on Python's
standard library alone, before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from appliance.evidence.verify_evidence import (
    Broken,
    Key,
    canonical,
    open_note,
    parse_canonical,
    parse_key,
    ten_words,
)

FORMAT: Final = "gradaudit-bundle/1"
KEY_NAME: Final = "gradaudit/bundle"
MANIFEST, KEY, SIGNATURE = "bundle.json", "bundle.key", "bundle.sig"
BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)
MOST_MANIFEST: Final = 1 << 23  # bytes; 2,000 files take 0.3 MB
_AT_ONCE: Final = 1 << 20
_MOST_NAMED: Final = 10
_PART = r"(?:[A-Za-z0-9_+][A-Za-z0-9._+@!-]*|\.[a-z][a-z.]*)"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")


class Refused(Exception):
    """The bundle, or this machine, is not as it must be; nothing was installed."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Tampered(Refused):
    """Some byte of the bundle is not what was signed; the message names the file."""

    exit_code = 20

    def __init__(self, message: str) -> None:
        super().__init__(
            message, "nothing was installed; fetch the bundle again, and ask its maker if that does not help"
        )


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a bundle.

    Attributes:
        name: path inside the bundle, with forward slashes.
        size: bytes.
        sha256: hexadecimal.
        runs: whether it may be executed.
    """

    name: str
    size: int
    sha256: str
    runs: bool

    def plain(self) -> dict[str, Any]:
        """As it stands in the list."""
        return {"name": self.name, "runs": int(self.runs), "sha256": self.sha256, "size": self.size}


@dataclass(frozen=True, slots=True)
class Needs:
    """What a machine must have.

    Attributes:
        python: major and minor version, `3.11`: wheels are built for one.
        machine: processor, as `uname -m` says it.
        glibc: the oldest version that every wheel runs on.
        kernel: layers of isolation without which no audit starts.
        wanted: layers that doctor warns about where they are missing.
        room: bytes that the installation takes.
    """

    python: str
    machine: str
    glibc: str
    kernel: tuple[str, ...]
    wanted: tuple[str, ...]
    room: int

    def plain(self) -> dict[str, Any]:
        """As it stands in `bundle.json`."""
        return {
            "glibc": self.glibc,
            "kernel": list(self.kernel),
            "machine": self.machine,
            "python": self.python,
            "room": self.room,
            "wanted": list(self.wanted),
        }


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `bundle.json` says."""

    version: str
    commit: str
    made: str
    needs: Needs
    files: tuple[Member, ...]

    def encoded(self) -> bytes:
        """The bytes that are signed by way of their digest."""
        return canonical(
            {
                "commit": self.commit,
                "files": [member.plain() for member in self.files],
                "format": FORMAT,
                "made": self.made,
                "needs": self.needs.plain(),
                "version": self.version,
            }
        )


def signed_text(manifest: bytes) -> bytes:
    """What the key of a bundle signs."""
    return f"{FORMAT}\n{hashlib.sha256(manifest).hexdigest()}\n".encode()


def identity(manifest: bytes) -> str:
    """The name of this very bundle among installed versions."""
    return hashlib.sha256(manifest).hexdigest()[:16]


def header(member: Member) -> bytes:
    """The only header a member may have: no owner, no time, one of two modes."""
    told = tarfile.TarInfo(member.name)
    told.size, told.mode = member.size, 0o755 if member.runs else 0o644
    return told.tobuf(tarfile.GNU_FORMAT)


def padding(size: int) -> bytes:
    """The zeros after a member's content."""
    return bytes(-size % BLOCK)


class Bundle:
    """A bundle opened for reading; its list of files is signed by `key`.

    `begins` is where the files begin. Use as a context. `unpack` reads everything else once and says which
    files are not as signed.
    """

    def __init__(self, path: Path) -> None:
        """Read list, key and signature.

        Raises:
            Refused: the file cannot be read or is no bundle.
            Tampered: the list is not what that key signed.
        """
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as unreadable:
            raise Refused(
                f"{path} cannot be read: {unreadable.strerror}",
                "give the file that `./install.sh bundle` wrote",
            ) from unreadable
        try:
            self._begin()
        except BaseException:
            self._file.close()
            raise

    def _begin(self) -> None:
        self.manifest_bytes = self._small(MANIFEST, MOST_MANIFEST)
        key = self._small(KEY, 1024)
        note = self._small(SIGNATURE, 1024)
        try:
            self.key = parse_key(key, KEY)
        except Broken as broken:
            raise Tampered(f"{KEY}: not the key of a bundle") from broken
        try:
            signed = open_note(note, self.key, SIGNATURE)
        except Broken as broken:
            raise Tampered(f"{SIGNATURE}: the signature does not match") from broken
        if self.key.name != KEY_NAME or signed != signed_text(self.manifest_bytes):
            raise Tampered(f"{MANIFEST}: not what was signed")
        self.manifest = parse(self.manifest_bytes)
        self.begins = self._file.tell()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def rewind(self) -> None:
        """Be ready for another `unpack`."""
        self._file.seek(self.begins)

    @property
    def words(self) -> str:
        """The ten words of the key that signed it."""
        return ten_words(self.key.public)

    @property
    def identity(self) -> str:
        """See `identity`."""
        return identity(self.manifest_bytes)

    def unpack(self, folder: Path | None) -> None:
        """Check every file, and write each into `folder` as it is read, where one is given.

        What was written is to be used only if this returns: the medium is read once, so what was checked is
        what was written.

        Raises:
            Tampered: naming the files that are not as signed, or are missing, or too many.
        """
        wrong = [name for member in self.manifest.files for name in self._one(member, folder)]
        rest = self._file.read(len(END) + 1)
        if not wrong and rest != END:
            raise Tampered("the file goes on, or breaks off, after the last of its files")
        if wrong:
            more = f" and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
            raise Tampered(f"not as signed: {', '.join(wrong[:_MOST_NAMED])}{more}")

    def _one(self, member: Member, folder: Path | None) -> Iterator[str]:
        """The name, where the member is not as signed."""
        told = header(member)
        as_told = self._file.read(len(told)) == told
        digest = hashlib.sha256()
        target = None if folder is None else _made(folder / member.name, member.runs)
        left = member.size
        try:
            while left and (piece := self._file.read(min(left, _AT_ONCE))):
                left -= len(piece)
                digest.update(piece)
                if target is not None:
                    target.write(piece)
        finally:
            if target is not None:
                target.close()
        padded = self._file.read(-member.size % BLOCK) == padding(member.size)
        if not as_told or left or not padded or digest.hexdigest() != member.sha256:
            yield member.name

    def _small(self, name: str, most: int) -> bytes:
        """The content of one of the three members that the list does not name."""
        found = self._file.read(BLOCK)
        try:
            size = int(found[124:135], 8) if found[124:125] in b"01234567" and len(found) == BLOCK else -1
        except ValueError:
            size = -1
        if not 0 < size <= most or found != header(Member(name, size, "", runs=False)):
            if name == MANIFEST:
                raise Refused(
                    "this is no bundle, or its beginning is damaged",
                    "give the file that `./install.sh bundle` wrote",
                )
            raise Tampered(
                f"{name}: missing or damaged" + (": the bundle is not signed" if name == SIGNATURE else "")
            )
        content = self._file.read(size)
        if len(content) != size or self._file.read(-size % BLOCK) != padding(size):
            raise Tampered(f"{name}: it breaks off")
        return content


def parse(data: bytes) -> Manifest:
    """What the bytes of `bundle.json` say.

    Raises:
        Tampered: they are not in the one form that `Manifest.encoded` writes.
        Refused: it is a bundle of another format.
    """
    try:
        told = parse_canonical(data, MANIFEST)
        if told["format"] != FORMAT:
            raise Refused(
                f"a bundle of the format {str(told['format'])[:40]!r}", f"this installer reads {FORMAT}"
            )
        needs = told["needs"]
        found = Manifest(
            told["version"],
            told["commit"],
            told["made"],
            Needs(
                needs["python"],
                needs["machine"],
                needs["glibc"],
                tuple(needs["kernel"]),
                tuple(needs["wanted"]),
                needs["room"],
            ),
            tuple(
                Member(one["name"], one["size"], one["sha256"], bool(one["runs"])) for one in told["files"]
            ),
        )
        if found.encoded() != data:
            raise Tampered(f"{MANIFEST}: more or less than a list of files")
        _expect_sound(found)
    except (Broken, KeyError, TypeError, ValueError, AttributeError) as broken:
        raise Tampered(f"{MANIFEST}: not a list of files") from broken
    return found


def _expect_sound(manifest: Manifest) -> None:
    """Signed or not, no name leads out of the folder and none stands twice."""
    names = [member.name for member in manifest.files]
    for member in manifest.files:
        if not _NAME.fullmatch(member.name):
            raise Tampered(f"{MANIFEST}: a name no file may have")
        if not re.fullmatch("[0-9a-f]{64}", member.sha256) or not 0 <= member.size < 1 << 33:
            raise Tampered(f"{MANIFEST}: not a size and a digest")
    if len(set(names)) != len(names):
        raise Tampered(f"{MANIFEST}: a name stands twice")
    for pattern, text in (
        (r"3\.\d{1,2}", manifest.needs.python),
        (r"\d\.\d{1,3}", manifest.needs.glibc),
        (r"[a-z0-9_]{1,20}", manifest.needs.machine),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", manifest.made),
    ):
        if not re.fullmatch(pattern, text):
            raise Tampered(f"{MANIFEST}: not a list of needs")


def _made(path: Path, runs: bool) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o755 if runs else 0o644), "wb")


def measured(name: str, path: Path) -> Member:
    """A file as the list will name it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_AT_ONCE):
            digest.update(piece)
        size = file.tell()
    return Member(name, size, digest.hexdigest(), bool(path.stat().st_mode & 0o100))


def written(
    out: BinaryIO, manifest: bytes, key: Key, note: bytes, files: Iterable[tuple[Member, Path]]
) -> None:
    """Write a bundle.

    Raises:
        ValueError: a file is not what was measured.
    """
    for name, content in ((MANIFEST, manifest), (KEY, key.line()), (SIGNATURE, note)):
        out.write(header(Member(name, len(content), "", runs=False)) + content + padding(len(content)))
    for member, path in files:
        out.write(header(member))
        with path.open("rb") as file:
            length = 0
            while piece := file.read(_AT_ONCE):
                length += len(piece)
                out.write(piece)
        if length != member.size:
            raise ValueError(f"{member.name} changed while the bundle was written")
        out.write(padding(member.size))
    out.write(END)
