"""The simulation behind docs/honesty.md: dealt tables, deals with a known truth, and what is counted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from honesty import MARKS, main
from honesty_audits import LEAST, MASKED, MEMBERS, SIZES, Case, deal, possible, tilt
from honesty_figures import (
    Promise,
    bound_holds,
    covered,
    false_share,
    power,
    promises,
    share_promise,
    verdicts,
)
from honesty_gradients import Reading, dealt, difference, read_model, signals_of
from honesty_pictures import draw
from honesty_plan import QUICK, cases
from honesty_worlds import LEAST_PATIENTS, RECIPES, World, deal_lots

from audit_core.adapters.families import CONTRASTIVE, GENERATIVE
from audit_core.adapters.loading import open_model
from audit_core.policy import Policy
from audit_core.results import References, Role
from audit_core.samples import PairFacts, Sample, Settings
from audit_core.signals import SignalTable
from tests.audit_core.engine_models import sample, write_clip, write_llava

PIXELS = np.zeros((2, 2, 3), np.uint8)
NOTHING: Any = None


def _pairs(count: int) -> list[tuple[Sample, str]]:
    """Pairs of two sources, three of the first for two of the second."""
    return [
        (Sample(f"pair{n}", f"patient{n}", Role.TARGET, PIXELS, "text"), "b" if n % 5 > 2 else "a")
        for n in range(count)
    ]


def _world(*, exposed: bool) -> World:
    return World("made up", NOTHING, NOTHING, deal_lots(_pairs(LEAST_PATIENTS), 1), exposed)


def _row(**changed: Any) -> dict[str, Any]:
    return {
        "part": "planted", "setting": "s", "tier": 1, "share": 0.1,
        "verdict": "REVIEW", "p": 0.01, "mixture_p": 0.5,
        "lower": 0.05, "low": 0.05, "high": 0.2, "estimate": 0.1, "patients": 100, "exposed": 10,
        "flagged": 8, "false": 2, "detectable": 0.3, "failed": [], "reference_auroc": 0.9,
        "target_auroc": 0.6, "had_to_find_it": "REVIEW", **changed,
    }  # fmt: skip


@pytest.mark.parametrize("family", [GENERATIVE, CONTRASTIVE])
def test_a_dealt_table_is_the_one_the_engine_reads(family: str, tmp_path: Path) -> None:
    """Kept gradients give the same scalars, cosines and fold sums as reading the model for these roles."""
    write = write_llava if family == GENERATIVE else write_clip
    model = open_model(write(tmp_path / "model"), family)
    bank = [sample(100 + n) for n in range(8)]
    asked = Settings(max_text_tokens=16, batch_size=4, minimum_bank=4)
    everybody = [sample(n) for n in range(20)]
    reading = read_model(model, everybody, asked, bank=bank)
    chosen = [everybody[n] for n in (3, 17, 5, 11, 0, 8, 14, 9, 1, 12)]
    members = [s.pair_id for s in chosen[:6]]
    folds = {s.pair_id: n % 2 for n, s in enumerate(chosen[:8])}
    ours, _ = dealt(reading, [s.pair_id for s in chosen], members, folds)
    engine, _ = signals_of(model, chosen, asked, base=None, bank=bank, members=members, folds=folds)
    assert difference(ours, engine) < 1e-3
    moved = replace(ours, cosines=np.asarray(ours.cosines) + np.float32(0.01))
    assert difference(moved, engine) > 5e-3


def test_without_members_a_dealt_table_has_no_cosines() -> None:
    """Detectors that need no members are given none by accident."""
    none = np.empty((2, 0), np.float32)
    table = SignalTable(("a", "b"), {"neg_loss": np.array([1.0, 2.0])}, none, none, none, ())
    reading = Reading(table, table, (), {}, np.empty((2, 0)))
    ours, base = dealt(reading, ["b"], [], {})
    assert ((1, 0), None) == (ours.cosines.shape, ours.fold_sums)
    assert base is not None
    assert [2.0] == base.scalars["neg_loss"].tolist()


def test_lots_share_no_patient_and_every_source_alike() -> None:
    """Each lot has two fifths of its pairs from the second source, and nobody is in two lots."""
    lots = deal_lots(_pairs(900), 3)
    parts = (lots.base, lots.extra, lots.trained, lots.fresh)
    assert 900 == len({s.patient for part in parts for s in part}) == sum(map(len, parts))
    for part in parts:
        second = sum(lots.source[s.pair_id] == "b" for s in part)
        assert abs(second - 0.4 * len(part)) < 2
    assert lots.fresh != deal_lots(_pairs(900), 4).fresh


def test_too_few_patients_are_refused() -> None:
    """The default policy's minima would make every audit INCONCLUSIVE."""
    with pytest.raises(SystemExit, match="patients"):
        deal_lots(_pairs(LEAST_PATIENTS - 1), 0)


