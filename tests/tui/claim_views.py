"""Planted claims for the simulator: a contradicted ε, a questioned statement, one that nobody has tested."""

from __future__ import annotations

from dataclasses import replace

from appliance.claims.views import (
    Account,
    Budget,
    ClaimAudit,
    ClaimCheck,
    ClaimEffect,
    ClaimFinding,
    ClaimKind,
    ClaimRequest,
    ClaimRow,
    ClaimStanding,
    ClaimUnit,
    ClaimView,
    Neighbours,
)
from appliance.views import VerdictWord

BUDGET = Budget(1.0, 1e-6, 1.1, 0.01, 4000, ClaimUnit.PATIENT, 12, Neighbours.ADD_REMOVE, "PRV")
_SAID = "2026-11-19T10:00:00.000Z"
PRIVATE = ClaimRow(
    "C-1f3a77c0",
    "lumen-vlm",
    True,
    ClaimKind.PRIVATE,
    "differentially private with ε = 1, δ = 1e-06 per patient",
    "model card, section 4",
    "2026-02-20",
    ClaimStanding.CONTRADICTED,
    "the audit's lower bound on ε is 2.31, above the 1 that is claimed",
    True,
    _SAID,
)
UNTRAINED = ClaimRow(
    "C-90ab12cd",
    "lumen-vlm@3",
    False,
    ClaimKind.NOT_TRAINED,
    "not trained on customer data",
    "contract of 2026-01-12, clause 7",
    "2026-01-12",
    ClaimStanding.QUESTIONED,
    "audit a-0003 ended in REVIEW",
    True,
    _SAID,
)
CLEANED = ClaimRow(
    "C-77aa01f2",
    "harbor-clip",
    True,
    ClaimKind.DE_IDENTIFIED,
    "de-identified",
    "letter of the vendor",
    "",
    ClaimStanding.NOT_TESTED,
    "membership alone says nothing about it",
    True,
    _SAID,
)
WITHDRAWN = replace(CLEANED, claim_id="C-00000001", model="lumen-vlm", in_force=False)
_AUDIT = ClaimAudit(
    "a-0003",
    "lumen-vlm@3",
    "demo",
    "2026-11-20T14:02:44Z",
    VerdictWord.FAIL,
    "E4",
    ClaimEffect.CONTRADICTS,
    "the lower bound on ε, 2.31 at 95 % confidence, is above what the claim allows, 1",
    True,
    2.31,
    1.0,
)

CHECKED = (
    ClaimCheck(
        UNTRAINED.claim_id,
        ClaimKind.NOT_TRAINED,
        UNTRAINED.source,
        sentence="It is set against the verdict, in its standing.",
    ),
    ClaimCheck(
        PRIVATE.claim_id,
        ClaimKind.PRIVATE,
        PRIVATE.source,
        1.0,
        1e-6,
        3.92,
        "PRV, opacus 1.5.4",
        2.31,
        1.0,
        0.95,
        "patients",
        ClaimFinding.CONTRADICTED,
        "Of 46 guesses about patients, 41 are right: epsilon is at least 2.31 (95 %, at delta 1.0e-06). The "
        "claim of 1 allows 1 for the same, by group privacy over 1 units.",
    ),
)


def demo_claims() -> dict[str, ClaimView]:
    """By id."""
    private = ClaimView(
        PRIVATE,
        BUDGET,
        (
            Account("PRV", 3.92, 3.87),
            Account("RDP", 4.4, None),
            Account("GDP", None, None, "holds only for long runs"),
        ),
        "opacus 1.5.4",
        "",
        (_AUDIT,),
        "officer:77aa",
        117,
        "",
        "",
        ("A bound from below: the true ε may be larger.",),
    )
    untrained = ClaimView(
        UNTRAINED,
        None,
        (),
        "",
        "",
        (
            replace(
                _AUDIT,
                effect=ClaimEffect.QUESTIONS,
                verdict=VerdictWord.REVIEW,
                tier="E1",
                why="REVIEW is no FAIL, and no support either",
                lower=None,
                allowed=None,
            ),
        ),
        "officer:77aa",
        118,
        "",
        "",
        ("A PASS supports it to the share that the audit could have found.",),
    )
    cleaned = ClaimView(
        CLEANED,
        None,
        (),
        "",
        "",
        (),
        "operator:41c0",
        119,
        "",
        "",
        ("That a patient was in the training data does not say that a name was.",),
    )
    gone = replace(cleaned, row=WITHDRAWN, withdrawn_utc=_SAID, reason="the vendor took it back")
    return {one.row.claim_id: one for one in (private, untrained, cleaned, gone)}


def kept(wanted: ClaimRequest) -> ClaimView:
    """A claim as it is kept."""
    row = replace(
        CLEANED,
        claim_id="C-0badcafe",
        model=wanted.model,
        kind=wanted.kind,
        says=wanted.kind.value,
        source=wanted.source,
        dated=wanted.dated,
        later=wanted.later,
    )
    return replace(demo_claims()[CLEANED.claim_id], row=row, budget=wanted.budget)
