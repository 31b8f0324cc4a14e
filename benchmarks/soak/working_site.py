"""A small site with a model, its audit and an inbox; and commands on it as their own processes.

A command runs in a child that was forked from a process which has the program imported: a kill at a random
moment then falls into the act, and not into the start of Python.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from appliance import cli, policy_file  # noqa: E402 - after the path
from appliance.api import Appliance  # noqa: E402
from appliance.workspace.evidence_store import opened as evidence  # noqa: E402
from tests import warm  # noqa: E402

PASSPHRASE = "four random words"
_IMAGES = 6
_UNSTEADY = {
    "audit_id",
    "started_utc",
    "finished_utc",
    "seconds",
    "batch_size",
    "findings_object",
    "opened_at",
}
_LEFT_S = 20.0  # until workers of a killed command are gone

_BUILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np
from tests.appliance import small_site
from tests.medio.objects import image
folder = Path(sys.argv[2])
small_site.build(folder)
inbox = folder / "inbox"
inbox.mkdir()
for number in range({images}):
    pixels = np.random.default_rng(number).integers(0, 4000, (48, 48), dtype=np.uint16)
    handles = dict(StudyInstanceUID=f"1.2.840.{{number}}", AccessionNumber=f"N{{number}}")
    handles["PatientID"] = f"Q{{number}}"
    image(pixels, SOPInstanceUID=f"1.2.840.{{number}}.1", **handles).save_as(inbox / f"{{number}}.dcm")
    (inbox / f"{{number}}.txt").write_text(f"Chest radiograph {{number}}. The heart is of normal size.")
"""


def build(folder: Path) -> Path:
    """Workspace, model folders, inbox and a quick policy below `folder`; returns the workspace.

    A process of its own loads torch, so that this one stays small and can be forked.
    """
    code = _BUILD.format(images=_IMAGES)
    built = warm.program(code, ROOT, folder, timeout=600)
    if built.returncode != 0:
        raise RuntimeError(built.stderr[-400:])
    text = (policy_file.FOLDER / "demo.toml").read_text(encoding="utf-8").replace('"demo"', '"quick"')
    quick = {"bootstrap": 100, "simulations": 50, "permutations": 5}
    lines = [
        f"{name} = {quick[name]}" if (name := line.partition(" ")[0]) in quick else line
        for line in text.splitlines()
    ]
    (folder / "quick.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    secret = folder / "passphrase"
    secret.write_text(f"{PASSPHRASE}\n", encoding="utf-8")
    secret.chmod(0o600)
    return folder / "workspace"


@dataclass(slots=True)
class Running:
    """A command in its own process group.

    Attributes:
        pid: of its first process.
        said: the file with all it wrote.
        code: its exit status once it ended by itself; None before, and when it was killed.
    """

    pid: int
    said: Path
    code: int | None = None

    def wait(self, seconds: float) -> bool:
        """Whether it ended by itself within so many seconds."""
        end = time.monotonic() + seconds
        while self.code is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.code = os.waitstatus_to_exitcode(status)
                return True
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, 0.002))
        return True

    def kill(self, whole: bool) -> bool:
        """kill -9: its first process, or all of them at once. Whether workers were gone soon after.

        Args:
            whole: all of them; else workers have to notice for themselves that nobody is there.
        """
        (os.killpg if whole else os.kill)(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        end = time.monotonic() + _LEFT_S
        while _group_lives(self.pid):
            if time.monotonic() > end:
                os.killpg(self.pid, signal.SIGKILL)
                return False
            time.sleep(0.01)
        return True


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def start(
    words: list[str], root: Path, secret: Path, said: Path, first: Callable[[], None] = lambda: None
) -> Running:
    """One command on a workspace.

    Args:
        words: after `gradaudit`.
        root: of the workspace.
        secret: the file with the passphrase.
        said: where its output goes.
        first: done in the child before the command; a mutant changes the program here.
    """
    child = os.fork()
    if child:
        return Running(child, said)
    code = 70
    try:
        os.setsid()
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)  # a caller may have put others there
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1)
        os.environ["GRADAUDIT_PASSPHRASE_FILE"] = str(secret)
        sys.argv = ["gradaudit", "--workspace", str(root), *words]
        first()
        cli.main()
    except SystemExit as leaving:
        code = int(leaving.code or 0) if not isinstance(leaving.code, str) else 1
        sys.stdout.flush()
    finally:
        os._exit(code)


def state(root: Path) -> dict[str, Any]:
    """What a workspace holds, as far as two runs of the same commands must agree."""
    with Appliance.unlock(root, PASSPHRASE, "officer") as appliance:
        workspace = appliance._workspace
        catalogue = workspace.catalogue
        done = [audit for audit in catalogue.audits() if audit.state == "done"]
        with evidence(workspace, workspace.evidence_key()) as (store, _):
            found = {audit.audit_id: repr(store.findings(audit.audit_id)) for audit in done}
        return {
            "images": sorted(one.content_digest for one in catalogue.instances()),
            "reports": sorted(one.content_digest for one in catalogue.reports()),
            "pairs": sorted(one.pair_id for one in catalogue.pairs()),
            "models": {one.name: _steady(one.document) for one in catalogue.models()},
            "cohorts": {one.name: one.digest for one in catalogue.cohorts()},
            "audits": sorted(
                json.dumps(
                    [audit.verdict, _steady(audit.result), found[audit.audit_id]], default=str
                ).replace(audit.audit_id, "A")
                for audit in done
            ),
            "users": sorted(user.name for user in appliance.users()),
        }


def interrupted(root: Path) -> list[str]:
    """Ids of audits that were cut off."""
    with Appliance.unlock(root, PASSPHRASE, "officer") as appliance:
        return [row.audit_id for row in appliance.audits() if row.state == "interrupted"]


def _steady(document: Any) -> Any:
    """Without what differs from run to run: names of the run, times, and what a step took."""
    if isinstance(document, Mapping):
        return {
            name: _steady(value)
            for name, value in sorted(document.items())
            if name not in _UNSTEADY and not name.endswith(("_s", "_utc", "seconds", "_object", "_bytes"))
        }
    if isinstance(document, list | tuple):
        return [_steady(one) for one in document]
    return document
