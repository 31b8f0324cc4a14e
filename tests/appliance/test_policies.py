"""A site's policies: proposed, approved by one or two, in force from a day on, rejected, and what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance import policy_file
from appliance.api import Appliance
from appliance.errors import IntegrityError, NotPermitted, PolicyError, UsageError
from appliance.finding_views import Second
from appliance.policies.views import State
from tests.appliance import members_site as case
from tests.appliance.evidence_case import FrozenClock

DEFAULT = (policy_file.FOLDER / "default.toml").read_text()
SHIPPED = policy_file.load("default").policy.version
SECOND = Second("second", case.PASSPHRASES["second"])


class Site:
    """A workspace with users of all roles, whose clock a test moves."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.secrets = case.build(root)
        self.clock = FrozenClock(round(datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp() * 1000))

    def open(self, user: str = "officer") -> Appliance:
        """The workspace as this user opens it."""
        opened = case.opened(self.root, user, self.secrets)
        opened._log.clock = self.clock
        return opened

    def file(self, version: str, **changed: str) -> Path:
        """default.toml under another version, with other values."""
        text = DEFAULT.replace('version = "shipped-2"', f'version = "{version}"')
        for key, value in changed.items():
            *_, old = (line for line in text.splitlines() if line.startswith(f"{key} = "))
            text = text.replace(old, f"{key} = {value}")
        path = self.folder / f"default-{version}.toml"
        path.write_text(text)
        return path

    def day(self, day: int, month: int = 12) -> None:
        """Noon of a day."""
        self.clock.utc = round(datetime(2026, month, day, 12, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "workspace", tmp_path)


@pytest.fixture
def officer(site: Site) -> Iterator[Appliance]:
    with site.open() as opened:
        yield opened


def states(site: Appliance, name: str = "default") -> dict[str, str]:
    """Version -> state, without what was shipped before."""
    rows = [row for row in site.policy_versions() if row.name == name and row.version != "1"]
    return {row.version: str(row.state) for row in rows}


def digest(site: Appliance, reference: str = "default") -> str:
    """What an audit under this name would be decided by."""
    return site._policy(reference)[0].digest


def test_without_a_proposal_shipped_policies_are_in_force(officer: Appliance) -> None:
    """Every shipped policy is in force, and nobody has approved it; what was shipped before is replaced."""
    rows = officer.policy_versions()
    assert {(row.origin, row.decided_by) for row in rows} == {("shipped", "")}
    standing = [row.name for row in rows if row.state is State.IN_FORCE]
    assert tuple(standing) == policy_file.shipped() == officer.policies()
    before = [row for row in rows if row.state is not State.IN_FORCE]
    assert {(row.version, row.state) for row in before} == {("1", State.REPLACED)}
    assert {row.digest for row in before} == {one.digest for one in policy_file.earlier()}
    assert officer._policy("default")[1] == f"default@{SHIPPED}"


def test_a_proposal_decides_nothing_before_it_is_approved(site: Site, officer: Appliance) -> None:
    """Proposed: an officer has to decide, and an audit still runs under what is in force."""
    row = officer.propose_policy(site.file("2", must_detect="0.2"), "as the board asked")
    assert (row.reference, row.state, row.decided_by) == ("default@2", State.PROPOSED, "officer")
    assert "policy default version 2 waits for approval" in officer.overview().needs_me
    assert digest(officer) == policy_file.load("default").digest
    with pytest.raises(UsageError, match="is proposed"):
        officer._policy("default@2")
    view = officer.policy("default")
    assert view.text == site.file("2", must_detect="0.2").read_text().rstrip("\n")
    assert [(deed.act, deed.by, deed.reason) for deed in view.deeds] == [
        ("proposed", ("officer",), "as the board asked")
    ]


def test_one_officer_approves_where_one_opens_findings(site: Site, officer: Appliance) -> None:
    """With a quorum of one whoever proposed it may approve; what was in force is replaced."""
    proposed = officer.propose_policy(site.file("2"))
    row = officer.approve_policy("default@2")
    assert (row.state, row.from_utc) == (State.IN_FORCE, "2026-11-30T12:00:00+00:00")
    assert states(officer) == {SHIPPED: "replaced", "2": "in force"}
    assert officer._policy("default")[0].digest == proposed.digest
    assert officer._policy("default")[1] == "default@2"
    assert officer._policy("default@shipped-2")[0].digest == policy_file.load("default").digest
    assert not any("waits" in need for need in officer.overview().needs_me)


def test_the_log_has_who_approved_what(site: Site, officer: Appliance) -> None:
    """Every deed is an entry before and after with the policy's digest; every approver has one."""
    officer.join("second", SECOND.secret)
    officer.set_quorum(2)
    row = officer.propose_policy(site.file("2"), "secret words")
    officer.approve_policy("default@2")
    told = [entry for entry in officer._log.entries(0, 1000) if entry.act.startswith("policy.")]
    assert [(entry.act, entry.outcome) for entry in told] == [
        ("policy.propose", "begins"),
        ("policy.propose", "done"),
        ("policy.approve", "begins"),
        ("policy.approve", "allowed"),
        ("policy.approve", "allowed"),
        ("policy.approve", "done"),
    ]
    assert {entry.policy_digest for entry in told} == {row.digest}
    both = {entry.actor for entry in told if entry.outcome == "allowed"}
    assert len(both) == 2 and all(actor.startswith("officer:") for actor in both)
    assert officer.policy("default@2").deeds[-1].by == ("officer", "second")
    journal = (site.root / "log" / "journal").read_bytes()
    assert b"secret words" not in journal and b"second" not in journal


def test_two_together_approve_where_two_open_findings(site: Site) -> None:
    """With a quorum of two: alone refused, with the proposer as second refused, with another officer done."""
    with site.open() as officer:
        officer.join(SECOND.name, SECOND.secret)
        officer.set_quorum(2)
    with site.open() as officer:
        officer.propose_policy(site.file("2"))
        with pytest.raises(NotPermitted, match="two officers together"):
            officer.approve_policy("default@2")
        assert case.acts(officer)[-1] == ("officer", "policy.approve", "refused")
    with site.open("second") as other:
        with pytest.raises(NotPermitted, match="whoever proposed"):
            other.approve_policy("default@2", second=Second("officer", case.PASSPHRASES["officer"]))
        assert case.acts(other)[-1] == ("officer", "policy.approve", "refused")
        assert states(other)["2"] == "proposed"
    with site.open() as officer:
        assert officer.approve_policy("default@2", second=SECOND).state is State.IN_FORCE
        assert not officer._present, "the second person was here for this act alone"
        officer.propose_policy(site.file("3"))
        with pytest.raises(NotPermitted):
            officer.approve_policy("default@3")


@pytest.mark.usefixtures("memory")
def test_what_unlock_keeps_does_not_approve(site: Site, officer: Appliance) -> None:
    """A passphrase typed for it does; it is forgotten afterwards."""
    officer.propose_policy(site.file("2"))
    officer.remember()
    resumed = Appliance.resume(site.root)
    assert resumed is not None
    with resumed:
        with pytest.raises(NotPermitted, match="a passphrase typed for it"):
            resumed.approve_policy("default@2")
        assert resumed.approve_policy("default@2", passphrase=case.PASSPHRASES["officer"])
        assert resumed._typed is None


@pytest.mark.parametrize(("user", "may"), [("operator", True), ("auditor", False), ("scanner", False)])
def test_only_officers_decide(site: Site, user: str, may: bool) -> None:
    """An operator may propose; nobody but an officer approves or rejects."""
    with site.open(user) as opened:
        if may:
            assert opened.propose_policy(site.file("2")).decided_by == user
        else:
            with pytest.raises(NotPermitted):
                opened.propose_policy(site.file("2"))
        for act in (opened.approve_policy, opened.reject_policy):
            with pytest.raises(NotPermitted):
                act("default@2", "no")
        assert opened.policy("default").row.name == "default"


def test_it_comes_into_force_on_its_day(site: Site, officer: Appliance) -> None:
    """Approved for a day to come it waits; then it decides, until one with a later day does."""
    officer.propose_policy(site.file("2"))
    assert officer.approve_policy("default@2", "2026-12-05").state is State.APPROVED
    officer.propose_policy(site.file("3"))
    officer.approve_policy("default@3", "2026-12-02")
    assert states(officer) == {SHIPPED: "in force", "2": "approved", "3": "approved"}
    site.day(3)
    assert states(officer) == {SHIPPED: "replaced", "2": "approved", "3": "in force"}
    site.day(5)
    assert states(officer) == {SHIPPED: "replaced", "2": "in force", "3": "replaced"}
    assert officer._policy("default")[1] == "default@2"


def test_a_day_is_today_or_later(site: Site, officer: Appliance) -> None:
    """Nothing is approved for the past: what decided then has decided. Today means from now on."""
    officer.propose_policy(site.file("2"))
    for day, said in (("2026-11-29", "is past"), ("tomorrow", "is no day")):
        with pytest.raises(UsageError, match=said):
            officer.approve_policy("default@2", day)
    assert officer.approve_policy("default@2", "2026-11-30").from_utc == "2026-11-30T12:00:00+00:00"


def test_a_version_decides_nothing_before_its_day(site: Site, officer: Appliance) -> None:
    """Approved for a day to come, it decides no audit by its version either; from its day on it does."""
    officer.propose_policy(site.file("2"))
    officer.approve_policy("default@2", "2026-12-05")
    with pytest.raises(UsageError, match="default@2 is approved") as refused:
        officer._policy("default@2")
    assert "whose day has come" in refused.value.hint
    site.day(5)
    assert officer._policy("default@2")[1] == "default@2"


def test_what_is_approved_for_a_day_to_come_is_not_proposed_again(site: Site, officer: Appliance) -> None:
    """Else it could be rejected, and would come into force all the same."""
    file = site.file("2")
    officer.propose_policy(file)
    officer.approve_policy("default@2", "2026-12-05")
    with pytest.raises(UsageError, match="default@2 is approved from 2026-12-05 on"):
        officer.propose_policy(file)
    assert states(officer) == {SHIPPED: "in force", "2": "approved"}


def test_a_file_is_no_other_text_of_an_approved_version(site: Site, officer: Appliance) -> None:
    """A file under the name and version of another text decides nothing; the same text, or its own, does."""
    with pytest.raises(PolicyError, match="default@shipped-2 is another text") as refused:
        officer._policy(str(site.file(SHIPPED, q="0.2")))
    assert "of its own" in refused.value.hint
    assert officer._policy(str(site.file(SHIPPED)))[0].digest == digest(officer)
    own = site.file("2", q="0.2")
    assert officer._policy(str(own))[0].policy.version == "2"
    officer.propose_policy(site.file("2"))
    own = own.rename(own.with_name("own.toml"))
    own.write_text(own.read_text() + "# another\n")
    with pytest.raises(PolicyError, match="default@2 is another text"):
        officer._policy(str(own))


def test_a_rejected_proposal_is_kept_and_decides_nothing(site: Site, officer: Appliance) -> None:
    """Rejected with a reason; its version is used up, and another proposal may follow."""
    officer.propose_policy(site.file("2"))
    with pytest.raises(UsageError, match="with a reason"):
        officer.reject_policy("default@2", " ")
    assert officer.reject_policy("default@2", "too lax").state is State.REJECTED
    assert officer.policy("default@2").deeds[-1].reason == "too lax"
    with pytest.raises(UsageError, match="no policy default@2 waits"):
        officer.approve_policy("default@2")
    with pytest.raises(UsageError, match="no policy default@2 waits"):
        officer.reject_policy("default@2", "once more")
    with pytest.raises(PolicyError, match="another text"):
        officer.propose_policy(site.file("2", q="0.2"))
    assert officer.propose_policy(site.file("3", q="0.2")).state is State.PROPOSED


def test_an_earlier_text_can_come_back(site: Site, officer: Appliance) -> None:
    """The same text under the same version, as shipped: proposed and approved again."""
    officer.propose_policy(site.file("2"))
    officer.approve_policy("default@2")
    site.day(1)
    officer.propose_policy(policy_file.FOLDER / "default.toml")
    officer.approve_policy("default@shipped-2")
    assert states(officer) == {SHIPPED: "in force", "2": "replaced"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('version = "shipped-2"', 'version = "2 b"', "version of a site's policy"),
        ('name = "default"', 'name = "../x"', "name of a site's policy"),
        ("q = 0.10", "q = 0.20", "another text"),
        ('version = "shipped-2"', 'version = "shipped-2"', "in force"),
        ("alpha_fail =", "alpha_fial =", "line 8: .*alpha_fial"),
    ],
)
def test_what_cannot_be_proposed(
    site: Site, officer: Appliance, tmp_path: Path, old: str, new: str, said: str
) -> None:
    """Checked strictly, and one version stands for one text."""
    file = tmp_path / "own.toml"
    file.write_text(DEFAULT.replace(old, new))
    with pytest.raises(UsageError, match=said) as refused:
        officer.propose_policy(file)
    assert refused.value.hint
    assert states(officer) == {SHIPPED: "in force"}


