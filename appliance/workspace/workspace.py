"""A workspace: one directory with keyring, catalogue, vault and log, and the key that opens the first three.

keyring.json   catalogue.db (SQLCipher)   objects/ab/<id>.ga1   log/ (appliance.evidence)   lock
steps/<audit id>/<name>.ga1     only while an audit can be resumed
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from appliance.errors import ApplianceError, Busy, Locked, NotPermitted, UsageError
from appliance.workspace import session
from appliance.workspace.building import building_up
from appliance.workspace.catalogue import Catalogue
from appliance.workspace.durable import FILE_MODE, make_directory
from appliance.workspace.keyring import OFFICER, Keyring, OpenedKeys, new_keyring
from appliance.workspace.keyring_file import read_keyring, write_keyring
from appliance.workspace.keys import RunKeys, SecretKey
from appliance.workspace.keyslots import Identity, User
from appliance.workspace.session import Remembered
from appliance.workspace.steps import Steps
from appliance.workspace.subjects import SubjectKeys
from appliance.workspace.vault import Vault, create_objects

KEYRING: Final = "keyring.json"
CATALOGUE: Final = "catalogue.db"
OBJECTS: Final = "objects"
LOG: Final = "log"
STEPS: Final = "steps"
LOCK: Final = "lock"
AUTO_LOCK_S: Final = 15 * 60


class Workspace:
    """An open workspace. Get one from `create`, `open` or `resume`; close it when done.

    Attributes:
        root: the directory.
        workspace_id: hex, public.
        site_name: as given at creation.
        demo: made by the demo; every page of it says so.
        user: who opened it.
        keys: what this user's key opens.
        subjects: keys of patients.
        vault: sealed objects.
        catalogue: what is known about them.
        log_dir: 0700 directory of the log, whose own keys lie there.
        unsafe_fast_kdf: the passphrase is cheap to guess; true in tests only.
    """

    def __init__(
        self, root: Path, keyring: Keyring, opened: OpenedKeys, identity: Identity | None = None
    ) -> None:
        self.root = root
        self.keyring = keyring
        self.workspace_id = keyring.workspace_id.hex()
        self.unsafe_fast_kdf = keyring.unsafe_fast_kdf
        self.user: User = opened.user
        kept = keyring.kept_keys(opened.run) if opened.run is not None else None
        self.keys = RunKeys(opened.catalogue, kept)
        self.log_dir = root / LOG
        self.catalogue = Catalogue(root / CATALOGUE, opened.catalogue)
        self.subjects = SubjectKeys(self.catalogue, self.keys, keyring.workspace_id)
        self.vault = Vault(root / OBJECTS, self.keys, keyring.workspace_id, self.subjects)
        self._opened = opened
        self._identity = identity  # with the private key: only where a passphrase was typed
        self._threads = threading.Lock()
        try:
            self.site_name = self.catalogue.setting("site_name") or ""
            self.demo = self.catalogue.setting("demo") == "yes"
        except BaseException:
            self.catalogue.close()
            raise

    @classmethod
    def create(
        cls,
        root: Path,
        passphrase: str,
        site_name: str,
        demo: bool = False,
        *,
        user: str = OFFICER,
        unsafe_fast_kdf: bool = False,
    ) -> Workspace:
        """Make a workspace and open it. It appears whole or not at all.

        Args:
            root: must not exist; its parent must.
            passphrase: the officer's; at least 8 characters.
            site_name: shown on screens and reports.
            demo: mark it as the demo's.
            user: name of the first officer.
            unsafe_fast_kdf: for tests only; `gradaudit init` has no way to say it.

        Raises:
            UsageError: `root` exists, its parent does not, or the passphrase is too short.
        """
        root = Path(root).absolute()
        if os.path.lexists(root):
            raise UsageError(
                f"{root} already exists", "Choose a new directory, or unlock the workspace in it."
            )
        keyring, identity = new_keyring(passphrase, user, unsafe_fast_kdf=unsafe_fast_kdf)
        opened = keyring.keys_of(identity)
        settings = {"site_name": site_name, "demo": "yes" if demo else "no"}
        try:
            with building_up(root) as building:
                create_objects(building / OBJECTS)
                make_directory(building / LOG)
                Catalogue.create(building / CATALOGUE, opened.catalogue, settings)
                write_keyring(building / KEYRING, keyring)
        except OSError as error:
            raise UsageError(
                f"cannot create {root}: {error.strerror}", "Its parent must exist and be yours."
            ) from None
        return cls(root, keyring, opened, identity)

    @classmethod
    def open(cls, root: Path, passphrase: str, user: str = "") -> Workspace:
        """Open with a user's passphrase.

        Args:
            root: the workspace.
            passphrase: or the content of a machine's credential, or the words on paper.
            user: whose; may be empty where one user only types a passphrase.

        Raises:
            Locked: no workspace there, no such user, or the passphrase is wrong.
            IntegrityError: keyring or catalogue is damaged.
        """
        root = Path(root).absolute()
        keyring = read_keyring(root / KEYRING)
        identity = keyring.identify(passphrase, user)
        return cls(root, keyring, keyring.keys_of(identity), identity)

    @classmethod
    def resume(cls, root: Path) -> Workspace:
        """Open a workspace that `keep_unlocked` left unlocked.

        Raises:
            Locked: no workspace there, or nobody unlocked it since the last start of the machine.
            IntegrityError: keyring or catalogue is damaged.
        """
        root = Path(root).absolute()
        keyring = read_keyring(root / KEYRING)
        kept = session.recall(keyring.workspace_id)
        slot = keyring.slot(kept.user) if kept is not None else None
        if kept is None or slot is None or not keyring.accepts(kept.catalogue):
            raise Locked("the workspace is locked", "Run `gradaudit unlock`.")
        if kept.run is not None:
            keyring.check_seal(kept.run)
        return cls(root, keyring, OpenedKeys(slot.user, kept.catalogue, kept.run))

    @staticmethod
    def lock(root: Path) -> bool:
        """Forget the key that `keep_unlocked` kept; False when it was locked already.

        Raises:
            Locked: no workspace there.
        """
        return session.forget(read_keyring(Path(root).absolute() / KEYRING).workspace_id)

    def keep_unlocked(self) -> None:
        """Let later commands `resume` until `lock`, a pause as long as `AUTO_LOCK_S` or a restart.

        Raises:
            Locked: this machine has no memory-backed directory for the key.
        """
        opened = self._opened
        kept = Remembered(opened.user.name, opened.run, opened.catalogue, AUTO_LOCK_S)
        session.remember(bytes.fromhex(self.workspace_id), kept)

    def evidence_key(self, others: Sequence[Identity] = ()) -> SecretKey:
        """The key that opens findings.

        Args:
            others: who else has given a passphrase, where the quorum is two.

        Raises:
            NotPermitted: no passphrase was typed for this, the role has no part in it, or another is needed.
        """
        present = [one for one in (self._identity, *others) if one is not None]
        key = self.keyring.evidence_key(present)
        if key is not None:
            return key
        if self._identity is None:
            raise NotPermitted(
                "findings open with a passphrase, not with what `gradaudit unlock` keeps",
                "Give the passphrase to this command.",
            )
        if not self.user.role.sees_evidence:
            raise NotPermitted(f"an {self.user.role} does not open findings", "Ask an officer.")
        raise NotPermitted("findings open with two officers together", "Ask a second one to be present.")

    @contextmanager
    def writing(self, wait_s: float = 0.0) -> Iterator[None]:
        """Be the only writer, among threads and processes. Not re-entrant.

        Args:
            wait_s: how long to wait for another writer before giving up.

        Raises:
            Busy: another one is writing.
        """
        busy = Busy("another command is writing to this workspace", "Wait for it to finish and try again.")
        deadline = time.monotonic() + wait_s
        if not self._threads.acquire(timeout=wait_s):
            raise busy
        try:
            with _locked_file(self.root / LOCK, deadline, busy):
                self.vault.sweep()
                yield
        finally:
            self._threads.release()

    def written(self) -> bool:
        """Whether a command is writing at this moment, in this process or another."""
        busy = Busy("another command is writing to this workspace")
        if not self._threads.acquire(blocking=False):
            return True
        try:
            with _locked_file(self.root / LOCK, 0.0, busy):
                return False
        except Busy:
            return True
        finally:
            self._threads.release()

    def steps(self, audit_id: str) -> Steps:
        """Sealed steps of an audit in progress."""
        return Steps(self.root / STEPS, self.keys, bytes.fromhex(self.workspace_id), audit_id)

    def close(self) -> None:
        """Close the catalogue; the object is of no use afterwards."""
        self.catalogue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Workspace({str(self.root)!r})"


@contextmanager
def _locked_file(path: Path, deadline: float, busy: ApplianceError) -> Iterator[None]:
    """Hold an exclusive lock on a file; the kernel lets go of it when the process dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise busy from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)
