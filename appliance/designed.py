"""The acts around designs: draw and commit one before data leave, reveal it when a model comes back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from appliance import codec
from appliance.audited import Audited
from appliance.errors import UsageError
from appliance.views import AuditView, Progress
from appliance.workspace.rows import StoredCohort

if TYPE_CHECKING:
    from appliance.designs.making import DesignRequest
    from appliance.designs.revealing import RevealRequest
    from appliance.designs.shelf import Design
    from appliance.designs.views import DesignView, ReleaseRow
    from medio.records import Cohort

Step = Callable[[Progress], None]


class Designed(Audited):
    """Evidence by design: randomised hold-out and canaries (METHOD §7)."""

    def new_design(self, request: DesignRequest, folder: Path, step: Step) -> DesignView:
        """Throw the coins, seal them, write what may leave into `folder`; the commitment comes last.

        A draw that was cut off is not thrown again: the same request goes on with it.

        Raises:
            UsageError: the name is taken, the folder is not empty, or the selection is too small.
            CannotWrite: the disk is full or refuses; nothing is committed then.
        """
        from appliance.cohorts import check_name
        from appliance.designs import making, outgoing, shelf

        making.check(request)
        check_name(request.name, "design")
        folder = folder.absolute()
        with self._act("design.new", request.name):
            before = shelf.found(self._workspace, self._log, request.name)
            if before is not None and before.committed is not None:
                raise UsageError(
                    f"a design is already committed as {request.name}",
                    "choose another name; what is committed is never replaced",
                )
            if before is None or not outgoing.written(folder, before.assignment):
                outgoing.check(folder, self._workspace.root)
            assignment = making.begun(self._workspace, request, before, step)
            if not outgoing.written(folder, assignment):
                outgoing.write(folder, assignment, making.maker(self._workspace, assignment))
            self._log.append(
                shelf.COMMIT,
                self._log.identifier(request.name),
                "done",
                actor=self._actor,
                detail_digest=assignment.commitment,
            )
        return self.design(request.name)

    def designs(self) -> tuple[DesignView, ...]:
        """Every design by name, those that were cut off before their commitment among them."""
        from appliance.designs import shelf
        from appliance.designs.views import design_view

        return tuple(map(design_view, shelf.designs(self._workspace, self._log)))

    def design(self, name: str) -> DesignView:
        """One design, in counts.

        Raises:
            UsageError: there is none of that name.
            IntegrityError: it is not what the log committed to.
        """
        from appliance.designs import shelf
        from appliance.designs.views import design_view

        found = shelf.found(self._workspace, self._log, name)
        if found is None:
            raise UsageError(f"no design {name}", "see `gradaudit design ls`")
        return design_view(found)

    def release_list(self, name: str) -> tuple[ReleaseRow, ...]:
        """Who may leave under a committed design, with handles; an entry says that it was looked at.

        Raises:
            UsageError: there is none of that name, or it was cut off before its commitment.
        """
        from appliance.designs import revealing

        found = self._committed(name)
        self._record("design.release", name, "allowed")
        return revealing.release_rows(self._workspace, found)

    def reveal_design(self, request: RevealRequest, on_progress: Step) -> AuditView:
        """Open a design, freeze its cohort, and audit a model against it.

        Opening puts the seed into the log: whoever has the log can check the draw, and the canaries are known
        from then on. The same design may be revealed again for another model.

        Raises:
            UsageError: no such design, model or policy; the model is older than the commitment; a named
                member has a coin; it was first revealed under other terms.
            IntegrityError: design, log or vault is not what was committed.
            ApplianceError: as `run_audit`.
        """
        from appliance.designs import revealing, verified

        record, design = self._model(request.model), self._committed(request.name)
        verified.check_release(design, record.released)
        verified.check_coins(design)
        self._policy(request.policy)  # a misspelt name must not cost the canaries
        with self._act("design.reveal", request.name):
            terms = self._digest_of(revealing.terms_of(self._workspace, design, request))
            revealing.check_terms(design, terms)
            cohort = revealing.cohort_of(self._workspace, design, request)
            self._open(design, terms)
            cohort = self._stored_once(cohort)
        return self.run_audit(request.model, cohort.name, request.policy, on_progress)

    def _committed(self, name: str) -> Design:
        from appliance.designs import shelf

        return shelf.named(self._workspace, self._log, name)

    def _open(self, design: Design, terms: str) -> None:
        """Put seed, assignment digest and the digest of the terms into the log, once and in one step."""
        from appliance.designs import shelf
        from appliance.evidence.entries import Act

        if design.opened is not None:
            return
        name, found = self._log.identifier(design.assignment.name), design.assignment
        opening = Act(
            shelf.OPEN, name, "done", self._actor, detail_digest=found.seed, result_root=found.digest
        )
        self._log.append_all([opening, Act(shelf.TERMS, name, "done", self._actor, detail_digest=terms)])

    def _digest_of(self, terms: str) -> str:
        """Hex SHA-256 over the log's keyed digest: nobody else can try out who may have been taken out."""
        return hashlib.sha256(self._log.identifier(terms).encode()).hexdigest()

    def _stored_once(self, cohort: Cohort) -> Cohort:
        """The cohort under its name, or under the next free one: what is frozen is never replaced."""
        number, name = 1, cohort.name
        while (stored := self._workspace.catalogue.cohort(name)) is not None:
            if stored.digest == cohort.digest:
                return replace(cohort, name=name)
            number, name = number + 1, f"{cohort.name}.{number + 1}"
        named = replace(cohort, name=name)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        document = json.loads(codec.dump(named))
        self._workspace.catalogue.add_cohort(StoredCohort(name, named.digest, document, now))
        return named
