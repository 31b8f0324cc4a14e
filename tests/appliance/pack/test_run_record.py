"""What a pack says of the machine and the packages of a run: as they are, and no name of the machine."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

from appliance.pack import gathering

ROOT = Path(__file__).resolve().parents[3]


def test_the_lock_is_named_by_digest_and_in_the_versions_found() -> None:
    """Every pin of the lock file as it is installed; the suite runs on locked versions, none differs."""
    text = (ROOT / "requirements.lock").read_bytes()
    pins = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)$", text.decode(), re.MULTILINE))
    lock = gathering._locked()
    assert (sha256(text).hexdigest(), pins) == (lock["sha256"], lock["packages"])
    assert [] == lock["not_as_locked"]


def test_what_is_not_as_locked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version and a package that is absent are named; without a lock file there is no list at all."""
    monkeypatch.setattr(gathering, "_ROOT", tmp_path)
    assert {"sha256": "", "packages": {}, "not_as_locked": []} == gathering._locked.__wrapped__()
    (tmp_path / "requirements.lock").write_text("numpy==0.0.1\nno-such-package==1.0\n")
    lock = gathering._locked.__wrapped__()
    assert ["no-such-package", "numpy"] == lock["not_as_locked"]
    assert ["numpy"] == list(lock["packages"])


def test_the_machine_is_told_without_its_name() -> None:
    """Processor, cores and memory, in whole numbers; neither host name nor path."""
    run = gathering._run(3)
    assert run["hardware"]["cores"] >= 1
    assert run["hardware"]["memory_gib"] >= 1
    assert {"processor", "cores", "memory_gib"} == set(run["hardware"])
    assert str(ROOT) not in json.dumps(run)
