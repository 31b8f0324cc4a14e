"""Stored rows to views: what a screen may see of them, with foreign text made inert."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from appliance import codec
from appliance.registry import ModelRecord
from appliance.sanitise import safe
from appliance.views import (
    AuditRow,
    AuditView,
    CohortView,
    EstimateView,
    ModelDifference,
    ModelView,
    OverviewRow,
    QuarantineRow,
    VerdictWord,
)
from appliance.words.table import count, tell
from appliance.workspace.rows import Quarantined, StoredAudit, StoredCohort, StoredModel
from audit_core.adapters.contents import pickles
from audit_core.estimates import Trial
from audit_core.policy import AS_PUBLISHED, Policy
from audit_core.readings.prices import passes
from audit_core.results import AuditResult, Verdict
from medio.records import Cohort

OFFICERS_DETECTOR = Policy("default", "0").deciding_detector
ESTIMATED_PAIRS = 1000  # cohort size of an estimate, where none is asked for
SMALL_SAMPLE = "Small sample: intervals are wide, and only large exposures can be found."
ERASED_PATIENT = "erased-"  # stands in a frozen cohort in place of the pseudonym of who was erased
ROLE_ORDER = ("member", "fitting", "calibration", "target", "post_release", "bank")


def model_record(stored: StoredModel) -> ModelRecord:
    """The registry's document as a record."""
    return codec.load(ModelRecord, json.dumps(stored.document))


def inert(text: str) -> str:
    """Foreign text of one line, for a view."""
    return safe(text, 300)


def model_view(stored: StoredModel, pairs: int = ESTIMATED_PAIRS, *, superseded: bool = False) -> ModelView:
    """One model for a screen, with the estimate for a cohort of so many pairs."""
    record = model_record(stored)
    trial = record.trial
    return ModelView(
        name=safe(record.name),
        family=record.family,
        digest=record.digest,
        vendor=safe(record.vendor),
        released=record.released,
        has_base=_has_base(record),
        parameters=record.parameters,
        registered_utc=stored.registered_utc,
        has_adapter=bool(record.peft_path),
        architecture=inert(record.architecture),
        path=inert(record.path),
        base_path=inert(record.base_path),
        adapter_path=inert(record.peft_path),
        audited=_towers([(tower.name, tower.audited) for tower in trial.towers]) if trial else "",
        not_audited=_towers([(tower.name, tower.left_out) for tower in trial.towers]) if trial else "",
        matrices=sum(tower.matrices for tower in trial.towers) if trial else 0,
        converted=_conversions(record),
        facts={safe(name): inert(value) for name, value in trial.facts.items()} if trial else {},
        estimate=estimate(record, trial, pairs) if trial else None,
        sealed=record.sealed_digest if record.sealed else "",
        files={inert(name): digest for name, digest in _files(record).items()},
        line=safe(record.line),
        version=record.version,
        replaces=safe(record.replaced),
        found=record.found,
        superseded=superseded,
    )


def model_differences(first: ModelRecord, second: ModelRecord) -> tuple[ModelDifference, ...]:
    """Facts and files of two models that are not the same."""
    facts = ("family", "architecture", "parameters", "preprocessor", "released")
    both = (
        {fact: str(getattr(one, fact)) for fact in facts}
        | {f"file {name}": digest for name, digest in _files(one).items()}
        for one in (first, second)
    )
    ours, theirs = both
    return tuple(
        ModelDifference(inert(what), inert(ours.get(what, "")), inert(theirs.get(what, "")))
        for what in dict.fromkeys([*ours, *theirs])
        if ours.get(what) != theirs.get(what)
    )


def _files(record: ModelRecord) -> dict[str, str]:
    base = {f"base/{name}": digest for name, digest in record.base_digests.items()}
    adapter = {f"adapter/{name}": digest for name, digest in record.peft_digests.items()}
    return {**record.digests, **base, **adapter}


def _towers(parts: Sequence[tuple[str, str]]) -> str:
    """`language layers 29–31, vision layers 21–23, projector`."""
    said = [name if what == "whole" else f"{name} {what}" for name, what in parts if what]
    return inert(", ".join(said))


def _conversions(record: ModelRecord) -> tuple[str, ...]:
    """One line a part whose weights were pickles, and one a key under which they were found."""
    lines = []
    for part in record.parts():
        if part.tensors and pickles(dict.fromkeys(part.digests, 0)):
            size = sum(len(tensor.objects) for tensor in part.tensors)
            lines.append(
                f"{len(part.tensors)} tensors of pickled weights converted into {size} sealed objects"
            )
    lines += [f"{file}: tensors found under the key {key}" for file, key in record.wrappers.items()]
    return tuple(map(inert, lines))


def estimate(
    record: ModelRecord, trial: Trial, pairs: int, deciding: str = OFFICERS_DETECTOR
) -> EstimateView:
    """What an audit of so many pairs will take where this detector decides."""
    further = passes(deciding, _has_base(record))
    where = inert(f"{trial.facts.get('device', 'cpu')} in {trial.facts.get('precision', 'float32')}")
    basis = (
        f"extrapolated from {trial.pairs} made-up pairs at registration, on {where}: a quarter known "
        "training pairs, a quarter fitting controls in five folds, one pass for shuffled pairs; without "
        "judgement and spike-in"
    )
    if further:
        basis += f"; up to {further:g} further forward passes a pair, {deciding} decides"
    return EstimateView(pairs, round(trial.seconds(pairs, further), 3), trial.bytes(pairs), basis)


def is_dear(deciding: str) -> bool:
    """Whether this deciding detector needs more forward passes than an officer's audit."""
    return passes(deciding, with_base=True) > passes(OFFICERS_DETECTOR, with_base=True)


