"""Findings of an audit: sealed where they arise, and what an officer sees of them later."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from appliance import codec
from appliance.errors import UsageError
from appliance.evidence.entries import Entry
from appliance.workspace.evidence_batches import ERASURE, FINDINGS, IDENTITIES, EvidenceBatches
from appliance.workspace.evidence_merging import digest_of
from appliance.workspace.evidence_tables import StoredFinding, StoredIdentity, StoredReveal
from appliance.workspace.rows import StoredInstance, StoredPair
from appliance.workspace.workspace import Workspace
from audit_core.results import Finding

PRIORS: Final = ("0.001", "0.01", "0.1", "mixture", "as published")
PRIOR: Final = "0.01"
SHORTEST_REASON, LONGEST_REASON = 8, 2000  # characters
ERASED_REASON: Final = "the patient was erased since"
LOST_REASON: Final = "no record: the look was cut off, or the record was lost"


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One pair of an audit as a line of a table.

    Attributes:
        patient: pseudonym.
        score: of the deciding detector; None where there is none.
        probability: leak probability under the prior that was asked for; None where the audit gives none.
    """

    patient: str
    pair_id: str
    role: str
    judged: bool
    flagged: bool
    p_value: float | None
    score: float | None
    probability: float | None


@dataclass(frozen=True, slots=True)
class FindingView:
    """One pair of an audit whole.

    Attributes:
        scores: detector -> score, or why there is none.
        probabilities: prior -> leak probability.
    """

    patient: str
    pair_id: str
    role: str
    judged: bool
    flagged: bool
    p_value: float | None
    scores: Mapping[str, float | str]
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RevealedStudy:
    """One examination behind a finding, as long as the workspace holds it."""

    pair_id: str
    study: str
    accession: str
    date: str
    modality: str


@dataclass(frozen=True, slots=True)
class RevealView:
    """Who a pseudonym is: patient data, for the officer's own eyes.

    Attributes:
        identities: (IssuerOfPatientID, PatientID); none for a planted canary.
        digest: of the sealed reason, as the log's entry has it.
    """

    patient: str
    identities: tuple[tuple[str, str], ...]
    studies: tuple[RevealedStudy, ...]
    digest: str


def keep(workspace: Workspace, audit_id: str, findings: Sequence[Finding]) -> tuple[str, str]:
    """Seal what an audit found, and who it is about; both are on disk when this returns.

    Whoever runs the audit cannot read it back: the evidence key does (SECURITY §2).

    Returns:
        Name of the batch of findings, and hex SHA-256 of its content, which holds that of the identities.
        Salted, so whoever reads the log cannot try out findings.

    Raises:
        CannotWrite: the disk is full or refuses.
    """
    batches = EvidenceBatches.of(workspace)
    rows = json.loads(codec.dump(tuple(findings), tuple[Finding, ...]))
    known = _document({"audit_id": audit_id, "rows": _identities(workspace, findings), "salt": _salt()})
    batches.put(IDENTITIES, audit_id, known)
    found = {"audit_id": audit_id, "rows": rows, "identities": _digest(known), "salt": _salt()}
    content = _document(found)
    return batches.put(FINDINGS, audit_id, content), _digest(content)


def discard(workspace: Workspace, audit_id: str) -> None:
    """Remove what an audit sealed that came to nothing."""
    for kind in (FINDINGS, IDENTITIES):
        EvidenceBatches.of(workspace).discard(kind, audit_id)


def sweep(workspace: Workspace) -> None:
    """Remove what audits sealed that came to nothing and were killed while it was removed.

    Call it as the only writer.
    """
    batches = EvidenceBatches.of(workspace)
    live = [row.audit_id for row in workspace.catalogue.audits() if row.state != "failed"]
    of_audits = (FINDINGS, IDENTITIES)
    names = {batches.name_of(kind, audit_id) for kind in of_audits for audit_id in live}
    left = [one for one in batches.waiting() if one.kind in of_audits and one.name not in names]
    if left:
        batches.remove(left)


def reason_document(
    workspace: Workspace, audit_id: str, patient: str, reason: str, beside: Sequence[str] = ()
) -> tuple[dict[str, str], str]:
    """Why an identity is looked at, and by whom.

    Args:
        workspace: whose user looks.
        audit_id: of the finding.
        patient: pseudonym.
        reason: as typed.
        beside: names of who else is present.

    Returns:
        What is kept of the look, and the digest that the log's entry carries; salted, so nobody can try out
        reasons.

    Raises:
        UsageError: no reason, or a very long one.
    """
    if not SHORTEST_REASON <= len(reason.strip()) <= LONGEST_REASON:
        raise UsageError(
            f"a reason has {SHORTEST_REASON} to {LONGEST_REASON} characters",
            "say who asked and for what, for example --reason 'access request of 3 May'",
        )
    document = {
        "reveal_id": secrets.token_hex(16),
        "audit_id": audit_id,
        "patient": patient,
        "revealed_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": ", ".join((workspace.user.name, *beside)),
        "reason": reason.strip(),
        "salt": _salt(),
    }
    return document, digest_of(document)


