"""The acts around the watch: looking whether vendor models are still what they were, and what became of them.

A look holds no lock. What has changed, and stands still, is taken in as `models add` takes it in, by the only
writer, as the next version of its line; no audit is started here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from appliance import codec, registry, shown
from appliance.announced import Announced
from appliance.errors import ModelRejected
from appliance.views import Progress
from appliance.watch import versions
from appliance.watch.views import Found, ModelPart, WatchedModel, WatchState
from appliance.words.table import tell
from appliance.workspace.rows import StoredModel
from appliance.workspace.turns import HOURS_S

if TYPE_CHECKING:
    from appliance.registry import Described, ModelRecord
    from appliance.watch.looking import Look
    from appliance.worker import Worker

Step = Callable[[Progress], None]
WATCH: Final = "model.watch"
LOOKED: Final = "model.looked"  # outcome: what keeps a line from being watched, or "ok" when that is over
SETTING: Final = "watch.looks"
SETTLING: Final = "waiting whether it still changes"  # phase
WAITING: Final = "waiting for another writer"  # phase
QUIET_S: Final = 60.0  # between two equal looks: a copy that is under way writes more often
PATIENCE: Final = timedelta(days=2)  # for a disk that is not mounted, and for a copy
_WHOLE: Final = (WatchState.UNCHANGED, WatchState.CHANGED)  # what lies there is registered


@dataclass(frozen=True, slots=True)
class _Looked:
    """A line that was looked at once.

    Attributes:
        since: when the look ended, by a clock that nobody sets.
    """

    record: ModelRecord
    look: Look
    since: float


class Watched(Announced):
    """The watch over vendor models."""

    _quiet_s = QUIET_S

    def watch_models(
        self,
        names: Iterable[str] = (),
        step: Step = lambda _: None,
        worker: Worker | None = None,
    ) -> tuple[WatchedModel, ...]:
        """Look at every file of these lines, or of all; what has changed is the next version of its line.

        Where something differs it is looked at twice, with a pause between, and registered only if both looks
        are equal. Whatever is wrong with one line keeps no other from it.

        Args:
            names: of lines; none for all.
            step: told what was read; may raise to cancel.
            worker: opens new versions instead of a worker of its own.

        Raises:
            UsageError: there is no model of one of the names.
        """
        lines = self._lines(names)
        with self._act(WATCH, *lines, turn=nullcontext()):
            first = [self._first_look(line, step) for line in lines]
            found = [self._changed(one, step, worker) if isinstance(one, _Looked) else one for one in first]
            return self._kept_looks(found, step)

    def watched(self) -> tuple[WatchedModel, ...]:
        """What the last look at every line came to; nothing is looked at."""
        looks = self._looks()
        return tuple(looks[line] for line in self._lines(()) if line in looks)

    # -- how it is done --------------------------------------------------------------------------------

    def _first_look(self, line: str, step: Step) -> _Looked | WatchedModel:
        """A first look at the newest version of a line: what differs is looked at again."""
        from appliance.watch.looking import look
        from appliance.watch.parts import digests_of

        record = self._model(line)
        try:
            found = look(record, step)
        except ModelRejected as refused:
            return self._row(record, WatchState.REFUSED, _refusal(refused))
        differs = found.digests != digests_of(record)
        if found.unreadable:
            what = shown.inert("; ".join(found.unreadable[:3]))
            return self._row(record, WatchState.UNREADABLE, tell("watch.unreadable", what=what))
        if found.absent:
            why = tell("watch.absent", folders=", ".join(found.absent))
            present = {name: files for name, files in found.digests.items() if name not in found.absent}
            if any(digests_of(record).get(name) != files for name, files in present.items()):
                why = tell("watch.absent.and", absent=why, model=record.name)
            return self._row(record, WatchState.ABSENT, why)
        if not differs:
            return self._row(record, WatchState.UNCHANGED, tell("watch.unchanged", model=record.name))
        return _Looked(record, found, time.monotonic())

    def _changed(self, first: _Looked, step: Step, worker: Worker | None) -> WatchedModel:
        """A second look; what it finds equal to the first is registered."""
        from appliance.watch.looking import look

        record = first.record
        if first.look.moving or self._moves(first, step):
            return self._row(record, WatchState.CHANGING, tell("watch.changing"))
        try:
            found = registry.described(
                record.line,
                _folders(record),
                family=record.family,
                vendor=record.vendor,
                released="",
                digests=first.look.digests,
            )
            return self._registered(record, found, step, worker)
        except OSError as error:
            what = tell("watch.unreadable", what=error.strerror or "")
            return self._row(record, WatchState.UNREADABLE, what)
        except ModelRejected as refused:
            if look(record, step) != first.look:
                return self._row(record, WatchState.CHANGING, tell("watch.changing"))
            return self._row(record, WatchState.REFUSED, _refusal(refused))

    def _moves(self, first: _Looked, step: Step) -> bool:
        """Whether a second look, a while after the first, finds anything else."""
        from appliance.watch.looking import look

        while (waited := time.monotonic() - first.since) < self._quiet_s:
            step(Progress(SETTLING, int(waited), int(self._quiet_s), "s"))
            time.sleep(min(1.0, self._quiet_s - waited))
        return look(first.record, step) != first.look

    def _registered(
        self, before: ModelRecord, found: Described, step: Step, worker: Worker | None
    ) -> WatchedModel:
        """The next version of the line, unless somebody else was first.

        Raises:
            ModelRejected: what lies there cannot be opened; nothing is registered.
        """
        from appliance.enrolment import enrolled, named
        from appliance.quarantine import sweep
        from appliance.watch.changes import CHANGED

        name = versions.stored_name(before.line, before.version + 1)
        with self._act("model.add", name, turn=self._my_turn(step)):
            newest = self._model(before.line)
            if newest.name != before.name:
                return self._beaten(newest, found.record)
            described = replace(found, record=self._version(before, found.record))
            sweep(self._workspace.root, self._workspace.vault, named(self._workspace))
            with enrolled(self._workspace, described, worker, step) as record:
                self._record(CHANGED, name, record.found, detail_digest=record.announcement)
                self._workspace.catalogue.add_model(StoredModel(name, asdict(record), self._utc()))
        return self._new(record)

    def _version(self, before: ModelRecord, found: ModelRecord) -> ModelRecord:
        """What was found as the version after `before`.

        Papers alone use up no announcement. Its date of release is the one that an announcement gave, else
        still the one before: whatever that bars stays barred.
        """
        from appliance.watch.parts import digests_of, files_changed, parts_changed

        changes = self._changes()
        parts = parts_changed(files_changed(digests_of(before), digests_of(found)))
        announcement = "" if parts == (ModelPart.DOCUMENTS,) else changes.announcing(before.line)
        return replace(
            found,
            name=versions.stored_name(before.line, before.version + 1),
            of_line=before.line,
            version=before.version + 1,
            released=changes.release_date(announcement) or before.released,
            replaces=before.name,
            found=str(Found.ANNOUNCED if announcement else Found.UNANNOUNCED),
            seen_utc=self._utc(),
            changed=tuple(map(str, parts)),
            announcement=announcement,
        )

    def _beaten(self, newest: ModelRecord, found: ModelRecord) -> WatchedModel:
        """Another watch has registered the same, or something else."""
        if newest.digest == found.digest:
            return self._new(newest)
        return self._row(newest, WatchState.CHANGING, tell("watch.beaten"))

    def _my_turn(self, step: Step) -> AbstractContextManager[None]:
        """Be the only writer, however long another one takes; whoever waits hears of it and may give up."""
        return self._workspace.writing(HOURS_S, lambda: step(Progress(WAITING, 0, 1, "turn")))

    # -- how it is told --------------------------------------------------------------------------------

    def _new(self, record: ModelRecord) -> WatchedModel:
        """A line of which a version was registered."""
        rows = versions.by_line(self._workspace.catalogue.models())[record.line]
        earlier = versions.equal_to([shown.model_record(row) for row in rows], record)
        why = tell("watch.changed", found=record.found, parts=", ".join(record.changed))
        why += f"; {tell('watch.equal', version=earlier)}" if earlier else ""
        row = self._row(record, WatchState.CHANGED, why)
        parts = tuple(map(ModelPart, record.changed))
        return replace(row, changed=parts, announced=record.found == Found.ANNOUNCED)

    def _row(self, record: ModelRecord, state: WatchState, why: str) -> WatchedModel:
        return WatchedModel(record.line, record.name, record.version, state, why=why, looked_utc=self._utc())

    def _looks(self) -> dict[str, WatchedModel]:
        text = self._workspace.catalogue.setting(SETTING) or "[]"
        return {one.line: one for one in codec.load(tuple[WatchedModel, ...], text)}

    def _kept_looks(self, found: Sequence[WatchedModel], step: Step) -> tuple[WatchedModel, ...]:
        """The same, each with the time since which its line is so; the log has an entry where that began."""
        with self._my_turn(step):
            before = self._looks()
            rows = []
            for row in found:
                last = before.get(row.line)
                same = last is not None and last.state is row.state
                since = last.since_utc if last is not None and same else row.looked_utc
                rows.append(replace(row, since_utc="" if row.state in _WHOLE else since))
                if not same and row.state not in _WHOLE:
                    self._record(LOOKED, row.line, str(row.state))
                elif last is not None and last.state not in _WHOLE and row.state in _WHOLE:
                    self._record(LOOKED, row.line, "ok")
            kept = before | {row.line: row for row in rows}
            text = codec.dump(tuple(kept[line] for line in sorted(kept)), tuple[WatchedModel, ...])
            self._workspace.catalogue.set_setting(SETTING, text)
        return tuple(rows)

    def _models_need(self) -> tuple[str, ...]:
        """What somebody has to do about changed models, and about folders that cannot be watched."""
        waiting = [row for row in self._changes().rows() if row.waits]
        needs = [
            tell(
                "watch.need.unannounced",
                model=row.model,
                parts=", ".join(row.parts),
                clock=row.clock.said if row.clock else "",
            )
            for row in waiting
        ]
        return (*needs, *filter(None, map(self._need, self.watched())))

    def _need(self, row: WatchedModel) -> str:
        from appliance.cases.clocks import span

        if row.state in (WatchState.REFUSED, WatchState.UNREADABLE):
            return tell(f"watch.need.{row.state}", line=row.line, why=row.why)
        if row.state not in (WatchState.ABSENT, WatchState.CHANGING) or not row.since_utc:
            return ""
        passed = datetime.fromisoformat(self._utc()) - datetime.fromisoformat(row.since_utc)
        told = span(round(passed.total_seconds() * 1000))
        return tell(f"watch.need.{row.state}", line=row.line, span=told) if passed >= PATIENCE else ""


def _folders(record: ModelRecord) -> registry.Folders:
    base = Path(record.base_path) if record.base_path else None
    return registry.Folders(Path(record.path), base, Path(record.peft_path) if record.peft_path else None)


def _refusal(refused: ModelRejected) -> str:
    why = shown.inert(str(refused))
    if not refused.hint:
        return tell("watch.refused.unhinted", why=why)
    return tell("watch.refused", why=why, hint=shown.inert(refused.hint))
