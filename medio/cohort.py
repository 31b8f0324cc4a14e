"""Pairs with roles -> a frozen cohort: one patient, one role; no picture on both sides; a digest over it."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from medio.duplicates import Fingerprint, near_duplicates
from medio.errors import CohortRefused
from medio.records import Assignment, Cohort, Role

CONTROL = "control"  # role of a candidate; freezing turns it into fitting or calibration
_FORMAT = "gradaudit-cohort-1"
_ROLES = (CONTROL, *(str(role) for role in Role))


@dataclass(frozen=True, slots=True)
class Candidate:
    """One pair offered for a cohort.

    Attributes:
        patient: pseudonym.
        role: a Role's value, or `control`.
        fingerprint: for the duplicate check; without one the pair is not compared.
    """

    pair_id: str
    patient: str
    role: str
    fingerprint: Fingerprint | None = None


def freeze(
    name: str,
    candidates: Iterable[Candidate],
    *,
    design: str,
    references: str,
    seed: int,
    fitting_share: float = 0.4,
) -> Cohort:
    """Check the candidates and freeze them.

    Args:
        fitting_share: share of control patients used for mask and fusion; the others give p-values.

    Raises:
        CohortRefused: `no-targets`, `no-controls`, `unknown-role`, `pair-twice`, `patient-in-two-roles`,
            `near-duplicates`, `too-few-controls`, `fitting-share`. Messages hold counts, never handles.
    """
    offered = sorted(candidates, key=lambda one: one.pair_id)
    _check_roles(offered)
    _check_patients(offered)
    _check_duplicates(offered)
    halves = _split_controls(offered, seed, fitting_share)
    assignments = tuple(
        Assignment(one.pair_id, one.patient, halves[one.patient] if one.role == CONTROL else Role(one.role))
        for one in offered
    )
    digest = cohort_digest(design, references, seed, assignments)
    return Cohort(name, design, references, seed, assignments, digest)


def cohort_digest(design: str, references: str, seed: int, assignments: Sequence[Assignment]) -> str:
    """Hex SHA-256 over canonical JSON of the choice; independent of the name and of the site's key."""
    choice = {
        "design": design,
        "format": _FORMAT,
        "pairs": sorted([one.pair_id, str(one.role)] for one in assignments),
        "references": references,
        "seed": str(seed),
    }
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
        roles[one.patient].add(one.role)
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
    offending: set[str] = set()
    for left, right in combinations(sorted(by_role), 2):
        ones, others = by_role[left], by_role[right]
        for i, j in near_duplicates(_fingerprints(ones), _fingerprints(others)):
            offending |= {ones[i].pair_id, others[j].pair_id}
    if offending:
        raise CohortRefused(
            "near-duplicates", f"{len(offending)} pairs show a picture that another role holds as well"
        )


def _fingerprints(candidates: Sequence[Candidate]) -> list[Fingerprint]:
    return [one.fingerprint for one in candidates if one.fingerprint is not None]


def _split_controls(offered: Sequence[Candidate], seed: int, share: float) -> Mapping[str, Role]:
    """Draw control patients into fitting and calibration; the draw depends on seed and pair ids only."""
    first_pair: dict[str, str] = {}
    for one in offered:
        if one.role == CONTROL:
            first_pair.setdefault(one.patient, one.pair_id)
    if not first_pair:
        return {}
    if not 0.0 < share < 1.0:
        raise CohortRefused("fitting-share", "the fitting share lies between 0 and 1")
    if len(first_pair) < 2:
        raise CohortRefused("too-few-controls", "one control patient cannot be split into two halves")
    drawn = sorted(first_pair, key=lambda patient: _lot(seed, first_pair[patient]))
    fitting = min(max(round(share * len(drawn)), 1), len(drawn) - 1)
    return {
        patient: Role.FITTING if place < fitting else Role.CALIBRATION for place, patient in enumerate(drawn)
    }


def _lot(seed: int, pair_id: str) -> str:
    return hashlib.sha256(f"{_FORMAT} {seed} {pair_id}".encode()).hexdigest()
