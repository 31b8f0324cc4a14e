"""Which calls of a command and of all it starts are for a network: told by strace, family by family."""

from __future__ import annotations

from pathlib import Path

CALLS = "socket,connect,bind,listen,accept,accept4,sendto,sendmsg,sendmmsg,recvfrom,recvmsg,recvmmsg"
LOCAL = ("AF_UNIX", "<UNIX")  # as an argument, and as strace -yy tells what a descriptor is


def watching(file: Path) -> list[str]:
    """What stands before a command so that its calls are written to `file`, a line each."""
    return ["strace", "-f", "-qq", "-yy", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(file)]


def network_calls(file: Path) -> list[str]:
    """The lines of calls that are not to this machine itself.

    A look-up of a local user's name asks nscd through a socket in the file system, where the C library has it
    so; that leaves no machine. The second half of a call that another process cut in two says no family.
    """
    lines = file.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
    return [line for line in lines if not any(sign in line for sign in LOCAL) and " resumed>" not in line]
