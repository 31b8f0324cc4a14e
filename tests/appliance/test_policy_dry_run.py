"""What past audits would have ended in: the verdict of a real run under that policy, or "needs a new run"."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance import codec, policy_file
from appliance.api import Appliance
from appliance.designs.unfavourable import CONTROL as LOST_PATIENTS
from appliance.errors import NotPermitted, UsageError
from appliance.isolation import LAYERS, ON
from appliance.pack.gathering import pack_input
from appliance.policies.dry_run import dry_run
from appliance.policies.shelf import about
from appliance.policies.views import DryRunRow, Outcome
from appliance.policy_file import LoadedPolicy
from appliance.workspace.rows import StoredAudit
from audit_core.policy import decide
from audit_core.results import (
    AuditResult,
    Consequence,
    ControlName,
    ControlOutcome,
    ControlStatus,
    Tier,
    VerdictWord,
)
from tests.appliance import evidence_case, small_site

DEMO = (policy_file.FOLDER / "demo.toml").read_text()
PASSED = tuple(
    ControlOutcome(name.value, ControlStatus.PASSED, Consequence.NONE, "Seen.") for name in ControlName
)
CLEAN = replace(
    evidence_case.result(),
    controls=PASSED,
    exposure=replace(evidence_case.result().exposure, flagged=0, rank_test_p=0.03, prevalence_lower=0.02),
)
VERDICTS_DIFFER_BY = (0.0, 0.1, 0.3, 0.6, 1.0, None)


def text(**changed: str) -> str:
    """The demo's policy with other values."""
    told = DEMO
    for key, value in changed.items():
        table, _, name = key.rpartition("__")  # two tables may have keys of one name
        place = rf"(?ms)(^\[{table}\].*?^){name} = .*?$" if table else rf"(?m)(^){name} = .*$"
        told, found = re.subn(place, rf"\g<1>{name} = {value}", told, count=2 - bool(table))
        assert found == 1, key
    return told


def policy(**changed: str) -> LoadedPolicy:
    """The same, read."""
    return policy_file.parse(text(**changed).encode())


def stored(result: AuditResult, ran: LoadedPolicy, **asked: Any) -> StoredAudit:
    """A finished audit under a policy."""
    verdict = decide(ran.policy, result)
    document = {
        "result": json.loads(codec.dump(result)),
        "verdict": json.loads(codec.dump(verdict)),
        "isolation": dict.fromkeys(LAYERS, ON) | {"landlock": "not in this kernel"},
        "small_sample": False,
        "policy_text": ran.text.decode(),
    }
    return StoredAudit(
        "A-000000000001", "lumen", "spring", ran.policy.name, "2026-11-02T00:00:00+00:00",
        finished_utc="2026-11-02T00:00:00+00:00", state="done", verdict=str(verdict.word), result=document,
        digests={"policy": ran.digest, "asked": asked},
    )  # fmt: skip


def tried(result: AuditResult, ran: LoadedPolicy, other: LoadedPolicy, **asked: Any) -> DryRunRow:
    """One audit under another policy."""
    (row,) = dry_run(other, [stored(result, ran, **asked)])
    return row


