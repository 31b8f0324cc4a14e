"""The form of everything a model's worker may say: numbers, known names, and sentences of our own code.

A model that took its process over has no channel for free text: what does not keep to its form is refused
whole, before anything of it is stored or shown (docs/decisions/closed-answers.md).
"""

from __future__ import annotations

import builtins
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeVar

from appliance import codec
from appliance.errors import IntegrityError, WorkerFailed
from appliance.phrases import Phrases
from audit_core.estimates import Trial
from audit_core.results import AuditResult, Finding, Progress, Role

if TYPE_CHECKING:
    from appliance.registry import ModelRecord

T = TypeVar("T")
Place = tuple[str, str, str]  # pair, patient, role

ENGINE: Final = ("audit_core", "appliance.pipeline", "appliance.model_jobs")
_CLASSES: Final = tuple(
    f"transformers.models.auto.{name}_auto" for name in ("image_processing", "processing", "tokenization")
)
MOST_ITEMS: Final = 20_000  # of any list but findings and curves
MOST_INTEGER: Final = 1 << 53

NAMES: Final = frozenset(
    f"{kind}.{name}"
    for kind, names in {
        "AuditResult": ("deciding_detector", "counts", "model_facts"),
        "ControlOutcome": ("name", "numbers"),
        "OperatingPoint": ("label",),
        "DetectorReport": ("name",),
        "Histogram": ("counts",),
        "DetectableEffect": ("basis",),
        "EpsilonBound": ("name", "counts"),
        "Timing": ("phase",),
        "Finding": ("scores", "leak_probability"),
        "Trial": ("facts",),
        "SelfCheck": ("precision", "device"),
    }.items()
    for name in names
)
"""Fields, and keys of mappings, that hold one name of our source."""

SENTENCES: Final = frozenset(
    f"{kind}.{name}"
    for kind, names in {
        "AuditResult": (
            "audited_layers", "memory_by_layer", "decision_weights", "decision_carried", "slices_by_layer",
        ),
        "ControlOutcome": ("sentence",),
        "DetectableEffect": ("sentence",),
        "DatasetInference": ("sentence", "signals"),
        "EpsilonBound": ("sentence",),
        "CanaryReport": ("sentence",),
        "Limit": ("what", "why", "remedy"),
        "Unscored": ("reason",),
        "AuditedTower": ("name", "audited", "left_out"),
        "Progress": ("phase", "unit"),
    }.items()
    for name in names
)  # fmt: skip
"""Fields that hold what our source can say."""

GIVEN: Final = frozenset({"Finding.pair_id", "Finding.patient"})
"""Fields that must repeat what the worker was given, at its place."""

FACTS: Final = frozenset({"AuditResult.model_facts#value", "Trial.facts#value"})
"""Values that stay with a gap in the place of what is not ours: class names of a library, say."""

_SHARES: Final = frozenset(
    f"{kind}.{name}"
    for kind, names in {
        "OperatingPoint": ("alpha", "tpr"),
        "DetectorReport": ("reference_auroc", "target_auroc", "roc"),
        "Exposure": (
            "q", "rank_test_p", "prevalence_null_p", "prevalence_lower", "prevalence_estimate",
        ),
        "DatasetInference": ("p", "null_p"),
        "CanaryReport": ("p_value", "auroc"),
        "CanaryDose": ("p_value",),
        "Finding": ("p_value", "leak_probability"),
        "ReliabilityBin": ("predicted",),
    }.items()
    for name in names
)  # fmt: skip
"""Numbers that lie between 0 and 1."""
_LONG: Final = ("DetectorReport.roc",)


def phrases(names: Iterable[str] = ()) -> Phrases:
    """What the engine can say about these names."""
    return Phrases((*ENGINE, *_CLASSES), names)


def pickled_names() -> list[str]:
    """What a pickle may ask for instead of a tensor, in Python's own library: said by name when refused."""
    return [*sys.stdlib_module_names, *dir(builtins), "system", "popen"]


def names_of(record: ModelRecord) -> list[str]:
    """Names of a model that a worker may repeat: its files, also new ones, its tensors and what it is."""
    present = [
        entry.relative_to(folder).as_posix() for folder in record.folders() for entry in folder.rglob("*")
    ]
    tensors = [one.name for one in (*record.tensors, *record.base_tensors)]
    words = {word for name in tensors for word in name.split(".")}
    digests = (record.digests, record.base_digests, record.peft_digests)
    return [*present, *chain.from_iterable(digests), record.architecture, record.family, *tensors, *words]


def audit_answer(
    answer: Mapping[str, Any], given: Sequence[Place], known: Phrases
) -> tuple[AuditResult, tuple[Finding, ...]]:
    """An audit's answer, once every field keeps to its form.

    Args:
        answer: as the worker sent it.
        given: the pairs it was given.
        known: what may be said.

    Raises:
        WorkerFailed: naming the field, never its content.
    """
    result = _loaded(AuditResult, answer.get("result"))
    findings = _loaded(tuple[Finding, ...], answer.get("findings"))
    form = _Form(known, MOST_ITEMS + 4 * len(given))
    form.hold(result, "AuditResult")
    _check("AuditResult.claims", not result.claims)  # checked here, where no model has a say
    _check("Histogram.rounded", result.histogram is None or not result.histogram.rounded)  # rounded here
    if len(findings) > len(given):
        raise _refused("Finding")
    form.hold(findings, "Finding")
    _check_findings(result, findings, given)
    return replace(result, model_facts=_facts(result.model_facts, known)), findings


