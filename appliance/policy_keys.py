"""What every key of a policy decides, in plain words: the one table that screens, commands and docs read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Effect(StrEnum):
    """What a change means for a model that was trained on patients: is it harder to come through?"""

    STRICTER = "stricter"
    LOOSER = "looser"
    NEITHER = "neither"


class Stricter(StrEnum):
    """Which way a key is stricter."""

    LARGER = "larger"
    SMALLER = "smaller"
    MORE = "more of them"
    NEITHER = ""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a policy file.

    Attributes:
        decides: one sentence for an officer, without a full stop.
        stricter: which way a model comes through less easily; NEITHER where there is no such way.
    """

    decides: str
    stricter: Stricter = Stricter.NEITHER


_LARGER, _SMALLER, _MORE = Stricter.LARGER, Stricter.SMALLER, Stricter.MORE
_FEWER = "fewer give INCONCLUSIVE"

KEYS: Final[Mapping[str, Key]] = {
    "name": Key("how the policy is called on screens, in the log and in evidence"),
    "version": Key("tells one text of this name from another; a version is never used for two texts"),
    "decision.deciding_detector": Key(
        "the one detector whose scores decide; fixed before an audit, so that none can be picked afterwards"
    ),
    "decision.exposure_limit": Key(
        "tolerated share of exposed patients; 0 is judged by a rank test, more by the share's lower bound",
        _SMALLER,
    ),
    "decision.alpha_fail": Key(
        "level of the rank test for FAIL: with a larger one less proof is enough", _LARGER
    ),
    "decision.alpha_review": Key(
        "level of the rank test for REVIEW: with a larger one less proof is enough", _LARGER
    ),
    "decision.q": Key(
        "share of false flags that is accepted among flagged patients (Benjamini–Hochberg); a larger one "
        "flags more",
        _LARGER,
    ),
    "decision.must_detect": Key(
        "PASS needs an audit that would have found this share of exposed patients", _SMALLER
    ),
    "minimum.members": Key(f"known members, in patients; {_FEWER}", _LARGER),
    "minimum.fitting": Key(f"fitting controls, in patients; {_FEWER}", _LARGER),
    "minimum.calibration": Key(f"calibration controls, in patients; {_FEWER}", _LARGER),
    "minimum.targets": Key(f"targets, in patients; {_FEWER}", _LARGER),
    "minimum.bank": Key(f"anchor pairs, for contrastive models only; {_FEWER}", _LARGER),
    "controls.max_unscored_share": Key(
        "a larger share of pairs without a score in one role voids the audit", _SMALLER
    ),
    "controls.control_alpha": Key('level of "control against control" and of post-release studies'),
    "controls.permutations": Key("how often reference labels are permuted"),
    "controls.spike_in_epochs": Key(
        "passes of the throw-away fine-tuned copy over some controls; 0 does without it, and more than one "
        "bar PASS"
    ),
    "method.mask": Key("rule by which slices of the gradients count"),
    "method.tau": Key("threshold of that rule"),
    "method.layers": Key("audited layers: auto takes all below 1 B parameters and the last three above"),
    "method.batch_size": Key("pairs computed at once; 0 measures what suits machine and model"),
    "method.precision": Key(
        "of the forward pass: float32, bfloat16, or auto, which takes bfloat16 from 1 B parameters stored in "
        "16 bits"
    ),
    "method.max_text_tokens": Key("where a report is cut"),
    "method.bootstrap": Key("repetitions for intervals"),
    "method.simulations": Key("repetitions for the smallest detectable share"),
    "method.seed": Key("of every random draw of an audit"),
    "method.as_published": Key(
        "GradAudit as its authors released it decides; PASS and FAIL are out of reach then"
    ),
    "isolation.required": Key(
        "layers without which no audit starts: network_namespace, seccomp, landlock", _MORE
    ),
    "report.small_sample_note": Key("says on every page that the sample is small"),
}
"""Key in the file, with its table -> what it decides; in the order of the file."""


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
    return Effect.STRICTER if (new > old) is (way is Stricter.LARGER) else Effect.LOOSER
