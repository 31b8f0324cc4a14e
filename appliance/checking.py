"""Is every file of a workspace what it was when it was written? One line for each that is not.

Nothing is repaired or changed here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance import shown
from appliance.errors import ApplianceError, Busy, CannotWrite, IntegrityError, Locked
from appliance.evidence import verify
from appliance.evidence.log import EvidenceLog
from appliance.evidence.notes import KEY_FILE
from appliance.workspace.evidence_batches import (
    ENCAPSULATED,
    EVIDENCE,
    FINDINGS,
    IDENTITIES,
    MAGIC,
    WAITING,
    EvidenceBatches,
)
from appliance.workspace.evidence_inspection import inspected
from appliance.workspace.evidence_state import EMPTY
from appliance.workspace.evidence_store import gone
from appliance.workspace.ga1 import HEADER_BYTES, Meaning, has_form, unsealing
from appliance.workspace.keyring_file import read_keyring
from appliance.workspace.keys import SecretKey
from appliance.workspace.layout import Found, Part, walk
from appliance.workspace.rotation import KEYRING
from appliance.workspace.steps import KIND as STEP_KIND
from appliance.workspace.workspace import LOG, Workspace

_PIECE: Final = 4 << 20  # bytes read at a time
_KIND: Final = slice(12, 28)  # of a GA1 header
_CATALOGUE: Final = "catalogue.db"
_FROM_BACKUP: Final = "Restore the workspace from a backup: `gradaudit restore`."


@dataclass(frozen=True, slots=True)
class Damage:
    """One file that is not what it was.

    Attributes:
        file: below the workspace.
        cause: what is wrong with it.
        next_step: what an officer does about it.
    """

    file: str
    cause: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of a workspace found.

    Attributes:
        files: how many were looked at.
        objects: how many sealed objects were opened from end to end.
        damages: nothing when all is well.
        findings: whether the findings were read, which takes the passphrases that open them.
    """

    files: int
    objects: int
    damages: tuple[Damage, ...]
    findings: bool = False


def check_open(workspace: Workspace, log: EvidenceLog) -> Checked:
    """Check everything that an open workspace can open; the root of the catalogue was checked at opening."""
    found = list(walk(workspace.root))
    unusable = list(_catalogue(workspace))
    damages = [*_layout(found), *unusable, *_log(log)]
    objects = [one for one in found if one.part is Part.OBJECT and not one.trouble]
    if unusable:  # what an object is, and whose, stands in the catalogue
        objects = []
    else:
        referenced = _referenced(workspace)
        damages += _objects(workspace, objects, referenced)
        damages += _missing(workspace, objects, referenced)
    damages += _steps(workspace, (one for one in found if one.part is Part.STEP and not one.trouble))
    if not unusable:
        damages += _waiting(workspace, found)
    evidence = _evidence_key(workspace)
    if evidence is not None:
        known = {one.file for one in damages}
        try:
            damages += [one for one in _findings(workspace, evidence) if one.file not in known]
        except Locked:  # the key was changed meanwhile
            evidence = None
    return Checked(len(found), len(objects), tuple(damages), evidence is not None)


def check_closed(root: Path, said: ApplianceError) -> Checked:
    """What can be said of a workspace that does not open, and why it does not.

    Args:
        root: of the workspace.
        said: what opening it raised.
    """
    found = list(walk(root))
    damages = [_of_error(_file_named(str(said), found), said), *_layout(found)]
    try:
        read_keyring(root / KEYRING)
    except (IntegrityError, Locked) as error:
        damages.append(_of_error(KEYRING, error))
    try:
        verify.verify(root / LOG)
    except ApplianceError as error:
        place = re.match(r"[a-z0-9/.-]+(?=[:,])", str(error.__cause__))
        file = f"{LOG}/{place[0]}" if place else LOG
        if file not in {one.file for one in damages}:
            damages.append(_of_error(file, error))
    return Checked(len(found), 0, tuple(dict.fromkeys(damages)))


