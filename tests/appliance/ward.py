"""A site without a model: patients with images, reports and pairs, a frozen cohort, audits, findings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance import codec, findings
from appliance.api import Appliance
from appliance.frames import FRAME
from appliance.joining import settle
from appliance.sealed import REPORT_TEXT
from appliance.workspace.rows import StoredAudit, StoredCohort, StoredInstance, StoredReport
from appliance.workspace.workspace import Workspace
from audit_core.results import Finding, Score, Unscored, Verdict, VerdictWord
from audit_core.results import Role as FindingRole
from medio.cohort import cohort_digest
from medio.records import Assignment, Cohort, Role
from tests.appliance import evidence_case

PASSPHRASE = "four random words"
AUDIT = "A-00000000000a"
CUT_OFF = "A-00000000000b"
MODEL, COHORT = "lumen", "spring"
PATIENTS = tuple(f"P{number}" for number in range(6))
ERASED_ONE = PATIENTS[0]
OTHER_NUMBER = "Q7"  # of the same person, as a report says

Word = Callable[[str], str]


def plain(word: str) -> str:
    """Text as it is; canary tests give another."""
    return word


def build(root: Path, word: Word = plain, *, cut_off: bool = True) -> Path:
    """A workspace with six patients, the first of whom has a second number; returns its root.

    Args:
        word: makes the texts of the first patient.
        cut_off: also an audit that was interrupted.
    """
    workspace = Workspace.create(root, PASSPHRASE, "Test", unsafe_fast_kdf=True)
    with Appliance(workspace):
        for number, patient in enumerate(PATIENTS):
            admit(workspace, patient, str(number), word if patient == ERASED_ONE else plain)
        admit(workspace, OTHER_NUMBER, "second", word)
        settle(workspace)
        cohort = freeze(workspace)
        audited(workspace, cohort, AUDIT, "done")
        if cut_off:
            audited(workspace, cohort, CUT_OFF, "interrupted")
    return root


def admit(workspace: Workspace, patient: str, study: str, word: Word) -> None:
    """Two images and two reports of one patient into vault and catalogue."""
    subject = workspace.subjects.handle("WARD", patient, "")
    instances, reports = [], []
    for number in "ab":
        shared = {
            "StudyInstanceUID": f"2.25.{int.from_bytes(f'{study}{number}'.encode())}",
            "AccessionNumber": word(f"A{study}{number}"),
            "PatientID": patient,
            "IssuerOfPatientID": "WARD",
            "StudyDate": "20240102",
            "Modality": "CT",
        }
        image, report = (f"{side}{study}{number}".encode().hex().zfill(64) for side in "ir")
        pixels = word(f"pixels {study}{number}").encode()
        frame = workspace.vault.put(FRAME, pixels.ljust(64, b"\0"), subject)
        text = workspace.vault.put(REPORT_TEXT, word(f"text {study}{number}").encode(), subject)
        instances.append(
            StoredInstance(
                content_digest=image,
                SeriesInstanceUID=word(f"r{study}{number}"), SOPInstanceUID=word(f"s{study}{number}"),
                BodyPartExamined="CHEST", TransferSyntaxUID="", attributes={"Manufacturer": word("maker")},
                frame_object=frame, frame_rule="only frame", height=8, width=8,
                InstitutionName=word("ward"), identity=(word("name"),), **shared,
            )
        )  # fmt: skip
        others = (OTHER_NUMBER,) if patient == ERASED_ONE else ()
        reports.append(
            StoredReport(
                report, "plain text", status="final", text_object=text, OtherPatientIDs=others,
                PlacerOrderNumber="", identity=(word("doctor"),), issued=word("issued"), **shared,
            )
        )  # fmt: skip
    workspace.catalogue.add_records(instances, reports)


def freeze(workspace: Workspace) -> Cohort:
    """Every pair as a target but those of the last patients."""
    pairs = workspace.catalogue.pairs()
    controls = {pair.patient for pair in pairs[-4:]}
    placed = tuple(
        Assignment(pair.pair_id, pair.patient, Role.CALIBRATION if pair.patient in controls else Role.TARGET)
        for pair in pairs
    )
    digest = cohort_digest("random", "L5", 0, placed)
    cohort = Cohort(COHORT, "random", "L5", 0, placed, digest)
    document = json.loads(codec.dump(cohort))
    workspace.catalogue.add_cohort(StoredCohort(COHORT, digest, document, "2026-01-01T00:00:00+00:00"))
    return cohort


def audited(
    workspace: Workspace, cohort: Cohort, audit_id: str, state: str, begun: str = "2026-01-02T00:00:00+00:00"
) -> Sequence[Finding]:
    """An audit of the cohort in some state, with its findings sealed."""
    digests = {"policy": "a" * 64, "cohort": cohort.digest, "model": "b" * 64}
    found = tuple(_finding(number, one) for number, one in enumerate(cohort.assignments))
    name, _ = findings.keep(workspace, audit_id, found)
    result = {
        "result": json.loads(codec.dump(evidence_case.result())),
        "verdict": json.loads(codec.dump(Verdict(VerdictWord.REVIEW, 3, ("Seen.",)))),
        "isolation": {},
        "small_sample": False,
    }
    ended = {"verdict": "REVIEW", "result": result, "findings_object": name, "finished_utc": begun}
    workspace.catalogue.start_audit(
        StoredAudit(
            audit_id, MODEL, cohort.name, "default", begun, state=state, digests=digests,
            **(ended if state == "done" else {}),
        )
    )  # fmt: skip
    return found


def _finding(number: int, one: Assignment) -> Finding:
    judged = one.role is Role.TARGET
    return Finding(
        pair_id=one.pair_id,
        patient=one.patient,
        role=FindingRole(one.role),
        judged=judged,
        scores={"fused": Score(number / 2), "loss": Unscored("no tokens")},
        p_value=0.01 * (number + 1) if judged else None,
        flagged=number == 1,
        leak_probability={"0.01": number / 20, "mixture": number / 25} if judged else {},
    )
