"""Vendor claims: recorded in log and catalogue, recomputed in a box, standing by what was measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from appliance import codec
from appliance.api import Appliance
from appliance.claims import accounting, records, shelf
from appliance.claims.records import Recomputed
from appliance.claims.standing import speaks_of
from appliance.claims.views import (
    Account,
    Budget,
    ClaimEffect,
    ClaimKind,
    ClaimRequest,
    ClaimStanding,
    ClaimUnit,
    Neighbours,
)
from appliance.errors import IntegrityError, UsageError
from appliance.evidence.entries import Act
from appliance.evidence.log import EvidenceLog
from appliance.pack.pages.page import PageFacts, verdict_page
from appliance.pack.pages.text import verdict_lines, verdict_text
from appliance.pack.pages.wording import MEANING, meaning
from appliance.policy_file import FOLDER
from appliance.registry import ModelRecord
from appliance.spelling import SPELT
from appliance.words.facts import aloud
from appliance.words.table import tell
from appliance.workspace.rows import StoredAudit, StoredModel
from appliance.workspace.workspace import LOG, Workspace
from audit_core.accountants import NO_DELTA
from audit_core.claim_checks import checked
from audit_core.claims import Claim
from audit_core.policy import decide
from audit_core.results import AuditResult, Tier, Verdict, VerdictWord
from tests.appliance import evidence_case
from tests.appliance.evidence_case import FrozenClock
from tests.appliance.test_log_clock import run_for
from tests.appliance.test_log_segments import in_year
from tests.audit_core.test_claim_checks import FAILED, guessed, of_canaries
from tests.audit_core.test_policy import CLEAN
from tests.audit_core.test_policy import POLICY as DECIDES

PASSPHRASE = "four random words"
SOURCE = "contract, annex B"
NOT_TRAINED = ClaimRequest("lumen", ClaimKind.NOT_TRAINED, SOURCE, "2026-01-05")
DE_IDENTIFIED = ClaimRequest("lumen", ClaimKind.DE_IDENTIFIED, SOURCE)
PATIENT = Budget(1.0, 1e-6, unit=ClaimUnit.PATIENT)
PRIVATE = ClaimRequest("lumen", ClaimKind.PRIVATE, SOURCE, budget=PATIENT)
BORNE_OUT = Recomputed((Account("PRV", 0.9, 0.88), Account("RDP", 1.1, None)), "opacus 1.6.0")
POLICY = (FOLDER / "default.toml").read_text()


class Site:
    """A workspace with two versions of one model, and audits as a test wants them."""

    def __init__(self, root: Path) -> None:
        self.clock = FrozenClock()
        workspace = Workspace.create(root, PASSPHRASE, "Test", unsafe_fast_kdf=True)
        self.workspace = workspace
        self.appliance = Appliance(workspace, log=EvidenceLog.open(root / LOG, clock=self.clock))
        first = ModelRecord("lumen", "/m", "contrastive", "A", "p", {"a": "0" * 64}, "", {}, 7, "", "")
        second = replace(first, name="lumen@2", digests={"a": "1" * 64}, of_line="lumen", version=2)
        self.models = first, second
        self.register(first)

    def register(self, record: ModelRecord) -> None:
        """A version, without a folder."""
        self.workspace.catalogue.add_model(StoredModel(record.name, asdict(record), "2026-01-01T00:00:00"))

    def audited(
        self, result: AuditResult, word: VerdictWord, model: str = "lumen", policy: str = POLICY
    ) -> str:
        """A finished audit with these numbers; its id."""
        number = len(self.workspace.catalogue.audits())
        verdict = Verdict(word, 4, ("Seen in this audit.",))
        document = {
            "result": json.loads(codec.dump(result)),
            "verdict": json.loads(codec.dump(verdict)),
            "isolation": {},
            "small_sample": False,
            "policy_text": policy,
        }
        audit_id, day = f"A-{number:012x}", f"2026-02-{number + 1:02}T00:00:00+00:00"
        self.workspace.catalogue.start_audit(
            StoredAudit(
                audit_id, model, "spring", "default", day, state="done", digests={}, verdict=word,
                why="Seen in this audit.", result=document, finished_utc=day,
            )
        )  # fmt: skip
        return audit_id

    def standing(self, request: ClaimRequest) -> ClaimStanding:
        """How a claim that is added now stands."""
        return self.appliance.add_claim(request).row.standing

    def logged(self) -> str:
        """All that the log says, as text."""
        return (self.workspace.root / LOG / "journal").read_bytes().decode("latin-1")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site whose accountants answer at once."""
    monkeypatch.setattr(accounting, "recomputed", lambda budget: BORNE_OUT)
    found = Site(tmp_path / "workspace")
    yield found
    found.appliance.close()


