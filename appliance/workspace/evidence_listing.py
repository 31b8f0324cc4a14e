"""The findings of one audit as a table to page through, sorted and filtered by the database.

    temp.listing    one row a finding: what a line of the screen shows, without the identity

It is made once, from rows that were checked, in the memory of one connection (`temp_store = MEMORY`), where a
million findings are sorted and counted in milliseconds; nothing of it reaches a disk, and it goes with the
connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, func, select, text

from appliance.workspace.database import translated
from appliance.workspace.evidence_tables import FINDINGS

SORTS: Final = {
    "audit": ("place",),
    "score": ("score IS NULL", "-score", "place"),
    "p-value": ("p_value IS NULL", "p_value", "place"),
    "probability": ("{prior} IS NULL", "-{prior}", "place"),
    "pseudonym": ("patient", "place"),
}
"""Order -> keys, all ascending: highest score and probability first, smallest p-value first, none last."""
_CACHE_KIB: Final = 65_536  # of decrypted pages, while the table is made
_FEW: Final = (
    "CREATE INDEX temp.listing_flagged ON listing (flagged, role) WHERE flagged",
    "CREATE INDEX temp.listing_scored ON listing (score, role)",
)
"""For filters that leave few of many."""
_AT_ONCE: Final = 10_000  # places or pseudonyms a statement
_CARRIED: Final = "role, flagged"  # by the indices, so that a filter reads nothing else


@dataclass(frozen=True, slots=True)
class Sifting:
    """Which findings, and in which order.

    Attributes:
        role: of the cohort; "" for all.
        flagged: only those that are.
        pseudonym: how it begins.
        min_score: of the deciding detector; leaves out what has none.
        prior: whose probability is bounded, sorted by and shown.
        min_probability: in [0, 1]; leaves out what has none.
        sort: one of `SORTS`.
    """

    role: str = ""
    flagged: bool = False
    pseudonym: str = ""
    min_score: float | None = None
    prior: str = ""
    min_probability: float | None = None
    sort: str = "audit"


@dataclass(frozen=True, slots=True)
class ListedFinding:
    """One line: a finding with its deciding score, its probability under one prior, its patient's pairs."""

    place: int
    patient: str
    pair_id: str
    role: str
    judged: bool
    flagged: bool
    p_value: float | None
    score: float | None
    probability: float | None
    pairs: int


