"""Everything a workspace holds of one patient, found before it is erased (SECURITY §2, docs/erasure.md)."""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from appliance import codec
from appliance.designs.shelf import assignments
from appliance.errors import UsageError
from appliance.shown import ERASED_PATIENT, cohort_document
from appliance.watch import versions
from appliance.workspace.rows import StoredCohort, StoredInstance, StoredReport, StoredStudy
from appliance.workspace.workspace import Workspace
from medio.deidentify import pseudonym
from medio.persons import linked

Record = StoredInstance | StoredReport | StoredStudy
Identity = tuple[str, str]  # IssuerOfPatientID, PatientID
_SEPARATOR: Final = "\0"


@dataclass(frozen=True, slots=True)
class ErasureView:
    """What an erasure takes away: for the officer's own eyes, it names the patient.

    Attributes:
        patient: the pseudonym by which the erasure is confirmed.
        identities: (IssuerOfPatientID, PatientID) of this person, as far as records link them.
        pseudonyms: of these.
        objects: sealed files.
        cohorts: frozen ones that held the patient; they cannot be audited again.
        audits: done on such cohorts; their counts stay as reported.
        given_up: audits that were cut off on such cohorts; they cannot go on.
        designs: committed ones; their sealed assignment still names the patient.
        models: lines audited with this patient: a new audit is due, of the newest version.
        same_study: records of other patients under the same study UID; they stay, look at them.
    """

    patient: str
    identities: tuple[Identity, ...]
    pseudonyms: tuple[str, ...]
    images: int
    reports: int
    studies: int
    pairs: int
    objects: int
    cohorts: tuple[str, ...]
    audits: tuple[str, ...]
    given_up: tuple[str, ...]
    designs: tuple[str, ...]
    models: tuple[str, ...]
    same_study: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes, in the words of the store.

    Attributes:
        subjects: handles of the identities, and of objects without one.
        patients: pseudonyms, as findings have them.
        cohorts: name -> document without the patient's pseudonym.
        every_audit: that there is, for findings.
    """

    view: ErasureView
    digests: tuple[str, ...]
    pairs: tuple[str, ...]
    subjects: tuple[str, ...]
    objects: tuple[str, ...]
    patients: tuple[str, ...]
    cohorts: Mapping[str, Mapping[str, Any]]
    every_audit: tuple[str, ...]


def find(workspace: Workspace, patient_id: str = "", issuer: str | None = None, name: str = "") -> Plan:
    """Every trace of one person.

    Args:
        patient_id: PatientID; or "" where `name` is given.
        issuer: IssuerOfPatientID; None for any.
        name: pseudonym.

    Raises:
        UsageError: nobody is known by this, or several persons are.
    """
    catalogue = workspace.catalogue
    records: tuple[Record, ...] = (*catalogue.instances(), *catalogue.reports(), *catalogue.studies())
    people = _people(workspace, records)
    meant = [one for one in people if _is_meant(workspace, one, patient_id, issuer, name)]
    if not meant:
        raise UsageError(
            "nobody in this workspace is known by this", "see `gradaudit studies ls`; also give --issuer"
        )
    if len({people[one] for one in meant}) > 1:
        raise UsageError(
            "several patients have this id, from different issuers", "say which one is meant with --issuer"
        )
    person = {one for one in people if people[one] == people[meant[0]]}
    return _plan(workspace, records, person)


def _is_meant(workspace: Workspace, one: Identity, patient_id: str, issuer: str | None, name: str) -> bool:
    if name:
        return pseudonym(workspace.keys.pseudonym.raw, *one) == name
    return one[1] == patient_id and issuer in (None, one[0])


def _people(workspace: Workspace, records: Iterable[Record]) -> dict[Identity, Identity]:
    """Identity -> one identity of the same person.

    Reports may give one patient several ids, pairs join records under different ids, and a sender may leave
    out who issued an id: an id that at most one issuer is known for is one person's.
    """
    known = {_identity(record) for record in records if record.PatientID}
    issuers: dict[str, set[str]] = defaultdict(set)
    for issuer, number in known:
        issuers[number].add(issuer)
    groups = [
        [(issuer, number) for issuer in sorted(found)]
        for number, found in issuers.items()
        if len(found - {""}) <= 1
    ]
    by_digest = {record.content_digest: record for record in records}
    for record in records:
        if isinstance(record, StoredReport) and record.PatientID:
            others = [other for other in record.OtherPatientIDs if other]
            groups.append([_identity(record), *_meant_by(record, others, issuers)])
    for pair in workspace.catalogue.pairs():
        sides = [by_digest[one] for one in (pair.image_digest, pair.report_digest) if one in by_digest]
        groups.append([_identity(side) for side in sides if side.PatientID])
    above = linked([_SEPARATOR.join(one) for one in group] for group in groups)
    known |= {one for group in groups for one in group}
    return {one: _named(above.get(_SEPARATOR.join(one), _SEPARATOR.join(one))) for one in known}


def _meant_by(record: StoredReport, others: Iterable[str], issuers: Mapping[str, set[str]]) -> list[Identity]:
    """Further ids of a report's patient: of the same issuer, or of the only issuer that is known for them."""
    found = []
    for other in others:
        at = issuers.get(other, set())
        only = next(iter(at)) if len(at) == 1 else record.IssuerOfPatientID
        found.append((only, other))
    return found


