"""The log extract of a pack as FHIR R4B: one Bundle of AuditEvents, for programs that collect these."""

from __future__ import annotations

from typing import Final

from appliance.evidence.audit_events import audit_event
from appliance.evidence.verify_evidence import canonical
from appliance.pack.facts import Members, PackFacts
from appliance.pack.interop.naming import OWN, stable_uuid

NAME: Final = "log/audit-events.fhir.json"


def members(facts: PackFacts, so_far: Members) -> Members:
    """The entries of `log/entries.jsonl`, and no others, each an AuditEvent; dated by the closing entry."""
    log = facts.log.key_id
    bundle = {
        "resourceType": "Bundle",
        "id": stable_uuid(facts, so_far, NAME),
        "identifier": {"system": f"{OWN}:audit", "value": facts.view.row.audit_id},
        "type": "collection",
        "timestamp": facts.closed_utc,
        "entry": [
            {
                "fullUrl": f"urn:uuid:{stable_uuid(facts, so_far, NAME, str(entry.index))}",
                "resource": audit_event(entry, log),
            }
            for entry in facts.entries
        ],
    }
    return {NAME: canonical(bundle)}