class Listing:
    """An open listing; `close` forgets it.

    Args:
        engine: of evidence.db.
        path: of the same, for errors.
        audit_id: whose rows; they were checked.
        detector: the deciding one.
        priors: of the probabilities, in any order.
    """

    def __init__(
        self, engine: Engine, path: Path, audit_id: str, detector: str, priors: Sequence[str]
    ) -> None:
        self._path = path
        self._audit_id = audit_id
        self._columns = {prior: f"prior_{place}" for place, prior in enumerate(priors)}
        self._counted: tuple[Sifting, int] | None = None
        with translated(path):
            self._connection = engine.connect()
            self._connection.detach()  # nobody else gets it, and closing it frees its memory
        try:
            self._make(detector)
        except BaseException:
            self.close()
            raise

    def page(self, sifting: Sifting, offset: int, limit: int) -> tuple[ListedFinding, ...]:
        """At most `limit` findings from `offset` on, -1 for all."""
        total = self.count(sifting)
        wanted = max(0, min(total - offset, limit if limit >= 0 else total))
        if not wanted:
            return ()
        where, given = self._where(sifting)
        keys = [key.format(prior=self._columns[sifting.prior]) for key in SORTS[sifting.sort]]
        backwards = offset > total // 2  # the nearer end
        order = ", ".join(f"{key} DESC" for key in keys) if backwards else ", ".join(keys)
        start = total - offset - wanted if backwards else offset
        with translated(self._path), self._connection.begin():
            asked = text(f"SELECT place FROM listing{where} ORDER BY {order} LIMIT :wanted OFFSET :start")
            found = self._connection.execute(asked, {**given, "wanted": wanted, "start": start})
            places = list(found.scalars())
            rows = self._rows(places[::-1] if backwards else places, sifting.prior)
        return tuple(rows)

    def count(self, sifting: Sifting) -> int:
        """How many there are, exactly."""
        asked = replace(sifting, sort="audit")
        if self._counted is None or self._counted[0] != asked:
            where, given = self._where(sifting)
            with translated(self._path), self._connection.begin():
                count = self._connection.execute(text(f"SELECT count(*) FROM listing{where}"), given)
                self._counted = asked, int(count.scalar_one())
        return self._counted[1]

    def version(self) -> int:
        """Another number once any other connection has changed the database."""
        with translated(self._path), self._connection.begin():
            return int(self._connection.exec_driver_sql("PRAGMA main.data_version").scalar_one())

    def close(self) -> None:
        """Forget it."""
        self._connection.close()

    def _make(self, detector: str) -> None:
        probabilities = ", ".join(f"{column} REAL" for column in self._columns.values())
        ours = "audit_id = :audit AND pair_id = f.pair_id"
        likely = "".join(
            f", (SELECT value FROM probabilities WHERE {ours} AND prior = :{column})"
            for column in self._columns.values()
        )
        given = {column: prior for prior, column in self._columns.items()}
        with translated(self._path):
            with self._connection.begin():
                self._connection.exec_driver_sql(f"PRAGMA main.cache_size = -{_CACHE_KIB}")
            with self._connection.begin():
                self._connection.exec_driver_sql(
                    "CREATE TEMP TABLE listing (place INTEGER PRIMARY KEY, patient TEXT, pair_id TEXT, "
                    f"role TEXT, judged INTEGER, flagged INTEGER, p_value REAL, score REAL, {probabilities})"
                )
                self._connection.execute(
                    text(
                        "INSERT INTO temp.listing "
                        "SELECT place, patient, pair_id, role, judged, flagged, p_value, "
                        f"(SELECT value FROM scores WHERE {ours} AND detector = :detector){likely} "
                        "FROM findings AS f WHERE audit_id = :audit"
                    ),
                    {"audit": self._audit_id, "detector": detector, **given},
                )
                for name, keys in self._indexed():
                    self._connection.exec_driver_sql(
                        f"CREATE INDEX temp.listing_by_{name} ON listing ({', '.join(keys)}, {_CARRIED})"
                    )
                for index in _FEW:
                    self._connection.exec_driver_sql(index)

    def _indexed(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Name and keys of each index: every order, and a probability only where there is one."""
        yield from (("score", SORTS["score"]), ("p", SORTS["p-value"]), ("patient", SORTS["pseudonym"]))
        for column in self._columns.values():
            held = f"SELECT EXISTS (SELECT 1 FROM listing WHERE {column} IS NOT NULL)"
            if self._connection.exec_driver_sql(held).scalar_one():
                yield column, [key.format(prior=column) for key in SORTS["probability"]]

    def _where(self, sifting: Sifting) -> tuple[str, dict[str, Any]]:
        """Conditions with the values they name."""
        held: dict[str, tuple[Any, dict[str, Any]]] = {
            "role = :role": (sifting.role or None, {"role": sifting.role}),
            "flagged": (sifting.flagged or None, {}),
            "patient >= :first AND patient < :after": (
                sifting.pseudonym or None,
                {"first": sifting.pseudonym, "after": f"{sifting.pseudonym}\U0010ffff"},
            ),
            "score >= :score": (sifting.min_score, {"score": sifting.min_score}),
            f"{self._columns[sifting.prior]} >= :likely": (
                sifting.min_probability,
                {"likely": sifting.min_probability},
            ),
        }
        asked = {condition: given for condition, (value, given) in held.items() if value is not None}
        values = {name: value for given in asked.values() for name, value in given.items()}
        return (f" WHERE {' AND '.join(asked)}" if asked else ""), values

    def _rows(self, places: Sequence[int], prior: str) -> list[ListedFinding]:
        probability = f"{self._columns[prior]} AS probability"
        columns = f"place, patient, pair_id, role, judged, flagged, p_value, score, {probability}"
        by_place: dict[int, Any] = {}
        for start in range(0, len(places), _AT_ONCE):
            some = ", ".join(map(str, places[start : start + _AT_ONCE]))
            found = self._connection.execute(text(f"SELECT {columns} FROM listing WHERE place IN ({some})"))
            by_place |= {row["place"]: row for row in found.mappings()}
        pairs = self._pairs({row["patient"] for row in by_place.values()})
        return [
            ListedFinding(
                **{**row, "judged": bool(row["judged"]), "flagged": bool(row["flagged"])},
                pairs=pairs[row["patient"]],
            )
            for row in map(by_place.__getitem__, places)
        ]

    def _pairs(self, patients: set[str]) -> dict[str, int]:
        """Pseudonym -> its pairs in this audit."""
        found: dict[str, int] = {}
        wanted = sorted(patients)
        for start in range(0, len(wanted), _AT_ONCE):
            some = FINDINGS.c.patient.in_(wanted[start : start + _AT_ONCE])
            query = (
                select(FINDINGS.c.patient, func.count())
                .where((FINDINGS.c.audit_id == self._audit_id) & some)
                .group_by(FINDINGS.c.patient)
            )
            found |= {str(patient): int(count) for patient, count in self._connection.execute(query)}
        return found