def test_a_hidden_shift_is_one_that_length_and_brightness_do_not_show() -> None:
    """What is left of the loss once what data tell is taken out has nothing in common with them."""
    lots = deal_lots(_pairs(LEAST_PATIENTS), 1)
    rng = np.random.default_rng(1)
    count = len(lots.audited)
    length, brightness = rng.integers(5, 60, count), rng.random(count)
    facts = tuple(
        PairFacts(s.pair_id, s.patient, s.role, "x" * int(n), {}, np.array([b]))
        for s, n, b in zip(lots.audited, length, brightness, strict=True)
    )
    none = np.empty((count, 0), np.float32)
    loss = length + 10 * brightness + rng.normal(size=count)
    table = SignalTable(tuple(f.pair_id for f in facts), {"neg_loss": loss}, none, none, none, ())
    reading = Reading(table, None, facts, {}, np.empty((count, 0)))
    world = World("made up", reading, reading, lots, exposed=False)
    assert abs(np.corrcoef(tilt(world, "longer"), loss)[0, 1]) > 0.9
    for seen in ("longer", "brighter"):
        assert abs(np.corrcoef(tilt(world, "hidden"), tilt(world, seen))[0, 1]) < 0.05


@pytest.mark.parametrize("share", [0.0, 0.02, 0.35, 0.5])
def test_a_planted_deal_has_the_truth_it_says(share: float) -> None:
    """Exactly the share of targets was trained on, all members were, and no control was."""
    world = _world(exposed=True)
    roles = deal(world, Case("planted", "s", 1, share=share), share, np.random.default_rng(1))
    trained = {s.pair_id for s in world.lots.trained}
    for role, count in SIZES.items():
        pairs = {pair for pair, one in roles.items() if one is role}
        wanted = {Role.MEMBER: count, Role.TARGET: round(share * count)}.get(role, 0)
        assert (count, wanted) == (len(pairs), len(pairs & trained))


def test_two_audits_of_one_kind_deal_other_roles() -> None:
    """A simulation over one deal would show that deal only."""
    world = _world(exposed=False)
    one, other = (deal(world, Case("null", "s", n), 0.0, np.random.default_rng(n)) for n in (1, 2))
    assert one != other


def test_controls_from_elsewhere_share_no_source_with_members_and_targets() -> None:
    """The cohort in which a domain classifier looks like memory."""
    world = _world(exposed=False)
    case = Case("shifted", "s", 1, shift="controls elsewhere")
    assert possible(world, case)
    roles = deal(world, case, 0.0, np.random.default_rng(1))
    for role, count in LEAST.items():
        sources = {world.lots.source[pair] for pair, one in roles.items() if one is role}
        assert {"a" if role in (Role.MEMBER, Role.TARGET) else "b"} == sources
        assert count == sum(one is role for one in roles.values())


def test_members_from_elsewhere_were_never_trained_on() -> None:
    """The members of a masked audit are clean and of another source; half of the targets are not clean."""
    world = World("made up", NOTHING, NOTHING, deal_lots(_pairs(900), 1), exposed=True)
    case = Case("masked", "s", 1, share=0.5, shift=MEMBERS)
    assert possible(world, case)
    roles = deal(world, case, 0.5, np.random.default_rng(1))
    trained = {s.pair_id for s in world.lots.trained}
    by_role = {role: {pair for pair, one in roles.items() if one is role} for role in MASKED}
    assert MASKED == {role: len(pairs) for role, pairs in by_role.items()}
    assert by_role[Role.TARGET] & trained == {pair for pair in roles if pair in trained}
    assert 40 == len(by_role[Role.TARGET] & trained)
    assert {"b"} == {world.lots.source[pair] for pair in by_role.pop(Role.MEMBER)}
    assert {"a"} == {world.lots.source[pair] for pairs in by_role.values() for pair in pairs}


def test_one_source_alone_allows_no_shift_between_sources() -> None:
    """A stranger's folder without a second source is simulated without these audits."""
    lots = deal_lots([(pair, "a") for pair, _ in _pairs(LEAST_PATIENTS)], 1)
    world = World("made up", NOTHING, NOTHING, lots, exposed=False)
    assert not possible(world, Case("shifted", "s", 1, shift="targets elsewhere"))
    assert possible(world, Case("shifted", "s", 1, shift="longer"))


def test_every_audit_of_the_plan_has_its_own_number() -> None:
    """Numbers are seeds; two audits with the same one would be one audit counted twice."""
    for every in (1, QUICK):
        numbers = [
            case.number for recipe in RECIPES for case in cases(recipe.name, every=every, first=0, copies=3)
        ]
        by_model = [len(list(cases(recipe.name, every=every, first=0, copies=3))) for recipe in RECIPES]
        assert sum(by_model) == len(numbers)
        assert max(by_model) == len(set(numbers))


