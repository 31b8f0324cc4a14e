"""A whole audit as published: what it may say, and what self-inclusion does to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audit_core.as_published import inclusive_cosines
from audit_core.audit import run_audit
from audit_core.control_run import MEMBERS_IN_THEIR_OWN_MEAN
from audit_core.detectors.seam import Labelled
from audit_core.detectors.slice_model import gaps, mask
from audit_core.errors import PolicyInvalid
from audit_core.policy import AS_PUBLISHED, Policy, decide, settings
from audit_core.results import (
    ControlName,
    ControlStatus,
    Design,
    References,
    Role,
    Score,
    Unscored,
    VerdictWord,
)
from audit_core.samples import Settings
from audit_core.signals import Matrix
from audit_core.slices import leave_one_out
from tests.audit_core import test_audit as whole
from tests.audit_core.planted import silent
from tests.audit_core.test_policy import TABLE

PUBLISHED = replace(
    whole.SETTINGS, as_published=True, deciding_detector="gradaudit", mask="tau_or_topq", layers="auto"
)


@pytest.mark.parametrize("family", whole.FAMILIES)
def test_an_audit_as_published_says_so_and_proves_less(family: str, tmp_path: Path) -> None:
    """Decided by gradaudit; no control stands on references; targets have the published leak probability."""
    model = whole.source(family, tmp_path, base=tmp_path / "base")
    result, findings = run_audit(model, whole.cohort(), PUBLISHED, silent)
    assert (result.as_published, result.deciding_detector) == (True, "gradaudit")
    status = {control.name: control.status for control in result.controls}
    for name in (ControlName.LABEL_PERMUTATION, ControlName.POSITIVE):
        assert status[name] is ControlStatus.NOT_APPLICABLE
    assert (result.detectable.share, result.detectable.sentence) == (None, MEMBERS_IN_THEIR_OWN_MEAN)
    blind = next(control for control in result.controls if control.name == ControlName.BLIND_MEMBERS)
    assert "excess" not in blind.numbers
    assert (result.detectors[0].reference_auroc, result.detectors[0].operating_points) == (None, ())
    assert 0 < result.slices_kept < result.slices_total
    for finding in findings:
        fitted = {name: finding.scores[name] for name in ("gradaudit", "fused", "task_vector")}
        assert isinstance(fitted["fused"], Unscored) and isinstance(fitted["task_vector"], Unscored)
        reference = finding.role in (Role.MEMBER, Role.FITTING)
        assert isinstance(fitted["gradaudit"], Unscored if reference else Score)
        assert ("as published" in finding.leak_probability) is (finding.role is Role.TARGET)
    assert decide(Policy("t", "1"), result).word not in (VerdictWord.PASS, VerdictWord.FAIL)


@pytest.mark.parametrize(
    ("policy", "result", "word", "line"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_neither_pass_nor_fail_follows(policy: Policy, result: object, word: str, line: int) -> None:
    """PASS becomes INCONCLUSIVE, FAIL at most REVIEW, and the reason is said; VOID and REVIEW stay."""
    verdict = decide(policy, replace(result, as_published=True))  # type: ignore[type-var]
    if word == "FAIL":
        assert verdict.word in (VerdictWord.REVIEW, VerdictWord.INCONCLUSIVE)
    else:
        assert verdict.word == {"PASS": "INCONCLUSIVE"}.get(word, word)
    if verdict.line in (4, 6):
        assert any(reason.startswith(AS_PUBLISHED) for reason in verdict.reasons)


@pytest.mark.parametrize("references", [References.L4, References.L5])
def test_there_must_be_known_members(references: References) -> None:
    """Without members there is no mean to compare with, and nothing else was published."""
    policy = Policy("t", "1", as_published=True, deciding_detector="gradaudit", mask="fixed_tau")
    with pytest.raises(PolicyInvalid, match=str(references)):
        settings(policy, references, Design.RANDOM)
    assert settings(policy, References.L1, Design.RANDOM).as_published


@pytest.mark.parametrize(("members", "share"), [(64, 0.75), (400, 0.05)])
def test_noise_gradients_pass_the_published_mask_and_not_ours(members: int, share: float) -> None:
    """Independent noise as gradients: in its own mean every member gains 1/√n, above τ under n = 100."""
    rng = np.random.default_rng(members)
    grads = rng.normal(size=(2 * members, 20, 400))
    mean = grads[:members].mean(axis=0)
    dots, squares, reference = (
        np.concatenate([what.sum(-1), what.sum(-2)], axis=-1) for what in (grads * mean, grads**2, mean**2)
    )
    is_member = np.arange(2 * members) < members
    refs = Labelled(np.arange(2 * members), is_member, np.zeros(2 * members, dtype=np.int64))
    ours = inclusive_cosines(dots, squares, reference)
    published = gaps(ours.copy(), refs, np.ones((1, 1), dtype=np.bool_))
    ours[:members] = leave_one_out(dots[:members], squares[:members], reference, members)
    honest = gaps(ours, refs, np.ones((1, 1), dtype=np.bool_))
    assert published.delta.mean() == pytest.approx(1 / np.sqrt(members), rel=0.1)
    assert abs(honest.delta.mean()) < 0.02
    matrices = (Matrix("m", "layer", 0, 20, 400),)
    assert mask(honest, matrices, Settings()).mean() <= 0.01
    kept = mask(published, matrices, Settings(mask="fixed_tau")).mean()
    assert kept >= share if members < 100 else kept <= share
