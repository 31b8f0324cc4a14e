"""What lies where in a workspace, and what has no place there. Used by whoever goes through all of it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final


class Part(StrEnum):
    """What a file of a workspace is."""

    KEYRING = "keyring"
    CATALOGUE = "catalogue"
    OBJECT = "object"
    STEP = "step"
    EVIDENCE = "evidence"
    DAMAGED = "damaged"  # a batch of findings that was set aside
    INTAKE = "intake"
    RECEIVED = "received"  # sealed from the network, and could not be taken in
    LOG = "log"
    LOG_KEY = "log key"
    PASSING = "passing"  # a lock, ballast, or on its way: means nothing to a copy
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Found:
    """One file below a workspace.

    Attributes:
        name: path below the workspace, with `/`.
        path: where it is.
        part: what it is.
        trouble: why it cannot be what it should be, else empty.
    """

    name: str
    path: Path
    part: Part
    trouble: str = ""


_FILES: Final = tuple(
    (re.compile(pattern), part)
    for pattern, part in (
        (r"keyring\.json", Part.KEYRING),
        (r"catalogue(\.[1-9][0-9]{0,9})?\.db", Part.CATALOGUE),
        (r"catalogue(\.[1-9][0-9]{0,9})?\.db(-wal|-shm|-journal|\.before-[0-9]+)", Part.PASSING),
        (r"objects/([0-9a-f]{2})/\1[0-9a-f]{62}\.ga1", Part.OBJECT),
        (r"objects/incoming/[0-9a-f]{32}", Part.PASSING),
        (r"steps/A-[0-9a-f]{12}/[0-9a-f]{64}(\.copy)?\.ga1", Part.STEP),
        (r"evidence/waiting/[0-9a-f]{64}\.[a-z-]+\.sealed", Part.EVIDENCE),
        (r"evidence/damaged/[0-9a-f]{64}\.[a-z-]+\.sealed", Part.DAMAGED),
        (r"evidence/evidence-[0-9a-f]{16}\.db(-wal)?", Part.EVIDENCE),
        (r"evidence/evidence-[0-9a-f]{16}(\.db(-shm|-journal)|\.building(-[a-z]+)?)", Part.PASSING),
        (r"evidence/evidence-[0-9a-f]{16}\.db-columns-[0-9a-f]{64}(\.tmp)?", Part.PASSING),
        (r"evidence/waiting/\.[0-9a-f]{64}\.[a-z-]+\.sealed\.[0-9a-f]{16}", Part.PASSING),
        (r"quarantine/[0-9a-f]{16}\.json", Part.INTAKE),
        (r"quarantine/\.[0-9a-f]{16}\.json\.[0-9a-f]{16}", Part.PASSING),
        (r"spool/receiver\.json|spool/quarantine/[0-9a-f]{32}-[0-9a-f]{64}\.sealed", Part.RECEIVED),
        (r"spool/(arriving|ready)/[0-9a-f]{32}-[0-9a-f]{64}\.sealed", Part.PASSING),
        (r"spool/(incoming/[0-9a-f]{32}|lock|\.receiver\.json\.[0-9a-f]{16})", Part.PASSING),
        (r"spool/(tally\.json|\.tally\.json\.[0-9a-f]{16})", Part.PASSING),
        (r"log/signing\.key", Part.LOG_KEY),
        (r"log/reserve|log/[a-z./-]*\.tmp|log/segments/[0-9]{4}\.[a-z]+/[a-z]+", Part.PASSING),
        (r"log/index/(verified|[0-9]{12})(\.[0-9]+\.tmp)?", Part.PASSING),
        (r"log/(journal|checkpoint|checkpoints|verifier-key|settings)", Part.LOG),
        (r"log/segments/[0-9]{4}/(journal|checkpoint|checkpoints)", Part.LOG),
        (r"log/witness/[A-Za-z0-9][A-Za-z0-9._-]*", Part.LOG),
        (r"lock|lockout|auditing|evidence/lock|\.keyring\.json\.[0-9a-f]{16}", Part.PASSING),
        (r"runner|run\.progress|\.run\.progress\.[0-9a-f]{16}", Part.PASSING),
        (r"service\.beat|\.service\.beat\.[0-9a-f]{16}", Part.PASSING),
        (r"steps/A-[0-9a-f]{12}/\.[0-9a-f]{64}(\.copy)?\.ga1\.[0-9a-f]{16}", Part.PASSING),
    )
)
_FOLDERS: Final = re.compile(
    r"objects(/[0-9a-f]{2}|/incoming)?|steps(/A-[0-9a-f]{12})?|evidence(/waiting|/damaged)?|quarantine"
    r"|spool(/incoming|/arriving|/ready|/quarantine)?"
    r"|log(/segments(/[0-9]{4}(\.[a-z]+)?)?|/witness|/index)?"
)


def part_of(name: str) -> Part:
    """What a file of this name is."""
    return next((part for pattern, part in _FILES if pattern.fullmatch(name)), Part.FOREIGN)


def is_folder(name: str) -> bool:
    """Whether a workspace may have a folder of this name."""
    return _FOLDERS.fullmatch(name) is not None


def walk(root: Path) -> Iterator[Found]:
    """Every file of a workspace by name, and whatever does not belong there."""
    yield from _walk(root, "")


def _walk(folder: Path, inside: str) -> Iterator[Found]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Found(inside or ".", folder, Part.FOREIGN, f"cannot be opened: {error.strerror}")
        return
    for entry in entries:
        name, path = f"{inside}{entry.name}", Path(entry.path)
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:  # gone meanwhile: settled, merged or swept by a writer
            continue
        except OSError as error:
            yield Found(name, path, part_of(name), f"cannot be read: {error.strerror}")
            continue
        if stat.S_ISDIR(mode):
            if is_folder(name):
                yield from _walk(path, f"{name}/")
            else:
                yield Found(name, path, Part.FOREIGN, "a folder that is no part of a workspace")
            continue
        part = part_of(name)
        yield Found(name, path, part, _trouble(mode, part))


def _trouble(mode: int, part: Part) -> str:
    if stat.S_ISLNK(mode):
        return "a link: a workspace holds files only"
    if not stat.S_ISREG(mode):
        return "not a file"
    if part is Part.FOREIGN:
        return "no part of a workspace"
    if part is Part.DAMAGED:
        return "a batch that could not be opened, and was set aside"
    if mode & 0o077:
        return "other accounts of this machine may open it"
    return ""
