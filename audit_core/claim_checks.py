"""A claim of differential privacy against its own parameters and against an audit's lower bound (METHOD §7).

Every conversion takes the reading that favours the claim, so that none is contradicted unjustly: group
privacy over all records of a patient or all copies of a canary, and twice where an audit puts one patient in
another's place. A claim may be above its bound by chance in 5 % of audits; where an audit has two bounds, on
patients and on canaries, each has half of that. What follows for the verdict is in `claim_rules`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from audit_core.accountants import NO_DELTA
from audit_core.claim_rules import CANARIES, PATIENTS, evidence_of
from audit_core.claims import (
    Account,
    Budget,
    Claim,
    ClaimCheck,
    ClaimFinding,
    ClaimKind,
    ClaimUnit,
    Neighbours,
)
from audit_core.results import AuditResult, Tier
from audit_core.shares import finely

NUMERICAL_ERROR = 0.01
"""How far an accountant that gives one number only may be off, and what a claim's rounding is allowed."""
ONE_RUN = "one run"
_BETA = 0.05
_COUNTS = {"couples", "guesses", "right"}


@dataclass(frozen=True, slots=True)
class _Guesses:
    """Coins of one audit, and what was guessed about them.

    Attributes:
        basis: `PATIENTS` or `CANARIES`.
        steps: units of the claim by which two training sets differ; None where the claim does not tell.
        why: why not.
    """

    basis: str
    coins: int
    guesses: int
    right: int
    steps: int | None
    why: str = ""


def tightest(accounts: Sequence[Account]) -> Account | None:
    """The accountant that is told: every one proves an upper bound, so the smallest is the best proof."""
    proved = [account for account in accounts if account.upper is not None]
    return min(proved, key=lambda account: account.upper or 0.0, default=None)


def above_claim(accounts: Sequence[Account], epsilon: float) -> bool:
    """Whether they give more than is claimed, beyond numerical error.

    One that bounds ε from below as well decides by that; else the tightest upper bound does. Where no finite
    ε holds, every claim is too small.
    """
    if any(account.why == NO_DELTA for account in accounts):
        return True
    lower = [account.lower for account in accounts if account.lower is not None]
    if lower:
        return max(lower) > epsilon
    account = tightest(accounts)
    return account is not None and (account.upper or 0.0) - NUMERICAL_ERROR > epsilon


def group_privacy(budget: Budget, steps: int) -> tuple[float, float]:
    """(ε, δ) that a claim allows for training sets that differ in `steps` of its units.

    (kε, δ·(e^{kε} − 1)/(e^ε − 1)): Dwork & Roth 2014, Theorem 2.2, and Vadhan 2017, Lemma 2.2. A δ of 1 or
    more, infinity too, allows everything.
    """
    epsilon = steps * budget.epsilon
    if budget.delta == 0.0 or steps == 1:
        return epsilon, budget.delta
    try:
        return epsilon, budget.delta * math.expm1(epsilon) / math.expm1(budget.epsilon)
    except OverflowError:
        return epsilon, math.inf


def checked(claims: Sequence[Claim], result: AuditResult) -> tuple[ClaimCheck, ...]:
    """Every claim against the numbers of one audit; a claim of another kind is answered by the verdict."""
    return tuple(_checked(claim, result) for claim in claims)


def _checked(claim: Claim, result: AuditResult) -> ClaimCheck:
    plain = ClaimCheck(claim.claim, claim.kind, claim.source)
    if claim.kind is not ClaimKind.PRIVATE or claim.budget is None:
        return plain
    budget = claim.budget
    account = tightest(claim.accounts)
    plain = replace(
        plain,
        epsilon=budget.epsilon,
        delta=budget.delta,
        accounted=account.upper if account else None,
        accountant=f"{account.accountant}, {claim.accounted_by}" if account else "",
    )
    found = _against_bounds(budget, plain, result)
    if not above_claim(claim.accounts, budget.epsilon):
        return found
    given = (
        f"the accountant {account.accountant} gives epsilon up to {account.upper:.3f}"
        if account
        else "no finite epsilon holds at a delta of 0"
    )
    more = f"From the vendor's own parameters {given}, the claim says {budget.epsilon:g}."
    word = found.finding if found.finding is ClaimFinding.CONTRADICTED else ClaimFinding.QUESTIONED
    return replace(found, finding=word, sentence=f"{more} {found.sentence}")


