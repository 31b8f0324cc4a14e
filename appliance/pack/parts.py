"""The parts of an evidence pack, in the order in which they are made: each sees the members before it."""

from __future__ import annotations

from typing import Final

from appliance.pack.crosswalk import members as crosswalk
from appliance.pack.drafts import members as drafts
from appliance.pack.facts import Part
from appliance.pack.interop import cyclonedx, fhir, intoto, oscal
from appliance.pack.pages import members as pages
from appliance.pack.records import members as records

PARTS: Final[tuple[Part, ...]] = (
    records.members,
    intoto.members,
    cyclonedx.members,
    fhir.members,
    pages.members,
    drafts.members,
    crosswalk.members,
    oscal.members,
)
