"""What runs inside the worker, top to bottom: ingest a file list, look at a model, audit one.

The only module where medio and audit_core meet, and the only one that decides whether an error costs one
file (quarantine), one pair (unscored) or the whole job.
"""

from __future__ import annotations

import hashlib
import resource
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from appliance import codec, limits, model_jobs
from appliance.channel import ASKS, MAX_BLOB, Channel
from appliance.errors import WorkerFailed
from appliance.frames import packed, unpacked
from appliance.reading import Reading, reading_of
from audit_core.errors import AuditError
from audit_core.results import AuditResult, Finding, Progress, Role
from audit_core.samples import ModelSource, Registered, Sample, Settings
from medio.records import FileContent, Outcome
from medio.sources import Reader, is_archive

Frames = list[tuple[dict[str, Any], bytes]]
_TOO_LARGE = ("too-large", "reading it needs more memory than one file may take")

_LIBRARIES = {
    "ingest": ("medio.ingest",),
    "list": ("medio.sources",),
    "export": ("medio.export",),
    "convert": ("audit_core.adapters.pickled",),
    "read-weights": ("audit_core.adapters.headers",),
    "audit": ("audit_core.audit", "audit_core.spike_in"),
    "account": ("opacus.accountants",),
}


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
    """Answer one `look` a file, and a `read` for each that is wanted, until the other side hangs up."""
    looked, data, ending = Reading(None), b"", ""
    with Reader() as reader:
        while (received := channel.receive()) is not None:
            question, _ = received
            if question["type"] == "look":
                path = Path(question["path"])
                looked, data = _looked(reader, path)
                ending = path.suffix.lower()
                _answer(channel, looked)
            else:
                _answer(channel, *_read(looked, data, ending, bool(job["statistics"])))
                data = b""
    return {}


def _answer(channel: Channel, reading: Reading, pixels: bytes = b"") -> None:
    try:
        channel.send({"type": "reading", "reading": codec.dump(reading)}, pixels)
    except OverflowError:
        told = Reading(
            Outcome.REJECTED, reading.digest, reading.size, "too-large", "too much text for one file"
        )
        channel.send({"type": "reading", "reading": codec.dump(told)})


def _looked(reader: Reader, path: Path) -> tuple[Reading, bytes]:
    """Digest and size, with the bytes; or why they cannot be had."""
    from medio.errors import MedioError

    _limit_processor_time(int(limits.LOOK_S))  # else what the file before left over would count
    try:
        data = reader.read(path)
    except MedioError as unusable:
        return Reading(unusable.outcome, reason=unusable.reason, message=str(unusable)), b""
    except MemoryError:
        return Reading(Outcome.REJECTED, reason=_TOO_LARGE[0], message=_TOO_LARGE[1]), b""
    return Reading(None, hashlib.sha256(data).hexdigest(), len(data)), data


def _read(looked: Reading, data: bytes, ending: str, statistics: bool) -> tuple[Reading, bytes]:
    """What the bytes hold, with the frame's pixels; or why they are set aside."""
    from medio.errors import MedioError
    from medio.ingest import read_content

    _limit_processor_time(limits.cpu_seconds(len(data)))
    try:
        found = read_content(data, ending, statistics=statistics)
    except MedioError as unusable:
        told = replace(looked, outcome=unusable.outcome, reason=unusable.reason, message=str(unusable))
        return replace(told, instance=unusable.instance), b""
    except MemoryError:
        return replace(looked, outcome=Outcome.REJECTED, reason=_TOO_LARGE[0], message=_TOO_LARGE[1]), b""
    return reading_of(found, looked.digest, looked.size), _pixels(found)


