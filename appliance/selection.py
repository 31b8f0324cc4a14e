"""Which pairs are meant: lists and queries over what an officer knows of a pair."""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import UsageError

REST = "rest"
ALL = "all"
ROLES = ("member", "control", "target", "post_release", "bank")
_HALVES = ("fitting", "calibration")


@dataclass(frozen=True, slots=True)
class PairRow:
    """One standing pair with every handle an officer may know it by, and why it is a pair.

    Attributes:
        patient: pseudonym.
        image_digest, report_digest: of what was joined: SHA-256 of an image's file, name of a report's text.
        person: what several pseudonyms of one person have in common; empty where nothing links them.
        rule: what joined image and report; `note` and `frame_rule` say the rest.
        report_status: preliminary, final, corrected or unknown.
        places: (cohort, role) of every frozen cohort the pair is in.
    """

    pair_id: str
    patient: str
    accession: str
    study_uid: str
    patient_id: str
    study_date: str
    modality: str
    body_part: str
    rule: str = ""
    note: str = ""
    frame_rule: str = ""
    report_status: str = ""
    report_source: str = ""
    institution: str = ""
    manufacturer: str = ""
    height: int = 0
    width: int = 0
    places: tuple[tuple[str, str], ...] = ()
    person: str = ""
    image_digest: str = ""
    report_digest: str = ""

    @property
    def who(self) -> str:
        """The person, as far as anything tells."""
        return self.person or self.patient


@dataclass(frozen=True, slots=True)
class _Condition:
    """One word of a query: a key, a comparison, and values of which one must hold."""

    key: str
    sign: str
    values: tuple[str, ...]

    @property
    def negated(self) -> bool:
        return self.sign == "!="


_TEXT: Mapping[str, Callable[[PairRow], str]] = {
    "Modality": lambda pair: pair.modality,
    "BodyPartExamined": lambda pair: pair.body_part,
    "InstitutionName": lambda pair: pair.institution,
    "Manufacturer": lambda pair: pair.manufacturer,
}
_HANDLES: Mapping[str, Callable[[PairRow], str]] = {
    "AccessionNumber": lambda pair: pair.accession,
    "StudyInstanceUID": lambda pair: pair.study_uid,
    "PatientID": lambda pair: pair.patient_id,
    "pair_id": lambda pair: pair.pair_id,
}
_DATE, _PLACES = "StudyDate", ("Role", "Cohort")
KEYS = (_DATE, *_TEXT, *_HANDLES, *_PLACES)
_WORD = re.compile(r"([A-Za-z_]+)(!=|<=|>=|=)(.*)", re.DOTALL)
_DAY = re.compile(r"\d{4}(?:-?\d{2}(?:-?\d{2})?)?")
_EXAMPLE = "a query reads like `Modality=CT,MR StudyDate>=2024-01-01`; keys: " + ", ".join(KEYS)


def chosen(text: str, pairs: Sequence[PairRow], role: str) -> list[PairRow]:
    """The pairs that a selection means: `all`, a file with a list, or a query.

    Raises:
        UsageError: neither a file nor a query, or it names pairs that are not there.
    """
    if text == ALL:
        return list(pairs)
    if Path(text).is_file():
        return listed(Path(text), pairs, role)
    return queried(text, pairs, role)


# -- lists -------------------------------------------------------------------------------------------------


def listed(file: Path, pairs: Sequence[PairRow], role: str) -> list[PairRow]:
    """Pairs named by a list: one column headed by a DICOM keyword; without header, AccessionNumber.

    Raises:
        UsageError: the list cannot be read, is empty, or names what is not there.
    """
    keyword, rows = _read(file, f"the list for {role}")
    wanted = {row.get(keyword, "") for row in rows} - {""}
    if not wanted:
        raise UsageError(f"the list for {role} is empty", f"one {keyword} per line")
    return _found(wanted, keyword, pairs, f"the list for {role}")


def roles_of(file: Path, pairs: Sequence[PairRow]) -> dict[str, list[PairRow]]:
    """Role -> pairs, by one file with a column `role` beside a column headed by a DICOM keyword.

    Raises:
        UsageError: as `listed`; or a role is unknown, or one handle has two.
    """
    name = "the file of roles"
    keyword, rows = _read(file, name)
    if not all("role" in row for row in rows):
        raise UsageError(f"{name} has no column `role`", "a header such as AccessionNumber,role")
    wanted: dict[str, set[str]] = {}
    for row in rows:
        role = row["role"].lower().replace("-", "_").replace(" ", "_")
        if role not in (*ROLES, *_HALVES):
            raise UsageError(f"{name} holds a role that does not exist", "one of " + ", ".join(ROLES))
        wanted.setdefault(role, set()).add(row.get(keyword, ""))
    named = [handle for handles in wanted.values() for handle in handles]
    twice = len(named) - len(set(named))
    if twice:
        raise UsageError(f"{name} gives {twice} handles two roles", "every pair and patient has one role")
    return {role: _found(handles, keyword, pairs, name) for role, handles in wanted.items()}


