"""Layer 1: a network with no interface, and no privileges to make another."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from appliance.isolation.kernel import LIBC, raise_errno

_NEW_USER, _NEW_NET, _NEW_IPC = 0x10000000, 0x40000000, 0x08000000
_CAPABILITY_VERSION_3 = 0x20080522


class _CapabilityHead(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilitySet(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def enter() -> None:
    """Leave the machine's network for an empty one; works without root where user namespaces are allowed.

    Raises:
        OSError: this kernel or its administrator does not allow it, or a second thread runs already.
    """
    user, group = os.geteuid(), os.getegid()
    try:
        _unshare(_NEW_USER | _NEW_NET | _NEW_IPC)
    except OSError:
        if user != 0:
            raise
        _unshare(_NEW_NET | _NEW_IPC)  # root in a container that forbids user namespaces
        return
    _keep_identity(user, group)


def drop_capabilities() -> None:
    """Give up every privilege, also those that came with the new namespace.

    Raises:
        OSError: the kernel refused.
    """
    head = _CapabilityHead(_CAPABILITY_VERSION_3, 0)
    nothing = (_CapabilitySet * 2)()
    if LIBC.capset(ctypes.byref(head), ctypes.byref(nothing)) != 0:
        raise_errno()


def _unshare(flags: int) -> None:
    if LIBC.unshare(flags) != 0:
        raise_errno()


def _keep_identity(user: int, group: int) -> None:
    """Without a map the process would be called "nobody"; files stay reachable, so failing is fine."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        try:
            Path("/proc/self", name).write_text(text, encoding="ascii")
        except OSError:
            return
