"""What an audit could not do, why, and what would help: one sentence each, for an officer. Torch-free.

Read off a finished result, so that nothing that is missing can be left unsaid (METHOD §7, where references
come from).
"""

from __future__ import annotations

from collections.abc import Iterator

from audit_core.copies import copy_epochs
from audit_core.identity import NOT_STORED
from audit_core.results import (
    AuditResult,
    ControlName,
    ControlOutcome,
    ControlStatus,
    Design,
    Limit,
    References,
)
from audit_core.thresholds import LABELS_READ, WITHOUT_MEMBERS

CONTRACT = "Ask the vendor, by a clause of the contract, to name pairs the model was trained on"
BY_DESIGN = (
    "Before data leave the site the next time, hold patients back by coin and plant canaries "
    "(`gradaudit design new`)"
)
SPIKE_IN = "run the audit with `--spike-in`, which shows on a throw-away copy what would have been found"
MORE_CONTROLS = "Freeze a cohort with more control patients."

_WITHOUT: dict[ControlName, tuple[str, str]] = {  # a control that could not run -> what is open, what helps
    ControlName.CONTROL_AGAINST_CONTROL: (
        "Whether controls alone would raise an alarm was not tried.",
        MORE_CONTROLS,
    ),
    ControlName.BLIND_MEMBERS: (
        "Whether known members can be told from controls without the model was not tried.",
        "Freeze a cohort with at least ten patients in every role.",
    ),
    ControlName.BLIND_TARGETS: (
        "Whether targets can be told from controls without the model was not tried.",
        "Freeze a cohort with at least ten patients in every role.",
    ),
    ControlName.CONDITIONAL: (
        "Whether a finding holds among look-alike patients was not tried.",
        "Freeze a cohort with at least ten patients in every role.",
    ),
    ControlName.REFERENCE_MODEL: (
        "The model was not compared with the one it was made from.",
        "Ask the vendor for the base model's weights, and register the model with `--base`.",
    ),
    ControlName.POST_RELEASE: (
        "No patients who cannot have been trained on were looked at.",
        "Add studies acquired after the model's release with `--post-release`.",
    ),
}


def limits_of(result: AuditResult) -> tuple[Limit, ...]:
    """Everything this audit could not do; the gravest first."""
    controls = {control.name: control for control in result.controls}
    if result.exposure is None:
        return (_nothing_judged(result, controls),)
    return (
        *_members(result, controls),
        *_unlike(controls),
        *_design(result),
        *_registration(controls),
        *_controls(result, controls),
        *_resolution(result),
    )


def _nothing_judged(result: AuditResult, controls: dict[str, ControlOutcome]) -> Limit:
    identity = controls.get(ControlName.IDENTITY)
    if identity is not None and identity.status is ControlStatus.FAILED:
        return Limit(
            "Nothing was measured.",
            identity.sentence,
            "Compare the folder with the vendor's copy, register what is meant, and run a new audit.",
        )
    return Limit(
        "Nothing was judged.", result.detectable.sentence, "Freeze a cohort with more patients in this role."
    )


def _members(result: AuditResult, controls: dict[str, ControlOutcome]) -> Iterator[Limit]:
    """What follows from having no known members, or from not finding them."""
    positive = controls.get(ControlName.POSITIVE)
    ran = positive is not None and positive.status is not ControlStatus.NOT_APPLICABLE
    if result.references in WITHOUT_MEMBERS and not ran:
        yield Limit(
            "What this audit would have found was not shown, so it cannot end in PASS.",
            "The cohort names no pairs the model is known to be trained on, and no spike-in was run.",
            f"{CONTRACT}; or {SPIKE_IN}. {BY_DESIGN}.",
        )
    elif result.references is References.L4:
        yield Limit(
            "What this audit would have found was shown on a throw-away copy, not on the vendor's training.",
            "The cohort names no pairs the model is known to be trained on.",
            f"{CONTRACT}. {BY_DESIGN}.",
        )
    if copy_epochs(result.controls) > 1:
        yield Limit(
            "What this audit would have found after one epoch was not shown, so it cannot end in PASS.",
            f"The throw-away copy was trained for {copy_epochs(result.controls)} epochs: with enough of them "
            "any audit finds it.",
            "Run the audit with `--spike-in-epochs 1`.",
        )
    if result.references in WITHOUT_MEMBERS:
        yield Limit(
            f"No detector could learn what memory looks like here; {_decided(result)}.",
            "Learning needs known members beside controls.",
            f"{CONTRACT}.",
        )
    elif not ran and not result.as_published:
        yield Limit(
            "What this audit would have found was not shown, so it cannot end in PASS.",
            "" if positive is None else positive.sentence,
            "Freeze a cohort with more known members and more fitting controls.",
        )
    if ran and positive is not None and positive.status is ControlStatus.FAILED:
        yield Limit(
            "An exposure could have been missed.",
            positive.sentence,
            "Check that members and controls were not exchanged; add known members; ask for the base model.",
        )