def looks(kept: Iterable[StoredReveal], allowed: Iterable[Entry]) -> tuple[StoredReveal, ...]:
    """Every look at an identity, oldest first; of one whose record is lost there is the log's entry."""
    known = tuple(
        replace(one, reason=ERASED_REASON) if not one.patient and not one.reason else one for one in kept
    )
    digests = {one.digest for one in known}
    lost = (entry for entry in allowed if entry.detail_digest not in digests)
    bare = tuple(
        StoredReveal("", "", "", entry.claimed_utc, _role(entry), LOST_REASON, entry.detail_digest)
        for entry in lost
    )
    return tuple(sorted((*known, *bare), key=lambda one: (one.revealed_utc, one.reveal_id)))


def keep_erasure(
    workspace: Workspace, erasure_id: str, audits: Sequence[str], patients: Sequence[str]
) -> None:
    """Seal that findings about these pseudonyms go; whoever next opens the store carries it out.

    Raises:
        CannotWrite: the disk is full or refuses.
    """
    document = {"erasure_id": erasure_id, "audits": list(audits), "patients": list(patients)}
    EvidenceBatches.of(workspace).put(ERASURE, erasure_id, _document(document))


def finding_row(found: StoredFinding, deciding: str, prior: str) -> FindingRow:
    """One finding for a table."""
    return FindingRow(
        patient=found.patient,
        pair_id=found.pair_id,
        role=found.role,
        judged=found.judged,
        flagged=found.flagged,
        p_value=_rounded(found.p_value),
        score=_rounded(found.scores.get(deciding)),
        probability=_rounded(found.probabilities.get(prior)),
    )


def finding_view(found: StoredFinding) -> FindingView:
    """One finding whole; what was not scored says why."""
    return FindingView(
        patient=found.patient,
        pair_id=found.pair_id,
        role=found.role,
        judged=found.judged,
        flagged=found.flagged,
        p_value=_rounded(found.p_value),
        scores={
            name: f"not scored: {found.unscored[name]}" if value is None else _short(value)
            for name, value in found.scores.items()
        },
        probabilities={prior: _short(value) for prior, value in found.probabilities.items()},
    )


def reveal_view(
    workspace: Workspace,
    patient: str,
    found: Sequence[StoredFinding],
    identities: Sequence[StoredIdentity],
    digest: str,
) -> RevealView:
    """Who somebody is, with the examinations that the workspace still holds."""
    images, pairs = _images_and_pairs(workspace)
    studies = []
    for one in found:
        pair = pairs.get(one.pair_id)
        if pair is not None:
            image = images[pair.image_digest]
            studies.append(
                RevealedStudy(
                    one.pair_id,
                    image.StudyInstanceUID,
                    image.AccessionNumber,
                    pair.StudyDate,
                    pair.Modality,
                )
            )
    known = tuple((one.issuer, one.patient_id) for one in identities)
    return RevealView(patient, known, tuple(studies), digest)


def _identities(workspace: Workspace, findings: Iterable[Finding]) -> list[dict[str, str]]:
    """Pseudonym and identity of everybody a finding is about; planted canaries are nobody."""
    images, pairs = _images_and_pairs(workspace)
    known = set()
    for one in findings:
        pair = pairs.get(one.pair_id)
        if pair is not None:
            image = images[pair.image_digest]
            known.add((one.patient, image.IssuerOfPatientID, image.PatientID))
    return [
        {"patient": patient, "issuer": issuer, "patient_id": number}
        for patient, issuer, number in sorted(known)
    ]


def _images_and_pairs(workspace: Workspace) -> tuple[dict[str, StoredInstance], dict[str, StoredPair]]:
    images = {image.content_digest: image for image in workspace.catalogue.instances()}
    return images, {pair.pair_id: pair for pair in workspace.catalogue.pairs()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else _short(value)


def _short(value: float) -> float:
    """To four significant digits: all of them stay in the vault (SECURITY §5)."""
    return float(f"{value:.4g}")


def _document(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()


def _role(entry: Entry) -> str:
    return entry.actor.partition(":")[0]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _salt() -> str:
    return secrets.token_hex(16)