@pytest.mark.parametrize("p", [2e-7, 0.003, 0.03, 0.3])
@pytest.mark.parametrize("share", [0.12, 0.6, None])
@pytest.mark.parametrize("tier", [Tier.E0, Tier.E2, Tier.E4])
def test_told_is_what_every_possible_result_gives(p: float, share: float | None, tier: Tier) -> None:
    """Against the slow way, every share and tier the keys could have led to: told if all agree."""
    assert CLEAN.exposure is not None
    result = replace(
        CLEAN,
        exposure=replace(CLEAN.exposure, rank_test_p=p),
        detectable=replace(CLEAN.detectable, share=share),
        tier=tier,
    )
    told = 0
    for fail, review, limit, detect, least in itertools.product(
        ("0.001", "0.01"), ("0.05", "0.02"), ("0.0", "0.01"), ("0.50", "0.1"), ("20", "60")
    ):
        other = policy(
            alpha_fail=fail, alpha_review=review, exposure_limit=limit, must_detect=detect, targets=least
        )
        row = tried(result, policy(), other)
        shares = (share,) if (fail, review, limit) == ("0.001", "0.05", "0.0") else VERDICTS_DIFFER_BY
        tiers = (tier,) if review == "0.05" else tuple(Tier)
        words = {
            decide(
                other.policy,
                replace(result, tier=one, detectable=replace(result.detectable, share=found)),
            ).word
            for one in tiers
            for found in shares
        }
        if len(words) == 1:
            told += 1
            assert {row.would_be} == words
            assert row.outcome is (Outcome.SAME if row.would_be is row.verdict else Outcome.OTHER)
        else:
            assert (row.would_be, row.outcome) == (None, Outcome.UNKNOWN)
            assert "decision.alpha" in row.why or "decision.exposure_limit" in row.why
    assert told


@pytest.mark.parametrize("p", [2e-7, 0.003, 0.03, 0.3])
@pytest.mark.parametrize("tier", [Tier.E0, Tier.E3, Tier.E4])
@pytest.mark.parametrize("status", list(ControlStatus))
def test_controls_and_tiers_are_told_exactly(p: float, tier: Tier, status: ControlStatus) -> None:
    """No number of a result depends on them: what is told is what the decision itself gives, always."""
    assert CLEAN.exposure is not None
    result = replace(
        CLEAN,
        exposure=replace(CLEAN.exposure, rank_test_p=p),
        detectable=replace(CLEAN.detectable, share=0.2),
        tier=tier,
        controls=tuple(
            replace(one, status=status) if one.name == "conditional test" else one for one in PASSED
        ),
    )
    least = {"members": "5", "fitting": "5", "calibration": "5", "targets": "5"}
    for fail, required in itertools.product(('"E3"', '"E4"'), ("[]", '["conditional test", "unscored"]')):
        other = policy(fail_tier=fail, controls__required=required, **least)
        row = tried(result, policy(**least), other)
        assert row.would_be is decide(other.policy, result).word
        back = tried(result, other, policy(**least))
        assert back.would_be is decide(policy(**least).policy, result).word


@pytest.mark.parametrize(
    "changed",
    [{"quorum": "2"}, {"log_years": "10"}, {"contrastive": "30"}, {"image-text-to-text": "0"}],
)
def test_what_is_asked_of_the_site_changes_no_verdict(changed: dict[str, str]) -> None:
    """People, years and days: the audit ends as it did."""
    assert tried(CLEAN, policy(), policy(**changed)).outcome is Outcome.SAME


def test_audits_under_earlier_texts_are_told() -> None:
    """An audit from before the new keys, tried under today's text and the other way round."""
    early = next(one for one in policy_file.earlier() if one.policy.name == "demo")
    assert tried(CLEAN, early, policy()).outcome is Outcome.SAME
    assert tried(CLEAN, policy(), early).outcome is Outcome.SAME
    assert tried(CLEAN, early, policy(fail_tier='"E4"')).would_be is not None


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("q", "0.05", "decision.q"),
        ("deciding_detector", '"loss"', "decision.deciding_detector"),
        ("control_alpha", "0.1", "controls.control_alpha"),
        ("max_unscored_share", "0.1", "controls.max_unscored_share"),
        ("permutations", "30", "controls.permutations"),
        ("spike_in_epochs", "1", "controls.spike_in_epochs"),
        ("mask", '"fixed_tau"', "method.mask"),
        ("tau", "0.2", "method.tau"),
        ("layers", '"all"', "method.layers"),
        ("batch_size", "4", "method.batch_size"),
        ("precision", '"float32"', "method.precision"),
        ("max_text_tokens", "32", "method.max_text_tokens"),
        ("bootstrap", "500", "method.bootstrap"),
        ("seed", "3", "method.seed"),
    ],
)
def test_what_the_model_was_asked_for_needs_a_new_run(key: str, value: str, named: str) -> None:
    """Every key that entered into the numbers is named, and no verdict is given."""
    row = tried(CLEAN, policy(), policy(**{key: value, "must_detect": "0.99"}))
    assert (row.would_be, row.outcome) == (None, Outcome.UNKNOWN)
    assert row.why.endswith(": " + named)


