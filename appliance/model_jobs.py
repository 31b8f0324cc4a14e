"""Child side of what is done with a model: read its weight files, or open it from what the parent sends."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance import codec
from appliance.channel import ASKS, Channel
from appliance.errors import WorkerFailed

if TYPE_CHECKING:
    from audit_core.adapters.streamed import Streamed
    from audit_core.samples import ModelSource

Frames = list[tuple[dict[str, Any], bytes]]
FILE, TENSOR, PIECE, WEIGHTS = "file", "tensor", "piece", "weights"


def read_weights(job: dict[str, Any], frames: Frames, channel: Channel) -> dict[str, Any]:
    """Send safetensors files whole: header, then every tensor in the order in which its numbers lie."""
    from audit_core.adapters.headers import NAMES, PIECE_BYTES, header_of
    from audit_core.adapters.weights import check_promised
    from audit_core.errors import ModelRefused

    for name in job["files"]:
        with (Path(job["path"]) / name).open("rb") as file:
            header = header_of(file)
            if job["expected"]:
                check_promised(name, frozenset(header.shapes), frozenset(job["expected"][name]))
            channel.send({"type": FILE, "name": name}, header.raw)
            for tensor, shape in header.shapes.items():
                kind = NAMES[header.kinds[tensor]]
                channel.send({"type": TENSOR, "name": tensor, "dtype": kind, "shape": list(shape)})
                left = header.sizes[tensor]
                while left:
                    piece = file.read(min(left, PIECE_BYTES))
                    if len(piece) < min(left, PIECE_BYTES):
                        raise ModelRefused(f"{name} became shorter while it was read", "register it again")
                    channel.send({"type": PIECE}, piece)
                    left -= len(piece)
    return {}


def convert(job: dict[str, Any], frames: Frames, channel: Channel) -> dict[str, Any]:
    """Send every tensor of a folder's pickles, piece by piece; runs in a process that never audits."""
    from audit_core.adapters.pickled import dtype_name, read_tensors
    from audit_core.adapters.streamed import pieces
    from audit_core.adapters.weights import check_promised

    folder = Path(job["path"])
    for file in job["files"]:
        tensors, wrapper = read_tensors(folder / file)
        if job["expected"]:
            check_promised(file, frozenset(tensors), frozenset(job["expected"][file]))
        channel.send({"type": FILE, "name": file, "wrapper": wrapper})
        for name, tensor in tensors.items():
            channel.send(
                {"type": TENSOR, "name": name, "dtype": dtype_name(tensor), "shape": list(tensor.shape)}
            )
            for piece in pieces(tensor):
                channel.send({"type": PIECE}, piece)
    return {}


def inspect(job: dict[str, Any], frames: Frames, channel: Channel) -> dict[str, Any]:
    """Open a model as an audit would and try it out: what cannot be audited is refused at registration."""
    from audit_core.adapters.loading import open_source
    from audit_core.audit import device, precision
    from audit_core.samples import ModelSource, Settings
    from audit_core.trial import try_out

    source = with_weights(codec.load(ModelSource, job["source"]), frames, channel)
    settings = codec.load(Settings, job["settings"])
    started = time.perf_counter()
    adapter, base = open_source(source, device=device(), precision=precision(settings))
    trial = try_out(adapter, base, settings, time.perf_counter() - started)
    return {"trial": codec.dump(trial)}


def with_weights(source: ModelSource, frames: Frames, channel: Channel) -> ModelSource:
    """The source with its weights, as they are told of among a job's frames, which lose that.

    Raises:
        ModelRefused: a tensor of a kind that no checkpoint holds.
    """
    told = {about["part"]: about["tensors"] for about, _ in frames if about["type"] == WEIGHTS}
    frames[:] = [frame for frame in frames if frame[0]["type"] != WEIGHTS]
    coming = {part: _coming(part, tensors, channel) for part, tensors in told.items()}
    return replace(
        source,
        tensors=coming.get("model"),
        base_tensors=coming.get("base"),
        peft_tensors=coming.get("adapter"),
    )


def _coming(part: str, tensors: list[Any], channel: Channel) -> Streamed:
    from audit_core.adapters.streamed import Announced, Streamed

    def piece(number: int, index: int) -> bytes:
        channel.send({"type": ASKS, "act": WEIGHTS, "part": part})
        answer = channel.receive()
        if answer is None:
            raise WorkerFailed("nobody listens to the worker")
        return answer[1]

    announced = [Announced(name, dtype, tuple(shape), pieces) for name, dtype, shape, pieces in tensors]
    return Streamed(announced, piece)
