"""The parts of an evidence pack, in the order in which they are made: each sees the members before it."""

from __future__ import annotations

from typing import Final

from appliance.pack.facts import Part
from appliance.pack.pages import members as pages

PARTS: Final[tuple[Part, ...]] = (pages.members,)