def test_one_proposal_of_a_name_at_a_time(site: Site, officer: Appliance) -> None:
    """Who reads a diff against what is in force must not be overtaken."""
    officer.propose_policy(site.file("2"))
    with pytest.raises(UsageError, match="version 2 waits"):
        officer.propose_policy(site.file("3"))


def test_approving_names_the_version(site: Site, officer: Appliance) -> None:
    """The name alone could mean another text than the one that was read; the hint says which waits."""
    officer.propose_policy(site.file("2"))
    with pytest.raises(UsageError) as refused:
        officer.approve_policy("default")
    assert refused.value.hint == "name the version: default@2"


@pytest.mark.parametrize("what", ["policy/", "policy-note/"])
@pytest.mark.parametrize("content", [None, "", DEFAULT, '{"act":"policy.approve"}'])
def test_a_stored_proposal_that_was_changed_is_an_alarm(
    site: Site, officer: Appliance, monkeypatch: pytest.MonkeyPatch, what: str, content: str | None
) -> None:
    """A text or a note that is gone, or is not what was logged, is an integrity error; nothing runs by it."""
    officer.propose_policy(site.file("2"))
    officer.approve_policy("default@2")
    catalogue = type(officer._workspace.catalogue)
    one, many = catalogue.setting, catalogue.settings

    def other(key: str, value: str | None) -> str | None:
        return content if key.startswith(what) else value

    monkeypatch.setattr(catalogue, "setting", lambda self, key: other(key, one(self, key)))
    monkeypatch.setattr(
        catalogue,
        "settings",
        lambda self, prefix: {key: other(key, value) or "" for key, value in many(self, prefix).items()},
    )
    for act in (officer.policy_versions, lambda: officer._policy("default")):
        with pytest.raises(IntegrityError) as refused:
            act()
        assert refused.value.hint