def test_every_key_is_thought_of() -> None:
    """A new key of a policy needs a new run until somebody has shown that it does not."""
    from appliance.policies import dry_run as module

    assert module._NO_PART | module._SHARE | module._TIER < set(policy_file.FIELDS)


def test_a_layer_that_was_missing_would_have_stopped_it() -> None:
    """Whether the audit would have begun is known from the box it ran in."""
    row = tried(CLEAN, policy(), policy(isolation__required='["seccomp", "landlock"]'))
    assert (row.would_be, row.outcome) == (None, Outcome.REFUSED)
    assert "landlock" in row.why
    assert tried(CLEAN, policy(), policy(isolation__required='["network_namespace"]')).outcome is Outcome.SAME


@pytest.mark.parametrize(("bank", "told"), [("", True), ("40", True), ("30", False), ("24", False)])
def test_a_bank_that_would_be_too_small_needs_a_new_run(bank: str, told: bool) -> None:
    """It stops an audit before its controls, which could have voided it."""
    result = replace(CLEAN, model_facts={"bank_size": bank})
    row = tried(result, policy(), policy(bank="31"))
    assert (row.would_be is not None) is told
    stopped = replace(CLEAN, exposure=None, model_facts={})
    assert tried(stopped, policy(), policy(bank="31")).would_be is None


def test_lost_patients_are_judged_by_their_scores() -> None:
    """A design that lost patients was judged at their worst scores, under the levels of its day."""
    lost = ControlOutcome(LOST_PATIENTS, ControlStatus.PASSED, Consequence.NONE, "Three were lost.")
    result = replace(CLEAN, controls=(*CLEAN.controls, lost))
    assert tried(result, policy(), policy(alpha_fail="0.01")).would_be is None
    assert tried(result, policy(), policy(must_detect="0.4")).would_be is not None


def test_it_is_tried_as_it_was_asked_for() -> None:
    """An audit as published is tried as published: it ends neither in PASS nor in FAIL."""
    asked = {"as_published": True, "mask": "fixed_tau"}
    ran = policy_file.as_asked(policy(), asked)
    result = replace(CLEAN, as_published=True, deciding_detector="gradaudit")
    row = tried(result, ran, policy(must_detect="0.9", alpha_fail="0.05"), **asked)
    assert (row.would_be, row.outcome) == (VerdictWord.REVIEW, Outcome.SAME)


def test_what_other_rules_decided_is_not_told() -> None:
    """Where today's rules do not give the stored verdict they give none under another policy either."""
    audit = replace(stored(CLEAN, policy()), verdict="PASS")
    (row,) = dry_run(policy(must_detect="0.9"), [audit])
    assert (row.would_be, row.outcome) == (None, Outcome.UNKNOWN)
    assert "rules of deciding" in row.why


def test_an_audit_without_its_policy_is_not_told() -> None:
    """Earlier versions did not keep the text; one that cannot be read any more is as good as none."""
    audit = stored(CLEAN, policy())
    document = dict(audit.result or {})
    for changed in ({}, {"policy_text": "name = 3"}):
        left = {key: value for key, value in document.items() if key != "policy_text"} | changed
        (row,) = dry_run(policy(), [replace(audit, result=left)])
        assert (row.would_be, row.outcome) == (None, Outcome.UNKNOWN)
        assert row.why


# -- on a site ---------------------------------------------------------------------------------------------

QUICK = {"bootstrap": "100", "simulations": "50", "permutations": "5"}
OTHERS = (
    {"targets": "1000", "must_detect": "0.99", "small_sample_note": "false"},
    {"alpha_fail": "0.049", "exposure_limit": "0.3"},
    {"alpha_review": "0.6", "alpha_fail": "0.5"},
)


