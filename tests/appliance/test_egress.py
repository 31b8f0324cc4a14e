"""The offline switches and the counter of attempts, in own processes: audit hooks stay for life."""

from __future__ import annotations

import subprocess
import sys

import pytest

from appliance.egress import OFFLINE_ENV, assert_offline
from appliance.errors import ApplianceError


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_going_offline_sets_every_switch_before_the_libraries_look() -> None:
    """After `go_offline` the hub library itself believes to be offline, whatever the environment said."""
    code = """
import os
os.environ["HF_HUB_OFFLINE"] = "0"
from appliance import egress
egress.go_offline(); egress.assert_offline()
from huggingface_hub import constants
print(constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_TELEMETRY)
"""
    assert "True True" == _run(code)


@pytest.mark.parametrize("name", sorted(OFFLINE_ENV))
def test_a_missing_switch_stops_the_start(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each switch is asserted, and named when it is missing."""
    for switch, value in OFFLINE_ENV.items():
        monkeypatch.setenv(switch, value)
    assert_offline()
    monkeypatch.delenv(name)
    with pytest.raises(ApplianceError, match=name):
        assert_offline()


def test_attempts_are_counted_with_their_address() -> None:
    """A connect and a look-up are one line each, also when the caller swallows the failure."""
    code = """
import socket
from appliance import egress
egress.go_offline(); egress.go_offline()
with socket.socket() as one:
    try: one.connect(("127.0.0.1", 9))
    except OSError: pass
socket.getaddrinfo("127.0.0.1", 80)
left, right = socket.socketpair(); left.sendmsg([b"x"])
print(*egress.attempts(), sep="\\n")
"""
    assert ["socket.connect ('127.0.0.1', 9)", "socket.getaddrinfo '127.0.0.1'"] == _run(code).splitlines()