def _against_bounds(budget: Budget, plain: ClaimCheck, result: AuditResult) -> ClaimCheck:
    every = _guessed(budget, result)
    if not every:
        return replace(
            plain, sentence=_untested("its cohort has no bound on epsilon: that takes drawn coins")
        )
    beta = _BETA / len(every)
    found = [_against(budget, plain, one, beta, result) for one in every]
    order = (
        ClaimFinding.CONTRADICTED,
        ClaimFinding.QUESTIONED,
        ClaimFinding.WITHIN,
        ClaimFinding.NOT_TESTED,
    )
    return min(found, key=lambda check: order.index(check.finding))


def _guessed(budget: Budget, result: AuditResult) -> list[_Guesses]:
    """What was guessed in an audit, patients first; which of the two there are, the design fixed before."""
    found = []
    for bound in result.epsilon:
        if bound.name == ONE_RUN and set(bound.counts) >= _COUNTS:
            counts = bound.counts
            steps, why = _patient_steps(budget)
            found.append(
                _Guesses(PATIENTS, counts["couples"], counts["guesses"], counts["right"], steps, why)
            )
    canaries = result.canaries
    if canaries is not None and canaries.guesses:
        copies = max((dose.copies for dose in canaries.doses), default=1)
        steps, why = _canary_steps(budget, copies)
        found.append(_Guesses(CANARIES, canaries.ids, canaries.guesses, canaries.correct, steps, why))
    return found


def _patient_steps(budget: Budget) -> tuple[int | None, str]:
    """One patient in another's place, in units of the claim.

    That is as many records less as one has, and more as the other has. Replacing records leaves their number
    as it is, so a claim that compares only such training sets says nothing where the two numbers may differ.
    """
    records = 1 if budget.unit is ClaimUnit.PATIENT else budget.records_per_patient
    if records is None:
        return None, "it speaks of records, and not of how many one patient has at most"
    if records > 1 and budget.unit is ClaimUnit.RECORD and budget.neighbours is not Neighbours.ADD_REMOVE:
        return None, f"{_one_size(budget)}, and two patients may have different numbers of records"
    return records if budget.neighbours is Neighbours.REPLACE else 2 * records, ""


def _canary_steps(budget: Budget, copies: int) -> tuple[int | None, str]:
    """A canary with all its copies more or less; each copy counts as a unit, whatever the unit is."""
    if budget.neighbours is not Neighbours.ADD_REMOVE:
        return None, f"{_one_size(budget)}, and planted canaries make one larger"
    return copies, ""


def _one_size(budget: Budget) -> str:
    """Silence is read in the claim's favour."""
    may = "may compare" if budget.neighbours is None else "compares"
    return f"it {may} training sets of one size only"


def _against(
    budget: Budget, plain: ClaimCheck, one: _Guesses, beta: float, result: AuditResult
) -> ClaimCheck:
    from audit_core.epsilon import one_run_lower

    if one.steps is None:
        return replace(plain, sentence=_untested(one.why))
    allowed, delta = group_privacy(budget, one.steps)
    if delta >= 1.0:
        return replace(
            plain, sentence=_untested(f"by group privacy over {one.steps} units it allows everything")
        )
    lower, most = (
        one_run_lower(right, one.guesses, beta, delta=delta, coins=one.coins)
        for right in (one.right, one.guesses)
    )
    check = replace(plain, lower=lower, allowed=allowed, level=1.0 - beta, basis=one.basis)
    told = (
        f"Of {one.guesses} guesses about {one.basis}, {one.right} are right: epsilon is at least {lower:.2f} "
        f"({finely(1.0 - beta)}, at delta {delta:.1e}). The claim of {budget.epsilon:g} allows {allowed:g} "
        f"for the same, by group privacy over {one.steps} units."
    )
    if lower > allowed:
        tier = evidence_of(result, one.basis)
        if tier >= Tier.E4:
            coins = " Coins were committed for each canary: tier E4." if one.basis == CANARIES else ""
            return replace(check, finding=ClaimFinding.CONTRADICTED, sentence=f"{told}{coins}")
        weak = f"The evidence is of tier {tier.name}; to contradict a claim needs E4."
        return replace(check, finding=ClaimFinding.QUESTIONED, sentence=f"{told} {weak}")
    if most > allowed:
        return replace(check, finding=ClaimFinding.WITHIN, sentence=told)
    return replace(check, sentence=f"{told} With every guess right, it would be {most:.2f}: too few to tell.")


def _untested(why: str) -> str:
    return f"This audit does not test the claim: {why}."