def test_a_claim_is_kept_with_its_source(site: Site) -> None:
    """What was said, where, when and by whom; the log has an entry and a digest, and none of the words."""
    view = site.appliance.add_claim(replace(NOT_TRAINED, source="  Mrs. Canary wrote [/x] so\n "))
    row = view.row
    assert (row.model, row.source, row.dated) == ("lumen", "Mrs. Canary wrote (/x) so", "2026-01-05")
    assert (row.standing, row.in_force) == (ClaimStanding.NOT_TESTED, True)
    assert view.by.startswith("officer:") and view.entry is not None
    assert "Canary" not in site.logged()
    assert [row.claim_id for row in site.appliance.claims()] == [row.claim_id]


@pytest.mark.parametrize(
    ("word", "standing"),
    [
        (VerdictWord.FAIL, ClaimStanding.CONTRADICTED),
        (VerdictWord.REVIEW, ClaimStanding.QUESTIONED),
        (VerdictWord.PASS, ClaimStanding.SUPPORTED),
        (VerdictWord.INCONCLUSIVE, ClaimStanding.NOT_TESTED),
        (VerdictWord.VOID, ClaimStanding.NOT_TESTED),
    ],
)
def test_what_a_verdict_says_of_training(site: Site, word: VerdictWord, standing: ClaimStanding) -> None:
    """FAIL contradicts, REVIEW questions, PASS supports as far as it could see, the others say nothing."""
    audit = site.audited(CLEAN, word)
    view = site.appliance.add_claim(NOT_TRAINED)
    assert (view.row.standing, view.audits[0].decided) == (standing, False)
    if word is VerdictWord.PASS:
        assert "5 %" in view.row.why and "of fewer it says nothing" in view.row.why
    assert standing is ClaimStanding.NOT_TESTED or audit in view.row.why


@pytest.mark.parametrize("word", list(VerdictWord))
def test_no_audit_speaks_of_names(site: Site, word: VerdictWord) -> None:
    """ "De-identified" is neither supported nor contradicted by any verdict, and says what would do it."""
    site.audited(CLEAN, word)
    view = site.appliance.add_claim(DE_IDENTIFIED)
    assert view.row.standing is ClaimStanding.NOT_TESTED
    assert view.audits[0].effect is ClaimEffect.SILENT
    assert any("gives back would" in note for note in view.notes)


def test_the_gravest_audit_decides(site: Site) -> None:
    """One FAIL among passes contradicts, whichever came last."""
    failed = site.audited(CLEAN, VerdictWord.FAIL)
    site.audited(CLEAN, VerdictWord.PASS)
    view = site.appliance.add_claim(NOT_TRAINED)
    assert view.row.standing is ClaimStanding.CONTRADICTED and failed in view.row.why
    assert [one.effect for one in view.audits] == [ClaimEffect.SUPPORTS, ClaimEffect.CONTRADICTS]


def test_a_claim_speaks_of_its_version_alone(site: Site) -> None:
    """A later version's audit says nothing of a claim, unless the vendor said it of later ones too."""
    alone = site.appliance.add_claim(NOT_TRAINED).row
    every = site.appliance.add_claim(replace(NOT_TRAINED, later=True)).row
    site.register(site.models[1])
    site.audited(CLEAN, VerdictWord.FAIL, "lumen@2")
    assert site.appliance.claim(alone.claim_id).row.standing is ClaimStanding.NOT_TESTED
    assert site.appliance.claim(every.claim_id).row.standing is ClaimStanding.CONTRADICTED
    newest = site.appliance.add_claim(NOT_TRAINED).row  # NAME is the newest version
    assert newest.model == "lumen@2"
    assert {row.claim_id for row in site.appliance.claims("lumen@2")} == {every.claim_id, newest.claim_id}
    assert {row.claim_id for row in site.appliance.claims("lumen@1")} == {alone.claim_id, every.claim_id}


@pytest.mark.parametrize(
    ("said", "later", "model", "speaks"),
    [
        ("m", False, "m", True), ("m", False, "m@2", False), ("m", True, "m@2", True),
        ("m@2", True, "m", False), ("m@2", True, "m@10", True), ("m@2", False, "m@2", True),
        ("m", True, "mm", False),
    ],
)  # fmt: skip
def test_whom_a_claim_speaks_of(said: str, later: bool, model: str, speaks: bool) -> None:
    """Its own version; with "later" every one after it, by number; never another line."""
    assert speaks_of(replace(NOT_TRAINED, model=said, later=later), model) is speaks


