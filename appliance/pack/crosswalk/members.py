"""The crosswalk of a pack: clause, state, items with their digests; for programs and for people."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from appliance.evidence.verify_evidence import canonical
from appliance.pack.crosswalk.judged import Judged, judged, standing_for
from appliance.pack.crosswalk.page import page
from appliance.pack.crosswalk.table import State, Support, clauses, frameworks, supports
from appliance.pack.facts import Members, PackFacts, digest
from appliance.words.table import tell

FORMAT: Final = "gradaudit-crosswalk-1"
JSON, HTML = "crosswalk.json", "crosswalk.html"


def members(facts: PackFacts, so_far: Members) -> Members:
    """`crosswalk.json` and `crosswalk.html`, over all members that were made before."""
    rows = [judged(clause, facts, so_far) for clause in clauses()]
    document = {
        "audit": facts.view.row.audit_id,
        "clauses": [_row(row, so_far) for row in rows],
        "closed_utc": facts.closed_utc,
        "counts": _counts(rows),
        "edition": facts.edition,
        "format": FORMAT,
        "items": {name: digest(data) for name, data in sorted(so_far.items())},
        "note": tell("crosswalk.note"),
        "support": [_support(name, so_far) for name in unnamed(so_far)],
    }
    return {JSON: canonical(document), HTML: page(facts, document).encode()}


def unnamed(so_far: Members) -> tuple[str, ...]:
    """Members that no clause names, by name."""
    named = {standing_for(name, so_far) for clause in clauses() for name in clause.items}
    return tuple(sorted(set(so_far) - named))


def support_of(name: str) -> Support | None:
    """The line of the table about a member that serves all clauses."""
    return next((one for one in supports() if one.names(name)), None)


def _row(row: Judged, so_far: Members) -> dict[str, Any]:
    clause = row.clause
    return {
        "at_best": str(clause.state),
        "certain": not clause.doubt,
        "checked": clause.checked,
        "clause": clause.clause,
        "compared": str(clause.compared),
        "doubt": clause.doubt,
        "framework": clause.framework,
        "items": [{"member": name, "sha256": digest(so_far[name])} for name in row.items],
        "missing": list(row.missing),
        "shows": clause.shows,
        "source": clause.source,
        "state": str(row.state),
        "unmet": list(row.unmet),
        "why": row.why,
    }


def _counts(rows: list[Judged]) -> dict[str, dict[str, int]]:
    found = Counter((row.clause.framework, row.state) for row in rows)
    return {name: {str(state): found[name, state] for state in State} for name in frameworks()}


def _support(name: str, so_far: Members) -> dict[str, str]:
    line = support_of(name)
    role = tell("crosswalk.unassigned")
    if line is not None:
        role = line.role or tell("crosswalk.of", name=line.of)
    return {"member": name, "role": role, "sha256": digest(so_far[name])}
