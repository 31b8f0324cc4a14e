"""One audit as an act: unseal what it needs, stream it to the worker, judge by policy, seal the answer."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from appliance import answers, codec, limits, registry, sealed
from appliance.designs.assignment import Assignment
from appliance.designs.planted import canary_frames, places, with_canaries
from appliance.designs.unfavourable import with_losses
from appliance.errors import (
    ApplianceError,
    Busy,
    CannotWrite,
    IntegrityError,
    Locked,
    LogUnwritable,
    NotNow,
    PolicyError,
    UsageError,
    WorkerFailed,
)
from appliance.frames import FRAME
from appliance.isolation import ON
from appliance.pack.gathering import code_digest
from appliance.policy_file import LoadedPolicy
from appliance.registry import ModelRecord
from appliance.served import WEIGHTS, Served
from appliance.shown import erased_patients
from appliance.views import Progress
from appliance.worker import SELF_PROBE, Worker
from appliance.workspace.rows import StoredAudit, StoredInstance, StoredPair
from appliance.workspace.steps import Steps
from appliance.workspace.workspace import Workspace
from audit_core import policy as judgement
from audit_core.claim_checks import checked
from audit_core.claims import Claim
from audit_core.code_version import code_digest as engine_digest
from audit_core.errors import PolicyInvalid
from audit_core.identity import order_digest, told
from audit_core.results import AuditResult, Design, Finding, References, Verdict
from audit_core.samples import LEAST_SPIKED, ModelSource, Registered, Settings
from medio.projection import projected
from medio.records import Cohort

Place = tuple[str, str, str]
STEPS_PER_PAIR = 12  # two objects a step in each of five passes, were every step one pair
FURTHER_STEPS = 256


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an audit; the findings are yet to be sealed."""

    verdict: Verdict
    result: AuditResult
    findings: tuple[Finding, ...]
    isolation: Mapping[str, str]


def new_id() -> str:
    """A name for an audit to be."""
    return f"A-{secrets.token_hex(6)}"


def begun(
    model: ModelRecord, cohort: Cohort, loaded: LoadedPolicy, asked: Mapping[str, Any], audit_id: str = ""
) -> StoredAudit:
    """An audit that starts now; `asked` is how its policy was named, to be found again on resuming."""
    return StoredAudit(
        audit_id=audit_id or new_id(),
        model=model.name,
        cohort=cohort.name,
        policy=loaded.policy.name,
        started_utc=_now(),
        digests={
            **used(model, cohort, loaded),
            "policy_version": loaded.policy.version,
            "asked": dict(asked),
        },
    )


def settings(loaded: LoadedPolicy, cohort: Cohort) -> Settings:
    """What the policy asks of an audit of this cohort.

    Raises:
        UsageError: patients of the cohort were erased; a spike-in is asked for, and
            the cohort has known members or too few fitting controls.
        PolicyError: it asks for something this cohort does not allow.
    """
    _check_whole(cohort)
    references = References(cohort.references)
    if loaded.spike_in:
        _check_spike_in(cohort)
        references = References.L4
    try:
        return judgement.settings(loaded.policy, references, Design(cohort.design))
    except PolicyInvalid as invalid:
        raise PolicyError(str(invalid), invalid.hint) from invalid


def _check_whole(cohort: Cohort) -> None:
    gone = erased_patients(cohort)
    if gone:
        raise UsageError(
            f"{gone} patients of cohort {cohort.name} were erased", "freeze a new cohort without them"
        )


def _check_spike_in(cohort: Cohort) -> None:
    if cohort.references not in (References.L4, References.L5):
        raise UsageError(
            f"cohort {cohort.name} has known members (references {cohort.references}): "
            "they show better than a spike-in what this audit would have seen",
            "leave --spike-in out",
        )
    fitting = len({one.patient for one in cohort.assignments if str(one.role) == "fitting"})
    if fitting // 2 < LEAST_SPIKED:
        raise UsageError(
            f"a spike-in is trained on half of the fitting controls, and cohort {cohort.name} has {fitting}",
            f"freeze a cohort with at least {2 * LEAST_SPIKED}: more --controls, or a larger --fitting-share",
        )


def used(model: ModelRecord, cohort: Cohort, loaded: LoadedPolicy) -> dict[str, str]:
    """Digests of all that makes an audit what it is."""
    return {
        "model": model.digest,
        "cohort": cohort.digest,
        "policy": loaded.digest,
        "code": code_digest(),
    }


