"""Daemons that end badly: processes of their own that open the workspace, begin what is due, and die."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from appliance.api import Appliance
from appliance.evidence.log import EvidenceLog
from audit_core import audit
from simulated.site import PASSPHRASE

Act = Callable[[Appliance], object]


def beginning(site: Appliance) -> None:
    """What a daemon does in a minute."""
    site.run_due()


def killed_at(step: int) -> Act:
    """A daemon that is killed before or after one of the next writes to log and catalogue."""

    def act(site: Appliance) -> None:
        with _dying(type(site._workspace.catalogue), step):
            site.run_due()

    return act


def switched_off(site: Appliance) -> None:
    """A daemon, and a machine that loses its power in the middle of an audit."""
    site.run_due()
    with mock.patch.object(audit, "judge", lambda *_, **__: _die()):
        site._work_through(lambda: None)


def separate(root: Path, *acts: Act) -> list[int]:
    """Every act in a process of its own, all at the same time; how each ended."""
    begin, go = os.pipe()
    children = [_child(root, act, begin, go) for act in acts]
    os.close(begin)
    os.close(go)
    return [os.waitpid(child, 0)[1] for child in children]


def _child(root: Path, act: Act, begin: int, go: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        os.close(go)
        with Appliance.unlock(root, PASSPHRASE) as site:
            os.read(begin, 1)  # until everybody is there
            act(site)
        os._exit(0)
    finally:  # whatever stopped it: this process goes no further
        os._exit(1)


@contextmanager
def _dying(catalogue: type[Any], step: int) -> Iterator[None]:
    left = step

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            nonlocal left
            for turn in (0, 1):
                left -= 1
                if left < 0:
                    _die()
                if turn == 0:
                    found = real(*given, **named)
            return found

        return call

    with ExitStack() as held:
        for owner, name in ((EvidenceLog, "_write"), (catalogue, "set_settings"), (catalogue, "set_setting")):
            held.enter_context(mock.patch.object(owner, name, counted(getattr(owner, name))))
        yield


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
