"""Users, what is granted to them, and the keys that stay (SECURITY §2, docs/spec/keyring.md).

`seal`: who holds the RUN key checks that users, roles, public keys and grants are those that were written by
a holder of the RUN key, so nobody with the disk alone adds a user whom the next change of keys would serve.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final

from cryptography.exceptions import InvalidTag

from appliance.errors import IntegrityError, Locked, UsageError
from appliance.workspace import grants
from appliance.workspace.grants import Grant
from appliance.workspace.keys import KeptKeys, SecretKey, catalogue_key
from appliance.workspace.keyslots import (
    PASSPHRASE_KDF,
    Identity,
    Slot,
    User,
    canonical,
    new_slot,
)
from appliance.workspace.roles import Role

OFFICER: Final = "officer"  # name of the first user, unless another is given
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
class Keyring:
    """The content of keyring.json.

    Attributes:
        workspace_id: 16 random bytes that every sealed object names.
        epoch: of the RUN key, from 1.
        quorum: how many of officers and paper keys open the evidence key together, 1 or 2.
        evidence: public key that findings are sealed to, 32 bytes.
        check: tells the right catalogue key from another without opening anything.
        kept: `KeptKeys` under the RUN key.
        slots: one a user.
        grants: who opens what.
        seal: under the RUN key, over all that decides who opens what.
    """

    workspace_id: bytes
    epoch: int
    quorum: int
    evidence: bytes
    check: bytes
    kept: bytes
    slots: tuple[Slot, ...]
    grants: tuple[Grant, ...]
    seal: bytes = b""

    # -- opening ---------------------------------------------------------------------------------------

    def identify(self, secret: str, name: str = "") -> Identity:
        """The user who knows `secret`.

        Args:
            secret: passphrase, content of a machine's credential, or the words on paper.
            name: of the user; empty when only one types a passphrase.

        Raises:
            Locked: no such user, or a wrong secret.
        """
        slot = self.slot(name or self._only_user())
        identity = slot.opened(secret, self.workspace_id) if slot is not None else None
        if identity is None:
            raise Locked(_NOT_THIS, "Check the keyboard layout and try again.")
        return identity

    def keys_of(self, identity: Identity) -> OpenedKeys:
        """The keys a user opens alone.

        Raises:
            Locked: nothing is granted to this user.
            IntegrityError: somebody without the RUN key changed who may open what.
        """
        run = self._granted(grants.RUN, (identity,), self._about_run())
        if run is not None:
            self.check_seal(run)
            return OpenedKeys(identity.user, catalogue_key(run, self.workspace_id), run)
        catalogue = self._granted(grants.CATALOGUE, (identity,), self._about_run())
        if catalogue is None:
            raise Locked("no key is granted to this user", "Ask an officer to add the user anew.")
        return OpenedKeys(identity.user, catalogue, None)

    def evidence_key(self, identities: Sequence[Identity]) -> SecretKey | None:
        """The private key that opens findings, or None when these users do not reach the quorum."""
        return self._granted(grants.EVIDENCE, identities, self.evidence.hex())

    def accepts(self, catalogue: SecretKey) -> bool:
        """Whether this is the catalogue key of this workspace at this epoch."""
        return hmac.compare_digest(self.check, _check_value(catalogue, self.workspace_id))

    def kept_keys(self, run_key: SecretKey) -> KeptKeys:
        """The keys that stay.

        Raises:
            IntegrityError: altered.
        """
        try:
            return KeptKeys.unwrapped(self.kept, run_key, self.workspace_id)
        except (InvalidTag, ValueError):
            raise _tampered() from None

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

    @property
    def unsafe_fast_kdf(self) -> bool:
        """True when a passphrase costs an attacker less than the floor: only ever in tests."""
        floor = PASSPHRASE_KDF.memory_kib
        return any(slot.kdf is not None and slot.kdf.memory_kib < floor for slot in self.slots)

    # -- changing --------------------------------------------------------------------------------------

    def with_slots(
        self, slots: Sequence[Slot], run_key: SecretKey, evidence_key: SecretKey | None
    ) -> Keyring:
        """The same keys for these users.

        Args:
            slots: all users from now on.
            run_key: granted to them, the catalogue key to auditors.
            evidence_key: granted too; None leaves the evidence grants of users who stay as they are.
        """
        changed = replace(self, slots=tuple(slots))
        grants_now = [*changed._run_grants(run_key)]
        if evidence_key is not None:
            grants_now += changed._evidence_grants(evidence_key)
        else:
            names = {slot.user.name for slot in slots}
            grants_now += [one for one in self.grants if one.key == grants.EVIDENCE and set(one.to) <= names]
        return changed._granting(grants_now, run_key)

    def with_quorum(self, quorum: int, run_key: SecretKey, evidence_key: SecretKey) -> Keyring:
        """The evidence key granted to single users or to every pair of them.

        Raises:
            UsageError: fewer users than the quorum needs.
        """
        if quorum not in (1, 2) or len(self._witnesses()) < quorum:
            raise UsageError(
                f"a quorum of {quorum} needs as many officers or paper keys", "Add another officer first."
            )
        changed = replace(self, quorum=quorum)
        return changed.with_slots(self.slots, run_key, evidence_key)

    def rotated(self, old_run: SecretKey, new_run: SecretKey) -> Keyring:
        """The next epoch: a new RUN key for everybody, no passphrase needed; the kept keys stay."""
        kept = self.kept_keys(old_run).wrapped(new_run, self.workspace_id)
        check = _check_value(catalogue_key(new_run, self.workspace_id), self.workspace_id)
        following = replace(self, epoch=self.epoch + 1, check=check, kept=kept)
        return following.with_slots(self.slots, new_run, None)

    def with_evidence_key(self, run_key: SecretKey, evidence_key: SecretKey) -> Keyring:
        """Findings are sealed to another key from now on."""
        changed = replace(self, evidence=grants.public_of(evidence_key))
        return changed.with_slots(self.slots, run_key, evidence_key)

    def with_slot(self, slot: Slot) -> Keyring:
        """The same user under another passphrase; grants and seal stay as they are."""
        others = tuple(slot if one.user == slot.user else one for one in self.slots)
        return replace(self, slots=others)

    # -- how it is done --------------------------------------------------------------------------------

    def _only_user(self) -> str:
        typing = [slot.user.name for slot in self.slots if slot.user.role.types_a_passphrase]
        if len(typing) != 1:
            raise Locked("several users can open this workspace", "Say who you are with --user NAME.")
        return typing[0]

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
            for together in combinations(self._witnesses(), self.quorum)
        ]

    def _witnesses(self) -> list[User]:
        return [slot.user for slot in self.slots if slot.user.role.sees_evidence]

    def _granting(self, granted: Sequence[Grant], run_key: SecretKey) -> Keyring:
        unsealed = replace(self, grants=tuple(granted))
        return replace(unsealed, seal=unsealed._seal_under(run_key))

    def _seal_under(self, run_key: SecretKey) -> bytes:
        sealed = {
            "workspace_id": self.workspace_id.hex(),
            "epoch": self.epoch,
            "quorum": self.quorum,
            "evidence": self.evidence.hex(),
            "kept": self.kept.hex(),
            "users": [[slot.user.name, str(slot.user.role), slot.user.public.hex()] for slot in self.slots],
            "grants": [grant_document(grant) for grant in self.grants],
        }
        sealing = run_key.derive("gradaudit run key v2: keyring seal", self.workspace_id)
        return hmac.digest(sealing.raw, canonical(sealed), "sha256")


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
    workspace_id = secrets.token_bytes(16)
    slot, identity = new_slot(name, Role.OFFICER, passphrase, workspace_id, unsafe_fast_kdf=unsafe_fast_kdf)
    run_key, evidence_key = SecretKey.random(), SecretKey.random()
    keyring = Keyring(
        workspace_id=workspace_id,
        epoch=1,
        quorum=1,
        evidence=grants.public_of(evidence_key),
        check=_check_value(catalogue_key(run_key, workspace_id), workspace_id),
        kept=KeptKeys.random().wrapped(run_key, workspace_id),
        slots=(),
        grants=(),
    )
    return keyring.with_slots((slot,), run_key, evidence_key), identity


def grant_document(grant: Grant) -> dict[str, Any]:
    """How keyring.json writes a grant."""
    return {"key": grant.key, "to": list(grant.to), "sealed": grant.sealed.hex()}


def _check_value(catalogue: SecretKey, workspace_id: bytes) -> bytes:
    return catalogue.derive("gradaudit catalogue key v2: check", workspace_id).raw


def _tampered() -> IntegrityError:
    return IntegrityError(
        "keyring.json was changed by somebody who does not hold the keys",
        "Keep the file as evidence and restore keyring.json from a backup.",
    )
