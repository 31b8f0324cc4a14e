"""The demonstration where every connect and look-up, also to loopback, fails and is counted: none is made."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.guard.kernel_watch import watch

HOOK = Path(__file__).parent / "guard" / "hook"
TIMEOUT_S = 300


def test_the_demonstration_makes_no_attempt_to_reach_anything(tmp_path: Path) -> None:
    """Zero attempts by what the kernel saw, by what Python saw and by the demonstration's own count."""
    counter = tmp_path / "counter"
    environment = os.environ | {
        "PYTHONPATH": str(HOOK),
        "GRADAUDIT_GUARD_FILE": str(counter),
        "GRADAUDIT_GUARD_SCOPE": "all",
    }
    command = [
        str(Path(sys.executable).with_name("gradaudit")),
        "demo",
        "--json",
        "--keep",
        str(tmp_path / "demo"),
    ]
    try:
        watched = watch(command, environment, TIMEOUT_S)
    except OSError as missing:
        pytest.skip(f"not shown: needs a kernel with supervised system call filters ({missing.strerror})")
    assert () == watched.attempts
    assert "" == counter.read_text()
    assert 0 == watched.returncode, watched.stderr
    outcome = json.loads(watched.stdout)
    assert 0 == outcome["egress_attempts"]
    assert 3 == len(outcome["models"])
