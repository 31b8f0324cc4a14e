"""A first run's own acts: settings that are checked and kept, steps that go on where they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.api import Appliance
from appliance.door import Door
from appliance.errors import Locked, NotPermitted, PolicyError, UsageError
from appliance.policy_file import shipped
from appliance.setup_view import POLICIES, STEPS, SetupView
from appliance.strength import strength
from appliance.workspace import paper
from appliance.workspace.workspace import Workspace
from tests.appliance import members_site as case


@pytest.fixture
def site(tmp_path: Path) -> Appliance:
    """A workspace that stands at the first step of its first run."""
    made = Workspace.create(
        tmp_path / "workspace", "four random words", "Test", setup=STEPS[0], unsafe_fast_kdf=True
    )
    return Appliance(made)


def reopened(site: Appliance) -> Appliance:
    """The same workspace after its process was killed."""
    return Appliance.unlock(site._workspace.root, "four random words")


def test_every_step_is_gone_on_from_after_a_kill(site: Appliance) -> None:
    """Whoever opens the workspace next stands where the last one left, and at the end nowhere."""
    for step in STEPS:
        assert reopened(site).setup().step == step
        site.leave_setup(step)
    assert reopened(site).setup() == SetupView()
    assert [act for _, act, outcome in case.acts(site) if outcome == "done"].count("workspace.setup") == 4


def test_a_workspace_of_a_command_has_no_first_run(tmp_path: Path) -> None:
    """`init` and workspaces of earlier versions do not send anybody to the first step."""
    made = Workspace.create(tmp_path / "workspace", "four random words", "Test", unsafe_fast_kdf=True)
    with Appliance(made) as other:
        assert other.setup().step == ""
        with pytest.raises(UsageError, match="no such step"):
            other.leave_setup("site")


def test_intake_is_kept(site: Appliance, tmp_path: Path) -> None:
    """Folder and AE title are there for whoever opens next; neither stands in the log."""
    (tmp_path / "inbox").mkdir()
    site.set_intake(str(tmp_path / "inbox"), " NORTHSIDE ")
    kept = reopened(site).setup()
    assert (kept.inbox, kept.ae_title) == (str(tmp_path / "inbox"), "NORTHSIDE")
    told = repr(site._log.rows(0, site._log.size))
    assert "NORTHSIDE" not in told and str(tmp_path) not in told
    site.set_intake("", "")
    assert reopened(site).setup() == SetupView(step=STEPS[0])


@pytest.mark.parametrize("title", ["A" * 17, "A\\B", "A\nB", "Ä", "A\x1bB"])
def test_an_ae_title_is_as_dicom_has_it(site: Appliance, title: str) -> None:
    """PS3.5 6.2: 16 signs of the default repertoire, no backslash, no control sign."""
    with pytest.raises(UsageError, match="no AE title"):
        site.set_intake("", title)
    assert site.setup().ae_title == ""


def test_the_inbox_is_a_folder_outside(site: Appliance, tmp_path: Path) -> None:
    """What is not there, and what lies inside the workspace, is refused."""
    with pytest.raises(UsageError, match="no such folder"):
        site.set_intake(str(tmp_path / "nowhere"), "")
    with pytest.raises(UsageError, match="inside the workspace"):
        site.set_intake(str(tmp_path / "workspace" / "objects"), "")


def test_the_usual_policy_is_one_that_can_be_used(site: Appliance) -> None:
    """A name that is none is refused; every shipped one has its sentence."""
    site.choose_policy("hipaa")
    assert reopened(site).setup().policy == "hipaa"
    with pytest.raises(PolicyError):
        site.choose_policy("none such")
    assert set(POLICIES) == set(shipped())


def test_the_usual_policy_asks_for_no_more_people_than_are_here(site: Appliance, tmp_path: Path) -> None:
    """Every audit under it would be refused at night; so it is refused now, with what to do."""
    with pytest.raises(PolicyError, match="quorum of 2") as refused:
        site.choose_policy("gdpr")
    assert "users quorum 2" in refused.value.hint
    assert site.setup().policy == ""
    with pytest.raises(PolicyError, match="quorum of 2"):  # a site to be has one officer
        Appliance.check_settings(tmp_path / "new", "", "", "gdpr")


def test_words_are_on_paper_before_they_open(site: Appliance) -> None:
    """Words made beforehand open nothing; added as a key, the same words do."""
    words = Door.new_words()
    with pytest.raises(Locked):
        Appliance.recover(site._workspace.root, words)
    assert site.add_recovery(words=words) == words
    with Appliance.recover(site._workspace.root, words) as opened:
        assert opened.role == "recovery"
    assert paper.secret_of(words)


def test_a_machine_does_not_sign_in(tmp_path: Path) -> None:
    """Its secret opens the workspace for a service, not for the screens; the log says that it was tried."""
    secrets = case.build(tmp_path / "workspace")
    door = Door(tmp_path / "workspace")
    for name in ("scanner", "paper"):
        with pytest.raises(NotPermitted, match="does not sign in at the screens"):
            door.open(secrets[name], name)
    assert door.must_say_who()
    with door.open(secrets["auditor"], " auditor ") as auditor:
        assert auditor.role == "auditor"
        assert ("anonymous", "workspace.signin", "refused") in case.acts(auditor)
        assert "run_audit" not in auditor.may() and "audits" in auditor.may()
        with pytest.raises(NotPermitted, match=r"audit\.run is not for the role auditor"):
            auditor.expect_permission("run_audit")
        assert ("auditor", "audit.run", "refused") in case.acts(auditor)


@pytest.mark.parametrize(
    ("passphrase", "word"),
    [
        ("short", "too short"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "weak"),
        ("abcdefghijklmnopqrstuvwxyz", "weak"),
        ("st. brigid general", "weak"),
        ("correct horse", "weak"),
        ("f8J!kq02PLz9xw", "fair"),
        ("harbor velvet onion cricket", "strong"),
        ("correcthorsebatterystaple", "strong"),
    ],
)
def test_strength_in_words(passphrase: str, word: str) -> None:
    """Length, variety and what anybody would try first; only what is too short is not taken."""
    judged = strength(passphrase, ["officer", "St. Brigid General"])
    assert (judged.word, judged.usable) == (word, word != "too short")
    assert passphrase not in judged.advice
