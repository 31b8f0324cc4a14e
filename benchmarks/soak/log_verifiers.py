"""Two verifiers over random logs, intact and damaged: they must say the same of each.

    python benchmarks/soak/log_verifiers.py [--count 10000] [--seed 0]

The first is the one that auditors carry, the second was made from docs/spec/log.md for this comparison
(tests/appliance/second_verifier.py). The mutant is a verifier that believes the signed checkpoint.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from log_states import MEMORY, EvidenceLog, SteadyClock, checked

from appliance.evidence import witness_log, witnesses
from appliance.evidence.entries import Act
from tests.appliance import second_verifier

Answer = tuple[int, str] | None  # size and root (hex) of an intact log
_LOGS_A_BASE = 25


def run(count: int = 200, seed: int = 0) -> dict[str, Any]:
    """Compare the two on `count` logs; what they said, where they differ, and whether the mutant was seen."""
    rng = random.Random(seed)
    intact = broken = blind = failures = 0
    differences: list[str] = []
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder, base = Path(name), Path()
        for number in range(count):
            if number % _LOGS_A_BASE == 0:
                base = _made(folder / f"base{number}", rng)
            case = Path(shutil.copytree(base, folder / "case"))
            what = _damaged(case, folder, rng) if rng.random() < 0.85 else "nothing"
            first, second = _first(case), _second(case)
            failures += isinstance(first, str) + isinstance(second, str)
            intact, broken = intact + isinstance(first, tuple), broken + (first is None)
            blind += _blind(case) != first
            if first != second:
                differences.append(f"log {number} ({what}): {first}, {second}")
            shutil.rmtree(case)
    return {
        "tried": count, "intact": intact, "broken": broken, "disagreements": len(differences),
        "failures": failures + len(differences), "mutants": 1, "missed_mutants": int(blind == 0),
        "differences": differences[:5],
    }  # fmt: skip


def _first(directory: Path) -> Answer | str:
    try:
        report = checked.check_log(directory)
    except checked.Broken:
        return None
    except Exception as fault:  # noqa: BLE001 - whatever a verifier raises is a finding
        return f"{type(fault).__name__}: {fault}"
    return report.checkpoint.size, report.checkpoint.root.hex()


def _second(directory: Path) -> Answer | str:
    try:
        return second_verifier.check(directory)
    except second_verifier.Wrong:
        return None
    except Exception as fault:  # noqa: BLE001 - whatever a verifier raises is a finding
        return f"{type(fault).__name__}: {fault}"


def _blind(directory: Path) -> Answer:
    """The mutant: it never looks into the journal."""
    try:
        _, head = checked.read_head(directory)
    except (checked.Broken, OSError):
        return None
    return head.size, head.root.hex()


def _made(directory: Path, rng: random.Random) -> Path:
    """A random log: some years, some batches, perhaps a witness, perhaps a pruned year."""
    clock, log = SteadyClock.in_year(2026), None
    stick = directory.with_name(directory.name + "-stick")
    for year in sorted(rng.sample(range(2026, 2033), rng.choice([1, 1, 2, 3]))):
        clock.utc = SteadyClock.in_year(year).utc
        log = log or EvidenceLog.open(directory, clock=clock)
        for _ in range(rng.randint(1, 6)):
            log.append_all([Act("random.step", log.identifier(str(rng.random())))] * rng.randint(1, 4))
        if rng.random() < 0.4:
            if not stick.exists():
                key = witness_log.init(stick)
                witnesses.trust(log, "stick", key.line())
            answer = witness_log.sign(witnesses.request(log, "stick"), stick, clock.utc // 1000)
            witnesses.accept(log, answer.data())
    assert log is not None
    if log.closed_years() and rng.random() < 0.3:
        log.remove_oldest_year()
    shutil.rmtree(directory.with_name("earlier"), ignore_errors=True)
    shutil.copytree(directory, directory.with_name("earlier"))
    log.append("random.last")
    if rng.random() < 0.3:  # a torn tail: not damage
        with (directory / "journal").open("ab") as journal:
            journal.write(bytes(rng.randrange(256) for _ in range(rng.randint(1, 90))))
    return directory


def _damaged(directory: Path, folder: Path, rng: random.Random) -> str:
    """Do one thing to a log's files; what it was."""
    ways: tuple[Callable[[Path, Path, random.Random], None], ...] = (
        _flip, _flip, _flip, _cut, _insert, _reorder, _replace_entry, _remove, _roll_back, _other_key, _swap,
    )  # fmt: skip
    way = rng.choice(ways)
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != "reserve")
    path = rng.choice(files)
    way(path, folder, rng)
    return f"{way.__name__} {path.relative_to(directory)}"


