"""The log as a file for other programs: lines with proofs, or FHIR AuditEvents. No PHI: entries hold none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from appliance.errors import UsageError
from appliance.evidence.audit_events import audit_event
from appliance.evidence.log import EvidenceLog
from appliance.evidence.whole_file import whole_file


def write(log: EvidenceLog, path: Path, form: str, first: int, last: int) -> bool:
    """Write the entries first … last to a new file, all or nothing; whether a FHIR model has checked it.

    Raises:
        UsageError: no such form, no such entries, or the file cannot be written.
    """
    if form not in _FORMS:
        raise UsageError(f"no format {form}", "known: " + ", ".join(_FORMS))
    if not log.origin <= first <= last < log.size:
        raise UsageError(
            f"no entries {first} to {last}", f"the log holds entries {log.origin} to {log.size - 1}"
        )
    check = _fhir_model() if form == "fhir" else None
    with whole_file(path) as stream:
        for value in _FORMS[form](log, first, last):
            if check is not None:
                check(value)
            said = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            stream.write(f"{said}\n".encode())
    return check is not None


def _fhir_model() -> Callable[[dict[str, Any]], Any] | None:
    try:
        from fhir.resources.R4B.auditevent import AuditEvent
    except ImportError:
        return None
    check: Callable[[dict[str, Any]], Any] = AuditEvent.model_validate
    return check


def _jsonl(log: EvidenceLog, first: int, last: int) -> Iterator[dict[str, Any]]:
    size = log.size
    yield {
        "checkpoint": log.checkpoint_at(size).decode(),
        "format": "gradaudit-log-1",
        "key": log.verifier_key.decode().strip(),
    }
    for index in range(first, last + 1):
        proof = [step.hex() for step in log.prove_entry(index, size)]
        yield {"entry": json.loads(log.raw(index)), "inclusion": proof}


def _fhir(log: EvidenceLog, first: int, last: int) -> Iterator[dict[str, Any]]:
    observer = log.verifier_key.decode().partition("+")[0]
    for start in range(first, last + 1, 1000):
        for entry in log.entries(start, min(1000, last + 1 - start)):
            yield audit_event(entry, observer)


_FORMS: dict[str, Callable[[EvidenceLog, int, int], Iterator[dict[str, Any]]]] = {
    "jsonl": _jsonl,
    "fhir": _fhir,
}
