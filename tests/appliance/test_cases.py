"""Cases: they follow from verdicts, each step is an entry with a sealed reason, decisions answer clocks."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from appliance.api import Appliance
from appliance.cases import steps
from appliance.cases.standing import LEGAL
from appliance.cases.views import CaseState, CaseView, ClockState
from appliance.errors import CannotWrite, IntegrityError, NotPermitted, UsageError
from appliance.evidence.entries import Act
from appliance.evidence.log import EvidenceLog
from appliance.evidence.verify_evidence import canonical
from appliance.workspace.catalogue import Catalogue
from appliance.workspace.workspace import LOG, Workspace
from tests.appliance import ward
from tests.appliance.evidence_case import FrozenClock
from tests.appliance.test_log_clock import run_for
from tests.appliance.test_log_segments import in_year

REASON = "Mrs. Canary's images were used without consent"


class Site:
    """A workspace with a verdict in its log, and a clock that stands until a test moves it."""

    def __init__(self, root: Path) -> None:
        self.root = ward.build(root, cut_off=False)
        self.clock = FrozenClock()
        self.appliance = self.opened()
        self.closed("REVIEW")

    def opened(self) -> Appliance:
        """As the officer opens it."""
        log = EvidenceLog.open(self.root / LOG, clock=self.clock)
        return Appliance(Workspace.open(self.root, ward.PASSPHRASE), log=log)

    def closed(self, word: str, audit_id: str = ward.AUDIT) -> None:
        """The entry with which an audit ends."""
        log = self.appliance._log
        log.append("audit.close", log.identifier(audit_id), word, actor="officer", result_root="a" * 64)

    def clocks(self) -> tuple[str, str]:
        """What both clocks say."""
        gdpr, hipaa = self.appliance.case(ward.AUDIT).row.clocks
        return gdpr.said, hipaa.said

    def acts(self) -> list[tuple[str, str]]:
        """Act and outcome of every entry about cases."""
        return [
            (row.act, row.outcome)
            for row in self.appliance._log.rows(0, 10_000)
            if row.act.startswith("case.")
        ]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "workspace")


def test_a_verdict_is_a_case(site: Site) -> None:
    """Known from the entry of the verdict; nobody owns it, both clocks run, the overview has it."""
    row = site.appliance.cases()[0]
    (closing,) = site.appliance._log.acts("audit.close")
    assert (row.audit_id, row.model, row.verdict) == (ward.AUDIT, ward.MODEL, "REVIEW")
    assert (row.state, row.owner, row.known_utc) == (CaseState.OPEN, "", closing.claimed_utc)
    assert row.entry == closing.index
    run_for(site.clock, 20)
    assert site.clocks() == ("2 d 4 h left", "59 d left")
    view = site.appliance.overview()
    assert [case.audit_id for case in view.cases] == [ward.AUDIT]
    assert not [need for need in view.needs_me if "REVIEW" in need], "said once, with its clocks"


@pytest.mark.parametrize("word", ["PASS", "INCONCLUSIVE", "VOID"])
def test_other_verdicts_are_none(site: Site, word: str) -> None:
    """Only FAIL and REVIEW open a case."""
    ward.audited(site.appliance._workspace, site.appliance._cohort(ward.COHORT), "A-2", "interrupted")
    site.closed(word, "A-2")
    assert [row.audit_id for row in site.appliance.cases()] == [ward.AUDIT]
    with pytest.raises(UsageError, match="opened no case"):
        site.appliance.case("A-2")


def test_a_verdict_whose_result_was_lost_is_a_case(site: Site) -> None:
    """Killed between the entry and the catalogue: the log knows, so the site does; first knowledge stays."""
    ward.audited(site.appliance._workspace, site.appliance._cohort(ward.COHORT), "A-2", "interrupted")
    site.closed("FAIL", "A-2")
    run_for(site.clock, 1)
    site.closed("FAIL", "A-2")
    row = next(row for row in site.appliance.cases() if row.audit_id == "A-2")
    assert row.verdict == "FAIL"
    assert row.clocks[0].said == "2 d 23 h left"
    assert "was not kept" in row.why


def test_every_step_is_an_entry_and_words_are_sealed(site: Site) -> None:
    """Owner, decision, reopening: two entries each, the reason comes back, and is nowhere in the clear."""
    site.appliance.add_user("eve", "auditor", "the words of eve")
    site.appliance.assign_case(ward.AUDIT, "eve")
    site.appliance.decide_case(ward.AUDIT, "disputed", REASON)
    site.appliance.reopen_case(ward.AUDIT, "the vendor has answered")
    view = site.appliance.assign_case(ward.AUDIT)
    assert [step.what for step in view.steps] == ["assigned", "disputed", "reopened", "assigned"]
    assert [step.owner for step in view.steps] == ["eve", "", "", "officer"]
    assert view.steps[1].reason == REASON
    assert (view.row.state, view.row.owner) == (CaseState.OPEN, "officer")
    names = ["case.assign", "case.decide", "case.reopen", "case.assign"]
    assert site.acts() == [(name, outcome) for name in names for outcome in ("begins", "done")]
    assert all(step.by.startswith("officer") for step in view.steps)
    files = [path for path in site.root.rglob("*") if path.is_file()]
    assert not [path for path in files if b"Canary" in path.read_bytes() or b"eve" in path.name.encode()]


DECIDED = {  # decision, clocks named with it -> whether each clock still runs
    ("accepted", ()): (True, True),
    ("disputed", ()): (True, True),
    ("referred", ()): (True, True),
    ("accepted", ("72h",)): (False, True),
    ("disputed", ("60d",)): (True, False),
    ("referred", ("60d", "72h")): (False, False),
    ("closed", ()): (False, False),
    ("closed", ("72h",)): (False, False),
}


@pytest.mark.parametrize(("decided", "runs"), DECIDED.items())
def test_which_decision_answers_which_clock(
    site: Site, decided: tuple[str, tuple[str, ...]], runs: tuple[bool, bool]
) -> None:
    """Closing answers both; any other decision only what it says it answers, as docs/cases.md has it."""
    run_for(site.clock, 24)
    row = site.appliance.decide_case(ward.AUDIT, decided[0], REASON, decided[1]).row
    assert row.state == decided[0]
    assert tuple(clock.state is ClockState.RUNNING for clock in row.clocks) == runs
    run_for(site.clock, 24 * 365)
    after = site.appliance.case(ward.AUDIT).row.clocks
    for clock, still in zip(after, runs, strict=True):
        assert clock.state is (ClockState.OVERDUE if still else ClockState.ANSWERED)
    assert [row.audit_id for row in site.appliance.overview().cases] == (
        [] if decided[0] == "closed" else [ward.AUDIT]
    )


def test_an_answer_counts_from_the_decision_that_gave_it(site: Site) -> None:
    """The authority in time, the people late: closing later does not make the first answer late."""
    run_for(site.clock, 48)
    site.appliance.decide_case(ward.AUDIT, "accepted", "the authority was told", ["72h"])
    run_for(site.clock, 24 * 70)
    site.appliance.decide_case(ward.AUDIT, "closed", "everybody was told now")
    assert site.clocks() == ("answered in 2 d 0 h", "answered late, after 72 d")


def test_reopening_does_not_start_anew(site: Site) -> None:
    """After a decision is taken back both clocks stand where they would have stood."""
    run_for(site.clock, 24)
    site.appliance.decide_case(ward.AUDIT, "closed", "nothing has to be told")
    run_for(site.clock, 50)
    assert site.clocks() == ("answered in 1 d 0 h", "answered in 1 d 0 h")
    view = site.appliance.reopen_case(ward.AUDIT, "a mistake was found")
    assert [clock.said for clock in view.row.clocks] == ["overdue by 2 h", "56 d left"]


def test_a_clock_that_was_set_back_is_told(site: Site) -> None:
    """The time is what it would have been, and the case says why."""
    run_for(site.clock, 71)
    site.appliance.log_entries(0, 1)
    site.clock.utc -= 60 * 3_600_000
    site.appliance.assign_case(ward.AUDIT)
    run_for(site.clock, 2)
    view = site.appliance.case(ward.AUDIT)
    assert view.row.clocks[0].said == "overdue by 1 h"
    assert any("was set back meanwhile" in note for note in view.notes)
    assert view.notes[-1] == LEGAL


def test_the_most_urgent_comes_first(site: Site) -> None:
    """Overdue, then running, then answered, then closed; an earlier case of the model is named."""
    cohort = site.appliance._cohort(ward.COHORT)
    for number in (2, 3, 4):
        run_for(site.clock, 30)
        ward.audited(site.appliance._workspace, cohort, f"A-{number}", "done")
        site.closed("FAIL", f"A-{number}")
    site.appliance.decide_case("A-3", "referred", "counsel has the file", ["72h", "60d"])
    site.appliance.decide_case("A-2", "closed", "nothing to tell anybody")
    assert [row.audit_id for row in site.appliance.cases()] == [ward.AUDIT, "A-4", "A-3", "A-2"]
    assert any(ward.AUDIT in note for note in site.appliance.case("A-4").notes)
    assert not any("has a case since" in note for note in site.appliance.case(ward.AUDIT).notes)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda site: site.decide_case(ward.AUDIT, "closed", "no"), "at least 3 words"),
        (lambda site: site.decide_case(ward.AUDIT, "closed", "long " * 500), "2000 characters"),
        (lambda site: site.decide_case(ward.AUDIT, "ignored", REASON), "no such decision"),
        (lambda site: site.decide_case(ward.AUDIT, "accepted", REASON, ["30d"]), "no such clock"),
        (lambda site: site.decide_case("A-none", "closed", REASON), "opened no case"),
        (lambda site: site.assign_case(ward.AUDIT, "nobody"), "no such user"),
    ],
)
def test_what_means_nothing_is_refused(site: Site, call: object, said: str) -> None:
    """Nothing is written for it."""
    with pytest.raises(UsageError, match=said):
        call(site.appliance)  # type: ignore[operator]
    assert site.acts() == []


def test_a_closed_case_is_reopened_first(site: Site) -> None:
    """Only what was decided is taken back, what is closed stays until then, and the tries are logged."""
    with pytest.raises(UsageError, match="nothing was decided"):
        site.appliance.reopen_case(ward.AUDIT, REASON)
    site.appliance.decide_case(ward.AUDIT, "closed", REASON)
    for call in (
        lambda: site.appliance.decide_case(ward.AUDIT, "accepted", REASON),
        lambda: site.appliance.assign_case(ward.AUDIT),
    ):
        with pytest.raises(UsageError, match="is closed"):
            call()
    assert site.acts().count(("case.decide", "failed")) == 1
    assert len(site.appliance.case(ward.AUDIT).steps) == 1


def test_a_machine_owns_no_case_and_one_who_left_is_named(site: Site) -> None:
    """An owner is a person of today."""
    site.appliance.add_machine("scanner")
    with pytest.raises(UsageError, match="no such user"):
        site.appliance.assign_case(ward.AUDIT, "scanner")
    site.appliance.add_user("eve", "operator", "the words of eve")
    site.appliance.assign_case(ward.AUDIT, "eve")
    site.appliance.remove_user("eve")
    view = site.appliance.case(ward.AUDIT)
    assert view.row.owner == "eve"
    assert any("eve is no user any more" in note for note in view.notes)


def test_others_read_and_do_not_decide(tmp_path: Path) -> None:
    """Operator and auditor read reasons; deciding is refused with an entry; a machine reads none."""
    root = ward.build(tmp_path / "workspace", cut_off=False)
    with Appliance.unlock(root, ward.PASSPHRASE) as officer:
        officer.decide_case(ward.AUDIT, "accepted", REASON)
        for name in ("operator", "auditor"):
            officer.add_user(name, name, f"the words of {name}")
        machine = officer.add_machine("scanner").split()[1]
    for name in ("operator", "auditor"):
        with Appliance.unlock(root, f"the words of {name}", name) as reader:
            assert reader.case(ward.AUDIT).steps[0].reason == REASON
            with pytest.raises(NotPermitted, match=r"case\.decide is not for"):
                reader.decide_case(ward.AUDIT, "closed", REASON)
            assert reader._log.rows(-1)[0].outcome == "refused"
    with Appliance.unlock(root, machine, "scanner") as scanner:
        with pytest.raises(NotPermitted):
            scanner.case(ward.AUDIT)
        assert scanner.overview().cases


def test_a_step_that_cannot_be_kept_is_none(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: the log says failed, and the case stands where it stood."""

    def full(self: Catalogue, digest: str, content: str) -> None:
        raise CannotWrite("the disk is full")

    with monkeypatch.context() as patched, pytest.raises(CannotWrite):
        patched.setattr(Catalogue, "add_case_step", full)
        site.appliance.decide_case(ward.AUDIT, "closed", REASON)
    assert site.acts() == [("case.decide", "begins"), ("case.decide", "failed")]
    assert site.appliance.case(ward.AUDIT).row.state is CaseState.OPEN


