"""How fast and how flat is the slice engine? Against the published way and against a plain training step.

    OMP_NUM_THREADS=1 python benchmarks/speed.py [--json] [--quick]     the table, a child process per row
    OMP_NUM_THREADS=1 python benchmarks/speed.py --crossing [--json]    both routes by shape, T, references
    OMP_NUM_THREADS=1 python benchmarks/speed.py --flat 10000 [--json]  peak memory at 1, 10, 100 % of N

Ratios are measured within one process, the pieces of work taking turns, median of at least five turns.
`peak_bytes` is the resident peak of the engine's own passes above what the process held before the network
was made. With a GPU the rows of a network of LLaVA-Med's shape follow; without one the output says so.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import torch
from speed_gpu import gpu_rows
from speed_models import LONG, SHAPES, SHORT, build, make_batch
from speed_work import activation_bytes, work_on

from audit_core.gradients import LayerCapture, audited_layers
from audit_core.slice_routes import by_grams, by_making, gram_ns, make_ns

TURNS = 5
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIZES = ((64, 64), (128, 352), (256, 256), (512, 512), (512, 1376), (896, 2432), (3072, 768))
POSITIONS = (12, 36, 72, 144, 256, 576)
REFERENCES = (1, 2, 6)
COLUMNS = ("model", "tokens", "layers", "dtype", "speedup_vs_loop", "cost_vs_step", "masked_cost_vs_step")


def main() -> int:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description="speed and memory of the slice engine")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="the 30M network only")
    parser.add_argument("--crossing", action="store_true", help="both routes by layer shape and positions")
    parser.add_argument("--models", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--flat", type=int, metavar="N", help="peak memory along N samples")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.row:
        print(json.dumps(one_row(**json.loads(asked.row))))
    elif asked.crossing:
        show(crossing(), asked.json)
    elif asked.flat:
        show(flat(asked.flat), asked.json)
    else:
        show(table(["30M"] if asked.quick else asked.models), asked.json)
    return 0


def machine() -> dict[str, Any]:
    """What the figures hold for."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    name = found.group(1) if found else platform.processor()
    return {"device": name, "threads": torch.get_num_threads(), "torch": torch.__version__}


# ---- the table ---------------------------------------------------------------------------------------------


def table(models: list[str]) -> dict[str, Any]:
    """Every row in a child process of its own."""
    rows = []
    for model, tokens, layers, dtype in product(models, (SHORT, LONG), ("all", "last3"), DTYPES):
        asked = json.dumps({"model": model, "tokens": tokens, "layers": layers, "dtype": dtype})
        child = subprocess.run(
            [sys.executable, __file__, "--row", asked],
            check=True,
            stdout=subprocess.PIPE,
        )
        rows.append(json.loads(child.stdout))
        print(" ".join(str(rows[-1][c]) for c in COLUMNS), file=sys.stderr)
    gpu = gpu_rows() if torch.cuda.is_available() else "not run: no GPU on this machine"
    return {**machine(), "rows": rows, "gpu": gpu}


def one_row(model: str, tokens: int, layers: str, dtype: str) -> dict[str, Any]:
    """Memory of the engine first, then the four pieces of work in turns."""
    _warm(DTYPES[dtype])
    before = resident("VmRSS")
    shape = SHAPES[model]
    adapter = build(shape, tokens, DTYPES[dtype])
    names = [c.name for c in audited_layers(adapter, make_batch(shape, tokens, 2, 0), layers)]
    work = work_on(adapter, make_batch(shape, tokens, shape.batch[tokens], 1), names)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts again from here
    for _ in range(3):
        work.engine()
    peak = resident("VmHWM") - before
    taken = in_turns(work.pieces, TURNS)
    model_bytes = sum(p.numel() * p.element_size() for p in adapter.model.parameters())
    reference_bytes = sum(4 * r.numel() for r in work.references.values())
    activations = activation_bytes(work)
    return {
        "model": model,
        "tokens": tokens,
        "layers": layers,
        "dtype": dtype,
        "threads": torch.get_num_threads(),
        "speedup_vs_loop": round(taken["loop"] / taken["engine"], 2),
        "cost_vs_step": round(taken["engine"] / taken["step"], 2),
        "masked_cost_vs_step": round(taken["masked"] / taken["step"], 2),
        "peak_bytes": peak,
        "bound_bytes": model_bytes + reference_bytes + activations * 3 // 2,
        "model_bytes": model_bytes,
        "reference_bytes": reference_bytes,
        "activation_bytes": activations,
        "parameters": adapter.parameters,
        "matrices": len(names),
        "batch": len(work.batch.pair_ids),
        "samples_per_s": round(len(work.batch.pair_ids) / taken["engine"], 2),
        "turns": TURNS,
    }


