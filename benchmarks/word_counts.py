"""Counts the words of VQA-RAD (CC0): what DC-PDD takes for the frequency of words in radiology.

    python benchmarks/word_counts.py --pairs DIR

DIR holds vqa.csv with columns question and answer. Writes radiology_words.json of the published detectors:
words as written, cut at white space, and how often each occurs.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from pathlib import Path

OUTPUT = Path(__file__).parent.parent / "audit_core" / "detectors" / "published" / "radiology_words.json"


def main() -> int:
    """Count and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    with (given.pairs / "vqa.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    counts = Counter(word for row in rows for word in f"{row['question']} {row['answer']}".split())
    document = {
        "source": "VQA-RAD (Lau et al. 2018, osf.io/89kps), questions and answers",
        "licence": "CC0 1.0",
        "words": dict(sorted(counts.items())),
    }
    given.output.write_text(json.dumps(document, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print(
        f"{len(counts)} words, {sum(counts.values())} in all, of {len(rows)} questions: {given.output.name}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
