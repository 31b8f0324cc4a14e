"""Who plays which role: selections by file or query, turned into a frozen, patient-disjoint cohort."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from appliance.errors import IntegrityError, UsageError
from appliance.intake import FRAME, REPORT_TEXT
from appliance.workspace.workspace import Workspace
from audit_core.results import Design, References
from medio.cohort import Candidate, cohort_digest
from medio.cohort import freeze as freeze_candidates
from medio.duplicates import Fingerprint, fingerprint
from medio.errors import CohortRefused
from medio.records import Cohort

REST = "rest"


@dataclass(frozen=True, slots=True)
class PairRow:
    """One pair with every handle an officer may know it by."""

    pair_id: str
    patient: str  # pseudonym
    accession: str
    study_uid: str
    patient_id: str
    study_date: str
    modality: str
    body_part: str


_KEYS: Mapping[str, Callable[[PairRow], str]] = {
    "AccessionNumber": lambda pair: pair.accession,
    "StudyInstanceUID": lambda pair: pair.study_uid,
    "PatientID": lambda pair: pair.patient_id,
    "pair_id": lambda pair: pair.pair_id,
    "StudyDate": lambda pair: pair.study_date,
    "Modality": lambda pair: pair.modality,
    "BodyPartExamined": lambda pair: pair.body_part,
}
_HANDLES = ("AccessionNumber", "StudyInstanceUID", "PatientID", "pair_id")
_HINTS = {
    "patient-in-two-roles": "take these patients off one of the lists; every patient has one role",
    "pair-twice": "a pair stands in one role only; take it out of the other selections",
    "near-duplicates": "the same picture in two roles would look like memory; leave one of them out",
    "too-few-controls": "more control patients are needed so that both halves hold some",
    "fitting-share": "a share between 0 and 1, for example 0.4",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CONDITION = re.compile(r"([A-Za-z_]+)(<=|>=|=)(\S+)")


@dataclass(frozen=True, slots=True)
class CohortRequest:
    """What the officer asked for.

    Attributes:
        selections: role ("member", "control", "target", "bank", "post_release") -> file, query, `all`,
            `rest` (every patient that no other role names) or "" for nobody.
        fitting_share: share of control patients used for mask and fusion; the others give p-values.
    """

    name: str
    selections: Mapping[str, str]
    design: str
    references: str
    fitting_share: float
    seed: int


def pair_rows(workspace: Workspace) -> tuple[PairRow, ...]:
    """Every standing pair of the workspace with its handles, by pair id."""
    instances = {instance.content_digest: instance for instance in workspace.catalogue.instances()}
    return tuple(
        PairRow(
            pair_id=pair.pair_id,
            patient=pair.patient,
            accession=instances[pair.image_digest].AccessionNumber,
            study_uid=pair.StudyInstanceUID,
            patient_id=instances[pair.image_digest].PatientID,
            study_date=pair.StudyDate,
            modality=pair.Modality,
            body_part=pair.BodyPartExamined,
        )
        for pair in workspace.catalogue.pairs()
        if pair.standing
    )


def freeze(workspace: Workspace, request: CohortRequest) -> Cohort:
    """Select, check and freeze.

    Raises:
        UsageError: a selection is empty or unreadable, roles share a patient or a picture, or a word of the
            request has no meaning.
    """
    if not _NAME.fullmatch(request.name):
        raise UsageError(
            "a cohort name has letters, digits, dot, dash and underscore", "for example chest-2026"
        )
    for word, known in ((request.design, Design), (request.references, References)):
        if word not in {member.value for member in known}:
            raise UsageError(f"not known: {word}", "one of " + ", ".join(member.value for member in known))
    _check_references(request)
    chosen = select(request, pair_rows(workspace))
    prints = _fingerprints(workspace, {pair.pair_id for pairs in chosen.values() for pair in pairs})
    candidates = [
        Candidate(pair.pair_id, pair.patient, role, prints[pair.pair_id])
        for role, pairs in chosen.items()
        for pair in pairs
    ]
    try:
        return freeze_candidates(
            request.name,
            candidates,
            design=request.design,
            references=request.references,
            seed=request.seed,
            fitting_share=request.fitting_share,
        )
    except CohortRefused as refused:
        hint = _HINTS.get(refused.reason, "change the selections; nothing was created")
        raise UsageError(f"the cohort cannot be frozen: {refused}", hint) from refused


def _check_references(request: CohortRequest) -> None:
    """Members that would be ignored, or are promised and not there, are a mistake of the command."""
    without = request.references in (References.L4, References.L5)
    if request.selections.get("member") and without:
        raise UsageError(
            f"members are named, but references {request.references} have none",
            "say where the members come from: --references L1, L2 or L3; or leave --members out",
        )
    if not request.selections.get("member") and not without:
        raise UsageError(
            f"references {request.references} come from known members, and none are named",
            "give --members, or use --references L4 (spike-in) or L5 (none)",
        )


def checked(cohort: Cohort) -> Cohort:
    """The same cohort, its digest recomputed.

    Raises:
        IntegrityError: what is stored is not what was frozen.
    """
    if cohort_digest(cohort.design, cohort.references, cohort.seed, cohort.assignments) != cohort.digest:
        raise IntegrityError(
            f"cohort {cohort.name} is not what was frozen", "restore the workspace from a backup"
        )
    return cohort


def _fingerprints(workspace: Workspace, wanted: set[str]) -> dict[str, Fingerprint]:
    """Fingerprints of the chosen pairs, one unsealed pair in memory at a time."""
    catalogue, vault = workspace.catalogue, workspace.vault
    instances = {instance.content_digest: instance for instance in catalogue.instances()}
    texts = {report.content_digest: report.text_object for report in catalogue.reports()}
    found = {}
    for pair in catalogue.pairs():
        if pair.pair_id in wanted:
            image = instances[pair.image_digest]
            pixels = np.frombuffer(vault.get(FRAME, image.frame_object), np.uint8)
            text = vault.get(REPORT_TEXT, texts[pair.report_digest]).decode()
            found[pair.pair_id] = fingerprint(pixels.reshape(image.height, image.width, 3), text)
    return found


def select(request: CohortRequest, pairs: Sequence[PairRow]) -> dict[str, tuple[PairRow, ...]]:
    """Role -> pairs, as the request says.

    Raises:
        UsageError: a file or query cannot be read, matches nothing, or names pairs that are not there.
    """
    chosen = {
        role: tuple(_matching(text, pairs, role))
        for role, text in request.selections.items()
        if text and text != REST
    }
    for role in (role for role, text in request.selections.items() if text == REST):
        taken = {pair.patient for selected in chosen.values() for pair in selected}
        chosen[role] = tuple(pair for pair in pairs if pair.patient not in taken)
    for role, selected in chosen.items():
        if not selected:
            raise UsageError(
                f"the selection for {role} matches no pair", "see what is there with `gradaudit pairs ls`"
            )
    return chosen


def _matching(text: str, pairs: Sequence[PairRow], role: str) -> Iterable[PairRow]:
    if text == "all":
        return pairs
    if Path(text).is_file():
        return _listed(Path(text), pairs, role)
    return _queried(text, pairs)


def _listed(file: Path, pairs: Sequence[PairRow], role: str) -> list[PairRow]:
    """Pairs named by a list: one column headed by a DICOM keyword; without header, AccessionNumber."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = [
                [cell.strip() for cell in row] for row in csv.reader(stream) if any(c.strip() for c in row)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as unreadable:
        raise UsageError(
            f"the list for {role} cannot be read", "a text or CSV file in UTF-8, one handle per line"
        ) from unreadable
    if not rows:
        raise UsageError(f"the list for {role} is empty", "one handle per line, header AccessionNumber")
    keyword = next((name for name in _HANDLES if name in rows[0]), "")
    column = rows[0].index(keyword) if keyword else 0
    body = rows[1:] if keyword else rows
    keyword = keyword or "AccessionNumber"
    wanted = {row[column] for row in body if len(row) > column}
    handle = _KEYS[keyword]
    found = [pair for pair in pairs if handle(pair) in wanted]
    missing = len(wanted - {handle(pair) for pair in found})
    if missing:
        raise UsageError(
            f"{missing} of {len(wanted)} entries in the list for {role} match no pair by {keyword}",
            "ingest these studies first, or take them off the list; nothing was created",
        )
    return found


def _queried(text: str, pairs: Sequence[PairRow]) -> list[PairRow]:
    conditions = [_CONDITION.fullmatch(word) for word in text.split()]
    if not conditions or any(found is None or found[1] not in _KEYS for found in conditions):
        raise UsageError(
            f"neither a file nor a query: {text}",
            "a query reads like `Modality=CT StudyDate>=20240101`; keys: " + ", ".join(_KEYS),
        )
    tests = [(_KEYS[found[1]], found[2], found[3]) for found in conditions if found is not None]
    return [pair for pair in pairs if all(_holds(key(pair), sign, value) for key, sign, value in tests)]


def _holds(actual: str, sign: str, value: str) -> bool:
    if sign == "=":
        return actual == value
    return bool(actual) and (actual <= value if sign == "<=" else actual >= value)
