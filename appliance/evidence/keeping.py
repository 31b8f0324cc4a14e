"""How long the log is kept: years go only after the retention, and never under a legal hold.

A clock that people can set makes no year old. Where a witness has answered, the time of its last answer is
the latest that it is; elsewhere a year is over when the clock has said so for thirty days of running.
"""

from __future__ import annotations

from typing import Final

from appliance.errors import UsageError
from appliance.evidence import witnesses
from appliance.evidence.clock import DAY_MS
from appliance.evidence.entries import Entry, claimed_ms
from appliance.evidence.log import EvidenceLog, year_of

SHORTEST_YEARS = 6  # 45 CFR 164.316(b)(2): six years
HOLD = "log.hold"
STANDS_NS: Final = 30 * DAY_MS * 1_000_000
_WINDOW: Final = 1024  # entries read at a time, backwards


def is_held(log: EvidenceLog) -> bool:
    """Whether the last word about a legal hold is that there is one."""
    holds = [entry for entry in log.about("log") if entry.act == HOLD]
    return bool(holds) and holds[-1].outcome == "started"


def hold(log: EvidenceLog, held: bool, actor: str = "system") -> None:
    """Set or lift the legal hold, by an entry. Raises as `EvidenceLog.append`."""
    log.append(HOLD, "log", "started" if held else "done", actor=actor)


def prune(log: EvidenceLog, before: int, keep_years: int, now_ms: int, actor: str = "system") -> list[str]:
    """Remove the closed years before `before`, each after an entry; the years removed, oldest first.

    Args:
        keep_years: retention, at least `SHORTEST_YEARS`; counted from the end of a year.
        now_ms: what the clock claims; an earlier last entry or answer of a witness counts instead.

    Raises:
        UsageError: too young for the retention, or a legal hold.
        LogUnwritable: as `EvidenceLog.append`; what was not said is not removed.
    """
    if keep_years < SHORTEST_YEARS:
        raise UsageError(f"a log is kept for at least {SHORTEST_YEARS} years", "give --keep a larger number")
    _check_age(log, before, keep_years, now_ms)
    if is_held(log):
        raise UsageError("the log is under a legal hold", "lift it with `gradaudit log hold clear`")
    removed = []
    while (years := log.closed_years()) and int(years[0]) < before:
        removed.append(log.remove_oldest_year(actor))
    return removed


def _check_age(log: EvidenceLog, before: int, keep_years: int, now_ms: int) -> None:
    seen = [1000 * one.seconds for _, one in witnesses.cosigned(log, 0)]
    now = year_of(min(now_ms, claimed_ms(log.entries(-1)[0]) + 1, max(seen, default=now_ms)))
    if before > now - keep_years:
        by = " by the clock of the last witness" if seen else ""
        raise UsageError(
            f"years from {now - keep_years} on are kept for {keep_years} years{by}",
            f"the latest that can be given is {now - keep_years}",
        )
    due = before + keep_years
    if not seen and _ran_ns(log, due) < STANDS_NS:
        raise UsageError(
            f"the machine's clock has said {due} or later for less than 30 days of running",
            "bring the log to a witness, or try again later",
        )


def _ran_ns(log: EvidenceLog, year: int) -> int:
    """For how long the machine has run at least, in one stretch, while its clock claimed `year` or later."""
    later: Entry | None = None
    total, end = 0, log.size
    while end > log.origin:
        start = max(log.origin, end - _WINDOW)
        for entry in reversed(log.entries(start, end - start)):
            if year_of(claimed_ms(entry)) < year or total >= STANDS_NS:
                return total
            if later is not None:
                step = later.boot_ns - entry.boot_ns
                total += step if step >= 0 else later.boot_ns  # a restart lay between
            later = entry
        end = start
    return total
