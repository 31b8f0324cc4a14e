"""What a site has collected: studies, reports and pairs, from coming in to going out without identity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from appliance import shown
from appliance.members import Members
from appliance.views import DuplicateView, IngestView, PairView, Progress, QuarantineRow, UnpairedView

if TYPE_CHECKING:
    from appliance.dry_run import IngestTrial
    from appliance.exporting import ExportView
    from appliance.library import Library, ReportRow, ReportView, StudyRow, StudyView
    from appliance.selection import PairRow
    from appliance.worker import Worker

Step = Callable[[Progress], None]


class Collected(Members):
    """The acts around studies, reports and pairs; every look at them is an entry of the log."""

    def ingest(
        self,
        paths: Sequence[Path],
        step: Step,
        start_worker: Callable[[], Worker] | None = None,
        workers: int = 0,
    ) -> IngestView:
        """Read studies and reports below `paths`; see `IngestView` for what came of them.

        Args:
            workers: parsers side by side; 0 for one a core.

        Raises:
            UsageError: a path does not exist or holds no file.
            Busy: another command is writing.
        """
        from appliance.intake import Intake
        from appliance.readers import listing, parser

        files = listing(paths)
        start = start_worker or (lambda: parser(paths))
        with self._act("studies.ingest", *(str(path.absolute()) for path in paths)):
            return Intake(self._workspace, start, step, workers).run(files)

    def try_ingest(
        self,
        paths: Sequence[Path],
        step: Step,
        start_worker: Callable[[], Worker] | None = None,
        workers: int = 0,
    ) -> IngestTrial:
        """What `ingest` would make of the files, in numbers; nothing is kept.

        Raises:
            UsageError: a path does not exist or holds no file.
        """
        from appliance.dry_run import dry_run, tried

        with closing(dry_run(paths, workers, start_worker, step)) as lines:
            return tried(lines)

    def quarantine(self, each: bool = False) -> tuple[QuarantineRow, ...]:
        """What was set aside, by reason or file by file; files go by a keyed handle of their name."""
        return shown.quarantine_rows(self._workspace.catalogue.quarantined(), each)

    def export_studies(
        self, paths: Sequence[Path], folder: Path, step: Step, *, accept_burned_in: bool = False
    ) -> ExportView:
        """Write images below `paths` without identity; see `ExportView` for what was refused.

        Raises:
            UsageError: a path does not exist or holds no file, or the folder is inside the workspace.
            Busy: another command is writing.
        """
        from appliance.exporting import Export, exporter
        from appliance.readers import listing

        files = listing(paths)
        export = Export(self._workspace, folder.absolute(), lambda: exporter(paths), step, accept_burned_in)
        given = (str(path.absolute()) for path in (*paths, folder))
        with self._act("studies.export", *given):
            return export.run(files, lambda: files.total)

    def studies(self) -> tuple[StudyRow, ...]:
        """Every study with its handles: for the officer's own eyes, never for a log or a pack."""
        self._looked("studies.show")
        return self._library().studies()

    def study(self, name: str) -> StudyView:
        """One study by UID or accession number, with its images and reports; likewise.

        Raises:
            UsageError: no such study, or several.
        """
        view = self._library().study(name)
        names = self._workspace.keys.names  # an accession number could be found by trying them all
        self._looked("studies.show", names.handle("study", view.row.study or view.row.accession))
        return view

    def reports(self) -> tuple[ReportRow, ...]:
        """Every report with its handles; likewise."""
        self._looked("report.show")
        return self._library().reports()

    def report(self, prefix: str) -> ReportView:
        """One report with its masked text.

        Raises:
            UsageError: no such report, or several.
        """
        view = self._library().report(prefix)
        self._looked("report.show", view.row.digest)
        return view

    def pairs(self) -> tuple[PairRow, ...]:
        """Every pair with its handles: for the officer's own eyes, never for a log or a pack."""
        from appliance.cohorts import pair_rows

        self._looked("pairs.show")
        return pair_rows(self._workspace)

    def unpaired(self) -> tuple[UnpairedView, ...]:
        """What found no partner, and why: for the officer's own eyes, as `pairs`."""
        from appliance import pairs

        self._looked("pairs.show")
        return pairs.unpaired(self._workspace)

    def pair(self, name: str) -> PairView:
        """One pair whole, by its id or the first digits of it; for the officer's own eyes.

        Raises:
            UsageError: no such pair, or several.
        """
        from appliance import pairs

        view = pairs.show(self._workspace, name)
        self._looked("pairs.show", view.pair_id)
        return view

    def duplicates(self, step: Step) -> tuple[DuplicateView, ...]:
        """Images and reports that show the same as another; for the officer's own eyes."""
        from appliance import pairs

        self._looked("pairs.show")
        return pairs.duplicates(self._workspace, step)

    def _looked(self, act: str, digest: str = "") -> None:
        """Write down a look at patient data; call it before anything is shown.

        Args:
            digest: of what is looked at, or a keyed one; "" for a list.

        Raises:
            LogUnwritable: it cannot be logged, so nothing is shown.
        """
        thing = self._log.identifier(digest) if digest else "workspace"
        self._log.append(act, thing, "allowed", actor=self._actor)

    def _library(self) -> Library:
        from appliance.library import Library

        return Library(self._workspace)
