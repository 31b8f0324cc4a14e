"""Detectors on real pairs: trains the small models it needs, audits each, prints every detector per exposure.

    OMP_NUM_THREADS=1 python benchmarks/detectors.py --pairs DIR --seeds 3 [--json]
        [--page docs/detection.md] [--pictures docs/pictures]
    python benchmarks/detectors.py --exposures list

DIR holds a pairs.csv with columns id, image_path, text and patient_id. One pair per patient is used. Patients
are dealt by seed into base, members and others: contrasts are patient-disjoint and within one mixture of
sources. 36 % of members and others are references, the rest is tested. Exit 0 whatever the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from math import inf
from pathlib import Path

from appliance.egress import OFFLINE_ENV

os.environ.update(OFFLINE_ENV)
os.environ.setdefault("OMP_NUM_THREADS", "1")

from detection import jobs
from detection.exposures import EXPOSURES, PERTURBED
from detection.figures import Row
from detection.page import measured, put, robustness
from detection.pairs import UnusableFolder, read
from detection.tables import markdown, result

KEYS = (*(exposure.key for exposure in EXPOSURES), jobs.ROBUST)


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; tables or JSON go to stdout, narration to stderr."""
    asked = _parser().parse_args(arguments)
    if asked.exposures == ["list"]:
        for exposure in EXPOSURES:
            print(f"{exposure.key:<12} {exposure.name}")
        print(f"{jobs.ROBUST:<12} {PERTURBED.name}, the tested pairs perturbed")
        return 0
    unknown = [key for key in asked.exposures if key not in KEYS]
    if asked.pairs is None or unknown or asked.seeds < 1:
        what = f"unknown: {', '.join(unknown)}" if unknown else "--pairs DIR and --seeds from 1 are needed"
        print(f"error: {what}\nhint: --exposures list", file=sys.stderr)
        return 2
    began = time.monotonic()
    try:
        counts = read(asked.pairs).counts
    except UnusableFolder as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    jobs.to_stderr(f"pairs: {json.dumps(counts)}")
    with tempfile.TemporaryDirectory() as scratch:
        found = jobs.run(
            asked.pairs,
            asked.exposures,
            asked.seeds,
            Path(scratch),
            asked.processes,
            jobs.to_stderr,
            asked.dearest,
        )
    rows, plain = result(found, counts, round(time.monotonic() - began))
    print(json.dumps(plain) if asked.json else markdown(plain))
    if asked.tables is not None:
        asked.tables.write_text(markdown(plain) + "\n", encoding="utf-8")
    drawn = [] if asked.pictures is None else _draw(rows, asked.pictures)
    if asked.page is not None:
        parts = {
            "detectors": measured(plain, [_beside(path, asked.page) for path in drawn]),
            "robustness": robustness(plain),
        }
        for part, text in parts.items():
            if text:
                put(asked.page, part, text)
    return 0


def _draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """The pictures of the exposures; none where there are only perturbations."""
    from detection.pictures import draw

    exposures = {exposure.name for exposure in EXPOSURES}
    weak = [exposure.name for exposure in EXPOSURES if exposure.weak]
    shown = [row for row in rows if row.setting in exposures]
    return draw(shown, weak, folder) if shown else []


def _beside(path: Path, page: Path) -> Path:
    """The way from the page to the picture."""
    return Path(os.path.relpath(path, page.parent))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=Path, metavar="DIR", help="folder with a pairs.csv")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--exposures", nargs="+", default=list(KEYS), metavar="NAME", help="or `list`")
    parser.add_argument("--processes", type=int, default=2, help="of one thread each")
    parser.add_argument(
        "--dearest", type=float, default=inf, metavar="PASSES", help="leave out readings dearer than this"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--tables", type=Path, metavar="FILE", help="write the tables there as well")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the tables into docs/detection.md")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="draw ROC curves and weak exposures")
    return parser


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
