"""The line that stands where Textual would print a traceback with local variables."""

from __future__ import annotations

from appliance.faults import fault_of


def fault_line(error: BaseException) -> str:
    """One line that names a fault without any value."""
    fault = fault_of(error)
    return (
        f"Fault {fault.fault_id}: the screens stopped ({fault.where}). "
        "The log and the workspace are untouched."
    )