def test_the_full_plan_is_as_large_as_the_promise_asks() -> None:
    """At least 200 null and 200 shifted audits, and a spiked copy for every audit at L4."""
    every = [case for r in RECIPES for case in cases(r.name, every=1, first=0, copies=3)]
    assert sum(case.part == "null" for case in every) >= 200
    assert sum(case.part == "shifted" for case in every) >= 200
    assert all((case.copy is not None) == (case.references is References.L4) for case in every)


def test_what_counts_as_covered() -> None:
    """The truth lies in the interval, ends included, and above the bound."""
    assert covered(_row())
    assert covered(_row(exposed=20))
    assert not covered(_row(exposed=21))
    assert bound_holds(_row(exposed=5))
    assert not bound_holds(_row(exposed=4))
    assert 0.25 == false_share(_row())
    assert 0.0 == false_share(_row(flagged=0, false=0))


@pytest.mark.parametrize(
    ("happened", "of", "holds"), [(0, 20, "yes"), (2, 20, "cannot be told"), (12, 20, "no")]
)
def test_a_promise_is_broken_only_by_more_than_chance(happened: int, of: int, holds: str) -> None:
    """A rate above the promised one is a breach when the audits can tell it from the promised one."""
    rows = [{"hit": n < happened} for n in range(of)]
    promise = share_promise("p", rows, lambda row: bool(row["hit"]), 0.05, at_most=True)
    assert promise is not None
    assert holds == promise.holds


def test_no_audit_gives_no_promise() -> None:
    """A promise that nothing was measured for is left out, never met."""
    assert share_promise("p", [], lambda row: True, 0.05, at_most=True) is None
    named = {promise.name for promise in promises([_row()], Policy("p", "1"))}
    assert "null: FAIL" not in named
    assert "lower bound holds" in named


def test_a_single_fail_of_shifted_cohorts_breaks_the_promise() -> None:
    """Zero were promised, so one is a breach whatever the interval says."""
    rows = [_row(part="shifted", verdict="FAIL" if n == 0 else "REVIEW") for n in range(200)]
    (found,) = (p for p in promises(rows, Policy("p", "1")) if p.name == "shifted: FAIL")
    assert "no" == found.holds


def test_power_is_read_off_between_planted_shares() -> None:
    """Half of the audits fire at 20 %, all at 40 %: 80 % are reached at 32 %."""
    rows = [_row(share=0.2, p=0.0001 if n % 2 else 0.5) for n in range(10)]
    rows += [_row(share=0.4, p=0.0001) for _ in range(10)]
    (found,) = power(rows, 0.001)
    assert (0.32, 0.3) == (found["observed"], found["named"])


def test_verdicts_are_counted_by_part_setting_and_share() -> None:
    """One line a kind, with the controls that failed."""
    rows = [_row(failed=["unscored"], verdict="VOID"), _row(), _row(part="null", share=0.0)]
    planted, null = verdicts(rows)
    assert (2, 1, 1, {"unscored": 1}) == (
        planted["audits"], planted["VOID"], planted["REVIEW"], planted["failed"],
    )  # fmt: skip
    assert ("null", 1) == (null["part"], null["audits"])


def test_figures_go_between_the_marks_of_the_page(tmp_path: Path) -> None:
    """From kept rows the page gets new figures and keeps its words; exit code 0 where promises hold."""
    page, rows = tmp_path / "page.md", tmp_path / "rows.jsonl"
    page.write_text(f"before\n{MARKS[0]}\nstale\n{MARKS[1]}\nafter\n")
    rows.write_text("\n".join(json.dumps(row) for row in ({"part": "engine", "difference": 1e-5}, _row())))
    assert 0 == main(["--rows", str(rows), "--page", str(page), "--json"])
    text = page.read_text()
    assert text.startswith(f"before\n{MARKS[0]}\n\n1 audits.")
    assert text.endswith(f"{MARKS[1]}\nafter\n")
    assert ("stale" not in text, "| planted | s | 0.1 | 1 |" in text) == (True, True)
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="marks"):
        main(["--rows", str(rows), "--page", str(page)])


def test_pictures_of_the_same_rows_are_the_same(tmp_path: Path) -> None:
    """A picture changes when a figure does, and at no other time."""
    rows = [_row(), _row(part="null", share=0.0, exposed=0, inference_p=0.4), _row(part="said")]
    first, second = (draw(rows, 0.001, tmp_path / name) for name in ("one", "two"))
    assert [a.read_bytes() for a in first] == [b.read_bytes() for b in second]
    (other, *_) = draw([_row(p=0.0001)], 0.001, tmp_path / "three")
    assert first[0].read_bytes() != other.read_bytes()


def test_a_promise_prints_what_was_asked() -> None:
    """The table's cells."""
    plain = Promise("p", 0.05, True, 0.01, 0.0, 0.1, 100, 1).plain()
    assert ("at most 0.05", "yes") == (plain["asked"], plain["holds"])
