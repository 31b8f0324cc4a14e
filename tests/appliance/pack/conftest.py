"""What several tests begin with: one small audit and its pack, and a quarter with its answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from appliance.evidence.log import EvidenceLog
from appliance.pack.facts import PackInput
from tests.appliance.pack import answer_case, interop_case
from tests.appliance.pack.small_pack import small_parts

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


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[answer_case.Quarterly]:
    """A quarter, with packs of a few kilobytes."""
    with small_parts():
        yield answer_case.built(tmp_path_factory.mktemp("quarter") / "log")


@pytest.fixture(scope="module")
def answer(made: answer_case.Quarterly) -> bytes:
    """The answer about the line in the third quarter."""
    return made.answer()
