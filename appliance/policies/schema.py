"""The published schema of policy files: JSON Schema 2020-12 of what the TOML holds, made from `KEYS`.

`gradaudit policy schema` prints it; policies/schema.json is what it printed. What it refuses the parser
refuses. The parser knows more: `alpha_fail` is at most `alpha_review`, and an audit as published has
a published mask and detector.
"""

from __future__ import annotations

import json
from typing import Any

from appliance.policy_keys import KEYS, Key, Stricter
from audit_core.policy_values import LARGEST_INTEGER, Count, Flag, Form, Number, Text, Word, Words

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The schema, ready for JSON."""
    top: dict[str, Any] = {}
    tables: dict[str, dict[str, Any]] = {}
    for key, known in KEYS.items():
        table, _, name = key.rpartition(".")
        (tables.setdefault(table, {}) if table else top)[name] = _property(known)
    return {
        "$schema": _DIALECT,
        "title": "Policy of a site",
        "description": "docs/policy-keys.md has the same in a table. Every key is needed.",
        **_object({**top, **{table: _object(keys) for table, keys in tables.items()}}),
    }


def text() -> str:
    """The schema as policies/schema.json has it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _property(known: Key) -> dict[str, Any]:
    way = "" if known.stricter is Stricter.NEITHER else f" Stricter: {known.stricter}."
    decides = known.decides[0].upper() + known.decides[1:]
    return {"description": f"{decides}.{way}", **_form(known.form)}


def _form(form: Form) -> dict[str, Any]:
    match form:
        case Number(least, below, above):
            least_key = "exclusiveMinimum" if above else "minimum"
            return {"type": "number", least_key: least, "exclusiveMaximum": below}
        case Count(least, most):
            bound = {} if most == LARGEST_INTEGER else {"maximum": most}
            return {"type": "integer", "minimum": least, **bound}
        case Word(words):
            return {"enum": list(words)}
        case Words(words):
            return {"type": "array", "items": {"enum": list(words)}}
        case Flag():
            return {"type": "boolean"}
        case Text():
            return {"type": "string", "pattern": r"\S"}