def trial_answer(answer: Mapping[str, Any], known: Phrases) -> Trial:
    """What a trial load showed, once every field keeps to its form.

    Raises:
        WorkerFailed: naming the field, never its content.
    """
    trial = _loaded(Trial, answer.get("trial"))
    _Form(known, MOST_ITEMS).hold(trial, "Trial")
    return replace(trial, facts=_facts(trial.facts, known))


def progress_of(event: Mapping[str, Any], blob: bytes, known: Phrases) -> Progress:
    """One step of long work.

    Raises:
        WorkerFailed: it is none.
    """
    phase, done, total, unit = (event.get(name) for name in ("phase", "done", "total", "unit"))
    if (
        not isinstance(phase, str)
        or not isinstance(unit, str)
        or type(done) is not int
        or type(total) is not int
        or event.get("type") != "progress"
        or blob
    ):
        raise _refused("Progress")
    step = Progress(phase, done, total, unit)
    _Form(known, MOST_ITEMS).hold(step, "Progress")
    return step


class _Form:
    """Walks through a value of the vocabulary and refuses what has no form.

    Args:
        known: what may be said.
        most_points: of a curve.
    """

    def __init__(self, known: Phrases, most_points: int) -> None:
        self._known = known
        self._most_points = most_points

    def hold(self, value: Any, place: str) -> None:
        """Raises WorkerFailed where a value under `Class.field` does not keep to its form."""
        if value is None or isinstance(value, bool | Enum):
            return
        if isinstance(value, str):
            self._text(value, place)
        elif isinstance(value, int | float):
            _number(value, place)
        elif isinstance(value, tuple):
            _check(place, len(value) <= (self._most_points if place in (*_LONG, "Finding") else MOST_ITEMS))
            for one in value:
                self.hold(one, place)
        elif isinstance(value, Mapping):
            self._mapping(value, place)
        elif is_dataclass(value):
            kind = type(value).__name__
            for field in fields(value):
                self.hold(getattr(value, field.name), f"{kind}.{field.name}")
        else:
            raise _refused(place)

    def _mapping(self, value: Mapping[Any, Any], place: str) -> None:
        _check(place, len(value) <= MOST_ITEMS)
        for key, one in value.items():
            self._text(str(key), place)
            self.hold(one, f"{place}#value" if isinstance(one, str) else place)

    def _text(self, text: str, place: str) -> None:
        if place in NAMES:
            _check(place, self._known.knows(text))
        elif place in SENTENCES:
            _check(place, self._known.can_say(text))
        else:
            _check(place, place in GIVEN or place in FACTS)


def _number(value: float, place: str) -> None:
    if isinstance(value, int):
        _check(place, 0 <= value < MOST_INTEGER)
    elif place in _SHARES:
        _check(place, 0.0 <= value <= 1.0)
    else:
        _check(place, math.isfinite(value) and abs(value) <= sys.float_info.max)


def _facts(facts: Mapping[str, str], known: Phrases) -> dict[str, str]:
    return {name: known.ours_of(value) for name, value in facts.items()}


def _check_findings(result: AuditResult, findings: Sequence[Finding], given: Sequence[Place]) -> None:
    """Each pair once, as it was given; all of them, or none where nothing was judged."""
    assigned = {pair: (patient, role) for pair, patient, role in given}
    for one in findings:
        if assigned.pop(one.pair_id, None) != (one.patient, str(one.role)):
            raise WorkerFailed("the worker answered for a pair it was not given", "see `gradaudit doctor`")
    left = sum(role != Role.BANK for _, role in assigned.values())
    _check("findings", not left or (not findings and result.exposure is None))
    flagged = [one for one in findings if one.flagged]
    _check("Finding.flagged", all(one.role is Role.TARGET and one.p_value is not None for one in flagged))
    if result.exposure is not None:
        _check("Exposure.flagged", result.exposure.flagged <= result.exposure.patients)
        _check("Exposure.patients", result.exposure.patients <= len({one.patient for one in findings}))


def _loaded(kind: type[T], text: object) -> T:
    _check("answer", isinstance(text, str))
    try:
        return codec.load(kind, str(text))
    except (IntegrityError, ValueError, RecursionError):  # its words name keys of the document
        raise _refused(getattr(kind, "__name__", "answer")) from None


def _check(place: str, holds: bool) -> None:
    if not holds:
        raise _refused(place)


def _refused(place: str) -> WorkerFailed:
    return WorkerFailed(
        f"the worker's answer does not keep to its form at {place}",
        "the model may have taken its process over: keep its folder, and tell whoever delivered it",
    )
