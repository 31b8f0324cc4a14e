"""Each system call of an append fails once: the act is refused, nothing is lost, there is no false alarm."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import LogUnwritable
from appliance.evidence.log import EvidenceLog

CALLS = ("open", "pwrite", "write", "ftruncate", "fsync", "rename", "replace")


class FaultyCalls:
    """Counts the system calls that change files and lets the n-th fail, before or after it took effect."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail_at: int, after: bool) -> None:
        self.seen = 0
        self.names: list[str] = []
        self.fail_at = fail_at
        self.after = after
        for name in CALLS:
            monkeypatch.setattr(os, name, self._wrapped(getattr(os, name)))

    def _wrapped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            if call.__name__ == "open" and arguments[1] & os.O_ACCMODE == os.O_RDONLY:
                return call(*arguments, **named)
            self.seen += 1
            self.names.append(call.__name__)
            if self.seen != self.fail_at:
                return call(*arguments, **named)
            if self.after and call.__name__ != "open":
                call(*arguments, **named)
            raise OSError(5, "Input/output error")

        return counted


@pytest.mark.parametrize("after", [False, True], ids=["before it acts", "after it acted"])
def test_every_failing_call_refuses_the_act(tmp_path: Path, after: bool) -> None:
    """The n-th call fails, n = 1 … all: LogUnwritable each time; opened anew the log is whole."""
    directory = tmp_path / "log"
    EvidenceLog.open(directory)
    fail_at, refused = 0, 0
    while True:
        fail_at += 1
        log = EvidenceLog.open(directory)
        acknowledged = log.append("a.before")
        with pytest.MonkeyPatch.context() as patch:
            faulty = FaultyCalls(patch, fail_at, after)
            try:
                log.append("a.refused")
            except LogUnwritable:
                refused += 1
            if faulty.seen < fail_at:  # all calls of one append have had their turn
                break
        again = EvidenceLog.open(directory)
        assert again.entries(acknowledged.index, 1) == [acknowledged]
        assert again.verify().intact
    assert refused == fail_at - 1
    assert refused >= 7


def test_an_append_waits_for_the_disk_in_this_order(tmp_path: Path) -> None:
    """Journal, history and new checkpoint each reach the disk before the next step; so does the rename."""
    log = EvidenceLog.open(tmp_path / "log")
    with pytest.MonkeyPatch.context() as patch:
        faulty = FaultyCalls(patch, 0, after=False)
        log.append("a.b")
    in_place = ["open", "pwrite", "ftruncate", "fsync"]
    assert [*in_place, *in_place, "open", "pwrite", "fsync", "rename", "fsync"] == faulty.names
