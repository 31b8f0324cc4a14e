"""Every key of a policy: what it takes and decides, and who may ask for more of it.

The one table that parser, published schema, screens, commands and docs read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from appliance.isolation import LAYERS
from appliance.policies import governance
from audit_core import thresholds
from audit_core.policy_values import Form, Words


class Effect(StrEnum):
    """What a change means: is it harder for a model that was trained on patients to come through, or is more
    asked of the site?"""

    STRICTER = "stricter"
    LOOSER = "looser"
    NEITHER = "neither"


class Stricter(StrEnum):
    """Which way a key is stricter."""

    LARGER = "larger"
    SMALLER = "smaller"
    OFTENER = "smaller, and 0 is never"
    MORE = "more of them"
    NEITHER = ""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a policy file.

    Attributes:
        field: of `Policy`, or of `Governance`.
        decides: one sentence for an officer, without a full stop.
        stricter: which way a model comes through less easily; NEITHER where there is no such way.
        vendor: whether a vendor's file may make it stricter: no audit ends better for its model then
            (docs/decisions/vendors-only-tighten.md).
        added: it came later; a stored text without it means the field's default.
    """

    field: str
    decides: str
    stricter: Stricter = Stricter.NEITHER
    vendor: bool = False
    added: bool = False

    @property
    def form(self) -> Form:
        """What its value may be."""
        return _FORMS[self.field]


_FORMS: Final[Mapping[str, Form]] = {
    **thresholds.FORMS,
    **governance.FORMS,
    "required_isolation": Words(LAYERS),
}
_LARGER, _SMALLER, _MORE, _OFTENER = Stricter.LARGER, Stricter.SMALLER, Stricter.MORE, Stricter.OFTENER
_FEWER = "fewer give INCONCLUSIVE"
_AGAIN = "are audited anew after so many days at the latest; 0 demands nothing"