def _flip(path: Path, folder: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 1, 1, 3])):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(data))


def _cut(path: Path, folder: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data) + 1)])


def _insert(path: Path, folder: Path, rng: random.Random) -> None:
    data, place = path.read_bytes(), rng.randrange(len(path.read_bytes()) + 1)
    more = rng.choice([b"\n", b"\0", b"0", data[:place][-40:], bytes([rng.randrange(256)]) * 5])
    path.write_bytes(data[:place] + more + data[place:])


def _frames(data: bytes) -> tuple[bytes, list[bytes]]:
    place = 8 if data[:8] == checked.JOURNAL_MAGIC else 12 + int.from_bytes(data[8:12], "big")
    header, frames = data[:place], []
    while place < len(data):
        length = 4 + int.from_bytes(data[place : place + 4], "big")
        frames.append(data[place : place + length])
        place += length
    return header, frames


def _journal_beside(path: Path) -> Path:
    return path if path.name == "journal" else path.parent / "journal"


def _reorder(path: Path, folder: Path, rng: random.Random) -> None:
    journal = _journal_beside(path)
    if journal.is_file():
        header, frames = _frames(journal.read_bytes())
        if len(frames) > 1:
            one = rng.randrange(len(frames) - 1)
            frames[one], frames[one + 1] = frames[one + 1], frames[one]
        journal.write_bytes(header + b"".join(frames))


def _replace_entry(path: Path, folder: Path, rng: random.Random) -> None:
    """A well-formed lie."""
    journal = _journal_beside(path)
    if journal.is_file():
        lies = (
            (b'"boot":"5', b'"boot":"6'),
            (b"random.step", b"random.stop"),
            (b'"outcome":"ok"', b'"outcome":"no"'),
        )
        journal.write_bytes(journal.read_bytes().replace(*rng.choice(lies), 1))


def _remove(path: Path, folder: Path, rng: random.Random) -> None:
    if rng.random() < 0.3 and path.parent.parent.name == "segments":
        shutil.rmtree(path.parent)
    else:
        path.unlink()


def _roll_back(path: Path, folder: Path, rng: random.Random) -> None:
    """One file, or all but the witnesses', as they were before the last entry."""
    top = folder / "case"
    earlier = folder / "earlier" / path.relative_to(top)
    if rng.random() < 0.5:
        shutil.copytree(folder / "earlier", top, dirs_exist_ok=True, ignore=shutil.ignore_patterns("witness"))
    elif earlier.is_file():
        shutil.copy(earlier, path)


def _other_key(path: Path, folder: Path, rng: random.Random) -> None:
    """The keys, and perhaps a checkpoint, of somebody else."""
    other = folder / "other"
    if not other.is_dir():
        EvidenceLog.open(other, clock=SteadyClock.in_year(2026))
    for name in rng.sample(["verifier-key", "checkpoint", "journal"], rng.randint(1, 3)):
        shutil.copy(other / name, folder / "case" / name)


def _swap(path: Path, folder: Path, rng: random.Random) -> None:
    """A file takes the place of another of its folder."""
    others = [one for one in path.parent.iterdir() if one.is_file() and one.name != "reserve"]
    path.write_bytes(rng.choice(others).read_bytes())


def main() -> int:
    """Run at length and print one JSON object."""
    parser = argparse.ArgumentParser(description="Compare two verifiers of the log.")
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = run(options.count, options.seed)
    print(json.dumps(found))
    return int(bool(found["failures"] or found["missed_mutants"]))


if __name__ == "__main__":
    sys.exit(main())
