"""What the rows of one audit say, in columns: one content whose digest stands for the rows.

A line of JSON tells which arrays follow; they come in the order of the audit. One of them is a digest of each
pair's rows, one of each patient's identities, so whatever is read from the database later is compared with
them. The same rows give the same bytes. The format is written down in docs/spec/evidence-store.md.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection

from appliance.workspace.querying import portions

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Step = Callable[[int, int], None]  # pairs that were read, of how many
FORMAT: Final = "columns 1:"  # begins a digest
_DIGEST: Final = 32
_STEP: Final = 5_000  # pairs from step to step
_LINES: Final = json.JSONEncoder(separators=(",", ":"), default=lambda other: {"no text": bytes(other).hex()})
_FACTS: Final = "pair_id, place, patient, role, judged, flagged, p_value"
_PAIR: Final = {
    "findings": f"SELECT {_FACTS} FROM findings WHERE audit_id = ?",
    "scores": "SELECT pair_id, detector, value, reason FROM scores WHERE audit_id = ?",
    "probabilities": "SELECT pair_id, prior, value FROM probabilities WHERE audit_id = ?",
}
_ORDERED: Final = {
    "findings": " ORDER BY pair_id",
    "scores": " ORDER BY pair_id, detector",
    "probabilities": " ORDER BY pair_id, prior",
}
_IDENTITIES: Final = "SELECT patient, issuer, patient_id FROM identities WHERE audit_id = ?"
_BY_PATIENT: Final = " ORDER BY patient, issuer, patient_id"


class Columns:
    """The rows of one audit as columns.

    Args:
        content: as `content_of` makes it, compared with its digest.

    Attributes:
        audit_id: whose.
        count: findings.
        roles: by the numbers in `role`.
        patients: pseudonyms, sorted; `patient` has their numbers.
    """

    def __init__(self, content: bytes) -> None:
        import numpy as np

        end = content.index(b"\n") + 1
        said, self._arrays, place = json.loads(content[:end]), dict[str, Any](), end
        for name, form, length in said["arrays"]:
            self._arrays[name] = np.frombuffer(content, form, length, place)
            place += -(-self._arrays[name].nbytes // 8) * 8
        self.audit_id, self.count = str(said["audit"]), len(self["place"])
        self.roles: list[str] = said["roles"]
        self.patients = _Texts(self["patients"], self["patient ends"])
        self._pairs = _Texts(self["pairs"], self["pair ends"])

    def __getitem__(self, name: str) -> Array:
        """An array, such as "place" or "score fused"."""
        found: Array = self._arrays[name]
        return found

    def values(self, name: str) -> Array:
        """[count] float64, NaN where there is none, also where no pair has one."""
        import numpy as np

        return self[name] if name in self._arrays else np.full(self.count, np.nan)

    def order(self, name: str) -> Array:
        """[count] numbers of findings, best first, none last; where all are alike that of the audit."""
        import numpy as np

        return self[f"by {name}"] if f"by {name}" in self._arrays else np.arange(self.count)

    def pair(self, number: int) -> str:
        """Pair id of a finding."""
        return str(self._pairs[int(self["pair at"][number])], "utf-8")

    def patient(self, number: int) -> str:
        """Pseudonym of a finding."""
        return str(self.patients[int(self["patient"][number])], "utf-8")

    def of_patient(self, patient: str) -> dict[str, bytes]:
        """Pair id -> digest of its rows, for one pseudonym."""
        import numpy as np

        named = np.flatnonzero(self["patient"] == self._number(patient))
        return self.of(named.tolist())

    def of(self, numbers: Iterable[int]) -> dict[str, bytes]:
        """Pair id -> digest of its rows, for some findings."""
        return {self.pair(number): self["told"][number].tobytes() for number in numbers}

    def known_as(self, patients: Iterable[str]) -> dict[str, bytes]:
        """Pseudonym -> digest of its identities; of nobody those of no identity."""
        numbers = {patient: self._number(patient) for patient in patients}
        return {
            patient: self["known"][number].tobytes() if number >= 0 else bytes(_DIGEST)
            for patient, number in numbers.items()
        }

    def _number(self, patient: str) -> int:
        """-1 for a pseudonym that is not in it."""
        wanted = patient.encode()
        number = bisect_left(self.patients, wanted)
        return number if number < len(self.patients) and self.patients[number] == wanted else -1


class _Texts(Sequence[bytes]):
    """Texts in UTF-8, one after the other."""

    def __init__(self, joined: Array, ends: Array) -> None:
        self._joined, self._ends = joined.data, ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, place: Any) -> Any:
        start = self._ends[place - 1] if place else 0
        return bytes(self._joined[start : self._ends[place]])


def digest_of(content: bytes) -> str:
    """What `standing` has of rows that say this."""
    return FORMAT + hashlib.sha256(content).hexdigest()


def content_of(connection: Connection, audit: str, step: Step) -> bytes:
    """The rows of one audit, as this transaction sees them, as `Columns` takes them.

    Raises:
        TypeError, ValueError: a row is not of a form that is merged.
    """
    gathered = _Gathered()
    total = _count(connection, audit)
    for number, (fact, scores, likely) in enumerate(_pairs(connection, audit, gathered)):
        gathered.take(fact, scores, likely)
        if number % _STEP == 0:
            step(number, total)
    for patient, rows in groupby(_rows(connection, _IDENTITIES + _BY_PATIENT, audit), itemgetter(0)):
        gathered.know(patient, _identity(rows))
    step(total, total)
    return gathered.content(audit)


def told_pairs(connection: Connection, audit: str, pairs: Sequence[str]) -> dict[str, bytes]:
    """Pair id -> digest of its rows, of so many pairs as far as there are any."""
    found: dict[str, bytes] = {}
    for some in portions(sorted(pairs)):
        for fact, scores, likely in _pairs(connection, audit, None, some):
            found[fact[0]] = _told(fact, scores, likely)
    return found


def told_patients(connection: Connection, audit: str, patients: Sequence[str]) -> dict[str, bytes]:
    """Pseudonym -> digest of its identities; of nobody those of no identity."""
    found = dict.fromkeys(patients, bytes(_DIGEST))
    for some in portions(patients):
        asked = f"{_IDENTITIES} AND patient IN ({', '.join('?' * len(some))}){_BY_PATIENT}"
        for patient, rows in groupby(_rows(connection, asked, audit, *some), itemgetter(0)):
            found[patient] = _identity(rows)
    return found


class _Gathered:
    """Rows on the way into columns, in the order of their pairs."""

    def __init__(self) -> None:
        self._place, self._p = array("q"), array("d")
        self._patient, self._role = array("i"), array("i")
        self._judged, self._flagged = bytearray(), bytearray()
        self._pairs, self._pair_ends = bytearray(), array("q")
        self._values: dict[str, array[float]] = {}
        self._told, self._known = bytearray(), dict[int, bytes]()
        self._patients: dict[str, int] = {}
        self._roles: dict[str, int] = {}
        self.left: dict[str, int] = {}  # table -> rows of pairs that are no findings

    def take(self, fact: Sequence[Any], scores: Sequence[Any], likely: Sequence[Any]) -> None:
        """One pair."""
        pair, place, patient, role, judged, flagged, p_value = fact
        number = len(self._place)
        self._place.append(place)
        self._patient.append(self._patients.setdefault(patient, len(self._patients)))
        self._role.append(self._roles.setdefault(role, len(self._roles)))
        self._judged.append(judged)
        self._flagged.append(flagged)
        self._p.append(float("nan") if p_value is None else p_value)
        self._pairs += pair.encode()
        self._pair_ends.append(len(self._pairs))
        for kind, rows in (("score", scores), ("prior", likely)):
            for row in rows:
                if row[2] is not None:
                    self._column(f"{kind} {row[1]}", number).append(row[2])
        self._told += _told(fact, scores, likely)

    def _column(self, name: str, number: int) -> array[float]:
        """A column that ends before this pair."""
        column = self._values.setdefault(name, array("d"))
        if missing := number - len(column):
            column.extend([float("nan")] * missing)
        return column

    def know(self, patient: str, digest: bytes) -> None:
        """Who a patient is."""
        self._known[self._patients.setdefault(patient, len(self._patients))] = digest

    def content(self, audit: str) -> bytes:
        """All of it, in the order of the audit."""
        import numpy as np

        count, names = len(self._place), sorted(self._patients)
        for name in self._values:
            self._column(name, count)
        place = np.asarray(self._place)
        at = np.argsort(place, kind="stable").astype("<i4")
        rank = np.empty(len(names), "<i4")
        known = np.zeros((len(names), _DIGEST), "u1")
        for number, name in enumerate(names):
            rank[self._patients[name]] = number
            known[number] = np.frombuffer(self._known.get(self._patients[name], bytes(_DIGEST)), "u1")
        encoded = [name.encode() for name in names]
        patient, p_value = rank[np.asarray(self._patient)][at], np.asarray(self._p)[at]
        arrays = {
            "place": place[at],
            "pair at": at,
            "patient": patient,
            "role": np.asarray(self._role)[at],
            "judged": np.frombuffer(self._judged, "u1")[at],
            "flagged": np.frombuffer(self._flagged, "u1")[at],
            "p-value": p_value,
            "by patient": _ascending(patient),
            "by p-value": _ascending(p_value),
            "told": np.frombuffer(self._told, "u1").reshape(count, _DIGEST)[at],
            "known": known,
            "pair ends": np.asarray(self._pair_ends),
            "pairs": np.frombuffer(self._pairs, "u1"),
            "patient ends": np.cumsum([len(name) for name in encoded], dtype="<i8"),
            "patients": np.frombuffer(b"".join(encoded), "u1"),
        }
        for name in sorted(self._values):
            arrays[name] = np.asarray(self._values[name])[at]
            arrays[f"by {name}"] = _ascending(-arrays[name])
        return _packed({"audit": audit, "left": self.left, "roles": list(self._roles)}, arrays)


def _ascending(values: Array) -> Array:
    """Numbers of findings by value, then in the order of the audit; NaN last."""
    import numpy as np

    return np.argsort(values, kind="stable").astype("<i4")


def _packed(said: dict[str, Any], arrays: dict[str, Array]) -> bytes:
    forms = [[name, _form(one), one.size if one.ndim == 1 else len(one)] for name, one in arrays.items()]
    line = _LINES.encode({**said, "arrays": forms}).encode("ascii")
    pieces = [line, b" " * (-(len(line) + 1) % 8), b"\n"]
    for one in arrays.values():
        data = one.tobytes()
        pieces += [data, bytes(-len(data) % 8)]
    return b"".join(pieces)


def _form(values: Array) -> str:
    return values.dtype.str if values.ndim == 1 else f"({values.shape[1]},)u1"


def _pairs(
    connection: Connection, audit: str, gathered: _Gathered | None, pairs: Sequence[str] = ()
) -> Iterator[tuple[Sequence[Any], Sequence[Any], Sequence[Any]]]:
    """Rows of one pair after the other: finding, scores, probabilities; all pairs where none are named."""
    only = f" AND pair_id IN ({', '.join('?' * len(pairs))})" if pairs else ""
    asked = {table: query + only + _ORDERED[table] for table, query in _PAIR.items()}
    scores = _Beside(_rows(connection, asked["scores"], audit, *pairs))
    likely = _Beside(_rows(connection, asked["probabilities"], audit, *pairs))
    for fact in _rows(connection, asked["findings"], audit, *pairs):
        yield fact, scores.of(fact[0]), likely.of(fact[0])
    if gathered is not None:
        gathered.left = {"probabilities": likely.rest(), "scores": scores.rest()}


class _Beside:
    """Rows of another table that has the same order."""

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        self._rows = iter(rows)
        self._next = next(self._rows, None)
        self._left = 0

    def of(self, pair: str) -> list[Sequence[Any]]:
        """Those of one pair; what comes before it belongs to none."""
        found = []
        while self._next is not None and self._next[0] <= pair:
            if self._next[0] == pair:
                found.append(self._next)
            else:
                self._left += 1
            self._next = next(self._rows, None)
        return found

    def rest(self) -> int:
        """How many belonged to none."""
        return self._left + (self._next is not None) + sum(1 for _ in self._rows)


def _told(fact: Sequence[Any], scores: Sequence[Any], likely: Sequence[Any]) -> bytes:
    line = _LINES.encode([fact, [row[1:] for row in scores], [row[1:] for row in likely]])
    return hashlib.sha256(line.encode("ascii")).digest()


def _identity(rows: Iterable[Sequence[Any]]) -> bytes:
    return hashlib.sha256(_LINES.encode(list(rows)).encode("ascii")).digest()


def _count(connection: Connection, audit: str) -> int:
    (row,) = _rows(connection, "SELECT count(*) FROM findings WHERE audit_id = ?", audit)
    return int(row[0])


def _rows(connection: Connection, query: str, *given: str) -> Iterable[Sequence[Any]]:
    """Rows as the driver gives them: a million rows of SQLAlchemy's cost more than reading them."""
    rows: Iterable[Sequence[Any]] = connection.connection.cursor().execute(query, given)
    return rows
