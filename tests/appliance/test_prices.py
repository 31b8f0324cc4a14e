"""What an audit is said to take where its deciding detector needs further forward passes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.audited import Audited
from appliance.commands.audits import _say_price
from appliance.policies.shelf import from_file
from appliance.policy_file import LoadedPolicy
from appliance.registry import ModelRecord
from appliance.shown import estimate
from audit_core.estimates import Trial
from audit_core.readings.prices import PASSES

TRIAL = Trial({"device": "cpu", "precision": "float32"}, 7, (), 4, *[0.5] * 6, *[1] * 3)
RECORD = ModelRecord("m", "/m", "image-text-to-text", "A", "p", {}, "", {}, 7, "", "", trial=TRIAL)
POLICY = Path(__file__).parent.parent.parent / "policies" / "default.toml"


@dataclass
class Site(Audited):
    """A site with one model and one cohort of twenty pairs."""

    record: ModelRecord = RECORD

    def _permit(self, rule: object) -> None:
        """Whoever asks may."""

    def _model(self, name: str) -> ModelRecord:
        return self.record

    def _cohort(self, name: str) -> Any:
        return SimpleNamespace(assignments=range(20))

    def _policy(self, reference: str) -> tuple[LoadedPolicy, str]:
        return from_file(Path(reference)), reference


def policy(folder: Path, detector: str) -> str:
    """The default policy with another deciding detector."""
    file = folder / "policy.toml"
    file.write_text(POLICY.read_text().replace('"fused"', f'"{detector}"'))
    return str(file)


def test_a_dearer_detector_costs_its_passes() -> None:
    """Every further pass costs a forward pass a pair; the basis says which detector asks for how many."""
    usual, dear = (estimate(RECORD, TRIAL, 20, name) for name in ("fused", "recall"))
    assert dear.seconds - usual.seconds == pytest.approx(20 * PASSES["after_controls"] * TRIAL.forward_s)
    assert "up to 2 further forward passes a pair, recall decides" in dear.basis
    assert "further" not in usual.basis


def test_an_officers_audit_is_priced_with_what_it_reads() -> None:
    """With a base model the default policy's own reading is in the estimate that registration shows."""
    based = replace(RECORD, base_path="/b")
    more = estimate(based, TRIAL, 20).seconds - estimate(RECORD, TRIAL, 20).seconds
    assert more == pytest.approx(20 * PASSES["word_rows"] * TRIAL.forward_s)


def test_only_a_dearer_audit_says_its_price(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line before it starts; none where the detector needs nothing more, or no trial is on record."""
    for detector, said in (("fused", 0), ("mink", 0), ("m4i", 1), ("renyi_both_10_half", 1)):
        _say_price(Site(), "m", "c", policy(tmp_path, detector))  # type: ignore[arg-type]
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == said, detector
        assert not said or (lines[0].startswith("about ") and f"{detector} decides" in lines[0])
    untried = Site(replace(RECORD, trial=None))
    assert untried.audit_price("m", "c", policy(tmp_path, "m4i")) is None


def test_a_price_needs_no_torch() -> None:
    """Views and prices are imported without the libraries that compute."""
    code = "import sys, appliance.shown; print('torch' in sys.modules or 'scipy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
