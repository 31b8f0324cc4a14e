"""The only door for screens and command line: acts in, frozen views out. Torch-free.

Opening, closing and the log entry around every act are in `acts`; studies, reports and pairs in `collected`;
models in `registered`,
audits in `audited`, designs in `designed`, findings in `disclosed`,
vendor claims in `claimed`, erasing patients in `erased`, evidence in `evidenced`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from appliance import codec, shown
from appliance.attended import Attended
from appliance.erased import Erased
from appliance.evidenced import Evidenced
from appliance.first_run import FirstRun
from appliance.governed import Governed
from appliance.inspected import Inspected
from appliance.receiving import Receiving
from appliance.safekeeping import Safekeeping
from appliance.views import (
    CohortView,
    LogHealth,
    OverviewRow,
    OverviewView,
    Progress,
)
from appliance.watch import versions
from appliance.words.table import tell
from appliance.workspace.rows import StoredCohort

if TYPE_CHECKING:
    from appliance.cohort_request import CohortRequest

Step = Callable[[Progress], None]


class Appliance(Evidenced, Erased, FirstRun, Governed, Inspected, Receiving, Safekeeping, Attended):
    """One site: everything an officer may do."""

    # -- cohorts ---------------------------------------------------------------------------------------

    def try_cohort(self, request: CohortRequest) -> CohortView:
        """A cohort as `create_cohort` would freeze it, with the balance of its roles; nothing is kept.

        Near-duplicates are looked for when it is frozen.

        Raises:
            UsageError: as `create_cohort`, near-duplicates apart.
        """
        from appliance.cohorts import described, tried

        self._looked("cohort.try")
        return described(self._workspace, tried(self._workspace, request))

    def create_cohort(self, request: CohortRequest, step: Step = lambda _: None) -> CohortView:
        """Freeze a cohort.

        Args:
            request: who plays which role.
            step: told after every picture that was looked at; may raise to cancel.

        Raises:
            UsageError: a selection is empty, roles share a patient, or near-duplicates stand across roles.
        """
        from appliance.cohorts import freeze

        with self._act("cohort.create", request.name):
            document = freeze(self._workspace, request, step)
            self._workspace.catalogue.add_cohort(
                StoredCohort(request.name, document.digest, json.loads(codec.dump(document)), _now())
            )
        return self.cohort(request.name)

    def cohort(self, name: str) -> CohortView:
        """One frozen cohort with the balance of its roles and what may mislead.

        Raises:
            UsageError: there is none of that name.
            IntegrityError: it is not what was frozen.
        """
        from appliance.cohorts import described

        return described(self._workspace, self._cohort(name))

    def cohorts(self) -> tuple[CohortView, ...]:
        """Frozen cohorts by name."""
        return tuple(
            shown.cohort_view(shown.cohort_document(stored)) for stored in self._workspace.catalogue.cohorts()
        )

    # -- overview and log ------------------------------------------------------------------------------

    def overview(self) -> OverviewView:
        """Models with their last verdicts, the log's health, counts, and what needs a person."""
        catalogue = self._workspace.catalogue
        counts, heads = catalogue.counts(), catalogue.audit_heads()
        done = {row.model: row.audit_id for row in reversed(heads) if row.state == "done"}
        views, stored = self.models(), versions.by_line(catalogue.models())
        last = {view.name: catalogue.audit(done[view.name]) for view in views if view.name in done}
        earlier = {view.name: versions.earlier(stored.get(view.line, ()), view.name) for view in views}
        before = {
            name: catalogue.audit(next((done[row.name] for row in rows if row.name in done), ""))
            for name, rows in earlier.items()
            if name not in last
        }
        health = self.log_health()
        due = self._next_by_model()
        rows = tuple(
            replace(
                shown.overview_row(view, last.get(view.name), before.get(view.name)),
                due=due.get(view.name, ""),
            )
            for view in views
        )
        needs = self._needs(health, rows)
        return OverviewView(
            site=self._workspace.site_name,
            demo=self._workspace.demo,
            models=rows,
            log=health,
            studies=counts.studies,
            reports=counts.reports,
            pairs=counts.pairs,
            quarantined=counts.quarantined,
            needs_me=tuple(need for need, _ in needs),
            needs_at=tuple(place for _, place in needs),
            cases=self._open_cases(),
        )

    def _needs(self, health: LogHealth, rows: tuple[OverviewRow, ...]) -> list[tuple[str, str]]:
        """What needs a person, each with the place of the screens where that is done; "" for the first."""
        asked: tuple[tuple[str, Iterable[str]], ...] = (
            ("", self._room_needs()),
            ("", self._receiver_needs()),
            ("", self._due_after_erasures()),
            ("findings", self._batches_set_aside()),
            ("policies", self._policies_waiting()),
            ("log", self.log_needs(health)),
            ("models", self._models_need()),
            ("models", self._claims_need()),
            ("schedule", self._schedules_need()),
            ("schedule", self._service_needs()),
            ("", filter(None, map(shown.needs_a_person, rows))),
        )
        return [(need, place) for place, needs in asked for need in needs]

    def _room_needs(self) -> tuple[str, ...]:
        """That nothing is taken in, for want of room on the disk."""
        from appliance.site.room import room

        found = room(self._workspace.root)
        return (tell("room.need", told=found.told),) if found.short else ()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
