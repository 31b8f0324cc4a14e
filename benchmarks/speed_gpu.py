"""Rows that need a GPU: a network of LLaVA-Med's shape, random bfloat16 weights made on the device.

Not the published fp16 loop alone is compared: its copies of every gradient to the host are part of it, as in
the released code. `flop_share` counts the matrix products of the engine's pass (forward, backward and
statistics) against the peak rate that the maker states for bfloat16 without sparsity.
"""

from __future__ import annotations

import subprocess
import threading
import time
from typing import Any

import torch
from speed_models import (
    LARGE,
    LARGE_SHAPE,
    LARGE_TOKENS,
    BenchmarkAdapter,
    Shape,
    build,
    make_batch,
    with_lora,
)
from speed_work import Work, work_on
from torch.utils.flop_counter import FlopCounterMode

from audit_core.adapters.base import Candidate
from audit_core.gradients import audited_layers

TURNS = 5
PEAK_BF16 = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12}
CHOICES = ("last3", "projector + vision", "all", "LoRA")


def gpu_rows(
    shape: Shape = LARGE_SHAPE, tokens: int = LARGE_TOKENS, device: str = "cuda", turns: int = TURNS
) -> dict[str, Any]:
    """Every choice of layers on one network; LoRA last, because it changes the network."""
    adapter = build(shape, tokens, torch.bfloat16, device)
    rows = []
    for choice in CHOICES:
        if choice == "LoRA":
            adapter = with_lora(adapter)
        work = work_on(
            adapter, _batch(shape, tokens), _names(adapter, shape, tokens, choice), host_copies=True
        )
        rows.append({"model": LARGE, "tokens": tokens, "layers": choice, "dtype": "bf16"} | _row(work, turns))
        del work
    name = torch.cuda.get_device_name() if device == "cuda" else device
    return {"device": name, "rows": rows}


def _batch(shape: Shape, tokens: int) -> Any:
    return make_batch(shape, tokens, shape.batch[tokens], 1)


def _names(adapter: BenchmarkAdapter, shape: Shape, tokens: int, choice: str) -> list[str]:
    among: list[Candidate] = list(adapter.candidates())
    if choice == "projector + vision":
        among = [c for c in among if c.tower != "language"]
    if choice == "LoRA":
        among = [c for c in among if not isinstance(adapter.projection(c.name), torch.nn.Linear)]
    which = "all" if choice in ("all", "LoRA") else "last3"
    probe = make_batch(shape, tokens, 2, 0)
    return [c.name for c in audited_layers(adapter, probe, which, among=among)]


def _row(work: Work, turns: int) -> dict[str, Any]:
    on_gpu = work.adapter.device.type == "cuda"
    with FlopCounterMode(display=False) as counter:
        work.engine()
    seconds: dict[str, float] = {}
    busy: list[float] = []
    for name, piece in work.pieces.items():
        count = 1 if name == "loop" else turns
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(busy, stop))
        if name == "engine" and on_gpu:
            watcher.start()
        taken = []
        for _ in range(count):
            started = time.perf_counter()
            piece()
            if on_gpu:
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - started)
        stop.set()
        if watcher.ident is not None:
            watcher.join()
        seconds[name] = sorted(taken)[len(taken) // 2]
    peak = _peak_rate() if on_gpu else None
    return {
        "samples_per_s": round(len(work.batch.pair_ids) / seconds["engine"], 2),
        "speedup_vs_loop": round(seconds["loop"] / seconds["engine"], 2),
        "cost_vs_step": round(seconds["engine"] / seconds["step"], 2),
        "masked_cost_vs_step": round(seconds["masked"] / seconds["step"], 2),
        "utilisation": round(sum(busy) / len(busy) / 100, 2) if busy else None,
        "flop_share": round(counter.get_total_flops() / seconds["engine"] / peak, 3) if peak else None,
        "peak_bytes": torch.cuda.max_memory_allocated() if on_gpu else None,
    }


def _peak_rate() -> float | None:
    name = torch.cuda.get_device_name()
    return next((rate for key, rate in PEAK_BF16.items() if key in name), None)


def _watch(busy: list[float], stop: threading.Event) -> None:
    """Share of time the device was busy, in percent, twice a second, as its own tool says."""
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    while not stop.wait(0.5):
        said = subprocess.run(command, check=False, capture_output=True, text=True)
        if said.returncode == 0:
            busy.append(float(said.stdout.splitlines()[0]))