def _limit_processor_time(seconds: int) -> None:
    """From now on; the kernel ends this process when the time is used up."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + seconds, hard))


def _pixels(found: FileContent) -> bytes:
    return b"" if found.frame is None else packed(found.frame.pixels)


def _list(job: dict[str, Any], frames: Frames, channel: Channel) -> dict[str, Any]:
    """Look into one archive or DICOMDIR; what it is not has no answer."""
    path = Path(job["path"])
    with Reader() as reader:
        if is_archive(path):
            return {"names": reader.names(path)}
        from medio.directory import referenced_files

        return {"referenced": referenced_files(reader.read(path))}


def _export(job: dict[str, Any], frames: Frames, channel: Channel) -> dict[str, Any]:
    """Answer `handles` for a file, then `export` for the same, until the other side hangs up."""
    data = b""
    with Reader() as reader:
        while (received := channel.receive()) is not None:
            question, _ = received
            if question["type"] == "handles":
                looked, data = _looked(reader, Path(question["path"]))
                channel.send(_handles(looked, data))
            else:
                channel.send(*_exported(data, question))
                data = b""
    return {}


def _handles(looked: Reading, data: bytes) -> dict[str, Any]:
    """What the key's holder has to replace; or why there is nothing to replace."""
    from medio.errors import MedioError
    from medio.profile import handles_of

    answer: dict[str, Any] = {"type": "handles", "reason": looked.reason, "message": looked.message}
    if looked.reason:
        return answer
    _limit_processor_time(limits.cpu_seconds(len(data)))
    try:
        handles = handles_of(data)
    except MedioError as refused:
        return answer | {"reason": refused.reason, "message": str(refused)}
    except MemoryError:
        return answer | {"reason": _TOO_LARGE[0], "message": _TOO_LARGE[1]}
    known = {"patient_id": handles.PatientID, "issuer": handles.IssuerOfPatientID, "uids": list(handles.uids)}
    return answer | known | {"digest": looked.digest, "size": looked.size}


def _exported(data: bytes, question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The clean file; or why it may not leave."""
    from medio.errors import MedioError
    from medio.export import exported
    from medio.profile import Replacements

    _limit_processor_time(limits.cpu_seconds(len(data)))
    given = Replacements(str(question["patient"]), question["uids"])
    answer = {"type": "exported", "reason": "", "message": ""}
    try:
        clean = exported(data, given, accept_burned_in=bool(question["accept_burned_in"]))
    except MedioError as refused:
        return answer | {"reason": refused.reason, "message": str(refused)}, b""
    except MemoryError:
        return answer | {"reason": _TOO_LARGE[0], "message": _TOO_LARGE[1]}, b""
    if len(clean) > MAX_BLOB:
        return answer | {"reason": _TOO_LARGE[0], "message": f"more than {MAX_BLOB} bytes"}, b""
    return answer, clean


def _audit(job: dict[str, Any], frames: Frames, channel: Channel) -> dict[str, Any]:
    from audit_core.audit import run_audit

    source = model_jobs.with_weights(codec.load(ModelSource, job["source"]), frames, channel)
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

    samples = [_sample(*frame) for frame in frames]
    frames.clear()
    registered = codec.load(Registered, job["registered"])
    result, findings = run_audit(source, samples, settings, report, _ParentsStore(channel), registered)
    return {
        "result": codec.dump(result, AuditResult),
        "findings": codec.dump(findings, tuple[Finding, ...]),
    }


class _ParentsStore:
    """Finished steps, on the other side of the channel: this process holds no key and writes nowhere."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def get(self, key: str) -> bytes | None:
        """What was put under this key, or None."""
        found, blob = self._asked({"type": ASKS, "act": "get", "key": key})
        return blob if found["found"] else None

    def put(self, key: str, blob: bytes) -> None:
        """Keep these bytes; they are sealed and on disk when this returns.

        Raises:
            AuditError: more than goes through the channel at once.
        """
        try:
            self._asked({"type": ASKS, "act": "put", "key": key}, blob)
        except OverflowError as large:
            raise AuditError(
                f"signals of one step take {len(blob) >> 20} MiB, more than can be kept",
                'set layers = "last3" in the policy',
            ) from large

    def _asked(self, question: dict[str, Any], blob: bytes = b"") -> tuple[dict[str, Any], bytes]:
        self._channel.send(question, blob)
        answer = self._channel.receive()
        if answer is None:
            raise WorkerFailed("nobody listens to the worker")
        return answer


def _sample(message: dict[str, Any], blob: bytes) -> Sample:
    return Sample(
        pair_id=message["pair_id"],
        patient=message["patient"],
        role=Role(message["role"]),
        image=unpacked(blob, int(message["height"]), int(message["width"])),
        text=message["text"],
        covariates=message["covariates"],
    )


def _account(job: dict[str, Any], frames: Frames, channel: Channel) -> dict[str, Any]:
    """What the accountants of differential privacy make of a claim's parameters."""
    import opacus

    from audit_core.accountants import accounts
    from audit_core.claims import Account, Budget

    found = accounts(codec.load(Budget, job["budget"]))
    return {"accounts": codec.dump(found, tuple[Account, ...]), "version": opacus.__version__}


_JOBS = {
    "ingest": _ingest,
    "list": _list,
    "export": _export,
    "convert": model_jobs.convert,
    "read-weights": model_jobs.read_weights,
    "inspect": model_jobs.inspect,
    "audit": _audit,
    "account": _account,
}
