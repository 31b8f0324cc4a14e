"""What a site decides with: every threshold, checked for meaning when it is read. Torch-free.

The verdict that follows from them is `policy.decide`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from audit_core.errors import PolicyInvalid
from audit_core.policy_values import Count, Flag, Form, Number, Text, Word, Words
from audit_core.results import ControlName, Design, References, Tier

if TYPE_CHECKING:
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

_LEVEL, _SHARE = Number(0.0, 1.0, above=True), Number(0.0, 1.0)
FORMS: Final[Mapping[str, Form]] = {
    "name": Text(),
    "version": Text(),
    "deciding_detector": Word(DETECTORS, "a detector of docs/detectors.md"),
    "exposure_limit": _SHARE,
    "alpha_fail": _LEVEL,
    "alpha_review": _LEVEL,
    "q": _LEVEL,
    "must_detect": _LEVEL,
    "fail_tier": Word((Tier.E3.name, Tier.E4.name)),  # METHOD §7: no FAIL below E3
    "minimum_members": Count(2),
    "minimum_fitting": Count(2),
    "minimum_calibration": Count(2),
    "minimum_targets": Count(1),
    "minimum_bank": Count(1),
    "required_controls": Words(tuple(name.value for name in ControlName)),
    "max_unscored_share": _SHARE,
    "control_alpha": _LEVEL,
    "permutations": Count(5),
    "spike_in_epochs": Count(0),
    "mask": Word(MASKS),
    "tau": Number(-1.0, 2.0, above=True),
    "layers": Word(LAYERS),
    "batch_size": Count(0),
    "precision": Word(PRECISIONS),
    "max_text_tokens": Count(1),
    "bootstrap": Count(100),
    "simulations": Count(50),
    "seed": Count(0),
    "as_published": Flag(),
    "small_sample_note": Flag(),
}
"""Field of `Policy` -> what its value may be; layers of isolation are for the appliance to know."""


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
        fail_tier: FAIL needs evidence of this tier at least, "E3" or "E4"; below it a signal is a REVIEW.
        minimum_members: patients per role below which the answer is INCONCLUSIVE; members and fitting
            controls are asked for only where references are L1 to L3.
        required_controls: controls that PASS needs passed, beside those that it always needs.
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
    fail_tier: str = Tier.E3.name
    minimum_members: int = 100
    minimum_fitting: int = 100
    minimum_calibration: int = 100
    minimum_targets: int = 30
    minimum_bank: int = 31
    required_controls: tuple[str, ...] = ()
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
        _check_values(self)
        _check_published(self)
        _check_levels(self)


def _check_values(policy: Policy) -> None:
    for field, form in FORMS.items():
        value = getattr(policy, field)
        if not form.takes(value):
            raise PolicyInvalid(f"{field} = {value!r} is not {form}", hint="see docs/policy-keys.md")


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


def _check_levels(policy: Policy) -> None:
    if policy.alpha_fail > policy.alpha_review:
        raise PolicyInvalid(
            f"alpha_fail {policy.alpha_fail} is above alpha_review {policy.alpha_review}",
            hint="a FAIL needs at least the proof a REVIEW needs",
        )


def settings(policy: Policy, references: References, design: Design) -> Settings:
    """The audit's settings under this policy, for a cohort with these references and this design.

    Raises:
        PolicyInvalid: as published, and the cohort has no known members.
    """
    from audit_core.samples import Settings  # numpy is not for who only reads thresholds

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
