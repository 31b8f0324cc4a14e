"""The table of clauses: which item of a pack supports which clause, at best. No text of a clause is in it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, Final

_FILE: Final = "clauses.toml"


class State(StrEnum):
    """How far the items of a pack go for a clause."""

    COVERED = "covered"
    PARTIAL = "partial"
    OUT = "out of scope"


class Compared(StrEnum):
    """What the number of a clause was compared with."""

    TEXT = "text"
    LISTS = "lists"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause.

    Attributes:
        framework, clause: where it stands, by number.
        state: the best that a pack can reach.
        shows: what our items show; "" where nothing does.
        items: names of members.
        why: what is missing, or whose it is; "" where it is covered.
        needs: what of the audit the state rests on; words of `judged.NEEDS`.
        doubt: why the number is not certain, "" where it is.
        compared: what the number was compared with.
        checked: on which day, "" where with nothing.
        source: official citation and address.
    """

    framework: str
    clause: str
    state: State
    shows: str
    items: tuple[str, ...]
    why: str
    needs: tuple[str, ...]
    doubt: str
    compared: Compared
    checked: str
    source: str


@dataclass(frozen=True, slots=True)
class Support:
    """An item that serves all clauses.

    Attributes:
        member: its name; `*` stands for any.
        of: the item that it is another form of, or "".
        role: what it is for, or "".
    """

    member: str
    of: str
    role: str

    def names(self, member: str) -> bool:
        """Whether this is about `member`."""
        return fnmatchcase(member, self.member)


@cache
def clauses() -> tuple[Clause, ...]:
    """Every clause, in the order of the table."""
    return tuple(
        Clause(
            framework=group["framework"],
            clause=row["clause"],
            state=State(row["state"]),
            shows=row["shows"],
            items=tuple(row["items"]),
            why=row["why"],
            needs=tuple(row.get("needs", ())),
            doubt=row.get("doubt", ""),
            compared=Compared(row.get("compared", group["compared"])),
            checked=row.get("checked", group["checked"]),
            source=row.get("source", group["source"]),
        )
        for group in _read()["group"]
        for row in group["clauses"]
    )


@cache
def supports() -> tuple[Support, ...]:
    """Every item that serves all clauses."""
    return tuple(Support(row["member"], row.get("of", ""), row.get("role", "")) for row in _read()["support"])


def frameworks() -> tuple[str, ...]:
    """The frameworks, in the order of the table."""
    return tuple(dict.fromkeys(clause.framework for clause in clauses()))


def _read() -> dict[str, Any]:
    return tomllib.loads((files(__package__) / _FILE).read_text(encoding="utf-8"))
