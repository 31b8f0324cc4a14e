"""One audit per family from a cold start: studies, model folder, cohort, verdict, evidence.

All families share one workspace and one worker, because importing the libraries takes longer than an audit
of a tiny model; one goes through commands whose processes import everything themselves, and
`python -m tests.appliance.cold_start` does so with every family.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from appliance.api import Appliance
from appliance.views import plain
from appliance.worker import Worker
from tests import warm
from tests.appliance.cold_start import ColdStart, check, writers
from tests.appliance.test_command_line import PASSPHRASE
from tests.audit_core.families.two_tower_models import write_biomedclip, write_lora

FAMILIES = sorted(writers())
ADAPTED = ("llava", "medsiglip")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> ColdStart:
    """A site with studies and a frozen cohort, made by the command line."""
    return ColdStart(tmp_path_factory.mktemp("cold"))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the checkpoints go."""
    return tmp_path_factory.mktemp("shelf")


class Workers:
    """One worker for all audits, and a fresh one after an audit that failed and took it along."""

    def __init__(self, shelf: Path) -> None:
        self._shelf = shelf
        self._worker: Worker | None = None

    def __enter__(self) -> Worker:
        self._worker = self._worker or Worker([self._shelf], "audit", threads=1)
        return self._worker

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            self.close()

    def close(self) -> None:
        """Let it go."""
        if self._worker is not None:
            self._worker.kill()
            self._worker.close()
            self._worker = None


@pytest.fixture(scope="module")
def workers(shelf: Path) -> Iterator[Workers]:
    """The shared worker."""
    opened = Workers(shelf)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def site(start: ColdStart) -> Iterator[Appliance]:
    """The same workspace, open."""
    with Appliance.unlock(start.root, PASSPHRASE) as opened:
        yield opened


def _audit(
    start: ColdStart, site: Appliance, workers: Workers, name: str, path: Path, adapter: Path | None = None
) -> None:
    with workers as worker:
        view = site.add_model(name, path, adapter=adapter, worker=worker)
        audit = site.run_audit(name, "spring", str(start.policy), lambda step: None, worker)
    check(plain(view), plain(audit))
    assert view.estimate is not None
    assert view.facts["family"] == view.family


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_gets_a_verdict(
    start: ColdStart, site: Appliance, shelf: Path, workers: Workers, name: str
) -> None:
    """Registered, tried out, audited; the audit reads the very matrices that the trial named."""
    _audit(start, site, workers, name, writers()[name](shelf / name))


@pytest.mark.parametrize("name", ADAPTED)
def test_adapters_are_audited_on_their_model(
    start: ColdStart, site: Appliance, shelf: Path, workers: Workers, name: str
) -> None:
    """A LoRA on a model of each kind; its base is the same network with the adapter off."""
    path = writers()[name](shelf / f"{name}-plain")
    adapter = write_lora(shelf / f"{name}-lora", path)
    _audit(start, site, workers, f"{name}-lora", path, adapter)


def test_biomedclip_as_published_is_audited_by_command_line_alone(start: ColdStart, tmp_path: Path) -> None:
    """One pickle in open_clip's layout: converted, tried out, audited from the vault."""
    folder = write_biomedclip(tmp_path / "biomedclip")
    safe = folder / "open_clip_pytorch_model.safetensors"
    torch.save(load_file(safe), folder / "open_clip_pytorch_model.bin")
    safe.unlink()
    with warm.cold():
        shown, audit = start.audited("biomedclip-bin", folder)
    assert shown["converted"]
    check(shown, audit)
