"""What a pack says of the machine and the packages of a run: as they are, and no name of the machine."""

from __future__ import annotations

import json
import re
import tomllib
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


def digest_of(root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(gathering, "_ROOT", root)
    digest: str = gathering.code_digest.__wrapped__()
    return digest


def test_the_digest_of_the_code_is_over_all_that_is_installed() -> None:
    """Every module, and every file that pyproject installs beside them; no cache, no study."""
    covered = gathering.code_files(ROOT)
    packages = ("audit_core", "medio", "appliance", "tui")
    modules = {one.relative_to(ROOT).as_posix() for name in packages for one in (ROOT / name).rglob("*.py")}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    data = {
        one.relative_to(ROOT).as_posix()
        for package, patterns in settings["package-data"].items()
        for pattern in patterns
        for one in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    assert data >= {"tui/app.tcss", "appliance/pack/crosswalk/clauses.toml"}
    assert any(name.endswith(".timer") for name in data) and len(modules) > 500
    assert set(covered) == modules | data
    assert list(covered) == sorted(covered)


@pytest.mark.parametrize(
    "name", ["clauses.toml", "words.json", "app.tcss", "serve.service", "run.timer", "x.py"]
)
def test_one_byte_of_code_or_of_its_data_is_another_digest(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another byte, name or file each tell; a cache and the models of the demonstration do not."""
    folder = tmp_path / "appliance" / "deep"
    folder.mkdir(parents=True)
    (folder / name).write_text("one")
    first = digest_of(tmp_path, monkeypatch)
    for aside in ("__pycache__", "assets"):
        (folder / aside).mkdir()
        (folder / aside / name).write_text("one")
    (folder / "notes.txt").write_text("one")
    assert digest_of(tmp_path, monkeypatch) == first
    (folder / name).write_text("two")
    changed = digest_of(tmp_path, monkeypatch)
    (folder / name).rename(folder / f"other-{name}")
    renamed = digest_of(tmp_path, monkeypatch)
    (folder / name).write_text("one")
    assert len({first, changed, renamed, digest_of(tmp_path, monkeypatch)}) == 4
