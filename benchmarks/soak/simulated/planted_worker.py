"""A worker without a process of its own, whose models' signals are planted: the seam of the simulated year.

Jobs are the real ones (`appliance.pipeline`), answered in this process. Only what an audit asks a model for
is made up (`tests.audit_core.planted`), by which files the model has; identity, judgement and the form of
the answers are the appliance's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from appliance import pipeline
from appliance.channel import ASKS
from appliance.isolation import LAYERS, ON
from appliance.phrases import Phrases
from appliance.run_folder import RunFolder
from appliance.worker import SELF_PROBE, _refused
from audit_core import audit
from audit_core.blind import pair_facts
from audit_core.errors import AuditError
from audit_core.results import Role
from audit_core.samples import ModelSource, PairFacts, Sample
from audit_core.signals import SignalTable
from tests.audit_core.planted import World, _tables

CLEAN, LEAKY = World(effect=2.5, exposed=0.0), World(effect=2.5, exposed=0.6)
"""Members were trained on; of a leaky model the first three in five targets as well, or who is named."""

Exposed = Callable[[ModelSource, Sequence[Sample]], frozenset[str]]
"""Patients beside the members whom a model was trained on."""


class PlantedWorker:
    """Looks like `appliance.worker.Worker`."""

    def __init__(self, read: Sequence[Path], preload: str, **_: Any) -> None:
        self._folder = RunFolder() if preload == "audit" else None
        self.isolation = {**dict.fromkeys(LAYERS, ON), SELF_PROBE: ON}

    @property
    def folder(self) -> RunFolder:
        """In memory; models are opened from it."""
        assert self._folder is not None
        return self._folder

    def call(
        self,
        job: dict[str, Any],
        *,
        frames: Iterable[tuple[dict[str, Any], bytes]] = (),
        on_event: Callable[[dict[str, Any], bytes], None] | None = None,
        on_question: Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]] | None = None,
        known: Phrases | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """One job, answered here."""
        channel = _Line([*frames, ({"type": "go"}, b"")], on_event, on_question)
        try:
            return _copied(pipeline.run(_copied(job), channel))  # type: ignore[arg-type]
        except AuditError as refused:
            raise _refused({"message": str(refused), "hint": refused.hint}, known) from None

    def kill(self) -> None:
        """There is no process."""

    def close(self) -> None:
        """Let the folder go."""
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    def __enter__(self) -> PlantedWorker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Line:
    """Both ends of a channel in one thread: a question is answered before it is looked for."""

    def __init__(self, frames: list[tuple[dict[str, Any], bytes]], on_event: Any, on_question: Any) -> None:
        self._coming = frames
        self._on_event, self._on_question = on_event, on_question

    def send(self, message: dict[str, Any], blob: bytes = b"") -> None:
        """To the parent."""
        if message["type"] == ASKS:
            self._coming.insert(0, self._on_question(_copied(message), blob))
        elif self._on_event is not None:
            self._on_event(_copied(message), blob)

    def receive(self) -> tuple[dict[str, Any], bytes] | None:
        """From the parent."""
        message, blob = self._coming.pop(0)
        return _copied(message), blob


def _copied(message: Mapping[str, Any]) -> dict[str, Any]:
    """As it would come out of a pipe."""
    return dict(json.loads(json.dumps(message, allow_nan=False)))


@contextmanager
def planted(exposed: Exposed) -> Iterator[None]:
    """Audits in this process read planted signals while this lasts; equal questions are answered once.

    Args:
        exposed: the truth.
    """
    known: dict[tuple[Any, ...], Any] = {}
    judge, source = audit.judge, [ModelSource(Path(), "", {})]
    looked: dict[tuple[str, Role], PairFacts] = {}

    def facts(sample: Sample) -> PairFacts:
        key = sample.pair_id, sample.role
        if key not in looked:
            looked[key] = pair_facts(sample)
        return looked[key]

    def opened(
        given: ModelSource, samples: Sequence[Sample], settings: Any, progress: Any, store: Any
    ) -> Any:
        source[0] = given
        asked = [sample for sample in samples if sample.role is not Role.BANK]
        return audit._Opened(None, None, [], asked, [], settings, settings, progress, None)  # type: ignore[arg-type]

    def signals(opened: Any, trained: bool = True) -> tuple[SignalTable, SignalTable | None]:
        return _planted(opened.asked, exposed(source[0], opened.asked) if trained else None, source[0])

    def judged(table: Any, base: Any, facts: Any, settings: Any, **given: Any) -> Any:
        who = tuple((fact.pair_id, fact.role) for fact in facts)
        key = (_identity(source[0]), who, repr(settings), repr(given["identity"]))
        if key not in known:
            result, findings = judge(table, base, facts, settings, **given)
            few = tuple(replace(one, roc=one.roc[:2]) for one in result.detectors)  # nobody looks at curves
            known[key] = replace(result, detectors=few), findings
        return known[key]

    with ExitStack() as held:
        for name, value in {
            "_open": opened,
            "_signals": signals,
            "_shuffled_signals": lambda opened: signals(opened, trained=False)[0],
            "with_self_check": lambda identity, *_: identity,
            "self_check": lambda *_: None,
            "judge": judged,
            "pair_facts": facts,
        }.items():
            held.enter_context(mock.patch.object(audit, name, value))
        yield


def _identity(source: ModelSource) -> str:
    return json.dumps([dict(source.digests), dict(source.base_digests), dict(source.peft_digests)])


def _planted(
    samples: Sequence[Sample], exposed: frozenset[str] | None, source: ModelSource
) -> tuple[SignalTable, SignalTable | None]:
    """Signals of these pairs.

    Args:
        exposed: patients beside the members; None where nobody's own report was asked about.
    """
    seed = [int.from_bytes(sample.pair_id.encode()[-4:]) for sample in samples]
    rng = np.random.default_rng([*seed[:64], len(_identity(source))])
    trained = np.array(
        [exposed is not None and (one.role is Role.MEMBER or one.patient in exposed) for one in samples]
    )
    pairs = tuple(sample.pair_id for sample in samples)
    table, base = _tables(CLEAN, pairs, trained, np.zeros(len(samples)), rng)
    table = replace(table, facts={**table.facts, "batch_size": "16"})
    return table, base if source.base is not None else None
