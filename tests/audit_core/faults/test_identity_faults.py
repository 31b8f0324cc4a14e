"""Faults between registration and engine: another preprocessor, weight, label, order, code or kept step."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest
from safetensors.torch import load_file, save_file

from audit_core.adapters.loading import open_source
from audit_core.audit import run_audit
from audit_core.code_version import code_digest
from audit_core.errors import CohortNotDisjoint
from audit_core.identity import NOT_STORED, identity_control, order_digest, tolerance, with_self_check
from audit_core.policy import Policy, decide
from audit_core.results import (
    AuditResult,
    Consequence,
    ControlName,
    ControlOutcome,
    ControlStatus,
    Progress,
    Role,
    VerdictWord,
)
from audit_core.samples import ModelSource, Registered, Sample, SelfCheck
from audit_core.self_check import self_check, self_check_pairs
from audit_core.store import MemoryStore, digest_of_samples
from tests.audit_core.test_audit import FAMILIES, SETTINGS, SIZES, cohort, digests, silent, source

SMALL = {**SIZES, Role.MEMBER: 12, Role.FITTING: 12}
PREPROCESSORS = {FAMILIES[0]: "preprocessor_config.json", FAMILIES[1]: "open_clip_config.json"}
PAIRS_DIGEST = "cc53442d30c3ba342e55f01a7c0c1cb3ee13be4acdd4bfd2d43ea9a917a093a4"
WEIGHTS = {FAMILIES[0]: "model.safetensors", FAMILIES[1]: "open_clip_pytorch_model.safetensors"}


def registered_model(family: str, folder: Path, *, base: bool = True) -> ModelSource:
    """A model with base as registration leaves it: digests, and the losses of the self-check pairs."""
    made = source(family, folder, base=folder / "base" if base else None)
    model, other = open_source(made)
    return replace(made, self_check=self_check(model, other))


def written_down(samples: list[Sample]) -> Registered:
    return Registered(order_digest((s.pair_id, s.patient, s.role.value) for s in samples), code_digest())


def identity(result: AuditResult) -> ControlOutcome:
    (found,) = (control for control in result.controls if control.name == ControlName.IDENTITY)
    return found


def assert_void(result: AuditResult, findings: object, *said: str) -> None:
    """Nothing was judged, the verdict is VOID by line 1, and the sentence names the fault."""
    assert (result.exposure, findings) == (None, ())
    assert [control.name for control in result.controls] == [ControlName.IDENTITY]
    verdict = decide(Policy("t", "1"), result)
    assert (verdict.word, verdict.line) == (VerdictWord.VOID, 1)
    for words in said:
        assert words in identity(result).sentence


def shift_preprocessor(model: ModelSource) -> None:
    """Another brightness for every image."""
    name = PREPROCESSORS[model.family]
    file = model.path / name
    if not file.exists():
        file = model.path / "processor_config.json"
    document = json.loads(file.read_text())
    holder = document.get("preprocess_cfg") or document.get("image_processor") or document
    mean = "mean" if "mean" in holder else "image_mean"
    holder[mean] = [value + 0.3 for value in holder[mean]]
    file.write_text(json.dumps(document))


def shift_weights(folder: Path, name: str) -> None:
    file = folder / name
    tensors = {key: tensor * 1.1 for key, tensor in load_file(file).items()}
    save_file(tensors, file, metadata={"format": "pt"})


# ---- the files, and what they are turned into ----


@pytest.mark.parametrize("family", FAMILIES)
def test_a_shifted_preprocessor_is_void_by_its_digest(family: str, tmp_path: Path) -> None:
    """A preprocessor that is not the registered one: VOID before anything is loaded."""
    model = registered_model(family, tmp_path)
    shift_preprocessor(model)
    assert_void(*run_audit(model, cohort(SMALL), SETTINGS, silent), "has changed")


def _preprocessor(model: ModelSource) -> None:
    shift_preprocessor(model)


def _weights(model: ModelSource) -> None:
    shift_weights(model.path, WEIGHTS[model.family])


def _weights_of_the_base(model: ModelSource) -> None:
    assert model.base is not None
    shift_weights(model.base, WEIGHTS[model.family])


@pytest.mark.parametrize("fault", [_preprocessor, _weights, _weights_of_the_base])
@pytest.mark.parametrize("family", FAMILIES)
def test_another_loss_of_the_self_check_pairs_is_void(
    family: str, fault: Callable[[ModelSource], None], tmp_path: Path
) -> None:
    """Digests that agree with a shifted pipeline do not save it: the stored losses do not come back."""
    model = registered_model(family, tmp_path)
    fault(model)
    assert model.base is not None
    forged = replace(model, digests=digests(model.path), base_digests=digests(model.base))
    assert identity_control(forged).status is ControlStatus.PASSED
    assert_void(*run_audit(forged, cohort(SMALL), SETTINGS, silent), "self-check")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_library_that_prepares_images_otherwise_is_void(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one file changes, and yet every image reaches the network upside down."""
    model = registered_model(family, tmp_path)
    opened = open_source(model)[0]
    encode = type(opened)._encode

    def flipped(self: object, samples: list[Sample], tokens: int) -> object:
        turned = [replace(one, image=one.image[::-1, ::-1].copy()) for one in samples]
        return encode(self, turned, tokens)  # type: ignore[arg-type]

    monkeypatch.setattr(type(opened), "_encode", flipped)
    assert_void(*run_audit(model, cohort(SMALL), SETTINGS, silent), "self-check")


