"""The places of the UI in the order of their keys: the one table that keys, palette and navigation read.

A place is shown by the screen that `tui.rooms` names for it.
"""

from __future__ import annotations

from typing import Final

PLACES: Final = (
    ("1,f1", "overview", "Overview"),
    ("2,f2", "runs", "Runs"),
    ("3,f3", "result", "Result"),
    ("a", "cases", "Cases"),
    ("9", "log", "Log"),
    ("4,f4", "findings", "Findings"),
    ("5", "studies", "Studies"),
    ("6", "models", "Models"),
    ("7", "policies", "Policies"),
    ("8", "evidence", "Evidence"),
    ("0", "schedule", "Schedule"),
    ("s", "system", "System"),
    ("c", "compare", "Compare"),
    ("l", "users", "Users"),
)
"""Keys, name, label; the first ones are shown on the key line where there is room."""

NEEDED: Final = {"cases": "cases", "log": "log_find", "evidence": "packs", "findings": "findings"}
"""The act of the appliance without which a place shows nothing; the others show what the role may see."""
