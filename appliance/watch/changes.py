"""Changes of models as they follow from the models and the log: who announced them, who answered, and when.

Nobody opens an unannounced change, so nobody can forget to: the version itself is one until it is answered.

    model.changed   announced or unannounced, object = the version: first knowledge, when the watch saw it
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Final

from appliance import shown
from appliance.cases.clocks import Clock, reading
from appliance.cases.views import ClockView
from appliance.evidence.elapsed import Elapsed
from appliance.evidence.entries import Entry, claimed_ms
from appliance.evidence.log import EvidenceLog
from appliance.registry import ModelRecord
from appliance.sanitise import safe
from appliance.watch import versions
from appliance.watch.notes import ANNOUNCE, ANSWER, Note
from appliance.watch.views import AnnouncementView, AnswerView, ChangeRow, Found, ModelPart
from appliance.workspace.rows import StoredModel

CHANGED: Final = "model.changed"
WEEK: Final = Clock("7d", "docs/watch.md", 7 * 24 * 3600 * 1000)
"""Within which an unannounced change is to be answered: a rule of this appliance, not of a law."""
_NO_ENTRY: Final = -1  # before every entry


class Changes:
    """Every change of every line at one moment.

    Args:
        log: of the workspace.
        stored: all models of the catalogue.
        notes: as the log vouches for them.

    Attributes:
        lines: every line by name, with the rows of its versions, the first one first.
    """

    def __init__(self, log: EvidenceLog, stored: Iterable[StoredModel], notes: Sequence[Note]) -> None:
        log.refresh()
        self._log = log
        self.lines = versions.by_line(stored)
        self._records: dict[str, tuple[ModelRecord, ...]] = {}
        self._seen: dict[str, Entry] = {}
        for entry in log.acts(CHANGED):
            self._seen.setdefault(entry.object, entry)
        self._announced = [note for note in notes if note.act == ANNOUNCE]
        self._answers: dict[str, Note] = {}
        for note in notes:
            if note.act == ANSWER:
                self._answers.setdefault(note.model, note)
        self._followed = [line for line, rows in self.lines.items() if len(rows) > 1]
        self._elapsed = Elapsed(log) if self._followed else None

    def records(self, line: str) -> tuple[ModelRecord, ...]:
        """The versions of a line, the first one first."""
        if line not in self._records:
            self._records[line] = tuple(map(shown.model_record, self.lines[line]))
        return self._records[line]

    def rows(self, lines: Iterable[str] = ()) -> tuple[ChangeRow, ...]:
        """Changes of these lines, or of all: those that wait first, the longest first; then the newest."""
        wanted = set(lines) or set(self.lines)
        followed = [line for line in self._followed if line in wanted]
        found = [self.row(record) for line in followed for record in self.records(line)[1:]]
        newest = sorted(found, key=lambda row: row.seen_utc, reverse=True)
        return tuple(
            sorted(newest, key=lambda row: row.clock.left_s if row.clock and row.waits else float("inf"))
        )

    def row(self, record: ModelRecord) -> ChangeRow:
        """One change."""
        entry, answer = self._seen.get(self._log.identifier(record.name)), self._answers.get(record.name)
        found = Found(record.found)
        announced = next((note for note in self._announced if note.digest == record.announcement), None)
        return ChangeRow(
            line=safe(record.line),
            model=safe(record.name),
            version=record.version,
            replaces=safe(record.replaced),
            found=found,
            parts=tuple(map(ModelPart, record.changed)),
            equal_to=versions.equal_to(self.records(record.line), record),
            seen_utc=entry.claimed_utc if entry else record.seen_utc,
            entry=entry.index if entry else None,
            answer=AnswerView(safe(answer.reason, 2000), answer.utc, answer.by) if answer else None,
            clock=self._clock(record, entry, answer) if found is Found.UNANNOUNCED else None,
            announcement=self._announcement(announced) if announced else None,
        )

    def announcements(self, line: str = "") -> tuple[AnnouncementView, ...]:
        """Every announcement of a line, or of all, newest first."""
        wanted = [note for note in self._announced if not line or note.model == line]
        return tuple(map(self._announcement, reversed(wanted)))

    def announcing(self, line: str) -> str:
        """Digest of the oldest announcement that a change of the line would be; "" where there is none."""
        today, used = self._today(), self._used()
        return next(
            (
                note.digest
                for note in self._announced
                if note.model == line and note.digest not in used and today <= note.until
            ),
            "",
        )

    def release_date(self, announcement: str) -> str:
        """The release that the announcement of this digest names, where that is an ISO date; else ""."""
        release = next((note.release for note in self._announced if note.digest == announcement), "")
        try:
            return date.fromisoformat(release).isoformat()
        except ValueError:
            return ""

    def _announcement(self, note: Note) -> AnnouncementView:
        used = self._used().get(note.digest, "")
        return AnnouncementView(
            line=safe(note.model),
            release=safe(note.release),
            until=note.until,
            reason=safe(note.reason, 2000),
            said_utc=note.utc,
            by=note.by,
            used=safe(used),
            over=bool(used) or note.until < self._today(),
        )

    def _used(self) -> dict[str, str]:
        """Digest of an announcement -> the version that it announced."""
        records = (record for line in self._followed for record in self.records(line))
        return {record.announcement: record.name for record in records if record.announcement}

    def _today(self) -> str:
        return date_of(self._log)

    def _clock(self, record: ModelRecord, entry: Entry | None, answer: Note | None) -> ClockView:
        assert self._elapsed is not None, "there is a second version"
        known = (entry.index, claimed_ms(entry)) if entry else (_NO_ENTRY, _ms(record.seen_utc))
        answered = None
        if answer:
            at = answer.entry.index if answer.entry else _NO_ENTRY
            answered = self._elapsed.between(*known, at, _ms(answer.utc))
        return reading(WEEK, self._elapsed.since(*known), answered, self._elapsed.now_ms)


def date_of(log: EvidenceLog) -> str:
    """Today by the log's clock, ISO, in UTC."""
    return date.fromordinal(datetime.fromtimestamp(log.clock.utc_ms() // 1000, UTC).toordinal()).isoformat()


def _ms(utc: str) -> int:
    return round(datetime.fromisoformat(utc).timestamp() * 1000)
