"""Running out of memory: how it shows, how much there is, how much was taken."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

import torch

_CPU_SAYS = (
    "can't allocate memory",
    "defaultcpuallocator",
    "not enough memory",
    "std::bad_alloc",
    "could not create a primitive",  # oneDNN, where it cannot allocate
    "could not create a memory",
    "could not execute a primitive",
)
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
KIBI = 1024


def out_of_memory(error: BaseException) -> bool:
    """Whether this error, or one that caused it, says that memory ran out, on the CPU or on a device."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError | torch.OutOfMemoryError):
            return True
        if isinstance(seen, RuntimeError) and any(words in str(seen).lower() for words in _CPU_SAYS):
            return True
        seen = seen.__cause__
    return False


def available_bytes(device: torch.device) -> int:
    """Memory that may still be taken where the network computes: of the device, or of machine and limits."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    found = [_meminfo()]
    for limit in _LIMITS:
        with suppress(OSError, ValueError):  # no such cgroup file, or "max"
            found.append(int(Path(limit).read_text(encoding="ascii")) - peak_bytes(device))
    allowed = resource.getrlimit(resource.RLIMIT_DATA)[0]
    if allowed != resource.RLIM_INFINITY:
        found.append(allowed - peak_bytes(device))
    return max(0, min(found))


def peak_bytes(device: torch.device) -> int:
    """Most memory that was ever held there: by this process, or on the device by its tensors."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBI


def release(device: torch.device) -> None:
    """Give cached blocks back to the device after it ran full."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _meminfo() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * KIBI
    raise OSError("the kernel does not say how much memory is available")
