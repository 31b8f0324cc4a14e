"""Thousands of instances over mutual TLS while an audit runs: what was lost, what was doubled, what it cost.

    python benchmarks/receiver.py [--instances 2000] [--kills 3]

A sender in a process of its own, the receiver in another, audits of a tiny model in a third. The receiver is
killed without warning a few times; the sender goes on with what was not acknowledged. In the end everything
that was acknowledged must be in the workspace, once. One JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from appliance.api import Appliance  # noqa: E402 - the checkout comes first on the path
from appliance.receiver import spool, tally  # noqa: E402
from tests.appliance import small_site  # noqa: E402
from tests.appliance.receiver.case import Running, Sender, Site  # noqa: E402

A_STUDY = 5
SIZE = 100_000


class Audits(threading.Thread):
    """Audits one after the other, each a process, until somebody says stop."""

    def __init__(self, root: Path, folder: Path) -> None:
        super().__init__(daemon=True)
        self.done, self.failed, self.over = 0, 0, threading.Event()
        secret = folder / "passphrase"
        secret.touch(mode=0o600)
        secret.write_text(small_site.PASSPHRASE)
        self._environment = os.environ | {
            "GRADAUDIT_WORKSPACE": str(root), "GRADAUDIT_PASSPHRASE_FILE": str(secret),
            "OMP_NUM_THREADS": "1",
        }  # fmt: skip

    def run(self) -> None:
        """Exit codes of verdicts are no failures."""
        command = [sys.executable, "-m", "appliance.cli", "audit", "run", "--json"]
        command += ["--model", "tiny", "--cohort", "spring", "--policy", "demo"]
        while not self.over.is_set():
            done = subprocess.run(command, cwd=ROOT, env=self._environment, capture_output=True, check=False)
            good = done.returncode in (0, 10, 11, 12, 13)
            self.done += good
            self.failed += not good


def sent(site: Site, instances: int, kills: int) -> tuple[dict[str, int], Counter[str]]:
    """Send everything; facts of the receiver, and how often each instance was acknowledged."""
    acknowledged: Counter[str] = Counter()
    killing = [instances * (turn + 1) // (kills + 1) for turn in range(kills)]
    facts = {"growth_mib": 0, "peak_mib": 0}
    while len(acknowledged) < instances:
        with Running(site) as receiver:
            first = True
            for uid, status in Sender(site, receiver.dicom, **_rest(acknowledged, instances)).answers():
                acknowledged[uid] += status == 0
                if first:
                    resident, first = receiver.settle(), False
                if killing and len(acknowledged) >= killing[0]:
                    killing.pop(0)
                    receiver.kill()
                    break
            else:
                peak = receiver.resident("VmHWM")
                facts = {"growth_mib": (peak - resident) >> 20, "peak_mib": peak >> 20}
                complete(site)
                receiver.end()
    return facts, acknowledged


def _rest(acknowledged: Counter[str], instances: int) -> dict[str, object]:
    begun = max(0, len(acknowledged) - 10)  # a few that were acknowledged are sent again
    return {"numbers": [begun, instances], "a_study": A_STUDY, "size": SIZE}


def complete(site: Site) -> None:
    """When everything has been handed over."""
    while any((site.root / spool.ARRIVING).iterdir()):
        time.sleep(0.1)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--instances", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="receiver-") as name:
        folder = Path(name)
        root = small_site.build(folder)
        with Appliance.unlock(root, small_site.PASSPHRASE) as appliance:
            appliance.set_up_receiver()
            known = {row.SOPInstanceUID for row in appliance._workspace.catalogue.instances()}
        site = Site(folder, root / spool.FOLDER, complete_s=2)
        audits = Audits(root, folder)
        audits.start()
        begun = time.monotonic()
        facts, acknowledged = sent(site, asked.instances, asked.kills)
        sending = time.monotonic() - begun
        meanwhile = audits.done
        audits.over.set()
        audits.join()
        sealed = len(site.files())
        begun = time.monotonic()
        with Appliance.unlock(root, small_site.PASSPHRASE) as appliance:
            view = appliance.take_received()
            taking = time.monotonic() - begun
            rows = [row.SOPInstanceUID for row in appliance._workspace.catalogue.instances()]
        there = Counter(uid for uid in rows if uid not in known)
        counts = tally.read(site.root / spool.TALLY)
    answer = {
        "instances": asked.instances, "bytes_each": SIZE, "kills": asked.kills,
        "acknowledged": len(acknowledged),
        "acknowledged_again": sum(acknowledged.values()) - len(acknowledged),
        "sealed": sealed, "taken_in": view.images,
        "lost": len(set(acknowledged) - set(there)),
        "doubled": sum(there.values()) - len(there) + sealed - len(acknowledged),
        "refused": sum(number for key, number in counts.items() if key[0] == tally.REFUSED),
        "audits_done_meanwhile": meanwhile, "audits_failed": audits.failed,
        "sending_s": round(sending, 1), "taking_s": round(taking, 1),
        "receiver_peak_mib": facts["peak_mib"], "receiver_growth_mib": facts["growth_mib"],
        "cores": len(os.sched_getaffinity(0)),
    }  # fmt: skip
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
