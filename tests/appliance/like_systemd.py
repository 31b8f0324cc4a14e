"""Runs a program as a unit of ours would: system calls, address families, namespaces, no network, no rights.

    python -m tests.appliance.like_systemd UNIT PROGRAM ARGUMENT...

What PID 1 is needed for is not here: read-only trees, private /dev and /tmp, control groups, credentials.
Sets of system calls come from `systemd-analyze syscall-filter`, their numbers from the kernel's header.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import subprocess
import sys
from pathlib import Path

from appliance.isolation import seccomp
from appliance.isolation.kernel import MACHINE, PR_SET_NO_NEW_PRIVS, call, prctl
from appliance.isolation.syscalls import NUMBER

HEADERS = (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm/unistd_64.h"))
FLAGS = {"user": 0x10000000, "net": 0x40000000, "ipc": 0x08000000}
ALL_FLAGS = 0x7E020080  # with the one for time
UNIX = 1


def can() -> str:
    """Why it cannot be done here, else empty."""
    if MACHINE != "x86_64" or not any(path.is_file() for path in HEADERS):
        return "not shown: needs x86-64 and the kernel's headers"
    if not _sets("@system-service"):
        return "not shown: needs systemd-analyze"
    made = subprocess.run([*_unshare(), "true"], capture_output=True, check=False)
    return "" if made.returncode == 0 else "not shown: needs user namespaces"


def settings(unit: str) -> list[tuple[str, str]]:
    """Directives of a unit's text, in their order."""
    return [tuple(line.split("=", 1)) for line in unit.splitlines() if re.match(r"[A-Z]\w+=", line)]  # type: ignore[misc]


def _sets(name: str) -> set[str]:
    """Names of a set of system calls, sets inside it resolved."""
    if not name.startswith("@"):
        return {name}
    try:
        done = subprocess.run(
            ["systemd-analyze", "syscall-filter", "--no-pager", name],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return set()
    listed = {line.strip() for line in done.stdout.splitlines()[1:]}
    return {one for line in listed if line and line[0] != "#" for one in _sets(line)}


def allowed(unit: str) -> set[int]:
    """Numbers of the calls that a unit's filter lets through."""
    names: set[str] = set()
    for key, value in settings(unit):
        if key == "SystemCallFilter":
            taken = {one for word in value.removeprefix("~").split() for one in _sets(word)}
            names = names - taken if value.startswith("~") else names | taken
    header = next(path for path in HEADERS if path.is_file()).read_text(encoding="utf-8")
    known = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header)}
    return {known[name] for name in names if name in known}


def program(unit: str) -> bytes:
    """The filter as the kernel wants it; what is not allowed is refused as systemd refuses it."""
    given = dict(settings(unit))
    spaces = sum(FLAGS[name] for name in given["RestrictNamespaces"].split())
    assert given["RestrictAddressFamilies"] == "AF_UNIX" and given["SystemCallErrorNumber"] == "EPERM"
    others = ALL_FLAGS & ~spaces
    refused = seccomp._refuse(errno.EPERM)
    rules = [
        seccomp._load(seccomp._AT_NUMBER),
        *seccomp._when(seccomp._EQUAL, NUMBER["clone3"], seccomp._refuse(errno.ENOSYS)),
        *seccomp._argument(
            NUMBER["socket"], 0, [*seccomp._unless(seccomp._EQUAL, UNIX, seccomp._refuse(errno.EAFNOSUPPORT))]
        ),
        *seccomp._argument(NUMBER["unshare"], 0, [*seccomp._when(seccomp._ANY_BIT, others, refused)]),
        *seccomp._argument(NUMBER["clone"], 0, [*seccomp._when(seccomp._ANY_BIT, others & ~0x80, refused)]),
    ]
    numbers = sorted(allowed(unit))
    rules += [part for number in numbers for part in seccomp._when(seccomp._EQUAL, number, seccomp._ALLOW)]
    return b"".join([*rules, seccomp._return(refused)])


def install(code: bytes) -> None:
    """For good, and for every program that follows."""
    buffer = ctypes.create_string_buffer(code, len(code))
    head = seccomp._Program(len(code) // 8, ctypes.addressof(buffer))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    call(NUMBER["seccomp"], 1, 0, ctypes.byref(head))


def _unshare() -> list[str]:
    return ["unshare", "--user", "--map-current-user", "--net", "--ipc", "--mount"]


def command(unit: Path, *rest: str) -> list[str]:
    """What runs a program like this."""
    return [*_unshare(), sys.executable, "-m", "tests.appliance.like_systemd", str(unit), *rest]


def main() -> None:
    """Become the program."""
    unit, name, *rest = sys.argv[1:]
    code = program(Path(unit).read_text(encoding="utf-8"))
    os.umask(0o077)
    install(code)
    os.execvp(name, [name, *rest])


if __name__ == "__main__":
    main()