def _of_error(file: str, error: ApplianceError) -> Damage:
    return Damage(file, str(error), error.hint or _FROM_BACKUP)


def _file_named(message: str, found: Iterable[Found]) -> str:
    if "signing key" in message:
        return f"{LOG}/{KEY_FILE}"
    parts = Part.KEYRING, Part.CATALOGUE, Part.OBJECT, Part.LOG
    named = [one.name for one in found if one.part in parts and one.path.name in message]
    return max(named, key=len) if named else LOG if " log " in message else _CATALOGUE


def _layout(found: Iterable[Found]) -> Iterator[Damage]:
    for one in found:
        if one.trouble and one.part is Part.FOREIGN:
            yield Damage(one.name, one.trouble, "Move it elsewhere; nothing here uses it.")
        elif one.trouble.startswith("other accounts"):
            yield Damage(one.name, one.trouble, f"chmod 600 {one.name}")
        elif one.trouble:
            yield Damage(one.name, one.trouble, _FROM_BACKUP)


def _catalogue(workspace: Workspace) -> Iterator[Damage]:
    try:
        workspace.catalogue.verify()
    except Busy:
        raise
    except ApplianceError as error:
        yield _of_error(workspace.catalogue.name, error)


def _evidence_key(workspace: Workspace) -> SecretKey | None:
    try:
        return workspace.evidence_key()
    except Locked:  # no passphrase was typed, or it takes another one
        return None


def _findings(workspace: Workspace, key: SecretKey) -> Iterator[Damage]:
    try:
        for file, error in inspected(workspace, key):
            yield _of_error(file, error)
    except CannotWrite as error:  # whoever looks takes a lock there
        yield _of_error(EVIDENCE, error)


def _waiting(workspace: Workspace, found: Iterable[Found]) -> Iterator[Damage]:
    """What can be said of findings without the key that opens them: form, kind, of which audit, all there."""
    batches, identity = EvidenceBatches.of(workspace), workspace.keyring.workspace_id
    audits = workspace.catalogue.audits()
    known = {batches.name_of(kind, row.audit_id) for kind in (FINDINGS, IDENTITIES) for row in audits}
    for one in (one for one in found if one.part is Part.EVIDENCE and one.path.suffix == ".sealed"):
        name, kind = one.path.name.split(".")[:2]
        try:
            whole = one.trouble or _has_form(one.path, Meaning(identity, bytes.fromhex(name), kind))
        except FileNotFoundError:  # taken in meanwhile
            continue
        except OSError as error:
            yield Damage(one.name, f"cannot be read: {error.strerror}", _FROM_BACKUP)
            continue
        if not whole:
            yield Damage(one.name, "damaged, cut or not what its name says", _FROM_BACKUP)
        elif kind in (FINDINGS, IDENTITIES) and name not in known:
            yield Damage(one.name, "of no audit of this workspace", "Move it elsewhere; nothing uses it.")
    yield from _absent(workspace, batches, (row.findings_object for row in audits if row.state == "done"))


def _has_form(path: Path, meaning: Meaning) -> bool:
    start = len(MAGIC) + ENCAPSULATED
    with path.open("rb") as file:
        head = os.pread(file.fileno(), start + HEADER_BYTES, 0)
        size = os.fstat(file.fileno()).st_size
    return head.startswith(MAGIC) and has_form(head[start:], size - start, meaning)


def _absent(workspace: Workspace, batches: EvidenceBatches, names: Iterable[str]) -> Iterator[Damage]:
    """Where there is no database of findings: it, if the log knows one; else each batch not taken in."""
    there = {one.name for one in batches.waiting() if one.kind == FINDINGS}
    for _ in range(2):  # a change of key takes the earlier file away after naming the later
        file = f"evidence-{read_keyring(workspace.root / KEYRING).evidence.hex()[:16]}.db"
        if (workspace.root / EVIDENCE / file).exists():
            return
    if workspace.evidence_notes is not None and not workspace.evidence_notes.states() <= {EMPTY}:
        yield _of_error(f"{EVIDENCE}/{file}", gone(workspace.root / EVIDENCE / file))
        return
    for name in names:
        if name and name not in there and not batches.is_damaged(FINDINGS, name):
            lost = f"{EVIDENCE}/{WAITING}/{name}.{FINDINGS}.sealed"
            yield Damage(lost, "missing: an audit has sealed its findings in it", _FROM_BACKUP)


