"""Damaged files against the readers: every one must be read or refused by name. No crash, hang or bomb.

    python benchmarks/soak/fuzz_dicom.py [--mutants 20000] [--kind dicom|reports|archives] [--json FILE]
    python benchmarks/soak/fuzz_dicom.py --replay 4711 [--write FILE]
    python benchmarks/soak/fuzz_dicom.py --control

A finding is an exception that is not ours, a death of the reading process, more than 10 s of processor time,
or more than 2 GiB. Findings are made smaller, read again alone, and kept outside the checkout. Mutants depend
on the corpus as it lies there: the figures name its digest.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import queue
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from fuzzing.mutants import Mutant, mutant  # noqa: E402 - after the path
from fuzzing.prison import Prison, Verdict  # noqa: E402
from fuzzing.seeds import Seed, seeds  # noqa: E402

CORPUS = ROOT.parent / "shared" / "data"
_TOP = 10
_READERS = {"dicom": "content", "reports": "content", "archives": "archive"}
CONTROL = {
    b"f": "read",
    b"e": "exception",
    b"d": "death",
    b"s": "death",
    b"h": "hang",
    b"p": "hang",
    b"m": "memory",
}
"""First letter -> what the harness must say of the reader that has every fault."""


@dataclass(slots=True)
class Tally:
    """What came of a run.

    Attributes:
        slowest: seconds of processor time, and number, of the mutants that took most of it.
        largest: likewise, MiB resident.
    """

    read: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    whats: Counter[str] = field(default_factory=Counter)
    findings: list[dict[str, object]] = field(default_factory=list)
    slowest: list[tuple[float, int]] = field(default_factory=list)
    largest: list[tuple[int, int]] = field(default_factory=list)

    def add(self, one: Mutant, verdict: Verdict) -> None:
        """Count one mutant."""
        self.read += 1
        self.ends[verdict.end] += 1
        self.whats[f"{verdict.end} {verdict.what}"] += 1
        self.slowest = sorted((*self.slowest, (round(verdict.seconds, 2), one.index)), reverse=True)[:_TOP]
        self.largest = sorted((*self.largest, (verdict.peak >> 20, one.index)), reverse=True)[:_TOP]


def fuzz(kind: str, files: Sequence[Seed], seed: int, indices: Iterator[int], jobs: int, save: Path) -> Tally:
    """Read the mutants with these numbers in `jobs` processes; findings go to `save`."""
    tally, lock = Tally(), threading.Lock()
    errors: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def work() -> None:
        try:
            with Prison(_READERS[kind]) as prison:
                while True:
                    with lock:
                        index = next(indices, None)
                    if index is None:
                        return
                    one = mutant(kind, files, seed, index)
                    verdict = prison.read(one.data, one.ending)
                    found = None if verdict.fine else finding(kind, files, seed, one, verdict, save)
                    with lock:
                        tally.add(one, verdict)
                        tally.findings += [found] if found else []
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.put(error)

    threads = [threading.Thread(target=work) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(1.0)
            _bar(tally)
    if not errors.empty():
        raise errors.get()
    return tally


def finding(
    kind: str, files: Sequence[Seed], seed: int, one: Mutant, verdict: Verdict, save: Path
) -> dict[str, object]:
    """Read it alone, leave out steps that are not needed, and keep it."""
    smallest = one
    with Prison(_READERS[kind]) as prison:
        alone = prison.read(one.data, one.ending)
        for keep in ((0,), (1,), (2,)) if len(one.steps) > 1 and not alone.fine else ():
            smaller = mutant(kind, files, seed, one.index, keep)
            if smaller.steps and prison.read(smaller.data, smaller.ending).what == alone.what:
                smallest = smaller
                break
    save.mkdir(parents=True, exist_ok=True)
    path = save / f"{kind}-{seed}-{one.index}{one.ending}"
    path.write_bytes(smallest.data)
    return {
        "index": one.index,
        "origin": one.origin,
        "steps": smallest.steps,
        "end": verdict.end,
        "what": verdict.what,
        "alone": f"{alone.end} {alone.what}",
        "seconds": round(verdict.seconds, 2),
        "peak": verdict.peak,
        "file": str(path),
    }


def control(seconds: float = 1.0) -> dict[str, str]:
    """What the harness says of a reader with every fault; equal to CONTROL when it can see."""
    with Prison("bad", seconds, memory_bytes=256 << 20) as prison:
        return {letter.decode(): prison.read(letter, "").end for letter in CONTROL}


def _bar(tally: Tally) -> None:
    if sys.stderr.isatty():
        print(f"\r{tally.read} mutants, {len(tally.findings)} findings ", end="", file=sys.stderr)


def _table(tally: Tally, seconds: float) -> str:
    rows = [
        ("mutants", str(tally.read)),
        *((end, str(count)) for end, count in sorted(tally.ends.items())),
        (
            "slowest, s of processor time",
            "; ".join(f"{cost} (no. {index})" for cost, index in tally.slowest[:5]),
        ),
        ("largest, MiB resident", "; ".join(f"{cost} (no. {index})" for cost, index in tally.largest[:3])),
        ("rate", f"{tally.read / max(seconds, 1e-9):.0f} mutants/s"),
    ]
    lines = [f"| {name} | {value} |" for name, value in rows]
    lines += [f"| finding {one['index']} | {one['alone']} ({one['origin']}) |" for one in tally.findings]
    return "\n".join(("| | |", "|---|---|", *lines))


def main() -> int:
    """Run, print the table, end with 1 when there is a finding."""
    parser = argparse.ArgumentParser(description="damaged files against the readers")
    parser.add_argument("--kind", choices=_READERS, default="dicom")
    parser.add_argument("--mutants", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0, help="stop after so much time; 0 for never")
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="real files to damage as well")
    parser.add_argument("--save", type=Path, default=Path(tempfile.gettempdir()) / "gradaudit-fuzz")
    parser.add_argument("--replay", type=int, metavar="NUMBER", help="read one mutant and say how it ends")
    parser.add_argument("--write", type=Path, help="where to put the mutant of --replay")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--control", action="store_true", help="show that the harness sees faults")
    asked = parser.parse_args()
    if asked.control:
        seen = control()
        print(json.dumps(seen))
        return 0 if seen == {letter.decode(): end for letter, end in CONTROL.items()} else 1
    files = seeds(asked.kind, asked.corpus if asked.corpus.is_dir() else None)
    if asked.replay is not None:
        return _replay(asked.kind, files, asked.seed, asked.replay, asked.write)
    started = time.monotonic()

    def indices() -> Iterator[int]:
        for index in range(asked.first, asked.first + asked.mutants):
            if asked.seconds and time.monotonic() - started > asked.seconds:
                return
            yield index

    tally = fuzz(asked.kind, files, asked.seed, indices(), asked.jobs, asked.save)
    seconds = time.monotonic() - started
    print(_table(tally, seconds))
    if asked.json:
        figures = {name: getattr(tally, name) for name in Tally.__slots__} | {
            "kind": asked.kind,
            "seed": asked.seed,
            "seeds": _digest(files),
            "seconds": seconds,
        }
        asked.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return 1 if tally.findings else 0


def _replay(kind: str, files: Sequence[Seed], seed: int, index: int, write: Path | None) -> int:
    one = mutant(kind, files, seed, index)
    if write is not None:
        write.write_bytes(one.data)
    with Prison(_READERS[kind]) as prison:
        verdict = prison.read(one.data, one.ending)
    print(f"{one.origin}: {', '.join(one.steps)} -> {verdict}")
    return 0 if verdict.fine else 1


def _digest(files: Sequence[Seed]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.data).digest())
    return digest.hexdigest()


if __name__ == "__main__":
    raise SystemExit(main())
