"""Damaged images, reports and archives of a new seed: the short form of fuzz_dicom.py, for rounds.

    python benchmarks/soak/damaged_files.py [--count 3000] [--seed 0]

Two thirds are DICOM files. The control is a reader with every fault: each must be seen.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import fuzz_dicom

SHARES = {"dicom": 4, "reports": 1, "archives": 1}


def run(count: int = 60, seed: int = 0, jobs: int = 1) -> dict[str, Any]:
    """Read `count` damaged files; findings are failures.

    Args:
        seed: of the damage.
        jobs: readers side by side.
    """
    tried = read = 0
    findings: list[dict[str, object]] = []
    corpus = fuzz_dicom.CORPUS if fuzz_dicom.CORPUS.is_dir() else None
    save = Path(tempfile.gettempdir()) / "gradaudit-fuzz"
    for kind, share in SHARES.items():
        number = count * share // sum(SHARES.values())
        files = fuzz_dicom.seeds(kind, corpus)
        tally = fuzz_dicom.fuzz(kind, files, seed, iter(range(number)), jobs, save)
        tried, read = tried + tally.read, read + tally.ends["read"]
        findings += tally.findings
    said = [f"{one['alone']} ({one['origin']}): {one['file']}" for one in findings]
    return {"tried": tried, "read": read, "failures": len(findings), "said": said[:5]}


def main() -> int:
    """Run at length and print one JSON object."""
    parser = argparse.ArgumentParser(description="Damaged files of every kind.")
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    found = run(asked.count, asked.seed)
    seen = fuzz_dicom.control()
    blind = [letter for letter, end in fuzz_dicom.CONTROL.items() if seen[letter.decode()] != end]
    found |= {"mutants": len(fuzz_dicom.CONTROL) - 1, "missed_mutants": len(blind)}
    print(json.dumps(found))
    return int(bool(found["failures"] or found["missed_mutants"]))


if __name__ == "__main__":
    sys.exit(main())
