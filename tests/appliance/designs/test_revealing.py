"""Revealing: who is left, what that is worth, and cohorts that claim more than a design committed to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance import codec
from appliance.api import Appliance
from appliance.cohorts import CohortRequest
from appliance.designs import shelf
from appliance.designs.assignment import Arm
from appliance.designs.losses import LOST_SHARE, Losses, remaining
from appliance.designs.revealing import RevealRequest, check_terms, cohort_of, terms_of
from appliance.designs.shelf import Design
from appliance.designs.verified import behind, check_coins, check_release
from appliance.errors import IntegrityError, UsageError
from appliance.workspace.rows import StoredCohort
from medio.cohort import cohort_digest
from medio.records import Cohort, Role
from tests.appliance.designs.design_site import REQUEST, create, silent, unlocked

ASKED = RevealRequest("spring", "model", "demo")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one committed design of 120 patients."""
    folder = tmp_path_factory.mktemp("reveal")
    found = create(folder, patients=120)
    with unlocked(found) as opened:
        opened.new_design(replace(REQUEST, canaries=0), folder / "out", silent)
    return found


@pytest.fixture
def site(root: Path) -> Iterator[Appliance]:
    """The workspace, open."""
    with unlocked(root) as opened:
        yield opened


def _design(site: Appliance) -> Design:
    return shelf.named(site._workspace, site._log, "spring")


def _people(design: Design, arm: Arm) -> list[str]:
    return [one.patient for one in design.assignment.patients if one.arm is arm]


def _listed(folder: Path, patients: list[str]) -> str:
    """A list of these patients' ids: `MRN` and the number in the pseudonym."""
    file = folder / "list.csv"
    file.write_text("PatientID\n" + "\n".join(f"MRN{int(one[2:], 16):07}" for one in patients) + "\n")
    return str(file)


def test_released_patients_are_targets_and_held_back_ones_controls(site: Appliance) -> None:
    """The cohort is the coins' own, names its commitment, and verifies."""
    design = _design(site)
    cohort = cohort_of(site._workspace, design, ASKED)
    assert (cohort.design, cohort.commitment) == ("committed", design.assignment.commitment)
    roles = {one.patient: one.role for one in cohort.assignments}
    assert {who for who, role in roles.items() if role is Role.TARGET} == set(_people(design, Arm.RELEASED))
    controls = {who for who, role in roles.items() if role in (Role.FITTING, Role.CALIBRATION)}
    assert controls == set(_people(design, Arm.HELD_BACK))
    assert behind(site._workspace, site._log, cohort, "") == design


def test_a_model_older_than_the_commitment_is_refused(site: Appliance) -> None:
    """Nothing of the design can be in it; on the day itself nobody can tell; later ones pass."""
    design = _design(site)
    assert design.committed is not None
    day = design.committed.claimed_utc[:10]
    for released in ("2001-01-01", day):
        with pytest.raises(UsageError, match="nothing that left under it") as refused:
            check_release(design, released)
        assert refused.value.hint
    for released in ("9999-12-31", ""):
        check_release(design, released)


def test_few_losses_alike_keep_the_commitment_and_are_told(site: Appliance, tmp_path: Path) -> None:
    """Two of about sixty taken out of each arm: still committed, with counts."""
    design = _design(site)
    gone = [*_people(design, Arm.RELEASED)[:2], *_people(design, Arm.HELD_BACK)[:2]]
    cohort = cohort_of(site._workspace, design, replace(ASKED, without=_listed(tmp_path, gone)))
    assert cohort.design == "committed"
    assert not {one.patient for one in cohort.assignments} & set(gone)
    assert sum("were taken out" in warning for warning in cohort.warnings) == 2


@pytest.mark.parametrize("arm", list(Arm), ids=["withdrawn", "left-although-held-back"])
def test_many_losses_of_one_arm_make_it_a_random_split(site: Appliance, tmp_path: Path, arm: Arm) -> None:
    """What is left is no longer what the coins gave, so the cohort no longer says so; it stays verifiable."""
    design = _design(site)
    gone = _people(design, arm)[:8]
    cohort = cohort_of(site._workspace, design, replace(ASKED, without=_listed(tmp_path, gone)))
    assert cohort.design == "random"
    assert "random split, not as committed" in " ".join(cohort.warnings)
    assert behind(site._workspace, site._log, cohort, "") == design