@pytest.mark.parametrize(
    ("right", "tier", "word", "standing"),
    [
        (100, Tier.E4, VerdictWord.REVIEW, ClaimStanding.CONTRADICTED),
        (100, Tier.E2, VerdictWord.REVIEW, ClaimStanding.QUESTIONED),
        (60, Tier.E4, VerdictWord.REVIEW, ClaimStanding.NOT_TESTED),
        (60, Tier.E4, VerdictWord.PASS, ClaimStanding.SUPPORTED),
        (100, Tier.E4, VerdictWord.VOID, ClaimStanding.NOT_TESTED),
    ],
)
def test_a_bound_against_a_claimed_epsilon(
    site: Site, right: int, tier: Tier, word: VerdictWord, standing: ClaimStanding
) -> None:
    """A claim that comes after an audit is set against its stored numbers; the verdict stays as it was."""
    audit = site.audited(guessed(right, tier=tier), word)
    view = site.appliance.add_claim(PRIVATE)
    assert view.row.standing is standing
    assert site.workspace.catalogue.audit(audit).verdict == word  # type: ignore[union-attr]
    needs = [need for need in site.appliance.overview().needs_me if view.row.claim_id in need]
    assert len(needs) == (standing is ClaimStanding.CONTRADICTED)


def test_a_claim_that_no_finite_epsilon_bears_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """δ = 0 with Gaussian noise: questioned before any audit, without a number, and somebody is asked."""
    unbounded = tuple(Account(name, None, None, NO_DELTA) for name in ("PRV", "RDP"))
    monkeypatch.setattr(accounting, "recomputed", lambda budget: Recomputed(unbounded, "opacus 1.6.0"))
    view = site.appliance.add_claim(replace(PRIVATE, budget=replace(PATIENT, delta=0.0)))
    assert view.row.standing is ClaimStanding.QUESTIONED
    assert "(opacus 1.6.0) no finite ε holds" in view.row.why
    assert any("not borne out" in need for need in site.appliance.overview().needs_me)


def test_canaries_alone_contradict(site: Site) -> None:
    """An audit in which no patient speaks, and canaries do: the claim stands contradicted."""
    site.audited(of_canaries(100), VerdictWord.REVIEW)
    small = replace(PATIENT, epsilon=0.05, delta=1e-9, neighbours=Neighbours.ADD_REMOVE)
    assert site.standing(replace(PRIVATE, budget=small)) is ClaimStanding.CONTRADICTED
    silent = site.appliance.add_claim(replace(PRIVATE, budget=replace(small, neighbours=None)))
    assert silent.audits[0].effect is ClaimEffect.SILENT


@pytest.mark.parametrize("exposed", [False, True])
def test_a_fail_for_a_claim_alone_is_none_for_exposure(exposed: bool) -> None:
    """The sentence beside the word speaks of patients only where exposure is above the policy's limit."""
    small = replace(PATIENT, epsilon=0.05, delta=1e-9, neighbours=Neighbours.ADD_REMOVE)
    result = of_canaries(100, FAILED if exposed else CLEAN)
    verdict = decide(
        DECIDES,
        replace(result, claims=checked([Claim("C-00000001", ClaimKind.PRIVATE, SOURCE, small)], result)),
    )
    assert verdict.word is VerdictWord.FAIL
    said = meaning(verdict.word, verdict.reasons[0])
    assert said == (MEANING[VerdictWord.FAIL] if exposed else tell("verdict.claim"))


def test_a_claims_own_review_questions_no_other(site: Site) -> None:
    """A REVIEW that only an accountant gave does not question "not trained": without it the audit passes."""
    other = replace(BORNE_OUT, accounts=(Account("PRV", 3.0, 2.98), Account("RDP", 3.3, None)))
    said = replace(shelf_claim(site), accounts=other.accounts)
    result = replace(CLEAN, claims=checked([said], CLEAN))
    site.audited(result, VerdictWord.REVIEW)
    assert site.standing(NOT_TRAINED) is ClaimStanding.SUPPORTED
    site.audited(result, VerdictWord.REVIEW, policy="unreadable")
    view = site.appliance.add_claim(NOT_TRAINED)
    assert "cannot be told any more" in view.audits[0].why and view.audits[0].effect is ClaimEffect.SILENT


