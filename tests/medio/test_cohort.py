from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audit_core.results
import medio.cohort
from appliance.cohorts import HINTS
from medio.cohort import CONTROL, Candidate, freeze
from medio.duplicates import Fingerprint, fingerprint, picture_groups, same_text
from medio.errors import CohortRefused
from medio.records import Cohort, Role


def offered(**patients: int) -> list[Candidate]:
    """So many patients per role, two pairs each."""
    return [
        Candidate(f"pair-{role}-{patient}-{n}", f"P-{role}-{patient}", role)
        for role, count in patients.items()
        for patient in range(count)
        for n in range(2)
    ]


def frozen(candidates: list[Candidate], **changes: Any) -> Cohort:
    """Freeze with usual settings."""
    settings: dict[str, Any] = {"design": "random", "references": "L1", "seed": 7, "fitting_share": 0.4}
    return freeze("cohort", candidates, **settings | changes)


def refused(candidates: list[Candidate], **changes: Any) -> CohortRefused:
    """The refusal of these candidates."""
    with pytest.raises(CohortRefused) as caught:
        frozen(candidates, **changes)
    return caught.value


def drawn(cohort: Cohort) -> dict[str, Role]:
    """Patient -> role."""
    return {one.patient: one.role for one in cohort.assignments}


def noise(seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A smooth picture unlike any other seed's."""
    coarse = np.random.default_rng(seed).integers(0, 255, (12, 12, 3), dtype=np.uint8)
    return coarse.repeat(16, axis=0).repeat(16, axis=1)


def test_roles_are_the_audit_s_own() -> None:
    """Two packages that never import each other mean the same words."""
    assert [role.value for role in Role] == [role.value for role in audit_core.results.Role]


def test_controls_are_split_by_patient() -> None:
    """Both pairs of a patient land in one half, halves have the share asked for."""
    cohort = frozen(offered(member=3, control=20, target=5))
    roles = drawn(cohort)
    halves = [role for patient, role in roles.items() if "control" in patient]
    assert (halves.count(Role.FITTING), halves.count(Role.CALIBRATION)) == (8, 12)
    assert all(roles[one.patient] == one.role for one in cohort.assignments)
    assert len(cohort.assignments) == 56


def test_the_draw_depends_on_the_seed_alone() -> None:
    """The same seed draws the same, in any order of the candidates; another seed draws otherwise."""
    candidates = offered(control=20, target=5)
    assert frozen(candidates) == frozen(candidates[::-1])
    assert drawn(frozen(candidates, seed=8)) != drawn(frozen(candidates))


def test_the_digest_changes_with_every_choice_and_not_with_the_name() -> None:
    """Pairs, roles, design, references and seed are bound; the name is not."""
    candidates = offered(member=2, control=6, target=3)
    digest = frozen(candidates).digest
    changed = [
        frozen(candidates[:-1]),
        frozen(candidates, seed=8),
        frozen(candidates, design="committed"),
        frozen(candidates, references="L2"),
        frozen([Candidate(c.pair_id, c.patient, c.role.replace("member", "bank")) for c in candidates]),
    ]
    assert len({digest, *(one.digest for one in changed)}) == 6
    renamed = freeze("other", candidates, design="random", references="L1", seed=7, fitting_share=0.4)
    assert renamed.digest == digest


def test_a_patient_in_two_roles_is_refused_by_count() -> None:
    """The reason says how many patients, never who."""
    candidates = offered(member=4, control=4, target=4)
    candidates += [Candidate("x", "P-member-1", "target"), Candidate("y", "P-control-2", "target")]
    refusal = refused(candidates)
    assert refusal.reason == "patient-in-two-roles"
    assert str(refusal).startswith("2 of 12 patients") and "P-" not in str(refusal)


@pytest.mark.parametrize(
    ("candidates", "changes", "reason"),
    [
        (offered(member=2, control=4), {}, "no-targets"),
        (offered(member=2, target=4), {}, "no-controls"),
        (offered(control=1, target=4), {}, "too-few-controls"),
        (offered(control=4, target=4), {"fitting_share": 1.0}, "fitting-share"),
        (offered(control=4, target=4, friend=1), {}, "unknown-role"),
        (offered(control=4, target=4) * 2, {}, "pair-twice"),
    ],
)
def test_impossible_cohorts_say_why(
    candidates: list[Candidate], changes: dict[str, Any], reason: str
) -> None:
    """Every refusal has a stable reason."""
    assert refused(candidates, **changes).reason == reason


def with_pictures(target: Fingerprint) -> list[Candidate]:
    """Ten controls and a target with pictures, the target's as given."""
    controls = [Candidate(f"c{n}", f"P-c{n}", CONTROL, fingerprint(noise(n), "")) for n in range(10)]
    return [*controls, Candidate("t", "P-t", "target", target)]


def test_the_same_picture_in_two_roles_is_refused() -> None:
    """A brighter, smaller copy of a control's image among the targets is found; a new image is not."""
    copy = np.clip(noise(3)[::2, ::2].astype(np.float64) * 0.8 + 20, 0, 255).astype(np.uint8)
    refusal = refused(with_pictures(fingerprint(copy, "")))
    assert (refusal.reason, str(refusal).split(": ")[1]) == ("near-duplicates", "1 control, 1 target")
    assert len(frozen(with_pictures(fingerprint(noise(99), ""))).assignments) == 11


def test_an_alike_picture_counts_when_the_texts_agree() -> None:
    """Template texts alone are no duplicates, and a crop alone is not enough."""
    text = "No focal consolidation, pleural effusion or pneumothorax is seen in either lung."
    shifted = np.roll(noise(3), 4, axis=0)
    controls = [Candidate(f"c{n}", f"P-c{n}", CONTROL, fingerprint(noise(n), text)) for n in range(10)]
    assert frozen([*controls, Candidate("t", "P-t", "target", fingerprint(noise(99), text))])
    assert frozen(
        [*controls, Candidate("t", "P-t", "target", fingerprint(shifted, "Another text entirely."))]
    )
    assert refused([*controls, Candidate("t", "P-t", "target", fingerprint(shifted, text))]).reason == (
        "near-duplicates"
    )


def test_the_split_is_even_over_strata() -> None:
    """Each half holds its share of every stratum, rounded up or down, whatever the seed."""
    strata = {f"P-c{n}": ("CT", "MR", "XR", "US")[min(n // 10, 3)] for n in range(35)}
    controls = [
        Candidate(f"c{n}", patient, CONTROL, None, (strata[patient],)) for n, patient in enumerate(strata)
    ]
    for seed in range(20):
        roles = drawn(frozen([*controls, Candidate("t", "P-t", "target")], seed=seed))
        fitting = Counter(strata[patient] for patient, role in roles.items() if role is Role.FITTING)
        assert sum(fitting.values()) == 14
        assert all(fitting[stratum] == 4 for stratum in ("CT", "MR", "XR")) and fitting["US"] == 2


def test_the_same_picture_twice_in_a_role_is_counted() -> None:
    """Two patients with one picture may be one person: allowed, and said with the cohort."""
    controls = [Candidate(f"c{n}", f"P-c{n}", CONTROL, fingerprint(noise(n // 2), "")) for n in range(4)]
    twice = Candidate("c9", "P-c0", CONTROL, fingerprint(noise(0), ""))  # a patient's own copy is no question
    cohort = frozen([*controls, twice, Candidate("t", "P-t", "target", fingerprint(noise(9), ""))])
    assert cohort.warnings == ("control: 4 × the picture of another patient of this role",)
    assert cohort.digest == frozen([*controls, twice, Candidate("t", "P-t", "target")]).digest


def test_names_of_sections_make_no_other_text() -> None:
    """One route writes them, another does not; words and sides still count."""
    bare = "Heart size is normal.\nNo pleural effusion."
    assert same_text(bare, "Findings: Heart size is normal.\nIMPRESSION: No pleural effusion.")
    assert not same_text(bare, "Findings: Heart size is normal.\nIMPRESSION: Pleural effusion.")
    assert not same_text("Left: clear.\nRight: effusion.", "Right: clear.\nLeft: effusion.")


def test_the_same_text_under_two_patients_is_counted() -> None:
    """A template report is no reason to refuse, but the reader is told how many there are."""
    text = "No focal consolidation, pleural effusion or pneumothorax is seen in either lung."
    ones = [Candidate(f"c{n}", f"P-c{n}", CONTROL, fingerprint(noise(n), text)) for n in range(2)]
    target = Candidate("t", "P-t", "target", fingerprint(noise(9), text.upper()))
    assert frozen([*ones, target]).warnings == (
        "control: 2 × the report text of another patient of the cohort",
        "target: 1 × the report text of another patient of the cohort",
    )


def test_pictures_without_contrast_are_no_duplicates() -> None:
    """Two black frames are not the same picture."""
    black = fingerprint(np.zeros((40, 40, 3), np.uint8), "")
    assert frozen(with_pictures(black)) and not picture_groups([black, black])


def test_one_person_under_two_ids_is_seen() -> None:
    """Two roles are refused; inside a role the reader is told."""
    linked = [Candidate(f"c{n}", f"P-c{n}", CONTROL, person="one" if n < 2 else "") for n in range(5)]
    target = Candidate("t", "P-t", "target")
    assert frozen([*linked, target]).warnings == ("control: 1 × another id of a patient of this role",)
    assert refused([*linked, replace(target, person="one")]).reason == "patient-in-two-roles"


def test_a_person_under_two_ids_is_one_patient() -> None:
    """No person stands in both halves, and everything that counts patients counts this one once."""
    controls = [
        Candidate(f"c{n:02}{other}", f"P-{other}-{n}", CONTROL, person=f"person {n}")
        for n in range(20)
        for other in "xy"
    ]
    cohort = frozen([*controls, Candidate("t", "P-t", "target")])
    halves: dict[str, set[Role]] = {}
    for one in cohort.assignments:
        halves.setdefault(one.pair_id[:3], set()).add(one.role)
    assert all(len(roles) == 1 for roles in halves.values())
    assert Counter(drawn(cohort).values()) == {Role.FITTING: 8, Role.CALIBRATION: 12, Role.TARGET: 1}
    assert {one.patient for one in cohort.assignments} == {"P-t", *(f"P-x-{n}" for n in range(20))}


def test_every_refusal_has_a_hint() -> None:
    """An officer is told what to do, whatever the reason."""
    source = Path(medio.cohort.__file__).read_text()
    reasons = set(re.findall(r'CohortRefused\(\s*"([a-z-]+)"', source))
    assert reasons == set(HINTS)
