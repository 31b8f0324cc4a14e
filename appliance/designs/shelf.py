"""Where designs lie: assignments sealed in the vault, names in the catalogue, commitments in the log.

The log decides what a design is. A sealed assignment without a matching entry is a draw that was cut off; one
that does not give the committed digest is an alarm.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from appliance import codec
from appliance.designs.assignment import Arm, Assignment
from appliance.errors import IntegrityError, UsageError
from appliance.evidence.entries import Entry
from appliance.evidence.log import EvidenceLog
from appliance.workspace.vault import ASSIGNMENT
from appliance.workspace.workspace import Workspace

COMMIT = "design.commit"  # detail: the commitment
OPEN = "design.open"  # detail: the seed; result: the assignment's digest
TERMS = "design.terms"  # in the same step as OPEN; detail: what every reveal must repeat
_PREFIX = "design/"


@dataclass(frozen=True, slots=True)
class Design:
    """A design with what the log says of it: no entry while it is only drawn.

    Attributes:
        terms: under which it was opened.
        elsewhere: persons held back here and released under another committed design: they are no controls.
    """

    assignment: Assignment
    committed: Entry | None
    opened: Entry | None
    terms: Entry | None = None
    elsewhere: frozenset[str] = frozenset()

    @property
    def state(self) -> str:
        """ "drawn", "committed" or "revealed"."""
        return "revealed" if self.opened else "committed" if self.committed else "drawn"


def keep(workspace: Workspace, assignment: Assignment) -> None:
    """Seal an assignment and remember its name; both are on disk when this returns.

    Raises:
        CannotWrite: the disk is full or refuses; nothing is remembered then.
    """
    content = codec.dump(assignment).encode()
    name = workspace.vault.put(ASSIGNMENT, content)
    told = json.dumps({"commitment": assignment.commitment, "object": name})
    workspace.catalogue.set_setting(_PREFIX + assignment.name, told)


def assignments(workspace: Workspace) -> Iterator[Assignment]:
    """Every sealed assignment, by name.

    Raises:
        IntegrityError: one is missing, damaged, or not what was remembered.
    """
    for name, told in workspace.catalogue.settings(_PREFIX).items():
        facts = json.loads(told)
        found = codec.load(Assignment, workspace.vault.get(ASSIGNMENT, facts["object"]))
        if found.commitment != facts["commitment"] or _PREFIX + found.name != name:
            raise IntegrityError("a design is not what was drawn", "restore the workspace from a backup")
        yield found


def found(workspace: Workspace, log: EvidenceLog, name: str) -> Design | None:
    """The design of a name, or None. Raises as `designs`."""
    return next((one for one in designs(workspace, log) if one.assignment.name == name), None)


def designs(workspace: Workspace, log: EvidenceLog) -> Iterator[Design]:
    """Every design with its entries.

    Raises:
        IntegrityError: an assignment is not what was drawn, or not what the log committed to.
    """
    found = [_with_entries(log, assignment) for assignment in assignments(workspace)]
    for design in found:
        others = [one for one in found if one is not design and one.committed is not None]
        yield replace(design, elsewhere=_released_elsewhere(design.assignment, others))


def _with_entries(log: EvidenceLog, assignment: Assignment) -> Design:
    entries = log.about(log.identifier(assignment.name))
    if any(one.act == COMMIT and one.detail_digest != assignment.commitment for one in entries):
        raise IntegrityError(
            f"design {assignment.name} is not the one the log committed to",
            "keep the disk as it is; `gradaudit log verify` says whether the log is intact",
        )
    first = {one.act: one for one in reversed(entries)}
    return Design(assignment, first.get(COMMIT), first.get(OPEN), first.get(TERMS))


def _released_elsewhere(assignment: Assignment, others: Iterable[Design]) -> frozenset[str]:
    gone = {
        name
        for other in others
        for one in other.assignment.patients
        if one.arm is Arm.RELEASED
        for name in (one.patient, one.person)
    }
    held = [one for one in assignment.patients if one.arm is Arm.HELD_BACK]
    return frozenset(one.person for one in held if gone & {one.patient, one.person})


def named(workspace: Workspace, log: EvidenceLog, name: str) -> Design:
    """The committed design of a name.

    Raises:
        UsageError: there is none, or its draw was cut off before it was committed.
        IntegrityError: as `designs`.
    """
    design = found(workspace, log, name)
    if design is None:
        raise UsageError(f"no design {name}", "see `gradaudit design ls`")
    if design.committed is None:
        raise UsageError(
            f"design {name} was cut off before it was committed, so it is no evidence",
            "the same `gradaudit design new` command goes on with its draw; release nothing before",
        )
    return design


def canary_studies(workspace: Workspace) -> frozenset[str]:
    """Study UIDs of all canaries: what comes back under one of them is no patient."""
    return frozenset(
        study for one in assignments(workspace) for canary in one.canaries for study in canary.studies
    )
