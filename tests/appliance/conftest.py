"""What several tests of the appliance need."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from appliance.evidence import verify_evidence
from appliance.workspace import session
from tests.appliance import ward


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in memory for what `unlock` keeps, of this test alone."""
    if not session.is_memory(Path("/dev/shm")):
        pytest.skip("not shown: unlock, because this machine has no tmpfs at /dev/shm")
    directory = Path(tempfile.mkdtemp(prefix="gradaudit-test-", dir="/dev/shm"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of a ward whose findings nobody has opened; for copies only."""
    return ward.build(tmp_path_factory.mktemp("ward") / "workspace")


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    """A ward's site of a test's own."""
    return Path(shutil.copytree(built, tmp_path / "workspace"))


_valid = lru_cache(1 << 14)(verify_evidence.ed25519_valid)


@pytest.fixture(autouse=True)
def _same_signatures_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verifier's own arithmetic takes milliseconds a signature: the same one over the same text once."""
    monkeypatch.setattr(verify_evidence, "ed25519_valid", _valid)
