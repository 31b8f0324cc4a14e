"""What policies ask of the site: people together, years of the log, days to the next audit; old texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import policy_file
from appliance.api import Appliance
from appliance.errors import PolicyError, UsageError
from appliance.policies import demands, shelf
from appliance.policies.governance import Governance
from appliance.policies.views import State
from audit_core.adapters.families import CONTRASTIVE, FAMILIES, GENERATIVE, MATCHING
from audit_core.policy import Policy
from tests.appliance import small_site
from tests.appliance.test_policies import SECOND, SHIPPED, Site, digest, states

EARLIER = next(one for one in policy_file.earlier() if one.policy.name == "default")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "workspace", tmp_path)


@pytest.fixture
def officer(site: Site) -> Iterator[Appliance]:
    with site.open() as opened:
        yield opened


def keys(text: str, key: str, value: str) -> str:
    """A policy's text with another value of a key."""
    (old,) = (line for line in text.splitlines() if line.startswith(f"{key} = "))
    return text.replace(old, f"{key} = {value}")


# -- people together ---------------------------------------------------------------------------------------


def test_two_are_asked_for_where_one_opens_findings(site: Site, officer: Appliance) -> None:
    """The proposal stands, nobody can approve it, and the log says that it was refused; two together can."""
    officer.propose_policy(site.file("2", quorum="2"))
    with pytest.raises(PolicyError, match=r"quorum of 2, and here findings open with 1") as refused:
        officer.approve_policy("default@2")
    assert "users quorum 2" in refused.value.hint
    assert [one.outcome for one in officer._log.acts("policy.approve")] == ["refused"]
    officer.set_quorum(2, SECOND)
    assert officer.approve_policy("default@2", second=SECOND).state is State.IN_FORCE


def test_an_audit_asks_for_as_many(tmp_path: Path) -> None:
    """gdpr asks for two: where one opens findings nothing begins or is queued under it."""
    with Appliance.unlock(small_site.build(tmp_path), small_site.PASSPHRASE, "officer") as appliance:
        with pytest.raises(PolicyError, match="policy gdpr asks for a quorum of 2"):
            appliance.run_audit("tiny", "spring", "gdpr", lambda step: None)
        with pytest.raises(PolicyError, match="policy gdpr asks for a quorum of 2"):
            appliance.queue_audit("tiny", "spring", "gdpr")
        assert appliance.audits() == ()
        assert appliance.runs() == ()


def test_who_is_alone_does_not_lower_the_demand(site: Site, officer: Appliance) -> None:
    """With two in force, a text that asks for one is not approved after the site's quorum was lowered."""
    officer.set_quorum(2, SECOND)
    officer.propose_policy(site.file("2", quorum="2"))
    officer.approve_policy("default@2", second=SECOND)
    officer.set_quorum(1, SECOND)
    officer.propose_policy(site.file("3"))
    with pytest.raises(PolicyError, match="quorum of 2"):
        officer.approve_policy("default@3")


# -- years and days ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "kept"), [(0, 9), (9, 9), (12, 12)])
def test_the_longest_retention_in_force_counts(site: Site, officer: Appliance, given: int, kept: int) -> None:
    """Of all names; as given where that is longer, and refused where it is shorter."""
    officer.propose_policy(site.file("2", log_years="9"))
    assert demands.kept_years(officer._shelf(), 0) == 6
    officer.approve_policy("default@2")
    assert demands.kept_years(officer._shelf(), given) == kept
    with pytest.raises(UsageError, match="keep the log for 9 years") as refused:
        officer.prune_log(2010, 8)
    assert "give 9" in refused.value.hint
    with pytest.raises(UsageError, match="for 9 years"):
        officer.prune_log(2100)


def test_no_text_keeps_less_than_six_years() -> None:
    """45 CFR 164.316(b)(2)(i); no policy can say less."""
    text = keys(policy_file.load("default").text.decode(), "log_years", "5")
    with pytest.raises(PolicyError, match="log_years = 5 is not a whole number from 6 to 100"):
        policy_file.parse(text.encode())


