"""What a design's canaries do to a verdict: they can ask for a review and bar PASS, never give FAIL or PASS.

FAIL and the tier speak of patients. A model that prefers planted canaries to never-planted ones was trained
on what left the site, whatever the patients' test says; so it cannot pass. What their bound on ε does to a
vendor's claim is in `claim_rules`. Torch-free.
"""

from __future__ import annotations

from audit_core.results import AuditResult, Verdict, VerdictWord
from audit_core.thresholds import Policy


def asks_for_review(policy: Policy, result: AuditResult) -> str:
    """Why line 4 applies on account of the canaries; "" where it does not.

    The level is that of a FAIL: a second test at the level of a review would double its false alarms.
    """
    found = result.canaries
    if found is None or found.p_value is None or not found.p_value < policy.alpha_fail:
        return ""
    return (
        f"Planted canaries score higher than never-planted ones, below {policy.alpha_fail:g}: the model was "
        "trained on studies that left under this design."
    )


def bars_pass(policy: Policy, result: AuditResult) -> str:
    """Why the canaries bar PASS; "" where they do not."""
    found = result.canaries
    if found is None:
        return ""
    if found.p_value is None:
        return "The design's canaries could not be compared; PASS needs to see that they are not remembered."
    if found.p_value < policy.alpha_review:
        return f"Planted canaries score higher than never-planted ones, below {policy.alpha_review:g}."
    return ""


def with_canaries(verdict: Verdict, result: AuditResult) -> Verdict:
    """The verdict with one more reason that says what the canaries say; a void run says nothing."""
    if result.canaries is None or verdict.word is VerdictWord.VOID:
        return verdict
    return Verdict(verdict.word, verdict.line, (*verdict.reasons, result.canaries.sentence))
