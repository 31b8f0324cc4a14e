"""Does an audit keep its promises? Hundreds of audits with a known truth, on real pairs and small models.

    OMP_NUM_THREADS=1 python benchmarks/honesty.py --pairs DIR [--quick] [--json] [--pictures DIR] [--seeds 1]

DIR holds a pairs.csv with columns id, image_path, text, patient_id and source; at least 700 patients. By seed
they are dealt into lots, five small models are trained, each is read once, and every audit deals its roles
anew from patients whose truth is known. Judgement and verdict are the appliance's own, under the default
policy. Four parts: null (no target was trained on), shifted (none was, and targets come from elsewhere),
planted (2 % to 50 % were), and the share that an audit says it would find. Exit 0 when no promise is broken.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from appliance.egress import OFFLINE_ENV

WORKERS = 1
NUMBERS_PER_SEED = 100_000
MARKS = ("<!-- measured -->", "<!-- end of measured -->")
_AT_WORK: list[Any] = []  # world and policy of the processes that were forked for it


def main(arguments: Sequence[str]) -> int:
    """Run all parts; the table or one JSON object goes to stdout, progress to stderr."""
    asked = _parser().parse_args(arguments)
    from honesty_figures import power, promises, verdicts

    from appliance import policy_file

    policy = policy_file.load("default").policy
    began = time.monotonic()
    rows = list(_kept(asked.rows) if asked.pairs is None else simulate(asked, policy))
    apart = [row["difference"] for row in rows if row["part"] == "engine"]
    rows = [row for row in rows if row["part"] != "engine"]
    if asked.pictures:
        from honesty_pictures import draw

        draw(rows, policy.alpha_fail, asked.pictures)
    found = promises(rows, policy)
    result = {
        "audits": len(rows),
        "seconds": round(time.monotonic() - began),
        "difference_to_engine": max(apart, default=None),
        "promises": [promise.plain() for promise in found],
        "power": power(rows, policy.alpha_fail),
        "verdicts": verdicts(rows),
    }
    if asked.page:
        _put(asked.page, _page(result))
    if asked.json:
        print(json.dumps(result, indent=1))
    else:
        print(_page(result))
    return 0 if all(promise.holds != "no" for promise in found) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--pairs", type=Path, default=None, help="folder with pairs.csv; without it --rows is read"
    )
    parser.add_argument("--seeds", type=int, default=1, help="lots and models made anew so many times")
    parser.add_argument("--first", type=int, default=0, help="number of the first seed")
    parser.add_argument("--quick", action="store_true", help="two models, less training, one audit of a kind")
    parser.add_argument("--every", type=int, default=1, help="one audit in so many of the full plan")
    parser.add_argument("--workers", type=int, default=WORKERS, help="processes that judge")
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--pictures", type=Path, default=None, help="draw the pictures into this folder")
    parser.add_argument("--page", type=Path, default=None, help="put the figures into this Markdown page")
    parser.add_argument("--rows", type=Path, default=None, help="every audit as a line of JSON")
    return parser


def simulate(asked: argparse.Namespace, policy: Any) -> Iterator[dict[str, Any]]:
    """Every audit as a row, and for every model the difference between a dealt table and the engine's own."""
    from honesty_audits import possible
    from honesty_plan import QUICK, cases
    from honesty_worlds import RECIPES, Workshop, deal_lots, read_pairs

    from appliance.demo.train_models import quiet_single_thread

    quiet_single_thread()
    pairs = list(read_pairs(asked.pairs))
    every = QUICK if asked.quick else asked.every
    recipes = [recipe for recipe in RECIPES if asked.only in recipe.name][: 2 if asked.quick else None]
    for seed in range(asked.first, asked.first + asked.seeds):
        with tempfile.TemporaryDirectory() as scratch:
            shop = Workshop(Path(scratch), deal_lots(pairs, seed), seed, asked.quick)
            for recipe in recipes:
                _say(f"seed {seed}, {recipe.name}: training and reading")
                world = shop.world(recipe)
                apart = {
                    "part": "engine",
                    "setting": recipe.name,
                    "difference": shop.difference(recipe, world),
                }
                first = NUMBERS_PER_SEED * (1 + seed)
                planned = list(cases(recipe.name, every=every, first=first, copies=len(world.copies)))
                todo = [case for case in planned if possible(world, case)]
                if len(todo) < len(planned):
                    _say(f"left out: {len(planned) - len(todo)} audits that need two large sources")
                for row in chain([apart], _judged(world, todo, policy, asked.workers)):
                    if asked.rows:
                        with asked.rows.open("a", encoding="utf-8") as out:
                            out.write(json.dumps(row) + "\n")
                    yield row