def test_missing_patients_are_counted_by_arm(site: Appliance) -> None:
    """A patient without a pair is missing; one with one pair left is not."""
    design = _design(site)
    rows = [row for row in site.pairs() if row.pair_id != f"{2120:064x}"]  # the first patient's second pair
    lost = set(_people(design, Arm.RELEASED)[1:4])
    roles, losses = remaining(design, [row for row in rows if row.patient not in lost], [])
    assert (losses.missing[Arm.RELEASED], losses.missing[Arm.HELD_BACK]) == (3, 0)
    assert f"P-{0:08x}" in {row.patient for row in (*roles["target"], *roles["control"])}


@pytest.mark.parametrize(
    ("released", "held", "tolerable"),
    [(0, 0, True), (5, 5, True), (6, 0, False), (0, 6, False), (5, 0, True), (20, 20, False)],
)
def test_losses_are_tolerable_while_few_and_alike(released: int, held: int, tolerable: bool) -> None:
    """At most one in twenty of an arm, and no arm more than the other beyond chance."""
    arms = {Arm.RELEASED: 100, Arm.HELD_BACK: 100}
    assert LOST_SHARE == 0.05
    lost = Losses(arms, {Arm.RELEASED: released}, {Arm.HELD_BACK: held})
    assert lost.tolerable is tolerable


def test_unequal_losses_in_large_arms_are_not_tolerable() -> None:
    """One in a hundred of thousands is few, and yet no chance when the other arm lost nobody."""
    arms = {Arm.RELEASED: 2000, Arm.HELD_BACK: 2000}
    assert not Losses(arms, {Arm.RELEASED: 20}, {}).tolerable
    assert Losses(arms, {Arm.RELEASED: 20}, {Arm.HELD_BACK: 20}).tolerable


def test_nobody_with_a_coin_is_a_known_member(site: Appliance, tmp_path: Path) -> None:
    """Were released ones named as members, whoever names them would choose the targets; told with a count."""
    design = _design(site)
    named = _people(design, Arm.RELEASED)[:5]
    asked = replace(ASKED, members=_listed(tmp_path, named), references="L1")
    with pytest.raises(UsageError, match="5 of the named members were released") as refused:
        cohort_of(site._workspace, design, asked)
    assert refused.value.hint
    wrong = _listed(tmp_path, [*named, *_people(design, Arm.HELD_BACK)[:3]])
    with pytest.raises(UsageError, match="3 of the named members were held back"):
        cohort_of(site._workspace, design, replace(asked, members=wrong))


def test_members_from_elsewhere_leave_the_targets_as_they_are(tmp_path: Path) -> None:
    """A design over part of the patients; members out of the rest: every released patient stays a target."""
    with unlocked(create(tmp_path, patients=90)) as opened:
        part = replace(REQUEST, canaries=0, patients="StudyDate>=2024-04-01")
        opened.new_design(part, tmp_path / "out", silent)
        design = _design(opened)
        asked = replace(ASKED, members="StudyDate<=2024-03-31", references="L1")
        with pytest.raises(UsageError, match="references"):
            cohort_of(opened._workspace, design, replace(asked, references="L5"))
        cohort = cohort_of(opened._workspace, design, asked)
        placed = {one.patient for one in design.assignment.patients}
        roles = {one.patient: one.role for one in cohort.assignments}
        assert {one for one, role in roles.items() if role is Role.TARGET} == set(
            _people(design, Arm.RELEASED)
        )
        members = {one for one, role in roles.items() if role is Role.MEMBER}
        assert len(members) == 90 - len(placed)
        assert not members & placed
        assert behind(opened._workspace, opened._log, cohort, "") == design


