"""The acts around evidence: the pack of an audit, an answer to an auditor, what was written, and checking."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from appliance.cased import Cased
from appliance.claimed import Claimed
from appliance.scheduled import Scheduled
from appliance.views import Progress
from appliance.watch import versions

if TYPE_CHECKING:
    from appliance.evidence.views import CheckedFile, PackRow
    from appliance.pack.answer.asked import Site
    from appliance.pack.answer.views import AnswerView
    from appliance.pack.facts import PackInput
    from appliance.registry import ModelRecord

Step = Callable[[Progress], None]
ANSWER: Final = "evidence.answer"
EXPORT: Final = "evidence.export"
EXPORTS: Final = {"full": EXPORT, "vendor": f"{EXPORT}.vendor"}
"""Edition of a pack -> the act in the log that wrote it."""


class Evidenced(Cased, Claimed, Scheduled):
    """Evidence of one site, for those who never see this software."""

    def export_pack(
        self, audit_id: str, path: Path, edition: str = "full", withhold: Collection[str] = ()
    ) -> Path:
        """Write the evidence pack of an audit: no patient data, verifiable alone.

        Args:
            edition: "full", or "vendor": without anything about patients, counts included.
            withhold: what is withheld besides: `data.json`, or `results.json#/result/exposure` for a part.

        Raises:
            UsageError: no such audit, edition or part, or the folder is not there.
        """
        from appliance.pack.building import write

        given = self._pack_input(audit_id)
        with self._act(EXPORTS.get(edition, EXPORT), audit_id):
            return write(self._log, given, path.absolute(), edition, withhold)

    def not_made(self) -> str:
        """What packs lack because of this machine, as a sentence; "" where they lack nothing."""
        from appliance.pack.pages import pdf

        return pdf.absent()

    def answer_auditor(
        self, model: str, since: str, until: str, path: Path, step: Step = lambda _: None
    ) -> AnswerView:
        """Write everything about one model in a span of days into one file, verifiable alone.

        Audits that the log closed in the span with their packs, those without a verdict, scheduled runs that
        were missed, cases, changes, claims, reviews of the log, and the log's entries about them, up to the
        log as it stands now.

        Args:
            model: NAME for a line with all its versions, NAME@2 for one of them.
            since, until: YYYY-MM-DD, UTC, both included.
            path: the file.
            step: told what was done; may raise to stop, and nothing is written.

        Raises:
            UsageError: no such model, a day is none, the folder is not there, or it is more than one file.
            IntegrityError: something is not what was logged.
        """
        from appliance.pack.answer import building as answering
        from appliance.pack.answer import quarter
        from appliance.pack.answer.asked import Asked, dated

        asked = dated(Asked(model, since, until))
        records = self._asked_versions(model)
        size = self._log.refresh()

        def read(done: int, total: int) -> None:
            step(answering.reading(done, total))

        with self._act(ANSWER, model):
            found = quarter.collected(self._log, self._site(records), asked, size, read)
            answer = answering.build(self._log, found, self._pack_input, step)
            answering.put(answer, path.absolute())
        return answering.view(found, answer, path, self._log.key_words)

    def packs(self) -> tuple[PackRow, ...]:
        """Every evidence pack that was written, newest first, as the log says; where it went is not kept."""
        from appliance.evidence.views import PackRow

        audits = {self._log.identifier(row.audit_id): row for row in self._workspace.catalogue.audit_heads()}
        self._log.refresh()
        rows = [
            PackRow(audits[entry.object].audit_id, entry.index, entry.claimed_utc, entry.actor, edition)
            for edition, act in EXPORTS.items()
            for entry in self._log.acts(act)
            if entry.outcome == "done" and entry.object in audits
        ]
        return tuple(sorted(rows, key=lambda row: row.entry, reverse=True))

    def verify_pack(self, path: Path) -> CheckedFile:
        """Check a pack or an answer in a file, of this site or another, with no key needed.

        Raises:
            IntegrityError: broken; the message names the file and the place.
            UsageError: neither a pack nor a log.
        """
        from appliance.evidence.verify import verify

        return verify(path)

    # -- how it is done --------------------------------------------------------------------------------

    def _pack_input(self, audit_id: str) -> PackInput:
        from appliance.pack.gathering import pack_input

        return pack_input(self._workspace, self._finished_audit(audit_id), self.audit(audit_id))

    def _asked_versions(self, model: str) -> tuple[ModelRecord, ...]:
        """Every version of a line, or the one version that is named.

        Raises:
            UsageError: there is no such model.
        """
        from appliance import shown

        named = self._model(model)
        rows = versions.by_line(self._workspace.catalogue.models())[named.line]
        return (named,) if "@" in model else tuple(map(shown.model_record, rows))

    def _site(self, records: tuple[ModelRecord, ...]) -> Site:
        from appliance.pack.answer.asked import Site

        catalogue = self._workspace.catalogue
        return Site(
            name=self._workspace.site_name,
            demo=self._workspace.demo,
            versions=records,
            audits=catalogue.audit_heads(),
            cases=self._cases(),
            claims=tuple(self._kept_claims().values()),
            changes=[
                row
                for row in self._changes().rows([records[0].line])
                if row.model in {record.name for record in records}
            ],
            schedules=self._kept(),
            reviews=self.log_reviews(),
        )
