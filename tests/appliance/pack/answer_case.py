"""A log of a quarter: two versions of a model, another model, audits in and out of the span."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from appliance.cases import steps
from appliance.cases.standing import Cases
from appliance.evidence.log import EvidenceLog
from appliance.evidence.views import ReviewRow
from appliance.pack import building
from appliance.pack.answer import building as answering
from appliance.pack.answer import quarter
from appliance.pack.answer.asked import Asked, Site
from appliance.pack.facts import PackInput
from appliance.registry import ModelRecord
from appliance.schedule_records import Kept, Run
from appliance.schedule_views import Schedule
from appliance.views import Progress, VerdictWord
from appliance.workspace.rows import StoredAudit
from tests.appliance import evidence_case as case

LINE, SECOND, OTHER = "lumen-vlm", "lumen-vlm@2", "north-vlm"
FAILED, PASSED, OF_OTHERS = "A-000000000001", "A-000000000002", "A-000000000003"
CUT_OFF, LATER = "A-000000000004", "A-000000000005"
Q3 = Asked(LINE, "2026-07-01", "2026-09-30")
CANARY = "CANARY"
DAY_MS = 86_400_000


@dataclass
class Quarterly:
    """The log with what the site knows besides."""

    log: EvidenceLog
    clock: case.FrozenClock
    given: dict[str, PackInput] = field(default_factory=dict)
    audits: list[StoredAudit] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    reviews: list[ReviewRow] = field(default_factory=list)
    schedules: dict[str, Kept] = field(default_factory=dict)

    def site(self, *versions: str) -> Site:
        """As the appliance hands it over; all versions of the line where none is named."""
        return Site(
            name="St. Example",
            demo=False,
            versions=[record(name) for name in versions or (LINE, SECOND)],
            audits=self.audits,
            cases=Cases(self.log, self.audits, lambda: self.kept),
            claims=(),
            changes=(),
            schedules=self.schedules,
            reviews=self.reviews,
        )

    def quarter(self, asked: Asked = Q3, size: int = 0, *versions: str) -> quarter.Quarter:
        """What there is at a state of the log; as it stands now where none is named."""
        return quarter.collected(self.log, self.site(*versions), asked, size or self.log.size)

    def answer(
        self, asked: Asked = Q3, size: int = 0, step: Callable[[Progress], None] = lambda _: None
    ) -> bytes:
        """The file."""
        return answering.build(self.log, self.quarter(asked, size), self.given.__getitem__, step)

    def days(self, number: int) -> None:
        """Let time pass."""
        self.clock.utc += number * DAY_MS
        self.clock.boot += number * DAY_MS * 1_000_000

    def audit(self, audit_id: str, model: str, word: VerdictWord) -> None:
        """An audit that finishes."""
        view = case.view(word, model)
        view = replace(view, row=replace(view.row, audit_id=audit_id))
        given = PackInput(view, "St. Example", case.POLICY, {"name": model}, {"share": 0.5}, related=(model,))
        handle = self.log.identifier(audit_id)
        self.log.append("audit.run", handle, "begins")
        building.close_audit(self.log, given, "officer")
        self.log.append("audit.run", handle, "done")
        self.given[audit_id] = given
        self.audits.append(StoredAudit(audit_id, model, "demo", "demo", "", state="done", verdict=str(word)))


def record(name: str) -> ModelRecord:
    """One registered version."""
    line, _, version = name.partition("@")
    return ModelRecord(
        name, "/m", "contrastive", "A", "p", {"a": "0" * 64}, "", {}, 7, "Lumen", "2026-03-01",
        of_line=line if version else "", version=int(version or 1),
    )  # fmt: skip


def built(directory: Path) -> Quarterly:
    """21 September to 20 October 2026."""
    clock = case.FrozenClock()
    log = EvidenceLog.open(directory, clock=clock)
    made = Quarterly(log, clock)
    log.append("model.add", log.identifier(LINE), "done", actor="officer")
    made.audit(FAILED, LINE, VerdictWord.FAIL)
    made.days(1)
    content, digest = steps.record(
        log, "officer", steps.DECIDE, FAILED,
        decision="referred", owner=CANARY, reason=f"{CANARY} was told of it", answers=("72h",),
    )  # fmt: skip
    made.kept[digest] = content
    log.append(steps.DECIDE, log.identifier(f"case\0{FAILED}"), "done", actor="officer", detail_digest=digest)
    made.audit(OF_OTHERS, OTHER, VerdictWord.FAIL)
    handle = log.identifier(CUT_OFF)
    log.append("audit.run", handle, "begins")
    log.append("audit.run", handle, "failed")
    made.audits.append(StoredAudit(CUT_OFF, LINE, "demo", "demo", "", state="failed", why=CANARY))
    log.append("schedule.add", log.identifier("nightly"), "failed")  # somebody typed a name that is taken
    log.append("schedule.missed", log.identifier("nightly"), "noted")
    log.append("schedule.run", log.identifier("nightly"), "done")
    run = Run("2026-09-22T02:00:00+00:00", "2026-09-22T09:00:00+00:00", 2, why=CANARY, over=True)
    wanted = Schedule(
        "nightly", "0 2 * * *", "UTC", LINE, "demo", "demo", added_utc="2026-09-19T00:00:00+00:00"
    )
    made.schedules["nightly"] = Kept(wanted, (run,))
    log.append("patient.erase", log.identifier("a patient"), "done", actor="officer")
    entry = log.append("log.review", "log", "done", actor="auditor", detail_digest="ab" * 32)
    made.reviews.append(ReviewRow(entry.index, entry.claimed_utc, "auditor", 0, entry.index - 1, CANARY))
    made.days(1)
    made.audit(PASSED, SECOND, VerdictWord.PASS)
    made.days(20)
    made.audit(LATER, LINE, VerdictWord.REVIEW)
    return made
