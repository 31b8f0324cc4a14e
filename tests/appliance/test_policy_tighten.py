"""What a vendor asks for: taken where it tightens, refused by key, line and both values elsewhere."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import policy_file
from appliance.errors import PolicyError, UsageError
from appliance.policies.tighten import tightened
from appliance.policy_file import LoadedPolicy
from appliance.policy_keys import KEYS, Effect, effect
from audit_core.policy import decide
from audit_core.results import ControlStatus, DetectableEffect, Role, Tier, VerdictWord
from tests.appliance.test_policy_dry_run import CLEAN

DEFAULT = policy_file.load("default")
APPLIANCE = Path(policy_file.__file__).parent
SEVERITY = (VerdictWord.PASS, VerdictWord.INCONCLUSIVE, VerdictWord.REVIEW, VerdictWord.FAIL)


def merged(vendor: str, base: LoadedPolicy = DEFAULT) -> LoadedPolicy:
    """The text that comes of it, read as any other."""
    return policy_file.parse(tightened(base, vendor.encode(), "vendor.toml").text.encode())


def test_what_is_stricter_is_taken_and_nothing_else_changes() -> None:
    """Keys of several tables; names, notes and all other values stay the site's; the version is its own."""
    vendor = """
        name = "acme"
        version = "9"
        [decision]
        must_detect = 0.2  # as we promise
        q = 0.10
        [controls]
        required = ["label permutation", "blind baseline, members"]
        [isolation]
        required = ["seccomp", "landlock", "network_namespace"]
        [cadence]
        contrastive = 90
    """
    found = tightened(DEFAULT, vendor.encode(), "vendor.toml")
    made = policy_file.parse(found.text.encode())
    changed = {key: made.value(key) for key in KEYS if made.value(key) != DEFAULT.value(key)}
    assert changed.pop("version") == found.reference.partition("@")[2]
    assert changed == {
        "decision.must_detect": 0.2,
        "controls.required": ("label permutation", "blind baseline, members"),
        "isolation.required": ("seccomp", "landlock", "network_namespace"),
        "cadence.contrastive": 90,
    }
    assert [row.key for row in found.taken] == list(changed)
    assert (found.base, made.policy.name, made.digest) == ("default@shipped-2", "default", found.digest)
    assert "acme" not in found.text and "promise" not in found.text
    assert "# days after which a model is audited anew" in found.text


@pytest.mark.parametrize(
    ("vendor", "said"),
    [
        (
            "[decision]\nmust_detect = 0.5",
            "line 2: .*must_detect is 0.25 .* and 0.5 here, which is looser",
        ),
        ("[decision]\nq = 0.05", "line 2: decision.q is 0.1 .* and 0.05 here, which is looser"),
        (
            '[decision]\n\nfail_tier = "E4"',
            "line 3: .*fail_tier is E3 .* and E4 here, which is looser",
        ),
        ('[method]\nmask = "quantile"', "which is neither"),
        ("[method]\nseed = 3", "which is neither"),
        ('[isolation]\nrequired = ["network_namespace"]', "which is neither"),
        ('[isolation]\nrequired = ["seccomp"]', "which is looser"),
        ("[cadence]\ncontrastive = 0", "which is looser"),
        ("[report]\nsmall_sample_note = true", "which is neither"),
        ("[minimum]\ntargets = 100000", "could end better"),
        ("[decision]\nalpha_fail = 0.05", "could end better"),
        ("[decision]\nalpha_review = 0.5", "could end better"),
        ("[controls]\nmax_unscored_share = 0.0", "could end better"),
        ("[decision]\nmust_detct = 0.2", "line 2: .*unknown key decision.must_detct"),
        ("[verdict]\nword = 'PASS'", "unknown key verdict"),
        ("[decision]\nmust_detect = -1", "line 2: decision.must_detect = -1 is not"),
        ("must_detect = 0.2", "unknown key must_detect"),
        ("[decision", "not TOML"),
    ],
)
def test_what_does_not_tighten_is_refused(vendor: str, said: str) -> None:
    """By file, key and line, with what the site has and what the vendor wants."""
    with pytest.raises(PolicyError, match=said) as refused:
        tightened(DEFAULT, vendor.encode(), "vendor.toml")
    assert str(refused.value).startswith("vendor.toml")
    assert refused.value.hint


@pytest.mark.parametrize("vendor", ["", 'name = "acme"', "[decision]\nq = 0.10"])
def test_nothing_to_tighten_makes_no_text(vendor: str) -> None:
    """What the site asks for already changes nothing."""
    with pytest.raises(UsageError, match="asks for nothing"):
        tightened(DEFAULT, vendor.encode(), "vendor.toml")


