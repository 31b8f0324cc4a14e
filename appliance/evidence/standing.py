"""How an intact log stands: whether evidence waits for a foreign cosignature for too long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from appliance.evidence.entries import Entry, claimed_ms
from appliance.evidence.verify_evidence import (
    Broken,
    Checkpoint,
    Report,
    Seen,
    moment,
    read_key,
    read_witnesses,
)
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
    head, when = report.checkpoint, moment(now_ms // 1000)
    return _told(log, head, report.seen, now_ms, (head, when))


def known(log: EvidenceLog, verified: tuple[Checkpoint, str] | None, now_ms: int) -> LogHealth:
    """What is known of a log that is open, without reading all of it.

    Args:
        log: whose new entries were compared with its checkpoint.
        verified: the state up to which everything was re-derived, and when.
        now_ms: what the clock claims.
    """
    head = Checkpoint(log.size, bytes.fromhex(log.root))
    try:
        seen = read_witnesses(log.directory, read_key(log.directory))
        states = [(place, one.checkpoint) for place, one in seen.items()]
        if verified is not None:
            states.append(("checkpoint", verified[0]))
        for place, state in states:
            if state.size > head.size:
                raise Broken(f"{place}: of {state.size} entries the log holds {head.size}")
            if state.size >= max(1, log.origin) and log.root_at(state.size) != state.root:
                raise Broken(f"{place}: another history than the journal holds")
    except (Broken, OSError) as problem:
        return broken(log, problem)
    return _told(log, head, tuple(seen.values()), now_ms, verified)


def broken(log: EvidenceLog, problem: Exception) -> LogHealth:
    """What is said of a log that is not what was signed."""
    said = problem.__cause__ if isinstance(problem.__cause__, Broken) else problem
    return LogHealth(False, log.size, log.root, log.key_words, str(said))


def steps(
    expected: int, on_step: Callable[[int, int], None] | None
) -> Callable[[int, int, bytes], None] | None:
    """What a walk calls for every entry, so that `on_step` is told of some."""
    if on_step is None:
        return None
    step = max(1, min(10_000, expected // 100))

    def visit(index: int, place: int, leaf: bytes) -> None:
        if index % step == 0:
            on_step(index, max(index, expected))

    return visit


def _told(
    log: EvidenceLog,
    head: Checkpoint,
    seen: Sequence[Seen],
    now_ms: int,
    verified: tuple[Checkpoint, str] | None,
) -> LogHealth:
    last = max((one.seconds for one in seen), default=0)
    covered = max((one.checkpoint.size for one in seen), default=log.origin)
    state = standing(seen, next(iter(log.entries(covered, 1)), None), log.entries(-1)[0], now_ms)
    when = moment(last) if last else ""
    size, utc = (verified[0].size, verified[1]) if verified else (0, "")
    return LogHealth(
        True, head.size, head.root.hex(), log.key_words, "", state, when,
        verified_entries=size, verified_utc=utc,
    )  # fmt: skip