def test_nobody_declares_a_cohort_committed(site: Appliance) -> None:
    """`cohort create --design committed` is refused and says which command gives that."""
    request = CohortRequest("mine", {"target": "all"}, "committed", "L5", 0.4, 0)
    with pytest.raises(UsageError, match="not by a word") as refused:
        site.create_cohort(request)
    assert "design reveal" in refused.value.hint


def _forged(cohort: Cohort, **changes: object) -> Cohort:
    """The cohort changed, with a digest that fits."""
    other = replace(cohort, **changes)  # type: ignore[arg-type]
    digest = cohort_digest(other.design, other.references, other.seed, other.assignments, other.commitment)
    return replace(other, digest=digest)


def test_a_cohort_that_only_says_committed_is_not_audited(site: Appliance) -> None:
    """One that an earlier version stored, or somebody wrote: refused before anything runs."""
    cohort = _forged(cohort_of(site._workspace, _design(site), ASKED), name="old", commitment="")
    site._workspace.catalogue.add_cohort(
        StoredCohort("old", cohort.digest, json.loads(codec.dump(cohort)), "2026-01-01T00:00:00+00:00")
    )
    with pytest.raises(UsageError, match="names no design"):
        behind(site._workspace, site._log, site._cohort("old"), "")


def test_a_cohort_of_an_unknown_commitment_is_an_alarm(site: Appliance) -> None:
    """The log knows nothing of it."""
    cohort = _forged(cohort_of(site._workspace, _design(site), ASKED), commitment="ab" * 32)
    with pytest.raises(IntegrityError, match="no commitment"):
        behind(site._workspace, site._log, cohort, "")


@pytest.mark.parametrize(
    "change", ["target-to-control", "control-to-target", "held-back-to-member", "released-to-member"]
)
def test_roles_that_the_coins_did_not_give_are_an_alarm(site: Appliance, change: str) -> None:
    """One patient moved to another role is enough."""
    cohort = cohort_of(site._workspace, _design(site), ASKED)
    was, becomes = {
        "target-to-control": (Role.TARGET, Role.CALIBRATION),
        "control-to-target": (Role.CALIBRATION, Role.TARGET),
        "held-back-to-member": (Role.FITTING, Role.MEMBER),
        "released-to-member": (Role.TARGET, Role.MEMBER),
    }[change]
    place = next(number for number, one in enumerate(cohort.assignments) if one.role is was)
    moved = list(cohort.assignments)
    moved[place] = replace(moved[place], role=becomes)
    with pytest.raises(IntegrityError, match="not those that its design committed to"):
        behind(site._workspace, site._log, _forged(cohort, assignments=tuple(moved)), "")


def test_another_assignment_under_the_same_name_is_an_alarm(tmp_path: Path) -> None:
    """Somebody who can write the vault puts a design in place that fits better: the log convicts it."""
    with unlocked(create(tmp_path)) as opened:
        opened.new_design(replace(REQUEST, canaries=0), tmp_path / "out", silent)
        design = _design(opened)
        first, *rest = design.assignment.patients
        turned = Arm.RELEASED if first.arm is Arm.HELD_BACK else Arm.HELD_BACK
        shelf.keep(
            opened._workspace,
            replace(design.assignment, patients=(replace(first, arm=turned), *rest)),
        )
        with pytest.raises(IntegrityError, match="not the one the log committed to"):
            opened.design("spring")


def test_opening_puts_seed_and_digest_into_the_log_once(tmp_path: Path) -> None:
    """From then on anyone with the log can recompute the commitment; a second reveal opens nothing again."""
    with unlocked(create(tmp_path)) as opened:
        opened.new_design(replace(REQUEST, canaries=0), tmp_path / "out", silent)
        design = _design(opened)
        opened._open(design, "ab" * 32)
        again = _design(opened)
        opened._open(again, "cd" * 32)
        entries = opened._log.about(opened._log.identifier("spring"))
        assert opened.design("spring").seed == design.assignment.seed
    terms = [one.detail_digest for one in entries if one.act == shelf.TERMS]
    assert terms == ["ab" * 32]
    opens = [one for one in entries if one.act == shelf.OPEN]
    assert [(one.detail_digest, one.result_root) for one in opens] == [
        (design.assignment.seed, design.assignment.digest)
    ]
    assert again.state == "revealed"


