"""The paper's own experiments on real pairs: GradAudit as published, beside its published figures.

    OMP_NUM_THREADS=1 python benchmarks/paper.py --pairs DIR [--seeds 1] [--experiments NAME …] [--json]

Source: Zhu, Tang, Yang, Abbasi, arXiv 2606.24774 (2026). DIR as for benchmarks/detectors.py. Models are small
LLaVAs (see docs/detection.md); the paper's are its own, on its own data: figures stand beside each other and
are not expected to be equal. One table per experiment; exit 0 whatever the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from appliance.egress import OFFLINE_ENV

os.environ.update(OFFLINE_ENV)
os.environ.setdefault("OMP_NUM_THREADS", "1")

from detection import jobs
from detection.figures import LEVELS, Row, rows
from detection.page import put
from detection.pairs import UnusableFolder, read
from detection.published import PUBLISHED
from detection.published_jobs import run
from detection.scoring import Outcome

BY_SIZE = ("model-size", "tuning-size")  # their rows come from one model each and begin with a number


def main(arguments: Sequence[str]) -> int:
    """Run the experiments; tables or JSON go to stdout, narration to stderr."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=Path, metavar="DIR", required=True, help="folder with a pairs.csv")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--experiments", nargs="+", choices=list(PUBLISHED), default=list(PUBLISHED))
    parser.add_argument("--processes", type=int, default=2, help="of one thread each")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the tables into docs/detection.md")
    parser.add_argument("--tables", type=Path, metavar="FILE", help="write the tables there as well")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        counts = read(asked.pairs).counts
    except UnusableFolder as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    jobs.to_stderr(f"pairs: {json.dumps(counts)}")
    with tempfile.TemporaryDirectory() as scratch:
        found = run(
            asked.pairs, asked.experiments, asked.seeds, Path(scratch), asked.processes, jobs.to_stderr
        )
    plain = result(found, asked.experiments)
    plain |= {"pairs": counts, "seconds": round(time.monotonic() - began)}
    print(json.dumps(plain) if asked.json else markdown(plain))
    if asked.tables is not None:
        asked.tables.write_text(markdown(plain) + "\n", encoding="utf-8")
    if asked.page is not None:
        put(asked.page, "paper", markdown(plain))
    return 0


def result(found: Sequence[Outcome], experiments: Sequence[str]) -> dict[str, Any]:
    """Rows by experiment, each beside the paper's figure where there is one, and what has none."""
    ours = rows([score for outcome in found for score in outcome.scores], experiments)
    tables: dict[str, list[dict[str, Any]]] = {}
    for experiment in experiments:
        here = [row for row in ours if row.setting == experiment]
        if experiment in BY_SIZE:
            here.sort(key=lambda row: float(row.detector.split()[0]))
        tables[experiment] = [_row(row) for row in here]
    missing = sorted({one for outcome in found for one in outcome.not_run})
    return {
        "experiments": tables,
        "published": {name: PUBLISHED[name] for name in experiments},
        "source": "arXiv 2606.24774",
        "not_run": [
            {"experiment": one[0], "row": one[1], "seed": one[2], "reason": one[3]} for one in missing
        ],
    }


def _row(row: Row) -> dict[str, Any]:
    plain = row.plain()
    published = PUBLISHED[row.setting].get(row.detector)
    return {"row": plain.pop("detector"), "published": published, **plain}


def markdown(plain: Mapping[str, Any]) -> str:
    """One table per experiment."""
    parts = []
    for experiment, lines in plain["experiments"].items():
        whole = plain["published"][experiment].get("")
        head = f"**{experiment}**" + (f" (published: {whole})" if whole else "")
        body = ["| | AUROC | 95 % interval | TPR@5 % | published AUROC |", "|" + "---|" * 5]
        body += [_line(one) for one in lines]
        parts.append("\n".join([head, "", *body]))
    missing = [
        f"- no figure: {one['experiment']}, {one['row']}, seed {one['seed']}: {one['reason']}"
        for one in plain["not_run"]
    ]
    return "\n\n".join([*parts, *(["\n".join(missing)] if missing else [])])


def _line(one: Mapping[str, Any]) -> str:
    edges = "{:.3f}–{:.3f}".format(*one["ci"])
    rate = one[next(iter(LEVELS))]
    rough = "~" if next(iter(LEVELS)) in one["rough"] else ""
    shown = "–" if rate is None else f"{rough}{rate:.2f}"
    return f"| {one['row']} | {one['auroc']:.3f} | {edges} | {shown} | {one['published'] or '–'} |"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
