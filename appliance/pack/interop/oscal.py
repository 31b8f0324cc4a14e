"""The crosswalk as OSCAL assessment results: an observation for each item, a finding for each clause.

What a finding is about is the support of a clause by the pack, not the clause: `satisfied` where the items
cover it and its number is certain, `not-satisfied` with what is missing else. What is out of scope has no
finding and stands among the excluded controls. Clauses are cited by number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from appliance.evidence.verify_evidence import canonical
from appliance.pack.crosswalk.table import State
from appliance.pack.facts import Members, PackFacts, digest
from appliance.pack.interop.naming import OWN, opening, stable_uuid
from appliance.words.table import tell

NAME: Final = "crosswalk.oscal.json"
VERSION: Final = "1.2.1"  # what compliance-trestle 5.2 validates
_CROSSWALK: Final = "crosswalk.json"
_PLAN: Final = "policy.toml"
_NO_TOKEN: Final = re.compile(r"[^a-z0-9.]+")


def members(facts: PackFacts, so_far: Members) -> Members:
    """The assessment results; nothing where the pack has no crosswalk."""
    if _CROSSWALK not in so_far:
        return {}
    return {NAME: canonical({"assessment-results": _Results(facts, so_far).document()})}


class _Results:
    """One document, and the names that its parts have for each other."""

    def __init__(self, facts: PackFacts, so_far: Members) -> None:
        self._facts = facts
        self._so_far = so_far
        self._seen = digest(so_far[_CROSSWALK])
        crosswalk = json.loads(so_far[_CROSSWALK])
        self._clauses: list[dict[str, Any]] = crosswalk["clauses"]
        named = {item["member"]: item["sha256"] for row in self._clauses for item in row["items"]}
        self._items: dict[str, str] = dict(sorted(named.items()))

    def document(self) -> dict[str, Any]:
        """The content of `assessment-results`."""
        row = self._facts.view.row
        return {
            "uuid": self._uuid("document"),
            "metadata": {
                "title": tell("oscal.title", audit=row.audit_id),
                "last-modified": self._facts.closed_utc,
                "version": self._seen[:16],
                "oscal-version": VERSION,
                "parties": [
                    {"uuid": self._uuid("site"), "type": "organization", "name": self._facts.given.site}
                ],
                "remarks": tell("oscal.remarks"),
            },
            "import-ap": {"href": f"#{self._uuid('resource', _PLAN)}"},
            "results": [self._result()],
            "back-matter": {"resources": self._resources()},
        }

    def _result(self) -> dict[str, Any]:
        view = self._facts.view
        said = tell(
            "oscal.result", audit=view.row.audit_id, model=view.row.model, verdict=view.verdict.word.value
        )
        observations = [self._observation(name) for name in self._items]
        findings = [self._finding(row) for row in self._clauses if row["state"] != State.OUT]
        return {
            "uuid": self._uuid("result"),
            "title": said,
            "description": said,
            "start": opening(self._facts).claimed_utc,
            "end": self._facts.closed_utc,
            "local-definitions": {"components": self._components()},
            "reviewed-controls": {"control-selections": [self._selection()]},
            **({"observations": observations} if observations else {}),
            **({"findings": findings} if findings else {}),
        }

    def _components(self) -> list[dict[str, Any]]:
        view = self._facts.view
        version = self._facts.given.run.get("appliance")
        tool = {"props": [_property("version", version)]} if version else {}
        return [
            {
                "uuid": self._uuid("model"),
                "type": "software",
                "title": view.row.model,
                "description": tell("oscal.component", digest=view.model_digest),
                "status": {"state": "operational"},
            },
            {
                "uuid": self._uuid("tool"),
                "type": "software",
                "title": "gradaudit-appliance",
                "description": tell("oscal.tool"),
                **tool,
                "status": {"state": "operational"},
            },
        ]

    def _selection(self) -> dict[str, Any]:
        found: dict[bool, list[dict[str, str]]] = {True: [], False: []}
        for row in self._clauses:
            found[row["state"] != State.OUT].append({"control-id": _token(row)})
        chosen: dict[str, Any] = {"include-controls": found[True]} if found[True] else {"include-all": {}}
        return chosen | ({"exclude-controls": found[False]} if found[False] else {})

    def _observation(self, name: str) -> dict[str, Any]:
        return {
            "uuid": self._uuid("observation", name),
            "title": name,
            "description": tell("oscal.observation", member=name, digest=self._items[name]),
            "methods": ["TEST" if name.startswith(("results", "verdict")) else "EXAMINE"],
            "origins": [{"actors": [{"type": "tool", "actor-uuid": self._uuid("tool")}]}],
            "subjects": [{"subject-uuid": self._uuid("model"), "type": "component"}],
            "relevant-evidence": [
                {"href": f"#{self._uuid('resource', name)}", "description": tell("oscal.item")}
            ],
            "collected": self._facts.closed_utc,
        }

    def _finding(self, row: Mapping[str, Any]) -> dict[str, Any]:
        cited = f"{row['framework']} {row['clause']}"
        seen = [{"observation-uuid": self._uuid("observation", item["member"])} for item in row["items"]]
        why = " ".join(filter(None, [row["why"], row.get("doubt", "")]))
        covered = row["state"] == State.COVERED and row.get("certain", True)
        status = {
            "state": "satisfied" if covered else "not-satisfied",
            "reason": "pass" if covered else "other",
        }
        return {
            "uuid": self._uuid("finding", cited),
            "title": cited,
            "description": row.get("shows") or tell("oscal.finding.none"),
            "props": [
                _property("crosswalk-state", row["state"]),
                _property("number-certain", "yes" if row.get("certain", True) else "no"),
                _property("number-compared-with", row.get("compared", "text")),
                *([_property("number-checked", row["checked"])] if row["checked"] else []),
                _property("source", row["source"]),
            ],
            "target": {
                "type": "objective-id",
                "target-id": _token(row),
                "status": status | ({"remarks": why} if why else {}),
            },
            **({"related-observations": seen} if seen else {}),
        }

    def _resources(self) -> list[dict[str, Any]]:
        """Every item by name and digest; the plan too where the pack withholds it, by a sentence."""
        found = {name: self._resource(name, value) for name, value in self._items.items()}
        if _PLAN in self._so_far:
            found[_PLAN] = self._resource(_PLAN, digest(self._so_far[_PLAN])) | {
                "description": tell("oscal.plan")
            }
        else:
            withheld = {"uuid": self._uuid("resource", _PLAN), "title": _PLAN}
            found[_PLAN] = {**withheld, "description": tell("oscal.plan.withheld")}
        return [found[name] for name in sorted(found)]

    def _resource(self, name: str, value: str) -> dict[str, Any]:
        return {
            "uuid": self._uuid("resource", name),
            "title": name,
            "rlinks": [{"href": name, "hashes": [{"algorithm": "SHA-256", "value": value}]}],
        }

    def _uuid(self, *what: str) -> str:
        return stable_uuid(self._facts, self._so_far, NAME, self._seen, *what)


def _token(row: Mapping[str, Any]) -> str:
    """An identifier of framework and clause: letters, digits, dots and dashes."""
    parts = (_NO_TOKEN.sub("-", str(row[name]).lower()).strip("-") for name in ("framework", "clause"))
    return "_".join(parts)


def _property(name: str, value: object) -> dict[str, str]:
    return {"name": name, "ns": OWN, "value": str(value)}
