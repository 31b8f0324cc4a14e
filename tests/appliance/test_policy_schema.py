"""The published schema: what is committed, right about what is shipped, and no wider than the parser."""

from __future__ import annotations

import copy
import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import policy_file
from appliance.errors import PolicyError
from appliance.policies import schema
from appliance.policy_keys import KEYS

DOCUMENT = tomllib.loads((policy_file.FOLDER / "default.toml").read_text())
NUMBERS = (-1, -0.5, 0, 1, 0.5, 1.0, 2, 2.5, 4000)
TRIED: tuple[Any, ...] = ("words", "", " ", *NUMBERS, True, [], ["words"], [3], {})


def written(document: dict[str, Any]) -> bytes:
    """The same as TOML."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in document.items() if not isinstance(value, dict)]
    for table, held in document.items():
        if isinstance(held, dict):
            lines += [f"[{json.dumps(table)}]"]
            lines += [
                f"{json.dumps(key)} = {json.dumps(value)}" for key, value in held.items() if value != {}
            ]
    return "\n".join(lines).encode()


def refused(document: dict[str, Any]) -> bool:
    """Whether the parser refuses it."""
    try:
        policy_file.parse(written(document))
    except PolicyError:
        return True
    return False


def allowed(form: dict[str, Any], value: Any) -> bool:
    """Whether a property of the schema takes a value, by the words of JSON Schema that it uses."""
    kinds = {"number": (int, float), "integer": int, "string": str, "boolean": bool, "array": list}
    kind = form.get("type")
    if kind and (not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return False
    checks = {
        "enum": lambda told: value in told and type(value) is str,
        "minimum": lambda told: value >= told,
        "maximum": lambda told: value <= told,
        "exclusiveMinimum": lambda told: value > told,
        "exclusiveMaximum": lambda told: value < told,
        "pattern": lambda told: bool(value.strip()),
        "items": lambda told: all(allowed(told, one) for one in value),
    }
    return all(checks[word](told) for word, told in form.items() if word not in ("type", "description"))


def place(document: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """The table and the name of a key."""
    table, _, name = key.rpartition(".")
    return (document[table] if table else document), name


def form_of(key: str) -> dict[str, Any]:
    """The property that the schema has for a key."""
    found: Any = schema.schema()
    for part in filter(None, key.rpartition(".")[::2]):
        found = found["properties"][part]
    return dict(found)


def test_the_committed_schema_is_what_the_table_gives() -> None:
    """`gradaudit policy schema` prints policies/schema.json, byte for byte."""
    assert (policy_file.FOLDER / "schema.json").read_text() == schema.text()
    assert not refused(DOCUMENT)


@pytest.mark.parametrize("key", KEYS)
def test_each_property_takes_what_the_parser_takes(key: str) -> None:
    """One value after another: the schema's words and the parser agree about every one of them."""
    for value in TRIED:
        if key == "decision.alpha_fail" and value == 0.5:
            continue  # above alpha_review: two keys together
        if (key, value) == ("method.as_published", True):
            continue  # asks for a published mask
        changed = copy.deepcopy(DOCUMENT)
        held, name = place(changed, key)
        held[name] = value
        if value == {}:
            held.pop(name)  # a key that is missing
            assert refused(changed)
        else:
            assert allowed(form_of(key), value) is not refused(changed), value


@given(st.sampled_from(list(KEYS)), st.text("abcdefghijklmnopqrstuvwxyz_-", min_size=1, max_size=20))
def test_a_key_of_another_name_is_refused(key: str, name: str) -> None:
    """Renamed, it is missing under its own name; added beside it, it is unknown where it is no key."""
    renamed, added = copy.deepcopy(DOCUMENT), copy.deepcopy(DOCUMENT)
    held, old = place(renamed, key)
    held[name] = held.pop(old)
    assert refused(renamed) is (name != old)
    held, _ = place(added, key)
    known = name in held
    held.setdefault(name, held[old])
    assert refused(added) is not known


def test_nothing_but_its_keys_is_taken() -> None:
    """Every table of the schema is closed, and needs every key it has."""
    found = schema.schema()
    tables = [one for one in found["properties"].values() if one.get("type") == "object"]
    assert tables
    for table in (found, *tables):
        assert table["additionalProperties"] is False
        assert table["required"] == list(table["properties"])
