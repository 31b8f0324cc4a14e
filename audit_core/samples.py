"""What the audit is given: samples, a model folder and settings. Knows no DICOM and no store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit_core.results import Design, Progress, References, Role

ReportProgress = Callable[[Progress], None]
LEAST_SPIKED = 4
"""Patients that a spike-in is trained on, at least; they are half of the fitting controls."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One pair as the model sees it.

    Attributes:
        pair_id: content-derived handle, opaque.
        patient: pseudonym; one patient has one role.
        role: what the cohort says this pair is.
        image: uint8 [H, W, 3], display-ready RGB.
        text: the report text, exactly as paired.
        covariates: data-only facts for the blind baseline (manufacturer, rows, year …), never shown.
    """

    pair_id: str
    patient: str
    role: Role
    image: NDArray[np.uint8]
    text: str
    covariates: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PairFacts:
    """What judgement may know of a pair besides its signals: role, patient, and data-only facts.

    Attributes:
        pixels: float64 [D], features of the image alone, in the order of `blind.PIXEL_FEATURES`.
    """

    pair_id: str
    patient: str
    role: Role
    text: str
    covariates: Mapping[str, str | float]
    pixels: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """What a model says of the made-up self-check pairs (`self_check.py`), to be compared later.

    Attributes:
        losses: of each pair, in their order; finite.
        base_losses: the same of the base; empty without one.
        precision: of the forward passes: `float32`, `bfloat16` or `float16`.
        device: `cpu` or `cuda`.
    """

    losses: tuple[float, ...]
    base_losses: tuple[float, ...]
    precision: str
    device: str


@dataclass(frozen=True, slots=True)
class Registered:
    """Digests written down before an audit begins; what reaches the engine must have the same.

    Attributes:
        cohort: hex SHA-256 of pairs, patients and roles in the cohort's order (`identity.order_digest`).
        code: hex SHA-256 of the engine's source files (`code_version.code_digest`).
    """

    cohort: str
    code: str


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A checkpoint as registered. Paths are absolute; digests are hex SHA-256 by file name.

    Attributes:
        family: one of `audit_core.adapters.families.FAMILIES`.
        base: folder of the model it was fine-tuned from.
        peft: folder of a LoRA or DoRA adapter to be put on the model.
        sealed: the folders hold what was kept of the vendor's, without weights, which come as tensors.
        vendor: what of the vendor's own folders is not as registered, one phrase a file, as whoever can read
            them found it.
        absent: parts that are not in the vendor's folder any more: `model`, `base`, `adapter`.
        tensors: in place of weight files (`adapters.streamed.Weights`); None where the folder's are read.
            Not part of what is written down about a source.
        base_tensors: the same of the base.
        peft_tensors: the same of the adapter.
        self_check: what the model said of made-up pairs when it was registered; None in older records.
    """

    path: Path
    family: str
    digests: Mapping[str, str]
    base: Path | None = None
    base_digests: Mapping[str, str] = field(default_factory=dict)
    peft: Path | None = None
    peft_digests: Mapping[str, str] = field(default_factory=dict)
    sealed: bool = False
    vendor: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    tensors: Any = field(default=None, repr=False)
    base_tensors: Any = field(default=None, repr=False)
    peft_tensors: Any = field(default=None, repr=False)
    self_check: SelfCheck | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Every number that changes an audit's outcome; from the policy, part of the audit's identity."""

    deciding_detector: str = "fused"
    references: References = References.L1
    design: Design = Design.CONVENIENCE
    seed: int = 0
    q: float = 0.10  # Benjamini-Hochberg level
    alpha_fail: float = 0.001
    control_alpha: float = 0.05  # level of "control against control"
    exposure_limit: float = 0.0
    mask: str = "tau_and_z"  # METHOD §2; published variants: fixed_tau, tau_or_topq, adaptive_keep
    tau: float = 0.10
    layers: str = "auto"  # "all", "last3", or auto: all under 1 B parameters
    batch_size: int = 16  # pairs computed at once; 0: measured on the audit's own pairs
    precision: str = "auto"  # of the forward pass: float32, bfloat16, or auto (opening.Opening)
    max_text_tokens: int = 256
    permutations: int = 20
    bootstrap: int = 10_000
    simulations: int = 400  # audits simulated per exposed share for the minimum detectable effect
    spike_in_epochs: int = 0  # 0: no spike-in
    minimum_bank: int = 31
    max_unscored_share: float = 0.02  # of a role's pairs; above it the audit is void
    alpha_review: float = 0.05  # level of the same rank test for REVIEW, and of "fires" in the evidence tiers
    gap_z: float = 2.33  # Welch z a slice must pass besides tau (METHOD §2)
    as_published: bool = False  # GradAudit as released: layers, mean, mask, calibration (METHOD §1)