KEYS: Final[Mapping[str, Key]] = {
    "name": Key("name", "how the policy is called on screens, in the log and in evidence"),
    "version": Key(
        "version", "tells one text of this name from another; a version is never used for two texts"
    ),
    "decision.deciding_detector": Key(
        "deciding_detector",
        "the one detector whose scores decide; fixed before an audit, so that none can be picked afterwards",
    ),
    "decision.exposure_limit": Key(
        "exposure_limit",
        "tolerated share of exposed patients; 0 is judged by a rank test, more by the share's lower bound",
        _SMALLER,
    ),
    "decision.alpha_fail": Key(
        "alpha_fail", "level of the rank test for FAIL: with a larger one less proof is enough", _LARGER
    ),
    "decision.alpha_review": Key(
        "alpha_review", "level of the rank test for REVIEW: with a larger one less proof is enough", _LARGER
    ),
    "decision.q": Key(
        "q",
        "share of false flags that is accepted among flagged patients (Benjamini–Hochberg); a larger one "
        "flags more",
        _LARGER,
        vendor=True,
    ),
    "decision.must_detect": Key(
        "must_detect",
        "PASS needs an audit that would have found this share of exposed patients, in 80 % of simulated "
        "audits",
        _SMALLER,
        vendor=True,
    ),
    "decision.fail_tier": Key(
        "fail_tier",
        "evidence tier that FAIL needs; a signal of a lower one stays REVIEW",
        _SMALLER,
        vendor=True,
        added=True,
    ),
    "minimum.members": Key("minimum_members", f"known members, in patients; {_FEWER}", _LARGER),
    "minimum.fitting": Key("minimum_fitting", f"fitting controls, in patients; {_FEWER}", _LARGER),
    "minimum.calibration": Key(
        "minimum_calibration", f"calibration controls, in patients; {_FEWER}", _LARGER
    ),
    "minimum.targets": Key("minimum_targets", f"targets, in patients; {_FEWER}", _LARGER),
    "minimum.bank": Key("minimum_bank", f"anchor pairs, for contrastive models only; {_FEWER}", _LARGER),
    "controls.required": Key(
        "required_controls",
        "controls that PASS needs passed, beside those it always needs; one that failed or is not "
        "applicable bars it",
        _MORE,
        vendor=True,
        added=True,
    ),
    "controls.max_unscored_share": Key(
        "max_unscored_share", "a larger share of pairs without a score in one role voids the audit", _SMALLER
    ),
    "controls.control_alpha": Key(
        "control_alpha", 'level of "control against control" and of post-release studies'
    ),
    "controls.permutations": Key("permutations", "how often reference labels are permuted"),
    "controls.spike_in_epochs": Key(
        "spike_in_epochs",
        "passes of the throw-away fine-tuned copy over some controls; 0 does without it, and more than one "
        "bar PASS",
    ),
    "method.mask": Key("mask", "rule by which slices of the gradients count"),
    "method.tau": Key("tau", "threshold of that rule"),
    "method.layers": Key(
        "layers", "audited layers: auto takes all below 1 B parameters and the last three above"
    ),
    "method.batch_size": Key("batch_size", "pairs computed at once; 0 measures what suits machine and model"),
    "method.precision": Key(
        "precision",
        "of the forward pass: float32, bfloat16, or auto, which takes bfloat16 from 1 B parameters stored in "
        "16 bits",
    ),
    "method.max_text_tokens": Key("max_text_tokens", "where a report is cut"),
    "method.bootstrap": Key("bootstrap", "repetitions for intervals"),
    "method.simulations": Key("simulations", "repetitions for the smallest detectable share"),
    "method.seed": Key("seed", "of every random draw of an audit"),
    "method.as_published": Key(
        "as_published", "GradAudit as its authors released it decides; PASS and FAIL are out of reach then"
    ),
    "isolation.required": Key(
        "required_isolation",
        "layers without which no audit starts: network_namespace, seccomp, landlock",
        _MORE,
        vendor=True,
    ),
    "approval.quorum": Key(
        "quorum",
        "officers or paper keys who open findings, and so approve policies, together; where fewer are "
        "enough, the policy neither comes into force nor begins an audit",
        _LARGER,
        vendor=True,
        added=True,
    ),
    "retention.log_years": Key(
        "log_years",
        "years that the log is kept at least; the longest of all policies in force counts",
        _LARGER,
        vendor=True,
        added=True,
    ),
    "cadence.image-text-to-text": Key(
        "generative_days", f"models that write text {_AGAIN}", _OFTENER, vendor=True, added=True
    ),
    "cadence.contrastive": Key(
        "contrastive_days", f"models of two towers {_AGAIN}", _OFTENER, vendor=True, added=True
    ),
    "cadence.image-text-matching": Key(
        "matching_days",
        f"models that say whether two belong together {_AGAIN}",
        _OFTENER,
        vendor=True,
        added=True,
    ),
    "report.small_sample_note": Key("small_sample_note", "says on every page that the sample is small"),
}
"""Key in the file, with its table -> what is known of it; in the order of the file."""


def effect(key: str, old: Any, new: Any) -> Effect:
    """What changing a key from `old` to `new` means.

    Args:
        key: one of `KEYS`.
        old: its value before, as the policy has it.
        new: its value afterwards.
    """
    way = KEYS[key].stricter
    if way is Stricter.NEITHER or old == new:
        return Effect.NEITHER
    if way is Stricter.MORE:
        gained, lost = set(new) - set(old), set(old) - set(new)
        if bool(gained) is bool(lost):
            return Effect.NEITHER
        return Effect.STRICTER if gained else Effect.LOOSER
    if way is Stricter.OFTENER and 0 in (old, new):
        return Effect.STRICTER if old == 0 else Effect.LOOSER
    return Effect.STRICTER if (new > old) is (way is Stricter.LARGER) else Effect.LOOSER
