"""Run a command whose every attempt to connect or send somewhere fails and is counted by the kernel.

Audit hooks see Python code only; a library in C or Rust passes them by. Here a seccomp filter of the "ask a
supervisor" kind lies under the command and all its descendants, and the supervisor answers "not permitted".
A process that closed its own box is stopped by that box first: its probe of itself does not count.
Socket pairs and answers on open connections are left alone: they name no destination.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":  # started alone, with no package path
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from appliance.isolation.kernel import MACHINE, PR_SET_NO_NEW_PRIVS, call, prctl
from appliance.isolation.syscalls import NUMBER

_WATCHED = ("connect", "sendto", "sendmsg", "sendmmsg", "io_uring_setup")
_NAMES = {NUMBER[name]: name for name in _WATCHED}
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[MACHINE]
_NEW_LISTENER = 1 << 3
_RECEIVE, _ANSWER = 0xC0502100, 0xC0182101
_CONTINUE = 1
_ASK, _ALLOW, _KILL = 0x7FC00000, 0x7FFF0000, 0x80000000
_FAMILIES = {1: "unix", 2: "ipv4", 10: "ipv6", 16: "netlink", 17: "packet", 40: "vsock"}


@dataclass(frozen=True, slots=True)
class Watched:
    """How the command ended and what it tried: "connect ipv4 by NAME", one line each."""

    returncode: int
    stdout: str
    stderr: str
    attempts: tuple[str, ...]


def watch(command: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> Watched:
    """Run `command` to its end with every way out refused and counted.

    Raises:
        OSError: this kernel has no such filter, or does not let us install one.
        subprocess.TimeoutExpired: it took longer than `timeout_s`.
    """
    from_child, to_parent = os.pipe()
    from_parent, to_child = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-S", __file__, str(to_parent), str(from_parent), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(environment),
        pass_fds=(to_parent, from_parent),
    )
    os.close(to_parent)
    os.close(from_parent)
    number = os.read(from_child, 16)
    os.close(from_child)
    if not number:
        os.close(to_child)
        raise OSError(errno.ENOSYS, f"the filter could not be installed: {process.communicate()[1]}")
    handle = os.pidfd_open(process.pid)
    listener = call(NUMBER["pidfd_getfd"], handle, int(number), 0)
    os.close(handle)
    attempts: list[str] = []
    supervisor = threading.Thread(target=_supervise, args=(listener, attempts), daemon=True)
    supervisor.start()
    os.close(to_child)  # the child waits for this end of file
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    supervisor.join(timeout=10)
    os.close(listener)
    return Watched(process.returncode, stdout, stderr, tuple(attempts))


def _supervise(listener: int, attempts: list[str]) -> None:
    """Answer until the last process under the filter is gone."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        events = poll.poll()
        if not events[0][1] & select.POLLIN:
            return
        question = bytearray(80)
        try:
            fcntl.ioctl(listener, _RECEIVE, question)
        except FileNotFoundError:
            continue  # the asking process died meanwhile
        identity, pid, _, number, _, _, *arguments = struct.unpack("=QIIiIQ6Q", question)
        family = _family(pid, _NAMES[number], arguments)
        if family is not None:
            attempts.append(f"{_NAMES[number]} {family} by {_name_of(pid)}")
        answer = struct.pack("=QqiI", identity, 0, *((0, _CONTINUE) if family is None else (-errno.EPERM, 0)))
        try:
            fcntl.ioctl(listener, _ANSWER, answer)
        except FileNotFoundError:
            continue


def _family(pid: int, name: str, arguments: Sequence[int]) -> str | None:
    """Family of the destination; None when the call names none."""
    if name == "io_uring_setup":
        return "io_uring"
    address = arguments[4] if name == "sendto" else arguments[1]
    try:
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            if name in ("sendmsg", "sendmmsg"):
                memory.seek(address)
                (address,) = struct.unpack("=Q", memory.read(8))
            if address == 0:
                return None
            memory.seek(address)
            (family,) = struct.unpack("=H", memory.read(2))
    except (OSError, ValueError, struct.error):
        return "unreadable"
    return _FAMILIES.get(family, str(family))


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120]
    except OSError:
        return "a process that ended"


def _launch(report: int, wait: int, command: list[str]) -> None:
    """Child side: install the filter, tell its descriptor, wait until it was taken, become the command."""

    def instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, if_true, if_false, value)

    code = instruction(0x20, 4) + instruction(0x15, _AUDIT_ARCH, 1, 0) + instruction(0x06, _KILL)
    code += instruction(0x20, 0)
    for number in _NAMES:
        code += instruction(0x15, number, 0, 1) + instruction(0x06, _ASK)
    code += instruction(0x06, _ALLOW)
    buffer = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("=H6xQ", len(code) // 8, ctypes.addressof(buffer))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    listener = call(NUMBER["seccomp"], 1, _NEW_LISTENER, ctypes.create_string_buffer(head, len(head)))
    os.write(report, str(listener).encode())
    os.close(report)
    os.read(wait, 1)
    os.close(listener)
    os.execvp(command[0], command)


if __name__ == "__main__":
    _launch(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
