"""One simulated year: a real site beside the truth about it, and what the two do not agree on."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from unittest import mock

from appliance import enrolment
from appliance import worker as worker_module
from appliance.api import Appliance
from appliance.evidence import making
from appliance.runs import launching
from appliance.schedule_views import ALL, Schedule
from appliance.views import AuditRow
from simulated import daemons, site, vendors
from simulated.clock import SimulatedClock, running
from simulated.happenings import DESIGN, Happenings
from simulated.oracle import LATE, MINUTE, Expected, dues
from simulated.planted_worker import PlantedWorker, planted
from simulated.story import Planned, Story

Audits = Counter[tuple[str, str, str]]  # model, cohort, policy
Due = tuple[Planned, datetime, int]  # when it was due, and how many earlier ones it stands for

_TOLD = ("contradicted", "questioned")


@dataclass
class Seen:
    """What the year came to.

    Attributes:
        runs: that had to be, and were begun.
        wrong: what should not be, in words.
        missed, missed_logged: runs that caught up, and entries of the log that say so.
        verdicts: (model, word) of every finished audit.
        claims: (model, finding) of every claim that an audit knew of.
        changes: announced and unannounced ones that were seen.
        entries: of the log.
        found_in, found_after_h: the version that failed first; hours from its delivery to the verdict.
        killed: daemons, with or without their machine.
    """

    runs: int = 0
    wrong: list[tuple[str, str]] = field(default_factory=list)
    missed: int = 0
    missed_logged: int = 0
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    claims: Counter[tuple[str, str]] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    entries: int = 0
    found_in: str = ""
    found_after_h: float = 0.0
    killed: int = 0


class Year(Happenings):
    """A site, its machine, its vendors, and an oracle that knows what has to happen.

    Args:
        folder: empty.
        story: what happens.
    """

    def __init__(self, folder: Path, story: Story) -> None:
        super().__init__()
        self.folder, self.story = folder, story
        self.clock = SimulatedClock(story.begin, story.begin)
        self.seen = Seen()
        self.lines = {}
        self._asked_to_work = False
        self._carried: list[Due] = []
        self._known: dict[str, frozenset[str]] = {}
        self._ended: set[str] = set()
        self._audited: set[tuple[str, str, str]] = set()

    def pass_by(self) -> Seen:
        """Live through it."""
        with self._simulated():
            self._set_up()
            events = list(self.story.events)
            while self.clock.true < self.story.end:
                while events and events[0].at <= self.clock.true:
                    self.happen(events.pop(0))
                if self.up:
                    self._minute()
                    self.afterwards()
                self.clock.true += MINUTE
            self._close()
        return self.seen

    # -- the site --------------------------------------------------------------------------------------

    @contextmanager
    def _simulated(self) -> Iterator[None]:
        with ExitStack() as held:
            held.enter_context(mock.patch.object(worker_module, "Worker", PlantedWorker))
            held.enter_context(mock.patch.object(enrolment, "Worker", PlantedWorker))
            held.enter_context(mock.patch.object(launching, "start", self._begin_work))
            self.lines = vendors.lines(self.folder, self.story.lines)
            held.enter_context(planted(vendors.exposing(self.lines, lambda: self.veiled)))
            held.enter_context(mock.patch.object(Appliance, "_quiet_s", 0.0))
            held.enter_context(mock.patch.object(making, "PIECE", 512))  # a long log's index in a year's
            held.enter_context(running(self.clock))
            yield

    def _begin_work(self, *_: object) -> None:
        self._asked_to_work = True

    def _set_up(self) -> None:
        """Panels, models, policies and schedules, on the first day."""
        self.root = site.made(self.folder)
        self.site = Appliance.unlock(self.root, site.PASSPHRASE)
        for name, line in self.lines.items():
            if name != "veil":
                line.register(self.site)
        for name in ("watching", "sundays", "further"):
            self.approve(site.policy(self.folder, name))
        first, last = self.story.begin.date(), self.story.end.date()
        self._expected = []
        for one in self.story.planned:
            self.site.add_schedule(one.asked)
            due = tuple(dues(one.plan, _a_year(first, -1), _a_year(last, 1)))
            self._expected.append((one, Expected(one.plan, due, self.clock.shown)))
        self._in_force = self.clock.shown
        self._begun = self._begun_now()

    def _begun_now(self) -> set[tuple[str, datetime]]:
        kept = self.site._kept()
        return {(name, at) for name, one in kept.items() for at in one.begun()}

    # -- a minute --------------------------------------------------------------------------------------

    def _minute(self) -> None:
        """Let the daemon look, if this is a minute in which anything can happen."""
        shown = self.clock.shown
        if not self._carried and not any(one.stirs(shown) for _, one in self._expected):
            return
        found = [(planned, *run) for planned, one in self._expected if (run := one.at(shown))]
        found.sort(key=lambda run: -run[0].asked.priority)
        due = self._carried + found
        self._carried = []
        if found and (trouble := self.story.trouble.get(self.seen.runs)):
            self._in_trouble(due, *trouble)
        else:
            self.look(due)
        self.seen.runs += len(found)

    def _in_trouble(self, due: list[Due], kind: str, step: int) -> None:
        if kind == "two":
            ended = daemons.separate(self.root, daemons.beginning, daemons.beginning)
            if any(ended):
                self.wrong("run", f"one of two daemons ended with {ended}")
            self._asked_to_work = True
            self.look(due)
            return
        self.seen.killed += 1
        act = daemons.switched_off if kind == "reboot" else daemons.killed_at(step)
        daemons.separate(self.root, act)
        self._carried = due  # the next daemon goes on with it
        if kind == "reboot":
            self.site.close()
            self.clock.switch_on()
            self.site = Appliance.unlock(self.root, site.PASSPHRASE)
            self.cut_off = self.clock.true
        self._asked_to_work = True

    def look(self, due: list[Due]) -> None:
        """A look of the daemon: begin what is due, audit what is queued, and compare with what had to be."""
        wanted = self._wanted(due)
        self.site.run_due()
        if self._asked_to_work:
            self._asked_to_work = False
            self.site._work_through(lambda: None)
        for name, kept in self.site._kept().items():
            if any(not run.over for run in kept.runs):
                self.wrong("run", f"{name} was begun, and nobody went on with it")
        begun = self._begun_now()
        new, must = begun - self._begun, {(one.plan.name, at) for one, at, _ in due}
        self._begun = begun
        for name, at in sorted(new - must):
            self.wrong("run", f"{name} of {at} was begun and had not to be")
        for name, at in sorted(must - new):
            self.wrong("run", f"{name} of {at} was not begun")
        if due or not wanted:
            self._compare_audits(wanted)
        late = [1 for _, at, missed in due if missed or self.clock.shown - at >= LATE]
        self.seen.missed += len(late)

    def _wanted(self, due: list[Due]) -> Audits:
        """The audits that these runs have to ask for."""
        found: Audits = Counter()
        for planned, _, _ in due:
            asked = planned.asked
            if self.clock.shown < self._in_force:
                self._named(asked)
                continue  # its policy was approved on a day that is yet to come by this clock
            for line in self._named(asked):
                what = line.known_as, asked.cohort, asked.policy
                if not asked.watch or (line.mounted and what not in self._audited):
                    found[what] += 1
                    self._audited.add(what)
        return found

    def _named(self, asked: Schedule) -> list[vendors.Line]:
        """Lines that a schedule names; what it watches has been seen."""
        lines = [line for line in self.lines.values() if line.newest and asked.model in (ALL, line.name)]
        for line in lines if asked.watch else ():
            line.see()
        return lines

    def _compare_audits(self, wanted: Audits) -> None:
        rows = {row.audit_id: row for row in self.site.audits()}
        queued = {run.run_id: run for run in self.site.runs()}
        new: Audits = Counter()
        for name in {*rows, *queued} - {*self._known} - self.by_hand:
            one = rows.get(name) or queued[name]
            new[one.model, one.cohort, one.policy] += 1
        self._known |= {name: frozenset(self.claimed) for name in {*rows, *queued} - {*self._known}}
        for what, number in ((new - wanted) + (wanted - new)).items():
            more = "too often" if (new - wanted)[what] else "not"
            self.wrong("audit", f"{what} was audited {more} ({number})")
        for row in rows.values():
            if row.state == "done" and row.audit_id not in self._ended:
                self._ended.add(row.audit_id)
                self._judge(row)
        if queued and not self.cut_off:
            self.wrong("audit", f"{[(run.model, run.state, run.why) for run in queued.values()]} wait")

    def _judge(self, row: AuditRow) -> None:
        """Whether a verdict is one that the truth allows."""
        word, line = str(row.verdict), self.lines[row.model.partition("@")[0]]
        self.seen.verdicts[row.model, word] += 1
        if word == "FAIL" and not self.seen.found_in and row.model.startswith(vendors.LEAKY):
            self.seen.found_in = row.model
            if self.leaked is not None:
                self.seen.found_after_h = (self.clock.true - self.leaked) / timedelta(hours=1)
        allowed = self._allowed(row, line)
        if word not in allowed:
            self.wrong("verdict", f"{row.model} was given {word}, not {' or '.join(allowed)}: {row.why}")
        version = "2" if row.policy == "sundays" and self.clock.shown >= self.stricter_from else "1"
        if row.policy_version != version:
            self.wrong("policy", f"{row.policy} {row.policy_version} decided, not {version}")
        self._look_at_claims(row, word)

    def _look_at_claims(self, row: AuditRow, word: str) -> None:
        """Whether a verdict says what becomes of a claim that its audit knew of."""
        view = self.site.audit(row.audit_id)
        for one in view.result.claims:
            self.seen.claims[row.model, str(one.finding)] += 1
            if one.finding in _TOLD and not any(one.sentence in reason for reason in view.verdict.reasons):
                self.wrong("claim", f"{row.model}, {one.finding}: the verdict does not say so")
        found = {str(one.finding) for one in view.result.claims}
        if row.cohort == DESIGN and (word, found) != ("FAIL", {"contradicted"}):
            self.wrong("claim", f"an epsilon that is too small gave {word}, {found}")
        if row.model.startswith("sprig") and "sprig" in self._known.get(row.audit_id, ()) and not found:
            self.wrong("claim", "an audit did not know of a claim")

    def _allowed(self, row: AuditRow, line: vendors.Line) -> tuple[str, ...]:
        """Verdicts that the truth allows."""
        if not line.as_registered and row.model == line.known_as:
            return ("VOID",)
        if line.name == "veil":  # its controls on the panels left for its training as well
            return ("FAIL",) if row.cohort not in ("panel", "spring") else ("FAIL", "REVIEW", "INCONCLUSIVE")
        if row.model == f"{vendors.LEAKY}@{vendors.LEAK}":
            return ("FAIL",)
        if line.name in self._known.get(row.audit_id, ()):
            return ("REVIEW",)
        return ("PASS",) if row.policy != "sundays" else ("PASS", "REVIEW")

    def wrong(self, kind: str, what: str) -> None:
        """Something is not as it has to be."""
        at = f"{self.clock.true:%Y-%m-%d %H:%M}, shown {self.clock.shown:%Y-%m-%d %H:%M}"
        self.seen.wrong.append((kind, f"{at}: {what}"))

    def _close(self) -> None:
        """The last day: everything is seen, said and logged."""
        if not self.up:
            self.on_on()
        self.on_look()
        self.look([])
        self._compare_changes()
        needs = " ".join(self.site.overview().needs_me)
        cases = {case.audit_id for case in self.site.cases()}
        for row in self.site.overview().models:
            if row.verdict in ("FAIL", "REVIEW") and row.audit_id not in cases:
                self.wrong("needs", f"nobody is sent to {row.model}, {row.verdict}")
        if any(finding == "contradicted" for _, finding in self.seen.claims) and "claim" not in needs:
            self.wrong("needs", "the overview does not say that a claim is contradicted")
        self._compare_log()
        self.site.close()

    def _compare_changes(self) -> None:
        must = {(name, *how) for line in self.lines.values() for name, how in line.seen.items()}
        rows = self.site.model_changes()
        told = {(row.model, str(row.found), "+".join(row.parts)) for row in rows}
        for one in sorted(must ^ told):
            self.wrong("change", f"{one} was {'told and never was' if one in told else 'not told'}")
        self.seen.changes.update(str(row.found) for row in rows)

    def _compare_log(self) -> None:
        """Intact by both verifiers; every run that caught up has its entry, and every act its end."""
        if not self.site.log_verify().intact:
            self.wrong("log", "it is not intact")
        verifier = [sys.executable, "-I", "-S", str(vendors.ROOT / "verify_evidence.py")]
        ran = subprocess.run([*verifier, str(self.site._workspace.log_dir)], capture_output=True, check=False)
        if ran.returncode:
            self.wrong("log", f"the verifier that stands alone says {ran.stdout.decode()[:80]}")
        rows = self.site.log_entries(0, self.site.log_count())
        self.seen.entries = len(rows)
        self.seen.missed_logged = sum(row.act == "schedule.missed" for row in rows)
        if not self.seen.missed <= self.seen.missed_logged <= self.seen.missed + self.seen.killed:
            self.wrong("log", f"{self.seen.missed} runs caught up, {self.seen.missed_logged} entries say so")
        begun: Counter[tuple[str, str]] = Counter()
        for row in rows:
            if row.act.endswith(".root"):
                continue  # says where a database may stand, and not that somebody does something
            begun[row.act, row.object] += {"begins": 1, "done": -1, "failed": -1}.get(row.outcome, 0)
        open_ended = sum(number for number in begun.values() if number > 0)
        if open_ended > self.seen.killed:
            self.wrong(
                "log", f"{open_ended} acts have no outcome, and {self.seen.killed} daemons were killed"
            )


def _a_year(day: date, years: int) -> date:
    return day + years * 367 * timedelta(days=1)
