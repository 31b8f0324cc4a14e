"""How long the log is kept: years go only after the retention, and never under a legal hold."""

from __future__ import annotations

from appliance.errors import UsageError
from appliance.evidence.entries import claimed_ms
from appliance.evidence.log import EvidenceLog, year_of

SHORTEST_YEARS = 6  # 45 CFR 164.316(b)(2): six years
HOLD = "log.hold"


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
        now_ms: what the clock claims; an earlier last entry counts instead, a later one does not.

    Raises:
        UsageError: too young for the retention, or a legal hold.
        LogUnwritable: as `EvidenceLog.append`; what was not said is not removed.
    """
    if keep_years < SHORTEST_YEARS:
        raise UsageError(f"a log is kept for at least {SHORTEST_YEARS} years", "give --keep a larger number")
    last = log.entries(-1)[0]
    now = year_of(min(now_ms, claimed_ms(last) + 1))  # a clock from the future ages nothing
    if before > now - keep_years:
        raise UsageError(
            f"years from {now - keep_years} on are kept for {keep_years} years",
            f"the latest that can be given is {now - keep_years}",
        )
    if is_held(log):
        raise UsageError("the log is under a legal hold", "lift it with `gradaudit log hold clear`")
    removed = []
    while (years := log.closed_years()) and int(years[0]) < before:
        removed.append(log.remove_oldest_year(actor))
    return removed
