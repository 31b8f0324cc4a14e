"""Runs a program with the system calls of a unit, and no memory that is both written and executed.

    python -m tests.appliance.receiver.under_unit UNIT PROGRAM ARGUMENT...

As `like_systemd`, for a unit that may use the network.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from appliance.isolation import seccomp
from appliance.isolation.kernel import PR_SET_NO_NEW_PRIVS, prctl
from appliance.isolation.syscalls import NUMBER
from tests.appliance import like_systemd

PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1


def main() -> None:
    """Become the program."""
    unit, name, *rest = sys.argv[1:]
    rules = [
        seccomp._load(seccomp._AT_NUMBER),
        *seccomp._when(seccomp._EQUAL, NUMBER["clone3"], seccomp._refuse(errno.ENOSYS)),
    ]
    for number in sorted(like_systemd.allowed(Path(unit).read_text(encoding="utf-8"))):
        rules += seccomp._when(seccomp._EQUAL, number, seccomp._ALLOW)
    code = b"".join([*rules, seccomp._return(seccomp._refuse(errno.EPERM))])
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN)
    like_systemd.install(code)
    os.execvp(name, [name, *rest])


if __name__ == "__main__":
    main()
