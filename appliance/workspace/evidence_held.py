"""evidence.db held open while an officer goes through findings: opened once, watched, dropped with the keys.

Nobody is kept out by it: the folder's lock is held only while something is merged, checked or written. Before
each use it is seen whether another program has changed the database or put another file in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import NotPermitted
from appliance.workspace.evidence_batches import EVIDENCE, EvidenceBatches
from appliance.workspace.evidence_state import EMPTY, Unlogged
from appliance.workspace.evidence_store import (
    EvidenceStore,
    alone,
    brought_up,
    file_of,
    gone,
    must_be_in_force,
)
from appliance.workspace.keys import SecretKey
from appliance.workspace.rotation import KEYRING

if TYPE_CHECKING:
    from appliance.workspace.evidence_columns import Step
    from appliance.workspace.evidence_listing import Listing
    from appliance.workspace.workspace import Workspace


class HeldEvidence:
    """An open evidence.db of one session.

    Args:
        workspace: whose.
        private: the evidence key.

    Raises:
        Locked: the evidence key was changed meanwhile.
        IntegrityError: the store is damaged or missing.
        Busy: somebody else is at it.
    """

    def __init__(self, workspace: Workspace, private: SecretKey) -> None:
        self._workspace = workspace
        self._private = private
        path, notes = file_of(workspace.root / EVIDENCE, private), workspace.evidence_notes or Unlogged()
        with alone(workspace):
            must_be_in_force(workspace, private)
            if not notes.states() <= {EMPTY} and not (path.exists() and path.stat().st_size):
                raise gone(path)
            self._store = EvidenceStore(path, private, EvidenceBatches.of(workspace), notes)
        self._file = _identity(path)
        self._keyring = _identity(workspace.root / KEYRING)
        self._seen: tuple[str, Listing] | None = None  # an audit, and its listing

    @contextmanager
    def merged(self, on_step: Step | None = None) -> Iterator[tuple[EvidenceStore, tuple[str, ...]]]:
        """The store, checked, with everything merged that waited; nobody else is at it meanwhile.

        Args:
            on_step: told of rows that are read through.

        Raises:
            NotPermitted: another file lies in its place: it is opened anew.
            Locked: the evidence key was changed.
            IntegrityError: as `evidence_store.opened`.
            Busy: somebody else is at it.
        """
        self._same_file()
        with alone(self._workspace):
            keyring = _identity(self._workspace.root / KEYRING)
            must_be_in_force(self._workspace, self._private)
            self._keyring = keyring
            self._store.tell(on_step)
            yield self._store, brought_up(self._workspace, self._store)

    def listed(self, store: EvidenceStore, audit_id: str, detector: str, priors: Sequence[str]) -> Listing:
        """The listing of an audit, for `unchanged`; within `merged`. Raises as `EvidenceStore.listing`."""
        listing = store.listing(audit_id, detector, priors)
        self._seen = audit_id, listing
        return listing

    def unchanged(self, audit_id: str) -> Listing | None:
        """The same listing, where nobody has changed anything since.

        Raises:
            NotPermitted: as `merged`.
        """
        self._same_file()
        if self._seen is None or _identity(self._workspace.root / KEYRING) != self._keyring:
            return None
        audit, listing = self._seen
        return listing if audit == audit_id and listing.stands() else None

    def close(self) -> None:
        """Drop it, and the key with it."""
        self._seen = None
        self._store.close()

    def _same_file(self) -> None:
        if _identity(self._store.path) != self._file:
            raise NotPermitted("another file lies in the place of the findings now", "Open them again.")


def _identity(path: Path) -> tuple[int, int]:
    """Device and inode; zeros where there is no file."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return 0, 0
    return facts.st_dev, facts.st_ino