def test_an_earlier_text_is_brought_up_to_date_first() -> None:
    """A text without today's keys has no place for them."""
    with pytest.raises(PolicyError, match=r"lacks decision\.fail_tier"):
        tightened(policy_file.earlier()[0], b"[decision]\nmust_detect = 0.2", "vendor.toml")


def test_a_base_in_another_form_is_refused() -> None:
    """A key that is not on a line of its own cannot be rewritten; better no text than another one."""
    text = DEFAULT.text.replace(b"must_detect = 0.25", b"'must_detect' = 0.25")
    with pytest.raises(PolicyError, match="cannot be rewritten"):
        tightened(policy_file.parse(text), b"[decision]\nmust_detect = 0.2", "vendor.toml")


def test_only_what_is_stricter_can_be_a_vendors() -> None:
    """A key without a direction is never open to a vendor."""
    for key, known in KEYS.items():
        if known.vendor:
            old, new = (("x",), ("x", "y")) if "required" in key else (3, 4)
            assert Effect.STRICTER in (effect(key, old, new), effect(key, new, old)), key


@given(
    share=st.sampled_from([0.05, 0.1, 0.25, 0.6, None]),
    p=st.sampled_from([1e-6, 0.003, 0.03, 0.4, 0.9999]),
    lower=st.sampled_from([0.0, 0.02, 0.4]),
    flagged=st.integers(0, 2),
    tier=st.sampled_from(list(Tier)),
    status=st.sampled_from(list(ControlStatus)),
    limit=st.sampled_from([0.0, 0.1]),
    detect=st.sampled_from([0.05, 0.1, 0.25, 0.6]),
    base_tier=st.sampled_from(["E3", "E4"]),
    targets=st.sampled_from([10, 60]),
)
def test_no_audit_ends_better_under_what_a_vendor_asked_for(
    share: float | None, p: float, lower: float, flagged: int, tier: Tier, status: ControlStatus,
    limit: float, detect: float, base_tier: str, targets: int,
) -> None:  # fmt: skip
    """In the order PASS, INCONCLUSIVE, REVIEW, FAIL; by the vendor's keys that only the decision reads."""
    assert CLEAN.exposure is not None
    result = replace(
        CLEAN,
        exposure=replace(CLEAN.exposure, rank_test_p=p, prevalence_lower=lower, flagged=flagged),
        detectable=DetectableEffect(share, "members", "Seen."),
        tier=tier,
        counts={**CLEAN.counts, Role.TARGET: 40},
        controls=tuple(
            replace(one, status=status) if one.name == "label permutation" else one for one in CLEAN.controls
        ),
    )
    policy = replace(
        DEFAULT.policy, minimum_members=10, minimum_fitting=10, minimum_calibration=10,
        minimum_targets=targets, exposure_limit=limit, must_detect=0.7, fail_tier=base_tier,
    )  # fmt: skip
    asked = replace(
        policy,
        must_detect=detect,
        fail_tier="E3",
        required_controls=("label permutation", "post-release studies"),
    )
    before, after = decide(policy, result).word, decide(asked, result).word
    if before in SEVERITY:
        assert SEVERITY.index(after) >= SEVERITY.index(before)
    else:
        assert after is before


TAKERS = {"policy_file", "first_run", "governed", "policies.shelf", "policies.tighten", "commands.policies"}
TAKING = {"parse", "partial", "from_file", "text_of", "keep_text", "tightened"}


def _takes(file: Path) -> bool:
    """Whether a module reads a policy that somebody hands in, or keeps one."""
    told = file.read_text()
    if "policy_file" not in told and "policies" not in told:
        return False
    called = {node.func for node in ast.walk(ast.parse(told)) if isinstance(node, ast.Call)}
    names = {one.attr for one in called if isinstance(one, ast.Attribute) and _about_policies(one)}
    return bool(TAKING & (names | {one.id for one in called if isinstance(one, ast.Name)}))


def _about_policies(called: ast.Attribute) -> bool:
    return isinstance(called.value, ast.Name) and called.value.id in ("policy_file", "shelf")


def test_nothing_else_of_a_vendor_reaches_a_policy() -> None:
    """Who takes a policy's text is a closed list; a vendor's folders and claims are read elsewhere."""
    found = {
        ".".join(file.relative_to(APPLIANCE).with_suffix("").parts)
        for file in APPLIANCE.rglob("*.py")
        if _takes(file)
    }
    assert found >= {"governed", "policies.shelf", "policies.tighten"}
    assert found <= TAKERS


def test_a_file_that_lies_about_is_no_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vendor's folder with a default.toml in it: the name means the site's, wherever one stands."""
    loose: Any = DEFAULT.text.replace(b"must_detect = 0.25", b"must_detect = 0.99")
    for name in ("default", "default.toml", "default@shipped-2", "policy.toml"):
        (tmp_path / name).write_bytes(loose)
    monkeypatch.chdir(tmp_path)
    assert policy_file.load("default").digest == DEFAULT.digest
