"""The acts around the log itself: looking, checking, exporting, reviewing, witnesses, how long it is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from appliance.acts import OpenWorkspace
from appliance.errors import IntegrityError, UsageError
from appliance.evidence.standing import UNWITNESSED
from appliance.evidence_roots import EvidenceRoots
from appliance.views import LogHealth, LogRow

if TYPE_CHECKING:
    from appliance.evidence.views import ExportedLog, LogFilter, LogPage, ReviewRow, StateView, WitnessRow

_SHORT: Final = 65_536  # entries that are re-derived whenever somebody asks for the log's health


class Logged(OpenWorkspace):
    """What may be done with the log."""

    _viewed = False

    def log_count(self) -> int:
        """How many entries the log has."""
        return self._log.size

    def log_entries(self, offset: int, limit: int) -> tuple[LogRow, ...]:
        """At most `limit` entries from `offset`, oldest first; the first look of a session is an entry.

        Raises:
            LogUnwritable: the look cannot be logged, so nothing is shown.
        """
        self._log_the_look()
        return self._log.rows(offset, limit)

    def _log_the_look(self) -> None:
        if not self._viewed:
            self._log.append("log.view", "log", "allowed", actor=self._actor)
            self._viewed = True

    def log_verify(self, on_step: Callable[[int, int], None] | None = None) -> LogHealth:
        """Re-derive the whole log; may be called beside other acts.

        Args:
            on_step: called now and then with how many entries were read, of how many; may raise to stop.
        """
        return self._log.verify(on_step)

    def log_health(self) -> LogHealth:
        """What is known of the log: a short one is re-derived, of a long one only what came since."""
        if self._log.size - self._log.origin <= _SHORT:
            return self._log.verify()
        return self._log.health()

    def log_find(self, wanted: LogFilter, offset: int, limit: int, newest_first: bool = False) -> LogPage:
        """At most `limit` of the entries that a filter lets through, from the `offset`-th on, and how many.

        Raises:
            UsageError: a time is none.
            LogUnwritable: the look cannot be logged, so nothing is shown.
        """
        from appliance.evidence.index import asked

        wanted = asked(wanted)
        self._log_the_look()
        return self._log.find(wanted, offset, limit, newest_first)

    def log_state(self) -> StateView:
        """The log's state in words that can be written down."""
        from appliance.evidence.views import StateView

        size = self._log.refresh()
        return StateView(size, self._log.root, self._log.key_words, self._log.state_words(size))

    def compare_log_state(self, entries: int, words: str) -> None:
        """Whether the log still contains a state that was written down.

        Raises:
            IntegrityError: it does not: rolled back, or a second history.
            UsageError: not ten words, or the entries were pruned.
        """
        given = words.lower().split()
        if len(given) != 10 or entries < 1:
            raise UsageError(
                "a state is a number of entries and ten words", "as `gradaudit log checkpoint` prints"
            )
        size = self._log.refresh()
        if entries > size:
            raise IntegrityError(
                f"the log holds {size} entries, {entries} were written down: it was rolled back",
                "keep the disk as it is and ask for help",
            )
        if self._log.state_words(entries).split() != given:
            raise IntegrityError(
                f"the first {entries} entries are not those whose words were written down",
                "check for a slip of the pen, then keep the disk as it is and ask for help",
            )

    def export_log(self, path: Path, form: str, first: int | None, last: int | None) -> ExportedLog:
        """Write entries to a file for other programs, as lines with proofs or as FHIR AuditEvents.

        Raises:
            UsageError: no such format or entries, or the folder is not there.
        """
        from appliance.evidence.export import write
        from appliance.evidence.views import ExportedLog

        start = self._log.origin if first is None else first
        end = self._log.size - 1 if last is None else last
        with self._act("log.export", str(path.absolute())):
            checked = write(self._log, path.absolute(), form, start, end)
        return ExportedLog(str(path), form, start, end, checked)

    def review_log(self, first: int, last: int, found: str) -> ReviewRow:
        """Write down that somebody looked through a window of the log, and what was found.

        Raises:
            UsageError: no such entries, or nothing is said.
        """
        from appliance.evidence import reviews

        content, digest = reviews.record(self._log, first, last, found)
        with self._act(reviews.ACT, "log", detail_digest=digest):
            self._workspace.catalogue.add_review(digest, content)
        return self.log_reviews()[-1]

    def log_reviews(self) -> tuple[ReviewRow, ...]:
        """Every review of the log, oldest first.

        Raises:
            IntegrityError: a record is not what was logged.
        """
        from appliance.evidence import reviews

        return reviews.reviews(self._log, self._workspace.catalogue.review)

    def last_log_review(self) -> str:
        """When the log was reviewed last, as claimed; "" if never."""
        from appliance.evidence.reviews import done

        found = done(self._log)
        return found[-1].claimed_utc if found else ""

    def log_needs(self, health: LogHealth) -> tuple[str, ...]:
        """What somebody has to do about the log."""
        needs = []
        if not health.intact:
            needs.append("the log is broken: keep the disk as it is and ask for help")
        elif not health.verified_utc:
            needs.append("the log was never verified as a whole: `gradaudit log verify`, or v on its screen")
        if health.witnessed == UNWITNESSED:
            needs.append("the log: unwitnessed for more than seven days, bring it to a witness")
        return tuple(needs)

    # -- witnesses and keeping -------------------------------------------------------------------------

    def trust_witness(self, name: str, key: str | bytes) -> WitnessRow:
        """Trust a witness by its key file or its ten words. Raises as `witnesses.trust`."""
        from appliance.evidence import witnesses

        return witnesses.trust(self._log, name, key, self._actor)

    def witness_request(self, name: str) -> bytes:
        """What to bring to a witness.

        Raises:
            UsageError: there is none of that name.
        """
        from appliance.evidence import witnesses

        return witnesses.request(self._log, name)

    def accept_witness(self, answer: bytes) -> WitnessRow:
        """Check and keep a witness's answer. Raises as `witnesses.accept`."""
        from appliance.evidence import witnesses

        name, _ = witnesses.accept(self._log, answer, self._actor)
        return witnesses.row(name, witnesses.named(self._log, name), self._log)

    def witnesses(self) -> tuple[WitnessRow, ...]:
        """Every trusted witness, and what it has seen."""
        from appliance.evidence import witnesses

        return witnesses.rows(self._log)

    def hold_log(self, held: bool) -> None:
        """Set or lift the legal hold under which nothing is pruned."""
        from appliance.evidence import keeping

        keeping.hold(self._log, held, self._actor)

    def prune_log(self, before: int, keep_years: int) -> tuple[str, ...]:
        """Remove closed years. Raises as `keeping.prune`."""
        from appliance.evidence import keeping

        self._roots.renew()  # what the log knows of the catalogue and of the findings stays
        EvidenceRoots(self._log, lambda: self._actor).renew()
        return tuple(keeping.prune(self._log, before, keep_years, self._log.clock.utc_ms(), self._actor))
