"""Tables of evidence.db, and the rows that leave it. Everything here says who was in training data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Boolean, Column, Float, Index, Integer, MetaData, Table, Text

METADATA: Final = MetaData()


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
)

SCORES: Final = Table(
    "scores",
    METADATA,
    _key("audit_id"),
    _key("pair_id"),
    _key("detector"),
    Column("value", Float, nullable=True),  # NULL: not scored, never 0
    _text("reason"),
)

PROBABILITIES: Final = Table(
    "probabilities",
    METADATA,
    _key("audit_id"),
    _key("pair_id"),
    _key("prior"),
    Column("value", Float, nullable=False),
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
        by: name of the user.
        reason: in the user's words.
        digest: hex SHA-256 that stands in the log's entry.
    """

    reveal_id: str
    audit_id: str
    patient: str
    revealed_utc: str
    by: str
    reason: str
    digest: str
