"""Is anything wrong with the findings? Nothing is merged or set aside here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from appliance.errors import ApplianceError, Busy, IntegrityError, Locked
from appliance.workspace.evidence_batches import EVIDENCE, EvidenceBatches
from appliance.workspace.evidence_state import EMPTY, Unlogged
from appliance.workspace.evidence_store import (
    EvidenceStore,
    alone,
    file_of,
    gone,
    must_be_in_force,
    settled_audits,
)
from appliance.workspace.keys import SecretKey

if TYPE_CHECKING:
    from appliance.workspace.workspace import Workspace

Trouble = tuple[str, ApplianceError]  # file below the workspace, what is wrong with it


def inspected(workspace: Workspace, private: SecretKey) -> list[Trouble]:
    """What is wrong with the batches that are to be merged, and with evidence.db.

    Args:
        private: the evidence key.

    Raises:
        Busy: somebody else is at the findings.
        Locked: the evidence key was changed meanwhile.
    """
    path, notes = file_of(workspace.root / EVIDENCE, private), workspace.evidence_notes or Unlogged()
    name = f"{EVIDENCE}/{path.name}"
    with _in_force(workspace, private):
        found = list(_batches(workspace, private))
        if not (path.exists() and path.stat().st_size):
            merged = not notes.states() <= {EMPTY}  # one without bytes is also what a cut-off creation leaves
            return [*found, (name, gone(path))] if merged else found
        try:
            store = EvidenceStore(path, private, EvidenceBatches.of(workspace), notes)
        except IntegrityError as error:
            return [*found, (name, error)]
    try:
        store.verify(lambda: _in_force(workspace, private))
    except (Busy, Locked):
        raise
    except ApplianceError as error:
        found.append((name, error))
    finally:
        store.close()
    return found


@contextmanager
def _in_force(workspace: Workspace, private: SecretKey) -> Iterator[None]:
    with alone(workspace):
        must_be_in_force(workspace, private)
        yield


def _batches(workspace: Workspace, private: SecretKey) -> Iterator[Trouble]:
    batches = EvidenceBatches.of(workspace)
    for one in batches.counting(settled_audits(workspace)):
        try:
            batches.opened(one, private)
        except IntegrityError as error:
            yield f"{EVIDENCE}/waiting/{one.path.name}", error
