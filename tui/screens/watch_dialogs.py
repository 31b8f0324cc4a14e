"""The dialogs of the watch over vendor models: look now, announce a change, answer one nobody announced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.content import Content

from appliance.schedule_views import ALL
from appliance.watch.views import AnnouncementView, ChangeRow, WatchedModel, WatchState
from tui.screens.asking import AskDialog, muted
from tui.screens.working import WorkDialog
from tui.text import foreign, line
from tui.widgets.fields import Field, Pick
from tui.widgets.standings import changed_parts, watch_sign

_SHOWN = 8  # lines of what was found


class WatchDialog(WorkDialog):
    """Looks at the vendors' folders, and says line by line what lies there."""

    TITLE = "Watch now"
    NOTE = (
        "Every file is read and compared with the newest version by its digest. What has changed is "
        "registered as a new version; nothing is audited."
    )
    ACT = "Look"
    WORK = "watch models"
    FIRST = "#act"
    HELP_TEXT: ClassVar[str] = (
        "A folder that is not there is no change: a disk may be away. A file that changes while it is read "
        "is looked at again next time, so that half a delivery never becomes a version. A change that nobody "
        "had announced waits for an officer's answer."
    )

    def __init__(self, lines: tuple[str, ...], here: str = "") -> None:
        super().__init__()
        self.lines, self.here = lines, here

    def fields(self) -> ComposeResult:
        """Which lines."""
        yield Pick("models", "lines")

    def on_mount(self) -> None:
        """The one it was asked for on is chosen."""
        self.query_one("#lines", Pick).offer((ALL, *self.lines), self.here)

    def act(self) -> None:
        """Look."""
        wanted = self.query_one("#lines", Pick).value
        names = () if wanted == ALL else (wanted,)
        backend = self.app.backend
        self.begin(lambda step: backend.watch_models(names, step=step))

    def done(self, result: Any) -> None:
        """What is not as it was, first."""
        found: tuple[WatchedModel, ...] = result
        self.changed = True
        quiet = [one for one in found if one.state is WatchState.UNCHANGED]
        order = list(WatchState)
        loud = sorted((one for one in found if one not in quiet), key=lambda one: order.index(one.state))
        told = [self._row(one) for one in loud[:_SHOWN]]
        if len(loud) > _SHOWN:
            told.append(Content(f"and {len(loud) - _SHOWN:,} more"))
        if quiet or not loud:
            told.append(Content(f"{self.app.glyphs.passed} unchanged: {len(quiet):,} of {len(found):,}"))
        self.tell(*told)
        self.query_one("#leave").focus()

    def _row(self, one: WatchedModel) -> Content:
        why = one.why
        if one.state is WatchState.CHANGED:
            word = "announced" if one.announced else "unannounced: an officer has to answer it"
            why = f"{changed_parts(one.changed).plain}; {word}"
        sign = watch_sign(one.state, self.app.glyphs)
        return Content.assemble(sign, "  ", foreign(one.model, "bold"), "  ", foreign(why))


class AnnounceDialog(AskDialog[AnnouncementView]):
    """A change of one line that the vendor has told of."""

    TITLE = "Announce a change"
    ACT = "Announce"
    HELP_TEXT: ClassVar[str] = (
        "The next change that the watch finds in this model's folders counts as this one, if it comes by the "
        "last day; it is used once. What was not announced is a finding that an officer has to answer."
    )

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name_ = name

    def note(self) -> Content:
        """Of whom, and what it does."""
        return muted(
            f"The next change of {line(self.name_)} will count as announced, once. The reason is sealed."
        )

    def fields(self) -> ComposeResult:
        """Release and last day may stay empty."""
        yield Field("release", "release", hint="as the vendor calls it (may stay empty)")
        yield Field("last day", "until", hint="YYYY-MM-DD (a month from now when empty)")
        yield Field("reason", "reason", hint="who said so, where")

    def whole(self) -> bool:
        """It takes a reason."""
        return bool(self.value("reason"))

    def call(self) -> Callable[[], AnnouncementView]:
        """Announce it."""
        release, until, reason = (self.value(name) for name in ("release", "until", "reason"))
        announce = self.app.backend.announce_change
        return lambda: announce(self.name_, reason, release=release, until=until)


class AnswerDialog(AskDialog[ChangeRow]):
    """What is said to a change that nobody had announced."""

    TITLE = "Answer an unannounced change"
    ACT = "Answer"
    FINAL = True
    HELP_TEXT: ClassVar[str] = (
        "What was found out: who changed the files, whether the vendor knows, whether the model may be used. "
        "The reason is sealed, the log has its digest. An answer cannot be taken back; the change stays "
        "listed as unannounced."
    )

    def __init__(self, row: ChangeRow) -> None:
        super().__init__()
        self.row = row

    def note(self) -> Content:
        """Which change, and that it is final."""
        parts = changed_parts(self.row.parts, self.row.equal_to)
        clock = f" Its clock: {line(self.row.clock.said)}." if self.row.clock else ""
        return Content.assemble(
            foreign(self.row.model, "bold"), ": ", parts, f" changed.{clock} An answer cannot be taken back."
        )

    def fields(self) -> ComposeResult:
        """The reason."""
        yield Field("answer", "reason", hint="what was found out; it is sealed")

    def whole(self) -> bool:
        """It takes a reason."""
        return bool(self.value("reason"))

    def call(self) -> Callable[[], ChangeRow]:
        """Answer it."""
        reason, answer = self.value("reason"), self.app.backend.answer_change
        return lambda: answer(self.row.model, reason)
