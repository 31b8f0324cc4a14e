"""A site's policies: their texts and what was done with them, in the catalogue under the digests of the log.

A text, and a note of every deed (proposed, approved, rejected), are settings of the catalogue named by their
SHA-256; the log's entries hold those digests. A note counts where the log says that the deed was done; one
that the log knows and that is gone or changed is an alarm. So is a text that does not give its digest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from appliance import policy_file
from appliance.errors import IntegrityError, PolicyError, UsageError
from appliance.evidence.entries import Act, Entry
from appliance.evidence.log import EvidenceLog
from appliance.evidence.vouched import RESTORE, not_logged, opened, salted
from appliance.policies.views import State
from appliance.policy_file import LoadedPolicy
from appliance.workspace.keyslots import User
from appliance.workspace.workspace import Workspace

PROPOSE: Final = "policy.propose"
APPROVE: Final = "policy.approve"
REJECT: Final = "policy.reject"
_ACTS: Final = (PROPOSE, APPROVE, REJECT)
_COUNTED: Final = ("done", "noted")  # `noted` again before the entry that said `done` is pruned
_TEXT, _NOTE = "policy/", "policy-note/"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_MAX_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done with a text.

    Attributes:
        act: PROPOSE, APPROVE or REJECT.
        name, version: of the policy in the text.
        digest: hex SHA-256 of the text.
        by: actors as the log has them; whoever signed in first.
        utc: when.
        from_utc: of an approval: when it comes into force.
        reason: as typed, or "".
    """

    act: str
    name: str
    version: str
    digest: str
    by: tuple[str, ...]
    utc: str
    from_utc: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """One text with its deeds, oldest first; none for a shipped one that no site has touched."""

    name: str
    version: str
    text: bytes
    digest: str
    deeds: tuple[Deed, ...] = ()
    shipped: bool = False

    @classmethod
    def of(cls, loaded: LoadedPolicy, *, shipped: bool = False) -> Version:
        """A text without deeds."""
        policy = loaded.policy
        return cls(policy.name, policy.version, loaded.text, loaded.digest, shipped=shipped)

    @property
    def reference(self) -> str:
        """NAME@VERSION: this text and no other."""
        return f"{self.name}@{self.version}"

    @property
    def loaded(self) -> LoadedPolicy:
        """The policy.

        Raises:
            PolicyError: an earlier version of the software took this text, and this one does not.
        """
        return policy_file.stored(self.text)

    @property
    def waits(self) -> bool:
        """Whether it is proposed, and neither approved nor rejected since."""
        return bool(self.deeds) and self.deeds[-1].act == PROPOSE

    @property
    def approvals(self) -> tuple[Deed, ...]:
        """Deeds that approved it."""
        return tuple(deed for deed in self.deeds if deed.act == APPROVE)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Every policy of a site and every shipped one, as they stand at one moment.

    Attributes:
        versions: by name; of one name the shipped first, then in the order in which they were proposed. Of
            the shipped ones the last is today's.
        now: ISO 8601 in UTC, to the second.
    """

    versions: tuple[Version, ...]
    now: str

    def named(self, reference: str) -> Version | None:
        """The version NAME@VERSION, a site's before a shipped one; else what is in force as NAME."""
        found = [one for one in self.versions if one.reference == reference]
        return found[-1] if found else self.in_force(reference)

    def in_force(self, name: str) -> Version | None:
        """What NAME stands for now: the approval with the latest day that has come, else as shipped."""
        standing: tuple[tuple[str, str], Version] | None = None
        for one in self.versions:
            for deed in one.approvals:
                rank = (deed.from_utc, deed.utc)
                if one.name == name and deed.from_utc <= self.now and (not standing or rank >= standing[0]):
                    standing = rank, one
        if standing:
            return standing[1]
        shipped = [one for one in self.versions if one.name == name and one.shipped]
        return shipped[-1] if shipped else None

    def waiting(self, name: str = "") -> tuple[Version, ...]:
        """Proposals that nobody has decided on, of one name or of all."""
        return tuple(one for one in self.versions if one.waits and name in ("", one.name))

    def state(self, version: Version) -> State:
        """How a version stands."""
        if version.waits:
            return State.PROPOSED
        if version is self.in_force(version.name):
            return State.IN_FORCE
        if any(deed.from_utc > self.now for deed in version.approvals):
            return State.APPROVED
        return State.REPLACED if version.approvals or version.shipped else State.REJECTED

    def from_utc(self, version: Version) -> str:
        """When a version came or comes into force; "" where nobody has approved it."""
        days = [deed.from_utc for deed in version.approvals]
        past = [day for day in days if day <= self.now]
        return max(past) if past else min(days, default="")


