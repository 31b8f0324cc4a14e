"""Closing the box: three layers, because each alone leaks (SECURITY §4).

To be called first thing in a freshly started process, before numpy or torch: with a second thread the
kernel refuses a user namespace, and Landlock would cover the calling thread alone.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.isolation import landlock, namespace, seccomp
from appliance.isolation.kernel import MACHINE, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, SUPPORTED, prctl

LAYERS = ("network_namespace", "seccomp", "landlock")
"""The layers a policy may require, as `close_box` names them."""

ON = "on"

_WITHOUT_A_TEMPORARY_FOLDER = {"TORCHINDUCTOR_CACHE_DIR": "/proc/self", "JOBLIB_MULTIPROCESSING": "0"}
"""torch and joblib otherwise look for a folder to write to while they are imported, and fail."""

_NOT_IMPORTED = ("matplotlib",)
"""Optional to monai and others, which import it where it is installed; it wants a folder to write to."""


def close_box(
    read: Sequence[Path], write: Sequence[Path] = (), devices: Sequence[Path] = ()
) -> dict[str, str]:
    """Cut this process off from networks, other processes and all but the given files, for good.

    Args:
        read: files and folders to stay readable besides the system's own (code, libraries, one site folder).
        write: files and folders to stay writable; usually none.
        devices: device files of a graphics card to stay usable; none but for a model that is to run on it.

    Returns:
        Each of `LAYERS` with "on", or with the reason in words why it is missing. The caller decides
        what a missing layer means.
    """
    if not SUPPORTED:
        return dict.fromkeys(LAYERS, f"not written for {MACHINE} machines")
    if (threads := len(list(Path("/proc/self/task").iterdir()))) > 1:
        return dict.fromkeys(
            LAYERS, f"{threads} threads run already; the box must close before any library starts one"
        )
    os.environ.update(_WITHOUT_A_TEMPORARY_FOLDER)
    for name in _NOT_IMPORTED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # the way to say: there is none
    layers = {"network_namespace": _layer(namespace.enter)}
    _give_up_privileges()
    layers["landlock"] = _layer(lambda: landlock.restrict(read, write, devices))
    layers["seccomp"] = _layer(seccomp.install)  # last: it refuses what the others needed
    return layers


def _give_up_privileges() -> None:
    """No capability, no way to gain one, and no core dump: studies in memory must not reach the disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    namespace.drop_capabilities()


def _layer(close: Callable[[], object]) -> str:
    try:
        close()
    except OSError as refused:
        return f"the kernel refused: {refused.strerror} (errno {refused.errno})"
    return ON
