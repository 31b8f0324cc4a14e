"""A workspace: one directory with keyring, catalogue, vault and log, and the key that opens the first three.

keyring.json   catalogue.db (SQLCipher)   objects/ab/<id>.ga1   log/ (appliance.evidence)   lock   auditing
catalogue.N.db                  after the RUN key was changed, see `rotation`
steps/<audit id>/<name>.ga1     only while an audit can be resumed
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from cryptography.exceptions import InvalidTag

from appliance.errors import Busy, IntegrityError, Locked, NotPermitted, UsageError
from appliance.evidence import segments
from appliance.evidence.clock import SystemClock
from appliance.workspace import session
from appliance.workspace.building import building_up
from appliance.workspace.catalogue import Catalogue
from appliance.workspace.keyring import OFFICER, Authority, Keyring, OpenedKeys, new_keyring
from appliance.workspace.keyring_file import read_keyring, write_keyring
from appliance.workspace.keys import KeptKeys, RunKeys, SecretKey, catalogue_key
from appliance.workspace.keyslots import Identity, User
from appliance.workspace.rotation import (
    CATALOGUE,
    KEPT_KEYS,
    KEYRING,
    catalogue_file,
    commit,
    leftovers,
    prepare,
    sweep,
)
from appliance.workspace.session import Remembered
from appliance.workspace.steps import Steps
from appliance.workspace.subjects import SubjectKeys
from appliance.workspace.turns import Turns
from appliance.workspace.vault import Vault, create_objects

if TYPE_CHECKING:
    from appliance.workspace.evidence_state import Notes

OBJECTS: Final = "objects"
LOG: Final = "log"
STEPS: Final = "steps"
AUTO_LOCK_MINUTES: Final = 15
LONGEST_AUTO_LOCK: Final = 24 * 60  # minutes
SETUP: Final = "setup"
_AUTO_LOCK: Final = "auto_lock_minutes"


class Workspace(Turns):
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
        unsafe_fast_kdf: made with cheap passphrases; true in tests only.
    """

    def __init__(
        self, root: Path, keyring: Keyring, opened: OpenedKeys, identity: Identity | None = None
    ) -> None:
        super().__init__(root)
        self.workspace_id = keyring.workspace_id.hex()
        self.user: User = opened.user
        self.log_dir = root / LOG
        self._identity = identity  # with the private key: only where a passphrase was typed
        self.evidence_notes: Notes | None = None  # what the log knows of findings
        self._open(keyring, opened)
        try:
            self.site_name = self.catalogue.setting("site_name") or ""
            self.demo = self.catalogue.setting("demo") == "yes"
            if leftovers(root, keyring.epoch):
                with suppress(Busy), self.writing(wait_s=0.0):
                    pass  # removes them
        except BaseException:
            self.catalogue.close()
            raise

    def _open(self, keyring: Keyring, opened: OpenedKeys) -> None:
        """Catalogue and vault under the keys of this epoch."""
        self.catalogue = Catalogue(catalogue_file(self.root, keyring.epoch), opened.catalogue)
        try:
            kept = self._kept_keys(keyring.workspace_id, opened.run) if opened.run is not None else None
        except BaseException:
            self.catalogue.close()
            raise
        self.keyring = keyring
        self.unsafe_fast_kdf = keyring.unsafe_fast_kdf
        self.keys = RunKeys(opened.catalogue, kept)
        self.subjects = SubjectKeys(self.catalogue, self.keys, keyring.workspace_id)
        self.vault = Vault(self.root / OBJECTS, self.keys, keyring.workspace_id, self.subjects)
        self._opened = opened

    def _kept_keys(self, workspace_id: bytes, run: SecretKey) -> KeptKeys:
        try:
            wrapped = bytes.fromhex(self.catalogue.setting(KEPT_KEYS) or "")
            return KeptKeys.unwrapped(wrapped, run, workspace_id)
        except (InvalidTag, ValueError):
            raise IntegrityError(
                "the keys in the catalogue are damaged", "Restore the workspace from a backup."
            ) from None

    @classmethod
    def create(
        cls,
        root: Path,
        passphrase: str,
        site_name: str,
        demo: bool = False,
        *,
        user: str = OFFICER,
        setup: str = "",
        unsafe_fast_kdf: bool = False,
    ) -> Workspace:
        """Make a workspace and open it. It appears whole or not at all.

        Args:
            root: must not exist; its parent must.
            passphrase: the officer's; at least 8 characters.
            site_name: shown on screens and reports.
            demo: mark it as the demo's.
            user: name of the first officer.
            setup: the step that a first run goes on with; empty for none.
            unsafe_fast_kdf: for tests only; `gradaudit init` has no way to say it.

        Raises:
            UsageError: `root` exists, its parent does not, or the passphrase is too short.
            LogUnwritable: the disk is full or refuses.
        """
        root = Path(root).absolute()
        if os.path.lexists(root):
            raise UsageError(f"{root} already exists", "Choose another place, or unlock the workspace in it.")
        keyring, identity = new_keyring(passphrase, user, unsafe_fast_kdf=unsafe_fast_kdf)
        opened = keyring.keys_of(identity)
        assert opened.run is not None, "an officer's keys"
        kept = KeptKeys.random().wrapped(opened.run, keyring.workspace_id).hex()
        settings = {"site_name": site_name, "demo": "yes" if demo else "no", SETUP: setup, KEPT_KEYS: kept}
        try:
            with building_up(root) as building:
                create_objects(building / OBJECTS)
                segments.create(building / LOG, SystemClock())
                Catalogue.create(building / CATALOGUE, opened.catalogue, settings)
                write_keyring(building / KEYRING, keyring)
        except OSError as error:
            raise UsageError(f"cannot create {root}: {error.strerror}", "Its parent must be yours.") from None
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
        try:
            return cls(root, keyring, keyring.keys_of(identity), identity)
        except IntegrityError:
            now = read_keyring(root / KEYRING)
            if now.epoch == keyring.epoch:
                raise
            return cls(root, now, now.keys_of(identity), identity)  # the keys were changed this moment

    @classmethod
    def resume(cls, root: Path) -> Workspace:
        """Open a workspace that `keep_unlocked` left unlocked.

        Raises:
            Locked: no workspace there, or nobody unlocked it since the last start of the machine.
            IntegrityError: keyring or catalogue is damaged.
        """
        root = Path(root).absolute()
        return cls.of_kept(root, session.recall(read_keyring(root / KEYRING).workspace_id))

    @classmethod
    def of_kept(cls, root: Path, kept: Remembered | None) -> Workspace:
        """Open with keys that another process handed on; without the evidence key, and no user can change.

        Raises:
            Locked: they are not the keys of this workspace, or not any more.
            IntegrityError: keyring or catalogue is damaged.
        """
        keyring = read_keyring(root / KEYRING)
        slot = keyring.slot(kept.user.name) if kept is not None else None
        unlocked = slot is not None and kept is not None and slot.user == kept.user
        if kept is None or slot is None or not unlocked or not keyring.accepts(kept.catalogue):
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
        """Let later commands `resume` until `lock`, a pause of `auto_lock_minutes` or a restart.

        Raises:
            Locked: this machine has no memory-backed directory for the key.
        """
        session.remember(bytes.fromhex(self.workspace_id), self.kept())

    def kept(self) -> Remembered:
        """What `resume` and `of_kept` open with."""
        opened = self._opened
        return Remembered(opened.user, opened.run, opened.catalogue, 60 * self.auto_lock_minutes)

    @property
    def auto_lock_minutes(self) -> int:
        """After how many minutes without a command an unlocked workspace locks itself; 0 for never."""
        stored = self.catalogue.setting(_AUTO_LOCK) or ""
        return int(stored) if stored.isdecimal() else AUTO_LOCK_MINUTES

    def set_auto_lock(self, minutes: int) -> None:
        """Change it, from the next `keep_unlocked` on.

        Raises:
            UsageError: negative, or more than a day.
        """
        if not 0 <= minutes <= LONGEST_AUTO_LOCK:
            raise UsageError(
                f"auto-lock takes 0 to {LONGEST_AUTO_LOCK} minutes", "0 leaves it open until a restart."
            )
        self.catalogue.set_setting(_AUTO_LOCK, str(minutes))

    # -- who may open what ------------------------------------------------------------------------------

    def authority(self) -> Authority:
        """What changing users takes.

        Raises:
            NotPermitted: no passphrase was typed for this, or an auditor's.
        """
        if self._identity is None:
            raise NotPermitted(
                "users and keys change with a passphrase, not with what `gradaudit unlock` keeps",
                "Give the passphrase to this command.",
            )
        if self._opened.run is None:
            raise NotPermitted("an auditor's key does not change users", "Ask an officer.")
        return Authority(self._opened.run, self._identity.anchor)

    def change_keyring(self, changed: Keyring) -> None:
        """Put another keyring.json of this epoch in place. Call it in `writing`."""
        write_keyring(self.root / KEYRING, changed)
        self.keyring = changed

    def rotate(self, changed: Keyring, by: Authority) -> None:
        """Change the RUN key, and the users to those of `changed`. Call it in `writing`.

        Every session ends: what `gradaudit unlock` keeps opens nothing any more.

        Raises:
            Busy: another program keeps the catalogue locked.
            ApplianceError: the disk is full or refuses; nothing has changed then.
        """
        fresh = Authority(SecretKey.random(), by.anchor)
        kept = self._kept_keys(changed.workspace_id, by.run).wrapped(fresh.run, changed.workspace_id)
        after = changed.rotated(fresh)
        opened = OpenedKeys(self.user, catalogue_key(fresh.run, after.workspace_id), fresh.run)
        root, told, before = self.root, self.catalogue.on_root, self.catalogue.root()
        self.catalogue.close()
        try:
            following = prepare(
                root, self.keyring.epoch, after.epoch, self._opened.catalogue, opened.catalogue, kept
            )
            with closing(Catalogue(following, opened.catalogue)) as written:
                if told is not None:
                    told(before, written.root(), written.roots_key)
            commit(root, after)
        except BaseException:
            self._open(*((after, opened) if self._names(after) else (self.keyring, self._opened)))
            self.catalogue.on_root = told
            raise
        session.forget(after.workspace_id)
        self._open(after, opened)
        self.catalogue.on_root = told

    def _names(self, keyring: Keyring) -> bool:
        """Whether keyring.json is of this epoch by now."""
        return read_keyring(self.root / KEYRING).epoch == keyring.epoch

    @contextmanager
    def resealing(self, old: SecretKey, new: SecretKey) -> Iterator[None]:
        """Make what is sealed to the evidence key open with `new` as well, then with `new` alone.

        The block puts the keyring that names `new` in place; if it fails, `old` goes on opening everything.
        Call it in `writing`.
        """
        from appliance.workspace import evidence_rewrap

        with evidence_rewrap.resealing(self, old, new):
            yield

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

    def _take_turn(self) -> None:
        """Take in what others have changed, and remove what writers that were killed have left."""
        self._keep_up()
        self.vault.sweep()

    def _keep_up(self) -> None:
        """Take in what another process has changed in keyring.json; remove a cut-off change of keys.

        Raises:
            Locked: the keys are others now.
            IntegrityError: somebody without the keys changed the file.
        """
        now = read_keyring(self.root / KEYRING)
        if not now.accepts(self._opened.catalogue) or now.epoch != self.keyring.epoch:
            raise Locked("the keys of this workspace were changed", "Unlock it again.")
        if self._opened.run is not None:
            now.check_seal(self._opened.run)
        self.keyring = now
        sweep(self.root, now.epoch)

    def steps(self, audit_id: str) -> Steps:
        """Sealed steps of an audit in progress."""
        return Steps(self.root / STEPS, self.keys, bytes.fromhex(self.workspace_id), audit_id)

    def close(self) -> None:
        """Close the catalogue; the object is of no use afterwards. A pause begins now."""
        self.catalogue.close()
        session.touch(bytes.fromhex(self.workspace_id))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Workspace({str(self.root)!r})"
