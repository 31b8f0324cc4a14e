"""Findings of an audit: sealed where they arise, and what an officer sees of them later."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from appliance import codec
from appliance.errors import UsageError
from appliance.evidence.entries import Entry
from appliance.finding_views import FindingRow, FindingsAsked, FindingView, RevealedStudy, RevealView
from appliance.workspace.evidence_batches import ERASURE, FINDINGS, IDENTITIES, EvidenceBatches
from appliance.workspace.evidence_listing import SORTS, ListedFinding, Sifting
from appliance.workspace.evidence_merging import digest_of
from appliance.workspace.evidence_tables import StoredFinding, StoredIdentity, StoredReveal
from appliance.workspace.rows import StoredInstance, StoredPair
from appliance.workspace.workspace import Workspace
from audit_core.results import Finding

PRIORS: Final = ("0.001", "0.01", "0.1", "mixture", "as published")
PRIOR: Final = "0.01"
SORTED: Final = "audit"  # the order where none is asked for
SHORTEST_REASON, LONGEST_REASON = 8, 2000  # characters
ERASED_REASON: Final = "the patient was erased since"
LOST_REASON: Final = "no record: the look was cut off, or the record was lost"


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


def sifting(asked: FindingsAsked) -> Sifting:
    """What is asked for, as the store takes it.

    Raises:
        UsageError: no such prior or order, or a probability outside 0 to 1.
    """
    prior, sort = asked.prior or PRIOR, asked.sort or SORTED
    if prior not in PRIORS:
        raise UsageError(f"no such prior: {prior}", "one of " + ", ".join(PRIORS))
    if sort not in SORTS:
        raise UsageError(f"no such order: {sort}", "one of " + ", ".join(SORTS))
    return Sifting(
        role=asked.role,
        flagged=asked.flagged,
        pseudonym=asked.pseudonym,
        min_score=asked.min_score,
        prior=prior,
        min_probability=asked.min_probability,
        sort=sort,
    )


def finding_row(found: ListedFinding) -> FindingRow:
    """One finding for a table."""
    return FindingRow(
        patient=found.patient,
        pair_id=found.pair_id,
        role=found.role,
        judged=found.judged,
        flagged=found.flagged,
        p_value=_rounded(found.p_value),
        score=_rounded(found.score),
        probability=_rounded(found.probability),
        pairs=found.pairs,
    )


def finding_views(workspace: Workspace, found: Sequence[StoredFinding]) -> tuple[FindingView, ...]:
    """Findings whole, with date and modality of those whose pair the workspace still holds."""
    pairs = {pair.pair_id: pair for pair in workspace.catalogue.pairs()}
    return tuple(finding_view(one, pairs.get(one.pair_id)) for one in found)


def finding_view(found: StoredFinding, pair: StoredPair | None = None) -> FindingView:
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
        date=pair.StudyDate if pair is not None else "",
        modality=pair.Modality if pair is not None else "",
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