def _read(file: Path, name: str) -> tuple[str, list[dict[str, str]]]:
    """The keyword of the column with handles, and the rows by column name."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        lines = [line for line in text.splitlines() if line.strip()]
        delimiter = max(",;\t", key=lines[0].count) if lines else ","
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    except (OSError, UnicodeDecodeError, csv.Error) as unreadable:
        raise UsageError(
            f"{name} cannot be read", "a text or CSV file in UTF-8, one handle per line"
        ) from unreadable
    if not rows:
        raise UsageError(f"{name} is empty", "one handle per line, header AccessionNumber")
    keyword = next((word for word in _HANDLES if word in rows[0]), "")
    header = rows.pop(0) if keyword else ["AccessionNumber"]
    columns = [column.lower() if column.lower() == "role" else column for column in header]
    return keyword or "AccessionNumber", [dict(zip(columns, row, strict=False)) for row in rows]


def _found(wanted: set[str], keyword: str, pairs: Sequence[PairRow], name: str) -> list[PairRow]:
    handle = _HANDLES[keyword]
    found = [pair for pair in pairs if handle(pair) in wanted]
    missing = len(wanted - {handle(pair) for pair in found})
    if missing:
        raise UsageError(
            f"{missing} of {len(wanted)} entries in {name} match no pair by {keyword}",
            "ingest these studies, or take them off the list; "
            "`gradaudit pairs ls --unpaired` says what found no partner",
        )
    return found


# -- queries -----------------------------------------------------------------------------------------------


def queried(text: str, pairs: Sequence[PairRow], role: str) -> list[PairRow]:
    """Pairs that meet every condition of a query.

    Raises:
        UsageError: it cannot be read, or matches no pair: then it says what each condition left.
    """
    conditions = _conditions(text)
    left, told = list(pairs), [f"{_patients(pairs)} patients in all"]
    for condition in conditions:
        left = [pair for pair in left if _meets(pair, condition, conditions)]
        told.append(f"{condition.key} leaves {_patients(left)}")
    if not left:
        raise UsageError(
            f"the selection for {role} matches no pair: {', '.join(told)}",
            "loosen the condition that leaves none; `gradaudit pairs ls` shows what is there",
        )
    return left


def _conditions(text: str) -> list[_Condition]:
    try:
        words = [_WORD.fullmatch(word) for word in shlex.split(text)]
    except ValueError as unclosed:
        raise UsageError("a quotation in the query is not closed", _EXAMPLE) from unclosed
    if not words or None in words:
        raise UsageError("a selection is neither a file that is there nor a query", _EXAMPLE)
    return [_condition(*word.groups()) for word in words if word is not None]


def _condition(key: str, sign: str, value: str) -> _Condition:
    if key not in KEYS:
        raise UsageError(f"a query knows no key {key}", "keys: " + ", ".join(KEYS))
    values = tuple(one.strip() for one in value.split(","))
    if key == _DATE:
        values = tuple(span for one in values for span in _span(one))
    elif sign not in ("=", "!="):
        raise UsageError(f"{sign} compares dates only", _EXAMPLE)
    if sign in ("<=", ">=") and not _DAY.fullmatch(value.strip()):
        raise UsageError(f"{sign} compares with one date", _EXAMPLE)
    return _Condition(key, sign, values)


def _span(text: str) -> tuple[str, str]:
    """First and last day meant by `2024`, `2024-05`, `20240501`, `A..B`, or DICOM's `20240101-20240331`."""
    first, dots, last = text.partition("..")
    if not dots and re.fullmatch(r"(?:\d{8})?-(?:\d{8})?", text):
        first, dots, last = text.partition("-")
    last = last if dots else first
    if not (first or last) or any(end and not _DAY.fullmatch(end) for end in (first, last)):
        raise UsageError(
            "a date in the query cannot be read",
            "like 2024, 2024-05, 2024-05-31, 20240531, or 2024-01-01..2024-03-31",
        )
    return first.replace("-", "").ljust(8, "0"), last.replace("-", "").ljust(8, "9")


def _meets(pair: PairRow, condition: _Condition, query: Sequence[_Condition]) -> bool:
    if condition.key == _DATE:
        return _in_span(pair.study_date[:8], condition)
    if condition.key in _PLACES:
        return _in_place(pair, condition, query)
    if condition.key in _HANDLES:
        held = _HANDLES[condition.key](pair) in condition.values
    else:
        held = _TEXT[condition.key](pair).casefold() in {value.casefold() for value in condition.values}
    return held is not condition.negated


def _in_span(day: str, condition: _Condition) -> bool:
    """A pair without a date meets no condition on it."""
    if not day:
        return False
    spans = list(zip(condition.values[::2], condition.values[1::2], strict=True))
    if condition.sign == ">=":
        return day >= spans[0][0]
    if condition.sign == "<=":
        return day <= spans[0][1]
    return any(first <= day <= last for first, last in spans) is not condition.negated


def _in_place(pair: PairRow, condition: _Condition, query: Sequence[_Condition]) -> bool:
    """`Role=target Cohort=pilot`: both of one place. `Cohort!=pilot`: in no place of that cohort."""
    if condition.negated:
        return not any(_at(place, condition) for place in pair.places)
    asked = [one for one in query if one.key in _PLACES and not one.negated]
    return any(all(_at(place, one) for one in asked) for place in pair.places)


def _at(place: tuple[str, str], condition: _Condition) -> bool:
    cohort, role = place
    if condition.key == "Cohort":
        return cohort in condition.values
    return role in condition.values or ("control" in condition.values and role in _HALVES)


def _patients(pairs: Sequence[PairRow]) -> int:
    return len({pair.patient for pair in pairs})