def _warm(dtype: torch.dtype) -> None:
    """What the libraries take on first use is not the engine's: let them take it on another network."""
    adapter = build(SHAPES["1M"], SHORT, dtype)
    batch = make_batch(SHAPES["1M"], SHORT, 2, 0)
    work = work_on(adapter, batch, [c.name for c in audited_layers(adapter, batch, "all")])
    for piece in work.pieces.values():
        piece()


def in_turns(pieces: Mapping[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """Median seconds of every piece; all pieces once per turn, so that a slow moment meets all of them."""
    taken: dict[str, list[float]] = {name: [] for name in pieces}
    for turn in range(turns + 1):
        for name, piece in pieces.items():
            started = time.perf_counter()
            piece()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:  # the first one warms up
                taken[name].append(time.perf_counter() - started)
    return {name: median(seconds) for name, seconds in taken.items()}


def resident(which: str) -> int:
    """VmRSS or VmHWM of this process, bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"{which}:\s+(\d+) kB", status)
    assert found is not None
    return 1024 * int(found.group(1))


# ---- the crossing ------------------------------------------------------------------------------------------


def crossing() -> dict[str, Any]:
    """Both routes on one layer at a time; regret is what the formula's choice costs over the faster one."""
    rows = []
    for (O, I), T, count in product(SIZES, POSITIONS, REFERENCES):  # noqa: E741
        batch = max(2, min(16, 20_000_000 // (T * (O + I))))
        layer = LayerCapture(torch.randn(batch, T, I), torch.randn(batch, T, O))
        references = tuple(torch.randn(O, I) for _ in range(count))
        given = (layer.acts_BTI, layer.grads_BTO, references)
        taken = in_turns({"make": lambda g=given: by_making(*g), "gram": lambda g=given: by_grams(*g)}, 5)
        expected = {"make": make_ns(T, I, O, count), "gram": gram_ns(T, I, O, count)}
        chosen = min(expected, key=lambda route: expected[route])
        rows.append(
            {"out": O, "in": I, "T": T, "references": count, "chosen": chosen}
            | {f"{route}_us": round(1e6 * taken[route] / batch, 1) for route in taken}
            | {f"{route}_expected_us": round(expected[route] / 1e3, 1) for route in expected}
            | {"regret": round(taken[chosen] / min(taken.values()) - 1, 3)}
        )
    worst = max(row["regret"] for row in rows)
    return {**machine(), "rows": rows, "worst_regret": worst, "mean_regret": mean_regret(rows)}


def mean_regret(rows: list[dict[str, Any]]) -> float:
    """Over all shapes alike."""
    return round(sum(row["regret"] for row in rows) / len(rows), 3)


# ---- flat memory -------------------------------------------------------------------------------------------


def flat(samples: int) -> dict[str, Any]:
    """Peak memory after 1, 10 and 100 % of the samples of the smallest network, each batch a new one."""
    shape = SHAPES["1M"]
    size = shape.batch[SHORT]
    adapter = build(shape, SHORT, torch.float32)
    names = [c.name for c in audited_layers(adapter, make_batch(shape, SHORT, 2, 0), "all")]
    rows: list[dict[str, Any]] = []
    stops = [max(size, samples * percent // 100) for percent in (1, 10, 100)]
    done, seed = 0, 0
    kept = work_on(adapter, make_batch(shape, SHORT, size, 0), names)
    while stops:
        seed += 1
        work = type(kept)(adapter, make_batch(shape, SHORT, size, seed), names, kept.references, kept.kept)
        work.engine()
        done += size
        if done >= stops[0]:
            rows.append({"samples": done, "peak_bytes": resident("VmHWM")})
            stops.pop(0)
    return {**machine(), "rows": rows, "growth": rows[-1]["peak_bytes"] - rows[0]["peak_bytes"]}


def show(result: dict[str, Any], as_json: bool) -> None:
    """JSON, or the facts and a table in Markdown."""
    if as_json:
        print(json.dumps(result, indent=1))
        return
    print("; ".join(f"{key}: {value}" for key, value in result.items() if key not in ("rows", "gpu")))
    tables = {"rows": result["rows"]}
    if isinstance(result.get("gpu"), dict):
        tables["gpu"] = result["gpu"]["rows"]
    for rows in tables.values():
        print("\n| " + " | ".join(rows[0]) + " |\n|" + " --- |" * len(rows[0]))
        for row in rows:
            print("| " + " | ".join(str(value) for value in row.values()) + " |")
    if isinstance(result.get("gpu"), str):
        print(f"\nrows of {'LLaVA-Med 7B shape'} on a GPU: {result['gpu']}")


if __name__ == "__main__":
    sys.exit(main())
