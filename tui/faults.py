"""The line that stands where Textual would print a traceback with local variables."""

from __future__ import annotations

from appliance.faults import fault_of


def fault_line(error: BaseException) -> str:
    """One line with the fault's id and nothing else of it; equal faults have equal ids."""
    return f"Fault {fault_of(error).fault_id}: the screens stopped. The log and the workspace are untouched."
