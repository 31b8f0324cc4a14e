"""What an audit could not do is read off its result: named, with a reason and a remedy."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from audit_core.identity import NOT_STORED
from audit_core.judgement import judge
from audit_core.limits import limits_of
from audit_core.readings.prices import OF_REFERENCES
from audit_core.results import (
    AuditResult,
    ControlName,
    ControlStatus,
    Design,
    Limit,
    References,
    Role,
)
from tests.audit_core.planted import FAST, IDENTITY, SIZES, World, judged, planted, silent
from tests.audit_core.test_policy import CLEAN, controls

SMALL = {**SIZES, Role.MEMBER: 0}
EVERY = {Role.POST_RELEASE: 20, **SIZES}


def said(result: AuditResult) -> str:
    """All limits in one text; each is three sentences, or two where the reason is said elsewhere."""
    found = limits_of(result)
    for limit in found:
        assert limit.what.endswith(".") and limit.remedy.endswith(".")
        assert not limit.why or limit.why.endswith(".")
    return "\n".join(f"{one.what} {one.why} {one.remedy}" for one in found)


@cache
def whole() -> AuditResult:
    """Members found, base, newer studies, documented split, and as if there were controls enough."""
    result, _ = judged(World(effect=2.0, sizes=EVERY), 0)
    assert result.exposure is not None
    return replace(result, exposure=replace(result.exposure, missing_controls=0))


@pytest.fixture(scope="module")
def without_members() -> AuditResult:
    """L5, no base, roles as they were at hand."""
    result, _ = judged(
        World(sizes=SMALL, with_base=False), 0, references=References.L5, design=Design.CONVENIENCE
    )
    return result


def test_no_members_names_what_would_help(without_members: AuditResult) -> None:
    """A contract clause, canaries by design, a spike-in, base weights, newer studies, more controls."""
    text = said(without_members)
    for words in (
        "cannot end in PASS", "clause of the contract", "canaries", "--spike-in", "--base", "--post-release",
        "cannot end in FAIL",
    ):  # fmt: skip
        assert words in text, words
    assert "Whether known members can be told from controls" not in text  # there are none: said once


def test_a_spike_in_takes_its_limit_away_and_leaves_its_own(without_members: AuditResult) -> None:
    """With the copy audited, the sensitivity is shown, and it is said whose it is."""
    positive = tuple(
        replace(one, status=ControlStatus.PASSED, sentence="Known positives (spike-in) are found.")
        if one.name == ControlName.POSITIVE
        else one
        for one in without_members.controls
    )
    text = said(replace(without_members, references=References.L4, controls=positive))
    assert "not on the vendor's training" in text
    assert "cannot end in PASS" not in text and "--spike-in" not in text
    long = tuple(replace(one, numbers={"epochs": 8.0}) for one in positive)
    assert "--spike-in-epochs 1" in said(replace(without_members, references=References.L4, controls=long))


def test_an_audit_that_could_do_everything_has_no_limits() -> None:
    """Members found, base, newer studies, documented split, controls enough: the list is empty."""
    assert limits_of(whole()) == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [("fused", "fixed ones decided by average rank"), ("loss", "a fixed one decided, loss")],
)
def test_what_decided_without_members_is_named(name: str, words: str) -> None:
    """The rank average stands in for what has to be fitted, and for nothing else."""
    result, _ = judged(World(sizes=SMALL), 0, references=References.L5, deciding_detector=name)
    assert words in said(result)


@pytest.mark.parametrize("name", ["neuron_activation", "recall", "con_recall"])
def test_labels_that_were_read_are_no_labels_unseen(name: str) -> None:
    """A detector that reads pairs beside references is not said to learn nothing from labels."""
    cohort = planted(World(effect=2.0), 0)
    given = np.random.default_rng(0).uniform(-2.0, -1.0, (3, len(cohort.table.pair_ids)))
    scalars = cohort.table.scalars | dict(zip(OF_REFERENCES.values(), given, strict=True))
    result, _ = judge(
        replace(cohort.table, scalars=scalars), cohort.base, cohort.facts,
        replace(FAST, deciding_detector=name),
        identity=IDENTITY, spike=None, shuffled=None, progress=silent,
    )  # fmt: skip
    control = {one.name: one for one in result.controls}[ControlName.LABEL_PERMUTATION]
    assert control.status is ControlStatus.NOT_APPLICABLE and "labels were in its numbers" in control.sentence
    assert "goes away with roles shuffled was not tried" in said(result)


def test_each_control_that_did_not_run_is_named() -> None:
    """What is not applicable appears with its own sentence as the reason."""
    result = whole()
    for name in (ControlName.REFERENCE_MODEL, ControlName.POST_RELEASE, ControlName.BLIND_TARGETS):
        changed = tuple(
            replace(one, status=ControlStatus.NOT_APPLICABLE, sentence=f"No {name}.")
            if one.name == name
            else one
            for one in result.controls
        )
        (limit,) = limits_of(replace(result, controls=changed))
        assert limit.why == f"No {name}."


def test_positives_that_are_not_found_are_a_limit() -> None:
    """A failed positive control says what could have been missed."""
    result, _ = judged(World(effect=0.0, sizes=EVERY), 0)
    assert "An exposure could have been missed." in said(result)


def test_too_few_controls_to_flag_anybody() -> None:
    """The number of controls that are missing is the reason."""
    assert CLEAN.exposure is not None
    few = replace(CLEAN, exposure=replace(CLEAN.exposure, missing_controls=61))
    assert "takes 61 more calibration controls" in said(few)


def test_controls_that_sufficed_for_many_are_not_said_to_be_missing() -> None:
    """Where 54 were flagged, nobody asks what flagging one alone would have needed."""
    assert CLEAN.exposure is not None
    many = replace(CLEAN, exposure=replace(CLEAN.exposure, missing_controls=61, flagged=54))
    assert "more calibration controls" not in said(many)


def test_an_older_registration_is_named() -> None:
    """Without stored losses the self-check is a limit, not a silent pass."""
    old = replace(IDENTITY, numbers={NOT_STORED: 1.0})
    others = tuple(one for one in CLEAN.controls if one.name != ControlName.IDENTITY)
    assert "Register the model again" in said(replace(CLEAN, controls=(old, *others)))


def test_nothing_judged_says_why() -> None:
    """A model that is another, and a cohort that is too small, are one limit each."""
    void = replace(CLEAN, exposure=None, controls=controls(IDENTITY=ControlStatus.FAILED))
    assert limits_of(void)[0].what == "Nothing was measured."
    small = replace(CLEAN, exposure=None)
    remedy = "Freeze a cohort with more patients in this role."
    assert limits_of(small) == (Limit("Nothing was judged.", CLEAN.detectable.sentence, remedy),)
