"""How much time has passed since an entry, by all that the log can prove: setting a clock back gains nothing.

Claimed times are taken as they are, but where an entry says that the clock was set back: there the machine's
own time counts instead. A witness that has seen the log later than that is believed.
"""

from __future__ import annotations

from appliance.evidence.clock import BACK, gained_ms
from appliance.evidence.entries import Entry, claimed_ms
from appliance.evidence.log import EvidenceLog
from appliance.evidence.witnesses import cosigned


class Elapsed:
    """Time between entries of a log and now; read once, asked often.

    Args:
        log: of the workspace.

    Attributes:
        now_ms: what the machine's clock claims now, in milliseconds since 1970.
        set_back: numbers of the entries that say that the clock was set back, oldest first.
    """

    def __init__(self, log: EvidenceLog) -> None:
        log.refresh()
        self.now_ms = log.clock.utc_ms()
        self._lost = [(entry.index, _lost_before(log, entry)) for entry in log.acts(BACK)]
        last = log.entries(-1)[0]
        lost = _lost_ms(last, self.now_ms, log.clock.boot_ns())
        self._now_ms = max(self.now_ms + lost, claimed_ms(last))
        self._seen_ms = max((1000 * seen.seconds for _, seen in cosigned(log, 0)), default=0)
        self.set_back = tuple(index for index, _ in self._lost)

    def since(self, index: int, at_ms: int) -> int:
        """Milliseconds from an entry of this number and claimed time until now."""
        passed = self._now_ms - at_ms + self._lost_after(index)
        return max(0, passed, self._seen_ms - at_ms)

    def between(self, index: int, at_ms: int, later: int, later_ms: int) -> int:
        """Milliseconds from one entry until a later one, each by its number and claimed time."""
        return max(0, later_ms - at_ms + self._lost_after(index, later))

    def _lost_after(self, index: int, until: int | None = None) -> int:
        return sum(lost for at, lost in self._lost if index < at and (until is None or at <= until))


def _lost_before(log: EvidenceLog, entry: Entry) -> int:
    """By how much the clock was set back between an entry and the one before it, which may be pruned."""
    if entry.index <= log.origin:
        return 0
    return _lost_ms(log.entries(entry.index - 1, 1)[0], claimed_ms(entry), entry.boot_ns)


def _lost_ms(before: Entry, utc_ms: int, boot_ns: int) -> int:
    return max(0, -gained_ms(claimed_ms(before), before.boot_ns, utc_ms, boot_ns))
