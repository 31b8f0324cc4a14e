"""How fast the watch reads a vendor's folder, and what memory it takes: nothing is skipped, it all costs.

    python benchmarks/watch.py [--count MEBIBYTES] [--json]

A folder of this size in four weight files is written once (random bytes) and looked at three times; the
median counts. Its pages are in the machine's cache then, so this is the processor's part: a disk that reads
more slowly than this is what a watch waits for.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.registry import ModelRecord
from appliance.watch.looking import look

FILES, TURNS = 4, 3
MEMORY_MIB, LEAST_MIB_S = 64, 200.0


@dataclass(frozen=True)
class Rate:
    """What was measured; `grown_mib` is the resident peak above what the process held before."""

    mib: int
    seconds: float
    mib_per_s: float
    grown_mib: float

    @property
    def holds(self) -> bool:
        """Whether memory stays bounded, and a day's watch of large models is possible."""
        return self.grown_mib <= MEMORY_MIB and self.mib_per_s >= LEAST_MIB_S


def measured(mib: int, folder: Path) -> Rate:
    """Write a folder of this size, and look at it."""
    piece = 1 << 20
    with Path("/dev/urandom").open("rb") as source:
        for number in range(FILES):
            with (folder / f"model-{number + 1:05}-of-{FILES:05}.safetensors").open("wb") as file:
                for _ in range(mib // FILES):
                    file.write(source.read(piece))
    record = ModelRecord("m", str(folder), "", "", "", {}, "", {}, 0, "", "")
    before = _peak_mib()
    seconds = []
    for _ in range(TURNS):
        began = time.monotonic()
        found = look(record)
        seconds.append(time.monotonic() - began)
        assert len(found.digests["model"]) == FILES and not found.moving, "the folder is as written"
    middle = statistics.median(seconds)
    size = mib // FILES * FILES
    return Rate(size, round(middle, 2), round(size / middle, 1), round(_peak_mib() - before, 1))


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1024, help="MiB of weights")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rate = measured(arguments.count, Path(folder))
    if arguments.json:
        print(json.dumps({**asdict(rate), "holds": rate.holds}))
    else:
        print(f"{rate.mib} MiB in {rate.seconds} s: {rate.mib_per_s} MiB/s, {rate.grown_mib} MiB of memory")
    return 0 if rate.holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
