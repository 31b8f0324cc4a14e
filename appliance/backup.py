"""Backups: taken while readers go on; a restored workspace appears only once all of it was checked.

Everything in a backup is sealed as it is in the workspace; the log's signing key, which lies there under no
passphrase, is sealed to the RUN key on its way. A backup opens with the passphrases of its day.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from appliance.checking import Damage, check_open
from appliance.errors import CannotWrite, IntegrityError, UsageError
from appliance.evidence.locking import exclusive
from appliance.evidence.log import EvidenceLog
from appliance.evidence.notes import KEY_FILE
from appliance.evidence_roots import EvidenceRoots
from appliance.roots import CatalogueRoots
from appliance.workspace.archive import LOG_KEY, Manifest, Source, Step, read_archive, write_archive
from appliance.workspace.building import building_up, scaffold
from appliance.workspace.durable import sync_directory, sync_filesystem, write_new
from appliance.workspace.evidence_batches import EVIDENCE, WAITING
from appliance.workspace.evidence_store import alone
from appliance.workspace.ga1 import Meaning, Unsealer, seal
from appliance.workspace.layout import Part, walk
from appliance.workspace.workspace import LOG, OBJECTS, Workspace

PATIENCE_S: Final = 10.0
_LOG_KEY_KIND: Final = "log-key"
_LOG_KEY_ID: Final = bytes(32)
_LOG_KEY_LABEL: Final = "gradaudit backup v1: log key"


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds.

    Attributes:
        path: of the file, or of the workspace restored from it.
        digest: SHA-256 of its manifest, as the log names it.
        members: how many files.
        size: their bytes.
        taken_utc: when.
        log_entries: size of the log then.
        log_root: root of the log then; a witness that knows a later one will see a fork.
    """

    path: str
    digest: str
    members: int
    size: int
    taken_utc: str
    log_entries: int
    log_root: str


def take(workspace: Workspace, target: Path, on_step: Step) -> Backup:
    """Write a backup to a new file.

    The writer's lock and that of findings are held while catalogue, findings and log are copied, not while
    the objects are.

    Raises:
        UsageError: there is something at `target`, or it lies inside the workspace.
        IntegrityError: the workspace holds what is no part of one; it is named.
        Busy: somebody else is writing, or removed a file meanwhile.
        CannotWrite: the disk is full or refuses.
    """
    target = target.absolute()
    if os.path.lexists(target):
        raise UsageError(f"{target} already exists", "A backup is never overwritten: choose another name.")
    if target.resolve().is_relative_to(workspace.root.resolve()):
        raise UsageError("a backup inside its workspace is none", "Choose a folder on another disk.")
    try:
        with scaffold(target) as staging:
            with workspace.writing(PATIENCE_S):
                about, sources = _frozen(workspace, staging)
            archive = staging / "archive"
            manifest = write_archive(archive, about, sources, workspace.keys.vault, on_step)
            os.link(archive, target)  # unlike a rename it never replaces
            sync_directory(target.parent)
    except FileExistsError:
        raise UsageError(f"{target} already exists", "A backup is never overwritten.") from None
    except OSError as error:
        raise CannotWrite(f"cannot write {target}: {error.strerror}", "Free some space there.") from None
    return told(target, manifest)


def verify(path: Path, on_step: Step) -> Backup:
    """Check every byte of a backup against its manifest; what is sealed stays sealed.

    Raises: as `read_archive`.
    """
    return told(path, read_archive(path, None, on_step))


def restore(path: Path, into: Path, passphrase: str, user: str, on_step: Step) -> Backup:
    """Make a workspace from a backup; it appears when all of it was checked, or not at all.

    Args:
        path: the backup.
        into: must not exist; its parent must.
        passphrase: as it was when the backup was taken.
        user: whose; may be empty where one user only types a passphrase.
        on_step: members written, of how many.

    Raises:
        UsageError: `into` exists, or `path` is no backup.
        Locked: wrong passphrase.
        IntegrityError: the backup is damaged, or what it holds is; the first file is named.
        CannotWrite: the disk is full or refuses.
    """
    into = into.absolute()
    if os.path.lexists(into):
        raise UsageError(f"{into} already exists", "A restore never overwrites: choose a new directory.")
    try:
        with building_up(into) as building:
            manifest = read_archive(path, building, on_step)
            (building / OBJECTS / "incoming").mkdir(mode=0o700, parents=True, exist_ok=True)
            with Workspace.open(building, passphrase, user) as workspace:
                manifest.check_author(workspace.keys.vault)
                _bring_back_log_key(workspace)
                sync_filesystem(building)
                _check(workspace, manifest)
            sync_filesystem(building)
    except OSError as error:
        raise CannotWrite(
            f"cannot write {into}: {error.strerror}", "Its parent must exist and be yours."
        ) from None
    return told(into, manifest)


