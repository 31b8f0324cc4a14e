"""The evidence log: append, read, prove. Tamper-evident, and closed when it cannot be written.

    journal        magic, then u32 length ‖ canonical entry, again and again
    checkpoints    one line per checkpoint ever signed: size and root
    checkpoint     signed note: origin, size, root
    verifier-key   public key;  signing.key: the owner's secret

An append writes frames, then the history line, then checkpoint.tmp, each with its fsync, renames it and
fsyncs the directory; only then is it acknowledged. What lies behind the checkpoint after a crash was never
acknowledged: the next writer cuts it, and the entry saying so is written in the same step. Anything wrong
before the checkpoint is an alarm and is never repaired.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from appliance.errors import IntegrityError, LogUnwritable
from appliance.evidence import verify_evidence as checked
from appliance.evidence.clock import Clock, SystemClock, set_back
from appliance.evidence.entries import Act, Entry, claimed_ms, decode, encode
from appliance.evidence.locking import exclusive
from appliance.evidence.merkle import consistency_path, inclusion_path, split
from appliance.evidence.notes import KEY_FILE, LogKeys
from appliance.views import LogHealth, LogRow

_STRIDE = 256  # entries between remembered places, and in a cached subtree; a power of two


class EvidenceLog:
    """One log on disk. Several processes may hold it open; an append takes the lock and catches up first."""

    def __init__(self, directory: Path, keys: LogKeys, clock: Clock) -> None:
        self.directory = directory
        self._keys = keys
        self._signer = keys.signer()
        self._clock = clock
        self._mutex = threading.RLock()
        self._trouble: IntegrityError | LogUnwritable | None = None  # stays until the next start
        self._places = array("Q")  # byte of every _STRIDE-th entry
        self._subtrees: list[bytes] = []  # roots of full runs of _STRIDE entries, filled when a proof asks
        self._walk = checked.Walk(self._remember)
        self._note = b""
        self._last: Entry | None = None

    @classmethod
    def open(cls, directory: Path, *, create: bool = True, clock: Clock | None = None) -> EvidenceLog:
        """Open a log and check every byte of it; on first use create it with fresh keys.

        Args:
            directory: where the log lives; its parent exists.
            create: False once a workspace exists, so that a vanished log is an alarm and not a new one.
            clock: source of time; the system's unless a test says otherwise.

        Raises:
            IntegrityError: anything before the checkpoint is not what was signed, or the log is missing.
            LogUnwritable: the log cannot be created, or a torn tail cannot be cut.
            Busy: another process keeps the log locked.
        """
        clock = clock or SystemClock()
        if not directory.is_dir() or not any(directory.iterdir()):
            if not create:
                raise IntegrityError("the log is missing", f"restore {directory} from a backup")
            with exclusive(directory.parent):
                if not directory.is_dir() or not any(directory.iterdir()):
                    _create(directory, clock)
        log = cls(directory, LogKeys.load(directory / KEY_FILE), clock)
        with log._writing():
            pass
        return log

    @property
    def size(self) -> int:
        """Entries under the checkpoint this object has seen last."""
        return self._walk.tree.size

    @property
    def root(self) -> str:
        """Merkle root over them, hex."""
        return self._walk.tree.root().hex()

    @property
    def key_words(self) -> str:
        """The ten words that name the signing key."""
        return self._signer.words

    @property
    def verifier_key(self) -> bytes:
        """The public key in its written form."""
        return self._signer.key.line()

    def identifier(self, text: str) -> str:
        """Keyed HMAC of an identifier, 32 hex digits: what stands in entries instead of a name."""
        return self._keys.identifier(text)

    def append(
        self,
        act: str,
        object_: str = "",
        outcome: str = "ok",
        *,
        actor: str = "system",
        policy_digest: str = "",
        detail_digest: str = "",
        result_root: str = "",
    ) -> Entry:
        """Write one entry and return it once it is on disk and signed. Fields as in `Act`.

        Raises:
            ValueError: a field holds what has no place in a log.
            LogUnwritable: it could not be written; what was to be logged must not happen.
            IntegrityError: the log on disk is not what was signed.
        """
        return self.append_all(
            [Act(act, object_, outcome, actor, policy_digest, detail_digest, result_root)]
        )[-1]

    def append_all(self, acts: Sequence[Act]) -> list[Entry]:
        """Write several entries under one checkpoint: all of them or none. Raises as `append`."""
        with self._writing():
            return self._write(acts)

    def entries(self, offset: int = 0, limit: int = 1000) -> list[Entry]:
        """Up to `limit` entries from number `offset` on; a negative offset counts from the end."""
        start = max(0, offset + self.size if offset < 0 else offset)
        return [decode(data) for data in self._read(start, min(self.size, start + max(0, limit)))]

    def rows(self, offset: int = 0, limit: int = 1000) -> tuple[LogRow, ...]:
        """Up to `limit` entries as rows of a table, oldest first."""
        return tuple(
            LogRow(entry.index, entry.claimed_utc, entry.actor, entry.act, entry.object, entry.outcome)
            for entry in self.entries(offset, limit)
        )

    def about(self, object_: str) -> list[Entry]:
        """All entries about one object, oldest first."""
        needle = b'"object":"' + object_.encode() + b'"'
        return [decode(data) for data in self._read(0, self.size) if needle in data]

    def raw(self, index: int) -> bytes:
        """The canonical bytes of entry `index`."""
        return next(self._read(index, index + 1))

    def close(self) -> None:
        """Nothing is held open between two calls; a closed log refuses further entries."""
        self._trouble = self._trouble or LogUnwritable("the log is closed", "open it again")

    def refresh(self) -> int:
        """Take in what other processes have appended; returns the new size. Raises as `open`."""
        with self._writing():
            return self.size

    def verify(self) -> LogHealth:
        """Read everything again and compare it with the checkpoint and with what this object has seen."""
        try:
            report = checked.check_log(self.directory)
            if report.key != self._signer.key:
                raise checked.Broken("verifier-key: not the public half of signing.key")
            if report.checkpoint.size < self.size:
                raise checked.Broken("checkpoint: older than one this program has seen")
        except (checked.Broken, OSError) as problem:
            return LogHealth(False, self.size, self.root, self.key_words, str(problem))
        head = report.checkpoint
        return LogHealth(True, head.size, head.root.hex(), self.key_words, "")

    # -- proofs

    def checkpoint_at(self, size: int) -> bytes:
        """The signed checkpoint over the first `size` entries, the same bytes whenever it is asked for."""
        return self._signer.checkpoint(checked.Checkpoint(size, self._subtree(0, size)))

    def sign_manifest(self, manifest: bytes) -> bytes:
        """The signed note over an evidence pack's manifest."""
        return self._signer.manifest(manifest)

    def prove_entry(self, index: int, size: int) -> list[bytes]:
        """Inclusion path of an entry in the tree of the first `size` entries."""
        return inclusion_path(index, size, self._subtree)

    def prove_growth(self, old: int, new: int) -> list[bytes]:
        """Consistency path from the tree of `old` entries to the tree of `new` entries."""
        return consistency_path(old, new, self._subtree)

    def _subtree(self, lo: int, hi: int) -> bytes:
        if hi > self.size or lo >= hi:
            raise ValueError("no such part of the log")
        if hi - lo > _STRIDE:
            middle = lo + split(hi - lo)
            return checked.node_hash(self._subtree(lo, middle), self._subtree(middle, hi))
        if hi - lo == _STRIDE and lo % _STRIDE == 0:
            while len(self._subtrees) <= lo // _STRIDE:
                start = len(self._subtrees) * _STRIDE
                self._subtrees.append(self._hash_run(start, start + _STRIDE))
            return self._subtrees[lo // _STRIDE]
        return self._hash_run(lo, hi)

    def _hash_run(self, lo: int, hi: int) -> bytes:
        tree = checked.Tree()
        for data in self._read(lo, hi):
            tree.push(checked.leaf_hash(data))
        return tree.root()

    # -- reading

    def _remember(self, index: int, place: int, leaf: bytes) -> None:
        if index % _STRIDE == 0:
            self._places.append(place)

    def _read(self, start: int, end: int) -> Iterator[bytes]:
        """The entries start … end-1 as bytes, from the nearest remembered place on."""
        if start >= end:
            return
        with (self.directory / "journal").open("rb") as journal:
            journal.seek(self._places[start // _STRIDE])
            for index in range(start - start % _STRIDE, end):
                data = journal.read(int.from_bytes(journal.read(4), "big"))
                if index >= start:
                    yield data

    # -- writing

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the lock, at the end of the log as it is on disk now."""
        with self._mutex, exclusive(self.directory):
            if self._trouble is not None:
                raise self._trouble
            try:
                self._catch_up()
                yield
            except checked.Broken as broken:
                message = f"the log was altered: {broken}"
                self._trouble = IntegrityError(message, "keep the disk as it is and ask for help")
                raise self._trouble from broken

    def _catch_up(self) -> None:
        note = checked.read_log_file(self.directory, "checkpoint", 1024)
        journal_path, history_path = self.directory / "journal", self.directory / "checkpoints"
        if note == self._note and self._ends_here(journal_path, history_path):
            return
        key, head = checked.read_head(self.directory)
        if key != self._signer.key:
            raise checked.Broken("verifier-key: not the public half of signing.key")
        if head.size < self.size:
            raise checked.Broken("checkpoint: older than one this program has seen")
        for path in (journal_path, history_path):
            if not path.is_file():
                raise checked.Broken(path.name + ": missing")
        with journal_path.open("rb") as journal, history_path.open("rb") as history:
            self._walk.advance(journal, history, head)
            tail = journal.read()
            lines = history.read()
        if lines.count(b"\n") > 1:  # a crash leaves one line at most
            raise checked.Broken("checkpoint: older than the history of checkpoints; it was put back")
        if not self._ends_here(journal_path, history_path) and not tail + lines:
            raise checked.Broken("journal: shorter than one this program has seen")
        self._note = note
        self._last = self.entries(-1, 1)[0]
        if tail or lines:
            self._write(
                [Act("log.cut", "log", "cut", detail_digest=hashlib.sha256(tail + lines).hexdigest())]
            )

    def _ends_here(self, journal: Path, history: Path) -> bool:
        sizes = (self._walk.place, self._walk.history_place)
        return sizes == (journal.stat().st_size, history.stat().st_size)

    def _write(self, acts: Sequence[Act]) -> list[Entry]:
        frames = self._frames(acts)
        tree = checked.Tree()
        tree.size, tree.frontier = self._walk.tree.size, list(self._walk.tree.frontier)
        for frame in frames:
            tree.push(checked.leaf_hash(frame))
        head = checked.Checkpoint(tree.size, tree.root())
        body = b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)
        try:
            _overwrite(self.directory / "journal", self._walk.place, body)
            _overwrite(self.directory / "checkpoints", self._walk.history_place, head.line())
            note = self._signer.checkpoint(head)
            _replace(self.directory, "checkpoint", note)
        except OSError as error:
            # After a failed fsync nobody knows what is on disk: a new start reads it and finds out.
            message = f"the log cannot be written ({error.strerror}): nothing was done"
            self._trouble = LogUnwritable(message, "free space or repair the disk, then start again")
            raise self._trouble from error
        journal_path, history_path = self.directory / "journal", self.directory / "checkpoints"
        with journal_path.open("rb") as journal, history_path.open("rb") as history:
            self._walk.advance(journal, history, head)  # what is acknowledged was read back
        written = [decode(frame) for frame in frames]
        self._note, self._last = note, written[-1]
        return written[-len(acts) :]

    def _frames(self, acts: Sequence[Act]) -> list[bytes]:
        if not acts:
            raise ValueError("nothing to log")
        utc_ms, boot_ns = self._clock.utc_ms(), self._clock.boot_ns()
        if self._last is not None and set_back(claimed_ms(self._last), self._last.boot_ns, utc_ms, boot_ns):
            acts = [Act("clock.back", "clock", "noted"), *acts]
        first = self.size
        return [encode(act, first + step, first, utc_ms, boot_ns) for step, act in enumerate(acts)]


def _create(directory: Path, clock: Clock) -> None:
    """Build the whole log beside its place and rename it there: it exists entirely or not at all."""
    nursery = directory.with_name(directory.name + ".new")
    keys = LogKeys.generate()
    signer = keys.signer()
    try:
        shutil.rmtree(nursery, ignore_errors=True)
        nursery.mkdir(mode=0o700)
        keys.save(nursery / KEY_FILE)
        frame = encode(Act("log.create", "log", "ok"), 0, 0, clock.utc_ms(), clock.boot_ns())
        head = checked.Checkpoint(1, checked.leaf_hash(frame))
        journal = checked.JOURNAL_MAGIC + len(frame).to_bytes(4, "big") + frame
        for name, data in (
            ("verifier-key", signer.key.line()),
            ("journal", journal),
            ("checkpoints", head.line()),
            ("checkpoint", signer.checkpoint(head)),
        ):
            _replace(nursery, name, data)
        nursery.rename(directory)
        _sync_directory(directory.parent)
    except OSError as error:
        raise LogUnwritable(
            f"the log cannot be created ({error.strerror})", f"look at {directory}"
        ) from error


def _overwrite(path: Path, place: int, data: bytes) -> None:
    """Write `data` at `place`, let the file end there, and wait for the disk."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        written = 0
        while written < len(data):
            written += os.pwrite(descriptor, data[written:], place + written)
        os.ftruncate(descriptor, place + len(data))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(directory: Path, name: str, data: bytes) -> None:
    """Put a whole small file in place: all of it or none."""
    temporary = directory / (name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.rename(directory / name)
    _sync_directory(directory)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
