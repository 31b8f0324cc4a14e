"""What of machine and libraries can change the last bits of a number, or the number itself."""

from __future__ import annotations

from importlib.metadata import version

import torch

from audit_core.code_version import code_digest

_LIBRARIES = ("torch", "transformers", "peft", "tokenizers", "pillow", "numpy")


def machine(device: torch.device) -> dict[str, object]:
    """Digest of this package's code, versions of the libraries that compute, device, threads."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return {
        "code": code_digest(),
        "libraries": {library: version(library) for library in _LIBRARIES},
        "machine": {
            "device": device.type,
            "device_name": name,
            "processor": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
        },
    }
