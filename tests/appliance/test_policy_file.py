"""Policy files: every key needed, no unknown one, values with meaning."""

import hashlib

import pytest

from appliance import policy_file
from appliance.errors import PolicyError

DEFAULT = (policy_file.FOLDER / "default.toml").read_text()


@pytest.mark.parametrize("name", policy_file.shipped())
def test_every_shipped_policy_is_usable(name: str) -> None:
    """What we ship loads, and its digest is the file's SHA-256."""
    loaded = policy_file.load(name)
    assert loaded.policy.name == name
    assert loaded.digest == hashlib.sha256((policy_file.FOLDER / f"{name}.toml").read_bytes()).hexdigest()


@pytest.mark.parametrize("line", [line for line in DEFAULT.splitlines() if "=" in line and line[0] != "#"])
def test_no_key_may_be_missing(line: str) -> None:
    """A threshold that falls back to a default silently changes verdicts."""
    with pytest.raises(PolicyError, match=line.split(" ")[0]):
        policy_file.parse(DEFAULT.replace(line, "").encode())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("alpha_fail = 0.001", "alpha_fial = 0.001", "alpha_fial"),
        ("alpha_fail = 0.001", 'alpha_fail = "small"', "wrong kind"),
        ("alpha_fail = 0.001", "alpha_fail = true", "wrong kind"),
        ("alpha_fail = 0.001", "alpha_fail = 1.5", "alpha_fail"),
        ('mask = "tau_and_z"', 'mask = "best"', "mask"),
        ('"seccomp"', '"sandbox"', "unknown layer"),
        ("[report]", "[raport]", "raport"),
        ("[report]", "[report", "not TOML"),
    ],
)
def test_a_wrong_policy_is_refused_by_name(old: str, new: str, said: str) -> None:
    """The error names what is wrong and carries a hint."""
    with pytest.raises(PolicyError, match=said) as refused:
        policy_file.parse(DEFAULT.replace(old, new).encode())
    assert refused.value.hint


def test_an_absent_policy_says_what_is_shipped() -> None:
    """The hint lists the names that would have worked."""
    with pytest.raises(PolicyError) as refused:
        policy_file.load("no-such-policy")
    assert "default" in refused.value.hint
