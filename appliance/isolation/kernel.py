"""System calls without a library between, because the box must close before anything is loaded.

Imports nothing but ctypes and os, so that closing costs milliseconds and starts no thread.
"""

from __future__ import annotations

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)

MACHINE = os.uname().machine
SUPPORTED = MACHINE in ("x86_64", "aarch64")

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38


def call(number: int, *arguments: object) -> int:
    """One system call by number; integers go as 64-bit values, ctypes objects as they are.

    Raises:
        OSError: the kernel refused, with its errno.
    """
    converted = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    ctypes.set_errno(0)
    result = int(LIBC.syscall(ctypes.c_long(number), *converted))
    if result < 0:
        raise_errno()
    return result


def prctl(option: int, value: int) -> None:
    """Set one attribute of this process.

    Raises:
        OSError: the kernel refused.
    """
    zero = ctypes.c_ulong(0)
    if LIBC.prctl(option, ctypes.c_ulong(value), zero, zero, zero) != 0:
        raise_errno()


def raise_errno() -> None:
    """Turn the errno of the last call into an exception.

    Raises:
        OSError: always.
    """
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
