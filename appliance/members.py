"""Users of a workspace and their keys: who may open what, and changing it. Torch-free.

Whoever loses a part in a key makes it change: the RUN key with every user who goes, the evidence key with
everybody who opened findings.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from appliance import lockout
from appliance.acts import OpenWorkspace, attempted
from appliance.errors import Locked, UsageError
from appliance.finding_views import Second
from appliance.workspace import paper
from appliance.workspace.keys import SecretKey
from appliance.workspace.keyslots import Slot, new_slot, slot_of
from appliance.workspace.roles import Role

PAPER: Final = "paper"  # name of the first sheet of recovery words


@dataclass(frozen=True, slots=True)
class UserView:
    """One user."""

    name: str
    role: str
    opens: str  # what the keys granted to it open, in words
    yourself: bool


class Members(OpenWorkspace):
    """The acts around users and keys."""

    def users(self) -> tuple[UserView, ...]:
        """Every user by name."""
        keyring = self._workspace.keyring
        together = "" if keyring.quorum == 1 else " with a second one"
        return tuple(
            UserView(
                user.name,
                str(user.role),
                _opens(user.role, together),
                user.name == self._workspace.user.name,
            )
            for user in keyring.users()
        )

    def join(self, name: str, secret: str) -> None:
        """A second person, for what takes two: stands by until this workspace is closed.

        Args:
            name: an officer, or a paper key.
            secret: passphrase, or the words on paper.

        Raises:
            Locked: no such user, a wrong secret, or too many of them.
            UsageError: words on paper are mistyped; it is the same person, or one who opens no findings.
        """
        if name == self._workspace.user.name:
            raise UsageError("the second person is the first one", "Two different people are needed.")
        slot = self._workspace.keyring.slot(name)
        if slot is not None and not slot.user.role.sees_evidence:
            article = "a" if slot.user.role is Role.MACHINE else "an"
            raise UsageError(
                f"{name} is {article} {slot.user.role}, and does not open findings",
                "Name an officer or a paper key as the second one.",
            )
        if slot is not None and slot.user.role is Role.RECOVERY:
            secret = paper.opens_with(secret)
        with attempted(self._workspace.root, self._log, lockout.JOIN, name):
            identity = slot.opened(secret, self._workspace.keyring.workspace_id) if slot is not None else None
            if identity is None:
                whose = slot.user.name if slot is not None else "a user of that name"
                raise Locked(
                    f"this is not the secret of {whose}", "Check who types, and the keyboard layout."
                )
            self._present.append(identity)

    @contextmanager
    def _beside(self, second: Second | None) -> Iterator[None]:
        """A second person, present for one act."""
        before = list(self._present)
        try:
            if second is not None:
                self.join(second.name, second.secret)
            yield
        finally:
            self._present[:] = before

    def quorum(self) -> int:
        """How many officers or paper keys open findings together."""
        return self._workspace.keyring.quorum

    def add_user(self, name: str, role: str, passphrase: str, second: Second | None = None) -> None:
        """Add somebody who types a passphrase.

        Args:
            name: to sign in by.
            role: officer, operator or auditor.
            passphrase: the first one.
            second: present for this act alone, where it takes two.

        Raises:
            UsageError: the name is taken or not usable, no such role, or the passphrase is too short.
            NotPermitted: no passphrase was typed for this; or an officer, without the quorum.
        """
        wanted = _typed_role(role)
        with self._beside(second), self._act("user.add", "user", name):
            self._add(self._new_slot(name, wanted, passphrase))

    def add_machine(self, name: str) -> str:
        """Add a machine; returns the secret that opens its slot, one line. Raises as `add_user`."""
        secret = secrets.token_hex(32)
        with self._act("user.add", "user", name):
            self._add(self._new_slot(name, Role.MACHINE, secret))
        return f"{name} {secret}"

    def add_recovery(self, name: str = PAPER, words: str = "") -> str:
        """Add a paper key; returns its words, which exist nowhere else. Raises as `add_user`.

        Args:
            name: of the sheet.
            words: made before, and on paper already; made now when empty.
        """
        words = words or paper.new_words()
        with self._act("user.add", "user", name):
            self._add(self._new_slot(name, Role.RECOVERY, paper.opens_with(words)))
        return words

    def remove_user(self, name: str, second: Second | None = None) -> None:
        """Remove a user; the keys that user has seen are changed.

        Raises:
            UsageError: no such user, oneself, or too few would be left.
            NotPermitted: as `add_user`.
            Busy: an audit runs, or another program keeps the catalogue locked.
        """
        if name == self._workspace.user.name:
            raise UsageError("nobody removes himself", "Another officer can.")
        with self._beside(second), self._act("user.remove", "user", name, turn=self._workspace.alone()):
            leaving = self._slot(name)
            self._replace([slot for slot in self._workspace.keyring.slots if slot is not leaving])

    def change_passphrase(self, old: str, new: str) -> None:
        """Change one's own passphrase; keys and other users stay.

        An old copy of keyring.json still opens with the old one: where somebody knows it, an officer resets.

        Raises:
            Locked: the old one is wrong.
            UsageError: the new one is too short.
        """
        name = self._workspace.user.name
        with attempted(self._workspace.root, self._log, lockout.JOIN, name):
            self._workspace.keyring.identify(old, name)
        with self._act("user.passphrase", "user", name):
            keyring = self._workspace.keyring
            identity = keyring.identify(old, name)
            self._workspace.change_keyring(
                keyring.with_slot(slot_of(identity, new, keyring.workspace_id, unsafe_fast_kdf=self._fast))
            )

    def reset_passphrase(self, name: str, new: str, second: Second | None = None) -> None:
        """Give another user a passphrase and a new key pair; what the old ones opened is changed.

        Raises:
            UsageError: no such user, oneself, one without a passphrase, or it is too short.
            NotPermitted: as `add_user`.
            Busy: as `remove_user`.
        """
        if name == self._workspace.user.name:
            raise UsageError("one's own passphrase is changed, not reset", "Leave the name out.")
        with self._beside(second), self._act("user.reset", "user", name, turn=self._workspace.alone()):
            before = self._slot(name)
            if not before.user.role.types_a_passphrase:
                raise UsageError(
                    f"{before.user.name} has no passphrase", "Remove it and add it again for a new secret."
                )
            made = self._new_slot(name, before.user.role, new, known=True)
            self._replace([made if slot is before else slot for slot in self._workspace.keyring.slots])

    def rotate_keys(self, *, evidence: bool = False) -> None:
        """Change the RUN key, and the evidence key as well where asked.

        Raises:
            NotPermitted: no passphrase was typed for this; for the evidence key, without the quorum.
            Busy: as `remove_user`.
        """
        with self._act("keys.rotate", "evidence" if evidence else "run", turn=self._workspace.alone()):
            by, keyring = self._workspace.authority(), self._workspace.keyring
            if not evidence:
                self._workspace.rotate(keyring, by)
                return
            old, fresh = self._evidence_key(), SecretKey.random()
            with self._workspace.resealing(old, fresh):
                self._workspace.rotate(keyring.with_evidence_key(by, fresh), by)

    def set_quorum(self, quorum: int, second: Second | None = None) -> None:
        """How many open findings together; the evidence key changes, so an old keyring.json gives no other.

        Raises:
            UsageError: not 1 or 2, or fewer officers and paper keys than that.
            NotPermitted: no passphrase was typed for this, or the present quorum is not here.
            Busy: as `remove_user`.
        """
        with self._beside(second), self._act("keys.quorum", str(quorum), turn=self._workspace.alone()):
            by, keyring = self._workspace.authority(), self._workspace.keyring
            old, fresh = self._evidence_key(), SecretKey.random()
            changed = keyring.with_quorum(quorum, by, fresh)
            with self._workspace.resealing(old, fresh):
                self._workspace.change_keyring(changed)

    def auto_lock_minutes(self) -> int:
        """After how many minutes without use an unlocked workspace locks itself; 0 for never."""
        return self._workspace.auto_lock_minutes

    def set_auto_lock(self, minutes: int) -> None:
        """Change that.

        Raises:
            UsageError: negative, or more than a day.
        """
        with self._act("workspace.autolock", str(minutes)):
            self._workspace.set_auto_lock(minutes)

    # -- how it is done --------------------------------------------------------------------------------

    @property
    def _fast(self) -> bool:
        return self._workspace.unsafe_fast_kdf

    def _slot(self, name: str) -> Slot:
        found = self._workspace.keyring.slot(name)
        if found is None:
            raise UsageError("no user of that name", "See `gradaudit users ls`.")
        return found

    def _new_slot(self, name: str, role: Role, secret: str, *, known: bool = False) -> Slot:
        keyring = self._workspace.keyring
        if not known and keyring.slot(name) is not None:
            raise UsageError("a user of that name is there already", "See `gradaudit users ls`.")
        anchor = self._workspace.authority().anchor
        return new_slot(name, role, secret, keyring.workspace_id, anchor, unsafe_fast_kdf=self._fast)[0]

    def _add(self, slot: Slot) -> None:
        keyring, by = self._workspace.keyring, self._workspace.authority()
        evidence = self._evidence_key() if slot.user.role.sees_evidence else None
        self._workspace.change_keyring(keyring.with_slots((*keyring.slots, slot), by, evidence))

    def _replace(self, slots: Sequence[Slot]) -> None:
        """Go on with these users only: new keys for what the others had a part in."""
        keyring, by = self._workspace.keyring, self._workspace.authority()
        left = replace(keyring, slots=tuple(slots))
        if left.witnesses() == keyring.witnesses():
            self._workspace.rotate(keyring.with_slots(slots, by, None), by)
            return
        old, fresh = self._evidence_key(), SecretKey.random()
        changed = keyring.with_slots(slots, by, old).with_evidence_key(by, fresh)
        with self._workspace.resealing(old, fresh):
            self._workspace.rotate(changed, by)

    def _evidence_key(self) -> SecretKey:
        return self._workspace.evidence_key(self._present)


def _typed_role(role: str) -> Role:
    typed = [str(one) for one in Role if one.types_a_passphrase]
    if role not in typed:
        raise UsageError("no such role", f"Roles with a passphrase: {', '.join(typed)}.")
    return Role(role)


def _opens(role: Role, together: str) -> str:
    if role is Role.RECOVERY:
        return f"a new officer; findings{together}"
    if role is Role.OFFICER:
        return f"everything; findings{together}"
    return {
        Role.OPERATOR: "studies, models, audits",
        Role.AUDITOR: "results and log",
        Role.MACHINE: "ingest and audits",
    }[role]
