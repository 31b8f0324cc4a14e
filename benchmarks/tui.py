"""How fast do the screens answer, alone and while an audit runs on the same cores?

    python benchmarks/tui.py [--json] [--site FOLDER] [--keys N]

The real program runs in a pseudo-terminal of 80x24 on the demonstration's workspace: FOLDER as
`gradaudit demo --keep FOLDER` left it, else one is made first. A key's time is from writing it until the
name of the screen it leads to has been written back. While an audit runs means: audits of the demonstration's
first model run one after the other in another process, with all cores.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import re
import select
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from appliance.demo.run import ASSETS, PASSPHRASE, POLICY  # noqa: E402 - the checkout comes first

PATIENCE_S = 30.0
FIRST_SIGHT = "Needs you"
HEAD = "GradAudit  "
PLACES = (("9", "Log"), ("6", "Models"), ("8", "Evidence"), ("5", "Studies"), ("1", "Overview"))
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-9;?<>=]*[ -/]*[@-~]|[PX^_\]].*?(?:\x07|\x1b\\)|[@-Z\\-_])", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; `goal` is the most it should be, None where there is none."""

    name: str
    value: float
    unit: str
    goal: float | None = None


class Screens:
    """The program in a pseudo-terminal of 80 columns and 24 lines."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.began = time.perf_counter()
        command = [sys.executable, "-m", "appliance.cli"]
        self._end, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._process = subprocess.Popen(
            command, stdin=child, stdout=child, stderr=child, env=environ, cwd=ROOT, start_new_session=True
        )
        os.close(child)

    def wait_for(self, words: str, since: float) -> float:
        """Seconds from `since` until `words` have been written.

        Raises:
            TimeoutError: they were not.
        """
        raw = b""
        while time.perf_counter() < since + PATIENCE_S:
            if select.select([self._end], [], [], 0.5)[0]:
                raw += os.read(self._end, 1 << 16)
                if words in _SEQUENCE.sub(b"", raw).decode("utf-8", "replace"):
                    return time.perf_counter() - since
        raise TimeoutError(f"the screens never said {words!r}")

    def settle(self) -> None:
        """Read until nothing has come for a fifth of a second."""
        while select.select([self._end], [], [], 0.2)[0]:
            os.read(self._end, 1 << 16)

    def press(self, key: str, words: str) -> float:
        """Seconds from a key to `words`."""
        began = time.perf_counter()
        os.write(self._end, key.encode())
        return self.wait_for(words, began)

    @property
    def resident_mib(self) -> float:
        """Memory of the program now."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def close(self) -> None:
        """Quit by key; killed if it does not."""
        os.write(self._end, b"q")
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._end)


def main(arguments: Sequence[str]) -> int:
    """Measure, print; exit 0 whatever the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--site", type=Path, help="folder of a demonstration, as `demo --keep` left it")
    parser.add_argument("--keys", type=int, default=100, help="keys pressed in each state")
    chosen = parser.parse_args(arguments)
    with site(chosen.site) as environ:
        rows = measured(environ, chosen.keys)
    if chosen.json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}))
    else:
        for row in rows:
            goal = "" if row.goal is None else f"  goal {row.goal:g}"
            print(f"{row.name:24} {row.value:10.3f} {row.unit}{goal}")
    return 0


@contextmanager
def site(kept: Path | None) -> Iterator[dict[str, str]]:
    """The environment in which the demonstration's workspace is open."""
    made = Path(tempfile.mkdtemp()) if kept is None else None
    folder = kept or (made or Path()) / "site"
    environ = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    environ["GRADAUDIT_WORKSPACE"] = str(folder / "workspace")
    secret = Path(tempfile.mkstemp()[1])
    secret.write_text(PASSPHRASE)
    try:
        if made is not None:
            command(environ, "demo", "--keep", str(folder))
        command({**environ, "GRADAUDIT_PASSPHRASE_FILE": str(secret)}, "unlock")
        yield environ
        command(environ, "lock")
    finally:
        secret.unlink()
        if made is not None:
            shutil.rmtree(made)


def command(environ: dict[str, str], *words: str) -> None:
    """One command of the product; its narration is not wanted.

    Raises:
        CalledProcessError: it failed.
    """
    subprocess.run(
        [sys.executable, "-m", "appliance.cli", *words],
        env=environ,
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def measured(environ: dict[str, str], keys: int) -> list[Row]:
    """First paint (median of five starts), then keys and memory: idle, and beside audits."""
    paints = []
    for _ in range(5):
        screens = Screens(environ)
        paints.append(screens.wait_for(FIRST_SIGHT, screens.began))
        screens.settle()
        screens.close()
    rows = [Row("first_paint_s", statistics.median(paints), "s", 1.0)]
    rows.append(Row("first_paint_max_s", max(paints), "s"))
    screens = Screens(environ)
    screens.wait_for(FIRST_SIGHT, screens.began)
    screens.settle()
    rows += answered(screens, keys, "idle")
    with audits(environ) as finished:
        rows += answered(screens, keys, "busy")
        rows.append(Row("audits_begun", finished(), "audits"))
    screens.close()
    return rows


def answered(screens: Screens, keys: int, state: str) -> list[Row]:
    """Times of keys to places in turn, and the memory after them."""
    times = []
    for number in range(keys):
        key, words = PLACES[number % len(PLACES)]
        times.append(screens.press(key, HEAD + words))
        screens.settle()
    times.sort()
    return [
        Row(f"key_p50_{state}_s", statistics.median(times), "s"),
        Row(f"key_p95_{state}_s", times[round(0.95 * (len(times) - 1))], "s", 0.1),
        Row(f"key_max_{state}_s", times[-1], "s"),
        Row(f"memory_{state}_mib", screens.resident_mib, "MiB"),
    ]


@contextmanager
def audits(environ: dict[str, str]) -> Iterator[Callable[[], int]]:
    """Audits of the first model, one after the other, in a process group of their own."""
    plan = json.loads((ASSETS / "plan.json").read_text())["models"][0]
    words = ["audit", "run", "--model", plan["name"], "--cohort", plan["cohort"]["name"], "--policy", POLICY]
    tally = Path(tempfile.mkstemp()[1])
    loop = 'while :; do echo >> "$0"; "$@" >/dev/null 2>&1; done'
    run = ["sh", "-c", loop, str(tally), sys.executable, "-m", "appliance.cli", *words]
    process = subprocess.Popen(run, env=environ, cwd=ROOT, start_new_session=True)
    time.sleep(3)  # its libraries are being imported: part of what an audit does to the cores
    try:
        yield lambda: tally.read_text().count("\n")
    finally:
        os.killpg(process.pid, 15)
        process.wait()
        tally.unlink()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