def now(log: EvidenceLog) -> str:
    """The log's clock, ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(log.clock.utc_ms() // 1000, UTC).isoformat(timespec="seconds")


def read(workspace: Workspace, log: EvidenceLog) -> Shelf:
    """Every policy there is.

    Raises:
        IntegrityError: a text or a note is gone, or is not what was logged.
    """
    site: dict[str, Version] = {}
    for deed in _deeds(workspace, log):
        text = _text(workspace, deed.digest)
        known = site.get(deed.digest) or Version(deed.name, deed.version, text, deed.digest)
        site[deed.digest] = replace(known, deeds=(*known.deeds, deed))
    texts = (*policy_file.earlier(), *map(policy_file.load, policy_file.shipped()))
    shipped = [Version.of(one, shipped=True) for one in texts]
    first = [replace(site.pop(one.digest, one), shipped=True) for one in shipped]
    return Shelf(tuple(sorted((*first, *site.values()), key=lambda one: one.name)), now(log))


def about(name: str) -> str:
    """What entries of the log about a policy are about."""
    return f"policy\0{name}"


def names(workspace: Workspace, log: EvidenceLog) -> tuple[str, ...]:
    """Names an audit can run under: of shipped policies, and of those a site has in force.

    Raises:
        IntegrityError: as `read`.
    """
    shelf = read(workspace, log)
    return tuple(sorted({one.name for one in shelf.versions if shelf.in_force(one.name)}))


def loaded(workspace: Workspace, log: EvidenceLog, reference: str) -> tuple[LoadedPolicy, str]:
    """The policy NAME (in force), NAME@VERSION or in a FILE, and how exactly it is found again.

    Raises:
        PolicyError: there is none, or it is none; a file has the name and version of another text.
        UsageError: this version was never approved, or its day has not come.
        IntegrityError: as `read`.
    """
    shelf = read(workspace, log)
    version = shelf.named(reference)
    if version is not None:
        if not (version.shipped or any(deed.from_utc <= shelf.now for deed in version.approvals)):
            raise UsageError(
                f"policy {reference} is {shelf.state(version)}",
                "only a policy that is approved, and whose day has come, decides an audit",
            )
        return version.loaded, version.reference
    names = sorted({one.name for one in shelf.versions})
    path = Path(reference)
    if not path.is_file():
        raise PolicyError(
            f"no policy {reference}", "there are " + ", ".join(names) + "; NAME@VERSION, or give a file"
        )
    given = from_file(path)
    _refuse_another_text(shelf, given, "give the file a name or a version of its own")
    return given, str(path.absolute())


def from_file(path: Path) -> LoadedPolicy:
    """A policy in a file.

    Raises:
        PolicyError: it cannot be read, is too long, or is no policy.
    """
    return policy_file.parse(text_of(path), str(path))


def text_of(path: Path) -> bytes:
    """The bytes of a policy file.

    Raises:
        PolicyError: it cannot be read, or is too long.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise PolicyError(f"{path} cannot be read: {error.strerror}", "give a policy file") from error
    if len(text) > _MAX_BYTES:
        raise PolicyError(f"{path} is longer than a policy", "give a policy file")
    return text