def refuse_changes(audit: StoredAudit, model: ModelRecord, cohort: Cohort, loaded: LoadedPolicy) -> None:
    """An audit goes on with what it began with, or not at all.

    Raises:
        UsageError: naming what is not the same any more: model, cohort, policy or code.
    """
    hint = f"give it up with `gradaudit audit abandon {audit.audit_id}` and run a new audit"
    for what, now in used(model, cohort, loaded).items():
        if audit.digests.get(what) != now:
            raise UsageError(f"audit {audit.audit_id} cannot be resumed: the {what} has changed", hint)
    changed = registry.checked(model).vendor
    if changed:
        raise UsageError(
            f"audit {audit.audit_id} cannot be resumed: the model has changed. {told(changed)}", hint
        )


def finished(
    audit: StoredAudit, outcome: Outcome, loaded: LoadedPolicy, pack: Mapping[str, Any], sealed_as: str
) -> StoredAudit:
    """The same audit with what came of it, and what its evidence pack will say of model, data, run.

    Args:
        sealed_as: name of the batch of findings.
    """
    return replace(
        audit,
        finished_utc=_now(),
        state="done",
        verdict=str(outcome.verdict.word),
        why=outcome.verdict.reasons[0],
        result={
            "result": json.loads(codec.dump(outcome.result)),
            "verdict": json.loads(codec.dump(outcome.verdict)),
            "isolation": dict(outcome.isolation),
            "small_sample": loaded.policy.small_sample_note,
            "policy_text": loaded.text.decode(),
            "pack": pack,
        },
        findings_object=sealed_as,
    )


def failed(audit: StoredAudit, why: str) -> StoredAudit:
    """The same audit, ended without a result."""
    return replace(audit, finished_utc=_now(), state="failed", why=why)


def interrupted(audit: StoredAudit) -> StoredAudit:
    """The same audit, cut off; what it has done is kept."""
    return replace(
        audit, state="interrupted", why=f"cut off; `gradaudit audit resume {audit.audit_id}` goes on"
    )


def resumed(audit: StoredAudit) -> StoredAudit:
    """The same audit, running again."""
    return replace(audit, state="running", why="")


def can_go_on(stopped: BaseException) -> bool:
    """Whether what stopped an audit may be gone next time; a refusal by policy or engine will not be."""
    passing = (WorkerFailed, IntegrityError, CannotWrite, LogUnwritable, NotNow, Busy, Locked)
    return isinstance(stopped, passing) or not isinstance(stopped, ApplianceError)


def check_isolation(worker: Worker, loaded: LoadedPolicy) -> Mapping[str, str]:
    """The worker's layers, if the policy accepts them.

    Raises:
        NotNow: a layer the policy requires is missing, or an attempt of the self-probe got out.
    """
    layers = worker.isolation
    missing = [layer for layer in loaded.policy.required_isolation if layers.get(layer) != ON]
    if missing:
        raise NotNow(
            f"the policy requires {missing[0]}, which is missing here: {layers.get(missing[0])}",
            "see `gradaudit doctor`, or use a policy that does not require it",
        )
    if layers[SELF_PROBE] != ON:
        raise NotNow(f"the worker's box leaks: {layers[SELF_PROBE]}", "see `gradaudit doctor`")
    return layers


def run(
    workspace: Workspace,
    worker: Worker,
    model: ModelRecord,
    cohort: Cohort,
    loaded: LoadedPolicy,
    step: Callable[[Progress], None],
    audit_id: str,
    design: Assignment | None = None,
    claims: Sequence[Claim] = (),
) -> Outcome:
    """Audit `model` on `cohort` under a policy. The caller has logged that it begins, or is resumed.

    Args:
        audit_id: whose sealed steps are read and added to.
        design: whose coins gave the cohort its roles, verified; its canaries are scored beside the patients.
        claims: of the vendor, in force when the audit was asked for.

    Raises:
        ApplianceError: the audit could not be carried out; see `can_go_on`.
    """
    layers = check_isolation(worker, loaded)
    given = _placed(cohort, design)
    frames = chain(sample_frames(workspace, cohort), canary_frames(workspace, design))
    kept = StepsByQuestion(workspace.steps(audit_id), len(given))
    result, findings = _asked(workspace, worker, model, (cohort, loaded), given, frames, kept, step)
    result = with_canaries(result, findings, design)
    result = with_losses(result, findings, cohort, design, loaded.policy)
    result = replace(result, claims=checked(claims, result))
    verdict = judgement.decide(loaded.policy, result)
    return Outcome(verdict, result, findings, layers)


