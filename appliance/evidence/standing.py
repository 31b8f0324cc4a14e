"""How an intact log stands: whether evidence waits for a foreign cosignature for too long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from appliance.evidence.entries import Entry, claimed_ms
from appliance.evidence.verify_evidence import Report, Seen, moment
from appliance.views import LogHealth

if TYPE_CHECKING:
    from appliance.evidence.log import EvidenceLog

LIMIT_MS = 7 * 24 * 3600 * 1000  # evidence older than this without a foreign cosignature is unwitnessed
WITNESSED, WAITING, UNWITNESSED = "witnessed", "not yet", "unwitnessed"


def standing(seen: Sequence[Seen], oldest: Entry | None, newest: Entry, now_ms: int) -> str:
    """One of the three words.

    Time is the latest of what clock, last entry and witnesses say: setting the clock back hides nothing.

    Args:
        seen: what witnesses have cosigned.
        oldest: the first entry that no cosignature covers; None where all are covered.
        newest: the last entry.
        now_ms: what the clock claims.
    """
    if oldest is None:
        return WITNESSED
    now = max([now_ms, claimed_ms(newest), *(1000 * one.seconds for one in seen)])
    if now - claimed_ms(oldest) > LIMIT_MS:
        return UNWITNESSED
    return WITNESSED if seen else WAITING


def health_of(report: Report, log: EvidenceLog, now_ms: int) -> LogHealth:
    """What is said of a log that was found intact.

    Args:
        report: of the verifier.
        log: the same, at least as long as `report` says.
        now_ms: what the clock claims.
    """
    head, last = report.checkpoint, max((one.seconds for one in report.seen), default=0)
    covered = max((one.checkpoint.size for one in report.seen), default=log.origin)
    state = standing(report.seen, next(iter(log.entries(covered, 1)), None), log.entries(-1)[0], now_ms)
    when = moment(last) if last else ""
    return LogHealth(True, head.size, head.root.hex(), log.key_words, "", state, when)
