"""GA1: one sealed object as bytes. The format is written down in docs/spec/ga1.md; vectors in tests/vectors.

What an object *means* (workspace, object id, kind, schema) goes into the key derivation, so an object moved,
renamed or given another kind does not open, even when every byte of it is genuine.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance.errors import IntegrityError
from appliance.workspace.keys import SecretKey

MAGIC: Final = b"GA1\x00"
SUITE: Final = 1  # HKDF-SHA512, AES-256-GCM, 16 KiB chunks
CHUNK: Final = 16_384  # plaintext bytes
TAG: Final = 16
SEALED_CHUNK: Final = CHUNK + TAG
_PREFIX: Final = struct.Struct(">4sBBHI16s24s")  # magic, suite, schema, zero, epoch, kind, salt
COMMITMENT_BYTES: Final = 32
HEADER_BYTES: Final = _PREFIX.size + COMMITMENT_BYTES
_HINT: Final = "Restore this file from a backup; results that used it cannot be shown."
_KIND: Final = re.compile(r"[a-z][a-z0-9-]{0,15}")

ReadAt = Callable[[int, int], bytes]  # offset, length -> at most that many bytes


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a sealed object is, apart from its content.

    Attributes:
        workspace_id: 16 bytes.
        object_id: 32 bytes.
        kind: 1 to 16 of `a-z0-9-`, such as `frame` or `report-text`.
        epoch: of the key that sealed it.
        schema: version of what is inside, by kind.
    """

    workspace_id: bytes
    object_id: bytes
    kind: str
    epoch: int = 1
    schema: int = 1

    def __post_init__(self) -> None:
        if len(self.workspace_id) != 16 or len(self.object_id) != 32 or not _KIND.fullmatch(self.kind):
            raise ValueError("not the meaning of a GA1 object")


@dataclass(frozen=True, slots=True, repr=False)
class _Schedule:
    """What HKDF gives for one object; never shown."""

    cipher: AESGCM
    base_nonce: int
    commitment: bytes

    def nonce(self, index: int, last: bool) -> bytes:
        # 11 bytes of counter, 1 byte that is 1 on the last chunk.
        return (self.base_nonce ^ (index << 8 | last)).to_bytes(12, "big")


