"""The evidence log: append, read, prove. Tamper-evident, and closed when it cannot be written.

    journal        magic, then u32 length ‖ canonical entry, again and again
    checkpoints    one line per checkpoint ever signed: size and root
    checkpoint     signed note: origin, size, root
    verifier-key   public key;  signing.key: the owner's secret
    reserve        ballast for the entry that says that the disk is full
    segments/2026  journal, checkpoints, checkpoint of a year that has ended
    index          derived (`index.py`); nothing is lost with it
    witness/<name> what a witness has cosigned

An append writes frames, then the history line, then checkpoint.tmp, each with its fsync, renames it and
fsyncs the directory; only then is it acknowledged. What lies behind the checkpoint after a crash was never
acknowledged: the next writer cuts it, and the entry saying so is written in the same step. Anything wrong
before the checkpoint is an alarm and is never repaired.
"""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from appliance.errors import Busy, IntegrityError, LogUnwritable, UsageError
from appliance.evidence import files, segments, standing
from appliance.evidence import verify_evidence as checked
from appliance.evidence.clock import Clock, SystemClock, jumped
from appliance.evidence.entries import Act, Entry, Placed, claimed_ms, decode, encode
from appliance.evidence.index import Index
from appliance.evidence.journal import Journal
from appliance.evidence.locking import exclusive
from appliance.evidence.notes import KEY_FILE, LogKeys
from appliance.evidence.pieces import Unfit
from appliance.evidence.queries import Queries
from appliance.evidence.walk import Walk, from_the_beginning, resumed
from appliance.views import LogHealth

_NOWHERE = checked.FIRST._replace(header=b"")


