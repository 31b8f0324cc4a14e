"""What a vendor claims about a model, and what an audit's numbers say about it. Frozen, torch-free.

Nothing here computes; that is done in `claim_checks`. ε and δ are those of (ε, δ)-differential privacy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ClaimKind(StrEnum):
    """What is claimed."""

    NOT_TRAINED = "not trained on customer data"
    DE_IDENTIFIED = "de-identified"
    PRIVATE = "differentially private"


class ClaimUnit(StrEnum):
    """Whose presence the claimed ε hides."""

    RECORD = "record"
    PATIENT = "patient"


class Neighbours(StrEnum):
    """Which two training sets the claimed ε compares."""

    ADD_REMOVE = "add or remove"  # one unit more or less: what opacus' accountants count
    REPLACE = "replace"  # one unit in another's place


class ClaimFinding(StrEnum):
    """What one audit's numbers say of a claim of differential privacy."""

    CONTRADICTED = "contradicted"  # lower bound above the claim, and its evidence of tier E4
    QUESTIONED = "questioned"  # the same below E4, or its own parameters give more than is claimed
    WITHIN = "within"  # a bound that could have been above the claim is not
    NOT_TESTED = "not tested"


@dataclass(frozen=True, slots=True)
class Budget:
    """A claim of differential privacy, as the vendor states it; None where it does not.

    Attributes:
        epsilon: above 0.
        delta: 0 or more, under 1.
        noise: noise multiplier of DP-SGD, in units of the clipping bound.
        sampling_rate: chance of a unit to be in a step's batch, above 0, at most 1.
        steps: of the optimiser.
        unit: whose presence it hides.
        records_per_patient: the most that one patient has in the training set.
        neighbours: None where the vendor does not say.
        accountant: that the vendor names, or "".
    """

    epsilon: float
    delta: float
    noise: float | None = None
    sampling_rate: float | None = None
    steps: int | None = None
    unit: ClaimUnit = ClaimUnit.RECORD
    records_per_patient: int | None = None
    neighbours: Neighbours | None = None
    accountant: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """What one accountant makes of a claim's parameters.

    Attributes:
        accountant: "PRV" or "RDP".
        upper: ε is at most this, by the accountant's own proof; None where it gave none.
        lower: ε is at least this, where the accountant bounds it from below too.
        why: why there is no number, else "".
    """

    accountant: str
    upper: float | None
    lower: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim as an audit is told of it.

    Attributes:
        claim: its id.
        source: where the vendor says so, as it may be shown.
        budget: of a claim of differential privacy, else None.
        accounts: what accountants made of it.
        accounted_by: software and version of the accountants, or "".
    """

    claim: str
    kind: ClaimKind
    source: str
    budget: Budget | None = None
    accounts: tuple[Account, ...] = ()
    accounted_by: str = ""


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    """One claim that was in force when an audit was asked for, against that audit's numbers.

    Attributes:
        claim: its id.
        kind: what is claimed.
        source: where the vendor says so.
        epsilon, delta: as claimed; None for other kinds.
        accounted: smallest ε that an accountant proves from the vendor's own parameters; None without one.
        accountant: which, with its version, or "".
        lower: ε lower bound of this audit at `level`, at the δ that the claim allows for what it compares.
        allowed: ε that the claim allows for the same; the claim's own, by group privacy.
        level: confidence of `lower`.
        basis: "patients" or "canaries", whichever the numbers are of; "" without a bound.
        finding: what the numbers say.
        sentence: the same for an officer.
    """

    claim: str
    kind: ClaimKind
    source: str
    epsilon: float | None = None
    delta: float | None = None
    accounted: float | None = None
    accountant: str = ""
    lower: float | None = None
    allowed: float | None = None
    level: float | None = None
    basis: str = ""
    finding: ClaimFinding = ClaimFinding.NOT_TESTED
    sentence: str = ""
