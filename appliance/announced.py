"""The acts around changes of vendor models: what was announced, what was answered, what became of a line.

The log has an entry before and after every act, and the digest of what was typed (`watch.notes`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from appliance import shown
from appliance.errors import UsageError
from appliance.logged import Logged
from appliance.registered import Registered
from appliance.watch import versions

if TYPE_CHECKING:
    from appliance.registry import ModelRecord
    from appliance.watch.changes import Changes
    from appliance.watch.notes import Note
    from appliance.watch.views import AnnouncementView, ChangeRow, ChangeView, LineageNode

ANNOUNCED_DAYS: Final = 30
LONGEST_RELEASE: Final = 200  # characters


class Announced(Logged, Registered):
    """Changes of the vendor models of one site."""

    def announce_change(
        self, name: str, reason: str, *, release: str = "", until: str = ""
    ) -> AnnouncementView:
        """Say that a change of a line will come: the next one that the watch finds is this one.

        Args:
            name: of the line.
            reason: in a sentence; it is sealed, the log has its digest.
            release: what the vendor calls it.
            until: ISO date, the last day of it; a month from today when empty.

        Raises:
            UsageError: no such model, no date or one that is over, or the reason says too little.
        """
        from appliance.cases.steps import check_reason
        from appliance.watch import notes
        from appliance.watch.changes import date_of

        line, said = self._model(name).line, check_reason(reason)
        if len(release) > LONGEST_RELEASE:
            raise UsageError(f"a release has at most {LONGEST_RELEASE} characters", "say more in the reason")
        last = _day(until, date_of(self._log))
        content, digest = notes.record(self._log, self._actor, notes.ANNOUNCE, line, said, release, last)
        with self._act(notes.ANNOUNCE, line, detail_digest=digest):
            self._workspace.catalogue.set_setting(f"{notes.SETTING}{digest}", content)
        return self._changes().announcements(line)[0]

    def announcements(self, name: str = "") -> tuple[AnnouncementView, ...]:
        """What was announced of a line, or of all, newest first.

        Raises:
            UsageError: there is no such model.
            IntegrityError: a note is not what was logged.
        """
        return self._changes().announcements(self._model(name).line if name else "")

    def answer_change(self, name: str, reason: str) -> ChangeRow:
        """Answer a change that nobody announced: what was found out about it.

        Args:
            name: the version, such as NAME@2.
            reason: in a sentence; it is sealed, the log has its digest.

        Raises:
            UsageError: no such version, none that waits for an answer, or the reason says too little.
        """
        from appliance.cases.steps import check_reason
        from appliance.watch import notes

        record, said = self._change_of(name), check_reason(reason)
        content, digest = notes.record(self._log, self._actor, notes.ANSWER, record.name, said)
        with self._act(notes.ANSWER, record.name, detail_digest=digest):
            if not self._changes().row(record).waits:
                raise UsageError(
                    f"{record.name} waits for no answer", "see `gradaudit models changes`, those that wait"
                )
            self._workspace.catalogue.set_setting(f"{notes.SETTING}{digest}", content)
        return self._changes().row(record)

    def model_changes(self, names: Iterable[str] = ()) -> tuple[ChangeRow, ...]:
        """Every change of these lines, or of all: those that wait for an answer first.

        Raises:
            UsageError: there is no model of one of the names.
            IntegrityError: a note is not what was logged.
        """
        return self._changes().rows(self._lines(names))

    def model_change(self, name: str) -> ChangeView:
        """One version against the one before it: files, tensors, facts, and what audits say of both.

        Raises:
            UsageError: there is no such version, or it is a first one.
            IntegrityError: an object in the vault, or a note, is not what was stored.
        """
        from appliance.watch import difference

        changes, record = self._changes(), self._change_of(name)
        before = next(one for one in changes.records(record.line) if one.name == record.replaces)
        names = (before.name, record.name)
        catalogue, demo = self._workspace.catalogue, self._workspace.demo
        heads = [one for one in catalogue.audit_heads() if one.model in names and one.state == "done"]
        whole = filter(None, (catalogue.audit(one.audit_id) for one in heads))
        views = [shown.audit_view(one, demo) for one in whole]
        return difference.change(changes.row(record), before, record, views, self._workspace.vault)

    def lineage(self, names: Iterable[str] = ()) -> tuple[LineageNode, ...]:
        """Base, fine-tuned model, adapter: the trees that these lines stand in, or all of them.

        Raises:
            UsageError: there is no model of one of the names.
        """
        from appliance.watch import lineage

        lines = set(self._lines(names))
        trees = lineage.trees(self._changes(), self._log, self._workspace.catalogue.audit_heads())
        return tuple(tree for tree in trees if lineage.lines_of(tree) & lines)

    def prune_log(self, before: int, keep_years: int) -> tuple[str, ...]:
        """Remove closed years; notes on models stay known. Raises as `keeping.prune`."""
        from appliance.watch import notes

        notes.keep(self._log, self._notes(), self._actor)
        return super().prune_log(before, keep_years)

    # -- how it is done --------------------------------------------------------------------------------

    def _lines(self, names: Iterable[str]) -> tuple[str, ...]:
        """Lines by name; of all models where none is named."""
        wanted = list(names)
        if wanted:
            return tuple(dict.fromkeys(self._model(name).line for name in wanted))
        return tuple(versions.by_line(self._workspace.catalogue.models()))

    def _changes(self) -> Changes:
        from appliance.watch.changes import Changes

        notes = self._notes()
        return Changes(self._log, self._workspace.catalogue.models(), notes)

    def _notes(self) -> tuple[Note, ...]:
        from appliance.watch import notes

        self._log.refresh()
        return notes.told(self._log, lambda: self._workspace.catalogue.settings(notes.SETTING))

    def _change_of(self, name: str) -> ModelRecord:
        record = self._model(name)
        if record.version == 1:
            raise UsageError(
                f"{record.name} is a first version: nothing was changed", "see `gradaudit models changes`"
            )
        return record

    def _utc(self) -> str:
        """Now by the log's clock, ISO."""
        return datetime.fromtimestamp(self._log.clock.utc_ms() // 1000, UTC).isoformat(timespec="seconds")


def _day(until: str, today: str) -> str:
    """The last day of an announcement, ISO.

    Raises:
        UsageError: no date, or one that is over.
    """
    if not until:
        return (date.fromisoformat(today) + timedelta(days=ANNOUNCED_DAYS)).isoformat()
    try:
        last = date.fromisoformat(until).isoformat()
    except ValueError as wrong:
        raise UsageError(f"not a date: {until}", "write the last day as YYYY-MM-DD") from wrong
    if last < today:
        raise UsageError(f"{until} is over", "give the last day on which the change may come")
    return last