def _asked(
    workspace: Workspace,
    worker: Worker,
    model: ModelRecord,
    asked: tuple[Cohort, LoadedPolicy],
    given: Sequence[Place],
    frames: Iterable[tuple[dict[str, Any], bytes]],
    kept: StepsByQuestion,
    step: Callable[[Progress], None],
) -> tuple[AuditResult, tuple[Finding, ...]]:
    """What the worker answers, held to its form; the model goes to it from the vault."""
    cohort, loaded = asked
    served = Served(workspace.vault, model)
    known = answers.phrases([*answers.names_of(model), *chain.from_iterable(given)])
    epochs = loaded.policy.spike_in_epochs if loaded.spike_in else 0

    def narrate(event: dict[str, Any], blob: bytes) -> None:
        step(answers.progress_of(event, blob, known))

    def answered(question: dict[str, Any], blob: bytes) -> tuple[dict[str, Any], bytes]:
        return served.answer(question) if question.get("act") == WEIGHTS else kept.answer(question, blob)

    with served.placed(worker.folder, registry.checked(model)) as source:
        job = {
            "type": "audit",
            "source": codec.dump(source, ModelSource),
            "settings": codec.dump(settings(loaded, cohort), Settings),
            "registered": codec.dump(_registered(given), Registered),
        }
        answer = worker.call(
            job,
            frames=chain(served.frames(), frames),
            on_event=narrate,
            on_question=answered,
            processor_s=limits.audit_seconds(model.trial, len(given), epochs),
            known=known,
        )
    return answers.audit_answer(answer, given, known)


def _registered(given: Sequence[Place]) -> Registered:
    """What the worker must find itself to be given: these pairs in this order, and this code."""
    return Registered(order_digest(given), engine_digest())


def _placed(cohort: Cohort, design: Assignment | None) -> list[Place]:
    """(pair, patient, role) of all that the worker is given, in its order."""
    return [*((one.pair_id, one.patient, str(one.role)) for one in cohort.assignments), *places(design)]


class StepsByQuestion:
    """Answers the worker's questions for finished steps; it may keep so many and no more."""

    def __init__(self, steps: Steps, pairs: int) -> None:
        self._steps = steps
        self._left = STEPS_PER_PAIR * pairs + FURTHER_STEPS

    def answer(self, question: dict[str, Any], blob: bytes) -> tuple[dict[str, Any], bytes]:
        """Read or seal one step.

        Raises:
            WorkerFailed: the question has no meaning, or the worker wants to keep too much.
            CannotWrite: the disk is full or refuses.
            IntegrityError: a sealed step is damaged.
        """
        key, act = str(question.get("key")), question.get("act")
        if re.fullmatch("(copy-)?[0-9a-f]{64}", key) is None or act not in ("get", "put") or self._left == 0:
            raise WorkerFailed("the worker asked for something that its job has not")
        if act == "put":
            self._left -= 1
            self._steps.put(key, blob)
            return {"found": True}, b""
        found = self._steps.get(key)
        return {"found": found is not None}, found or b""


def sample_frames(workspace: Workspace, cohort: Cohort) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Every pair of the cohort as a frame for the worker, in the cohort's order; one at a time in memory.

    Raises:
        IntegrityError: an object of the vault is damaged.
        UsageError: a pair of the cohort is no longer in the workspace.
    """
    pairs = {pair.pair_id: pair for pair in workspace.catalogue.pairs()}
    instances = {instance.content_digest: instance for instance in workspace.catalogue.instances()}
    texts = {report.content_digest: report.text_object for report in workspace.catalogue.reports()}
    for assigned in cohort.assignments:
        if assigned.pair_id not in pairs:
            raise UsageError("a pair of the cohort is no longer in the workspace", "freeze a new cohort")
        pair = pairs[assigned.pair_id]
        instance = instances[pair.image_digest]
        message = {
            "type": "sample",
            "pair_id": assigned.pair_id,
            "patient": assigned.patient,
            "role": str(assigned.role),
            "text": sealed.text(workspace, texts[pair.report_digest]),
            "height": instance.height,
            "width": instance.width,
            "covariates": _covariates(pair, instance),
        }
        yield message, workspace.vault.get(FRAME, instance.frame_object)


def _covariates(pair: StoredPair, instance: StoredInstance) -> dict[str, Any]:
    """Data-only facts for the blind baseline: what could tell roles apart without any model."""
    facts: dict[str, Any] = {"Modality": pair.Modality, "BodyPartExamined": pair.BodyPartExamined}
    if pair.StudyDate[:4].isdigit():
        facts["Year"] = float(pair.StudyDate[:4])
    return projected({**instance.attributes, **facts})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
