"""`init` killed before any of its steps: no workspace, or one that opens with a log that is whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from appliance.acts import OpenWorkspace
from appliance.workspace.workspace import Workspace

ROOT = Path(__file__).parents[2]
PASSPHRASE = "four random words"
MOST_STEPS = 100

# One child for each step; its number is also the name of its folder. What SQLite does goes past Python.
KILLED = f"""
import os, signal, sys
from pathlib import Path
from appliance.acts import OpenWorkspace
from appliance.workspace.workspace import Workspace

STEPS = {{"os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "tempfile.mkdtemp"}}

def create(folder, last):
    seen = 0
    def step(event, arguments):
        nonlocal seen
        written = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in STEPS or written:
            seen += 1
            if seen == last:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(step)
    Workspace.create(folder / "ws", {PASSPHRASE!r}, "x", unsafe_fast_kdf=True)
    os.kill(os.getpid(), signal.SIGKILL)

for last in range(1, {MOST_STEPS}):
    folder = Path(sys.argv[1]) / str(last)
    folder.mkdir()
    child = os.fork()
    if not child:
        create(folder, last)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    if (folder / "ws").exists():
        break
"""


def test_a_creation_killed_anywhere(tmp_path: Path) -> None:
    """Each child dies one step later, the last one right after the workspace has its name: all is there."""
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, check=True)
    *before, last = sorted(tmp_path.iterdir(), key=lambda folder: int(folder.name))
    assert 5 < len(before) < MOST_STEPS - 2
    with OpenWorkspace.unlock(last / "ws", PASSPHRASE) as opened:
        assert opened._log.verify().intact
    for folder in before:
        Workspace.create(folder / "ws", PASSPHRASE, "x", unsafe_fast_kdf=True).close()
        assert [path.name for path in folder.iterdir()] == ["ws"]
        OpenWorkspace.unlock(folder / "ws", PASSPHRASE).close()
