"""Who plays which role: selections turned into a frozen, patient-disjoint cohort, or a reason why not."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from appliance.cohort_request import CohortRequest
from appliance.designs.shelf import canary_studies
from appliance.errors import IntegrityError, UsageError
from appliance.likeness import fingerprints
from appliance.selection import REST, ROLES, PairRow, chosen, queried, roles_of
from appliance.shown import cohort_document, cohort_view
from appliance.views import CohortView, Progress
from appliance.workspace.rows import StoredInstance, StoredReport
from appliance.workspace.workspace import Workspace
from audit_core.results import Design, References
from medio.cohort import Candidate, cohort_digest
from medio.cohort import freeze as freeze_candidates
from medio.errors import CohortRefused
from medio.persons import linked
from medio.records import Cohort
from medio.sampling import Stratum, drawn, largest_match, matched

Step = Callable[[Progress], None]
HINTS: Mapping[str, str] = {  # reason of a refusal -> what to do; every reason has one
    "unknown-role": "name the roles as the message does",
    "no-targets": "name the pairs in question with --targets",
    "no-controls": "name pairs that the model cannot have been trained on with --controls",
    "pair-twice": "a pair stands in one role only; take it out of the other selections",
    "patient-in-two-roles": "take these patients off one of the lists; every patient has one role",
    "near-duplicates": "the same picture in two roles would look like memory: leave one of them out; "
    "`gradaudit pairs duplicates` lists them",
    "too-few-controls": "more control patients are needed so that both halves hold some",
    "fitting-share": "a share between 0 and 1, for example 0.4",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def pair_rows(workspace: Workspace, standing: bool = True) -> tuple[PairRow, ...]:
    """Pairs of the workspace with their handles, by pair id: those that stand, or all there ever were.

    Studies of a design's canaries that have come back are no pairs of patients and are left out.
    """
    catalogue, canaries = workspace.catalogue, canary_studies(workspace)
    instances = {instance.content_digest: instance for instance in catalogue.instances()}
    reports = {report.content_digest: report for report in catalogue.reports()}
    people = _people(instances.values(), reports.values())
    places: dict[str, list[tuple[str, str]]] = {}
    for stored in catalogue.cohorts():
        for one in cohort_document(stored).assignments:
            places.setdefault(one.pair_id, []).append((stored.name, str(one.role)))
    return tuple(
        PairRow(
            pair_id=pair.pair_id,
            patient=pair.patient,
            accession=instances[pair.image_digest].AccessionNumber,
            study_uid=pair.StudyInstanceUID,
            patient_id=instances[pair.image_digest].PatientID,
            study_date=pair.StudyDate,
            modality=pair.Modality,
            body_part=pair.BodyPartExamined,
            rule=pair.rule,
            note=pair.note,
            frame_rule=pair.frame_rule,
            report_status=reports[pair.report_digest].status,
            report_source=reports[pair.report_digest].source,
            institution=instances[pair.image_digest].InstitutionName,
            manufacturer=str(instances[pair.image_digest].attributes.get("Manufacturer", "")),
            height=instances[pair.image_digest].height,
            width=instances[pair.image_digest].width,
            places=tuple(places.get(pair.pair_id, ())),
            person=people.get(instances[pair.image_digest].PatientID, ""),
            image_digest=pair.image_digest,
            report_digest=pair.report_digest,
        )
        for pair in catalogue.pairs()
        if (pair.standing or not standing) and pair.StudyInstanceUID not in canaries
    )


def stratum(pairs: Sequence[PairRow]) -> Stratum:
    """What draws are balanced over: modality with body part, then year, of a patient's first examination."""
    first = min(pairs, key=lambda pair: (pair.study_date, pair.pair_id))
    return f"{first.modality} {first.body_part.upper()}", first.study_date[:4]


def freeze(workspace: Workspace, request: CohortRequest, step: Step = lambda _: None) -> Cohort:
    """Select, draw, check and freeze.

    Args:
        step: told after every picture that was looked at.

    Raises:
        UsageError: a selection is empty or unreadable, roles share a patient or a picture, there are fewer
            patients than asked for, or a word of the request has no meaning. Nothing is created then.
    """
    return freeze_picked(workspace, request, _picked(workspace, request), step=step)


def tried(workspace: Workspace, request: CohortRequest) -> Cohort:
    """The same without a look at the pictures: near-duplicates are not found, and nothing is to be kept.

    Raises:
        UsageError: as `freeze`, near-duplicates apart.
    """
    return _frozen(request, _candidates(_picked(workspace, request)), "")


def _picked(workspace: Workspace, request: CohortRequest) -> dict[str, tuple[PairRow, ...]]:
    """Role -> pairs, as the request says, drawn to size."""
    _check_words(request)
    if not request.roles_file:
        check_references(request, {role for role, text in request.selections.items() if text})
    picked = select(request, pair_rows(workspace))
    check_references(request, picked.keys())
    _check_apart(picked)
    return _sized(request, picked)


