"""The one table of policy keys: whole, the same in the docs, and right about what is stricter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from appliance.policy_file import FIELDS
from appliance.policy_keys import KEYS, Effect, effect

PAGE = Path(__file__).resolve().parents[2] / "docs" / "policy-keys.md"


def test_every_key_of_the_file_is_explained() -> None:
    """In the order of the file, each in one sentence without a full stop."""
    assert list(KEYS) == list(FIELDS)
    assert [] == [key for key, told in KEYS.items() if not told.decides or told.decides.endswith(".")]


def test_the_page_says_what_the_table_says() -> None:
    """docs/policy-keys.md has one row a key with the same words."""
    rows = re.findall(
        r"^\| (?:`(\w+)` )?\| `([\w-]+)` \| (.+?) \| (.+?) \|(?: (.+?))? \|(?: (yes))? \|$",
        PAGE.read_text(),
        re.MULTILINE,
    )
    told, table = [], ""
    for heading, name, takes, words, way, vendor in rows:
        table = f"{heading}." if heading else table
        told.append((table + name, takes, words, way, vendor))
    assert told == [
        (key, str(one.form), one.decides, one.stricter.value, "yes" * one.vendor) for key, one in KEYS.items()
    ]


@pytest.mark.parametrize(
    ("key", "old", "new", "meant"),
    [
        ("decision.exposure_limit", 0.0, 0.01, Effect.LOOSER),
        ("decision.alpha_fail", 0.001, 0.01, Effect.STRICTER),
        ("decision.alpha_review", 0.05, 0.01, Effect.LOOSER),
        ("decision.q", 0.1, 0.05, Effect.LOOSER),
        ("decision.must_detect", 0.25, 0.2, Effect.STRICTER),
        ("minimum.targets", 30, 40, Effect.STRICTER),
        ("minimum.targets", 30, 20, Effect.LOOSER),
        ("controls.max_unscored_share", 0.02, 0.1, Effect.LOOSER),
        ("controls.control_alpha", 0.05, 0.1, Effect.NEITHER),
        ("method.seed", 0, 1, Effect.NEITHER),
        ("isolation.required", ("seccomp",), ("seccomp", "landlock"), Effect.STRICTER),
        ("isolation.required", ("seccomp", "landlock"), ("landlock",), Effect.LOOSER),
        ("isolation.required", ("seccomp",), ("landlock",), Effect.NEITHER),
        ("isolation.required", ("seccomp", "landlock"), ("landlock", "seccomp"), Effect.NEITHER),
        ("decision.q", 0.1, 0.1, Effect.NEITHER),
        ("decision.fail_tier", "E3", "E4", Effect.LOOSER),
        ("decision.fail_tier", "E4", "E3", Effect.STRICTER),
        ("controls.required", (), ("label permutation",), Effect.STRICTER),
        ("approval.quorum", 1, 2, Effect.STRICTER),
        ("retention.log_years", 10, 6, Effect.LOOSER),
        ("cadence.contrastive", 0, 3660, Effect.STRICTER),
        ("cadence.contrastive", 30, 0, Effect.LOOSER),
        ("cadence.contrastive", 30, 31, Effect.LOOSER),
        ("cadence.contrastive", 365, 180, Effect.STRICTER),
    ],
)
def test_which_way_a_change_goes(key: str, old: Any, new: Any, meant: Effect) -> None:
    """Stricter: a model that was trained on patients comes through less easily."""
    assert effect(key, old, new) is meant
