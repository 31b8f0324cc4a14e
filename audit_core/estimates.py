"""What an audit of a model will take, from a trial on a few made-up pairs. Torch-free.

An estimate, not a promise: real reports are longer or shorter, and other programs want the machine too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

from audit_core.samples import SelfCheck

REFERENCE_SHARE: Final = 0.25  # of a cohort: known training pairs, and as many fitting controls
FOLDS: Final = 5
HELD_BYTES: Final = 256 << 20  # signals beyond this stay in the vault


@dataclass(frozen=True, slots=True)
class AuditedTower:
    """Linear layers of one part of a network.

    Attributes:
        name: `language`, `vision`, `text`, or what the heads are called.
        audited: as a reader wants it, such as `layers 29–31`; empty where nothing is.
        left_out: the same for what is not audited.
        matrices: how many matrices are audited.
    """

    name: str
    audited: str
    left_out: str
    matrices: int


@dataclass(frozen=True, slots=True)
class Trial:
    """A model that was opened and tried out at registration.

    Attributes:
        facts: what was loaded: precision, vision tower, preprocessor and what else the family says.
        parameters: of the loaded network.
        towers: what is audited and what is not.
        pairs: made-up pairs the trial used.
        open_s: seconds to open the model, and its base where it has one.
        reference_s: seconds a pair for summing reference gradients.
        signal_s: seconds a pair for signals against one mean.
        fold_s: seconds a pair for signals against every fold's sum.
        forward_s: seconds a pair for the loss alone; of the base too where there is one.
        bank_s: seconds for the anchor pairs of contrastive models.
        peak_bytes: most memory the process held.
        audited_numbers: numbers in the audited matrices.
        slices: rows and columns of the audited matrices.
        self_check: what the model said of the self-check pairs; None where it gave no numbers, and in
            records older than it.

    Raises:
        ValueError: a time or size below zero, or without end.
    """

    facts: dict[str, str]
    parameters: int
    towers: tuple[AuditedTower, ...]
    pairs: int
    open_s: float
    reference_s: float
    signal_s: float
    fold_s: float
    forward_s: float
    bank_s: float
    peak_bytes: int
    audited_numbers: int
    slices: int
    self_check: SelfCheck | None = None

    def __post_init__(self) -> None:
        for number in (getattr(self, one.name) for one in fields(self)):
            if isinstance(number, int | float) and not 0 <= number < math.inf:
                raise ValueError("times and sizes of a trial are finite and not below zero")

    def seconds(self, pairs: int, passes: float = 0.0) -> float:
        """Estimated seconds of an audit's model part: references, signals, shuffled pairs, base, readings.

        A quarter of the pairs are taken as known training pairs and a quarter as fitting controls, in five
        folds; the judgement at the end and a spike-in come on top.

        Args:
            pairs: of the cohort.
            passes: further forward passes a pair, what its readings declare.
        """
        known = REFERENCE_SHARE * pairs
        return (
            self.open_s
            + self.bank_s
            + known * self.reference_s
            + 2 * known * self.fold_s
            + (pairs - 2 * known) * self.signal_s
            + pairs * (1.0 + passes) * self.forward_s
        )

    def bytes(self, pairs: int) -> int:
        """Estimated peak memory: the trial's, one gradient sum a fold, and the signals that are held."""
        known = int(REFERENCE_SHARE * pairs)
        sums = 4 * FOLDS * self.audited_numbers
        dots = 4 * (FOLDS + 1) * 2 * known * self.slices
        return self.peak_bytes + sums + dots + min(4 * pairs * self.slices, HELD_BYTES)
