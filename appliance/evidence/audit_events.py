"""Entries of the log as AuditEvents (FHIR R4B §6.4), in the codes of DICOM PS3.16 CID 400. They hold no PHI.

The action follows from the event's code as in PS3.15 A.5.3: an import creates, an export and a look at the
log read, all else that is not about a record executes.
"""

from __future__ import annotations

from typing import Any, Final

from appliance.evidence.entries import Entry

_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_OWN = "urn:gradaudit"
_ACTIVITY = ("110100", "Application Activity", "E")
_LOG_USED = ("110101", "Audit Log Used", "R")
_ACCESSED = ("110103", "DICOM Instances Accessed", "R")
_EXPORT = ("110106", "Export", "R")
_IMPORT = ("110107", "Import", "C")
_PATIENT = ("110110", "Patient Record", "R")
_ALERT = ("110113", "Security Alert", "E")
_SIGN_IN = ("110114", "User Authentication", "E")

# act, or its first word for those without a line of their own -> code, meaning, action
_TYPES: Final[dict[str, tuple[str, str, str]]] = {
    "log": _LOG_USED,
    **dict.fromkeys(("log.create", "log.segment"), _ACTIVITY),
    **dict.fromkeys(("log.hold", "log.prune", "log.cut", "log.full"), _ALERT),
    **dict.fromkeys(("clock", "user"), _ALERT),
    **dict.fromkeys(
        (
            "workspace.signin", "workspace.unlock", "workspace.lock", "workspace.lockout",
            "workspace.recover", "workspace.join", "workspace.remember",
        ),
        _SIGN_IN,
    ),
    **dict.fromkeys(("studies.export", "evidence.export", "log.export", "workspace.backup"), _EXPORT),
    **dict.fromkeys(("evidence.answer", "evidence.export.vendor"), _EXPORT),
    **dict.fromkeys(("studies.ingest", "workspace.restore"), _IMPORT),
    **dict.fromkeys(("pairs.show", "report.show", "studies.show"), _ACCESSED),
    **dict.fromkeys(
        ("findings.list", "findings.reveal", "findings.reveals", "findings.show", "patient.show"), _PATIENT
    ),
    "patient.erase": (*_PATIENT[:2], "D"),
    "patient.readmit": (*_PATIENT[:2], "U"),
}  # fmt: skip
_MINOR, _SERIOUS = ("refused", "cancelled", "cut", "unreadable"), ("failed",)  # AuditEvent.outcome 4 and 8
_PEOPLE = ("anonymous", "auditor", "officer", "operator", "recovery")
_DIGESTS = ("policy_digest", "detail_digest", "result_root")


def audit_event(entry: Entry, observer: str) -> dict[str, Any]:
    """One entry as an AuditEvent.

    Args:
        observer: name of the log.
    """
    code, display, action = _TYPES.get(entry.act) or _TYPES.get(entry.act.partition(".")[0]) or _ACTIVITY
    outcome = "4" if entry.outcome in _MINOR else "8" if entry.outcome in _SERIOUS else "0"
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": f"entry-{entry.index}",
        "type": {"system": _DICOM, "code": code, "display": display},
        "subtype": [{"system": f"{_OWN}:act", "code": entry.act}],
        "action": action,
        "recorded": entry.claimed_utc,
        "outcome": outcome,
        "outcomeDesc": entry.outcome,
        "agent": [_agent(entry.actor)],
        "source": {
            "observer": _named("log", observer),
            "type": [_coded("security-source-type", "4", "Application Server")],
        },
    }
    details = [
        {"type": name, "valueString": getattr(entry, name)} for name in _DIGESTS if getattr(entry, name)
    ]
    if entry.object or details:
        entity: dict[str, Any] = {"type": _coded("audit-entity-type", "2", "System Object")}
        entity |= {"what": _named("object", entry.object)} if entry.object else {}
        event["entity"] = [entity | ({"detail": details} if details else {})]
    return event


def _agent(actor: str) -> dict[str, Any]:
    role = actor.partition(":")[0]
    kind = ("humanuser", "human user") if role in _PEOPLE else ("dataprocessor", "data processor")
    return {
        "type": {"coding": [_coded("extra-security-role-type", *kind)]},
        "role": [{"coding": [{"system": f"{_OWN}:role", "code": role}]}],
        "who": _named("actor", actor),
        "requestor": True,
    }


def _coded(system: str, code: str, display: str) -> dict[str, str]:
    return {"system": f"{_TERMINOLOGY}/{system}", "code": code, "display": display}


def _named(kind: str, value: str) -> dict[str, Any]:
    return {"identifier": {"system": f"{_OWN}:{kind}", "value": value}}
