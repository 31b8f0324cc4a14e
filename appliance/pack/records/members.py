"""The records of a pack: how the site stood when the audit closed, a file for each subject.

Each repeats one part of `records.json`, to which the log committed at closing, and says where that stands.
The retention certificate also names the entry that closed the audit, and the log's key signs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from appliance.evidence.verify_evidence import canonical
from appliance.pack.facts import Members, PackFacts
from appliance.words.table import tell

COMMITTED: Final = "records.json"
CERTIFICATE: Final = "records/retention.json"
NOTE: Final = "records/retention.note"
FILES: Final[Mapping[str, str]] = {
    "access": "records/access.json",
    "egress": "records/egress.json",
    "encryption": "records/encryption.json",
    "log_review": "records/log-review.json",
    "retention": CERTIFICATE,
}
"""Part of `records.json` -> the member that repeats it."""


def members(facts: PackFacts, _: Members) -> Members:
    """One file for each part that was kept; nothing for a vendor, and nothing of what is withheld in part."""
    records = facts.given.records
    if facts.edition != "full" or not records or any(one.member == COMMITTED for one in facts.withheld):
        return {}
    made = {
        name: canonical(_document(facts, part, records[part]))
        for part, name in FILES.items()
        if part in records
    }
    if CERTIFICATE in made:
        made[NOTE] = facts.log.sign_retention(made[CERTIFICATE])
    return made


def _document(facts: PackFacts, part: str, kept: Mapping[str, Any]) -> dict[str, Any]:
    about = {
        "audit": facts.view.row.audit_id,
        "does_not_show": tell(f"record.leaves_open.{part}"),
        "format": f"gradaudit-record-{part.replace('_', '-')}-1",
        "from": f"{COMMITTED}#/{part}",
        "log_entries": facts.given.records["log_entries"],
        "record": dict(kept),
        "utc": facts.given.records["utc"],
    }
    if part == "retention":
        about |= {
            "closing_entry": facts.closing.index,
            "closed_utc": facts.closed_utc,
            "key": facts.log.key_words,
        }
    return about