@pytest.mark.parametrize("change", ["without", "more-without", "fitting-share"])
def test_a_later_reveal_repeats_the_terms_of_the_first(tmp_path: Path, change: str) -> None:
    """Who is not counted is settled before any result: the same list again is fine, another is refused."""
    with unlocked(create(tmp_path)) as opened:
        opened.new_design(replace(REQUEST, canaries=0), tmp_path / "out", silent)
        design = _design(opened)
        people = _people(design, Arm.RELEASED)
        first = replace(ASKED, without=_listed(tmp_path, people[:1]) if change == "more-without" else "")
        digest = opened._digest_of(terms_of(opened._workspace, design, first))
        check_terms(design, "ab" * 32)  # nothing is opened yet
        opened._open(design, digest)
        check_terms(_design(opened), digest)
        later = replace(first, fitting_share=0.3)
        if change != "fitting-share":
            later = replace(first, without=_listed(tmp_path, people[:2]))
        with pytest.raises(UsageError, match="first revealed with other patients") as refused:
            check_terms(_design(opened), opened._digest_of(terms_of(opened._workspace, design, later)))
        assert refused.value.hint
        assert digest not in terms_of(opened._workspace, design, first)


def test_who_was_released_under_another_design_is_no_control(tmp_path: Path) -> None:
    """Held back here and released there, so a model may know them: lost, and older cohorts are stopped."""
    with unlocked(create(tmp_path, patients=120)) as opened:
        for name in ("spring", "summer"):
            opened.new_design(replace(REQUEST, name=name, canaries=0), tmp_path / name, silent)
            if name == "spring":
                whole = cohort_of(opened._workspace, _design(opened), ASKED)
        design = _design(opened)
        summer = shelf.named(opened._workspace, opened._log, "summer")
        gone = set(_people(design, Arm.HELD_BACK)) & set(_people(summer, Arm.RELEASED))
        assert design.elsewhere == gone != set()
        cohort = cohort_of(opened._workspace, design, ASKED)
        assert not {one.patient for one in cohort.assignments} & gone
        assert f"{len(gone)} of" in cohort.warnings[0]
        assert "released under another design" in cohort.warnings[0]
        assert cohort.design == "random"
        assert behind(opened._workspace, opened._log, cohort, "") == design
        with pytest.raises(UsageError, match="released under another design since"):
            behind(opened._workspace, opened._log, whole, "")


def test_what_does_not_follow_from_the_seed_is_an_alarm(tmp_path: Path) -> None:
    """A commitment to arms somebody chose is kept by log and digest, and still is no draw."""
    with unlocked(create(tmp_path)) as opened:
        opened.new_design(REQUEST, tmp_path / "out", silent)
        design = _design(opened)
    check_coins(design)
    found = design.assignment
    (one, *people), (canary, *others) = found.patients, found.canaries
    turned = Arm.RELEASED if one.arm is Arm.HELD_BACK else Arm.HELD_BACK
    for chosen in (
        replace(found, patients=(replace(one, arm=turned), *people)),
        replace(found, canaries=(replace(canary, copies=canary.copies + 1), *others)),
        replace(found, canaries=(replace(canary, canary="0" * 32), *others)),
        replace(found, guesses=found.guesses + 2),
    ):
        with pytest.raises(IntegrityError, match="do not follow from its seed"):
            check_coins(replace(design, assignment=chosen))


def test_a_cohort_that_changed_gets_the_next_name(site: Appliance, tmp_path: Path) -> None:
    """The same cohort is stored once; with patients taken out it is another, and replaces nothing."""
    design = _design(site)
    whole = cohort_of(site._workspace, design, ASKED)
    less = cohort_of(
        site._workspace, design, replace(ASKED, without=_listed(tmp_path, _people(design, Arm.RELEASED)[:1]))
    )
    names = [site._stored_once(cohort).name for cohort in (whole, whole, less, less)]
    assert names == ["spring", "spring", "spring.2", "spring.2"]
