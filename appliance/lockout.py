"""After ten wrong passphrases of one user, the next attempt has to wait; the log is the only memory of it.

Time is the machine's own since its start: setting the wall clock shortens nothing, and a restart begins the
wait anew. This holds people at this machine's keyboard back; who has the disk is held back by Argon2id alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from appliance.errors import LockedOut
from appliance.evidence.entries import Entry
from appliance.workspace.roles import Role

UNLOCK: Final = "workspace.unlock"
JOIN: Final = "workspace.join"
RESET: Final = "user.reset"
LOCKED_OUT: Final = "workspace.lockout"  # an attempt during the wait: logged, and not counted
FREE_ATTEMPTS: Final = 10
FIRST_WAIT_S: Final = 60
LONGEST_WAIT_S: Final = 3600


def boot_ns() -> int:
    """Nanoseconds since the machine started, sleep included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def wait_s(entries: Sequence[Entry], now_ns: int) -> int:
    """Seconds until a passphrase of this user is looked at again; 0 for now.

    Args:
        entries: of the log about this user, oldest first.
        now_ns: boot time.
    """
    failures: list[Entry] = []
    for entry in reversed(entries):
        if entry.act in (UNLOCK, JOIN) and entry.outcome == "refused":
            failures.append(entry)
        elif entry.act in (UNLOCK, JOIN) or (entry.act == RESET and entry.outcome == "done"):
            break
    if len(failures) < FREE_ATTEMPTS:
        return 0
    doublings = min(len(failures) - FREE_ATTEMPTS, 16)
    wait_ns = min(FIRST_WAIT_S << doublings, LONGEST_WAIT_S) * 10**9
    last_ns = failures[0].boot_ns
    # After a restart boot time begins at 0 again: then no more than that has passed for certain.
    passed_ns = now_ns - last_ns if now_ns >= last_ns else now_ns
    return max(0, -((passed_ns - wait_ns) // 10**9))


def locked_out(seconds: int, role: Role | None, paper: bool) -> LockedOut:
    """What somebody reads who has to wait.

    Args:
        seconds: how long.
        role: of the user; None where there is none of that name.
        paper: whether there are words on paper.
    """
    if role is None:
        helps = "Check the name."
    elif not role.sees_evidence:
        helps = "Wait, or ask an officer for a new passphrase: `gradaudit users passphrase NAME`."
    elif paper:
        helps = "Wait; or the words on paper open at once: `gradaudit recover`."
    else:
        helps = "Wait, or ask another officer for a new passphrase: `gradaudit users passphrase NAME`."
    return LockedOut(f"too many wrong passphrases: the next attempt counts in {seconds} s", helps, seconds)
