"""A worker whose model took its process over: the real box and channel, and a job that does what it likes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.worker import Worker

_CHILD = """
import sys
from appliance import pipeline, worker
pipeline.preload = lambda what: None
def taken_over(job, frames, channel):
{body}
pipeline._JOBS = dict.fromkeys(pipeline._JOBS, taken_over)
raise SystemExit(worker.main())
"""


def worker(tmp_path: Path, body: str, **limits: Any) -> Worker:
    """A boxed child that answers every job with `body`, lines of a function of (job, frames, channel)."""
    indented = "\n".join(f"    {line}" for line in body.strip().splitlines())

    class TakenOver(Worker):
        program = ("-c", _CHILD.format(body=indented))

    return TakenOver([tmp_path], "convert", **limits)