def freeze_picked(
    workspace: Workspace,
    request: CohortRequest,
    picked: Mapping[str, Sequence[PairRow]],
    commitment: str = "",
    step: Step = lambda _: None,
) -> Cohort:
    """Check and freeze pairs whose roles are settled: role -> pairs.

    Args:
        commitment: of the design whose coins gave the roles; "" where there was none.
        step: told after every picture that was looked at.

    Raises:
        UsageError: as `freeze`.
    """
    candidates = _candidates(picked)
    # First whatever forbids it without a look at the pictures, which takes minutes.
    _frozen(request, candidates, commitment)
    prints = fingerprints(workspace, {one.pair_id for one in candidates}, step)
    printed = [replace(one, fingerprint=prints[one.pair_id]) for one in candidates]
    return _frozen(request, printed, commitment)


def _candidates(picked: Mapping[str, Sequence[PairRow]]) -> list[Candidate]:
    return [
        Candidate(
            pair.pair_id,
            pair.patient,
            role,
            stratum=stratum(of_patient),
            person=pair.person,
        )
        for role, pairs in picked.items()
        for of_patient in _by_patient(pairs).values()
        for pair in of_patient
    ]


def _frozen(request: CohortRequest, candidates: Sequence[Candidate], commitment: str) -> Cohort:
    try:
        return freeze_candidates(
            request.name,
            candidates,
            design=request.design,
            references=request.references,
            seed=request.seed,
            fitting_share=request.fitting_share,
            commitment=commitment,
        )
    except CohortRefused as refused:
        raise UsageError(f"the cohort cannot be frozen: {refused}", HINTS[refused.reason]) from refused


def _people(images: Iterable[StoredInstance], reports: Iterable[StoredReport]) -> dict[str, str]:
    """Patient id -> what all ids and pseudonyms of one person have in common.

    Reports may give one patient several ids, and a modality may leave out who issued an id.
    """
    issuers: dict[str, set[str]] = defaultdict(set)
    for image in images:
        issuers[image.PatientID].add(image.IssuerOfPatientID)
    people = {number: number for number, found in issuers.items() if len(found - {""}) <= 1}
    return people | linked((report.PatientID, *report.OtherPatientIDs) for report in reports)


def checked(cohort: Cohort) -> Cohort:
    """The same cohort, its digest recomputed.

    Raises:
        IntegrityError: what is stored is not what was frozen.
    """
    found = cohort_digest(
        cohort.design, cohort.references, cohort.seed, cohort.assignments, cohort.commitment
    )
    if found != cohort.digest:
        raise IntegrityError(
            f"cohort {cohort.name} is not what was frozen", "restore the workspace from a backup"
        )
    return cohort


def select(request: CohortRequest, pairs: Sequence[PairRow]) -> dict[str, tuple[PairRow, ...]]:
    """Role -> pairs, as the request says.

    Raises:
        UsageError: a file or query cannot be read, matches nothing, or names pairs that are not there.
    """
    if not pairs:
        raise UsageError(
            "there is no pair to choose from",
            "ingest studies and their reports: `gradaudit ingest PATH…`",
        )
    found: dict[str, list[PairRow]] = {}
    if request.roles_file:
        found |= roles_of(Path(request.roles_file), pairs)
    rests = {role: text for role, text in request.selections.items() if text.split(maxsplit=1)[:1] == [REST]}
    for role, text in request.selections.items():
        if text and role not in rests:
            found[role] = found.get(role, []) + chosen(text, pairs, role)
    for role, text in rests.items():
        taken = {pair.who for selected in found.values() for pair in selected}
        found[role] = [pair for pair in pairs if pair.who not in taken]
        if not found[role]:
            raise UsageError(
                f"no patient is left for {role}: the other roles take all {len(taken)}",
                "make another selection smaller, or ingest more studies",
            )
        if condition := text.strip().removeprefix(REST):
            found[role] = queried(condition, found[role], role)
    return {
        role: tuple({pair.pair_id: pair for pair in selected}.values()) for role, selected in found.items()
    }


def described(workspace: Workspace, cohort: Cohort) -> CohortView:
    """A cohort with the balance of its roles, and everything that may mislead: then and since."""
    from appliance.balance import balance, warnings

    rows = {row.pair_id: row for row in pair_rows(workspace, standing=False)}
    there = replace(cohort, assignments=tuple(one for one in cohort.assignments if one.pair_id in rows))
    view = balance(there, rows)
    standing = {pair.pair_id for pair in workspace.catalogue.pairs() if pair.standing}
    gone = sum(one.pair_id not in standing for one in there.assignments)
    since = (
        [f"{gone} pairs stand no more: a later report, or a contradiction, took their place"] if gone else []
    )
    shown = cohort_view(cohort)
    return replace(shown, balance=view, warnings=(*shown.warnings, *warnings(view), *since))


