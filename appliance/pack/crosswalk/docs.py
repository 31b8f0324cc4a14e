"""The table of clauses as a page of the documentation: `python -m appliance.pack.crosswalk.docs FILE`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Final

from appliance.pack.crosswalk.table import Clause, State, clauses, frameworks, supports
from appliance.words.table import tell

_WIDTH: Final = 110


def written() -> str:
    """The page, Markdown."""
    said = {name: fill(tell(f"crosswalk.{name}"), _WIDTH) for name in ("note", "states", "open")}
    parts = [tell("crosswalk.docs", **said), _counts()]
    parts += [_framework(name) for name in frameworks()]
    rows = [(f"`{one.member}`", one.role or tell("crosswalk.of", name=one.of)) for one in supports()]
    parts.append(f"## {tell('crosswalk.support')}\n\n" + _table(("member", "role"), rows))
    return "\n".join(parts)


def _counts() -> str:
    rows = [
        (name, *(str(sum(one.state is state for one in _of(name))) for state in State))
        for name in frameworks()
    ]
    return _table(("framework", *(f"state.{state}" for state in State)), rows)


def _framework(name: str) -> str:
    said = [f"## {name}\n"]
    for known in dict.fromkeys(_known(one) for one in _of(name)):
        source, compared, checked = known
        rows = [_row(one) for one in _of(name) if _known(one) == known]
        said.append(tell(f"crosswalk.compared.{compared}", source=source, checked=checked) + "\n")
        said.append(_table(("clause", "state", "shows", "items"), rows))
    return "\n".join(said)


def _of(framework: str) -> list[Clause]:
    return [one for one in clauses() if one.framework == framework]


def _known(one: Clause) -> tuple[str, str, str]:
    return one.source, one.compared, one.checked


def _row(one: Clause) -> Sequence[str]:
    needs = ", ".join(tell(f"crosswalk.need.{need}") for need in one.needs)
    said = [one.shows, one.why]
    said += [tell("crosswalk.docs_needs", needs=needs)] if needs else []
    said += [tell("crosswalk.uncertain", doubt=one.doubt)] if one.doubt else []
    state = tell(f"crosswalk.state.{one.state}")
    return one.clause, state, " ".join(filter(None, said)), ", ".join(f"`{item}`" for item in one.items)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [[tell(f"crosswalk.{head}") for head in heads], ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(written(), encoding="utf-8")
