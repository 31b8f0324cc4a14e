"""Child side of what is done with a model folder: convert its pickles, or open it for a trial."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance import codec
from appliance.channel import Channel

if TYPE_CHECKING:
    from torch import Tensor

    from audit_core.samples import ModelSource

Frames = list[tuple[dict[str, Any], bytes]]
TENSOR, PIECE = "tensor", "piece"


def convert(job: dict[str, Any], frames: Frames, channel: Channel) -> dict[str, Any]:
    """Send every tensor of a folder's pickles, piece by piece; runs in a process that never audits."""
    from audit_core.adapters.pickled import dtype_name, pieces, read_tensors
    from audit_core.adapters.weights import check_promised

    folder = Path(job["path"])
    for file in job["files"]:
        tensors, wrapper = read_tensors(folder / file)
        if job["expected"]:
            check_promised(file, frozenset(tensors), frozenset(job["expected"][file]))
        channel.send({"type": "file", "name": file, "wrapper": wrapper})
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

    source = with_tensors(codec.load(ModelSource, job["source"]), frames)
    settings = codec.load(Settings, job["settings"])
    started = time.perf_counter()
    adapter, base = open_source(source, device=device(), precision=precision(settings))
    trial = try_out(adapter, base, settings, time.perf_counter() - started)
    return {"trial": codec.dump(trial)}


def with_tensors(source: ModelSource, frames: Frames) -> ModelSource:
    """The source with the converted weights among a job's frames, which lose them.

    Raises:
        ModelRefused: a tensor is not whole.
    """
    streamed = [frame for frame in frames if frame[0]["type"] in (TENSOR, PIECE)]
    if not streamed:
        return source
    frames[:] = [frame for frame in frames if frame[0]["type"] not in (TENSOR, PIECE)]
    from audit_core.adapters.pickled import Assembly

    found: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
    streamed.reverse()
    while streamed:  # a piece is let go as soon as it has been copied
        about, _ = streamed.pop()
        whole = Assembly(tuple(about["shape"]), about["dtype"])
        for _ in range(about["pieces"]):
            whole.add(streamed.pop()[1])
        found[bool(about["base"])][about["name"]] = whole.whole()
    return replace(source, tensors=found[0], base_tensors=found[1])
