"""One audit as an act: unseal what it needs, stream it to the worker, judge by policy, seal the answer."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from appliance import codec, sealed
from appliance.errors import ApplianceError, UsageError
from appliance.isolation import ON
from appliance.policy_file import LoadedPolicy
from appliance.registry import ModelRecord
from appliance.views import Progress
from appliance.worker import SELF_PROBE, Worker
from appliance.workspace.rows import StoredAudit, StoredInstance, StoredPair
from appliance.workspace.workspace import Workspace
from audit_core import policy as judgement
from audit_core.results import AuditResult, Design, Finding, References, Verdict
from audit_core.samples import ModelSource, Settings
from medio.projection import projected
from medio.records import Cohort

FINDINGS = "findings"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an audit left behind, besides the sealed findings."""

    verdict: Verdict
    result: AuditResult
    findings_object: str
    isolation: Mapping[str, str]


def begun(model: ModelRecord, cohort: Cohort, loaded: LoadedPolicy) -> StoredAudit:
    """An audit that starts now."""
    return StoredAudit(
        audit_id=f"A-{secrets.token_hex(6)}",
        model=model.name,
        cohort=cohort.name,
        policy=loaded.policy.name,
        started_utc=_now(),
        digests={"policy": loaded.digest, "cohort": cohort.digest, "model": model.digest},
    )


def finished(
    audit: StoredAudit, outcome: Outcome, loaded: LoadedPolicy, pack: Mapping[str, Any]
) -> StoredAudit:
    """The same audit with what came of it, and what its evidence pack will say of model, data, run."""
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
        findings_object=outcome.findings_object,
    )


def failed(audit: StoredAudit, why: str) -> StoredAudit:
    """The same audit, ended without a result."""
    return replace(audit, finished_utc=_now(), state="failed", why=why)


def check_isolation(worker: Worker, loaded: LoadedPolicy) -> Mapping[str, str]:
    """The worker's layers, if the policy accepts them.

    Raises:
        ApplianceError: a layer the policy requires is missing, or an attempt of the self-probe got out.
    """
    layers = worker.isolation
    missing = [layer for layer in loaded.policy.required_isolation if layers.get(layer) != ON]
    if missing:
        raise ApplianceError(
            f"the policy requires {missing[0]}, which is missing here: {layers.get(missing[0])}",
            "see `gradaudit doctor`, or use a policy that does not require it",
        )
    if layers[SELF_PROBE] != ON:
        raise ApplianceError(f"the worker's box leaks: {layers[SELF_PROBE]}", "see `gradaudit doctor`")
    return layers


def run(
    workspace: Workspace,
    worker: Worker,
    model: ModelRecord,
    cohort: Cohort,
    loaded: LoadedPolicy,
    step: Callable[[Progress], None],
) -> Outcome:
    """Audit `model` on `cohort` under a policy. The caller has logged that it begins.

    Raises:
        ApplianceError: the audit could not be carried out; nothing of it was stored.
    """
    layers = check_isolation(worker, loaded)
    settings = judgement.settings(loaded.policy, References(cohort.references), Design(cohort.design))
    job = {
        "type": "audit",
        "source": codec.dump(model.source(), ModelSource),
        "settings": codec.dump(settings, Settings),
    }

    def narrate(event: dict[str, Any], blob: bytes) -> None:
        step(Progress(str(event["phase"]), int(event["done"]), int(event["total"]), str(event["unit"])))

    answer = worker.call(job, frames=sample_frames(workspace, cohort), on_event=narrate)
    result = codec.load(AuditResult, answer["result"])
    findings = codec.load(tuple[Finding, ...], answer["findings"])
    _check_findings(findings, cohort)
    verdict = judgement.decide(loaded.policy, result)
    kept = workspace.vault.put(FINDINGS, codec.dump(findings, tuple[Finding, ...]).encode())
    return Outcome(verdict, result, kept, layers)


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
        yield message, sealed.frame(workspace, instance).tobytes()


def _covariates(pair: StoredPair, instance: StoredInstance) -> dict[str, Any]:
    """Data-only facts for the blind baseline: what could tell roles apart without any model."""
    facts: dict[str, Any] = {"Modality": pair.Modality, "BodyPartExamined": pair.BodyPartExamined}
    if pair.StudyDate[:4].isdigit():
        facts["Year"] = float(pair.StudyDate[:4])
    return projected({**instance.attributes, **facts})


def _check_findings(findings: tuple[Finding, ...], cohort: Cohort) -> None:
    """The worker is not trusted to invent pairs or to move one to another role."""
    assigned = {one.pair_id: (one.patient, str(one.role)) for one in cohort.assignments}
    for finding in findings:
        if assigned.get(finding.pair_id) != (finding.patient, str(finding.role)):
            raise ApplianceError("the worker answered for a pair it was not given", "see `gradaudit doctor`")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
