"""A design's canaries in an audit: sent to the worker without the plan, compared once it has answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from appliance import sealed
from appliance.designs.assignment import Assignment
from appliance.frames import FRAME
from appliance.workspace.workspace import Workspace
from audit_core.results import AuditResult, Finding, Role, Score


def canary_frames(
    workspace: Workspace, assignment: Assignment | None
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Every canary as a frame for the worker, in the order of their names; nothing tells which was planted.

    Raises:
        IntegrityError: an object of the vault is damaged.
    """
    for one in sorted(assignment.canaries if assignment else (), key=lambda one: one.canary):
        message = {
            "type": "sample",
            "pair_id": one.canary,
            "patient": one.canary,
            "role": str(Role.CANARY),
            "text": sealed.text(workspace, one.text_object),
            "height": one.height,
            "width": one.width,
            "covariates": {},
        }
        yield message, workspace.vault.get(FRAME, one.frame_object)


def places(assignment: Assignment | None) -> tuple[tuple[str, str, str], ...]:
    """(pair, patient, role) of every canary, in the order of `canary_frames`."""
    names = sorted(one.canary for one in assignment.canaries) if assignment else ()
    return tuple((name, name, str(Role.CANARY)) for name in names)


def with_canaries(
    result: AuditResult, findings: Sequence[Finding], assignment: Assignment | None
) -> AuditResult:
    """The result with what the canaries say; as it is where there are none, or nothing was judged."""
    from audit_core.canaries import canary_report

    if assignment is None or not assignment.canaries or result.exposure is None:
        return result
    scores = {
        one.pair_id: score.value
        for one in findings
        if one.role is Role.CANARY
        for score in one.scores.values()
        if isinstance(score, Score)
    }
    copies = {one.canary: one.copies for one in assignment.canaries}
    return replace(result, canaries=canary_report(scores, copies, assignment.guesses))
