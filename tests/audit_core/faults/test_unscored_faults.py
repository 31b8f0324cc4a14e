"""Pairs that a real model cannot score: few are unscored, many or unequally many void the whole audit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from audit_core.audit import run_audit
from audit_core.policy import Policy, decide
from audit_core.results import ControlName, ControlStatus, Role
from audit_core.samples import Sample
from tests.audit_core.test_audit import FAMILIES, SETTINGS, SIZES, cohort, silent, source

MANY = {**SIZES, Role.MEMBER: 12, Role.FITTING: 12, Role.CALIBRATION: 40, Role.TARGET: 40}


def without_text(samples: list[Sample], role: Role, count: int) -> list[Sample]:
    """The first pairs of a role lose their report: a generative model has nothing to score then."""
    lost = {sample.pair_id for sample in [one for one in samples if one.role is role][:count]}
    return [replace(sample, text="") if sample.pair_id in lost else sample for sample in samples]


@pytest.mark.parametrize(("allowed", "count"), [(0.02, 2), (0.9, 16)], ids=["too many", "unequal"])
def test_lost_targets_void_the_audit(allowed: float, count: int, tmp_path: Path) -> None:
    """More than the policy's share, or within it and unequal between roles: VOID by line 1."""
    settings = replace(SETTINGS, max_unscored_share=allowed)
    samples = without_text(cohort(MANY), Role.TARGET, count)
    result, _ = run_audit(source(FAMILIES[0], tmp_path), samples, settings, silent)
    (found,) = (control for control in result.controls if control.name == ControlName.UNSCORED)
    assert found.status is ControlStatus.FAILED, found.sentence
    others = [control for control in result.controls if control.consequence is found.consequence]
    assert [one.name for one in others if one.status is ControlStatus.FAILED] == [ControlName.UNSCORED]
    verdict = decide(Policy("t", "1"), result)
    assert (verdict.word, verdict.line) == ("VOID", 1)
