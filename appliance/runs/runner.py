"""The process that works through the queue of audits: one after the other, until none waits.

It takes keys from its standard input and leaves the terminal behind: closing that, or the screens, does not
end it. It holds the keys as long as it works and not a moment longer. SIGTERM stops the audit at work; what
becomes of it stands in the queue: paused, cancelled, or, where nobody has said (the machine is switched off),
cut off, to be gone on with. `launching.PAUSES` pauses it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from appliance.errors import Busy
from appliance.runs.launching import PAUSES, RUNNER
from appliance.workspace import session
from appliance.workspace.writer_lock import locked_file


def main() -> int:
    """Take the keys, become a process of its own, work."""
    from appliance.egress import go_offline
    from appliance.redaction import redact

    redact()
    go_offline()
    root, kept = Path(sys.argv[1]), session.unpacked(sys.stdin.buffer.read())
    with ExitStack() as held:
        try:
            held.enter_context(locked_file(root / RUNNER, time.monotonic(), Busy("another one works")))
        except Busy:
            return 0
        if os.fork():  # who started it waits for this process alone; the child has the lock as well
            os._exit(0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _work(root, kept, held)
    return 0


def _work(root: Path, kept: session.Remembered, held: ExitStack) -> None:
    """Work through the queue.

    Args:
        held: lets go of the lock that makes this the only runner.
    """
    from appliance.api import Appliance
    from appliance.workspace.workspace import Workspace

    with Appliance(Workspace.of_kept(root, kept)) as appliance:

        def stop(number: int, frame: FrameType | None) -> None:
            appliance._stop_working(pausing=number == PAUSES)

        for number in (signal.SIGTERM, PAUSES):
            signal.signal(number, stop)
        appliance._work_through(held.close)


if __name__ == "__main__":
    raise SystemExit(main())
