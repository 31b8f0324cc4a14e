"""One small audit and its pack, made once for all validators of a process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from appliance.evidence.log import EvidenceLog
from appliance.pack.facts import PackInput
from tests.appliance.pack import interop_case

Site = tuple[EvidenceLog, PackInput]


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """A log with a closed audit; nobody appends to it."""
    with TemporaryDirectory() as folder:
        yield interop_case.closed(Path(folder) / "log")


@pytest.fixture(scope="session")
def members(site: Site) -> dict[str, bytes]:
    """The members of its pack."""
    return interop_case.packed(*site)