def told(path: Path, manifest: Manifest) -> Backup:
    """What an officer reads of a manifest."""
    size = sum(size for _, size, _ in manifest.members)
    about = manifest.about
    return Backup(
        str(path), manifest.digest, len(manifest.members), size,
        about["taken_utc"], about["log"]["size"], about["log"]["root"],
    )  # fmt: skip


# -- taking --------------------------------------------------------------------------------------------------


def _frozen(workspace: Workspace, staging: Path) -> tuple[dict[str, object], list[Source]]:
    """One state of catalogue, findings, log and the list of all else; call it holding the writer's lock."""
    with alone(workspace), workspace.catalogue.held() as root:
        workspace.catalogue.snapshot(staging / workspace.catalogue.name)
        with exclusive(workspace.log_dir):
            (staging / LOG).mkdir(mode=0o700)
            sources = list(_sources(workspace, staging))
        copied = _log_as_copied(workspace, staging)
    about: dict[str, object] = {
        "workspace_id": workspace.workspace_id,
        "taken_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "catalogue_root": root,
        "log": {"size": copied[0], "root": copied[1]},
    }
    return about, sources


def _sources(workspace: Workspace, staging: Path) -> Iterator[Source]:
    found = sorted(walk(workspace.root), key=lambda one: not one.name.endswith("-wal"))
    for one in found:  # a write-ahead log first: a reader that leaves may fold it into its file meanwhile
        if one.part in (Part.PASSING, Part.DAMAGED):
            continue
        if one.trouble and not one.trouble.startswith("other accounts"):
            raise IntegrityError(
                f"{one.name} is {one.trouble}", "Run `gradaudit workspace verify`; nothing was backed up."
            )
        staged = staging / one.name
        if one.part is Part.CATALOGUE:
            if one.path.name == workspace.catalogue.name:
                yield Source(one.name, staged)
        elif one.part is Part.LOG_KEY:
            staged = staging / LOG_KEY
            write_new(staged, [_sealed_log_key(workspace, one.path.read_bytes())])
            yield Source(LOG_KEY, staged)
        elif one.part in (Part.LOG, Part.EVIDENCE, Part.KEYRING):  # these change or grow afterwards
            staged.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(one.path, staged)
            yield Source(one.name, staged)
        else:
            yield Source(one.name, one.path)


def _log_as_copied(workspace: Workspace, staging: Path) -> tuple[int, str]:
    from appliance.evidence.verify import verify as verified

    health = verified(staging / LOG)
    return health.entries, health.root


def _sealed_log_key(workspace: Workspace, key: bytes) -> bytes:
    return b"".join(seal(workspace.keys.vault.derive(_LOG_KEY_LABEL), _log_key_meaning(workspace), key))


def _log_key_meaning(workspace: Workspace) -> Meaning:
    return Meaning(bytes.fromhex(workspace.workspace_id), _LOG_KEY_ID, _LOG_KEY_KIND)


# -- restoring -----------------------------------------------------------------------------------------------


def _bring_back_log_key(workspace: Workspace) -> None:
    path = workspace.root / LOG_KEY
    try:
        sealed = path.read_bytes()
    except OSError:
        raise IntegrityError("the backup holds no log key", "Take another backup.") from None

    def read_at(offset: int, length: int) -> bytes:
        return sealed[offset : offset + length]

    key = workspace.keys.vault.derive(_LOG_KEY_LABEL)
    opened = Unsealer(key, _log_key_meaning(workspace), read_at, len(sealed), LOG_KEY)
    write_new(workspace.log_dir / KEY_FILE, [opened.read(0, opened.size)])
    path.unlink()


def _set_aside_later(workspace: Workspace, damage: Damage) -> bool:
    """Whether it is a batch of findings that does not open: it stops nobody, and a restore neither."""
    return damage.file.startswith(f"{EVIDENCE}/{WAITING}/") and (workspace.root / damage.file).exists()


def _check(workspace: Workspace, manifest: Manifest) -> None:
    """Everything a restored workspace must be, before anybody can see it; then the entry that says so."""
    log = EvidenceLog.open(workspace.log_dir, create=False)
    if (log.size, log.root) != (manifest.about["log"]["size"], manifest.about["log"]["root"]):
        raise IntegrityError(
            "the log in the backup is another than its manifest names", "Take another backup."
        )
    CatalogueRoots(workspace.catalogue, log).check()
    workspace.evidence_notes = EvidenceRoots(log)
    damages = [one for one in check_open(workspace, log).damages if not _set_aside_later(workspace, one)]
    if damages:
        first = damages[0]
        more = f" ({len(damages) - 1} more)" if damages[1:] else ""
        raise IntegrityError(
            f"the backup was taken of a damaged file: {first.file}: {first.cause}{more}", first.next_step
        )
    log.append(
        "workspace.restore", log.identifier(workspace.workspace_id), "done", detail_digest=manifest.digest
    )
    log.close()
