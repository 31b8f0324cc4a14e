"""The log remembers the states of evidence.db, and what may be taken into it (docs/spec/evidence-store.md).

    evidence.root   begins  detail = root before, result = root after: written before a change commits
    evidence.root   done    result = root
    evidence.check  refused detail = the root that was found

No state comes back: each holds a random word. So an entry that names a state which was left before is a
forgery, by whoever holds the disk and with it the log's key, and says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from appliance.errors import IntegrityError
from appliance.evidence.entries import Act, Entry
from appliance.evidence.log import EvidenceLog

ACT: Final = "evidence.root"
CHECK: Final = "evidence.check"
ASIDE: Final = "findings.damaged"
CLOSED: Final = "audit.close"
ERASING: Final = "patient.erase"
LOOKED: Final = "findings.reveal"
_OBJECT: Final = "workspace"


class EvidenceRoots:
    """What a log knows of the evidence.db beside it, and is told of it.

    Args:
        log: of the workspace.
        actor: who acts, as the log says it.
    """

    def __init__(self, log: EvidenceLog, actor: Callable[[], str] = lambda: "system") -> None:
        self._log = log
        self._actor = actor

    def states(self) -> frozenset[str]:
        """Roots at which the database may stand: the settled one, and both sides of what was begun since."""
        self._log.refresh()
        return _walked(self._log.acts(ACT)).allowed

    def alarm(self, name: str, root: str) -> IntegrityError:
        """Write down that the database stands elsewhere; the error to raise."""
        self._log.append(CHECK, _OBJECT, "refused", actor=self._actor(), detail_digest=root)
        hint = "Keep the disk as it is and restore the workspace from a backup."
        for entry in reversed(self._log.acts(ACT)):
            if root in (entry.result_root, entry.detail_digest):
                since = f"the state before {entry.claimed_utc}, log entry {entry.index}"
                return IntegrityError(f"{name} was put back to an earlier state: {since}", hint)
        return IntegrityError(f"{name} holds rows that this workspace never wrote", hint)

    def intend(self, before: str, after: str, acts: Sequence[Act] = ()) -> None:
        """Say what a change makes, before it commits, with entries that are true from then on."""
        begins = Act(ACT, _OBJECT, "begins", self._actor(), detail_digest=before, result_root=after)
        self._log.append_all([begins, *acts])

    def settled(self, root: str) -> None:
        """Say where the database stands."""
        self._log.append(ACT, _OBJECT, "done", actor=self._actor(), result_root=root)

    def renew(self) -> None:
        """Say again where the database stands, before the entry that said it goes with its year."""
        walk = _walked(self._log.acts(ACT))
        if walk.settled and not walk.begun:
            self.settled(walk.settled)

    def closings(self, audit_id: str) -> frozenset[str]:
        """Digests of what an audit sealed; none where an earlier version closed it."""
        self._log.refresh()  # the audit may have ended since
        handle = self._log.identifier(audit_id)
        closed = (entry for entry in self._log.acts(CLOSED) if entry.object == handle)
        return frozenset(entry.detail_digest for entry in closed if entry.detail_digest)

    def erasing(self, erasure_id: str) -> bool:
        """Whether an erasure of this id was begun."""
        handle = self._log.identifier(erasure_id)
        return any(entry.object == handle for entry in self._log.acts(ERASING))

    def looked(self, digest: str) -> bool:
        """Whether a look at an identity was allowed whose reason has this digest."""
        return digest in {entry.detail_digest for entry in self._log.acts(LOOKED)}

    def set_aside(self, batches: Sequence[tuple[str, str]]) -> None:
        """Say that batches, by name and SHA-256 of the file, could not be taken in."""
        actor = self._actor()
        self._log.append_all(
            [Act(ASIDE, name, "noted", actor, detail_digest=digest) for name, digest in batches]
        )


@dataclass(slots=True)
class _Walk:
    settled: str = ""
    begun: list[Entry] = field(default_factory=list)
    left: set[str] = field(default_factory=set)

    @property
    def allowed(self) -> frozenset[str]:
        sides = {root for entry in self.begun for root in (entry.detail_digest, entry.result_root)}
        return frozenset(sides | {self.settled} - {""})


def _walked(entries: Iterable[Entry]) -> _Walk:
    """The states of the database in the order of the log; a change begins at one and ends at one it named."""
    walk = _Walk()
    for entry in entries:
        root = entry.result_root
        follows = (
            not walk.allowed or (entry.detail_digest if entry.outcome == "begins" else root) in walk.allowed
        )
        if root in walk.left or not follows:
            continue
        if entry.outcome == "begins":
            walk.begun.append(entry)
        elif entry.outcome == "done":
            walk.left |= walk.allowed - {root}
            walk.settled, walk.begun = root, []
    return walk
