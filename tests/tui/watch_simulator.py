"""The watch over vendor models and the vendors' claims behind the screens' backend protocol, planted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from appliance.claims.views import ClaimRequest, ClaimRow, ClaimView
from appliance.errors import ApplianceError, UsageError
from appliance.watch.views import (
    AnnouncementView,
    AnswerView,
    ChangeRow,
    ChangeView,
    LineageNode,
    WatchedModel,
)
from tests.tui.arrivals import Step
from tests.tui.claim_views import demo_claims, kept
from tests.tui.watch_views import (
    ANNOUNCED,
    CHANGE,
    CHANGES,
    EXPECTED,
    FIRST_CHANGE,
    LINEAGE,
    LOOKED,
    SEEN,
    answered,
)


@dataclass
class SimulatedWatch:
    """Planted answers; `_enter` and `_go` are the simulator's."""

    failing: dict[str, ApplianceError] = field(default_factory=dict, kw_only=True)
    lineage_: tuple[LineageNode, ...] = field(default=LINEAGE, kw_only=True)
    changes_: tuple[ChangeRow, ...] = field(default=CHANGES, kw_only=True)
    looked: tuple[WatchedModel, ...] = field(default=LOOKED, kw_only=True)
    announced: tuple[AnnouncementView, ...] = field(default=(ANNOUNCED, EXPECTED), kw_only=True)
    claims_: dict[str, ClaimView] = field(default_factory=demo_claims, kw_only=True)

    def _enter(self, call: str) -> None:
        raise NotImplementedError

    def _go(self, step: Step, phase: str, unit: str) -> None:
        raise NotImplementedError

    def watch_models(
        self, names: Iterable[str] = (), step: Step = lambda _: None
    ) -> tuple[WatchedModel, ...]:
        wanted = tuple(names)
        self._enter(" ".join(("watch_models", *wanted)))
        self._go(step, "reading", "MiB")
        return tuple(one for one in self.looked if not wanted or one.line in wanted)

    def watched(self) -> tuple[WatchedModel, ...]:
        self._enter("watched")
        return self.looked

    def lineage(self, names: Iterable[str] = ()) -> tuple[LineageNode, ...]:
        self._enter("lineage")
        return self.lineage_

    def model_changes(self, names: Iterable[str] = ()) -> tuple[ChangeRow, ...]:
        self._enter("model_changes")
        wanted = tuple(names)
        return tuple(row for row in self.changes_ if not wanted or row.line in wanted)

    def model_change(self, name: str) -> ChangeView:
        self._enter(f"model_change {name}")
        row = next(row for row in self.changes_ if row.model == name)
        return replace(CHANGE if row.version == 3 else FIRST_CHANGE, row=row)

    def announcements(self, name: str = "") -> tuple[AnnouncementView, ...]:
        self._enter("announcements")
        return tuple(one for one in self.announced if name in ("", one.line))

    def announce_change(
        self, name: str, reason: str, *, release: str = "", until: str = ""
    ) -> AnnouncementView:
        self._enter(f"announce_change {name} {reason}")
        if until and len(until) != 10:
            raise UsageError(f"{until} is no day", "write YYYY-MM-DD")
        one = AnnouncementView(name, release, until, reason, SEEN, "officer:77aa", "", False)
        self.announced = (*self.announced, one)
        return one

    def answer_change(self, name: str, reason: str) -> ChangeRow:
        self._enter(f"answer_change {name} {reason}")
        said = AnswerView(reason, SEEN, "officer:77aa")
        self.changes_ = tuple(
            replace(row, answer=said) if row.model == name else row for row in self.changes_
        )
        self.lineage_ = answered(self.lineage_, name)
        return next(row for row in self.changes_ if row.model == name)

    def claims(self) -> tuple[ClaimRow, ...]:
        self._enter("claims")
        return tuple(view.row for view in self.claims_.values())

    def claim(self, claim_id: str) -> ClaimView:
        self._enter(f"claim {claim_id}")
        return self.claims_[claim_id]

    def add_claim(self, request: ClaimRequest) -> ClaimView:
        self._enter("add_claim")
        if request.budget is not None and not request.budget.epsilon > 0:
            raise UsageError("epsilon must be above 0", "write it as the vendor does")
        view = kept(request)
        self.claims_ = {**self.claims_, view.row.claim_id: view}
        return view

    def withdraw_claim(self, claim_id: str, reason: str) -> ClaimView:
        self._enter(f"withdraw_claim {claim_id} {reason}")
        view = self.claims_[claim_id]
        row = replace(view.row, in_force=False)
        self.claims_[claim_id] = view = replace(view, row=row, withdrawn_utc=SEEN, reason=reason)
        return view
