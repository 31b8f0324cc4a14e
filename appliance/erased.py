"""The acts around erasing a patient. Every stage can be cut off; the next opening goes on."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from appliance.disclosed import Disclosed
from appliance.errors import ApplianceError, NotPermitted, UsageError
from appliance.evidence.entries import Act
from appliance.runs import queue
from appliance.watch import versions
from appliance.workspace import erasing
from appliance.workspace.steps import remove_steps
from appliance.workspace.workspace import STEPS

if TYPE_CHECKING:
    from appliance.erasure import ErasureView, Plan

ERASE, READMIT, TOMBSTONE = "patient.erase", "patient.readmit", "patient.tombstone"
FILES, KEYS, CERTIFY = "files", "keys", "certify"  # stages that are left to do, in this order
_DUE: Final = "audit it anew: a patient of its audits was erased on"


class Erased(Disclosed):
    """Erasing patients."""

    def erasure_plan(self, patient_id: str = "", issuer: str | None = None, name: str = "") -> ErasureView:
        """What erasing a patient would take away; nothing is changed. For the officer's own eyes.

        Args:
            patient_id: PatientID; or "" where `name` is given.
            issuer: IssuerOfPatientID; None for any.
            name: pseudonym.

        Raises:
            UsageError: nobody, or several persons, are known by this.
        """
        view = self._plan(patient_id, issuer, name).view
        self._looked("patient.show", view.patient)
        return view

    def erase_patient(
        self, patient_id: str = "", issuer: str | None = None, name: str = "", *, confirmed: str
    ) -> dict[str, Any]:
        """Erase a patient: keys, rows, files, findings; then the RUN key changes.

        Arguments as `erasure_plan`, and

        Args:
            confirmed: the pseudonym that the plan shows.

        Returns:
            The certificate; it names no patient.

        Raises:
            UsageError: nobody, or several persons, are known by this; or another pseudonym is confirmed.
            NotPermitted: no passphrase was typed for this.
            Busy: an audit runs; it may hold what is to be erased.
            ApplianceError: it was cut off; the next opening goes on with it.
        """
        self._workspace.authority()  # asked for again when the key changes
        erasure_id = f"E-{secrets.token_hex(6)}"
        with self._act(ERASE, erasure_id, turn=self._workspace.alone()):
            plan = self._plan(patient_id, issuer, name)
            if confirmed != plan.view.patient:
                raise UsageError(
                    "the erasure was confirmed for another pseudonym",
                    "--confirm takes the first pseudonym that --dry-run shows",
                )
            self._tombstones(plan.subjects, "begins", "")
            rows = erasing.Rows(plan.digests, plan.pairs, plan.subjects, plan.cohorts)
            erasing.take_out(self._workspace.catalogue, rows, erasure_id, self._left_to_do(erasure_id, plan))
            self._go_on(erasure_id)
        return erasing.certificates(self._workspace.catalogue)[erasure_id]

    def erasures(self) -> tuple[dict[str, Any], ...]:
        """Certificates of all erasures, oldest first."""
        found = erasing.certificates(self._workspace.catalogue).values()
        return tuple(sorted(found, key=lambda one: (one["erased_utc"], one["erasure"])))

    def write_certificate(self, erasure_id: str, folder: Path) -> tuple[Path, Path]:
        """Write the certificate of an erasure as JSON and as text.

        Raises:
            UsageError: no such erasure, or no such folder.
            CannotWrite: the disk is full or refuses.
        """
        from appliance import certificate

        found = erasing.certificates(self._workspace.catalogue).get(erasure_id)
        if found is None:
            raise UsageError(f"no erasure {erasure_id}", "see `gradaudit studies erasures`")
        return certificate.write(found, folder.absolute())

    def readmit_patient(self, patient_id: str, issuer: str = "") -> None:
        """Let studies of a patient who was erased be taken in again.

        Raises:
            UsageError: nobody was erased under this id.
        """
        subject = self._workspace.subjects.handle(issuer, patient_id, "")
        if subject not in erasing.refused(self._workspace.catalogue):
            raise UsageError("nobody was erased under this id", "the id and --issuer as they were then")
        with self._act(READMIT, subject):
            erasing.readmit(self._workspace.catalogue, (subject,))

    # -- how it is done --------------------------------------------------------------------------------

    def _plan(self, patient_id: str, issuer: str | None, name: str) -> Plan:
        from appliance import erasure

        return erasure.find(self._workspace, patient_id, issuer, name)

    def _left_to_do(self, erasure_id: str, plan: Plan) -> dict[str, Any]:
        """What stands in the catalogue until the erasure is done; its last stage is the certificate."""
        from appliance import certificate

        view = plan.view
        kinds = ("images", "reports", "studies", "pairs", "objects")
        not_removed = [*certificate.NOT_REMOVED, *([certificate.DESIGNS] if view.designs else [])]
        facts = {
            "format": certificate.FORMAT,
            "version": 1,
            "erasure": erasure_id,
            "workspace": self._workspace.workspace_id,
            "site": self._workspace.site_name,
            "erased_utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "by_role": str(self._workspace.user.role),
            "subjects": list(plan.subjects),
            "removed": {**{kind: getattr(view, kind) for kind in kinds}, "keys": len(plan.subjects)},
            "findings": certificate.WAITS,
            "keys": "",
            "cohorts": list(view.cohorts),
            "audits": list(view.audits),
            "reaudit_due": list(view.models),
            "designs": list(view.designs),
            "not_removed": not_removed,
        }
        return {
            "stage": FILES,
            "subjects": list(plan.subjects),
            "objects": list(plan.objects),
            "patients": list(plan.patients),
            "audits": list(plan.every_audit),
            "given_up": list(view.given_up),
            "certificate": facts,
        }

    def _go_on(self, erasure_id: str) -> None:
        """Do what is left of an erasure. Call it as the only writer.

        Raises:
            NotPermitted: the RUN key must change, and no passphrase was typed.
        """
        left = erasing.unfinished(self._workspace.catalogue)[erasure_id]
        facts = dict(left["certificate"])
        if left["stage"] == FILES:
            facts["findings"] = self._erase_files(erasure_id, left)
            left = {"stage": KEYS, "subjects": left["subjects"], "certificate": facts}
            erasing.go_on(self._workspace.catalogue, erasure_id, left)
            erasing.cut_log(self._workspace.catalogue)
        if left["stage"] == KEYS:
            self._workspace.rotate(self._workspace.keyring, self._workspace.authority())
            facts["keys"] = f"the RUN key and the catalogue's key were changed: epoch {self._epoch}"
            left = {**left, "stage": CERTIFY, "certificate": facts}
            erasing.go_on(self._workspace.catalogue, erasure_id, left)
        self._certify(erasure_id, facts)

    @property
    def _epoch(self) -> int:
        return self._workspace.keyring.epoch

    def _erase_files(self, erasure_id: str, left: Mapping[str, Any]) -> str:
        """Sealed objects, steps of audits that cannot go on, findings; says what became of the findings."""
        from appliance import auditing, certificate, findings
        from appliance.findings import keep_erasure
        from appliance.workspace.evidence_store import opened

        workspace = self._workspace
        for subject in left["subjects"]:
            workspace.subjects.forget(subject)
        for name in left["objects"]:
            workspace.vault.remove(name)
        for audit_id in left["given_up"]:
            stored = workspace.catalogue.audit(audit_id)
            if stored is not None and stored.state in ("running", "interrupted"):
                given_up = auditing.failed(stored, "a patient of its cohort was erased")
                workspace.catalogue.move_audit(given_up, stored.state)
            remove_steps(workspace.root / STEPS / audit_id)
            queue.remove(workspace.catalogue, audit_id)
        findings.sweep(workspace)
        keep_erasure(workspace, erasure_id, left["audits"], left["patients"])
        try:
            key = workspace.evidence_key(self._present)
        except NotPermitted:
            return certificate.WAITS
        with opened(workspace, key):
            return certificate.REMOVED

    def _certify(self, erasure_id: str, facts: Mapping[str, Any]) -> None:
        """The tombstones into the log, the certificate into the catalogue."""
        from appliance import certificate

        self._tombstones(facts["subjects"], "done", certificate.digest(facts))
        erasing.close(self._workspace.catalogue, erasure_id, facts)

    def _tombstones(self, subjects: list[str] | tuple[str, ...], outcome: str, digest: str) -> None:
        """One entry a subject: its handle says nothing without the workspace's keys."""
        actor = self._actor
        self._log.append_all(
            [Act(TOMBSTONE, one, outcome, actor=actor, detail_digest=digest) for one in subjects]
        )

    def _after_opening(self) -> None:
        """Go on with erasures that were cut off; what this user's key cannot do waits for an officer."""
        if not self._workspace.user.role.runs:
            return
        for erasure_id, left in erasing.unfinished(self._workspace.catalogue).items():
            if left["stage"] == KEYS and not self._may_change_keys():
                continue
            alone = self._workspace.alone()
            with suppress(ApplianceError), self._act(ERASE, erasure_id, turn=alone):  # the overview says so
                self._go_on(erasure_id)

    def _may_change_keys(self) -> bool:
        try:
            self._workspace.authority()
        except NotPermitted:
            return False
        return True

    def _due_after_erasures(self) -> tuple[str, ...]:
        """What an officer has to do because patients were erased."""
        lines = [
            f"erasure {erasure_id} is not finished: an officer opens the workspace with a passphrase"
            for erasure_id in erasing.unfinished(self._workspace.catalogue)
        ]
        done = [row for row in self._workspace.catalogue.audit_heads() if row.state == "done"]
        stored = self._workspace.catalogue.models()
        for facts in erasing.certificates(self._workspace.catalogue).values():
            for model in facts["reaudit_due"]:
                since = facts["erased_utc"]
                names = versions.since(stored, model, since)
                if not any(row.model in names and row.started_utc > since for row in done):
                    lines.append(f"{model}: {_DUE} {since[:10]}")
        return tuple(dict.fromkeys(lines))
