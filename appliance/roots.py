"""The log remembers the state of the catalogue, so that one put back or edited is noticed.

    catalogue.root  begins  detail = root before, result = root after: written before a change commits
    catalogue.root  done    result = root: the catalogue stood there while nobody else could change it

Both are written while the catalogue's own write lock is held, so their order is the order of its states.
After the last `done` the catalogue may stand at its root, or at either side of the last `begins` behind it: a
process that was killed left one of the two. Anything else is an alarm (docs/spec/catalogue-root.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from appliance.errors import ApplianceError, Busy, IntegrityError
from appliance.evidence.entries import Entry
from appliance.evidence.log import EvidenceLog
from appliance.workspace.catalogue import Catalogue

ACT: Final = "catalogue.root"
CHECK: Final = "catalogue.check"
_OBJECT: Final = "workspace"
_WINDOW: Final = 256  # entries read at a time, backwards


class CatalogueRoots:
    """What the log knows of the catalogue's states, and tells it.

    Args:
        catalogue: open; from now on it tells the log of every change.
        log: of the same workspace.

    Attributes:
        catalogue: the one that is watched.
    """

    def __init__(self, catalogue: Catalogue, log: EvidenceLog) -> None:
        self.catalogue = catalogue
        self._log = log
        self._pending = False
        catalogue.on_root = self._intend

    def check(self) -> None:
        """Make sure that the catalogue is as the log knows it, and bring an earlier schema up to date.

        Raises:
            IntegrityError: it was put back to an earlier state, or rows were changed past this software.
            Busy: another process keeps the log locked.
            LogUnwritable: the log has no room for what was found.
        """
        size = self._log.size
        allowed, settled = self._states(size)
        root = self.catalogue.root()
        grown = self._log.refresh()
        allowed |= _named(self._entries(size, grown))
        if not allowed:
            self._pending = True  # the first time: there is nothing to compare with
        elif root not in allowed:
            raise self._alarm(root)
        else:
            self._pending = root != settled and grown == size
        self.catalogue.migrate()
        self.settle()

    def settle(self) -> None:
        """Tell the log where the catalogue stands now, if it changed; where somebody is busy, later.

        Raises:
            LogUnwritable: the log takes no entry.
            ApplianceError: a commit failed before, and does again.
        """
        if not self._pending:
            return
        self.catalogue.make_sure()
        with suppress(Busy), self.catalogue.held() as root:
            self._expect(root)
            self._log.append(ACT, _OBJECT, "done", result_root=root)
            self._pending = False

    def leave(self) -> None:
        """Settle before the catalogue is closed; what fails now is settled at the next opening."""
        with suppress(ApplianceError):
            self.settle()

    def _intend(self, before: str, after: str) -> None:
        self._pending = True
        self._expect(before)
        self._log.append(ACT, _OBJECT, "begins", detail_digest=before, result_root=after)

    def _expect(self, root: str) -> None:
        """Who holds the catalogue's write lock finds it as the log says, also when others wrote meanwhile."""
        allowed, _ = self._states(self._log.refresh())
        if allowed and root not in allowed:
            raise self._alarm(root)

    def _states(self, size: int) -> tuple[set[str], str]:
        """Where the catalogue may stand by the first `size` entries, and the root that was settled last."""
        last: Entry | None = None
        for entry in self._backwards(size):
            if entry.outcome == "done":
                return _named((last,)) if last is not None else {entry.result_root}, entry.result_root
            last = last or entry
        return (_named((last,)) if last is not None else set()), ""

    def _backwards(self, size: int) -> Iterable[Entry]:
        end = size
        while end > self._log.origin:
            start = max(self._log.origin, end - _WINDOW)
            yield from reversed(self._entries(start, end))
            end = start

    def _entries(self, start: int, end: int) -> list[Entry]:
        return [entry for entry in self._log.entries(start, end - start) if entry.act == ACT]

    def _alarm(self, root: str) -> IntegrityError:
        self._log.append(CHECK, _OBJECT, "refused", detail_digest=root)
        name = self.catalogue.name
        hint = "Keep the disk as it is and restore the workspace from a backup."
        for entry in self._backwards(self._log.size):
            if root in (entry.result_root, entry.detail_digest):
                since = f"the state before {entry.claimed_utc}, log entry {entry.index}"
                return IntegrityError(f"{name} was put back to an earlier state: {since}", hint)
        return IntegrityError(f"{name} holds rows that this workspace never wrote", hint)


def _named(entries: Iterable[Entry]) -> set[str]:
    return {root for entry in entries for root in (entry.detail_digest, entry.result_root) if root}