@pytest.mark.parametrize("change", [lambda text: text.replace("Canary", "Crow"), lambda text: None])
def test_a_record_that_was_changed_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch, change: object
) -> None:
    """Another reason than the one logged, or none, is an integrity error wherever cases are looked at."""
    site.appliance.decide_case(ward.AUDIT, "accepted", REASON)
    kept = site.appliance._workspace.catalogue.case_steps()
    others = {digest: change(text) for digest, text in kept.items()}  # type: ignore[operator]
    found = {digest: text for digest, text in others.items() if text is not None}
    monkeypatch.setattr(Catalogue, "case_steps", lambda self: found)
    for look in (site.appliance.cases, site.appliance.overview, lambda: site.appliance.case(ward.AUDIT)):
        with pytest.raises(IntegrityError, match="not the one that was logged"):
            look()


@pytest.mark.parametrize("change", [{"decision": "forgotten"}, {"act": "case.assign"}, {"decision": ""}])
def test_a_record_that_means_nothing_is_an_alarm(site: Site, change: dict[str, str]) -> None:
    """Whoever holds log and catalogue can write both; what no step makes is refused."""
    content, _ = steps.record(site.appliance._log, "officer", steps.DECIDE, ward.AUDIT, decision="closed")
    forged = canonical(json.loads(content) | change)
    digest = sha256(forged).hexdigest()
    site.appliance._workspace.catalogue.add_case_step(digest, forged.decode())
    site.appliance._log.append(steps.DECIDE, "", "done", actor="officer", detail_digest=digest)
    with pytest.raises(IntegrityError):
        site.appliance.cases()


