"""What runs inside the worker, top to bottom: ingest a file list, look at a model, audit one.

The only module where medio and audit_core meet, and the only one that decides whether an error costs one
file (quarantine), one pair (unscored) or the whole job.
"""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from appliance import codec
from appliance.channel import Channel
from audit_core.results import AuditResult, Finding, Progress, Role
from audit_core.samples import ModelSource, Sample, Settings
from medio.records import FileContent

Frames = list[tuple[dict[str, Any], bytes]]


_LIBRARIES = {"ingest": ("medio.ingest",), "audit": ("audit_core.audit", "audit_core.spike_in")}


def preload(what: str) -> None:
    """Import the libraries of the first job while nobody waits for them."""
    for module in _LIBRARIES[what]:
        import_module(module)


def run(job: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Read the job's frames up to `go`, do the job, return its answer."""
    frames: Frames = []
    while (received := channel.receive()) is not None and received[0].get("type") != "go":
        frames.append(received)
    return _JOBS[str(job["type"])](job, frames, channel)


def _ingest(job: dict[str, Any], frames: Frames, channel: Channel) -> dict[str, Any]:
    """Read files one by one; every file gives exactly one event, with its frame's pixels as blob."""
    from medio.errors import MedioError
    from medio.ingest import read_content
    from medio.sources import read_bytes

    for index, path in enumerate(map(Path, job["paths"])):
        event: dict[str, Any] = {"type": "file", "index": index, "digest": ""}
        try:
            data = read_bytes(path)
            event["digest"] = hashlib.sha256(data).hexdigest()
            found = read_content(data, path.suffix.lower(), statistics=bool(job.get("statistics")))
        except MedioError as unusable:
            event |= {"outcome": unusable.outcome, "reason": unusable.reason, "message": str(unusable)}
            channel.send(event)
            continue
        channel.send(event | _described(found), _pixels(found))
    return {"files": len(job["paths"])}


def _described(found: FileContent) -> dict[str, Any]:
    event: dict[str, Any] = {
        "outcome": found.outcome,
        "reason": found.reason,
        "instance": codec.dump(found.instance) if found.instance else None,
        "statistics": codec.dump(found.statistics) if found.statistics else None,
        "reports": [codec.dump(report) for report in found.reports],
        "studies": [codec.dump(study) for study in found.studies],
        "skipped": list(found.skipped),
        "warnings": list(found.warnings),
    }
    if found.frame is not None:
        height, width = found.frame.pixels.shape[:2]
        event |= {"frame_rule": found.frame.frame_rule, "height": int(height), "width": int(width)}
    return event


def _pixels(found: FileContent) -> bytes:
    return b"" if found.frame is None else np.ascontiguousarray(found.frame.pixels).tobytes()


def _inspect(job: dict[str, Any], frames: Frames, channel: Channel) -> dict[str, Any]:
    """Load a model as an audit would, so that one that cannot be audited is refused at registration."""
    from audit_core.adapters.loading import open_model

    adapter = open_model(Path(job["path"]), job["family"])
    if job["base"]:
        adapter.refuse_other_base(open_model(Path(job["base"]), job["family"], base=True))
    return {"parameters": adapter.parameters}


def _audit(job: dict[str, Any], frames: Frames, channel: Channel) -> dict[str, Any]:
    from audit_core.audit import run_audit

    source = codec.load(ModelSource, job["source"])
    settings = codec.load(Settings, job["settings"])

    def report(step: Progress) -> None:
        channel.send(
            {
                "type": "progress",
                "phase": step.phase,
                "done": step.done,
                "total": step.total,
                "unit": step.unit,
            }
        )

    result, findings = run_audit(source, [_sample(*frame) for frame in frames], settings, report)
    return {
        "result": codec.dump(result, AuditResult),
        "findings": codec.dump(findings, tuple[Finding, ...]),
    }


def _sample(message: dict[str, Any], blob: bytes) -> Sample:
    image = np.frombuffer(blob, np.uint8).reshape(message["height"], message["width"], 3)
    return Sample(
        pair_id=message["pair_id"],
        patient=message["patient"],
        role=Role(message["role"]),
        image=image,
        text=message["text"],
        covariates=message["covariates"],
    )


_JOBS = {"ingest": _ingest, "inspect": _inspect, "audit": _audit}
