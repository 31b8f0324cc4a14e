"""Where received files lie, sealed, until a workspace takes them in.

    spool/receiver.json                 whom they are sealed to
    spool/incoming/<random>             on the way; of no worth after a crash, swept by the next receiver
    spool/arriving/<group>-<name>.sealed    acknowledged; of a study that may not be complete
    spool/ready/<group>-<name>.sealed       of a study to which nothing was added for a while
    spool/quarantine/<group>-<name>.sealed  could not be taken in; never removed by itself

A name is a keyed digest of the content, so what is sent twice lies there once: the new copy in the place of
the old one, which may have been damaged since. Its bytes, then the name, then the folder are flushed before
anybody is told that it was received.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.errors import Busy, CannotWrite, IntegrityError
from appliance.receiver.sealing import Address, Sealing
from appliance.workspace.durable import FILE_MODE, make_directory, sync_directory

FOLDER: Final = "spool"  # of a workspace
ADDRESS: Final = "receiver.json"
TALLY: Final = "tally.json"
LOCK: Final = "lock"
INCOMING, ARRIVING, READY, QUARANTINE = "incoming", "arriving", "ready", "quarantine"
FOLDERS: Final = (INCOMING, ARRIVING, READY, QUARANTINE)
GROUP_DIGITS: Final = 32
_NAME: Final = re.compile(rf"([0-9a-f]{{{GROUP_DIGITS}}})-([0-9a-f]{{64}})\.sealed")
_HOLD_S: Final = 0.05  # between two tries
_LOOK_S: Final = 2.0  # between two looks at how full it is


class ForeignSpool(IntegrityError):
    """Address or folders of the spool are not the workspace's."""


class TooLarge(Exception):
    """One object has more bytes than it may."""


@dataclass(frozen=True, slots=True)
class Received:
    """One sealed file of a spool.

    Attributes:
        group: what belongs together: one study, by a keyed handle.
        path: where it is.
    """

    group: str
    path: Path


class Spool:
    """The folders of one receiver.

    Args:
        root: the folder.
        most_bytes: of all sealed files together; beyond it nothing more is received.
        keep_free: bytes of the disk that stay free.

    Raises:
        ForeignSpool: one of its folders is a link, or none.
    """

    def __init__(self, root: Path, *, most_bytes: int = 1 << 62, keep_free: int = 0) -> None:
        self.root = root
        self.address = Address.read(root / ADDRESS)
        for folder in FOLDERS:  # a backup has no empty ones
            _expect_own(root / folder)
        self._most_bytes, self._keep_free = most_bytes, keep_free
        self._turn = threading.Lock()
        self._counting = threading.Lock()  # of these three
        self._looked_s, self._left, self._asked = -_LOOK_S, 0, 0
        self._lock = -1

    # -- receiving -------------------------------------------------------------------------------------

    def hold(self, patience_s: float = 0.0) -> None:
        """Be the only receiver of this spool, and remove what one that was killed has left half done.

        Args:
            patience_s: for whoever only looks whether there is one.

        Raises:
            Busy: another one receives.
            CannotWrite: the disk refuses.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._lock = os.open(self.root / LOCK, flags, FILE_MODE)
        end = time.monotonic() + patience_s
        while not self._held():
            if time.monotonic() >= end:
                self.release()
                raise Busy("another receiver uses this spool", "Stop that one first.")
            time.sleep(_HOLD_S)
        try:
            self._sweep()
        except OSError as error:
            self.release()
            raise CannotWrite(f"cannot write to the spool: {error.strerror}", "Free some space.") from None

    def _sweep(self) -> None:
        """What was half done goes; what has its name is on disk, also where its folder was not flushed."""
        with self._within(INCOMING) as folder, os.scandir(folder) as entries:
            for left in entries:
                if not left.is_dir(follow_symlinks=False):  # a folder is nothing of ours
                    with suppress(FileNotFoundError):
                        os.unlink(left.name, dir_fd=folder)
        for name in (ARRIVING, READY):
            sync_directory(self.root / name)

    @contextmanager
    def _within(self, folder: str) -> Iterator[int]:
        """A descriptor of one of the folders itself: who receives can lay a link in its place."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.root / folder, flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _held(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def beat(self, *, ending: bool = False) -> None:
        """Say, in the lock, that its receiver lives; or that it ends because somebody stopped it."""
        with suppress(OSError):  # a disk that takes nothing is told elsewhere
            os.ftruncate(self._lock, 0 if ending else 1)
            os.utime(self._lock)

    def release(self) -> None:
        """Let another one receive."""
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def has_room(self) -> bool:
        """Whether more may be received: a look at the disk every two seconds, less what came since."""
        with self._counting:
            return self._room() > 0

    def ask(self, size: int) -> None:
        """So many bytes will be written; `written` says that they were, or could not be.

        Raises:
            OSError: there is no room for them.
        """
        with self._counting:
            if self._room() < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._left -= size
            self._asked += size

    def written(self, size: int) -> None:
        """What was asked for lies on the disk."""
        with self._counting:
            self._asked -= size

    def give_back(self, incoming: Path, size: int) -> None:
        """Remove what comes to nothing; its room is free at once."""
        with self._counting, suppress(OSError):
            incoming.unlink()  # where it has its name already, it is no longer there
            self._left += size

    def _room(self) -> int:
        if time.monotonic() - self._looked_s >= _LOOK_S:
            facts = os.statvfs(self.root)
            free = facts.f_bavail * facts.f_frsize - self._keep_free
            self._left = min(free, self._most_bytes - self.used_bytes()) - self._asked
            self._looked_s = time.monotonic()
        return self._left

    def begin(self, limit: int) -> Incoming:
        """Something that arrives, of at most `limit` bytes.

        Raises:
            OSError: the disk is full or refuses.
        """
        return Incoming(self, limit)

    def settle(self, incoming: Path, group: str, name: str) -> bool:
        """Give a complete file its name; False where the same waits already. It is on disk afterwards.

        It takes the place of the one that waits: whether that one is whole, and on disk, nobody here can say.
        What lies in the quarantine is not counted on either.

        Raises:
            OSError: the disk refuses.
        """
        file = f"{group}-{name}.sealed"
        with self._turn:
            waits = [self.root / name for name in (ARRIVING, READY) if (self.root / name / file).exists()]
            folder = waits[0] if waits else self.root / ARRIVING
            incoming.replace(folder / file)
            sync_directory(folder)
        return not waits

    # -- from one folder to the next -------------------------------------------------------------------

    def listed(self, folder: str) -> list[Received]:
        """The files of a folder, group by group; anything else that lies there is none."""
        with self._within(folder) as there, os.scandir(there) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
        found = ((_NAME.fullmatch(name), name) for name in names)
        return [Received(known[1], self.root / folder / name) for known, name in found if known is not None]

    def move(self, files: list[Received], folder: str) -> None:
        """Move files on; durable, and again where it was cut off.

        Raises:
            CannotWrite: the disk refuses.
        """
        left = {one.path.parent for one in files}
        try:
            with self._turn, self._within(folder) as there:
                for one in files:
                    with suppress(FileNotFoundError), self._within(one.path.parent.name) as here:
                        os.replace(one.path.name, one.path.name, src_dir_fd=here, dst_dir_fd=there)
                for directory in (self.root / folder, *left) if files else ():
                    sync_directory(directory)
        except OSError as error:
            raise CannotWrite(f"cannot write to the spool: {error.strerror}", "Free some space.") from None

    def remove(self, files: list[Received]) -> None:
        """Remove what lies elsewhere by now."""
        for one in files:
            with suppress(FileNotFoundError), self._within(one.path.parent.name) as here:
                os.unlink(one.path.name, dir_fd=here)
        for directory in {one.path.parent for one in files}:
            sync_directory(directory)

    def used_bytes(self) -> int:
        """Bytes of all sealed files."""
        return sum(self._sizes())

    def _sizes(self) -> Iterator[int]:
        for folder in FOLDERS:
            with self._within(folder) as there, os.scandir(there) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        yield entry.stat(follow_symlinks=False).st_size


