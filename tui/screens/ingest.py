"""Taking studies and reports in: a folder, what would come of it, then doing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Button, Input

from appliance.views import IngestView, QuarantineRow
from tui.screens.working import WorkDialog
from tui.text import foreign, line
from tui.widgets.chrome import Notice
from tui.widgets.fields import Field

if TYPE_CHECKING:
    from appliance.dry_run import IngestTrial

_REASONS = 5  # shown; Studies lists all of them


class IngestDialog(WorkDialog):
    """First a trial that keeps nothing, then the ingest."""

    TITLE = "Take studies and reports in"
    NOTE = "A folder, a DICOMDIR, a file or a ZIP archive. It is tried first; nothing is kept by that."
    ACT = "Try"
    WORK = "ingest"
    HELP_TEXT: ClassVar[str] = (
        "The trial reads every file as the ingest would, and says how many are images, reports or neither, "
        "and why files would be set aside. Take in does it: what is taken in is sealed in the workspace, and "
        "the files themselves stay where they are. Hide leaves it running; the top line says how far it is."
    )

    def __init__(self) -> None:
        super().__init__()
        self.tried = ""  # what the trial was of

    def fields(self) -> ComposeResult:
        """Where the files are."""
        yield Field("from", "path", hint="/srv/inbox")

    def act(self) -> None:
        """Try what was not tried yet; then take it in."""
        path = self.value("path")
        if not path:
            self.query_one(Notice).complain("no folder is named", "type where the files are")
            return
        backend, paths = self.app.backend, [Path(path).expanduser()]
        if path == self.tried:
            self.begin(lambda step: backend.ingest(paths, step))
        else:
            self.tried = ""
            self.begin(lambda step: backend.try_ingest(paths, step))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Another folder is tried first, too."""
        if event.value.strip() != self.tried:
            self.offer("Try")

    def done(self, result: Any) -> None:
        """Counts of the trial, or of what was taken in."""
        if isinstance(result, IngestView):
            self._taken(result)
        else:
            self._would(result)
        self.query_one("#act", Button).focus()

    def _would(self, trial: IngestTrial) -> None:
        self.tried = self.value("path")
        kinds = ", ".join(f"{files:,} × {line(kind)}" for kind, files in trial.outcomes) or "nothing usable"
        head = f"{trial.files:,} files: {kinds}; {trial.reports:,} report texts"
        self.tell(Content.styled(head, "bold"), *_reasons(trial.set_aside))
        self.offer("Take in")

    def _taken(self, view: IngestView) -> None:
        self.changed, self.tried = True, ""
        known = f", {view.duplicates:,} known before" if view.duplicates else ""
        head = f"taken in: {view.images:,} images, {view.reports:,} reports{known}"
        aside = sum(files for _, files in view.quarantined)
        rest = f"{view.pairs:,} pairs in the workspace; {aside:,} files set aside: Studies says why"
        self.tell(Content.styled(head, "bold"), Content(rest))
        self.offer("Try")


def _reasons(rows: tuple[QuarantineRow, ...]) -> list[Content]:
    """The most frequent reasons, and how many more there are."""
    told = [
        Content.assemble(
            f"{row.files:>7,} set aside  ", foreign(row.reason, "bold"), "  ", foreign(row.message)
        )
        for row in rows[:_REASONS]
    ]
    more = len(rows) - _REASONS
    return [*told, Content(f"and {more} more reasons")] if more > 0 else told
