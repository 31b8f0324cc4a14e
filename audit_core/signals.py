"""What is read off a model for every pair: the seam between the engine and the detectors.

Everything a detector may use is in a `SignalTable`; no detector ever touches a model. Torch-free, so that
detectors, controls and calibration can be tested on made-up tables.

Letters: N pairs, M audited matrices, K slices (rows and columns of all matrices).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audit_core.cosines import Cosines
from audit_core.fold_sums import FoldSums
from audit_core.tokens import TokenSignals

LIKELIHOOD_SCALARS = ("neg_loss", "mink", "minkpp", "neg_entropy", "max_logp")
"""Scalars of both families, larger = more member-like; contrastive tables add `cosine`."""

GRADIENT_SCALAR = "neg_log_grad_norm"
"""The scalar that exists only where gradients were captured."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """One audited matrix and where its slices lie in `SignalTable.cosines`.

    Slices offset … offset+rows−1 are its rows (output units), the next `cols` its columns (input units).

    Attributes:
        name: parameter path without `.weight`, e.g. `model.language_model.layers.3.mlp.down_proj`.
        layer: what an officer reads, e.g. `language layer 3`.
    """

    name: str
    layer: str
    offset: int
    rows: int
    cols: int


@dataclass(frozen=True, slots=True)
class SignalTable:
    """Signals of N pairs, in the order of `pair_ids`. Rows of unscored pairs hold NaN and must be ignored.

    Attributes:
        scalars: name -> float64 [N]; larger = more member-like.
        norms: float32 [N, M], log of the per-matrix gradient norm; [N, 0] when gradients were not captured.
        cosines: float32 [N, K], slice cosines with the reference mean R, leave-one-out for reference members;
            NaN where the slice was dropped; [N, 0] when not captured. An array, or blocks in a store where
            an array would be too large; both are indexed alike.
        task_cosines: float32 [N, M], mean slice cosine of −G with ΔW = W − W_base; [N, 0] without a base.
        unscored: pair id -> reason.
        facts: what was audited, for the reader: parameters, precision, vision tower, bank size and digest …
        fold_sums: what gives reference pairs a cosine under every fold model; None where no folds were dealt
            out before the reading (spike-in, made-up tables). Detectors then use `cosines` for every fold,
            and scores of held-out members come out too high: each was in the means its judges learnt from.
        as_published: reference members' cosines are with a mean that holds them too, as in the released
            GradAudit; what learns from references must not learn from those.
        tokens: what the model says at every report token; None for models that do not predict tokens.
        task_slopes: float32 [N, M], ⟨−G, ΔW⟩ of every matrix: how much the loss would still fall along the
            task vector; None where gradients were not captured, [N, 0] without a base.
    """

    pair_ids: tuple[str, ...]
    scalars: Mapping[str, NDArray[np.float64]]
    norms: NDArray[np.float32]
    cosines: Cosines
    task_cosines: NDArray[np.float32]
    matrices: tuple[Matrix, ...]
    unscored: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    fold_sums: FoldSums | None = None
    as_published: bool = False
    tokens: TokenSignals | None = None
    task_slopes: NDArray[np.float32] | None = None