@pytest.mark.parametrize("family", FAMILIES)
def test_an_undisturbed_model_passes_and_is_audited(family: str, tmp_path: Path) -> None:
    """The same machine gives the stored losses to a millionth; the audit goes on and says so."""
    model, samples = registered_model(family, tmp_path), cohort(SMALL)
    result, findings = run_audit(model, samples, SETTINGS, silent, None, written_down(samples))
    found = identity(result)
    assert found.status is ControlStatus.PASSED and findings
    assert found.numbers["self_check"] <= 1e-6 < found.numbers["self_check_allowed"]
    for words in ("cohort, order and code are as written down", "self-check pairs give their stored losses"):
        assert words in found.sentence


def test_a_registration_without_losses_says_so(tmp_path: Path) -> None:
    """An older record has nothing to compare; that is said and can be seen by number."""
    model = source(FAMILIES[1], tmp_path)
    result, _ = run_audit(model, cohort(SMALL), SETTINGS, silent)
    assert identity(result).numbers[NOT_STORED] == 1.0
    assert "No loss of self-check pairs was stored" in identity(result).sentence


def test_tolerance_follows_the_coarser_precision() -> None:
    """A hundredth of the loss is another model in float32 and arithmetic in bfloat16."""
    passed = ControlOutcome(
        ControlName.IDENTITY, ControlStatus.PASSED, Consequence.VOID, "All as registered."
    )
    exact = SelfCheck((2.0, 4.0), (3.0,), "float32", "cpu")
    near = replace(exact, losses=(2.02, 4.0))
    half = replace(near, precision="bfloat16")
    assert with_self_check(passed, exact, near).status is ControlStatus.FAILED
    assert with_self_check(passed, exact, half).status is ControlStatus.PASSED
    assert with_self_check(passed, half, exact).status is ControlStatus.PASSED
    assert with_self_check(passed, exact, None).status is ControlStatus.FAILED
    assert with_self_check(passed, exact, replace(exact, base_losses=())).status is ControlStatus.FAILED
    assert tolerance(exact) < tolerance(replace(exact, device="cuda")) < tolerance(half)


def test_the_self_check_pairs_are_the_same_for_ever() -> None:
    """Stored losses would be worth nothing if the pairs moved: their digest stands here."""
    assert digest_of_samples(self_check_pairs()) == PAIRS_DIGEST


# ---- cohort, order, code ----


def _swapped_labels(samples: list[Sample]) -> list[Sample]:
    swap = {Role.MEMBER: Role.FITTING, Role.FITTING: Role.MEMBER}
    return [replace(sample, role=swap.get(sample.role, sample.role)) for sample in samples]


def _one_label(samples: list[Sample]) -> list[Sample]:
    first = next(i for i, sample in enumerate(samples) if sample.role is Role.TARGET)
    return [*samples[:first], replace(samples[first], role=Role.CALIBRATION), *samples[first + 1 :]]


def _other_order(samples: list[Sample]) -> list[Sample]:
    return samples[::-1]


def _one_pair_less(samples: list[Sample]) -> list[Sample]:
    return samples[:-1]


