"""How far one pack goes for each clause: at most as the table has it, less where something is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from appliance.evidence.verify_evidence import disclosed
from appliance.isolation import LAYERS, ON
from appliance.pack.crosswalk.table import Clause, State
from appliance.pack.facts import Members, PackFacts
from appliance.pack.records.members import COMMITTED
from appliance.policies.governance import SHORTEST_LOG
from appliance.words.table import tell
from audit_core.results import VerdictWord

_COUNTS: Final = (VerdictWord.PASS, VerdictWord.REVIEW, VerdictWord.FAIL)
RECORDED: Final[Mapping[str, str]] = {
    "approval": "access",
    "autolock": "access",
    "backup": "retention",
    "box": "egress",
    "keys": "encryption",
    "review": "log_review",
    "years": "retention",
}
"""Need -> the part of `records.json` that it rests on."""
_COSIGNED: Final = "log/cosigned.json"


@dataclass(frozen=True, slots=True)
class Judged:
    """A clause as one pack supports it.

    Attributes:
        clause: as the table has it.
        state: what this pack reaches.
        items: those of its items that are in the pack.
        missing: those that are not, or only in part.
        unmet: which of its needs are not met.
        why: what is missing, in sentences; "" where it is covered.
    """

    clause: Clause
    state: State
    items: tuple[str, ...]
    missing: tuple[str, ...]
    unmet: tuple[str, ...]
    why: str


def judged(clause: Clause, facts: PackFacts, members: Members) -> Judged:
    """What the pack of these facts, with these members, reaches for a clause."""
    if clause.state is State.OUT:
        return Judged(clause, State.OUT, (), (), (), clause.why)
    hidden = {one.member for one in facts.withheld}
    there = {name: standing_for(name, members) for name in clause.items}
    absent = [name for name, stands in there.items() if not stands]
    cut = [name for name, stands in there.items() if stands not in ("", name)]
    unmet = tuple(need for need in clause.needs if not NEEDS[need](facts, members))
    lacks = (
        ("crosswalk.withheld", [name for name in absent if name in hidden]),
        ("crosswalk.not_here", [name for name in absent if name not in hidden]),
        ("crosswalk.withheld_part", cut),
    )
    said = [clause.why] if clause.why else []
    said += dict.fromkeys(_unmet(need, facts) for need in unmet)
    said += [tell(key, names=", ".join(names)) for key, names in lacks if names]
    whole = not unmet and not absent and not cut
    state = clause.state if whole else State.PARTIAL
    return Judged(clause, state, tuple(filter(None, there.values())), (*absent, *cut), unmet, " ".join(said))


def _unmet(need: str, facts: PackFacts) -> str:
    """Why a need is not met; of one that rests on a record first whether the record is there to look at."""
    if need in RECORDED and not _part(facts, RECORDED[need]):
        hidden = any(one.member == COMMITTED for one in facts.withheld)
        return tell("crosswalk.unmet.withheld" if hidden else "crosswalk.unmet.not_kept")
    return tell(f"crosswalk.unmet.{need}", word=facts.view.verdict.word.value)


def standing_for(name: str, members: Members) -> str:
    """What stands in the pack for an item: itself, what is shown of it, or "" for nothing."""
    part = disclosed(name) if "." in name else ""
    return next((one for one in (name, part) if one in members), "")


def _part(facts: PackFacts, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = facts.given.records.get(name, {})
    return found


def _box(facts: PackFacts, _: Members) -> bool:
    layers, probe = (_part(facts, "egress").get(name, {}) for name in ("layers", "probe"))
    return all(layers.get(layer) == ON for layer in LAYERS) and probe.get("outcome") == ON


NEEDS: Final[Mapping[str, Callable[[PackFacts, Members], bool]]] = {
    "answer": lambda facts, _: facts.view.verdict.word in _COUNTS,
    "approval": lambda facts, _: bool(_part(facts, "access").get("policy_approvals")),
    "autolock": lambda facts, _: _part(facts, "access").get("auto_lock_minutes", 0) > 0,
    "backup": lambda facts, _: bool(_part(facts, "retention").get("last_backup")),
    "box": _box,
    "claims": lambda facts, _: bool(facts.view.result.claims),
    "keys": lambda facts, _: _part(facts, "encryption").get("slots_below_floor") == 0,
    "review": lambda facts, _: any(one["kept"] for one in _part(facts, "log_review").get("reviews", ())),
    "witness": lambda _, members: _COSIGNED in members,
    "years": lambda facts, _: (_part(facts, "retention").get("kept_years") or 0) >= SHORTEST_LOG,
}
"""What of an audit a state may rest on -> whether it is so."""