def test_a_look_beside_a_step_raises_no_alarm(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another officer's step, written while the log is read, is seen whole or not at all."""
    other, kept = site.opened(), Catalogue.case_steps

    def later(self: Catalogue) -> dict[str, str]:
        monkeypatch.setattr(Catalogue, "case_steps", kept)
        found = kept(self)
        other.decide_case(ward.AUDIT, "accepted", REASON)
        return found

    monkeypatch.setattr(Catalogue, "case_steps", later)
    assert site.appliance.case(ward.AUDIT).row.state is CaseState.OPEN
    assert site.appliance.case(ward.AUDIT).row.state is CaseState.ACCEPTED
    other.close()


def test_an_entry_that_repeats_a_step_is_an_alarm(site: Site) -> None:
    """Whoever holds the disk can append to the log: a closing cannot be used a second time."""
    site.appliance.decide_case(ward.AUDIT, "closed", REASON)
    log = site.appliance._log
    (closing,) = (entry for entry in log.acts(steps.DECIDE) if entry.outcome == "done")
    site.appliance.reopen_case(ward.AUDIT, "a mistake was found")
    log.append_all(
        [Act(closing.act, closing.object, "done", closing.actor, detail_digest=closing.detail_digest)]
    )
    with pytest.raises(IntegrityError):
        site.appliance.cases()


def test_steps_outlive_the_years_of_their_entries(tmp_path: Path) -> None:
    """Seven years later the log is pruned: the case is still closed, by whom and why."""
    site = Site(tmp_path / "workspace")
    site.clock.utc = max(site.clock.utc, in_year(2026).utc)
    site.appliance.decide_case(ward.AUDIT, "closed", REASON)
    before = site.appliance.case(ward.AUDIT)
    run_for(site.clock, (in_year(2034).utc - site.clock.utc) / 3_600_000)
    for _ in range(31):
        run_for(site.clock, 24)
        site.appliance._log.append("a.b")
    removed = site.appliance.prune_log(2027, 6)
    assert removed, "the control: the years of verdict and decision are gone"
    assert not site.appliance._log.acts(steps.DECIDE)
    after = site.appliance.case(ward.AUDIT)
    assert (after.row.state, after.row.entry) == (CaseState.CLOSED, None)
    assert after.steps[0].reason == REASON and after.steps[0].entry is None
    assert after.steps[0].by == before.steps[0].by
    assert any("does not hold the entry" in note for note in after.notes)


def test_views_are_whole(site: Site) -> None:
    """A view holds what a screen needs, and nothing of it is empty by accident."""
    view = site.appliance.case(ward.AUDIT)
    assert isinstance(view, CaseView)
    assert all(clock.law and clock.due_utc.endswith("Z") for clock in view.row.clocks)
