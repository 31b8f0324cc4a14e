"""What a design hands to the officer: canary studies to lie among the outgoing ones, and who may leave.

    studies/<digest>.dcm     image and report of every planted copy; names say nothing
    release-list.csv         pseudonyms that may leave, those of planted canaries among them

Nothing here tells a canary from a patient or says who is held back. The folder follows from the sealed
assignment, so a write that was cut off can be done again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from appliance.designs.assignment import Arm, Assignment, PlacedCanary, PlacedPatient
from appliance.errors import CannotWrite, IntegrityError, UsageError
from appliance.workspace.building import building_up
from appliance.workspace.durable import make_directory, write_new
from medio.canary import Canary

Maker = Callable[[str], Canary]  # canary's name -> canary; made anew each time, so one is in memory
RELEASE_LIST = "release-list.csv"
STUDIES = "studies"


def check(folder: Path, workspace: Path) -> None:
    """Make sure that the folder can be made.

    Raises:
        UsageError: it is inside the workspace, has no parent, or there is something already.
    """
    if folder.resolve().is_relative_to(workspace.resolve()):
        raise UsageError("studies that leave cannot lie in the workspace", "choose a folder outside it")
    if not folder.parent.is_dir():
        raise UsageError("the folder that is to hold the output is not there", "make it first")
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
        raise UsageError("there is something at the place of the output", "name a folder that does not exist")


def content(
    patients: Sequence[PlacedPatient], canaries: Sequence[PlacedCanary], make: Maker
) -> Iterator[tuple[str, bytes]]:
    """Every file, name below the folder and bytes; one at a time."""
    released = {one.patient for one in patients if one.arm is Arm.RELEASED}
    released |= {one.patient for one in canaries if one.copies}
    yield RELEASE_LIST, ("\n".join(["pseudonym", *sorted(released)]) + "\n").encode()
    for one in canaries:
        for study in make(one.canary).studies if one.copies else ():
            for data in (study.image, study.report):
                yield f"{STUDIES}/{hashlib.sha256(data).hexdigest()[:32]}.dcm", data


def digests(files: Iterable[tuple[str, bytes]]) -> tuple[tuple[str, str], ...]:
    """Name -> hex SHA-256, by name."""
    return tuple(sorted((name, hashlib.sha256(data).hexdigest()) for name, data in files))


def written(folder: Path, assignment: Assignment) -> bool:
    """Whether the folder is there with exactly the files of this design."""
    if not folder.is_dir() or folder.is_symlink():
        return False
    there = [path for path in sorted(folder.rglob("*")) if not path.is_dir()]
    named = [(path.relative_to(folder).as_posix(), path) for path in there if path.is_file()]
    if {name for name, _ in named} != {name for name, _ in assignment.files} or len(named) != len(there):
        return False
    return digests((name, path.read_bytes()) for name, path in named) == assignment.files


def write(folder: Path, assignment: Assignment, make: Maker) -> None:
    """Write the folder: whole, on disk, and as it was drawn; or not at all.

    Raises:
        IntegrityError: what would be written is not what was drawn.
        CannotWrite: the disk is full or refuses.
    """
    drawn = dict(assignment.files)
    try:
        with building_up(folder) as building:
            make_directory(building / STUDIES)
            for name, data in content(assignment.patients, assignment.canaries, make):
                if drawn.pop(name, "") != hashlib.sha256(data).hexdigest():
                    raise IntegrityError(*_OTHER)
                write_new(building / name, (data,))
            if drawn:
                raise IntegrityError(*_OTHER)
    except OSError as error:
        raise CannotWrite(f"cannot write the output: {error.strerror}", "Free some space.") from None


_OTHER = (
    "the canaries come out otherwise than they were drawn: software or studies have changed since",
    "draw a new design under another name; this one was never committed",
)