def shelf_claim(site: Site) -> shelf.Claim:
    """One claim of differential privacy as an audit is told of it."""
    view = site.appliance.add_claim(PRIVATE)
    (found,) = shelf.asked(site.workspace, site.appliance._log, [view.row.claim_id])
    return found


def test_an_accountant_above_the_claim_is_told_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any audit: questioned, with both numbers, and somebody is asked to look at it."""
    more = Recomputed((Account("PRV", 3.0, 2.98), Account("RDP", 3.3, None)), "opacus 1.6.0")
    monkeypatch.setattr(accounting, "recomputed", lambda budget: more)
    row = site.appliance.add_claim(PRIVATE).row
    assert row.standing is ClaimStanding.QUESTIONED
    assert "3.000" in row.why and "opacus 1.6.0" in row.why
    assert any(row.claim_id in need for need in site.appliance.overview().needs_me)
    site.appliance.withdraw_claim(row.claim_id, "the vendor corrected it")
    assert not any(row.claim_id in need for need in site.appliance.overview().needs_me)


def test_withdrawing_keeps_it_readable(site: Site) -> None:
    """It counts for no later audit, says why, and cannot be withdrawn or recomputed again."""
    claim_id = site.appliance.add_claim(PRIVATE).row.claim_id
    assert shelf.in_force(site.workspace, site.appliance._log, "lumen") == [claim_id]
    view = site.appliance.withdraw_claim(claim_id, "the vendor took it back")
    assert (view.row.in_force, view.reason) == (False, "the vendor took it back")
    assert shelf.in_force(site.workspace, site.appliance._log, "lumen") == []
    assert shelf.asked(site.workspace, site.appliance._log, [claim_id]), "an audit that knew it goes on"
    for act in (
        lambda: site.appliance.withdraw_claim(claim_id, "once more and again"),
        lambda: site.appliance.recompute_claim(claim_id),
    ):
        with pytest.raises(UsageError, match="was withdrawn"):
            act()


@pytest.mark.parametrize(
    "wrong",
    [
        replace(NOT_TRAINED, source=" "),
        replace(NOT_TRAINED, source="x" * 2001),
        replace(NOT_TRAINED, dated="05.01.2026"),
        replace(NOT_TRAINED, model="nobody"),
        replace(NOT_TRAINED, budget=PATIENT),
        replace(PRIVATE, budget=None),
        *(
            replace(PRIVATE, budget=replace(PATIENT, **{name: value}))
            for name, value in [
                ("epsilon", 0.0), ("epsilon", float("nan")), ("epsilon", float("inf")), ("delta", 1.0),
                ("delta", float("nan")), ("delta", -1e-9), ("noise", 0.0), ("sampling_rate", 1.1),
                ("steps", 0), ("steps", 10**10), ("records_per_patient", 0), ("accountant", "x" * 2001),
            ]
        ),
    ],
)  # fmt: skip
def test_what_is_no_claim_is_refused(site: Site, wrong: ClaimRequest) -> None:
    """No source, no date, no such model, an ε where none belongs, numbers out of range: nothing is kept."""
    with pytest.raises(UsageError):
        site.appliance.add_claim(wrong)
    assert site.appliance.claims() == ()


@pytest.mark.parametrize("deed", ["gone", "changed"])
def test_a_claim_cannot_vanish(site: Site, deed: str) -> None:
    """A record that is gone or changed is an alarm, not a shorter list; so it is for an audit to be."""
    site.appliance.add_claim(NOT_TRAINED)
    (key,) = site.workspace.catalogue.settings(records.PREFIX)
    text = site.workspace.catalogue.setting(key) or ""
    site.workspace.catalogue.set_setting(key, "" if deed == "gone" else text.replace("annex B", "annex C"))
    with pytest.raises(IntegrityError):
        site.appliance.claims()
    with pytest.raises(IntegrityError):
        shelf.in_force(site.workspace, site.appliance._log, "lumen")


def test_nothing_is_slipped_in(site: Site) -> None:
    """A record without an entry says nothing; an entry whose record is of another act is an alarm."""
    site.appliance.add_claim(NOT_TRAINED)
    log = site.appliance._log
    content, digest = records.sealed(log, "officer:x", records.Record(records.ADD, "C-1", NOT_TRAINED))
    site.workspace.catalogue.set_setting(f"{records.PREFIX}{digest}", content)
    assert len(site.appliance.claims()) == 1
    with pytest.raises(IntegrityError, match="knows no claim C-1"):
        shelf.asked(site.workspace, log, ["C-1"])
    (entry,) = (one for one in log.acts(records.ADD) if one.outcome == "done")
    again = Act(records.WITHDRAW, entry.object, "done", entry.actor, detail_digest=digest)
    log.append_all([again])
    with pytest.raises(IntegrityError):
        site.appliance.claims()


def test_claims_outlive_the_years_of_their_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven years later the log is pruned: what was claimed, recomputed and withdrawn is still known."""
    monkeypatch.setattr(accounting, "recomputed", lambda budget: BORNE_OUT)
    site = Site(tmp_path / "workspace")
    site.clock.utc = max(site.clock.utc, in_year(2026).utc)
    kept = site.appliance.add_claim(PRIVATE).row.claim_id
    gone = site.appliance.add_claim(NOT_TRAINED).row.claim_id
    site.appliance.withdraw_claim(gone, "the vendor took it back")
    before = site.appliance.claim(kept)
    run_for(site.clock, (in_year(2034).utc - site.clock.utc) / 3_600_000)
    for _ in range(31):
        run_for(site.clock, 24)
        site.appliance._log.append("a.b")
    assert site.appliance.prune_log(2027, 6), "the control: the years are gone"
    assert not site.appliance._log.acts(records.ADD)
    after = site.appliance.claim(kept)
    second = replace(before.row, added_utc=after.row.added_utc)  # the record has no milliseconds
    assert (after.row, after.accounts, after.by) == (second, before.accounts, before.by)
    assert after.entry is None
    assert site.appliance.claim(gone).reason == "the vendor took it back"


