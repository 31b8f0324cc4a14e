"""A workspace that is open, with its log: every act is an entry before it takes effect and one after.

Where the log cannot be written, nothing is done (SECURITY §3). Every public method asks `permissions` first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from appliance import config, lockout, permissions
from appliance.errors import ApplianceError, Locked, NotNow, NotPermitted, UsageError
from appliance.evidence.locking import exclusive
from appliance.evidence.log import EvidenceLog
from appliance.evidence_roots import EvidenceRoots
from appliance.permissions import Rule
from appliance.roots import CatalogueRoots
from appliance.workspace import paper, session
from appliance.workspace.keyring import OFFICER
from appliance.workspace.keyring_file import read_keyring
from appliance.workspace.keyslots import Identity
from appliance.workspace.roles import Role
from appliance.workspace.rotation import KEYRING
from appliance.workspace.workspace import LOG, Workspace

_INDEX: Final = "gradaudit log index v1"


class OpenWorkspace:
    """An unlocked workspace with its log."""

    def __init__(self, workspace: Workspace, log: EvidenceLog | None = None) -> None:
        self._workspace = workspace
        self._present: list[Identity] = []  # who else has given a passphrase
        self._log = log or EvidenceLog.open(workspace.log_dir, create=False)
        workspace.evidence_notes = EvidenceRoots(self._log, lambda: self._actor)
        self._roots = CatalogueRoots(workspace.catalogue, self._log)
        try:
            self._log.entrust(workspace.catalogue.roots_key.derive(_INDEX).raw)
            self._roots.check()
        except BaseException:
            workspace.close()
            raise
        self._after_opening()

    def _after_opening(self) -> None:
        """Go on with what was cut off."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        permissions.guard(cls)

    # -- opening and closing ---------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        root: Path,
        passphrase: str,
        *,
        site: str,
        demo: bool = False,
        user: str = OFFICER,
        setup: str = "",
    ) -> Self:
        """Make a workspace with one officer, and open it.

        Args:
            root: must not exist.
            passphrase: the officer's.
            site: its name on screens and evidence.
            demo: mark it as the demo's.
            user: the officer's name.
            setup: the step of a first run that is to follow; empty for none.

        Raises:
            UsageError: something is there already, or the passphrase is too short.
        """
        if len(passphrase) < config.MINIMUM_PASSPHRASE:
            raise UsageError(
                f"a passphrase needs at least {config.MINIMUM_PASSPHRASE} characters",
                "four random words are easy to keep",
            )
        config.prepare(root)
        opened = cls(Workspace.create(root, passphrase, site, demo, user=user, setup=setup))
        opened._record("workspace.create", opened._workspace.workspace_id, "done")
        return opened

    @classmethod
    def unlock(cls, root: Path, passphrase: str, user: str = "") -> Self:
        """Open with a user's passphrase, or a machine's secret; every attempt is logged.

        Args:
            root: of the workspace.
            passphrase: or the secret of a machine.
            user: whose; may be empty where one user only types a passphrase.

        Raises:
            Locked: no workspace there, a wrong passphrase, or too many of them.
            IntegrityError: keyring, catalogue or log is damaged.
        """
        keyring = read_keyring(root / KEYRING)
        name = user or keyring.only_user()
        log = EvidenceLog.open(root / LOG, create=False)
        with attempted(root, log, lockout.UNLOCK, name):
            workspace = Workspace.open(root, passphrase, name)
        return cls(workspace, log=log)

    @classmethod
    def sign_in(cls, root: Path, passphrase: str, user: str = "") -> Self:
        """Open for somebody who sits at the screens. Raises as `unlock`, and:

        Raises:
            NotPermitted: what opens for this name is a machine or a paper key; the log has an entry.
        """
        keyring = read_keyring(root / KEYRING)
        slot = keyring.slot(user or keyring.only_user())
        if slot is None or slot.user.role.types_a_passphrase:
            return cls.unlock(root, passphrase, user)
        log = EvidenceLog.open(root / LOG, create=False)
        log.append("workspace.signin", _person(log, slot.user.name), "refused", actor="anonymous")
        raise at_the_screens(slot.user.role)

    @classmethod
    def recover(cls, root: Path, words: str) -> Self:
        """Open with the words on paper: for giving a new officer a passphrase, and nothing else.

        Raises:
            Locked: no workspace there, or words of another paper.
            UsageError: a word is mistyped.
            IntegrityError: keyring, catalogue or log is damaged.
        """
        keyring, secret = read_keyring(root / KEYRING), paper.opens_with(words)
        log = EvidenceLog.open(root / LOG, create=False)
        sheets = keyring.users(Role.RECOVERY)
        if not sheets:
            raise Locked(
                "this workspace has no paper key", "An officer makes one: `gradaudit users recovery`."
            )
        of_paper = (slot for slot in keyring.slots if slot.user.role is Role.RECOVERY)
        opens = (slot.user.name for slot in of_paper if slot.opened(secret, keyring.workspace_id))
        name = next(opens, sheets[0].name)
        with attempted(root, log, "workspace.recover", name, waits=False):
            workspace = Workspace.open(root, secret, name)
        return cls(workspace, log=log)

    @classmethod
    def resume(cls, root: Path) -> Self | None:
        """Open what `unlock` left open; None when it is locked or not there."""
        try:
            return cls(Workspace.resume(root))
        except Locked:
            return None

    @staticmethod
    def expect_workspace(root: Path) -> None:
        """Make sure that there is a workspace to unlock.

        Raises:
            Locked: there is none; the hint says how to make one.
        """
        read_keyring(root / KEYRING)

    @staticmethod
    def must_say_who(root: Path) -> bool:
        """Whether several users type a passphrase, so that one has to say who. Raises as above."""
        return len([one for one in read_keyring(root / KEYRING).users() if one.role.types_a_passphrase]) > 1

    def remember(self) -> None:
        """Let later commands `resume`, until `forget` or a restart of the machine."""
        self._workspace.keep_unlocked()

    @staticmethod
    def forget(root: Path) -> None:
        """Lock: no later command can `resume`.

        Raises:
            Locked: no workspace there.
            NotNow: keys may be kept where nobody can look from here; the log says that it failed.
        """
        unsure = _forget_keys(root)
        log_unopened(root, "workspace.lock", "failed" if unsure else "done")
        if unsure:
            raise unsure

    def lock(self) -> None:
        """Lock and close; the keys are forgotten first, also where the log cannot take an entry.

        Raises:
            LogUnwritable: locked and closed, and not logged.
            NotNow: closed; as in `forget`.
        """
        unsure = _forget_keys(self._workspace.root)
        try:
            self._record("workspace.lock", self._workspace.workspace_id, "failed" if unsure else "done")
        finally:
            self.close()
        if unsure:
            raise unsure

    def close(self) -> None:
        """Close the catalogue; the log has nothing open between entries."""
        self._roots.leave()
        self._workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- acts ------------------------------------------------------------------------------------------

    @contextmanager
    def _act(
        self,
        act: str,
        *names: str,
        turn: AbstractContextManager[None] | None = None,
        policy_digest: str = "",
        detail_digest: str = "",
    ) -> Iterator[None]:
        """One writer, an entry before and an entry after; a failure is an outcome too.

        Args:
            turn: held meanwhile instead of the only writer's.
        """
        name, digests = "\0".join(names), {"policy_digest": policy_digest, "detail_digest": detail_digest}
        with turn or self._workspace.writing():
            self._record(act, name, "begins", **digests)
            try:
                yield
            except BaseException as stopped:
                outcome = "failed" if isinstance(stopped, Exception) else "cancelled"
                with suppress(ApplianceError):
                    self._follow()
                self._roots.leave()
                self._record(act, name, outcome, **digests)
                raise
            self._follow()
            self._roots.settle()
            self._record(act, name, "done", **digests)

    def _follow(self) -> None:
        """Watch the catalogue that is open now: a change of keys opens another file."""
        if self._roots.catalogue is not self._workspace.catalogue:
            self._roots = CatalogueRoots(self._workspace.catalogue, self._log)
            self._roots.check()

    def _record(self, act: str, name: str, outcome: str, **digests: str) -> None:
        self._log.append(act, self._log.identifier(name), outcome, actor=self._actor, **digests)

    @property
    def _actor(self) -> str:
        """Who does it, as the log says it: the role, and a keyed digest of the name."""
        return _actor(self._log, self._workspace.user.role, self._workspace.user.name)

    @property
    def role(self) -> str:
        """What the user who opened it is here."""
        return str(self._workspace.user.role)

    def may(self) -> frozenset[str]:
        """The acts that this user's role may do, by the names of these methods."""
        role = self._workspace.user.role
        return frozenset(name for name, rule in permissions.RULES.items() if role in rule.roles)

    def expect_permission(self, name: str) -> None:
        """Make sure that this user's role may do an act, before anybody is asked for its details.

        Raises:
            NotPermitted: it may not; the log has an entry.
        """
        self._permit(permissions.RULES[name])

    def _permit(self, rule: Rule) -> None:
        """Go on if this user's role may.

        Raises:
            NotPermitted: it may not; the log has an entry.
        """
        role = self._workspace.user.role
        if role not in rule.roles:
            self._log.append(rule.act, "", "refused", actor=self._actor)
            raise permissions.refusal(role, rule)


