"""Who looks after the schedules, and what the daemon says."""

from __future__ import annotations

MESSAGES: dict[str, str | tuple[str, str]] = {
    "service.nobody": "nobody looks after the schedules yet: `./install.sh service`, or `gradaudit serve`",
    "service.silent": "nobody has looked after the schedules for {ago}: see `systemctl status 'gradaudit-*'`",
    "service.daemon": "`gradaudit serve` runs; it looked {ago} ago",
    "service.timer": "`gradaudit schedule run` was called {ago} ago",
    "service.ended": "`gradaudit serve` has ended; it looked {ago} ago",
    "service.ready": "looking every minute for runs that are due; SIGTERM ends it",
    "service.receiving": "what was received could not be taken in: {why}; {again}",
    "service.receiving.failing": (
        "{number} time in a row, what was received could not be taken in",
        "{number} times in a row, what was received could not be taken in",
    ),
    "service.failed": "this look failed: {why}; {again}",
    "service.again": ("next try in {number} minute", "next try in {number} minutes"),
    "service.failing": ("{number} look has failed", "{number} looks have failed"),
    "service.queued": "its audit is in the queue",
    "service.nothing": "nothing to audit",
    "service.status": "looked; {started} audits were started",
}
