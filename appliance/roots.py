"""The log remembers the state of the catalogue, so that one put back or edited is noticed.

    catalogue.root  begins  detail = root before, result = root after: written before a change commits
    catalogue.root  done    result = root: the catalogue stood there while nobody else could change it

Both are written while the catalogue's own write lock is held, so their order is the order of its states.
After the last `done` the catalogue may stand at its root, or at either side of the last `begins` behind it: a
process that was killed left one of the two. Anything else is an alarm (docs/spec/catalogue-root.md).

The log's own key lies on the disk, so whoever has the disk can append. Each entry's object is therefore a MAC
under a sub-key of the catalogue's, over what it says and its number; an entry with a wrong one is an alarm.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from appliance.errors import ApplianceError, Busy, IntegrityError
from appliance.evidence.entries import Act, Entry
from appliance.evidence.log import EvidenceLog
from appliance.workspace.catalogue import Catalogue
from appliance.workspace.keys import SecretKey

ACT: Final = "catalogue.root"
CHECK: Final = "catalogue.check"
_OBJECT: Final = "workspace"  # in place of the MAC: entries of earlier versions
_HALF: Final = 32  # hex digits of a MAC; the object holds two
_WINDOW: Final = 16  # entries of ours read at a time, backwards
_HINT: Final = "Keep the disk as it is and restore the workspace from a backup."


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
        allowed |= _named(entry for entry in self._entries(size, grown) if self._is_ours(entry))
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
        with suppress(Busy):
            self.renew()

    def renew(self) -> None:
        """Tell the log where the catalogue stands now, as before entries that say so are pruned.

        Raises:
            Busy: somebody is changing it.
            LogUnwritable: the log takes no entry.
        """
        with self.catalogue.held() as root:
            self._expect(root)
            self._say("done", "", root, self.catalogue.roots_key)
            self._pending = False

    def leave(self) -> None:
        """Settle before the catalogue is closed; what fails now is settled at the next opening."""
        with suppress(ApplianceError):
            self.settle()

    def _intend(self, before: str, after: str, following: SecretKey) -> None:
        self._pending = True
        self._expect(before)
        self._say("begins", before, after, following)

    def _say(self, outcome: str, before: str, after: str, following: SecretKey) -> None:
        """Append an entry that opens under this catalogue's key, and under that of the one `after` is in."""

        def act(index: int) -> Act:
            told = outcome, before, after, str(index)
            mac = self.catalogue.roots_key.handle(*told)[:_HALF] + following.handle(*told)[_HALF:]
            return Act(ACT, mac, outcome, detail_digest=before, result_root=after)

        self._log.append_all([act])

    def _halves(self, entry: Entry) -> tuple[bool, bool]:
        """Whether it was made with this key, and whether for it."""
        told = entry.outcome, entry.detail_digest, entry.result_root, str(entry.index)
        mac, found = self.catalogue.roots_key.handle(*told), entry.object
        made = hmac.compare_digest(mac[:_HALF], found[:_HALF])
        return made, hmac.compare_digest(mac[_HALF:], found[_HALF:])

    def _is_ours(self, entry: Entry) -> bool:
        return any(self._halves(entry))

    def _expect(self, root: str) -> None:
        """Who holds the catalogue's write lock finds it as the log says, also when others wrote meanwhile."""
        allowed, _ = self._states(self._log.refresh())
        if allowed and root not in allowed:
            raise self._alarm(root)

    def _states(self, size: int) -> tuple[set[str], str]:
        """Where the catalogue may stand by the first `size` entries, and the root that was settled last."""
        last: Entry | None = None
        for entry in self._backwards(size):
            earlier = entry.object == _OBJECT and self._is_of_earlier_version(entry)
            if not earlier and not self._is_ours(entry):
                raise self._forged(f"entry {entry.index} of the log was not made with its key")
            last = last or entry
            if entry.outcome == "done":
                return _named((last,)), "" if earlier else entry.result_root
            if not earlier and not self._halves(entry)[0]:
                break  # the change of keys that made this catalogue: what is before has the key of before
        if self._log.origin and last is None:
            raise self._forged("the entries of the log that knew its state were pruned")
        return (_named((last,)) if last is not None else set()), ""

    def _is_of_earlier_version(self, entry: Entry) -> bool:
        """Whether no entry before it has a MAC: from the first one on, each has."""
        before = (one for one in self._log.acts(ACT) if one.index < entry.index)
        return not self._log.origin and all(one.object == _OBJECT for one in before)

    def _backwards(self, size: int) -> Iterable[Entry]:
        while found := self._log.newest(ACT, size, _WINDOW):
            yield from found
            size = found[-1].index

    def _entries(self, start: int, end: int) -> list[Entry]:
        return [entry for entry in self._log.entries(start, end - start) if entry.act == ACT]

    def _forged(self, why: str) -> IntegrityError:
        self._log.append(CHECK, _OBJECT, "refused")
        return IntegrityError(f"{self.catalogue.name} cannot be compared with the log: {why}", _HINT)

    def _alarm(self, root: str) -> IntegrityError:
        self._log.append(CHECK, _OBJECT, "refused", detail_digest=root)
        name = self.catalogue.name
        for entry in self._backwards(self._log.size):
            if root in (entry.result_root, entry.detail_digest):
                since = f"the state before {entry.claimed_utc}, log entry {entry.index}"
                return IntegrityError(f"{name} was put back to an earlier state: {since}", _HINT)
        return IntegrityError(f"{name} holds rows that this workspace never wrote", _HINT)


def _named(entries: Iterable[Entry]) -> set[str]:
    return {root for entry in entries for root in (entry.detail_digest, entry.result_root) if root}
