"""The guards themselves: each is first seen to catch something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guard.kernel_watch import Watched, watch

ROOT = Path(__file__).parent.parent
HOOK = ROOT / "tests" / "guard" / "hook"

CONNECT_OUTSIDE = "import socket; socket.create_connection(('192.0.2.1', 9), timeout=1)"
LOOK_UP = "import socket; socket.getaddrinfo('example.invalid', 80)"
CONNECT_LOOPBACK = """
import socket
with socket.create_server(('127.0.0.1', 0)) as server, socket.create_connection(server.getsockname()): pass
"""
CONNECT_PAST_PYTHON = """
import ctypes, struct
libc = ctypes.CDLL(None)
address = struct.pack('=H', 2) + struct.pack('!H4B8x', 9, 127, 0, 0, 1)
libc.connect(libc.socket(2, 1, 0), address, len(address))
"""
SOCKET_PAIR = """
import socket
one, two = socket.socketpair()
one.send(b'x'); one.sendmsg([b'y']); assert two.recv(2) == b'xy'
"""


def _run_guarded(code: str, counter: Path, scope: str) -> tuple[int, int]:
    """Run code in a child under the Python guard; its return code and the attempts counted."""
    environment = os.environ | {
        "PYTHONPATH": str(HOOK),
        "GRADAUDIT_GUARD_FILE": str(counter),
        "GRADAUDIT_GUARD_SCOPE": scope,
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    return done.returncode, len(counter.read_text().splitlines())


@pytest.mark.parametrize("code", [CONNECT_OUTSIDE, LOOK_UP])
@pytest.mark.parametrize("scope", ["outside", "all"])
def test_reaching_outside_is_refused_and_counted(code: str, scope: str, tmp_path: Path) -> None:
    """A connect or a look-up of a child process fails and leaves one line."""
    assert (1, 1) == _run_guarded(code, tmp_path / "counter", scope)


def test_loopback_is_free_in_the_suite_and_counted_in_the_demo(tmp_path: Path) -> None:
    """The two scopes differ in what they think of this machine's own addresses."""
    assert (0, 0) == _run_guarded(CONNECT_LOOPBACK, tmp_path / "outside", "outside")
    returncode, attempts = _run_guarded(CONNECT_LOOPBACK, tmp_path / "all", "all")
    assert (1, True) == (returncode, attempts > 0)


@pytest.mark.parametrize(
    ("body", "code", "line"),
    [
        ("pass", 0, "network guard: 0 attempts"),
        (
            f"try:\n        exec({CONNECT_OUTSIDE!r})\n    except OSError:\n        pass",
            1,
            "network guard: 1 attempts",
        ),
        (
            f"import subprocess, sys\n    subprocess.run([sys.executable, '-c', {LOOK_UP!r}])",
            1,
            "network guard: 1 attempts",
        ),
        ("import pytest\n    pytest.skip('not shown: needs a moon')", 0, "not shown: needs a moon (1)"),
        ("import pytest\n    pytest.skip('no time')", 1, "without a reason that counts: no time (1)"),
    ],
    ids=["quiet", "swallowed connect", "child look-up", "said", "unsaid"],
)
def test_a_suite_fails_by_what_it_reached_or_left_out(
    body: str, code: int, line: str, tmp_path: Path
) -> None:
    """A run with our conftest fails for a swallowed attempt, a child's attempt and an unexplained skip."""
    (tmp_path / "test_inner.py").write_text(f"def test_inner():\n    {body}\n")
    environment = {name: value for name, value in os.environ.items() if name != "GRADAUDIT_GUARD_FILE"}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-c",
            str(ROOT / "pyproject.toml"),
            "-p",
            "tests.conftest",
            str(tmp_path),
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert code == done.returncode, done.stdout
    assert line in done.stdout


def _watched(code: str) -> Watched:
    try:
        return watch([sys.executable, "-S", "-c", code], os.environ, timeout_s=30)
    except OSError as missing:
        pytest.skip(f"not shown: needs a kernel with supervised system call filters ({missing.strerror})")


@pytest.mark.parametrize(
    "code",
    [
        CONNECT_PAST_PYTHON,
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CONNECT_PAST_PYTHON!r}])",
    ],
)
def test_the_kernel_watch_counts_what_python_cannot_see(code: str) -> None:
    """A connect by the C library, to loopback, in the process or in its child, is one attempt."""
    assert [attempt.split(" by ")[0] for attempt in _watched(code).attempts] == ["connect ipv4"]


def test_the_kernel_watch_leaves_socket_pairs_alone() -> None:
    """Talking to oneself names no destination and is no attempt."""
    watched = _watched(SOCKET_PAIR)
    assert (0, ()) == (watched.returncode, watched.attempts)


def test_a_boxed_process_probing_itself_is_no_attempt() -> None:
    """The box answers before the watch is asked, so a worker's self-probe stays out of the count."""
    code = "from appliance.isolation import close_box, probe; close_box([]); assert all(probe().values())"
    watched = watch([sys.executable, "-c", code], os.environ, timeout_s=30)
    assert (0, ()) == (watched.returncode, watched.attempts), watched.stderr
