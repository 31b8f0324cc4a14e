"""Who plays which role: selections by file or query, turned into a frozen, patient-disjoint cohort."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import UsageError

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
    with file.open(newline="", encoding="utf-8-sig") as stream:
        rows = [
            [cell.strip() for cell in row] for row in csv.reader(stream) if any(cell.strip() for cell in row)
        ]
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