@pytest.mark.parametrize("fault", [_swapped_labels, _one_label, _other_order, _one_pair_less])
def test_labels_or_order_that_change_on_the_way_are_void(
    fault: Callable[[list[Sample]], list[Sample]], tmp_path: Path
) -> None:
    """What reaches the engine must be the frozen cohort, label by label and in its order."""
    model, samples = source(FAMILIES[1], tmp_path), cohort(SMALL)
    got = run_audit(model, fault(samples), SETTINGS, silent, None, written_down(samples))
    assert_void(*got, "not those of the frozen cohort")


def test_other_code_is_void(tmp_path: Path) -> None:
    """The side that asks and the side that computes must run the same source files."""
    model, samples = source(FAMILIES[1], tmp_path), cohort(SMALL)
    other = replace(written_down(samples), code="0" * 64)
    assert_void(*run_audit(model, samples, SETTINGS, silent, None, other), "not the code that was asked")


def test_a_patient_under_two_roles_is_refused(tmp_path: Path) -> None:
    """The same patient as known training pair and as control, or one pair twice: no audit at all."""
    model, samples = source(FAMILIES[1], tmp_path), cohort(SMALL)
    member = next(sample for sample in samples if sample.role is Role.MEMBER)
    again = replace(member, pair_id="another", role=Role.CALIBRATION)
    told: list[object] = []
    with pytest.raises(CohortNotDisjoint, match="1 patients stand in more than one role"):
        run_audit(model, [*samples, again], SETTINGS, told.append)
    with pytest.raises(CohortNotDisjoint, match="1 pairs stand in the cohort more than once"):
        run_audit(model, [*samples, member], SETTINGS, told.append)
    assert told == []


# ---- kept steps ----


@dataclass
class Watched:
    """A store that counts what was found in it."""

    inner: MemoryStore
    found: int = field(default=0)

    def get(self, key: str) -> bytes | None:
        blob = self.inner.get(key)
        self.found += blob is not None
        return blob

    def put(self, key: str, blob: bytes) -> None:
        self.inner.put(key, blob)


@dataclass
class Forcing:
    """A store at fault: it hands out what was kept first, whatever was asked for."""

    inner: MemoryStore

    def get(self, key: str) -> bytes | None:
        return next(iter(self.inner.kept.values()))

    def put(self, key: str, blob: bytes) -> None: ...


Kept = TypeVar("Kept", MemoryStore, Watched)


class Enough(Exception):
    """Every signal has been read."""


def read(model: ModelSource, samples: list[Sample], store: Kept) -> Kept:
    """Run an audit up to its judgement; returns its store."""

    def until_judged(event: Progress) -> None:
        if event.phase == "judge":
            raise Enough

    with pytest.raises(Enough):
        run_audit(model, samples, SETTINGS, until_judged, store)
    return store


def test_steps_of_another_model_cohort_or_code_are_never_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store full of somebody else's steps gives not one of them; the same audit finds all of its own."""
    model, other = source(FAMILIES[1], tmp_path / "a"), source(FAMILIES[1], tmp_path / "b", seed=7)
    samples = cohort(SMALL)
    kept = read(model, samples, MemoryStore())
    mine = Watched(MemoryStore(dict(kept.kept)))
    read(model, samples, mine)
    assert mine.found > 0 and set(mine.inner.kept) == set(kept.kept)
    changed = [replace(samples[0], text="another text"), *samples[1:]]
    for asked_model, asked in ((other, samples), (model, changed)):
        store = Watched(MemoryStore(dict(kept.kept)))
        read(asked_model, asked, store)
        assert store.found == 0
    monkeypatch.setattr("audit_core.machine.code_digest", lambda: "another")
    store = Watched(MemoryStore(dict(kept.kept)))
    read(model, samples, store)
    assert store.found == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_a_stale_step_forced_on_the_audit_is_void(family: str, tmp_path: Path) -> None:
    """A store that hands out another model's steps under these names: VOID, not a number."""
    model, other = source(family, tmp_path / "a"), source(family, tmp_path / "b", seed=7)
    kept = read(other, cohort(SMALL), MemoryStore())
    assert_void(*run_audit(model, cohort(SMALL), SETTINGS, silent, Forcing(kept)), "kept step")