def test_the_accountants_work_in_a_box() -> None:
    """A real child recomputes a real claim; this process learns numbers and a version, and loads no torch."""
    found = accounting.recomputed(Budget(3.0, 1e-5, 1.5, 0.04, 2250))
    prv, rdp = found.accounts
    assert rdp.upper == pytest.approx(7.32911117143) and prv.upper is not None and prv.upper < rdp.upper
    assert found.by.startswith("opacus 1.")


def test_what_cannot_be_recomputed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing parameters name themselves; a child that dies, or lies, leaves a reason and no number."""
    assert "the noise multiplier" in accounting.recomputed(PATIENT).why
    whole = Budget(3.0, 1e-5, 1.5, 0.04, 2250)
    monkeypatch.setattr(accounting, "MEMORY_BYTES", 64 << 20)
    dead = accounting.recomputed(whole)
    assert dead.accounts == () and "could not finish" in dead.why
    wild = codec.dump((Account("PRV", 1.0, 2.0), Account("RDP", 1.0, None)), tuple[Account, ...])
    for accounts, version in ((wild, "1.6.0"), ("[]", "1.6.0"), ("nonsense", "1.6.0"), (wild, "\x1b[31m")):
        with pytest.raises(Exception, match="does not keep to its form"):
            accounting._checked(accounts, version)


def test_the_verdict_page_names_claim_number_and_source(site: Site) -> None:
    """Page and lines say what was claimed where, what was recomputed with what, and the bound; inertly."""
    request = replace(PRIVATE, source="<b>annex</b> [/x]\x1b[31m")
    claim_id = site.appliance.add_claim(request).row.claim_id
    told = shelf.asked(site.workspace, site.appliance._log, [claim_id])
    result = replace(guessed(100), claims=checked(told, guessed(100)))
    view = replace(evidence_case.view(), result=result)
    text = verdict_text(view)
    for said in (claim_id, "ε = 1 at δ = 1e-06", "PRV, opacus 1.6.0", "0.900", "100 are right", "annex"):
        assert said in text
    assert "\x1b" not in text and "[/x]" not in text
    page = verdict_page(view, PageFacts("Test", "", "", "2026-01-01T00:00", 1, "w" * 10, "0" * 64))
    assert claim_id in page and "<b>annex" not in page
    assert any(claim_id in line for line in verdict_lines(view))
    void = replace(view, verdict=Verdict(VerdictWord.VOID, 1, ("Void.",)))
    assert "says nothing of any claim" in verdict_text(void) and "are right" not in verdict_text(void)


def test_a_claim_is_read_without_greek_letters() -> None:
    """A plain console spells ε and δ, and a screen reader is given their names."""
    said = "ε = 1 at δ = 1e-06"
    assert said.translate(SPELT) == "e = 1 at d = 1e-06"
    assert aloud(said).split() == ["epsilon", "=", "1", "at", "delta", "=", "1e-06"]
