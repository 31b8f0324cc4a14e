"""Users, what is granted to them, and who may have written that (SECURITY §2, docs/spec/keyring.md).

Three seals over who may open what, because three kinds of people could want to change it:

origin     under the anchor in every slot: written by a user, not by somebody with the disk alone
seal       under the RUN key: written by who runs audits, not by an auditor or a user of an earlier epoch
witnesses  under the evidence key: who opens findings, and how many together, those decided who open them
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final

from appliance.errors import IntegrityError, Locked, UsageError
from appliance.workspace import grants
from appliance.workspace.grants import Grant
from appliance.workspace.keys import SecretKey, catalogue_key
from appliance.workspace.keyslots import (
    FLOOR,
    UNSAFE_ID,
    Identity,
    Slot,
    User,
    canonical,
    new_slot,
)
from appliance.workspace.roles import Role

OFFICER: Final = "officer"  # name of the first user, unless another is given
MOST_USERS: Final = 64
_NOT_THIS: Final = "the passphrase does not open this workspace"


@dataclass(frozen=True, slots=True)
class OpenedKeys:
    """What a user's private key gave.

    Attributes:
        user: whose it was.
        catalogue: the SQLCipher key.
        run: the RUN key; None for an auditor.
    """

    user: User
    catalogue: SecretKey
    run: SecretKey | None


@dataclass(frozen=True, slots=True)
class Authority:
    """What it takes to change who may open what: the RUN key, and a typed passphrase for the anchor."""

    run: SecretKey
    anchor: SecretKey


@dataclass(frozen=True, slots=True)
class Keyring:
    """The content of keyring.json.

    Attributes:
        workspace_id: 16 random bytes that every sealed object names.
        epoch: of the RUN key, from 1.
        quorum: how many of officers and paper keys open the evidence key together, 1 or 2.
        evidence: public key that findings are sealed to, 32 bytes.
        check: tells the right catalogue key from another without opening anything.
        slots: one a user.
        grants: who opens what.
        seal, origin, witness_seal: see the top of this file.
    """

    workspace_id: bytes
    epoch: int
    quorum: int
    evidence: bytes
    check: bytes
    slots: tuple[Slot, ...]
    grants: tuple[Grant, ...]
    seal: bytes = b""
    origin: bytes = b""
    witness_seal: bytes = b""

    # -- opening ---------------------------------------------------------------------------------------

    def identify(self, secret: str, name: str = "") -> Identity:
        """The user who knows `secret`.

        Args:
            secret: passphrase, content of a machine's credential, or the words on paper.
            name: of the user; empty when only one types a passphrase.

        Raises:
            Locked: no such user, or a wrong secret.
        """
        slot = self.slot(name or self.only_user())
        identity = slot.opened(secret, self.workspace_id) if slot is not None else None
        if identity is None:
            raise Locked(_NOT_THIS, "Check the keyboard layout and try again.")
        return identity

    def keys_of(self, identity: Identity) -> OpenedKeys:
        """The keys a user opens alone.

        Raises:
            Locked: nothing is granted to this user.
            IntegrityError: somebody who may not changed who may open what.
        """
        if not hmac.compare_digest(self.origin, self._origin_under(identity.anchor)):
            raise _tampered()
        run = self._granted(grants.RUN, (identity,), self._about_run())
        if run is not None:
            self.check_seal(run)
            return OpenedKeys(identity.user, catalogue_key(run, self.workspace_id), run)
        catalogue = self._granted(grants.CATALOGUE, (identity,), self._about_run())
        if catalogue is None:
            raise Locked("no key is granted to this user", "Ask an officer to add the user anew.")
        return OpenedKeys(identity.user, catalogue, None)

    def evidence_key(self, identities: Sequence[Identity]) -> SecretKey | None:
        """The private key that opens findings, or None when these users do not reach the quorum.

        Raises:
            IntegrityError: somebody without this key changed who holds it, or how many it takes.
        """
        key = self._granted(grants.EVIDENCE, identities, self.evidence.hex())
        if key is not None and not hmac.compare_digest(self.witness_seal, self._witnesses_under(key)):
            raise _tampered()
        return key

    def accepts(self, catalogue: SecretKey) -> bool:
        """Whether this is the catalogue key of this workspace at this epoch."""
        return hmac.compare_digest(self.check, _check_value(catalogue, self.workspace_id))

    def check_seal(self, run_key: SecretKey) -> None:
        """Make sure that a holder of the RUN key wrote who may open what.

        Raises:
            IntegrityError: somebody else did.
        """
        if not hmac.compare_digest(self.seal, self._seal_under(run_key)):
            raise _tampered()

    def slot(self, name: str) -> Slot | None:
        """The slot of a user, or None."""
        return next((slot for slot in self.slots if slot.user.name == name), None)

    def users(self, role: Role | None = None) -> tuple[User, ...]:
        """Users by name, of one role or all."""
        users = (slot.user for slot in self.slots)
        return tuple(sorted((one for one in users if role in (None, one.role)), key=lambda user: user.name))

    def witnesses(self) -> tuple[User, ...]:
        """Who has a part in the evidence key."""
        return tuple(slot.user for slot in self.slots if slot.user.role.sees_evidence)

    def only_user(self) -> str:
        """The name of the one user who types a passphrase.

        Raises:
            Locked: there are several.
        """
        typing = [slot.user.name for slot in self.slots if slot.user.role.types_a_passphrase]
        if len(typing) != 1:
            raise Locked("several users can open this workspace", "Say who you are with --user NAME.")
        return typing[0]

    @property
    def unsafe_fast_kdf(self) -> bool:
        """Whether it was made so that passphrases are cheap to guess: in tests only.

        The id says it, and every key is derived with the id: nobody can make this of a workspace that exists.
        """
        return self.workspace_id.startswith(UNSAFE_ID)

    def cheap_slots(self) -> tuple[User, ...]:
        """Users whose passphrase could be guessed below the floor, as only tests make them."""
        if self.unsafe_fast_kdf:
            return ()
        return tuple(one.user for one in self.slots if one.kdf is not None and one.kdf.below(FLOOR))

    # -- changing --------------------------------------------------------------------------------------

    def with_slots(self, slots: Sequence[Slot], by: Authority, evidence_key: SecretKey | None) -> Keyring:
        """The same keys for these users.

        Args:
            slots: all users from now on.
            by: who changes it. The RUN key is granted to them, the catalogue key to auditors.
            evidence_key: granted too; None where those who have a part in it stay the same.

        Raises:
            UsageError: too many, fewer than the quorum needs, or nobody who may add users.
        """
        changed = replace(self, slots=tuple(slots))
        if len(slots) > MOST_USERS:
            raise UsageError(f"a workspace has {MOST_USERS} users at most", "Remove one who has left.")
        if not changed.users(Role.OFFICER):
            raise UsageError("this would leave no officer", "Add another officer first.")
        if len(changed.witnesses()) < self.quorum:
            raise UsageError(
                f"a quorum of {self.quorum} needs as many officers or paper keys", "Add another one first."
            )
        if evidence_key is None:
            if changed.witnesses() != self.witnesses():
                raise ValueError("who opens findings changes only with the evidence key")
            evidence_grants = [one for one in self.grants if one.key == grants.EVIDENCE]
        else:
            evidence_grants = changed._evidence_grants(evidence_key)
            changed = replace(changed, witness_seal=changed._witnesses_under(evidence_key))
        return changed._granting([*changed._run_grants(by.run), *evidence_grants], by)

    def with_quorum(self, quorum: int, by: Authority, evidence_key: SecretKey) -> Keyring:
        """A new evidence key, granted to single users or to every pair of them.

        It must be a new one: an older keyring.json grants the old one by the old quorum.

        Raises:
            UsageError: fewer users than the quorum needs.
        """
        if quorum not in (1, 2):
            raise UsageError("a quorum is 1 or 2", "See `gradaudit users quorum --help`.")
        return replace(self, quorum=quorum).with_evidence_key(by, evidence_key)

    def with_evidence_key(self, by: Authority, evidence_key: SecretKey) -> Keyring:
        """Findings are sealed to another key from now on. Raises as `with_slots`."""
        changed = replace(self, evidence=grants.public_of(evidence_key))
        return changed.with_slots(changed.slots, by, evidence_key)

    def rotated(self, by: Authority) -> Keyring:
        """The next epoch: the RUN key of `by` is new, for everybody, no passphrase needed."""
        check = _check_value(catalogue_key(by.run, self.workspace_id), self.workspace_id)
        return replace(self, epoch=self.epoch + 1, check=check).with_slots(self.slots, by, None)

    def with_slot(self, slot: Slot) -> Keyring:
        """The same user under another passphrase; grants and seals stay as they are."""
        others = tuple(slot if one.user == slot.user else one for one in self.slots)
        return replace(self, slots=others)

    # -- how it is done --------------------------------------------------------------------------------

    def _about_run(self) -> str:
        return str(self.epoch)

    def _granted(self, key: str, identities: Sequence[Identity], about: str) -> SecretKey | None:
        for grant in self.grants:
            if grant.key == key:
                secret = grants.opened(grant, identities, about, self.workspace_id)
                if secret is not None:
                    return secret
        return None

    def _run_grants(self, run_key: SecretKey) -> list[Grant]:
        catalogue = catalogue_key(run_key, self.workspace_id)
        return [
            grants.granted(
                grants.RUN if slot.user.role.runs else grants.CATALOGUE,
                run_key if slot.user.role.runs else catalogue,
                (slot.user,),
                self._about_run(),
                self.workspace_id,
            )
            for slot in self.slots
        ]

    def _evidence_grants(self, evidence_key: SecretKey) -> list[Grant]:
        return [
            grants.granted(grants.EVIDENCE, evidence_key, together, self.evidence.hex(), self.workspace_id)
            for together in combinations(self.witnesses(), self.quorum)
        ]

    def _granting(self, granted: Sequence[Grant], by: Authority) -> Keyring:
        changed = replace(self, grants=tuple(granted))
        return replace(changed, seal=changed._seal_under(by.run), origin=changed._origin_under(by.anchor))

    def _seal_under(self, run_key: SecretKey) -> bytes:
        return self._sealed(run_key, "gradaudit run key v2: keyring seal", self._decided())

    def _origin_under(self, anchor: SecretKey) -> bytes:
        return self._sealed(anchor, "gradaudit anchor v2: keyring origin", self._decided())

    def _witnesses_under(self, evidence_key: SecretKey) -> bytes:
        witnesses = {
            "quorum": self.quorum,
            "evidence": self.evidence.hex(),
            "users": [_user_document(user) for user in self.witnesses()],
        }
        return self._sealed(evidence_key, "gradaudit evidence key v2: witnesses", witnesses)

    def _sealed(self, key: SecretKey, label: str, document: dict[str, Any]) -> bytes:
        return hmac.digest(key.derive(label, self.workspace_id).raw, canonical(document), "sha256")

    def _decided(self) -> dict[str, Any]:
        """All that says who may open what; the passphrases of single users are not in it."""
        return {
            "workspace_id": self.workspace_id.hex(),
            "epoch": self.epoch,
            "quorum": self.quorum,
            "evidence": self.evidence.hex(),
            "check": self.check.hex(),
            "witnesses": self.witness_seal.hex(),
            "users": [_user_document(slot.user) for slot in self.slots],
            "grants": [grant_document(grant) for grant in self.grants],
        }


def new_keyring(
    passphrase: str, name: str = OFFICER, *, unsafe_fast_kdf: bool = False
) -> tuple[Keyring, Identity]:
    """A keyring with one officer, fresh keys, and a quorum of one.

    Args:
        passphrase: what the officer will type; at least 8 characters.
        name: of the officer.
        unsafe_fast_kdf: see `keyslots.new_slot`. For tests only.

    Raises:
        UsageError: the name or the passphrase is not usable.
    """
    workspace_id = UNSAFE_ID + secrets.token_bytes(8) if unsafe_fast_kdf else secrets.token_bytes(16)
    slot, identity = new_slot(
        name, Role.OFFICER, passphrase, workspace_id, SecretKey.random(), unsafe_fast_kdf=unsafe_fast_kdf
    )
    run_key, evidence_key = SecretKey.random(), SecretKey.random()
    keyring = Keyring(
        workspace_id=workspace_id,
        epoch=1,
        quorum=1,
        evidence=grants.public_of(evidence_key),
        check=_check_value(catalogue_key(run_key, workspace_id), workspace_id),
        slots=(slot,),
        grants=(),
    )
    return keyring.with_slots((slot,), Authority(run_key, identity.anchor), evidence_key), identity


def grant_document(grant: Grant) -> dict[str, Any]:
    """How keyring.json writes a grant."""
    return {"key": grant.key, "to": list(grant.to), "sealed": grant.sealed.hex()}


def _user_document(user: User) -> list[str]:
    return [user.name, str(user.role), user.public.hex()]


def _check_value(catalogue: SecretKey, workspace_id: bytes) -> bytes:
    return catalogue.derive("gradaudit catalogue key v2: check", workspace_id).raw


def _tampered() -> IntegrityError:
    return IntegrityError(
        "keyring.json was changed by somebody who does not hold the keys",
        "Keep the file as evidence and restore keyring.json from a backup.",
    )
