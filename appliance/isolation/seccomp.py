"""Layer 2: a filter in front of every system call of this process and its threads.

Own assembly of some 150 instructions instead of a library: docs/decisions/own-isolation.md.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from appliance.isolation.kernel import MACHINE, call
from appliance.isolation.syscalls import NEWEST_KNOWN, NUMBER, REFUSED

_SET_MODE_FILTER = 1
_FLAG_TSYNC = 1  # every thread, not only the caller

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_KILL_PROCESS = 0x80000000

_LOAD = 0x20  # accumulator = 32-bit word of seccomp_data
_EQUAL, _GREATER, _GREATER_EQUAL, _ANY_BIT = 0x15, 0x25, 0x35, 0x45
_RETURN = 0x06

_AT_NUMBER, _AT_ARCH = 0, 4
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000  # a second numbering of the same calls on x86-64

_CLONE_THREAD = 0x00010000
_CLONE_NEW_ANY = 0x7E020000  # mount, cgroup, uts, ipc, user, pid, net
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # type into somebody's terminal


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def install() -> None:
    """Refuse what `syscalls` lists, for good and for every thread.

    Raises:
        OSError: the kernel has no filters, or does not allow this one.
    """
    code = program(os.getpid())
    buffer = ctypes.create_string_buffer(code, len(code))
    head = _Program(len(code) // 8, ctypes.addressof(buffer))
    result = call(NUMBER["seccomp"], _SET_MODE_FILTER, _FLAG_TSYNC, ctypes.byref(head))
    if result > 0:
        raise OSError(errno.EBUSY, f"thread {result} could not be brought under the filter")


def program(own_pid: int) -> bytes:
    """The filter as the kernel wants it: 8 bytes an instruction.

    Args:
        own_pid: the process that may send signals to itself.
    """
    return b"".join(
        [
            _load(_AT_ARCH),
            *_unless(_EQUAL, _AUDIT_ARCH[MACHINE], _KILL_PROCESS),
            _load(_AT_NUMBER),
            *([*_when(_GREATER_EQUAL, _X32_BIT, _refuse(errno.EPERM))] if MACHINE == "x86_64" else []),
            *_when(_GREATER, NEWEST_KNOWN, _refuse(errno.ENOSYS)),
            # The C library falls back to clone, whose flags can be read here.
            *_when(_EQUAL, NUMBER["clone3"], _refuse(errno.ENOSYS)),
            *(part for number in REFUSED.values() for part in _when(_EQUAL, number, _refuse(errno.EPERM))),
            # Threads yes, processes no: neither in a namespace of their own nor beside this one.
            *_argument(
                NUMBER["clone"],
                0,
                [
                    *_when(_ANY_BIT, _CLONE_NEW_ANY, _refuse(errno.EPERM)),
                    *_unless(_ANY_BIT, _CLONE_THREAD, _refuse(errno.EPERM)),
                ],
            ),
            *_argument(
                NUMBER["ioctl"],
                1,
                [
                    *_when(_EQUAL, _TIOCSTI, _refuse(errno.EPERM)),
                    *_when(_EQUAL, _TIOCLINUX, _refuse(errno.EPERM)),
                ],
            ),
            *(
                part
                for name in ("kill", "tgkill")
                for part in _argument(NUMBER[name], 0, [*_unless(_EQUAL, own_pid, _refuse(errno.EPERM))])
            ),
            *_argument(  # the limits of this process, never those of the one that started it
                NUMBER["prlimit64"],
                0,
                [*_when(_EQUAL, 0, _ALLOW), *_unless(_EQUAL, own_pid, _refuse(errno.EPERM))],
            ),
            _return(_ALLOW),
        ]
    )


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _load(offset: int) -> bytes:
    return _instruction(_LOAD, offset)


def _return(action: int) -> bytes:
    return _instruction(_RETURN, action)


def _refuse(number: int) -> int:
    return _ERRNO | number


def _when(test: int, value: int, action: int) -> tuple[bytes, bytes]:
    return _instruction(test, value, 0, 1), _return(action)


def _unless(test: int, value: int, action: int) -> tuple[bytes, bytes]:
    return _instruction(test, value, 1, 0), _return(action)


def _argument(number: int, index: int, checks: list[bytes]) -> list[bytes]:
    """Run `checks` on the low half of one argument of one call; every other call skips them."""
    low_half = 16 + 8 * index  # struct seccomp_data on a little-endian machine
    body = [_load(low_half), *checks, _return(_ALLOW)]
    return [_instruction(_EQUAL, number, 0, len(body)), *body]