def _named(key: str) -> Identity:
    issuer, _, number = key.partition(_SEPARATOR)
    return issuer, number


def _identity(record: Record) -> Identity:
    return record.IssuerOfPatientID, record.PatientID


def _plan(workspace: Workspace, records: Iterable[Record], person: set[Identity]) -> Plan:
    own = [record for record in records if record.PatientID and _identity(record) in person]
    studies = {record.StudyInstanceUID for record in own} - {""}
    accessions = {record.AccessionNumber for record in own} - {""}
    digests = {record.content_digest for record in own}
    paired = {
        digest
        for pair in workspace.catalogue.pairs()
        for digest in (pair.image_digest, pair.report_digest)
        if digests & {pair.image_digest, pair.report_digest}
    }
    nameless = [
        record
        for record in records
        if not record.PatientID
        and (
            record.StudyInstanceUID in studies
            or record.AccessionNumber in accessions
            or record.content_digest in paired
        )
    ]
    gone = [*own, *nameless]
    digests = {record.content_digest for record in gone}
    others = [
        record
        for record in records
        if record.content_digest not in digests and record.StudyInstanceUID in studies
    ]
    return _described(workspace, records, gone, person, len(others))


def _described(
    workspace: Workspace,
    records: Iterable[Record],
    gone: list[Record],
    person: set[Identity],
    same_study: int,
) -> Plan:
    key, catalogue = workspace.keys.pseudonym.raw, workspace.catalogue
    digests = {record.content_digest for record in gone}
    names = sorted(pseudonym(key, *one) for one in person)
    pairs = {
        pair.pair_id
        for pair in catalogue.pairs()
        if pair.image_digest in digests or pair.report_digest in digests or pair.patient in names
    }
    cohorts = {stored.name: _without(stored, pairs, set(names)) for stored in catalogue.cohorts()}
    held = {name: found for name, found in cohorts.items() if found is not None}
    patients = sorted({*names, *(one for found in held.values() for one in found[1])})
    used = _objects(gone) - _objects(record for record in records if record.content_digest not in digests)
    handle = workspace.subjects.handle
    subjects = {handle(*one, "") for one in person} | {
        handle(*_identity(record), record.content_digest) for record in gone
    }
    audits = [audit for audit in catalogue.audits() if audit.cohort in held]
    done = [audit for audit in audits if audit.state == "done"]
    lines = {row.name: versions.line_of(row) for row in catalogue.models()}
    view = ErasureView(
        patient=names[0],
        identities=tuple(sorted(person)),
        pseudonyms=tuple(patients),
        images=sum(isinstance(record, StoredInstance) for record in gone),
        reports=sum(isinstance(record, StoredReport) for record in gone),
        studies=sum(isinstance(record, StoredStudy) for record in gone),
        pairs=len(pairs),
        objects=len(used),
        cohorts=tuple(sorted(held)),
        audits=tuple(sorted(audit.audit_id for audit in done)),
        given_up=tuple(
            sorted(audit.audit_id for audit in audits if audit.state in ("running", "interrupted"))
        ),
        designs=_designs(workspace, pairs, set(patients)),
        models=tuple(sorted({lines.get(audit.model, audit.model) for audit in done})),
        same_study=same_study,
    )
    return Plan(
        view=view,
        digests=tuple(sorted(digests)),
        pairs=tuple(sorted(pairs)),
        subjects=tuple(sorted(subjects)),
        objects=tuple(sorted(used)),
        patients=tuple(patients),
        cohorts={name: found[0] for name, found in held.items()},
        every_audit=tuple(sorted(audit.audit_id for audit in catalogue.audits())),
    )


def _objects(records: Iterable[Record]) -> set[str]:
    named = (
        record.frame_object
        if isinstance(record, StoredInstance)
        else record.text_object
        if isinstance(record, StoredReport)
        else ""
        for record in records
    )
    return set(filter(None, named))


def _without(
    stored: StoredCohort, pairs: set[str], names: set[str]
) -> tuple[Mapping[str, Any], set[str]] | None:
    """The cohort with a random word for the patient's pseudonym, and the pseudonyms; None without them.

    Pair ids and roles stay: the cohort's digest is over them, and results rest on it.
    """
    document = cohort_document(stored)
    gone = {one.patient for one in document.assignments if one.pair_id in pairs or one.patient in names}
    if not gone:
        return None
    words = {name: f"{ERASED_PATIENT}{secrets.token_hex(6)}" for name in sorted(gone)}
    kept = tuple(replace(one, patient=words.get(one.patient, one.patient)) for one in document.assignments)
    changed: Mapping[str, Any] = json.loads(codec.dump(replace(document, assignments=kept)))
    return changed, gone


def _designs(workspace: Workspace, pairs: set[str], names: set[str]) -> tuple[str, ...]:
    return tuple(
        sorted(
            one.name
            for one in assignments(workspace)
            if any(patient.patient in names or pairs & set(patient.pairs) for patient in one.patients)
        )
    )
