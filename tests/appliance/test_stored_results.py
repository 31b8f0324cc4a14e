"""Results stored by earlier versions are read: what they lack is absent, not guessed."""

from __future__ import annotations

import json

import pytest

from appliance import codec
from appliance.errors import IntegrityError
from audit_core.results import AuditResult
from tests.appliance import evidence_case

NEW = {"dataset_inference": None, "epsilon": (), "limits": ()}


def test_an_older_result_loads_without_the_newer_numbers() -> None:
    """A document without the new fields is the same result with them empty; with them it comes back whole."""
    result = evidence_case.result()
    document = json.loads(codec.dump(result))
    assert codec.load(AuditResult, json.dumps(document)) == result
    for field in NEW:
        document.pop(field)
    older = codec.load(AuditResult, json.dumps(document))
    assert {field: getattr(older, field) for field in NEW} == NEW
    assert older.exposure == result.exposure


def test_a_field_of_another_form_is_refused() -> None:
    """A stored bound that is no number ends in an error that names its place."""
    document = json.loads(codec.dump(evidence_case.result()))
    document["epsilon"][0]["lower"] = "much"
    with pytest.raises(IntegrityError, match=r"epsilon\.0\.lower"):
        codec.load(AuditResult, json.dumps(document))
