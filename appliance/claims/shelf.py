"""The claims of a workspace, as its log and its catalogue have them; and whether a new one means anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from appliance.claims import records, standing
from appliance.claims.records import Kept
from appliance.claims.views import ClaimRequest
from appliance.errors import IntegrityError, UsageError
from appliance.evidence.log import EvidenceLog
from appliance.workspace.workspace import Workspace
from audit_core.claims import Budget, Claim, ClaimKind

_LONGEST_SOURCE: Final = 2000  # characters
_MOST: Final = 1e9  # of any number of a claim


def said(workspace: Workspace, log: EvidenceLog) -> tuple[records.Said, ...]:
    """Every record of a claim, oldest first. Raises IntegrityError as `records.said`."""
    log.refresh()
    return records.said(log, lambda: workspace.catalogue.settings(records.PREFIX))


def kept(workspace: Workspace, log: EvidenceLog) -> dict[str, Kept]:
    """Every claim by id, in the order in which they were added. Raises as `said`."""
    return records.claims(said(workspace, log))


def in_force(workspace: Workspace, log: EvidenceLog, model: str) -> list[str]:
    """Ids of the claims that are in force and speak of a model, by its exact name. Raises as `said`."""
    return [one.claim_id for one in standing.in_force(kept(workspace, log).values(), model)]


def asked(workspace: Workspace, log: EvidenceLog, ids: Sequence[str]) -> tuple[Claim, ...]:
    """The claims that an audit was asked for with, also those that somebody has withdrawn since.

    Raises:
        IntegrityError: the log vouches for no such claim; and as `said`.
    """
    if not ids:
        return ()
    every = kept(workspace, log)
    unknown = next((claim_id for claim_id in ids if claim_id not in every), "")
    if unknown:
        raise IntegrityError(f"the log knows no claim {unknown}", "Restore the workspace from a backup.")
    return tuple(standing.as_asked(every[claim_id]) for claim_id in ids)


def checked(request: ClaimRequest) -> ClaimRequest:
    """The claim without blanks around its words.

    Raises:
        UsageError: no source, no date, or numbers that no claim has.
    """
    source = request.source.strip()
    if not source or len(source) > _LONGEST_SOURCE:
        raise UsageError(
            f"a claim has a source of at most {_LONGEST_SOURCE} characters",
            "say where the vendor says so: contract, data sheet, letter",
        )
    if request.dated:
        try:
            date.fromisoformat(request.dated)
        except ValueError as wrong:
            raise UsageError("the date of the source is none", "write it as YYYY-MM-DD") from wrong
    if (request.kind is ClaimKind.PRIVATE) != (request.budget is not None):
        raise UsageError(
            "a claim of differential privacy has an epsilon and a delta, and no other claim has",
            "give --epsilon and --delta with --kind dp, and only there",
        )
    if request.budget is not None:
        _check_budget(request.budget)
    return replace(request, source=source)


def _check_budget(budget: Budget) -> None:
    above_zero = {
        "epsilon": budget.epsilon,
        "the noise multiplier": budget.noise,
        "the sampling rate": budget.sampling_rate,
        "the number of steps": budget.steps,
        "the largest number of records of a patient": budget.records_per_patient,
    }
    for name, value in above_zero.items():
        if value is not None and not (math.isfinite(value) and 0 < value <= _MOST):
            raise UsageError(f"{name} is above 0 and at most {_MOST:g}", "see docs/claims.md")
    if not 0.0 <= budget.delta < 1.0:
        raise UsageError("delta is at least 0 and below 1", "a usual one is 0.00001")
    if budget.sampling_rate is not None and budget.sampling_rate > 1.0:
        raise UsageError("the sampling rate is a share, at most 1", "batch size over number of records")
    if len(budget.accountant) > _LONGEST_SOURCE:
        raise UsageError("the accountant's name is too long", "as in RDP or PRV")