permissions.guard(OpenWorkspace)


def at_the_screens(role: Role) -> NotPermitted:
    """What somebody reads who gives the secret of a machine or of a paper at the screens."""
    what = "a paper key" if role is Role.RECOVERY else f"a {role}"
    helps = "Make a new officer with the words: `gradaudit recover`." if role is Role.RECOVERY else ""
    return NotPermitted(f"{what} does not sign in at the screens", helps or "Unlock as a person.")


@contextmanager
def attempted(root: Path, log: EvidenceLog, act: str, name: str, *, waits: bool = True) -> Iterator[None]:
    """One try at a secret of the user `name`, and an entry about it; one at a time for all programs.

    Args:
        root: of the workspace.
        log: of the same.
        act: name of the entry.
        name: of the user, as typed.
        waits: whether too many wrong ones make it wait; not for random secrets.

    Raises:
        Locked: too many wrong ones before; the secret is not looked at.
    """
    keyring = read_keyring(root / KEYRING)
    slot, person = keyring.slot(name), _person(log, name)
    with exclusive(root):
        log.refresh()
        seconds = lockout.wait_s(log.about(person), lockout.boot_ns()) if waits else 0
        if seconds:
            log.append(lockout.LOCKED_OUT, person, "refused", actor="anonymous")
            role = slot.user.role if slot is not None else None
            raise lockout.locked_out(seconds, role, bool(keyring.users(Role.RECOVERY)))
        try:
            yield
        except ApplianceError as error:
            outcome = "refused" if isinstance(error, Locked) else "failed"
            log.append(act, person, outcome, actor="anonymous")
            raise
        actor = _actor(log, slot.user.role, name) if slot is not None else "anonymous"
        log.append(act, person, "allowed", actor=actor)


def _forget_keys(root: Path) -> NotNow | None:
    """Forget what `unlock` keeps; an error where it may be kept out of sight."""
    if Workspace.lock(root) or (session.sees_all() and (root / KEYRING).stat().st_uid == os.getuid()):
        return None
    return NotNow(
        "the workspace may still be unlocked: nothing was found to forget, and not every place can be seen",
        "Lock it from where it was unlocked: same account, same XDG_RUNTIME_DIR. A restart locks it too.",
    )


def _person(log: EvidenceLog, name: str) -> str:
    return log.identifier(f"user\0{name}")


def _actor(log: EvidenceLog, role: Role, name: str) -> str:
    return f"{role}:{_person(log, name)}"


def log_unopened(root: Path, act: str, outcome: str) -> None:
    """An entry about a workspace that is not open; the log's keys need no passphrase (SECURITY §3)."""
    if os.path.isdir(root / LOG):  # noqa: PTH112 - False, not an error, where the folder is another account's
        log = EvidenceLog.open(root / LOG, create=False)
        log.append(act, log.identifier(str(root)), outcome, actor="anonymous")