def _kept(file: Path | None) -> Iterator[dict[str, Any]]:
    if file is None:
        raise SystemExit("--pairs DIR, or --rows FILE of an earlier run, is needed")
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _judged(world: Any, todo: Sequence[Any], policy: Any, workers: int) -> Iterator[dict[str, Any]]:
    """Rows in the order of the cases, whichever process computed them."""
    _AT_WORK[:] = [world, policy]
    began = time.monotonic()
    if workers < 2:
        found: Iterator[dict[str, Any]] = map(_one, todo)
        yield from _with_bar(world.name, found, len(todo), began)
        return
    with multiprocessing.get_context("fork").Pool(workers) as pool:  # the reading is shared, not copied
        yield from _with_bar(world.name, pool.imap(_one, todo), len(todo), began)


def _one(case: Any) -> dict[str, Any]:
    from honesty_audits import run

    world, policy = _AT_WORK
    return run(world, case, policy)


def _with_bar(
    name: str, found: Iterator[dict[str, Any]], total: int, began: float
) -> Iterator[dict[str, Any]]:
    for done, row in enumerate(found, start=1):
        full = round(30 * done / total)
        took = time.monotonic() - began
        sys.stderr.write(f"\r{name:28} [{'#' * full:30}] {done}/{total} {took:.0f} s ")
        sys.stderr.flush()
        yield row
    sys.stderr.write("\n")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _page(result: dict[str, Any]) -> str:
    """Promises, power and verdicts as Markdown."""
    apart = result["difference_to_engine"]
    lines = [
        f"{result['audits']} audits. Dealt tables differ from the engine's by at most "
        f"{'–' if apart is None else format(apart, '.1g')}.\n"
    ]
    for name in ("promises", "power", "verdicts"):
        rows = [_flat(row) for row in result[name]]
        if rows:
            lines.append("| " + " | ".join(rows[0]) + " |\n|" + " --- |" * len(rows[0]))
            lines += ["| " + " | ".join(row.values()) + " |" for row in rows]
            lines.append("")
    return "\n".join(lines)


def _flat(row: dict[str, Any]) -> dict[str, str]:
    """Cells as text; a curve as its shares and rates. Which controls failed is in the JSON only."""
    cells = {}
    for key, value in row.items():
        if isinstance(value, dict):
            continue
        if key == "curve":
            value = ", ".join(f"{100 * x:.0f} %: {100 * y:.0f} %" for x, y, *_ in value)
        elif isinstance(value, list):
            value = " – ".join(map(str, value))
        cells[key] = "–" if value is None else str(value)
    return cells


def _put(page: Path, text: str) -> None:
    """Put the figures between the page's two marks.

    Raises:
        SystemExit: the page has no marks.
    """
    before, found, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    _, also, after = rest.partition(MARKS[1])
    if not (found and also):
        raise SystemExit(f"{page.name} has no marks to put figures between")
    page.write_text(f"{before}{MARKS[0]}\n\n{text}\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    os.environ.update(OFFLINE_ENV)
    raise SystemExit(main(sys.argv[1:]))
