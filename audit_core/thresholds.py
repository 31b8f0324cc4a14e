"""What a site decides with: every threshold, checked for meaning when it is read. Torch-free.

The verdict that follows from them is `policy.decide`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from audit_core.errors import PolicyInvalid
from audit_core.results import Design, References
from audit_core.samples import Settings

MASKS = ("tau_and_z", "fixed_tau", "tau_or_topq", "adaptive_keep", "quantile")
PUBLISHED_MASKS = MASKS[1:]
PUBLISHED_DETECTOR = "gradaudit"
LAYERS = ("auto", "all", "last3")
PRECISIONS = ("auto", "float32", "bfloat16")
OFFICERS = (
    "base_referenced",
    "fused",
    "gradaudit",
    "gradnorm",
    "loss",
    "minkpp",
    "rank_average",
    "task_vector",
)
"""The battery of every audit, written down because reading a policy must not import numpy."""
RENYI = tuple(
    f"renyi_{slice_}_{share}_{order}"
    for slice_ in ("text", "image", "both")
    for share in ("max", "10", "100")
    for order in ("half", "1", "2", "inf")
)
PUBLISHED = (
    "augmentation_kl",
    "con_recall",
    "cosine",
    "dc_pdd",
    "entropy",
    "gradnorm_last",
    "gradnorm_projector",
    "gradsafe",
    "image_corruption",
    "lower_case",
    "m4i",
    "mink",
    "minkpp_difference",
    "modified_entropy",
    "modrenyi_2",
    "modrenyi_half",
    "neuron_activation",
    "recall",
    "task_slope",
    "window_votes",
    "zlib",
    *RENYI,
)
"""Further detectors that a policy may name (docs/detectors.md)."""
DETECTORS = tuple(sorted((*OFFICERS, *PUBLISHED)))
WITHOUT_MEMBERS = (References.L4, References.L5)
LABELS_READ = "read with labels"
"""Number of the label permutation where labels are in what was read, so that it could not run."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Every threshold of a verdict. Shares and levels are fractions, not per cent.

    Attributes:
        deciding_detector: pre-registered; no other detector can decide.
        q: Benjamini-Hochberg level for flagging patients.
        alpha_fail: level of the rank test of line 3, used when `exposure_limit` is 0.
        alpha_review: level of the same test in line 4.
        exposure_limit: largest tolerated share of exposed patients.
        must_detect: PASS needs a minimum detectable share of at most this.
        minimum_members: patients per role below which the answer is INCONCLUSIVE; members and fitting
            controls are asked for only where references are L1 to L3.
        max_unscored_share: share of a role's pairs without a score that voids the audit.
        control_alpha: level of the flagged share in "control against control" and post-release studies.
        spike_in_epochs: 0 switches the spike-in off.
        required_isolation: names of isolation layers that must be on; checked by the appliance.
        small_sample_note: say on every page that the sample is small.
        simulations: simulated audits per share for the minimum detectable effect.
        batch_size: pairs computed at once; 0 measures what suits machine and model.
        precision: of the forward pass; statistics are float32 whatever it is.
        as_published: GradAudit as its authors released it decides; such an audit ends in REVIEW at worst and
            INCONCLUSIVE at best.

    Raises:
        PolicyInvalid: a value has no meaning; the message names the key.
    """

    name: str
    version: str
    deciding_detector: str = "fused"
    q: float = 0.10
    alpha_fail: float = 0.001
    alpha_review: float = 0.05
    exposure_limit: float = 0.0
    must_detect: float = 0.10
    minimum_members: int = 100
    minimum_fitting: int = 100
    minimum_calibration: int = 100
    minimum_targets: int = 30
    minimum_bank: int = 31
    max_unscored_share: float = 0.02
    control_alpha: float = 0.05
    spike_in_epochs: int = 0
    required_isolation: tuple[str, ...] = ()
    small_sample_note: bool = False
    mask: str = "tau_and_z"
    tau: float = 0.10
    layers: str = "auto"
    batch_size: int = 16
    precision: str = "auto"
    max_text_tokens: int = 256
    bootstrap: int = 10_000
    permutations: int = 20
    simulations: int = 400
    seed: int = 0
    as_published: bool = False

    def __post_init__(self) -> None:
        _check_words(self)
        _check_published(self)
        _check_shares(self)
        _check_counts(self)


def _check_words(policy: Policy) -> None:
    for key in ("name", "version", "deciding_detector"):
        if not str(getattr(policy, key)).strip():
            raise PolicyInvalid(f"{key} is empty", hint=f"give {key} a value")
    if policy.deciding_detector not in DETECTORS:
        raise PolicyInvalid(
            f"deciding_detector {policy.deciding_detector!r} is not known",
            hint=f"one of {', '.join(OFFICERS)}, or one of docs/detectors.md",
        )
    if policy.mask not in MASKS:
        raise PolicyInvalid(f"mask {policy.mask!r} is not known", hint=f"one of {', '.join(MASKS)}")
    if policy.layers not in LAYERS:
        raise PolicyInvalid(f"layers {policy.layers!r} is not known", hint=f"one of {', '.join(LAYERS)}")
    if policy.precision not in PRECISIONS:
        raise PolicyInvalid(
            f"precision {policy.precision!r} is not known", hint=f"one of {', '.join(PRECISIONS)}"
        )


def _check_published(policy: Policy) -> None:
    if not policy.as_published:
        return
    if policy.mask not in PUBLISHED_MASKS:
        raise PolicyInvalid(
            f"mask {policy.mask!r} was not published, and as_published asks for one that was",
            hint=f"one of {', '.join(PUBLISHED_MASKS)}",
        )
    if policy.deciding_detector != PUBLISHED_DETECTOR:
        raise PolicyInvalid(
            f"deciding_detector {policy.deciding_detector!r} cannot decide an audit as published",
            hint=f"deciding_detector must be {PUBLISHED_DETECTOR}",
        )


def _check_shares(policy: Policy) -> None:
    for key in ("q", "alpha_fail", "alpha_review", "control_alpha", "must_detect"):
        value = getattr(policy, key)
        if not 0.0 < value < 1.0:
            raise PolicyInvalid(f"{key} = {value} is not between 0 and 1", hint="levels are fractions")
    for key in ("exposure_limit", "max_unscored_share"):
        value = getattr(policy, key)
        if not 0.0 <= value < 1.0:
            raise PolicyInvalid(f"{key} = {value} is not in [0, 1)", hint="shares are fractions")
    if not (math.isfinite(policy.tau) and -1.0 < policy.tau < 2.0):
        raise PolicyInvalid(f"tau = {policy.tau} is no gap of cosines", hint="METHOD §1 uses 0.10")
    if policy.alpha_fail > policy.alpha_review:
        raise PolicyInvalid(
            f"alpha_fail {policy.alpha_fail} is above alpha_review {policy.alpha_review}",
            hint="a FAIL needs at least the proof a REVIEW needs",
        )


def _check_counts(policy: Policy) -> None:
    least = {
        "minimum_members": 2,
        "minimum_fitting": 2,
        "minimum_calibration": 2,
        "minimum_targets": 1,
        "minimum_bank": 1,
        "batch_size": 0,
        "max_text_tokens": 1,
        "permutations": 5,
        "bootstrap": 100,
        "simulations": 50,
        "spike_in_epochs": 0,
        "seed": 0,
    }
    for key, floor in least.items():
        value = getattr(policy, key)
        if isinstance(value, bool) or not isinstance(value, int) or value < floor:
            raise PolicyInvalid(f"{key} = {value!r} is not a whole number of at least {floor}")


def settings(policy: Policy, references: References, design: Design) -> Settings:
    """The audit's settings under this policy, for a cohort with these references and this design.

    Raises:
        PolicyInvalid: as published, and the cohort has no known members.
    """
    if policy.as_published and references in WITHOUT_MEMBERS:
        raise PolicyInvalid(
            f"as published needs known members, and this cohort's references are {references}",
            hint="audit it without --as-published",
        )
    return Settings(
        deciding_detector=policy.deciding_detector,
        references=references,
        design=design,
        seed=policy.seed,
        q=policy.q,
        alpha_fail=policy.alpha_fail,
        alpha_review=policy.alpha_review,
        control_alpha=policy.control_alpha,
        exposure_limit=policy.exposure_limit,
        mask=policy.mask,
        tau=policy.tau,
        layers=policy.layers,
        batch_size=policy.batch_size,
        precision=policy.precision,
        max_text_tokens=policy.max_text_tokens,
        permutations=policy.permutations,
        bootstrap=policy.bootstrap,
        simulations=policy.simulations,
        spike_in_epochs=policy.spike_in_epochs,
        minimum_bank=policy.minimum_bank,
        max_unscored_share=policy.max_unscored_share,
        as_published=policy.as_published,
    )