class Incoming:
    """One object on its way to the disk: sealed piece by piece, in memory never more than a chunk of it."""

    def __init__(self, spool: Spool, limit: int) -> None:
        self._spool, self._left = spool, limit
        self._path = spool.root / INCOMING / secrets.token_hex(16)
        self._digest = hmac.new(spool.address.names.raw, b"content\0", hashlib.sha256)
        self._sealing = Sealing(spool.address)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(self._path, flags, FILE_MODE), "wb", buffering=0)
        self._ended = False
        self._size = 0
        try:
            self._write(self._sealing.head)
        except BaseException:
            self.discard()
            raise

    def write(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            TooLarge: more than it may have.
            OSError: the disk is full or refuses.
        """
        self._left -= len(piece)
        if self._left < 0:
            raise TooLarge
        self._digest.update(piece)
        self._write(self._sealing.add(piece))

    def keep(self, group: str) -> bool:
        """It is complete: make it durable; False where the same was received before.

        Raises:
            OSError: the disk is full or refuses; nothing was kept.
        """
        self._write(self._sealing.end())
        os.fsync(self._file.fileno())
        self._file.close()
        kept = self._spool.settle(self._path, group, self._digest.hexdigest())
        self._ended = True
        return kept

    def discard(self) -> None:
        """It comes to nothing; after `keep` this does nothing."""
        if not self._ended:
            self._ended = True
            self._file.close()
            self._spool.give_back(self._path, self._size)

    def _write(self, data: bytes) -> None:
        self._spool.ask(len(data))
        self._size += len(data)
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        finally:
            self._spool.written(len(data))


def _expect_own(folder: Path) -> None:
    """A folder of a spool, made where it is not there."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ForeignSpool(
            f"{folder.name} of the receiver's spool is no folder of its own",
            "Whoever receives may have laid a link there: see docs/receiver.md.",
        )
    make_directory(folder)


def create(root: Path, address: Address) -> None:
    """Lay out a spool, or give an existing one its address.

    Raises:
        OSError: the disk is full or refuses.
        ForeignSpool: as a spool.
    """
    make_directory(root)
    for folder in FOLDERS:
        _expect_own(root / folder)
    address.write(root / ADDRESS)
    sync_directory(root)
    sync_directory(root.parent)


def group_of(address: Address, *parts: str) -> str:
    """The handle of what belongs together."""
    return address.names.handle("group", *parts)[:GROUP_DIGITS]
