"""How long a throw-away copy was trained, as its result tells it (METHOD §6, spike-in). Torch-free."""

from __future__ import annotations

from collections.abc import Sequence

from audit_core.results import ControlName, ControlOutcome

COPY_EPOCHS = "epochs"
"""Number of the positive control: what a throw-away copy was trained for."""


def counted(number: int, what: str) -> str:
    """ "one epoch", "8 epochs"."""
    return f"one {what}" if number == 1 else f"{number} {what}s"


def copy_epochs(controls: Sequence[ControlOutcome]) -> int:
    """Epochs of the throw-away copy behind the positive control; 0 where none counts, or none is told."""
    found = [control.numbers for control in controls if control.name == ControlName.POSITIVE]
    return int(found[0].get(COPY_EPOCHS, 0.0)) if found else 0
