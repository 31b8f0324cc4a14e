"""Policy files: every key needed, no unknown one, values with meaning."""

import hashlib
import re
from dataclasses import replace

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


@pytest.mark.parametrize("line", [line for line in DEFAULT.splitlines() if " = " in line and line[0] != "#"])
def test_no_key_may_be_missing(line: str) -> None:
    """A threshold that falls back to a default silently changes verdicts."""
    with pytest.raises(PolicyError, match=line.split(" ")[0]):
        policy_file.parse(DEFAULT.replace(f"\n{line}\n", "\n").encode())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("alpha_fail = 0.001", "alpha_fial = 0.001", "alpha_fial"),
        ("alpha_fail = 0.001", 'alpha_fail = "small"', "alpha_fail = 'small' is not a number above 0"),
        ("alpha_fail = 0.001", "alpha_fail = true", "is not a number above 0"),
        ("alpha_fail = 0.001", "alpha_fail = 1.5", "alpha_fail"),
        ('mask = "tau_and_z"', 'mask = "best"', "mask"),
        ('"seccomp"', '"sandbox"', "isolation.required names 'sandbox'"),
        ("[report]", "[raport]", "raport"),
        ("[report]", "[report", "not TOML"),
    ],
)
def test_a_wrong_policy_is_refused_by_name(old: str, new: str, said: str) -> None:
    """The error names what is wrong and carries a hint."""
    with pytest.raises(PolicyError, match=said) as refused:
        policy_file.parse(DEFAULT.replace(old, new).encode())
    assert refused.value.hint


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("alpha_fail = 0.001", "alpha_fial = 0.001", 8),
        ("alpha_fail = 0.001", "alpha_fail = 0.5", 8),
        ("targets = 30", "targets = 0", 18),
        ('"seccomp"', '"sandbox"', 41),
        ('"seccomp", ', '\n"seccomp",\n"sandbox",', 43),
        ("[report]", "[raport]", 54),
        ("contrastive = 365", "contrastive = -1", 51),
        ('version = "shipped-2"', 'version = ""', 3),
    ],
)
def test_a_wrong_key_is_found_by_its_line(old: str, new: str, line: int) -> None:
    """The line is the one in the file, counted from 1; two tables may have keys of one name."""
    text = DEFAULT.replace(old, new)
    assert new.split()[-1].strip(",") in text.splitlines()[line - 1]
    with pytest.raises(PolicyError, match=rf"^line {line}: "):
        policy_file.parse(text.encode())


@pytest.mark.parametrize(
    "text", [b"a = " + b"[" * 20_000, b"x = " + b"{a=" * 5_000, b"a = 9" + b"9" * 5_000, b"\xff", b""]
)
def test_what_no_parser_takes_is_a_policy_error(text: bytes) -> None:
    """Depth, length and bytes that are no text end in one line with a hint."""
    with pytest.raises(PolicyError) as refused:
        policy_file.parse(text)
    assert refused.value.hint


def test_an_absent_policy_says_what_is_shipped() -> None:
    """The hint lists the names that would have worked."""
    with pytest.raises(PolicyError) as refused:
        policy_file.load("no-such-policy")
    assert "default" in refused.value.hint


def test_a_policy_as_published_is_a_policy_of_its_own() -> None:
    """What decides, the mask and the name change in the text itself, so that digest and pack say it."""
    own = policy_file.load("default")
    changed = policy_file.published(own, "tau_or_topq")
    assert changed == policy_file.parse(changed.text)
    assert changed.digest != own.digest
    assert changed.policy == replace(
        own.policy,
        name="default, as published",
        deciding_detector="gradaudit",
        mask="tau_or_topq",
        as_published=True,
    )
    before, after = own.text.decode().splitlines(), changed.text.decode().splitlines()
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 4


def test_the_mask_as_published_comes_from_the_policy_where_it_names_one() -> None:
    """Without a mask, a published one of the policy stays; ours was never published, so τ alone decides."""
    own = policy_file.load("default")
    assert policy_file.published(own).policy.mask == "fixed_tau"
    adaptive = policy_file.parse(own.text.replace(b'mask = "tau_and_z"', b'mask = "adaptive_keep"'))
    assert policy_file.published(adaptive).policy.mask == "adaptive_keep"
    assert policy_file.published(policy_file.published(own, "quantile")) == policy_file.published(
        own, "quantile"
    )


@pytest.mark.parametrize("mask", ["tau_and_z", "best"])
def test_only_published_masks_are_as_published(mask: str) -> None:
    """Ours is refused with those that were."""
    with pytest.raises(PolicyError, match=mask) as refused:
        policy_file.published(policy_file.load("default"), mask)
    assert "fixed_tau" in refused.value.hint


def test_a_policy_that_cannot_be_rewritten_is_refused() -> None:
    """Keys in a form that is valid but not one a line: better no audit than another one."""
    text = DEFAULT.replace("as_published = false", "'as_published' = false").encode()
    with pytest.raises(PolicyError, match="rewritten"):
        policy_file.published(policy_file.parse(text))


def test_as_published_names_the_detector_that_decides() -> None:
    """A policy file that wants both is told which key is wrong."""
    text = DEFAULT.replace("as_published = false", "as_published = true")
    with pytest.raises(PolicyError, match="tau_and_z"):
        policy_file.parse(text.encode())
    with pytest.raises(PolicyError, match="fused"):
        policy_file.parse(text.replace('mask = "tau_and_z"', 'mask = "quantile"').encode())


@pytest.mark.parametrize("name", ["hipaa", "gdpr", "research"])
def test_every_clause_a_policy_cites_is_argued(name: str) -> None:
    """policies/README.md has each clause or article in its table, with what it asks and what shows it."""
    text = (policy_file.FOLDER / f"{name}.toml").read_text()
    page = (policy_file.FOLDER / "README.md").read_text()
    table = "\n".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| "))
    clauses = set(re.findall(r"164\.\d+\([a-z]\)", text))
    for cited in re.findall(r"Art\. ([\d(][^:;]*?)[:;.]", text):
        article = ""
        for part in cited.split(", "):
            article = re.match(r"\d+", part)[0] if part[0].isdigit() else article  # type: ignore[index]
            clauses.add(f"Art {article}")
    assert len(clauses) >= 3
    named = set(re.findall(r"164\.\d+\([a-z]\)", table))
    for row in re.findall(r"Art\. ([^\n]+)", table):
        named |= {f"Art {number}" for number in re.findall(r"(?:^|, )(\d+)", row)}
    assert clauses - named == set()
