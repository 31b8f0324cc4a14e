"""Who looked through which part of the log, and what was found: the log has the digest of the words.

The words lie in the catalogue, under its key and no other: an auditor reviews the log and opens no study.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.errors import UsageError
from appliance.evidence.entries import Entry
from appliance.evidence.log import EvidenceLog
from appliance.evidence.views import ReviewRow
from appliance.evidence.vouched import not_logged, opened, salted

ACT = "log.review"
_LONGEST = 20_000  # characters


def record(log: EvidenceLog, first: int, last: int, found: str) -> tuple[str, str]:
    """What a reviewer found in the entries first … last, to be kept; with its SHA-256, hex.

    Raises:
        UsageError: no such entries, or nothing is said.
    """
    if not log.origin <= first <= last < log.size:
        raise UsageError(
            f"no entries {first} to {last}", f"the log holds entries {log.origin} to {log.size - 1}"
        )
    if not found.strip() or len(found) > _LONGEST:
        raise UsageError("a review says what was found", 'as in `--found "nothing unusual"`')
    return salted({"first": first, "found": found, "last": last})


def done(log: EvidenceLog) -> list[Entry]:
    """The entries of reviews that were kept and logged, oldest first."""
    return [entry for entry in log.acts(ACT) if entry.outcome == "done"]


def window(entry: Entry, content: str | None) -> tuple[int, int] | None:
    """First and last entry that a review went through; None where its record is not the one logged."""
    fields = opened(content, entry.detail_digest)
    return None if fields is None else (int(fields["first"]), int(fields["last"]))


def reviews(log: EvidenceLog, kept: Callable[[str], str | None]) -> tuple[ReviewRow, ...]:
    """Every review, oldest first.

    Args:
        log: with the digests.
        kept: what is kept under a digest.

    Raises:
        IntegrityError: a record is missing or is not what the log has the digest of.
    """
    rows = []
    for entry in done(log):
        fields = opened(kept(entry.detail_digest), entry.detail_digest)
        if fields is None:
            raise not_logged(f"the review of entry {entry.index}")
        rows.append(
            ReviewRow(
                entry.index, entry.claimed_utc, entry.actor, fields["first"], fields["last"], fields["found"]
            )
        )
    return tuple(rows)
