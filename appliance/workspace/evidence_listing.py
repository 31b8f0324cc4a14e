"""The findings of one audit as a table to page through, sorted and filtered.

Filters and orders are answered from columns that were checked as a whole, a million rows in milliseconds.
Every line that is given is read from the database as well, and compared with them: what somebody changed
past this software is found before it is shown.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine

from appliance.errors import IntegrityError
from appliance.workspace.database import translated
from appliance.workspace.evidence_columns import told_pairs, told_patients

if TYPE_CHECKING:
    import numpy as np

    from appliance.workspace.evidence_columns import Columns

    Array = np.ndarray[Any, Any]

SORTS: Final = ("audit", "score", "p-value", "probability", "pseudonym")
"""Highest score and probability first, smallest p-value first, none last; equal ones as in the audit."""
_AT_ONCE: Final = 10_000  # lines


class ChangedMeanwhile(Exception):
    """Another program has changed the database since the listing was made."""


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
        columns: of the audit, checked.
        detector: the deciding one.
        priors: of the probabilities, in any order.
    """

    def __init__(
        self, engine: Engine, path: Path, columns: Columns, detector: str, priors: Sequence[str]
    ) -> None:
        import numpy as np

        self._path = path
        self._columns = columns
        self._asked = detector, tuple(priors)
        self._pairs = np.bincount(columns["patient"], minlength=len(columns.patients))
        self._found: tuple[Sifting, Array] | None = None
        with translated(path):
            self._connection = engine.connect()
            self._connection.detach()  # nobody else gets it: it sees what others change
        self._made = 0
        self.renew()

    def is_of(self, columns: Columns, detector: str, priors: Sequence[str]) -> bool:
        """Whether it is the listing of these."""
        return self._columns is columns and self._asked == (detector, tuple(priors))

    def renew(self) -> None:
        """It holds for the database as it is now."""
        self._made = self.version()

    def page(self, sifting: Sifting, offset: int, limit: int) -> tuple[ListedFinding, ...]:
        """At most `limit` findings from `offset` on, -1 for all.

        Raises:
            IntegrityError: one of them is not what was merged.
            ChangedMeanwhile: another program has changed the database.
        """
        found = self._sifted(sifting)[offset:]
        found = found[:limit] if limit >= 0 else found
        given: list[ListedFinding] = []
        for start in range(0, len(found), _AT_ONCE):
            some = found[start : start + _AT_ONCE].tolist()
            self._compare(some)
            given += self._lines(some, sifting.prior)
        return tuple(given)

    def count(self, sifting: Sifting) -> int:
        """How many there are, exactly."""
        return len(self._sifted(sifting))

    def version(self) -> int:
        """Another number once any other connection has changed the database."""
        with translated(self._path), self._connection.begin():
            return _version(self._connection)

    def stands(self) -> bool:
        """Whether nobody has changed the database since."""
        return self.version() == self._made

    def close(self) -> None:
        """Forget it."""
        self._connection.close()

    def _sifted(self, sifting: Sifting) -> Array:
        """Numbers of the findings that are asked for, in their order."""
        if self._found is None or self._found[0] != sifting:
            order, wanted = self._order(sifting), self._wanted(sifting)
            self._found = sifting, order if wanted is None else order[wanted[order]]
        return self._found[1]

    def _order(self, sifting: Sifting) -> Array:
        """Numbers of all findings."""
        by = {
            "audit": "place",
            "score": f"score {self._asked[0]}",
            "p-value": "p-value",
            "probability": f"prior {sifting.prior}",
            "pseudonym": "patient",
        }
        return self._columns.order(by[sifting.sort])

    def _wanted(self, sifting: Sifting) -> Array | None:
        """[findings] of bool; None where all are asked for."""
        import numpy as np

        if replace(sifting, prior="", sort="") == Sifting(sort=""):
            return None
        columns = self._columns
        fits = np.ones(columns.count, bool)
        if sifting.role:
            known = sifting.role in columns.roles
            fits &= columns["role"] == (columns.roles.index(sifting.role) if known else -1)
        if sifting.flagged:
            fits &= columns["flagged"] == 1
        if sifting.pseudonym:
            prefix = sifting.pseudonym.encode("utf-8", "replace")
            first = bisect_left(columns.patients, prefix)
            after = bisect_right(columns.patients, prefix, key=lambda name: name[: len(prefix)])
            fits &= (columns["patient"] >= first) & (columns["patient"] < after)
        if sifting.min_score is not None:
            fits &= columns.values(f"score {self._asked[0]}") >= sifting.min_score
        if sifting.min_probability is not None:
            fits &= columns.values(f"prior {sifting.prior}") >= sifting.min_probability
        return fits

    def _compare(self, numbers: Sequence[int]) -> None:
        """Read the rows of these findings, and who they are about, and compare them with the columns."""
        columns = self._columns
        pairs, names = columns.of(numbers), columns.known_as({columns.patient(one) for one in numbers})
        audit = columns.audit_id
        with translated(self._path), self._connection.begin():
            same = told_pairs(self._connection, audit, list(pairs)) == pairs
            same = same and told_patients(self._connection, audit, list(names)) == names
            if _version(self._connection) != self._made:
                raise ChangedMeanwhile
        if not same:
            raise IntegrityError(
                f"{self._path.name}: the findings of audit {audit} are not those that were merged",
                "Restore the workspace from a backup: `gradaudit restore`.",
            )

    def _lines(self, numbers: Sequence[int], prior: str) -> list[ListedFinding]:
        columns = self._columns
        score, likely = columns.values(f"score {self._asked[0]}"), columns.values(f"prior {prior}")
        return [
            ListedFinding(
                place=int(columns["place"][one]),
                patient=columns.patient(one),
                pair_id=columns.pair(one),
                role=columns.roles[columns["role"][one]],
                judged=bool(columns["judged"][one]),
                flagged=bool(columns["flagged"][one]),
                p_value=_real(columns["p-value"][one]),
                score=_real(score[one]),
                probability=_real(likely[one]),
                pairs=int(self._pairs[columns["patient"][one]]),
            )
            for one in numbers
        ]


def _version(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA main.data_version").scalar_one())


def _real(value: Any) -> float | None:
    """NaN is none."""
    return None if value != value else float(value)
