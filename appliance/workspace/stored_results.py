"""The catalogue's models, cohorts, audits and settings: what a verdict rests on."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import Table, select, update
from sqlalchemy.dialects.sqlite import insert

from appliance.errors import UsageError
from appliance.workspace.database import plain_json
from appliance.workspace.querying import Queries, insert_new, values
from appliance.workspace.rows import StoredAudit, StoredCohort, StoredModel
from appliance.workspace.tables import AUDITS, CASE_STEPS, COHORTS, MODELS, REVIEWS, SETTINGS


class StoredResults(Queries):
    """One typed method per question about results, one transaction per method."""

    def add_model(self, model: StoredModel) -> None:
        """Register a model; the same document under the same name is no change.

        Raises:
            UsageError: the name is taken by another model.
        """
        self._add_named(MODELS, model, "document", f"a different model is already registered as {model.name}")

    def models(self) -> tuple[StoredModel, ...]:
        """Every model, by name."""
        return self._rows(StoredModel, select(MODELS).order_by(MODELS.c.name))

    def model(self, name: str) -> StoredModel | None:
        """One model, or None."""
        return self._row(StoredModel, select(MODELS).where(MODELS.c.name == name))

    def add_cohort(self, cohort: StoredCohort) -> None:
        """Freeze a cohort; the same digest under the same name is no change.

        Raises:
            UsageError: the name is taken by another cohort.
        """
        self._add_named(COHORTS, cohort, "digest", f"a different cohort is already frozen as {cohort.name}")

    def cohorts(self) -> tuple[StoredCohort, ...]:
        """Every cohort, by name."""
        return self._rows(StoredCohort, select(COHORTS).order_by(COHORTS.c.name))

    def cohort(self, name: str) -> StoredCohort | None:
        """One cohort, or None."""
        return self._row(StoredCohort, select(COHORTS).where(COHORTS.c.name == name))

    def add_review(self, digest: str, content: str) -> None:
        """Store what a reviewer of the log found, under the digest that the log has of it."""
        with self.changing() as connection:
            connection.execute(insert(REVIEWS).values(digest=digest, content=content))

    def review(self, digest: str) -> str | None:
        """What is stored under this digest, or None."""
        with self._reading() as connection:
            return connection.scalar(select(REVIEWS.c.content).where(REVIEWS.c.digest == digest))

    def add_case_step(self, digest: str, content: str) -> None:
        """Store a step of a case under the digest that the log has of it."""
        with self.changing() as connection:
            connection.execute(insert(CASE_STEPS).values(digest=digest, content=content))

    def case_steps(self) -> dict[str, str]:
        """Every step of a case by its digest."""
        with self._reading() as connection:
            return {str(row.digest): str(row.content) for row in connection.execute(select(CASE_STEPS))}

    # -- audits, settings -----------------------------------------------------------------------------------

    def start_audit(self, audit: StoredAudit) -> None:
        """Store an audit that begins; the same audit id again is no change."""
        with self.changing() as connection:
            insert_new(connection, AUDITS, (audit,))

    def finish_audit(self, audit: StoredAudit) -> None:
        """Replace a running audit by what came of it.

        Raises:
            UsageError: no audit with this id is running: a finished one is never rewritten.
        """
        self.move_audit(audit, "running")

    def move_audit(self, audit: StoredAudit, was: str) -> None:
        """Replace an audit that is running or interrupted by what has become of it.

        Raises:
            UsageError: no audit with this id is in the state `was`.
        """
        if was not in ("running", "interrupted"):
            raise ValueError("a finished audit is never rewritten")
        there = (AUDITS.c.audit_id == audit.audit_id) & (AUDITS.c.state == was)
        with self.changing() as connection:
            if connection.execute(update(AUDITS).where(there).values(values(audit))).rowcount != 1:
                raise UsageError(f"no audit {audit.audit_id} is {was}")

    def audits(self) -> tuple[StoredAudit, ...]:
        """Every audit, newest first."""
        newest = (AUDITS.c.started_utc.desc(), AUDITS.c.audit_id)
        return self._rows(StoredAudit, select(AUDITS).order_by(*newest))

    def audit_heads(self) -> tuple[StoredAudit, ...]:
        """Every audit, newest first, without its result and digests: however many there are, at once."""
        large = ("result", "digests")
        columns = [column for column in AUDITS.c if column.name not in large]
        return self._rows(
            StoredAudit, select(*columns).order_by(AUDITS.c.started_utc.desc(), AUDITS.c.audit_id)
        )

    def unfinished_audits(self) -> tuple[StoredAudit, ...]:
        """Those that run or were cut off, newest first."""
        unfinished = AUDITS.c.state.in_(("running", "interrupted"))
        return self._rows(StoredAudit, select(AUDITS).where(unfinished).order_by(AUDITS.c.started_utc.desc()))

    def audit(self, audit_id: str) -> StoredAudit | None:
        """One audit, or None."""
        return self._row(StoredAudit, select(AUDITS).where(AUDITS.c.audit_id == audit_id))

    def setting(self, key: str) -> str | None:
        """One setting, or None."""
        with self._reading(any_schema=True) as connection:
            return connection.scalar(select(SETTINGS.c.value).where(SETTINGS.c.key == key))

    def settings(self, prefix: str) -> dict[str, str]:
        """Settings whose key begins like this, by key."""
        begins = SETTINGS.c.key.startswith(prefix, autoescape=True)
        query = select(SETTINGS.c.key, SETTINGS.c.value).where(begins).order_by(SETTINGS.c.key)
        with self._reading(any_schema=True) as connection:
            return {str(key): str(value) for key, value in connection.execute(query)}

    def set_setting(self, key: str, value: str) -> None:
        """Store or replace one setting."""
        self.set_settings({key: value})

    def set_settings(self, settings: Mapping[str, str]) -> None:
        """Store or replace some settings: all of them or none."""
        with self.changing() as connection:
            for key, value in settings.items():
                statement = insert(SETTINGS).values(key=key, value=value)
                changed = {"value": value}
                connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=changed))

    # -- how it is done -------------------------------------------------------------------------------------

    def _add_named(self, table: Table, row: StoredModel | StoredCohort, same: str, refusal: str) -> None:
        with self.changing() as connection:
            if insert_new(connection, table, (row,)):
                return
            stored = connection.scalar(select(table.c[same]).where(table.c.name == row.name))
            if stored != json.loads(plain_json(values(row)[same])):
                raise UsageError(refusal, "Choose another name; what is registered is never replaced.")
