"""What may not be said where data alone tell groups apart, or where nobody looked (METHOD §6, §7).

Two statements rest on groups that differ in nothing but training. What known members show counts for targets
if members and controls are alike; what controls show counts for targets if those two are. The blind baselines
are the only test of either, and "not applicable" is not "passed". Torch-free.
"""

from __future__ import annotations

from collections.abc import Sequence

from audit_core.results import ControlName, ControlOutcome, ControlStatus, Exposure

GATES = (ControlName.BLIND_MEMBERS, ControlName.BLIND_TARGETS)


def status_of(name: ControlName, controls: Sequence[ControlOutcome]) -> ControlStatus:
    """The outcome of a control; one that is missing was not applicable."""
    found = {control.name: control.status for control in controls}
    return found.get(name, ControlStatus.NOT_APPLICABLE)


def shown_alike(name: ControlName, controls: Sequence[ControlOutcome]) -> bool:
    """Whether this blind baseline passed."""
    return status_of(name, controls) is ControlStatus.PASSED


def no_sensitivity(controls: Sequence[ControlOutcome]) -> str:
    """Why members that are found do not say what the audit would have seen, or an empty string."""
    status = status_of(ControlName.BLIND_MEMBERS, controls)
    if status is ControlStatus.PASSED:
        return ""
    known = "can be told apart without the model"
    if status is ControlStatus.NOT_APPLICABLE:
        known = "were not compared without the model"
    return (
        f"Known members and controls {known}, so members may be found by where they come from and not by "
        "memory; sensitivity cannot be stated."
    )


def not_stated(exposure: Exposure) -> str:
    """Why no share of exposed patients is stated, as half a sentence, or an empty string where one is."""
    if exposure.targets_alike is ControlStatus.FAILED:
        return "targets and controls can be told apart without the model"
    if exposure.targets_alike is ControlStatus.NOT_APPLICABLE:
        return "targets and controls were not compared without the model"
    return ""


def proviso(exposure: Exposure) -> str:
    """What "expected to be false" hangs on, to be put behind it; empty where the blind baseline passed."""
    if exposure.targets_alike is ControlStatus.FAILED:
        return ", if controls are like targets, which data alone disprove"
    if exposure.targets_alike is ControlStatus.NOT_APPLICABLE:
        return ", if controls are like targets, which was not tried"
    return ""