def _has_base(record: ModelRecord) -> bool:
    return bool(record.base_path or record.peft_path)


def cohort_document(stored: StoredCohort) -> Cohort:
    """The frozen cohort as it was stored."""
    return codec.load(Cohort, json.dumps(stored.document))


def erased_patients(document: Cohort) -> int:
    """How many patients of a frozen cohort were erased since; it cannot be audited again then."""
    return len({one.patient for one in document.assignments if one.patient.startswith(ERASED_PATIENT)})


def cohort_view(document: Cohort) -> CohortView:
    """One cohort for a screen: counts, never a pseudonym."""
    gone = erased_patients(document)
    since = (count("cohort.erased", gone),) if gone else ()
    patients = {
        role: len({one.patient for one in document.assignments if one.role == role}) for role in ROLE_ORDER
    }
    return CohortView(
        name=safe(document.name),
        digest=document.digest,
        design=document.design,
        references=document.references,
        counts=tuple((role, patients[role]) for role in ROLE_ORDER if patients[role]),
        warnings=(*document.warnings, *since),
    )


def audit_row(stored: StoredAudit) -> AuditRow:
    """One audit as a line of a table."""
    return AuditRow(
        audit_id=stored.audit_id,
        model=safe(stored.model),
        cohort=safe(stored.cohort),
        policy=safe(stored.policy),
        started_utc=stored.started_utc,
        state=stored.state,
        verdict=VerdictWord(stored.verdict) if stored.verdict else None,
        why=safe(stored.why, 300),
        policy_version=policy_version(stored),
        policy_digest=str(stored.digests.get("policy", "")),
    )


def audit_view(stored: StoredAudit, demo: bool) -> AuditView:
    """One finished audit whole.

    Raises:
        IntegrityError: the stored result does not fit its form.
    """
    document: Mapping[str, Any] = stored.result or {}
    result = codec.load(AuditResult, json.dumps(document["result"]))
    return AuditView(
        row=audit_row(stored),
        verdict=codec.load(Verdict, json.dumps(document["verdict"])),
        result=result,
        policy_digest=str(stored.digests["policy"]),
        cohort_digest=str(stored.digests["cohort"]),
        model_digest=str(stored.digests["model"]),
        isolation=tuple((str(layer), str(state)) for layer, state in document["isolation"].items()),
        sample_note=str(document.get("sample_note", _sample_note(document, demo))),
        policy_version=policy_version(stored),
    )


def policy_version(stored: StoredAudit) -> str:
    """Version of the policy an audit ran under; "" in what an earlier version stored without its text."""
    if "policy_version" in stored.digests:
        return safe(str(stored.digests["policy_version"]))
    try:
        text = str((stored.result or {}).get("policy_text", ""))
        return safe(str(tomllib.loads(text).get("version", "")))
    except tomllib.TOMLDecodeError:
        return ""


def policy_reference(stored: StoredAudit) -> str:
    """NAME@VERSION of the policy an audit ran under, NAME where no version is known."""
    return "@".join(filter(None, (safe(stored.policy), policy_version(stored))))


def noted(stored: StoredAudit, demo: bool) -> StoredAudit:
    """The same finished audit with its note in words, which the log commits to and no version may reword."""
    document = stored.result or {}
    return replace(stored, result={**document, "sample_note": _sample_note(document, demo)})


def _sample_note(document: Mapping[str, Any], demo: bool) -> str:
    notes = ["DEMO"] * demo + [SMALL_SAMPLE] * bool(document["small_sample"])
    return _together(notes + [AS_PUBLISHED] * bool(document["result"].get("as_published")))


def _together(notes: Sequence[str]) -> str:
    """Notes one after another; the last one ends as it ends."""
    return ". ".join([*(note.removesuffix(".") for note in notes[:-1]), *notes[-1:]])


def overview_row(
    model: ModelView, last: StoredAudit | None, before: StoredAudit | None = None
) -> OverviewRow:
    """One model with its last finished audit; without one, with that of the version before, named as such."""
    never = tell("overview.never")
    if before is not None:
        version = before.model if "@" in before.model else f"{before.model}@1"
        never = tell("overview.never.before", version=version, verdict=before.verdict, why=before.why)
    return OverviewRow(
        model=model.name,
        vendor=model.vendor,
        verdict=VerdictWord(last.verdict) if last is not None and last.verdict else None,
        why=safe(last.why if last is not None else never, 300),
        audited_utc=last.finished_utc if last is not None else "",
        audit_id=last.audit_id if last is not None else "",
        policy=policy_reference(last) if last is not None else "",
        policy_digest=str(last.digests.get("policy", "")) if last is not None else "",
    )


def needs_a_person(row: OverviewRow) -> str:
    """What an officer has to do about a model; "" when nothing, or where it has a case."""
    if row.verdict is None:
        return tell("overview.needs_audit", model=row.model)
    if row.verdict is VerdictWord.VOID:
        return tell("overview.needs_decision", model=row.model, verdict=row.verdict, why=row.why)
    return ""


def quarantine_rows(files: Sequence[Quarantined], each: bool) -> tuple[QuarantineRow, ...]:
    """Files set aside: one row a reason, most frequent first; or one row a file, oldest first."""
    if each:
        return tuple(
            QuarantineRow(file.reason, 1, safe(file.message), file.set_aside_utc, file.name_hmac)
            for file in files
        )
    latest = {file.reason: file for file in files}  # oldest first, so the last one stays
    return tuple(
        QuarantineRow(reason, count, safe(latest[reason].message), latest[reason].set_aside_utc)
        for reason, count in Counter(file.reason for file in files).most_common()
    )
