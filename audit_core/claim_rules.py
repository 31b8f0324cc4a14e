"""What a vendor's claims do to a verdict: they can give FAIL or REVIEW, and bar nothing. Torch-free.

A claim of differential privacy that a lower bound of tier E4 contradicts gives FAIL, by line 3. One that its
own parameters do not bear out, or that a bound of a lower tier exceeds, gives REVIEW, by line 4. No claim
makes a verdict better, and lines 1 and 2 come first: an audit that is void or too small says nothing of one.

A bound on patients has the tier of the audit, which speaks of patients. One on canaries rests on coins that
were committed for each of them, and on nothing that patients show or lack: METHOD §7 calls both E4.
"""

from __future__ import annotations

from audit_core.claims import ClaimCheck, ClaimFinding
from audit_core.results import AuditResult, Design, Tier

PATIENTS, CANARIES = "patients", "canaries"
"""What a bound is of."""
REASON = "The vendor's claim"
"""How a reason begins that a claim gives; a FAIL that begins so says nothing of the policy's limit."""


def evidence_of(result: AuditResult, basis: str) -> Tier:
    """The tier of an audit's bound on `PATIENTS` or `CANARIES`."""
    if basis == CANARIES and result.design is Design.COMMITTED:
        return Tier.E4
    return result.tier


def contradictions(result: AuditResult) -> list[str]:
    """Why line 3 applies on account of claims, one reason each; none below tier E4.

    By the numbers and not by the finding, so that a dry run may try another tier.
    """
    return [
        _reason(check, "is contradicted")
        for check in result.claims
        if _exceeded(check) and evidence_of(result, check.basis) >= Tier.E4
    ]


def questions(result: AuditResult) -> list[str]:
    """Why line 4 applies on account of claims, one reason each."""
    found = (ClaimFinding.CONTRADICTED, ClaimFinding.QUESTIONED)
    return [_reason(check, "is to be reviewed") for check in result.claims if check.finding in found]


def _exceeded(check: ClaimCheck) -> bool:
    """Whether a lower bound lies above what the claim allows."""
    return check.lower is not None and check.allowed is not None and check.lower > check.allowed


def _reason(check: ClaimCheck, word: str) -> str:
    return f"{REASON} {check.claim}, epsilon {check.epsilon:g}, {word}. {check.sentence}"
