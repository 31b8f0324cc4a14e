"""A log's files come and go: all at once when it is made, year by year afterwards.

A year is closed by copying its three files to segments/<year>, then renaming a new journal and an empty
history over the open ones. Killed between the steps, the log is in one of two states that a reader can tell:
the copy is there and the journal is still the old one (the copy is then dropped and made anew), or the
journal is new and the history is still the old one, byte for byte as in the copy (it is then emptied).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from appliance.errors import LogUnwritable
from appliance.evidence import files
from appliance.evidence import verify_evidence as checked
from appliance.evidence.clock import Clock
from appliance.evidence.entries import Act, encode
from appliance.evidence.notes import KEY_FILE, LogKeys

FOLDER = "segments"
_FILES = ("journal", "checkpoints", "checkpoint")


def create(directory: Path, clock: Clock) -> None:
    """Build the whole log beside its place and rename it there: it exists entirely or not at all.

    Raises:
        LogUnwritable: the disk is full or refuses.
    """
    nursery = directory.with_name(directory.name + ".new")
    keys = LogKeys.generate()
    signer = keys.signer()
    try:
        shutil.rmtree(nursery, ignore_errors=True)
        nursery.mkdir(mode=0o700)
        keys.save(nursery / KEY_FILE)
        files.fill_reserve(nursery)
        frame = encode(Act("log.create", "log", "ok"), 0, 0, clock.utc_ms(), clock.boot_ns())
        head = checked.Checkpoint(1, checked.leaf_hash(frame))
        journal = checked.JOURNAL_MAGIC + len(frame).to_bytes(4, "big") + frame
        for name, data in (
            ("verifier-key", signer.key.line()),
            ("journal", journal),
            ("checkpoints", head.line()),
            ("checkpoint", signer.checkpoint(head)),
        ):
            files.replace(nursery, name, data)
        nursery.rename(directory)
        files.sync_directory(directory.parent)
    except OSError as error:
        raise LogUnwritable(
            f"the log cannot be created ({error.strerror})", f"look at {directory}"
        ) from error


def make_home(directory: Path) -> None:
    """The folder of closed years, which the next wait for the log's folder puts on disk."""
    home = directory / FOLDER
    if not home.is_dir():
        home.mkdir(mode=0o700)


def roll_over(directory: Path, year: str, header: bytes) -> None:
    """Close a year and begin the next with `header`; the checkpoint covers the open journal to its end.

    Raises:
        OSError: the disk is full or refuses; the next start finds out how far this came.
    """
    home = directory / FOLDER
    if not home.is_dir():
        home.mkdir(mode=0o700)
        files.sync_directory(directory)
    nursery = home / f"{year}.new"
    shutil.rmtree(nursery, ignore_errors=True)
    nursery.mkdir(mode=0o700)
    for name in _FILES:
        files.write_new(nursery / name, (directory / name).read_bytes())
    files.sync_directory(nursery)
    nursery.rename(home / year)
    files.sync_directory(home)
    files.replace(directory, "journal", header)
    files.replace(directory, "checkpoints", b"")


def settle(directory: Path, key: checked.Key, live: checked.Start) -> None:
    """Bring a roll-over that was cut off to one of its ends, and take away what it or a pruning left.

    Raises:
        OSError: the disk refuses.
    """
    for leftover in sorted((directory / FOLDER).glob("[0-9][0-9][0-9][0-9].*")):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover)
    closed = checked.closed_segments(directory)
    if not closed:
        return
    last = closed[-1]
    with (last / "journal").open("rb") as journal:
        start = checked.read_start(journal, key, f"{FOLDER}/{last.name}/journal")
    if start == live:
        files.remove_folder(last, f"{last.name}.new")
    elif checked.is_copy(directory, last.name):
        files.replace(directory, "checkpoints", b"")
