"""Planted answers for what an officer brings in and plans: studies, models, cohorts, schedules."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from appliance.cohort_request import CohortRequest
from appliance.dry_run import IngestTrial
from appliance.errors import ApplianceError, ModelRejected, UsageError
from appliance.schedule_views import ComingRun, Schedule, ScheduleView, StartedRun
from appliance.service_views import ServiceView
from appliance.views import (
    BalanceView,
    CohortView,
    DifferenceView,
    EstimateView,
    IngestView,
    ModelView,
    Progress,
    QuarantineRow,
)

Step = Callable[[Progress], None]

WEEKLY = Schedule(
    "weekly", "0 2 * * 0", "Europe/Vienna", "all", "demo", "demo", "01:00-05:00",
    ("2026-12-24..2026-12-26",), 5, "2026-11-01T00:00:00+00:00",
)  # fmt: skip
PLANNED = (
    ScheduleView(
        replace(WEEKLY, name="monthly", cron="30 3 1 * *", model="lumen-vlm", window="", blackout=()),
        "At 03:30 on the first day of every month", "2026-12-01T02:30:00+00:00",
        "2026-12-01 03:30 Europe/Vienna, in 9 d 14 h", "", "", "never run", (),
    ),
    ScheduleView(
        WEEKLY, "At 02:00 on Sunday", "2026-11-22T01:00:00+00:00",
        "Sunday 02:00 Europe/Vienna, in 12 h 45 min", "", "2026-11-15T01:00:00+00:00",
        "lumen-vlm FAIL; clear-vlm INCONCLUSIVE; 1 earlier run was missed", ("a-0003", "a-0001"),
    ),
)  # fmt: skip
PLANNED = (
    *PLANNED,
    replace(
        PLANNED[0], schedule=replace(WEEKLY, name="nightly", cron="0 20 * * *", watch=True),
        meaning="At 20:00", next_told="Saturday 20:00 Europe/Vienna, in 6 h 45 min",
        last_told="nothing to audit",
    ),
)  # fmt: skip
WEEK = (
    ComingRun(
        "nightly", "all", "2026-11-21T19:00:00+00:00", "2026-11-21T20:00+01:00",
        "Saturday 20:00 Europe/Vienna, in 6 h 45 min", "", False, True, ("north-vlm", "clear-vlm"),
    ),
    ComingRun(
        "weekly", "all", "2026-11-22T01:00:00+00:00", "2026-11-22T02:00+01:00",
        "Sunday 02:00 Europe/Vienna, in 12 h 45 min", "", False,
    ),
    ComingRun(
        "nightly", "lumen-vlm", "2026-11-22T19:00:00+00:00", "2026-11-22T20:00+01:00",
        "Sunday 20:00 Europe/Vienna, in 1 d 6 h", "outside the window 01:00-05:00", False,
    ),
)  # fmt: skip
ATTENDED = ServiceView(
    "daemon", True, "2026-11-21T12:14:00+00:00", "`gradaudit serve` runs; it looked 1 min ago", False
)
TRIAL = IngestTrial(
    1204, 402, (("image", 800), ("report", 398), ("order", 2)),
    (
        QuarantineRow("truncated", 3, "the file ends too early", ""),
        QuarantineRow("archive-encrypted", 1, "a member of the archive has a password", ""),
    ),
    (("burned-in-text", 5),),
)  # fmt: skip
TAKEN = IngestView(1204, 800, 402, 398, 0, (("truncated", 3), ("archive-encrypted", 1)), 402, 4)
BALANCED = BalanceView(
    (), (),
    (
        DifferenceView("StudyDate", "", 2024.5, 2023.1, 0.61, "targets are newer"),
        DifferenceView("Modality", "CT", 0.4, 0.41, 0.02, ""),
    ),
)  # fmt: skip


@dataclass
class Arrivals:
    """Planted answers; `gate` as in the simulator that is made of this."""

    failing: dict[str, ApplianceError] = field(default_factory=dict, kw_only=True)
    gate: threading.Semaphore | None = field(default=None, kw_only=True)
    attended: ServiceView = field(default=ATTENDED, kw_only=True)
    planned: tuple[ScheduleView, ...] = field(default=PLANNED, kw_only=True)
    week: tuple[ComingRun, ...] = field(default=WEEK, kw_only=True)
    due: tuple[StartedRun, ...] = field(default=(), kw_only=True)
    wanted: list[Any] = field(default_factory=list, kw_only=True)

    def _enter(self, call: str) -> None:
        raise NotImplementedError

    def _go(self, step: Step, phase: str, unit: str) -> None:
        for done in range(1, 5):
            if self.gate is not None:
                self.gate.acquire()
            step(Progress(phase, done, 4, unit))

    def try_ingest(self, paths: Sequence[Path], step: Step) -> IngestTrial:
        self._enter("try_ingest")
        if not paths[0].name.startswith("inbox"):
            raise UsageError(f"{paths[0]} does not exist", "check the path")
        self._go(step, "dry run", "files")
        return TRIAL

    def ingest(self, paths: Sequence[Path], step: Step) -> IngestView:
        self._enter("ingest")
        self._go(step, "ingest", "files")
        return TAKEN

    def add_model(self, name: str, path: Path, *, step: Step = lambda _: None, **given: Any) -> ModelView:
        self._enter(f"add_model {name} {path}")
        self.wanted.append(given)
        if "code" in path.name:
            raise ModelRejected(f"{path.name} brings code: modeling.py", "ask the vendor for weights alone")
        self._go(step, "sealing weights", "MiB")
        return ModelView(
            name, "image-text-to-text", "e77d" * 16, str(given.get("vendor", "")), "", False, 2_113_408,
            "2026-11-20T14:00:00Z", audited="language layers 2–3, projector",
            estimate=EstimateView(1000, 842.0, 3 << 30, "a trial of two pairs"),
        )  # fmt: skip

    def try_cohort(self, request: CohortRequest) -> CohortView:
        self._enter("try_cohort")
        self.wanted.append(request)
        if not request.selections["target"]:
            raise UsageError("the cohort cannot be frozen: no targets", "name the pairs in question")
        counts = (("fitting", 28), ("calibration", 40), ("target", 46))
        warnings = ("few controls: 40 patients",)
        return CohortView(
            request.name, "90ac" * 16, request.design, request.references, counts, warnings, BALANCED
        )

    def create_cohort(self, request: CohortRequest, step: Step) -> CohortView:
        self._enter("create_cohort")
        self._go(step, "looking for near-duplicates", "pairs")
        return CohortView(request.name, "90ac" * 16, request.design, request.references, ())

    def service(self) -> ServiceView:
        self._enter("service")
        return self.attended

    def schedules(self) -> tuple[ScheduleView, ...]:
        self._enter("schedules")
        return self.planned

    def coming_runs(self, days: int = 7) -> tuple[ComingRun, ...]:
        self._enter("coming_runs")
        return self.week

    def add_schedule(self, wanted: Schedule) -> ScheduleView:
        self._enter("add_schedule")
        self.wanted.append(wanted)
        if len(wanted.cron.split()) != 5:
            raise UsageError("a cron expression has five fields", "minute hour day month weekday")
        view = replace(PLANNED[1], schedule=wanted, last_told="never run", audits=())
        self.planned = (*self.planned, view)
        return view

    def remove_schedule(self, name: str) -> None:
        self._enter(f"remove_schedule {name}")
        self.planned = tuple(one for one in self.planned if one.schedule.name != name)

    def run_due(self) -> tuple[StartedRun, ...]:
        self._enter("run_due")
        return self.due
