"""Tables of evidence.db, rows in and findings out. Everything here says who was in training data."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    select,
)
from sqlalchemy.dialects.sqlite import insert

from appliance.workspace.querying import portions

METADATA: Final = MetaData()
_CLUSTERED: Final[dict[str, Any]] = {"sqlite_with_rowid": False}  # an audit's rows lie together, by pair


def _key(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True, nullable=False)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


BATCHES: Final = Table("batches", METADATA, _key("name"), _text("kind"), _text("about"))

FINDINGS: Final = Table(
    "findings",
    METADATA,
    _key("audit_id"),
    _key("pair_id"),
    Column("place", Integer, nullable=False),  # in the order of the audit
    _text("patient"),
    _text("role"),
    Column("judged", Boolean, nullable=False),
    Column("flagged", Boolean, nullable=False),
    Column("p_value", Float, nullable=True),
    Index("findings_by_patient", "audit_id", "patient"),
    **_CLUSTERED,
)

SCORES: Final = Table(
    "scores",
    METADATA,
    _key("audit_id"),
    _key("pair_id"),
    _key("detector"),
    Column("value", Float, nullable=True),  # NULL: not scored, never 0
    _text("reason"),
    **_CLUSTERED,
)

PROBABILITIES: Final = Table(
    "probabilities",
    METADATA,
    _key("audit_id"),
    _key("pair_id"),
    _key("prior"),
    Column("value", Float, nullable=False),
    **_CLUSTERED,
)

IDENTITIES: Final = Table(
    "identities",
    METADATA,
    _key("audit_id"),
    _key("patient"),
    _key("issuer"),
    _key("patient_id"),
)

REVEALS: Final = Table(
    "reveals",
    METADATA,
    _key("reveal_id"),
    _text("audit_id"),
    _text("patient"),
    _text("revealed_utc"),
    _text("by"),
    _text("reason"),
    _text("digest"),
)

ERASED: Final = Table("erased", METADATA, _key("handle"))  # keyed digest of audit and pseudonym

CONTENTS: Final = Table("contents", METADATA, _key("name"), _text("digest"))  # of a batch, the only one taken

STANDING: Final = Table(
    "standing", METADATA, _key("audit_id"), _text("digest")
)  # of an audit's rows as they are

SETTINGS: Final = Table("settings", METADATA, _key("key"), _text("value"))


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """What one audit says about one pair.

    Attributes:
        patient: pseudonym.
        role: of the pair in the cohort.
        judged: False for the further pairs of a patient.
        p_value: None where the pair was not judged.
        scores: detector -> score, larger is more member-like; None where there is none.
        unscored: detector -> why there is no score.
        probabilities: prior ("0.001", …, "mixture") -> leak probability in [0, 1].
    """

    audit_id: str
    pair_id: str
    patient: str
    role: str
    judged: bool
    flagged: bool
    p_value: float | None
    scores: Mapping[str, float | None]
    unscored: Mapping[str, str]
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class StoredIdentity:
    """Who a pseudonym of one audit is."""

    issuer: str
    patient_id: str


@dataclass(frozen=True, slots=True)
class StoredReveal:
    """That a patient's identity was looked at, and why.

    Attributes:
        patient: pseudonym; "" once the patient was erased.
        by: name of the user.
        reason: in the user's words; "" once the patient was erased, since it may name him.
        digest: hex SHA-256 that stands in the log's entry.
    """

    reveal_id: str
    audit_id: str
    patient: str
    revealed_utc: str
    by: str
    reason: str
    digest: str


def insert_rows(connection: Connection, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; one that is there stays."""
    if rows:
        connection.execute(insert(table).on_conflict_do_nothing(), [dict(row) for row in rows])


def insert_findings(connection: Connection, audit: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as `appliance.findings` writes them: the fields of a finding, scores as value or reason.

    Raises:
        KeyError, TypeError, ValueError: they have another form.
    """
    findings, scores, probabilities = [], [], []
    for place, row in sorted(enumerate(rows), key=lambda one: str(one[1]["pair_id"])):  # as they will lie
        pair = {"audit_id": audit, "pair_id": row["pair_id"]}
        facts = {fact: row[fact] for fact in ("patient", "role", "judged", "flagged")}
        findings.append({**pair, "place": place, **facts, "p_value": _number(row["p_value"])})
        for detector, score in row["scores"].items():
            told = {"value": _number(score.get("value")), "reason": score.get("reason", "")}
            scores.append({**pair, "detector": detector, **told})
        for prior, value in row["leak_probability"].items():
            probabilities.append({**pair, "prior": prior, "value": _number(value)})
    insert_rows(connection, FINDINGS, findings)
    insert_rows(connection, SCORES, scores)
    insert_rows(connection, PROBABILITIES, probabilities)


def _number(value: object) -> float | None:
    """A number that is one, or none; so that every row that is merged can stand in columns."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise ValueError("not a number")
    return float(value)


def found_in(connection: Connection, audit_id: str, patient: str) -> tuple[StoredFinding, ...]:
    """Findings of an audit in its order, of one pseudonym or all."""
    query = select(FINDINGS).where(FINDINGS.c.audit_id == audit_id)
    query = query.where(FINDINGS.c.patient == patient) if patient else query
    rows = [dict(row) for row in connection.execute(query.order_by(FINDINGS.c.place)).mappings()]
    pairs = [row["pair_id"] for row in rows]
    scores = _by_pair(connection, SCORES, audit_id, pairs)
    likely = _by_pair(connection, PROBABILITIES, audit_id, pairs)
    return tuple(_finding(row, scores[row["pair_id"]], likely[row["pair_id"]]) for row in rows)


def known_in(connection: Connection, audit_id: str, patient: str) -> tuple[StoredIdentity, ...]:
    """Who a pseudonym of an audit is."""
    theirs = (IDENTITIES.c.audit_id == audit_id) & (IDENTITIES.c.patient == patient)
    columns = IDENTITIES.c.issuer, IDENTITIES.c.patient_id
    return tuple(
        StoredIdentity(*row) for row in connection.execute(select(*columns).where(theirs).order_by(*columns))
    )


def _by_pair(
    connection: Connection, table: Any, audit_id: str, pairs: Sequence[str]
) -> dict[str, list[Mapping[str, Any]]]:
    """Rows of a table by pair id, for so many pairs of one audit."""
    found: dict[str, list[Mapping[str, Any]]] = {pair: [] for pair in pairs}
    for some in portions(pairs):
        query = select(table).where((table.c.audit_id == audit_id) & table.c.pair_id.in_(some))
        for row in connection.execute(query).mappings():
            found[row["pair_id"]].append(dict(row))
    return found


def _finding(
    row: Mapping[str, Any], scores: Sequence[Mapping[str, Any]], probabilities: Sequence[Mapping[str, Any]]
) -> StoredFinding:
    """A finding out of its rows."""
    return StoredFinding(
        **{name: row[name] for name in row if name != "place"},
        scores={one["detector"]: one["value"] for one in scores},
        unscored={one["detector"]: one["reason"] for one in scores if one["value"] is None},
        probabilities={one["prior"]: one["value"] for one in probabilities},
    )
