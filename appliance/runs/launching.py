"""Starting the process that works through the queue: detached from every terminal, keys through a pipe.

The keys go to its standard input, which nobody else can open; not into arguments, environment or a file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from appliance.egress import OFFLINE_ENV
from appliance.errors import NotNow
from appliance.workspace import session
from appliance.workspace.session import Remembered
from appliance.workspace.writer_lock import is_locked

RUNNER: Final = "runner"  # held in the workspace by the one process that works through the queue
PAUSES: Final = signal.SIGUSR1  # what is at work, without an order in the queue, which needs keys
SECRETS: Final = ("GRADAUDIT_PASSPHRASE", "GRADAUDIT_PASSPHRASE_FILE", "CREDENTIALS_DIRECTORY")
_START_S: Final = 60.0


def working(root: Path) -> bool:
    """Whether a process works through the queue of this workspace."""
    return is_locked(root / RUNNER)


def start(root: Path, kept: Remembered) -> None:
    """Let a process work through the queue, if none does; it has taken over when this returns.

    Raises:
        NotNow: it did not start.
    """
    if working(root):
        return
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "appliance.runs.runner", str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={**environment, **OFFLINE_ENV},
        start_new_session=True,  # closing the terminal ends nobody outside its session
    )
    try:
        process.communicate(session.packed(kept), timeout=_START_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.returncode != 0:
        raise NotNow(
            "the process for audits did not start",
            "`gradaudit doctor` looks at this machine; then resume it.",
        )