def seal(key: SecretKey, meaning: Meaning, content: bytes, *, salt: bytes | None = None) -> Iterator[bytes]:
    """Yield the header, then one piece per chunk; joined they are the file.

    Args:
        key: the sealing key of this kind of object.
        meaning: authenticated with the content.
        content: plaintext; empty is allowed.
        salt: 24 bytes, for test vectors only: a salt used twice with the same meaning would repeat nonces.
    """
    prefix = _prefix(meaning, secrets.token_bytes(24) if salt is None else salt)
    schedule = _schedule(key, meaning, prefix)
    yield prefix + schedule.commitment
    view = memoryview(content)
    final = max(0, (len(content) - 1) // CHUNK)
    for index in range(final + 1):
        piece = view[index * CHUNK : (index + 1) * CHUNK]
        yield schedule.cipher.encrypt(schedule.nonce(index, index == final), piece, None)


class Sealer:
    """Seals a content that comes piece by piece and whose length nobody knows before; the same container.

    Args:
        key: the sealing key of this one object.
        meaning: authenticated with the content.
    """

    __slots__ = ("_held", "_index", "_schedule", "header")

    def __init__(self, key: SecretKey, meaning: Meaning) -> None:
        prefix = _prefix(meaning, secrets.token_bytes(24))
        self._schedule = _schedule(key, meaning, prefix)
        self.header = prefix + self._schedule.commitment
        self._held, self._index = bytearray(), 0

    def add(self, piece: bytes) -> bytes:
        """What of the container is finished with this piece; the last chunk is always held back."""
        self._held += piece
        done = []
        while len(self._held) > CHUNK:
            done.append(self._chunk(bytes(self._held[:CHUNK]), last=False))
            del self._held[:CHUNK]
        return b"".join(done)

    def end(self) -> bytes:
        """The last chunk; nothing may be added after it."""
        return self._chunk(bytes(self._held), last=True)

    def _chunk(self, plain: bytes, *, last: bool) -> bytes:
        self._index += 1
        return self._schedule.cipher.encrypt(self._schedule.nonce(self._index - 1, last), plain, None)


class Unsealer:
    """Random access to one sealed object.

    The header and the last chunk are checked at once, so `size` is authentic before anything is read;
    every other chunk is checked when it is touched.
    """

    __slots__ = ("_chunks", "_name", "_read_at", "_schedule", "_sealed_size", "size")

    def __init__(
        self, key: SecretKey, meaning: Meaning, read_at: ReadAt, sealed_size: int, name: str
    ) -> None:
        """Check header and end.

        Args:
            key: the sealing key of this kind of object.
            meaning: what the caller expects to find.
            read_at: reads the container.
            sealed_size: bytes of the whole container.
            name: what an error calls this object.

        Raises:
            IntegrityError: damaged, cut, or not the object that was asked for.
        """
        self._name, self._read_at, self._sealed_size = name, read_at, sealed_size
        header = read_at(0, HEADER_BYTES)
        body = sealed_size - HEADER_BYTES
        self._chunks = -(-body // SEALED_CHUNK)
        if len(header) != HEADER_BYTES or body < TAG:
            raise self._damaged()
        prefix, commitment = header[: _PREFIX.size], header[_PREFIX.size :]
        if prefix != _prefix(meaning, prefix[-24:]):
            raise self._damaged()
        self._schedule = _schedule(key, meaning, prefix)
        if not hmac.compare_digest(commitment, self._schedule.commitment):
            raise self._damaged()
        tail = len(self._unseal_chunks(self._chunks - 1, self._chunks))
        if tail == 0 and self._chunks > 1:  # one content has one container: no empty chunk after a full one
            raise self._damaged()
        self.size = (self._chunks - 1) * CHUNK + tail

    def read(self, start: int, length: int) -> bytes:
        """Plaintext bytes [start, start + length), fewer at the end.

        Raises:
            IntegrityError: a chunk in this range is damaged.
        """
        if start < 0 or length < 0:
            raise ValueError("a range has no negative numbers")
        stop = min(start + length, self.size)
        if start >= stop:
            return b""
        first = start // CHUNK
        plain = self._unseal_chunks(first, -(-stop // CHUNK))
        return plain[start - first * CHUNK : stop - first * CHUNK]

    def _unseal_chunks(self, first: int, stop: int) -> bytes:
        schedule, plain = self._schedule, []
        try:
            for index in range(first, stop):
                begin = HEADER_BYTES + index * SEALED_CHUNK
                sealed = self._read_at(begin, min(SEALED_CHUNK, self._sealed_size - begin))
                nonce = schedule.nonce(index, index == self._chunks - 1)
                plain.append(schedule.cipher.decrypt(nonce, sealed, None))
        except InvalidTag:
            raise self._damaged() from None
        return b"".join(plain)

    def _damaged(self) -> IntegrityError:
        return IntegrityError(f"{self._name} is damaged, cut or not the object it is named after", _HINT)


@contextmanager
def unsealing(path: Path, key: SecretKey, meaning: Meaning, name: str) -> Iterator[Unsealer]:
    """Random access to a sealed file; a link is none, and of a pipe nothing is waited for.

    Args:
        path: the file.
        key: the sealing key of this kind of object.
        meaning: what the caller expects to find.
        name: what an error calls it.

    Raises:
        IntegrityError: missing, unreadable, damaged, cut, or not the object that was asked for.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise IntegrityError(f"{name} cannot be opened: {error.strerror}", _HINT) from None

    def read_at(offset: int, length: int) -> bytes:
        try:
            return os.pread(descriptor, length, offset)
        except OSError as error:
            raise IntegrityError(f"{name} cannot be read: {error.strerror}", _HINT) from None

    try:
        yield Unsealer(key, meaning, read_at, os.fstat(descriptor).st_size, name)
    finally:
        os.close(descriptor)


def has_form(head: bytes, size: int, meaning: Meaning) -> bool:
    """Whether a container may be what is looked for: all that can be said of it without its key.

    Args:
        head: its first `HEADER_BYTES`, or fewer where it is shorter.
        size: bytes of the whole container.
    """
    body = size - HEADER_BYTES
    last = body % SEALED_CHUNK or SEALED_CHUNK
    of_this_meaning = head[: _PREFIX.size] == _prefix(meaning, head[_PREFIX.size - 24 : _PREFIX.size])
    return of_this_meaning and (body == TAG or (body > TAG and last > TAG))


def _prefix(meaning: Meaning, salt: bytes) -> bytes:
    kind = meaning.kind.encode("ascii")
    return _PREFIX.pack(MAGIC, SUITE, meaning.schema, 0, meaning.epoch, kind, salt)


def _schedule(key: SecretKey, meaning: Meaning, prefix: bytes) -> _Schedule:
    info = b"gradaudit GA1 object\x00" + prefix + meaning.workspace_id + meaning.object_id
    okm = HKDF(SHA512(), 76, prefix[-24:], info).derive(key.raw)
    return _Schedule(AESGCM(okm[:32]), int.from_bytes(okm[32:44], "big"), okm[44:])