def check_proposal(shelf: Shelf, proposed: LoadedPolicy) -> None:
    """Make sure that a text can be proposed.

    Raises:
        PolicyError: its name or version cannot be used, or stands for another text.
        UsageError: it is in force or approved, or another proposal of this name waits.
    """
    policy = proposed.policy
    for what, value in (("name", policy.name), ("version", policy.version)):
        if _NAME.fullmatch(value) is None:
            raise PolicyError(
                f"the {what} of a site's policy has up to 32 letters, digits, dots, dashes or underscores",
                f"change {what} in the file",
            )
    _refuse_another_text(shelf, proposed, "give the new text another version")
    for one in shelf.waiting(policy.name):
        raise UsageError(
            f"policy {one.name} version {one.version} waits for approval",
            f"approve or reject {one.reference} first",
        )
    known = next((one for one in shelf.versions if one.digest == proposed.digest), None)
    if known is None:
        return
    if known is shelf.in_force(policy.name):
        raise UsageError(f"{known.reference} is in force", "propose a text that differs")
    ahead = [deed.from_utc[:10] for deed in known.approvals if deed.from_utc > shelf.now]
    if ahead:
        raise UsageError(f"{known.reference} is approved from {ahead[-1]} on", "propose a text that differs")


def _refuse_another_text(shelf: Shelf, given: LoadedPolicy, hint: str) -> None:
    """NAME@VERSION is one text for ever, also one that a later version of the software will ship."""
    policy, reference = given.policy, Version.of(given).reference
    if any(one.digest == given.digest for one in shelf.versions):
        return
    if any(one.reference == reference for one in shelf.versions):
        raise PolicyError(f"{reference} is another text", hint)
    reserved = policy.version.startswith(policy_file.SHIPPED_VERSION)
    if reserved and any(one.name == policy.name and one.shipped for one in shelf.versions):
        what = f"{policy.name}@{policy_file.SHIPPED_VERSION}…"
        raise PolicyError(f"{what} is how the software names its own texts", hint)


def actor(log: EvidenceLog, user: User) -> str:
    """A user as the log's entries have them: the role, and a keyed digest of the name."""
    return f"{user.role}:" + log.identifier(f"user\0{user.name}")


def keep_text(workspace: Workspace, proposed: LoadedPolicy) -> None:
    """Store a text under its digest."""
    workspace.catalogue.set_setting(_TEXT + proposed.digest, proposed.text.decode("utf-8"))


def note(deed: Deed) -> tuple[str, str]:
    """What is kept of a deed, and its SHA-256, hex; salted, so that nobody can try out reasons."""
    return salted(
        {
            "act": deed.act,
            "by": list(deed.by),
            "digest": deed.digest,
            "from": deed.from_utc,
            "name": deed.name,
            "reason": deed.reason,
            "utc": deed.utc,
            "version": deed.version,
        }
    )


def keep_note(workspace: Workspace, content: str, digest: str) -> None:
    """Store a note under its digest."""
    workspace.catalogue.set_setting(_NOTE + digest, content)


def renew(log: EvidenceLog, actor: str) -> None:
    """Say again what was done, before entries that say so are pruned."""
    again = [
        Act(one.act, one.object, "noted", actor, one.policy_digest, one.detail_digest)
        for one in _counted(log)
    ]
    if again:
        log.append_all(again)


def _counted(log: EvidenceLog) -> Sequence[Entry]:
    """The last entry that says of a note that it was done, in the order of the deeds."""
    last: dict[str, Entry] = {}
    entries = sorted((one for act in _ACTS for one in log.acts(act)), key=lambda one: one.index)
    for entry in entries:
        if entry.outcome in _COUNTED:
            last.pop(entry.detail_digest, None)
            last[entry.detail_digest] = entry
    return tuple(last.values())


def _deeds(workspace: Workspace, log: EvidenceLog) -> list[Deed]:
    log.refresh()
    notes = workspace.catalogue.settings(_NOTE)
    found = []
    for entry in _counted(log):
        told = opened(notes.get(_NOTE + entry.detail_digest), entry.detail_digest)
        if told is None:
            raise not_logged(f"the note of log entry {entry.index}")
        if (told["act"], told["digest"]) != (entry.act, entry.policy_digest):
            raise IntegrityError(f"log entry {entry.index} belongs to another note", RESTORE)
        found.append(
            Deed(
                act=told["act"],
                name=told["name"],
                version=told["version"],
                digest=told["digest"],
                by=tuple(told["by"]),
                utc=told["utc"],
                from_utc=told["from"],
                reason=told["reason"],
            )
        )
    return found


def _text(workspace: Workspace, digest: str) -> bytes:
    text = (workspace.catalogue.setting(_TEXT + digest) or "").encode()
    if sha256(text).hexdigest() != digest:
        raise not_logged("the text of a policy")
    return text