def test_a_note_without_its_entry_counts_for_nothing(site: Site, officer: Appliance) -> None:
    """Cut off between catalogue and log, or written past this software: nobody approved it."""
    officer.propose_policy(site.file("2"))
    (key,) = officer._workspace.catalogue.settings("policy-note/")
    told = json.loads(officer._workspace.catalogue.settings("policy-note/")[key])
    forged = json.dumps(told | {"act": "policy.approve", "from": "2026-01-01T00:00:00+00:00"})
    officer._workspace.catalogue.set_setting("policy-note/" + "0" * 64, forged)
    assert states(officer) == {SHIPPED: "in force", "2": "proposed"}


def test_approvals_outlive_the_log_that_has_them(site: Site, officer: Appliance) -> None:
    """Said again before old years are pruned: order and state are as they were."""
    from appliance.policies import shelf

    officer.propose_policy(site.file("2"))
    officer.approve_policy("default@2")
    officer.propose_policy(site.file("3"))
    before = states(officer)
    shelf.renew(officer._log, "system")
    kept = officer._log.acts
    first = officer._log.size - 3

    def pruned(act: str) -> list[object]:
        return [entry for entry in kept(act) if entry.index >= first]

    officer._log.acts = pruned  # type: ignore[method-assign,assignment]
    assert states(officer) == before == {SHIPPED: "replaced", "2": "in force", "3": "proposed"}