def check_name(name: str, what: str) -> None:
    """Refuse a name that could be mistaken for something else.

    Raises:
        UsageError: it has other signs than letters, digits, dot, dash and underscore, or too many.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"a {what} name has letters, digits, dot, dash and underscore", "for example chest-2026"
        )


def _check_words(request: CohortRequest) -> None:
    check_name(request.name, "cohort")
    for word, known in ((request.design, Design), (request.references, References)):
        if word not in {member.value for member in known}:
            raise UsageError(f"not known: {word}", "one of " + ", ".join(member.value for member in known))
    if request.design == Design.COMMITTED:
        raise UsageError(
            "roles are committed by a design, not by a word",
            "`gradaudit design new` before data leave, `gradaudit design reveal` when a model comes back; "
            "a documented random split is --design random",
        )
    for role, size in request.sizes.items():
        if role not in ROLES or size < 1:
            raise UsageError(
                "a size is a role and a number of patients",
                "like --size control=200; roles: " + ", ".join(ROLES),
            )


def check_references(request: CohortRequest, roles: Set[str]) -> None:
    """Members that would be ignored, or are promised and not there, are a mistake of the command.

    Raises:
        UsageError: references and roles do not fit.
    """
    without = request.references in (References.L4, References.L5)
    if "member" in roles and without:
        raise UsageError(
            f"members are named, but references {request.references} have none",
            "say where the members come from: --references L1, L2 or L3; or leave --members out",
        )
    if "member" not in roles and not without:
        raise UsageError(
            f"references {request.references} come from known members, and none are named",
            "give --members, or use --references L4 (spike-in) or L5 (none)",
        )


def _check_apart(picked: Mapping[str, Sequence[PairRow]]) -> None:
    """Which selections overlap, and what would be left without the overlap."""
    patients = {role: {pair.who for pair in pairs} for role, pairs in picked.items()}
    told = []
    for one, other in combinations(sorted(patients), 2):
        both = len(patients[one] & patients[other])
        if both:
            small, large = sorted((one, other), key=lambda role: (len(patients[role]), role))
            told.append(
                f"{both} of {len(patients[small])} {small} patients are also {large} patients, "
                f"{len(patients[small]) - both} remain"
            )
    if told:
        raise UsageError(f"selections overlap: {'; '.join(told)}", HINTS["patient-in-two-roles"])


def _sized(
    request: CohortRequest, picked: Mapping[str, tuple[PairRow, ...]]
) -> dict[str, tuple[PairRow, ...]]:
    """The patients drawn where a size is asked for; targets first, since controls may be matched to them."""
    sized = dict(picked)
    for role in sorted(picked, key=lambda role: role != "target"):
        patients = _by_patient(picked[role])
        strata = {pairs[0].pair_id: stratum(pairs) for pairs in patients.values()}
        wanted = request.sizes.get(role, len(strata))
        if wanted > len(strata):
            raise UsageError(
                f"{wanted} {role} patients are asked for and {len(strata)} match the selection",
                "ask for fewer, or widen the selection",
            )
        if role == "control" and request.match_controls:
            kept = _matched(request, strata, sized.get("target", ()))
        else:
            kept = drawn(strata, wanted, seed=request.seed, purpose=f"size of {role}")
        sized[role] = tuple(pair for pairs in patients.values() if pairs[0].pair_id in kept for pair in pairs)
    missing = sorted(set(request.sizes) - set(picked))
    if missing:
        raise UsageError(
            f"a size is given for {', '.join(missing)}, and no selection", "select pairs for it too"
        )
    return sized


def _matched(
    request: CohortRequest, strata: Mapping[str, Stratum], targets: Sequence[PairRow]
) -> frozenset[str]:
    pattern = {patient: stratum(pairs) for patient, pairs in _by_patient(targets).items()}
    largest = largest_match(strata, pattern)
    wanted = request.sizes.get("control", largest)
    if not largest or wanted > largest:
        absent = {kind for kind, _ in pattern.values()} - {kind for kind, _ in strata.values()}
        alone = sum(kind in absent for kind, _ in pattern.values())
        why = (
            f"{alone} of {len(pattern)} target patients have no control of their modality and body part"
            if absent
            else f"{largest} of {len(strata)} control patients can be drawn in the shares of the targets"
        )
        raise UsageError(
            f"controls cannot be matched: {why}",
            "narrow the targets, widen the controls, ask for fewer, or leave --match-controls out",
        )
    return matched(strata, pattern, wanted, seed=request.seed, purpose="matched controls")


def _by_patient(pairs: Sequence[PairRow]) -> dict[str, list[PairRow]]:
    """Person -> pairs by pair id, in the order of the persons' first pair ids."""
    found: dict[str, list[PairRow]] = {}
    for pair in sorted(pairs, key=lambda pair: pair.pair_id):
        found.setdefault(pair.who, []).append(pair)
    return found
