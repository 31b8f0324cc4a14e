"""Pairs with roles -> a frozen cohort: one patient, one role; no picture on both sides; a digest over it.

What does not forbid a cohort but may mislead its reader is kept with it as a warning.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from medio.duplicates import Fingerprint, picture_groups, shared_pictures, text_groups
from medio.errors import CohortRefused
from medio.records import Assignment, Cohort, Role
from medio.sampling import Stratum, drawn

CONTROL = "control"  # role of a candidate; freezing turns it into fitting or calibration
_FORMAT = "gradaudit-cohort-2"
_ROLES = (CONTROL, *(str(role) for role in Role))


@dataclass(frozen=True, slots=True)
class Candidate:
    """One pair offered for a cohort.

    Attributes:
        patient: pseudonym.
        role: a Role's value, or `control`.
        person: what several pseudonyms of one person have in common; empty where nothing links them.
        fingerprint: for the duplicate check; without one the pair is not compared.
        stratum: what the draw of the control halves is balanced over; that of a patient's first pair counts.
    """

    pair_id: str
    patient: str
    role: str
    fingerprint: Fingerprint | None = None
    stratum: Stratum = ()
    person: str = ""

    @property
    def who(self) -> str:
        """The person, as far as anything tells."""
        return self.person or self.patient


def freeze(
    name: str,
    candidates: Iterable[Candidate],
    *,
    design: str,
    references: str,
    seed: int,
    fitting_share: float = 0.4,
    commitment: str = "",
) -> Cohort:
    """Check the candidates and freeze them.

    A person with several pseudonyms stands in the cohort as one patient, under that of the first pair.

    Args:
        fitting_share: share of control patients used for mask and fusion; the others give p-values.
        commitment: of the design whose coins gave the roles; "" where there was none.

    Raises:
        CohortRefused: `no-targets`, `no-controls`, `unknown-role`, `pair-twice`, `patient-in-two-roles`,
            `near-duplicates`, `too-few-controls`, `fitting-share`. Messages hold counts, never handles.
    """
    offered = sorted(candidates, key=lambda one: one.pair_id)
    _check_roles(offered)
    _check_patients(offered)
    _check_duplicates(offered)
    halves, names = _split_controls(offered, seed, fitting_share), _one_name_each(offered)
    assignments = tuple(
        Assignment(one.pair_id, names[one.who], halves[one.who] if one.role == CONTROL else Role(one.role))
        for one in offered
    )
    digest = cohort_digest(design, references, seed, assignments, commitment)
    told = tuple(_repetitions(offered))
    return Cohort(name, design, references, seed, assignments, digest, told, commitment)


def cohort_digest(
    design: str, references: str, seed: int, assignments: Sequence[Assignment], commitment: str = ""
) -> str:
    """Hex SHA-256 over canonical JSON of the choice; independent of the name and of the site's key."""
    choice = {
        "design": design,
        "format": _FORMAT,
        "pairs": sorted([one.pair_id, str(one.role)] for one in assignments),
        "references": references,
        "seed": str(seed),
    } | ({"commitment": commitment} if commitment else {})
    canonical = json.dumps(choice, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _check_roles(offered: Sequence[Candidate]) -> None:
    roles = {one.role for one in offered}
    if roles - set(_ROLES):
        raise CohortRefused("unknown-role", f"roles are {', '.join(_ROLES)}")
    if str(Role.TARGET) not in roles:
        raise CohortRefused("no-targets", "a cohort without targets asks nothing")
    if not roles & {CONTROL, str(Role.CALIBRATION)}:
        raise CohortRefused("no-controls", "without controls no score can be compared with anything")
    twice = len(offered) - len({one.pair_id for one in offered})
    if twice:
        raise CohortRefused("pair-twice", f"{twice} pairs are named more than once")


def _check_patients(offered: Sequence[Candidate]) -> None:
    roles: dict[str, set[str]] = defaultdict(set)
    for one in offered:
        roles[one.who].add(one.role)
    shared = [found for found in roles.values() if len(found) > 1]
    if shared:
        kinds = sorted({" and ".join(sorted(found)) for found in shared})
        raise CohortRefused(
            "patient-in-two-roles",
            f"{len(shared)} of {len(roles)} patients have more than one role ({'; '.join(kinds)})",
        )


def _check_duplicates(offered: Sequence[Candidate]) -> None:
    by_role: dict[str, list[Candidate]] = defaultdict(list)
    for one in offered:
        if one.fingerprint is not None:
            by_role[one.role].append(one)
    offending: dict[str, set[str]] = defaultdict(set)
    for left, right in combinations(sorted(by_role), 2):
        ones, others = by_role[left], by_role[right]
        mine, theirs = shared_pictures(_fingerprints(ones), _fingerprints(others))
        offending[left] |= {ones[i].pair_id for i in mine}
        offending[right] |= {others[j].pair_id for j in theirs}
    told = [f"{len(pairs)} {role}" for role, pairs in sorted(offending.items()) if pairs]
    if told:
        raise CohortRefused("near-duplicates", f"pictures that another role holds as well: {', '.join(told)}")


def _repetitions(offered: Sequence[Candidate]) -> Iterator[str]:
    """Pictures and texts that stand under several patients: these may be fewer persons, or one template."""
    compared = [one for one in offered if one.fingerprint is not None]
    roles = sorted({one.role for one in offered})
    for role in roles:
        people = {one.patient: one.who for one in offered if one.role == role}
        if len(people) > len(set(people.values())):
            fewer = len(people) - len(set(people.values()))
            yield f"{role}: {fewer} × another id of a patient of this role"
        ones = [one for one in compared if one.role == role]
        pictures = _shared(ones, picture_groups(_fingerprints(ones)))
        if pictures:
            yield f"{role}: {len(pictures)} × the picture of another patient of this role"
    texts = _shared(compared, text_groups(_fingerprints(compared)))
    for role in roles:
        number = len({one.patient for one in compared if one.role == role and one.patient in texts})
        if number:
            yield f"{role}: {number} × the report text of another patient of the cohort"


def _shared(ones: Sequence[Candidate], groups: Iterable[Sequence[int]]) -> set[str]:
    """Patients in a group that holds another patient as well."""
    patients = [{ones[index].patient for index in group} for group in groups]
    return {one for group in patients if len(group) > 1 for one in group}


def _fingerprints(candidates: Sequence[Candidate]) -> list[Fingerprint]:
    return [one.fingerprint for one in candidates if one.fingerprint is not None]


def _split_controls(offered: Sequence[Candidate], seed: int, share: float) -> Mapping[str, Role]:
    """Person -> half: control patients drawn into fitting and calibration, balanced over strata.

    The draw depends on the seed, the pair ids and the strata only: not on names or the site's key.
    """
    first: dict[str, Candidate] = {}
    for one in offered:
        if one.role == CONTROL:
            first.setdefault(one.who, one)
    if not first:
        return {}
    if not 0.0 < share < 1.0:
        raise CohortRefused("fitting-share", "the fitting share lies between 0 and 1")
    if len(first) < 2:
        raise CohortRefused("too-few-controls", "one control patient cannot be split into two halves")
    wanted = min(max(round(share * len(first)), 1), len(first) - 1)
    strata = {one.pair_id: one.stratum for one in first.values()}
    fitting = drawn(strata, wanted, seed=seed, purpose=_FORMAT)
    return {who: Role.FITTING if one.pair_id in fitting else Role.CALIBRATION for who, one in first.items()}


def _one_name_each(offered: Sequence[Candidate]) -> Mapping[str, str]:
    """Person -> pseudonym of the first pair: whoever reads the cohort counts and judges a person once."""
    names: dict[str, str] = {}
    for one in offered:
        names.setdefault(one.who, one.patient)
    return names