def _decided(result: AuditResult) -> str:
    """What decided without members: the policy's detector if it learns nothing, else fixed ones together."""
    names = [one.name for one in result.detectors if one.decides]
    if not names or names == ["rank_average"]:
        return "fixed ones decided by average rank"
    return f"a fixed one decided, {names[0]}"


def _unlike(controls: dict[str, ControlOutcome]) -> Iterator[Limit]:
    """What data alone that tell groups apart leave unsaid."""
    members, targets = controls.get(ControlName.BLIND_MEMBERS), controls.get(ControlName.BLIND_TARGETS)
    if members is not None and members.status is ControlStatus.FAILED:
        yield Limit(
            "What this audit would have found was not shown, so it cannot end in PASS.",
            f"Members may be found by where they come from and not by memory. {members.sentence}",
            f"Take members and controls from the same devices, years and templates. {BY_DESIGN}.",
        )
    if targets is not None and targets.status is ControlStatus.FAILED:
        yield Limit(
            "How large a share of the patients is exposed cannot be stated.",
            f"It would be counted against controls that targets are unlike. {targets.sentence}",
            f"Take targets and controls from the same devices, years and templates. {BY_DESIGN}.",
        )


def _design(result: AuditResult) -> Iterator[Limit]:
    if result.design is Design.CONVENIENCE:
        yield Limit(
            "A finding of this audit cannot end in FAIL.",
            "Roles were given as patients happened to be at hand, so another difference may explain it.",
            f"{BY_DESIGN}.",
        )


def _resolution(result: AuditResult) -> Iterator[Limit]:
    exposure = result.exposure
    if exposure is not None and exposure.missing_controls > 0 and exposure.flagged == 0:
        yield Limit(
            "One exposed patient alone could not be flagged, only several together.",
            f"To flag one of {exposure.patients} at q = {exposure.q:g} takes {exposure.missing_controls} "
            "more calibration controls.",
            MORE_CONTROLS,
        )


def _registration(controls: dict[str, ControlOutcome]) -> Iterator[Limit]:
    identity = controls.get(ControlName.IDENTITY)
    if identity is not None and identity.numbers.get(NOT_STORED):
        yield Limit(
            "Whether the model still computes what it did when it was registered was not compared.",
            "It was registered without losses of self-check pairs.",
            "Register the model again under another name.",
        )


def _controls(result: AuditResult, controls: dict[str, ControlOutcome]) -> Iterator[Limit]:
    permuted = controls.get(ControlName.LABEL_PERMUTATION)
    if permuted is not None and permuted.numbers.get(LABELS_READ):
        yield Limit(
            "Whether the finding goes away with roles shuffled was not tried.",
            permuted.sentence,
            "Let a detector decide that meets the roles only after the model was read, such as fused.",
        )
    for name, (what, remedy) in _WITHOUT.items():
        found = controls.get(name)
        if name is ControlName.BLIND_MEMBERS and result.references in WITHOUT_MEMBERS:
            continue  # said already: there are no known members
        if found is not None and found.status is ControlStatus.NOT_APPLICABLE:
            yield Limit(what, found.sentence, remedy)
