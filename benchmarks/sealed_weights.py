"""How long does a sealed model take to open, and in how much memory, beside the vendor's own safetensors?

    OMP_NUM_THREADS=1 python benchmarks/sealed_weights.py [--json] [--folder DIR] [--width 1024]

A made-up LLaVA of `--width`, stored in float32 and in bfloat16, computed in float32. It is sealed once, as at
registration, then opened and tried out by turns: from the folder in a plain process, and from the vault by a
boxed worker. Memory is the resident peak of each process; what a tensor may add is printed beside it.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from appliance import answers, codec, registry
from appliance.enrolment import TRIAL_SETTINGS, _sealed
from appliance.registry import Folders, ModelRecord
from appliance.served import Served
from appliance.worker import Worker
from appliance.workspace.workspace import Workspace
from audit_core.samples import ModelSource, Settings

MIB = 1 << 20
TURNS = 2
PASSPHRASE = "a passphrase of the benchmark"

WRITE = """
import json, sys
from pathlib import Path
import torch
from transformers import LlavaConfig, LlavaForConditionalGeneration
from tests.audit_core import engine_models as tiny

folder, width, dtype = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
tiny.write_llava(folder)
config = LlavaConfig.from_pretrained(folder)
config.text_config.hidden_size, config.text_config.intermediate_size = width, 3 * width
config.text_config.num_attention_heads = config.text_config.num_key_value_heads = width // 64
config.text_config.head_dim, config.text_config.num_hidden_layers = 64, 8
torch.manual_seed(0)
model = LlavaForConditionalGeneration(config).to(getattr(torch, dtype))
model.save_pretrained(folder)
"""

DIRECT = """
import os, sys, time
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
from appliance import codec
from audit_core.adapters.loading import open_source
from audit_core.audit import device, precision
from audit_core.samples import ModelSource, Settings
from audit_core.trial import try_out

source, settings = codec.load(ModelSource, sys.argv[1]), codec.load(Settings, sys.argv[2])
started = time.perf_counter()
adapter, base = open_source(source, device=device(), precision=precision(settings))
took = time.perf_counter() - started

def peak():
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))

peak()
print(codec.dump(try_out(adapter, base, settings, took)))
peak()
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `goal` is what it should reach, in words; empty where there is none."""

    name: str
    value: float
    unit: str
    goal: str = ""


def main(arguments: Sequence[str]) -> int:
    """Measure, print; exit 0 whatever the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where to write; else a temporary folder")
    parser.add_argument("--width", type=int, default=1024, help="of the language model, a multiple of 64")
    asked = parser.parse_args(arguments)
    rows: list[Row] = []
    for dtype in ("float32", "bfloat16"):
        with tempfile.TemporaryDirectory(dir=asked.folder, prefix="gradaudit-weights-") as scratch:
            rows += measured(Path(scratch), asked.width, dtype)
    if asked.json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}))
    else:
        for row in rows:
            print(f"{row.name:52} {row.value:12,.2f} {row.unit:8} {row.goal}")
    return 0


def measured(scratch: Path, width: int, dtype: str) -> list[Row]:
    """All figures of one model."""
    folder = scratch / "model"
    told = [sys.executable, "-c", WRITE, str(folder), str(width), dtype]
    subprocess.run(told, check=True, capture_output=True)
    workspace = Workspace.create(scratch / "workspace", PASSPHRASE, "Benchmark", unsafe_fast_kdf=True)
    before = _peak("self")
    started = time.perf_counter()
    found = registry.described("m", Folders(folder), family="", vendor="", released="")
    looked = time.perf_counter()
    record, arriving = _sealed(workspace.vault, found)
    workspace.vault.settle(arriving)
    sealed_s = time.perf_counter() - looked
    turns = [(_direct(record), _served(workspace, record)) for _ in range(TURNS)]
    size = sum(tensor.size for tensor in record.tensors)
    largest = max(math.prod(tensor.shape) for tensor in record.tensors) * 4
    direct_s, direct_open, direct_peak = (min(one[0][at] for one in turns) for at in (0, 1, 2))
    vault_s, vault_open, vault_peak = (min(one[1][at] for one in turns) for at in (0, 1, 2))
    workspace.close()
    return [
        Row(f"{dtype}: weights", size / MIB, "MiB"),
        Row(f"{dtype}: looked at, with every digest", looked - started, "s"),
        Row(f"{dtype}: read in the box, sealed, on disk", size / MIB / sealed_s, "MiB/s"),
        Row(f"{dtype}: opened from safetensors", direct_s, "s"),
        Row(f"{dtype}: opened from the vault", vault_s, "s"),
        Row(f"{dtype}: peak when open, from safetensors", direct_open / MIB, "MiB"),
        Row(f"{dtype}: peak at the last piece, from the vault", vault_open / MIB, "MiB"),
        Row(f"{dtype}: peak after the trial, from safetensors", direct_peak / MIB, "MiB"),
        Row(
            f"{dtype}: peak after the trial, from the vault",
            vault_peak / MIB,
            "MiB",
            f"<= {(direct_peak + largest) / MIB:,.0f}",
        ),
        Row(f"{dtype}: what the appliance itself grew by", (_peak("self") - before) / MIB, "MiB"),
    ]


def _direct(record: ModelRecord) -> tuple[float, int, int]:
    """Seconds to open, the peak then, and after the trial, from the vendor's folder."""
    texts = codec.dump(record.source(), ModelSource), codec.dump(TRIAL_SETTINGS, Settings)
    told = [sys.executable, "-c", DIRECT, *texts]
    lines = subprocess.run(told, check=True, capture_output=True, text=True).stdout.splitlines()
    return float(json.loads(lines[-2])["open_s"]), int(lines[-3]) * 1024, int(lines[-1]) * 1024


def _served(workspace: Workspace, record: ModelRecord) -> tuple[float, int, int]:
    """The same from the vault, by a boxed worker."""
    at_last = 0
    with Worker([], "audit") as worker:
        child = str(worker._process.pid)
        served, known = Served(workspace.vault, record), answers.phrases(answers.names_of(record))

        def answered(asked: dict[str, Any], blob: bytes) -> tuple[dict[str, Any], bytes]:
            nonlocal at_last
            at_last = _peak(child)
            return served.answer(asked)

        with served.placed(worker.folder, record.source()) as source:
            job: dict[str, Any] = {
                "type": "inspect",
                "source": codec.dump(source, ModelSource),
                "settings": codec.dump(TRIAL_SETTINGS, Settings),
            }
            answer = worker.call(job, frames=served.frames(), on_question=answered, known=known)
        trial = answers.trial_answer(answer, known)
        return trial.open_s, at_last, _peak(child)


def _peak(process: str) -> int:
    """Most bytes that were ever resident."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