class EvidenceLog(Queries):
    """One log on disk. Several processes may hold it open; an append takes the lock and catches up first."""

    def __init__(self, directory: Path, keys: LogKeys, clock: Clock) -> None:
        super().__init__()
        self.directory = directory
        self._keys = keys
        self._signer = keys.signer()
        self.clock = clock
        self._mutex = threading.RLock()
        self._trouble: IntegrityError | LogUnwritable | None = None  # stays until the next start
        self._index = Index(directory)
        self._journal = Journal(directory, self._index)
        self._walk = Walk(self._journal.remember)
        self._note = b""
        self._live = _NOWHERE  # the open segment's beginning
        self._last: Entry | None = None
        self._rederived: tuple[checked.Checkpoint, str] | None = None  # by this program: up to where, when

    @classmethod
    def open(cls, directory: Path, *, create: bool = True, clock: Clock | None = None) -> EvidenceLog:
        """Open a log and check every byte of it that no index vouches for; on first use create it.

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
                    segments.create(directory, clock)
        log = cls(directory, LogKeys.load(directory / KEY_FILE), clock)
        log.refresh()
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

    def append_all(self, acts: Sequence[Act | Placed]) -> list[Entry]:
        """Write several entries under one checkpoint: all of them or none. Raises as `append`."""
        with self._writing():
            self._refill()
            written = self._write(acts)
        self._grow_index()
        return written

    def closed_years(self) -> tuple[str, ...]:
        """The years that have their own segment, oldest first."""
        return tuple(folder.name for folder in checked.closed_segments(self.directory))

    def remove_oldest_year(self, actor: str = "system") -> str:
        """Remove the oldest closed year after an entry that names the root it ended with; its name.

        Raises:
            UsageError: no year is closed.
            LogUnwritable, IntegrityError: as `append`.
        """
        with self._writing():
            folder = next(iter(checked.closed_segments(self.directory)), None)
            if folder is None:
                raise UsageError("no year of the log is closed yet", "see `gradaudit log verify`")
            note = checked.read_log_file(folder, "checkpoint", 1024)
            head = checked.open_checkpoint(note, self._signer.key, f"segments/{folder.name}/checkpoint")
            self._refill()
            self._write([Act("log.prune", "log", "done", actor, result_root=head.root.hex())])
            try:
                files.remove_folder(folder, f"{folder.name}.old")
            except OSError as error:
                raise self._refusal(error) from error
            self._index.forget()  # it knows of what has gone
            self._note, self._live = b"", _NOWHERE
            self._catch_up()
            return folder.name

    def close(self) -> None:
        """Nothing is held open between two calls; a closed log refuses further entries."""
        self._trouble = self._trouble or LogUnwritable("the log is closed", "open it again")

    def refresh(self) -> int:
        """Take in what other processes have appended; returns the new size. Raises as `open`."""
        with self._writing():
            size = self.size
        self._grow_index()
        return size

    def entrust(self, key: bytes) -> None:
        """Vouch for the index with a key that the disk does not hold. Raises as `open`.

        Until then the index is believed if nothing happened to it by accident; nobody sees anything then.
        """
        if self._index.entrust(key):
            self._grow_index()
        else:
            self.rederive()

    def rederive(self) -> None:
        """Go through the whole log, and make the index anew. Raises as `open`."""
        with self._mutex:
            self._index.forget()
            self._note, self._live = b"", _NOWHERE
            self.refresh()

    def verify(self, on_step: Callable[[int, int], None] | None = None) -> LogHealth:
        """Read everything again and compare it with the checkpoint and with what this object has seen.

        Args:
            on_step: called now and then with how many entries were read, of how many; may raise to stop.
        """
        seen = self.size
        try:
            report = checked.check_log(self.directory, standing.steps(seen, on_step))
            if report.key != self._signer.key:
                raise checked.Broken("verifier-key: not the public half of signing.key")
            if report.checkpoint.size < seen:
                raise checked.Broken("checkpoint: older than one this program has seen")
            with suppress(Busy, LogUnwritable):  # an answer all the same
                self.refresh()
        except (checked.Broken, OSError, IntegrityError) as problem:
            return standing.broken(self, problem)
        self._rederived = report.checkpoint, checked.moment(self.clock.utc_ms() // 1000)
        self._index.keep_verified(*self._rederived)
        return standing.health_of(report, self, self.clock.utc_ms())

    def health(self) -> LogHealth:
        """What is known without reading all of it: what was verified last; what came since was as it came."""
        with suppress(Busy, LogUnwritable, IntegrityError):  # what was noticed before stays noticed
            self.refresh()
        if isinstance(self._trouble, IntegrityError):
            return standing.broken(self, self._trouble)
        return standing.known(self, self._rederived or self._index.verified(), self.clock.utc_ms())

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
        with journal_path.open("rb") as journal:
            live = checked.read_start(journal, key, "journal")
            self._settle(key, live)
            tail, lines = self._follow(journal, key, live, head)
        if lines.count(b"\n") > 1:  # a crash leaves one line at most
            raise checked.Broken("checkpoint: older than the history of checkpoints; it was put back")
        if not self._ends_here(journal_path, history_path) and not tail + lines:
            raise checked.Broken("journal: shorter than one this program has seen")
        if self._walk.origin.size and self._walk.origin.root.hex() not in self._walk.pruned:
            raise checked.Broken("segments: the oldest entries are missing, and no entry says why")
        self._note, self._live = note, live
        self._last = decode(next(self._journal.read(self.size - 1, self.size)))
        if tail or lines:
            self._write(
                [Act("log.cut", "log", "cut", detail_digest=hashlib.sha256(tail + lines).hexdigest())]
            )

    def _follow(
        self, journal: BinaryIO, key: checked.Key, live: checked.Start, head: checked.Checkpoint
    ) -> tuple[bytes, bytes]:
        """Walk up to the checkpoint, from the index's end where that leads there; what lies behind it."""
        if live == self._live:
            return self._advance(journal, head)
        seen = checked.Checkpoint(self.size, self._walk.tree.root())
        with suppress(checked.Broken, Unfit, IntegrityError):
            found = resumed(self.directory, self._index, key, live)
            if found is not None:
                self._walk, self._journal = found
                behind = self._advance(journal, head)
                self._journal.leaf(head.size - 1)
                if not seen.size or self._journal.root_at(seen.size) == seen.root:
                    return behind
        self._walk, self._journal = from_the_beginning(self.directory, self._index, key, live, seen.size)
        behind = self._advance(journal, head)
        if seen.size and self._walk.roots[seen.size] != seen.root:
            raise checked.Broken("journal: another history than this program has seen")
        self._rederived = head, checked.moment(self.clock.utc_ms() // 1000)
        return behind

    def _advance(self, journal: BinaryIO, head: checked.Checkpoint) -> tuple[bytes, bytes]:
        with (self.directory / "checkpoints").open("rb") as history:
            self._walk.advance(journal, history, head)
            return journal.read(), history.read()

    def _grow_index(self) -> None:
        """Not under the lock of other writers: what is in the log does not change."""
        with self._mutex:
            self._index.extend(self._journal)
            self._journal.hand_over()

    def _settle(self, key: checked.Key, live: checked.Start) -> None:
        try:
            segments.settle(self.directory, key, live)
        except OSError as error:
            raise self._refusal(error) from error

    def _ends_here(self, journal: Path, history: Path) -> bool:
        sizes = (self._walk.place, self._walk.history_place)
        return sizes == (journal.stat().st_size, history.stat().st_size)

    def _refill(self) -> None:
        """Without room to say that the disk is full no act may begin."""
        if not files.holds_reserve(self.directory):
            try:
                files.fill_reserve(self.directory)
            except OSError as error:
                raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> LogUnwritable:
        message = f"the log cannot be written ({error.strerror}): nothing was done"
        return LogUnwritable(message, "free space or repair the disk, then start again")

    def _write(self, acts: Sequence[Act | Placed]) -> list[Entry]:
        try:
            if int(self._walk.year) < year_of(self.clock.utc_ms()):
                self._roll_over()
            return self._commit(acts)
        except OSError as error:
            # After a failed fsync nobody knows what is on disk: a new start reads it and finds out.
            self._trouble = self._refusal(error)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                self._say_full()
            raise self._trouble from error

    def _say_full(self) -> None:
        """Give up the ballast for one last entry, unless the disk holds more than was acknowledged."""
        with suppress(OSError):
            with (self.directory / "journal").open("rb") as journal:
                header = journal.read(len(self._live.header))
            note = (self.directory / "checkpoint").read_bytes()
            if note == self._note and header == self._live.header:
                files.release_reserve(self.directory)
                self._commit([Act("log.full", "log", "refused")])

    def _roll_over(self) -> None:
        """Close the year that has ended, and begin the next one where it ends."""
        if self._last is None or self._last.act != "log.segment":
            segments.make_home(self.directory)  # this checkpoint's wait is the folder's, too
            self._commit([Act("log.segment", "log", "done", result_root=self.root)])
        year = year_of(self.clock.utc_ms())
        header = checked.compose_start(self._note, self._walk.tree.frontier, year)
        segments.roll_over(self.directory, self._walk.year, header)
        with (self.directory / "journal").open("rb") as journal:
            live = checked.read_start(journal, self._signer.key, "journal")
        self._walk.begin(live)
        self._journal.begin(live)
        self._live = live

    def _commit(self, acts: Sequence[Act | Placed]) -> list[Entry]:
        """Frames, history line, checkpoint: in this order, each on disk before the next. Raises OSError."""
        frames = self._frames(acts)
        tree = checked.Tree()
        tree.size, tree.frontier = self._walk.tree.size, list(self._walk.tree.frontier)
        for frame in frames:
            tree.push(checked.leaf_hash(frame))
        head = checked.Checkpoint(tree.size, tree.root())
        body = b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)
        journal_path, history_path = self.directory / "journal", self.directory / "checkpoints"
        files.overwrite(journal_path, self._walk.place, body)
        files.overwrite(history_path, self._walk.history_place, head.line())
        note = self._signer.checkpoint(head)
        files.replace(self.directory, "checkpoint", note)
        with journal_path.open("rb") as journal, history_path.open("rb") as history:
            self._walk.advance(journal, history, head)  # what is acknowledged was read back
        written = [decode(frame) for frame in frames]
        self._note, self._last = note, written[-1]
        return written[-len(acts) :]

    def _frames(self, acts: Sequence[Act | Placed]) -> list[bytes]:
        if not acts:
            raise ValueError("nothing to log")
        utc_ms, boot_ns = self.clock.utc_ms(), self.clock.boot_ns()
        last = self._last
        if last is not None and (jump := jumped(claimed_ms(last), last.boot_ns, utc_ms, boot_ns)):
            acts = [Act(jump, "clock", "noted"), *acts]
        first = self.size
        placed = [act if isinstance(act, Act) else act(first + step) for step, act in enumerate(acts)]
        return [encode(act, first + step, first, utc_ms, boot_ns) for step, act in enumerate(placed)]


def year_of(utc_ms: int) -> int:
    """The calendar year, UTC."""
    return datetime.fromtimestamp(utc_ms // 1000, UTC).year
