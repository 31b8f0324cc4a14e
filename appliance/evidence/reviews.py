"""Who looked through which part of the log, and what was found: the log has the digest of sealed words."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from hashlib import sha256

from appliance.errors import IntegrityError, UsageError
from appliance.evidence.entries import Entry
from appliance.evidence.log import EvidenceLog
from appliance.evidence.verify_evidence import canonical
from appliance.evidence.views import ReviewRow

KIND = "review"  # of the sealed object
ACT = "log.review"
_LONGEST = 20_000  # characters


def record(
    log: EvidenceLog, seal: Callable[[str, bytes], str], first: int, last: int, found: str, actor: str
) -> None:
    """Seal what a reviewer found in the entries first … last, and log it.

    Args:
        seal: stores bytes of a kind and returns their id, 64 hex digits.

    Raises:
        UsageError: no such entries, or nothing is said.
        LogUnwritable: as `EvidenceLog.append`; the sealed words then belong to no review.
    """
    if not log.origin <= first <= last < log.size:
        raise UsageError(
            f"no entries {first} to {last}", f"the log holds entries {log.origin} to {log.size - 1}"
        )
    if not found.strip() or len(found) > _LONGEST:
        raise UsageError("a review says what was found", 'as in `--found "nothing unusual"`')
    salt = secrets.token_hex(16)  # nobody can try out words against the digest
    content = canonical({"first": first, "found": found, "last": last, "salt": salt, "v": 1})
    log.append(ACT, "log", "begins", actor=actor)
    sealed = seal(KIND, content)
    log.append(ACT, sealed, "done", actor=actor, detail_digest=sha256(content).hexdigest())


def done(log: EvidenceLog) -> list[Entry]:
    """The entries of reviews that were sealed and logged, oldest first."""
    return [entry for entry in log.acts(ACT) if entry.outcome == "done"]


def reviews(log: EvidenceLog, unseal: Callable[[str, str], bytes]) -> tuple[ReviewRow, ...]:
    """Every review, oldest first.

    Raises:
        IntegrityError: a sealed record is missing or is not what the log has the digest of.
    """
    rows = []
    for entry in done(log):
        content = unseal(KIND, entry.object)
        if sha256(content).hexdigest() != entry.detail_digest:
            raise IntegrityError(f"the review of entry {entry.index} is not the one that was logged")
        fields = json.loads(content)
        rows.append(
            ReviewRow(
                entry.index, entry.claimed_utc, entry.actor, fields["first"], fields["last"], fields["found"]
            )
        )
    return tuple(rows)
