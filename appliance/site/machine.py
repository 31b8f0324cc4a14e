"""What a machine lacks for a bundle: Python, processor, glibc, room, and the kernel's layers of isolation.

Standard library alone: it runs before anything is installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from appliance.site.bundle import Needs, Refused

_GIB: Final = 1 << 30
_TIMEOUT_S: Final = 10.0
_LAYERS: Final = """
import json, sys
sys.path.insert(0, sys.argv[1])
from appliance.isolation import close_box
print(json.dumps(close_box([])))
"""
_REMEDIES: Final = {
    "seccomp": "use a kernel with CONFIG_SECCOMP_FILTER on x86-64 or 64-bit ARM",
    "landlock": "use Linux 5.13 or newer, with landlock in the kernel option lsm=",
    "network_namespace": "allow user namespaces (docs/air-gap.md)",
}


def glibc() -> str:
    """Version of the C library, `2.36`; empty where it is another library."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError):
        return ""
    return version if name == "glibc" else ""


def older(one: str, other: str) -> bool:
    """Whether version `one` is before `other`, by numbers."""
    return tuple(map(int, one.split("."))) < tuple(map(int, other.split(".")))


def python_here() -> str:
    """Major and minor version of the interpreter that runs this."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def lacks(needs: Needs, folder: Path) -> tuple[str, ...]:
    """What is wrong with this machine, one sentence each, without a full stop; empty where nothing is.

    Args:
        needs: of the bundle.
        folder: where it is to be installed; it need not be there.
    """
    found = []
    if sys.platform != "linux" or platform.machine() != needs.machine:
        found.append(
            f"the bundle is for Linux on {needs.machine}; this is {platform.system()} on {platform.machine()}"
        )
    if python_here() != needs.python:
        found.append(
            f"the bundle needs Python {needs.python}, found {python_here()}: install python{needs.python}"
        )
    if importlib.util.find_spec("venv") is None:
        found.append(f"{sys.executable} has no module venv: install python3-venv")
    here = glibc()
    if not here or older(here, needs.glibc):
        found.append(f"the bundle needs glibc {needs.glibc} or newer, found {here or 'another C library'}")
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if free < needs.room:
        found.append(
            f"the installation takes {needs.room / _GIB:.1f} GiB; "
            f"{free / _GIB:.1f} GiB are free under {there}"
        )
    return tuple(found)


def layers(code: Path) -> dict[str, str]:
    """Each layer of isolation with "on", or with the reason why this kernel refuses it.

    Args:
        code: folder with our packages.

    Raises:
        Refused: they could not be tried.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _LAYERS, str(code)],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
        told: dict[str, str] = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError) as failed:
        why = "it took too long" if isinstance(failed, subprocess.TimeoutExpired) else "the trial ended early"
        raise Refused(
            f"the kernel's layers of isolation could not be tried: {why}", "try again; nothing was installed"
        ) from failed
    return told


def remedy(layer: str) -> str:
    """What switches a layer on."""
    return _REMEDIES[layer]
