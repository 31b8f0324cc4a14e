"""Layer 3: which files this process may open, and no TCP. Kernel documentation: userspace-api/landlock.

Own calls instead of a library: docs/decisions/own-isolation.md.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

from appliance.isolation.kernel import call
from appliance.isolation.syscalls import NUMBER

_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15
_ON_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_READ = _READ_FILE | _READ_DIR
_FILE_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many of the low bits exist
_ALL_TCP = 0b11  # bind, connect; from ABI 4
_ALL_SCOPES = 0b11  # abstract Unix sockets, signals; from ABI 6

SYSTEM_FILES: tuple[str, ...] = (
    "/usr", "/lib", "/lib64",
    "/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/etc/mime.types", "/etc/os-release",
    "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/ssl/openssl.cnf",
    "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/sys/vm",
    "/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm/transparent_hugepage",
    "/dev/zero", "/dev/urandom", "/dev/random",
)  # fmt: skip
"""What Python and numeric libraries read on any machine; nothing of the site is among it."""

_DEVICES = ("/dev/null",)


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("rights", ctypes.c_uint64), ("descriptor", ctypes.c_int32)]


def abi() -> int:
    """Version of the kernel's interface, 1 and up.

    Raises:
        OSError: Landlock is not built in or not switched on.
    """
    return call(NUMBER["landlock_create_ruleset"], None, 0, _VERSION)


def restrict(read: Sequence[Path], write: Sequence[Path], devices: Sequence[Path] = ()) -> int:
    """Leave `read` and the system's own files readable and `write` writable; the rest is gone. No TCP.

    Args:
        read: files or folders; a missing one is left out.
        write: likewise, readable too.
        devices: device files to be opened and spoken to; anything else among them is left out.

    Returns:
        The ABI in force: below 4 the TCP part is missing.

    Raises:
        OSError: the kernel refused; nothing is restricted then.
    """
    version = abi()
    handled = (1 << _FILE_RIGHTS_BY_ABI.get(version, 16)) - 1
    rules = _Ruleset(handled, _ALL_TCP if version >= 4 else 0, _ALL_SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = call(NUMBER["landlock_create_ruleset"], ctypes.byref(rules), size, 0)
    try:
        for path in [*map(Path, SYSTEM_FILES), *read]:
            _allow(ruleset, path, _READ)
        for path in [*map(Path, _DEVICES), *write]:
            _allow(ruleset, path, handled & ~_EXECUTE)
        for path in filter(Path.is_char_device, devices):
            _allow(ruleset, path, handled & (_READ_FILE | _WRITE_FILE | _IOCTL_DEVICE))
        call(NUMBER["landlock_restrict_self"], ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not path.is_dir():
            rights &= _ON_A_FILE
        beneath = _Beneath(rights, descriptor)
        call(NUMBER["landlock_add_rule"], ruleset, _PATH_BENEATH, ctypes.byref(beneath), 0)
    finally:
        os.close(descriptor)