def _log(log: EvidenceLog) -> Iterator[Damage]:
    health = log.verify()
    if not health.intact:
        named = "" if health.problem.startswith("[Errno") else f"/{health.problem.partition(':')[0]}"
        yield Damage(f"{LOG}{named}", health.problem, "Keep the disk as it is and ask for help.")


def _referenced(workspace: Workspace) -> dict[str, str]:
    """File name of every object that the catalogue names, with the object's own name."""
    catalogue = workspace.catalogue
    names = [one.frame_object for one in catalogue.instances()]
    names += [one.text_object for one in catalogue.reports()]
    for model in catalogue.models():
        names += [name for _, name in shown.model_record(model).objects()]
    return {f"objects/{name[:2]}/{name[:64]}.ga1": name for name in names if name}


def _missing(workspace: Workspace, objects: Iterable[Found], referenced: dict[str, str]) -> Iterator[Damage]:
    there = {one.name for one in objects}
    for file in sorted(referenced.keys() - there):
        if (workspace.root / file).is_file():  # stored since the files were listed
            continue
        yield Damage(file, "missing: the catalogue names it", "Restore this file from a backup.")


def _objects(workspace: Workspace, objects: Iterable[Found], referenced: dict[str, str]) -> Iterator[Damage]:
    subjects: list[str] | None = None
    for one in objects:
        name = referenced.get(one.name, one.path.name.removesuffix(".ga1"))
        try:
            _read_through(workspace, one.path, name)
        except IntegrityError as error:
            if one.name in referenced:
                yield _of_error(one.name, error)
                continue
            subjects = workspace.catalogue.subjects() if subjects is None else subjects
            if not _opens_for_somebody(workspace, one.path, name, subjects):
                cause = f"{error}; the catalogue does not name it: its patient may have been erased"
                yield Damage(one.name, cause, "Move it elsewhere; no result uses it.")


def _opens_for_somebody(workspace: Workspace, path: Path, name: str, subjects: Iterable[str]) -> bool:
    """Whether this is a whole object that a process which was killed had stored and not yet named."""
    for subject in subjects:
        try:
            _read_through(workspace, path, f"{name}.{subject}")
        except IntegrityError:
            continue
        return True
    return False


def _read_through(workspace: Workspace, path: Path, name: str) -> None:
    shown = f"objects/{path.parent.name}/{path.name}"
    try:
        with path.open("rb") as file:
            header = os.pread(file.fileno(), HEADER_BYTES, 0)
    except OSError as error:
        raise IntegrityError(f"{shown} cannot be read: {error.strerror}", _FROM_BACKUP) from None
    kind = header[_KIND].rstrip(b"\0").decode("ascii", "replace")
    try:
        with workspace.vault.open(kind, name) as sealed:
            for start in range(0, sealed.size, _PIECE):
                sealed.read(start, _PIECE)
    except ValueError:  # no kind at all
        raise IntegrityError(f"{shown} is damaged", _FROM_BACKUP) from None


def _steps(workspace: Workspace, steps: Iterable[Found]) -> Iterator[Damage]:
    identity = bytes.fromhex(workspace.workspace_id)
    for one in steps:
        audit, name = one.path.parent.name, one.path.name.split(".")[0]
        meaning = Meaning(identity, bytes.fromhex(name), STEP_KIND)
        try:
            with unsealing(one.path, workspace.keys.vault, meaning, one.name) as sealed:
                sealed.read(0, sealed.size)
        except IntegrityError as error:
            if not one.path.exists():  # its audit ended meanwhile
                continue
            again = f"Give the audit up with `gradaudit audit abandon {audit}` and run it anew."
            yield Damage(one.name, str(error), again)