def silent(*_: object) -> None: ...


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one finished audit."""
    folder = tmp_path_factory.mktemp("site")
    root = small_site.build(folder)
    (folder / "quick.toml").write_text(text(name='"quick"', **QUICK))
    with Appliance.unlock(root, small_site.PASSPHRASE) as appliance:
        appliance.run_audit("tiny", "spring", str(folder / "quick.toml"), silent)
        appliance.add_user("reader", "auditor", "words of an auditor")
    return root


def test_a_real_run_ends_in_what_was_told(site: Path, tmp_path: Path) -> None:
    """The oracle: wherever a dry run tells a verdict, an audit under that policy ends in it."""
    told = []
    with Appliance.unlock(site, small_site.PASSPHRASE, "officer") as appliance:
        first = appliance.audits()[-1].audit_id
        for number, changed in enumerate(OTHERS):
            file = tmp_path / f"other-{number}.toml"
            file.write_text(text(version=f'"try-{number}"', **QUICK, **changed))
            rows = {row.audit_id: row for row in appliance.dry_run_policy(str(file)).rows}
            row = rows[first]
            view = appliance.run_audit("tiny", "spring", str(file), silent)
            if row.would_be is not None:
                told.append(row.outcome)
                assert view.verdict.word is row.would_be, changed
                assert view.verdict.reasons[0] == row.why, changed
    assert {Outcome.SAME, Outcome.OTHER} == set(told)


def test_only_audits_since_a_day(site: Path) -> None:
    """`since` leaves out what finished before; no day is an error."""
    with Appliance.unlock(site, small_site.PASSPHRASE, "officer") as appliance:
        assert appliance.dry_run_policy("default", "2000-01-01").rows
        assert not appliance.dry_run_policy("default", "2999-01-01").rows
        with pytest.raises(UsageError, match="is no day"):
            appliance.dry_run_policy("default", "last month")
    with Appliance.unlock(site, "words of an auditor", "reader") as auditor:
        assert auditor.dry_run_policy("default").rows
        with pytest.raises(NotPermitted):
            auditor.approval_need()


class Stopped(Exception):
    """Somebody pressed a key."""


def stop(*_: object) -> None:
    raise Stopped


def test_an_audit_goes_on_with_the_text_it_began_with(site: Path, tmp_path: Path) -> None:
    """Cut off, then another version in force: it goes on with its own text, a new one has the new."""
    other = tmp_path / "demo.toml"
    other.write_text(text(version='"2"', must_detect="0.6"))
    with Appliance.unlock(site, small_site.PASSPHRASE, "officer") as appliance:
        before = appliance._log.size
        with pytest.raises(Stopped):
            appliance.run_audit("tiny", "spring", "demo", stop)
        cut_off = appliance.audits()[0].audit_id
        appliance.propose_policy(other)
        appliance.approve_policy("demo@2")
        with pytest.raises(Stopped):
            appliance.resume_audit(cut_off, stop)
        with pytest.raises(Stopped):
            appliance.run_audit("tiny", "spring", "demo", stop)
        entries = appliance._log.entries(before, 1000)
        told = [entry.policy_digest for entry in entries if entry.act in ("audit.run", "audit.resume")]
        first, second = policy_file.load("demo").digest, policy_file.load(str(other)).digest
        assert told == 4 * [first] + 2 * [second]
        appliance.abandon_audit(cut_off)


def test_the_evidence_pack_has_who_approved(site: Path) -> None:
    """Entries about the policy an audit ran under go along with it."""
    with Appliance.unlock(site, small_site.PASSPHRASE, "officer") as appliance:
        audit = next(row for row in appliance._workspace.catalogue.audits() if row.state == "done")
        named = replace(audit, digests={**audit.digests, "asked": {"policy": "ward@2"}})
        related = pack_input(appliance._workspace, named, appliance.audit(audit.audit_id)).related
        assert about("ward") in related