def test_the_cadence_of_each_family() -> None:
    """Days by family; 0 is no demand, and there are no families but those that are audited."""
    text = policy_file.load("default").text.decode()
    for family, days in ((GENERATIVE, 90), (CONTRASTIVE, 0), (MATCHING, 3660)):
        text = keys(text, family, str(days))
    found = policy_file.parse(text.encode()).governance
    assert [found.cadence_days(family) for family in (GENERATIVE, CONTRASTIVE, MATCHING)] == [90, None, 3660]
    assert all(Governance().cadence_days(family) is None for family in FAMILIES)
    with pytest.raises(KeyError):
        found.cadence_days("diffusion")


def test_they_are_told_with_the_policy(officer: Appliance) -> None:
    """In the list, in one policy's view, and each key with its clause."""
    rows = {row.reference: row for row in officer.policy_versions()}
    gdpr = rows[f"gdpr@{SHIPPED}"]
    assert (gdpr.quorum, gdpr.log_years) == (2, 6)
    assert gdpr.cadence == (
        "image-text-to-text 180 days", "contrastive 365 days", "image-text-matching 365 days",
    )  # fmt: skip
    assert rows["gdpr@1"].cadence == ()
    told = {row.key: row for row in officer.policy("hipaa").keys}
    assert told["retention.log_years"].value == "6"
    assert told["retention.log_years"].note.startswith("164.316(b)(2)(i)")
    assert told["isolation.required"].note.startswith("164.312(a)(1)")  # said of its table
    assert list(told) == list(policy_file.FIELDS)


# -- texts from before -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", policy_file.earlier(), ids=lambda one: one.policy.name)
def test_an_earlier_text_means_what_it_meant(text: policy_file.LoadedPolicy) -> None:
    """Keys that came later have the values by which the software decided then; by hand it is refused."""
    policy = text.policy
    assert (policy.version, policy.fail_tier, policy.required_controls) == ("1", "E3", ())
    assert text.governance == Governance() == Governance(1, 6, 0, 0, 0)
    assert (Policy("a", "1").fail_tier, Policy("a", "1").required_controls) == ("E3", ())
    with pytest.raises(PolicyError, match=r"line 5: the policy lacks decision\.fail_tier"):
        policy_file.parse(text.text)
    today = policy_file.load(policy.name)
    differ = {key for key in policy_file.FIELDS if text.value(key) != today.value(key)}
    assert {key.partition(".")[0] for key in differ} <= {"version", "approval", "cadence"}


def test_a_missing_key_that_is_not_new_is_missed_in_old_texts_as_well() -> None:
    """Only what came later may be missing."""
    with pytest.raises(PolicyError, match=r"lacks decision\.q"):
        policy_file.stored(keys(EARLIER.text.decode(), "q", "0.1").replace("q = 0.1\n", "").encode())


def test_an_earlier_text_in_force_goes_on(
    site: Site, officer: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site approved it before there were new keys: read, shown, compared, tried and audited as ever."""
    file = site.folder / "own.toml"
    file.write_text(keys(EARLIER.text.decode(), "version", '"2"'))
    with monkeypatch.context() as before:
        before.setattr(shelf, "from_file", lambda path: policy_file.stored(path.read_bytes()))
        officer.propose_policy(file)
        officer.approve_policy("default@2")
    assert states(officer) == {SHIPPED: "replaced", "2": "in force"}
    loaded = officer._policy("default")[0]
    assert loaded.digest == policy_file.stored(file.read_bytes()).digest == digest(officer)
    for asked in ({"as_published": True}, {"spike_in": True}):
        assert policy_file.as_asked(loaded, asked).policy.name.startswith("default, ")
    assert [row.key for row in officer.policy("default").keys] == list(policy_file.FIELDS)
    found = {one.key for one in officer.diff_policies("default@2", f"default@{SHIPPED}").keys}
    assert found == {"version", *(f"cadence.{family}" for family in FAMILIES)}
    assert officer.dry_run_policy("default@2").rows == ()
    assert demands.kept_years(officer._shelf(), 0) == 6
    with pytest.raises(PolicyError, match="lacks"):
        officer.propose_policy(file)


def test_the_versions_of_shipped_texts_are_the_softwares(site: Site, officer: Appliance) -> None:
    """Else a later version of the software would bring another text of the same version."""
    for act in (officer.propose_policy, lambda file: officer._policy(str(file))):
        with pytest.raises(PolicyError, match="names its own texts"):
            act(site.file("shipped-3", q="0.2"))
    assert officer._policy(f"default@{SHIPPED}")[0].digest == policy_file.load("default").digest
    assert officer._policy("default@1")[0].digest == EARLIER.digest
