"""What a log of five million entries costs: opening, first page, any place, any filter, verifying.

    OMP_NUM_THREADS=1 python benchmarks/scale_log.py [--entries N] [--json] [--cpu] [--folder DIR] [--keep]

The log is made in DIR (a temporary folder unless given) through the real writer, thousands of entries under
one checkpoint. A folder that was kept is measured again without making it anew. Everything runs on one core.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parent.parent))  # before this folder, which has a tui.py, too

from appliance.api import Appliance
from appliance.evidence.entries import Act
from appliance.evidence.log import EvidenceLog
from appliance.evidence.views import LogFilter
from appliance.workspace.workspace import LOG, Workspace
from tui.app import GradAuditApp
from tui.screens.log import LogScreen
from tui.widgets.rows import Rows

T = TypeVar("T")
PASSPHRASE = "a passphrase of the benchmark"
STEP = 5_000  # entries under one checkpoint
PAGE = 128
ACTS = (
    "studies.ingest", "report.show", "audit.run", "findings.reveal", "log.view", "model.add", "model.verify",
    "cohort.create", "evidence.export", "workspace.unlock", "policy.show", "users.show",
)  # fmt: skip
OUTCOMES = ("begins", "done", "allowed", "refused", "failed")
FILTERS = (
    LogFilter(act="findings."),
    LogFilter(outcome="refused"),
    LogFilter(act="workspace.unlock", outcome="refused", actor="auditor"),
    LogFilter(actor="officer:0"),
    LogFilter(object="0a"),
    LogFilter(since="2026", until="2199"),
    LogFilter(text="model"),
    LogFilter(act="studies.ingest", outcome="done", actor="officer", object="f", since="2026", text="s"),
)
CLOCK: dict[str, Callable[[], float]] = {"now": time.perf_counter}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `goal` is what it should reach, in words; empty where there is none."""

    name: str
    value: float
    unit: str
    goal: str = ""


def main(arguments: Sequence[str]) -> int:
    """Measure, print; exit 0 whatever the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entries", type=int, default=5_000_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--cpu", action="store_true", help="processor time: other work has the cores, too")
    parser.add_argument("--keep", action="store_true", help="leave the log in --folder")
    given = parser.parse_args(arguments)
    CLOCK["now"] = time.process_time if given.cpu else time.perf_counter
    with tempfile.TemporaryDirectory(dir=None if given.keep else given.folder) as made:
        root = (given.folder if given.keep else Path(made)) / "workspace"
        rows = list(measured(root, given.entries))
    if given.json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}, indent=1))
    else:
        for row in rows:
            print(f"{row.name:<22}{row.value:>14,.4g} {row.unit:<10}{row.goal}")
    return 0


def measured(root: Path, entries: int) -> Iterator[Row]:
    """Every figure, in the order of a person's day."""
    if not root.exists():
        yield from grown(root, entries)
    opened, seconds = timed(lambda: Appliance(Workspace.open(root, PASSPHRASE, "officer")))
    yield Row("open_s", seconds, "s", "< 1")
    with opened as appliance:
        yield Row("entries", float(appliance.log_count()), "entries")
        yield Row("overview_s", timed(appliance.overview)[1], "s", "< 1")
        total = appliance.log_count()
        first = timed(lambda: appliance.log_find(LogFilter(), 0, PAGE, True))[1]
        yield Row("first_page_s", first, "s", "< 0.1")
        chance = random.Random(7)
        places = [chance.randrange(total) for _ in range(200)]
        newest = [timed(lambda at=at: appliance.log_find(LogFilter(), at, PAGE, True))[1] for at in places]
        yield from spread("scroll", newest)
        yield Row("first_filter_s", timed(lambda: appliance.log_find(FILTERS[0], 0, PAGE))[1], "s", "< 1")
        yield from spread("filter", [timed(lambda one=one: page(appliance, one))[1] for one in FILTERS * 3])
        pages = [timed(lambda at=at: appliance.log_find(FILTERS[1], at // 9, PAGE))[1] for at in places]
        yield from spread("filter_scroll", pages)
        yield from asyncio.run(on_screen(appliance))
        health, seconds = timed(appliance.log_verify)
        assert health.intact, health.problem
        yield Row("verify_per_s", total / seconds, "entries/s")
    yield Row("peak_bytes", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0, "bytes")


def grown(root: Path, entries: int) -> Iterator[Row]:
    """A workspace whose log has so many entries, and its index."""
    Appliance(Workspace.create(root, PASSPHRASE, "Scale", unsafe_fast_kdf=True)).close()
    log, chance = EvidenceLog.open(root / LOG, create=False), random.Random(5)
    objects = [log.identifier(f"object {number}") for number in range(20_000)]
    actors = [f"{role}:{log.identifier(role)}" for role in ("officer", "operator", "auditor")] + ["system"]

    def act() -> Act:
        words = (chance.choice(given) for given in (ACTS, objects, OUTCOMES, actors))
        return Act(*words)

    def fill() -> None:
        for start in range(log.size, entries, STEP):
            log.append_all([act() for _ in range(min(STEP, entries - start))])

    yield Row("append_per_s", entries / timed(fill)[1], "entries/s", "> 30000")
    with timed(lambda: Appliance(Workspace.open(root, PASSPHRASE, "officer")))[0]:
        pass
    yield Row("peak_bytes_making", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0, "bytes")
    index = sum(path.stat().st_size for path in (root / LOG / "index").glob("*"))
    yield Row("index_bytes", float(index), "bytes")


async def on_screen(appliance: Appliance) -> list[Row]:
    """From the key to the painted table, for the screen, its far ends, and places between."""
    app, chance = GradAuditApp(appliance), random.Random(9)

    async with app.run_test(size=(80, 24)) as pilot:

        async def painted(*keys: str) -> float:
            start = CLOCK["now"]()
            await pilot.press(*keys)
            screen = app.screen
            while not (isinstance(screen, LogScreen) and screen.total and screen.row(_cursor(screen))):
                await asyncio.sleep(0.001)
                screen = app.screen
            return CLOCK["now"]() - start

        while app.known is None:
            await asyncio.sleep(0.01)
        first = await painted("9")
        ends = [await painted(key) for key in ("end", "home", "pagedown", "end", "home")]
        far = []
        for _ in range(20):
            await pilot.press("n", *str(chance.randrange(appliance.log_count())))
            far.append(await painted("enter"))
    return [
        Row("screen_first_paint_s", first, "s", "< 0.1"),
        Row("screen_ends_max_s", max(ends), "s", "< 0.1"),
        *spread("screen_go_to", far),
    ]


def _cursor(screen: LogScreen) -> int:
    return screen.query_one(Rows).cursor


def page(appliance: Appliance, wanted: LogFilter) -> None:
    """The first page of a filter, newest first, as a screen asks for it."""
    appliance.log_find(wanted, 0, PAGE, True)


def spread(name: str, seconds: list[float]) -> Iterator[Row]:
    """Where most and the slowest lie."""
    yield Row(f"{name}_p95_s", statistics.quantiles(seconds, n=20)[-1], "s", "< 0.1")
    yield Row(f"{name}_max_s", max(seconds), "s", "< 0.1")


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """What it gives, and the seconds it took."""
    start = CLOCK["now"]()
    found = call()
    return found, CLOCK["now"]() - start


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