def test_who_has_gone_is_named_by_pseudonym(site: Site) -> None:
    """A user who was removed is told by role and pseudonym."""
    with site.open("operator") as operator:
        operator.propose_policy(site.file("2"))
    with site.open() as officer:
        officer.remove_user("operator")
        (who,) = officer.policy("default@2").deeds[0].by
        assert who.startswith("operator:") and len(who) > len("operator:")


def test_the_texts_differ_key_by_key(site: Site, officer: Appliance) -> None:
    """What waits against what is in force; any two; and a text whose notes alone differ."""
    officer.propose_policy(site.file("2", must_detect="0.2", required='["seccomp"]'))
    found = officer.diff_policies("default")
    told = [(one.key, one.change, one.old, one.new, one.effect) for one in found.keys]
    assert (found.first, found.second) == ("default@shipped-2", "default@2")
    assert told == [
        ("version", "changed", SHIPPED, "2", "neither"),
        ("decision.must_detect", "changed", "0.25", "0.2", "stricter"),
        ("isolation.required", "removed", "seccomp, landlock", "seccomp", "looser"),
    ]
    assert all(one.decides for one in found.keys)
    other = officer.diff_policies("hipaa", "gdpr")
    assert [one.key for one in other.keys] == ["name", "approval.quorum", "cadence.image-text-to-text"]
    assert {one.effect for one in other.keys[1:]} == {"stricter"}
    noted = site.folder / "noted.toml"
    noted.write_text(DEFAULT + "# nothing else\n")
    assert officer.diff_policies("default", str(noted)).words_only
    with pytest.raises(UsageError, match="nothing else is in force as hipaa"):
        officer.diff_policies("hipaa")
