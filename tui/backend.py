"""What the screens need of the appliance, and nothing more; tests bring a simulator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from appliance.views import (
    AuditRow,
    AuditView,
    CohortView,
    IngestView,
    LogHealth,
    LogRow,
    ModelCheck,
    ModelDifference,
    ModelView,
    OverviewView,
    PairingView,
    Progress,
    QuarantineRow,
)

if TYPE_CHECKING:
    from appliance.cases.views import CaseRow, CaseView
    from appliance.charted import SeriesView
    from appliance.claims.views import ClaimRequest, ClaimRow, ClaimView
    from appliance.cohort_request import CohortRequest
    from appliance.doctor import Check
    from appliance.dry_run import IngestTrial
    from appliance.evidence.views import (
        CheckedFile,
        ExportedLog,
        LogFilter,
        LogPage,
        PackRow,
        StateView,
        WitnessRow,
    )
    from appliance.finding_views import (
        FindingsAsked,
        FindingsNeed,
        FindingsPage,
        FindingView,
        RevealedView,
        Second,
    )
    from appliance.members import UserView
    from appliance.pack.answer.views import AnswerView
    from appliance.policies.views import (
        ApprovalNeed,
        DryRunView,
        PolicyDifference,
        PolicyRow,
        PolicyView,
        TightenedPolicy,
    )
    from appliance.runs.views import RunView
    from appliance.schedule_views import ComingRun, Schedule, ScheduleView, StartedRun
    from appliance.service_views import ServiceView
    from appliance.setup_view import SetupView
    from appliance.strength import Strength
    from appliance.watch.views import (
        AnnouncementView,
        ChangeRow,
        ChangeView,
        LineageNode,
        WatchedModel,
    )


class Door(Protocol):
    """The way into a workspace; calls block, and may raise `appliance.errors.ApplianceError`."""

    @property
    def built(self) -> bool:
        """Whether there is a workspace; if not, the first run makes it."""

    def must_say_who(self) -> bool:
        """Whether a name is needed beside the passphrase."""

    def open(self, passphrase: str, user: str) -> Backend:
        """Unlock."""

    def create(self, site: str, user: str, passphrase: str) -> Backend:
        """Make the workspace with its first officer; whole, or not at all."""

    def strength(self, passphrase: str, *names: str) -> Strength:
        """How good a passphrase would be, in words; quick."""

    def new_words(self) -> str:
        """Words for a paper key, in four lines; they open nothing yet."""


class Backend(Protocol):
    """An unlocked workspace.

    Every call may block and is made off the UI's thread, one at a time. Every call may raise
    `appliance.errors.ApplianceError`.
    """

    @property
    def role(self) -> str:
        """Of whoever is signed in."""

    def may(self) -> frozenset[str]:
        """The acts of that role, by the names of these methods; quick."""

    def expect_permission(self, name: str) -> None:
        """Refuse an act that the role may not do, before anybody is asked for its details."""

    def setup(self) -> SetupView:
        """What a first run has settled, and where it goes on; quick."""

    def leave_setup(self, step: str) -> None:
        """Go on behind a step of the first run."""

    def set_intake(self, inbox: str, ae_title: str) -> None:
        """Say where files arrive, and as whom this site receives images."""

    def choose_policy(self, name: str) -> None:
        """Say which policy is offered first."""

    def users(self) -> tuple[UserView, ...]:
        """Everybody with a key of the workspace."""

    def quorum(self) -> int:
        """How many open findings together."""

    def add_user(self, name: str, role: str, passphrase: str, second: Second | None = None) -> None:
        """Add somebody who types a passphrase."""

    def remove_user(self, name: str, second: Second | None = None) -> None:
        """Remove a user and change the keys that user has seen; may take seconds."""

    def reset_passphrase(self, name: str, new: str, second: Second | None = None) -> None:
        """Give another user a passphrase and new keys; may take seconds."""

    def change_passphrase(self, old: str, new: str) -> None:
        """Change one's own."""

    def set_quorum(self, quorum: int, second: Second | None = None) -> None:
        """Say how many open findings together."""

    def add_recovery(self, name: str = "paper", words: str = "") -> str:
        """Add a paper key."""

    def overview(self) -> OverviewView:
        """Models with their last verdicts, the log's health, counts, and what needs a person."""

    def audits(self) -> tuple[AuditRow, ...]:
        """All audits, newest first."""

    def audit(self, audit_id: str) -> AuditView:
        """One finished audit whole."""

    def findings_need(self) -> FindingsNeed:
        """What opening the findings takes now."""

    def open_findings(self, passphrase: str = "", second: Second | None = None) -> None:
        """Open the findings until a lock."""

    def findings_page(
        self,
        audit_id: str,
        asked: FindingsAsked,
        offset: int,
        limit: int,
        on_step: Callable[[int, int], None] | None = None,
    ) -> FindingsPage:
        """At most `limit` findings from `offset` on; `on_step` is told where all rows are read once."""

    def finding(self, audit_id: str, patient: str) -> tuple[FindingView, ...]:
        """All pairs of one pseudonym in an audit, with every score."""

    def reveal_images(
        self, audit_id: str, patient: str, reason: str, second: Second | None = None
    ) -> RevealedView:
        """Break the glass: who a pseudonym is, with image and text; logged before it returns."""

    def audit_series(self, audit_id: str) -> SeriesView:
        """The audits of one model's versions beside this one."""

    def cohorts(self) -> tuple[CohortView, ...]:
        """Frozen cohorts an audit can run on."""

    def models(self) -> tuple[ModelView, ...]:
        """Registered models."""

    def compare_models(self, first: str, second: str) -> tuple[ModelDifference, ...]:
        """Facts and files that two models do not share."""

    def verify_model(self, name: str) -> ModelCheck:
        """Open all that was sealed of a model, and compare the vendor's folders where they still are."""

    def watch_models(
        self, names: Iterable[str] = (), step: Callable[[Progress], None] = ...
    ) -> tuple[WatchedModel, ...]:
        """Compare the vendors' folders with the newest versions, and register what has changed."""

    def watched(self) -> tuple[WatchedModel, ...]:
        """What the last look at every line came to; nothing is looked at."""

    def lineage(self, names: Iterable[str] = ()) -> tuple[LineageNode, ...]:
        """What was made of what, across lines, with every version; of these lines or of all."""

    def model_changes(self, names: Iterable[str] = ()) -> tuple[ChangeRow, ...]:
        """Versions that the watch has found, newest first; of these lines or of all."""

    def model_change(self, name: str) -> ChangeView:
        """A version against the one before it."""

    def announcements(self, name: str = "") -> tuple[AnnouncementView, ...]:
        """Changes that somebody said would come; of one line or of all."""

    def announce_change(
        self, name: str, reason: str, *, release: str = "", until: str = ""
    ) -> AnnouncementView:
        """Say that a line's next change is known."""

    def answer_change(self, name: str, reason: str) -> ChangeRow:
        """Answer a change that nobody had announced."""

    def claims(self) -> tuple[ClaimRow, ...]:
        """What vendors claim, with its standing."""

    def claim(self, claim_id: str) -> ClaimView:
        """One claim whole, with every audit that bears on it."""

    def add_claim(self, request: ClaimRequest) -> ClaimView:
        """Keep a claim."""

    def withdraw_claim(self, claim_id: str, reason: str) -> ClaimView:
        """Let a claim bear on no further audit."""

    def service(self) -> ServiceView:
        """Who looks after the schedules, and when somebody did last; quick."""

    def quarantine(self, each: bool = False) -> tuple[QuarantineRow, ...]:
        """What was set aside, by reason or file by file."""

    def try_ingest(self, paths: Sequence[Path], step: Callable[[Progress], None]) -> IngestTrial:
        """What an ingest would make of these files, in numbers; `step` may raise to cancel."""

    def ingest(self, paths: Sequence[Path], step: Callable[[Progress], None]) -> IngestView:
        """Take studies and reports in. `step` may raise to cancel; what is stored by then stays."""

    def add_model(
        self,
        name: str,
        path: Path,
        *,
        base: Path | None = None,
        adapter: Path | None = None,
        vendor: str = "",
        released: str = "",
        step: Callable[[Progress], None] = ...,
    ) -> ModelView:
        """Register a model, whole or not at all. `step` may raise to cancel."""

    def try_cohort(self, request: CohortRequest) -> CohortView:
        """A cohort as it would be frozen, with the balance of its roles; nothing is kept."""

    def create_cohort(self, request: CohortRequest, step: Callable[[Progress], None]) -> CohortView:
        """Freeze a cohort. `step` may raise to cancel."""

    def schedules(self) -> tuple[ScheduleView, ...]:
        """Every schedule by name, with its next run and what came of the last one."""

    def add_schedule(self, wanted: Schedule) -> ScheduleView:
        """Keep a schedule."""

    def remove_schedule(self, name: str) -> None:
        """Forget a schedule."""

    def coming_runs(self, days: int = 7) -> tuple[ComingRun, ...]:
        """What waits to be started, then the runs to come, and why one will not be started."""

    def run_due(self) -> tuple[StartedRun, ...]:
        """Start what is due now."""

    def pairing(self) -> PairingView:
        """How pairs were found and what is in none, in numbers."""

    def doctor(self) -> tuple[Check, ...]:
        """The self-check of this machine; takes seconds."""

    def policies(self) -> tuple[str, ...]:
        """Names of the policies an audit can run under."""

    def policy_versions(self) -> tuple[PolicyRow, ...]:
        """Every version of every policy, by name."""

    def policy(self, reference: str) -> PolicyView:
        """One version whole, with who proposed, approved or rejected it."""

    def propose_policy(self, file: Path, reason: str = "") -> PolicyRow:
        """Put a policy file up for approval."""

    def diff_policies(self, first: str, second: str = "") -> PolicyDifference:
        """Two policies key by key; of one alone, against what is in force."""

    def dry_run_policy(self, reference: str, since: str = "") -> DryRunView:
        """What every finished audit would have ended in, as far as that can be told."""

    def tighten_policy(self, base: str, vendor: Path, into: Path | None = None) -> TightenedPolicy:
        """A policy with what a vendor's file asks for, where that is stricter; a text to be proposed."""

    def approval_need(self) -> ApprovalNeed:
        """What approving a policy takes now."""

    def approve_policy(
        self, reference: str, from_day: str = "", passphrase: str = "", second: Second | None = None
    ) -> PolicyRow:
        """Let a proposal decide audits, from a day on."""

    def reject_policy(self, reference: str, reason: str) -> PolicyRow:
        """Take a proposal off the table."""

    def log_count(self) -> int:
        """How many entries the log has."""

    def log_entries(self, offset: int, limit: int) -> tuple[LogRow, ...]:
        """At most `limit` entries from index `offset`, oldest first."""

    def log_find(self, wanted: LogFilter, offset: int, limit: int, newest_first: bool = False) -> LogPage:
        """At most `limit` of the entries that a filter lets through, from `offset` on, and how many."""

    def log_verify(self, on_step: Callable[[int, int], None] | None = None) -> LogHealth:
        """Re-derive the whole log and say whether it is intact; may run beside the others.

        `on_step` is told how many entries were read, of how many, and may raise to stop.
        """

    def log_state(self) -> StateView:
        """The log's state in words that can be written down."""

    def witnesses(self) -> tuple[WitnessRow, ...]:
        """Every trusted witness, and what it has seen."""

    def export_log(self, path: Path, form: str, first: int | None, last: int | None) -> ExportedLog:
        """Write entries to a file for other programs."""

    def auto_lock_minutes(self) -> int:
        """After how many minutes without a key the screens lock themselves; 0 for never."""

    def queue_audit(self, model: str, cohort: str, policy: str) -> RunView:
        """Ask for an audit: it runs in a process of its own, now or after those asked for before."""

    def runs(self) -> tuple[RunView, ...]:
        """The audit at work, those that wait in their order, and those that were paused or cut off; quick."""

    def pause_run(self, run_id: str) -> RunView:
        """Let a run stop at its next step, keeping what it has measured."""

    def resume_run(self, run_id: str) -> RunView:
        """Let a run that was paused or cut off go on, before those that wait."""

    def first_run(self, run_id: str) -> RunView:
        """Move a run that waits before the others."""

    def cancel_run(self, run_id: str) -> None:
        """Give a run up for good: what it has measured is removed."""

    def export_pack(
        self, audit_id: str, path: Path, edition: str = "full", withhold: Collection[str] = ()
    ) -> Path:
        """Write the evidence pack of an audit and return where it lies."""

    def not_made(self) -> str:
        """What packs lack because of this machine; "" for nothing."""

    def answer_auditor(
        self, model: str, since: str, until: str, path: Path, step: Callable[[Progress], None]
    ) -> AnswerView:
        """Write all audits of a model in a span of days, with packs and log entries, into one file."""

    def cases(self) -> tuple[CaseRow, ...]:
        """Every case, open and overdue ones first."""

    def case(self, audit_id: str) -> CaseView:
        """One case whole, with every reason."""

    def assign_case(self, audit_id: str, owner: str = "") -> CaseView:
        """Give a case an owner."""

    def decide_case(self, audit_id: str, decision: str, reason: str, answers: Sequence[str] = ()) -> CaseView:
        """Write down what was decided, why, and which clocks that answers."""

    def reopen_case(self, audit_id: str, reason: str) -> CaseView:
        """Take a decision back."""

    def packs(self) -> tuple[PackRow, ...]:
        """Every evidence pack that was written, newest first."""

    def verify_pack(self, path: Path) -> CheckedFile:
        """Check a pack in a file with no key needed; one that is broken raises."""

    def lock(self) -> None:
        """Forget the keys; no other call may follow."""
