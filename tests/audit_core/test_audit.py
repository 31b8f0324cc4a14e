"""The audit on one page, on tiny real checkpoints: identity first, then signals, controls, judgement."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audit_core.audit import run_audit
from audit_core.identity import identity_control
from audit_core.policy import Policy, decide
from audit_core.results import (
    ControlName,
    ControlStatus,
    Design,
    Progress,
    References,
    Role,
    VerdictWord,
)
from audit_core.samples import ModelSource, Sample, Settings
from tests.audit_core import engine_models as tiny

SETTINGS = Settings(
    references=References.L1, design=Design.RANDOM, minimum_bank=4, batch_size=16, permutations=5,
    bootstrap=100, simulations=50,
)  # fmt: skip
SIZES = {Role.MEMBER: 32, Role.FITTING: 30, Role.CALIBRATION: 20, Role.TARGET: 12, Role.BANK: 8}
FAMILIES = ("image-text-to-text", "contrastive")


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def source(family: str, folder: Path, seed: int = 0, base: Path | None = None) -> ModelSource:
    write = tiny.write_llava if family == FAMILIES[0] else tiny.write_clip
    model = write(folder / "model", seed=seed)
    other = None if base is None else write(base, seed=seed + 1)
    return ModelSource(model, family, digests(model), other, {} if other is None else digests(other))


def cohort(sizes: dict[Role, int] = SIZES) -> list[Sample]:
    number, samples = 0, []
    for role, count in sizes.items():
        for _ in range(count):
            samples.append(replace(tiny.sample(number), role=role, covariates={"rows": 20.0}))
            number += 1
    return samples


def silent(event: Progress) -> None: ...


@pytest.mark.parametrize("family", FAMILIES)
def test_a_never_trained_model_is_audited_end_to_end(family: str, tmp_path: Path) -> None:
    """Random weights, base beside it: every control reported, fused decides, no FAIL."""
    told: list[Progress] = []
    model = source(family, tmp_path, base=tmp_path / "base")
    result, findings = run_audit(model, cohort(), SETTINGS, told.append)
    assert result.exposure is not None
    assert result.deciding_detector == "fused"
    assert {control.name for control in result.controls} == {name.value for name in ControlName}
    status = {control.name: control.status for control in result.controls}
    assert status[ControlName.IDENTITY] is ControlStatus.PASSED
    assert status[ControlName.SHUFFLED] is not ControlStatus.FAILED
    assert len(findings) == sum(SIZES.values()) - SIZES[Role.BANK]
    assert result.counts[Role.TARGET.value] == 12
    assert "bank" not in {finding.role.value for finding in findings}
    assert (result.slices_total > 0) and result.audited_layers
    policy = Policy("t", "1", minimum_members=5, minimum_fitting=5, minimum_calibration=5,
                    minimum_targets=5, minimum_bank=4)  # fmt: skip
    assert decide(policy, result).word is not VerdictWord.FAIL
    assert {"identity", "references", "signals", "base model", "judge"} <= {event.phase for event in told}
    assert [t.phase for t in result.timings][:3] == ["open", "signals", "shuffled pairs and spike-in"]


def test_a_spike_in_is_run_when_the_policy_asks(tmp_path: Path) -> None:
    """L4 with epochs: the copy is trained, the positive control runs, the original is judged as before."""
    model = source(FAMILIES[0], tmp_path)
    settings = replace(SETTINGS, references=References.L4, spike_in_epochs=1)
    sizes = {**SIZES, Role.MEMBER: 0}
    told: list[Progress] = []
    result, _ = run_audit(model, cohort(sizes), settings, told.append)
    positive = next(c for c in result.controls if c.name == ControlName.POSITIVE)
    assert positive.status is not ControlStatus.NOT_APPLICABLE and "spike-in" in positive.sentence
    assert "spike-in" in {event.phase for event in told}
    plain, _ = run_audit(model, cohort(sizes), replace(settings, spike_in_epochs=0), silent)
    assert plain.exposure == result.exposure
    assert next(c for c in plain.controls if c.name == ControlName.POSITIVE).status is (
        ControlStatus.NOT_APPLICABLE
    )


@pytest.mark.parametrize("act", ["changed", "missing", "new", "base changed", "unregistered"])
def test_another_model_is_void(act: str, tmp_path: Path) -> None:
    """One flipped byte, a lost, a new or an unregistered file stops the audit before anything is loaded."""
    model = source(FAMILIES[1], tmp_path, base=tmp_path / "base")
    assert model.base is not None
    config = model.path / "open_clip_config.json"
    if act == "changed":
        config.write_text(config.read_text() + " ")
    elif act == "missing":
        config.unlink()
    elif act == "new":
        (model.path / "extra.json").write_text("{}")
    elif act == "base changed":
        weights = model.base / "open_clip_pytorch_model.safetensors"
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(bytes(data))
    else:
        model = replace(model, digests={})
    result, findings = run_audit(model, cohort(), SETTINGS, silent)
    assert (result.exposure, findings) == (None, ())
    assert result.controls[0].status is ControlStatus.FAILED
    assert decide(Policy("t", "1"), result).word is VerdictWord.VOID


def test_a_link_is_not_the_registered_file(tmp_path: Path) -> None:
    """A link that points to the right bytes today may point elsewhere tomorrow."""
    model = source(FAMILIES[1], tmp_path)
    assert identity_control(model).status is ControlStatus.PASSED
    config = model.path / "open_clip_config.json"
    moved = tmp_path / "elsewhere.json"
    config.rename(moved)
    config.symlink_to(moved)
    assert identity_control(model).status is ControlStatus.FAILED


@pytest.mark.parametrize(
    ("role", "count", "sentence"),
    [
        (Role.CALIBRATION, 3, "3 calibration patients"),
        (Role.TARGET, 0, "0 target patients"),
        (Role.MEMBER, 1, "1 member patients"),
        (Role.BANK, 3, "The bank holds 3 anchor pairs; the policy asks for 4."),
    ],
)
def test_a_tiny_cohort_gets_a_sentence(role: Role, count: int, sentence: str, tmp_path: Path) -> None:
    """Too few of a role: no model is loaded, INCONCLUSIVE, the sentence names the number."""
    told: list[Progress] = []
    result, findings = run_audit(
        source(FAMILIES[1], tmp_path), cohort({**SIZES, role: count}), SETTINGS, told.append
    )
    assert (result.exposure, findings) == (None, ())
    assert result.detectable.sentence.startswith(sentence)
    assert decide(Policy("t", "1"), result).word is VerdictWord.INCONCLUSIVE
    assert {event.phase for event in told} == {"identity"}


def test_a_failing_pair_is_unscored_not_zero(tmp_path: Path) -> None:
    """An image the model cannot take becomes Unscored with a reason; everyone else keeps a score."""
    samples = cohort()
    bad = next(i for i, s in enumerate(samples) if s.role is Role.TARGET)
    samples[bad] = replace(samples[bad], text="")
    model = source(FAMILIES[0], tmp_path)
    result, findings = run_audit(model, samples, replace(SETTINGS, max_unscored_share=0.2), silent)
    lost = [f for f in findings if f.pair_id == samples[bad].pair_id]
    assert result.counts[Role.TARGET.value] == 11
    assert all(hasattr(score, "reason") for score in lost[0].scores.values())
    scored = [f.scores["loss"] for f in findings if f.pair_id != samples[bad].pair_id]
    assert np.isfinite([getattr(score, "value", np.nan) for score in scored]).all()
