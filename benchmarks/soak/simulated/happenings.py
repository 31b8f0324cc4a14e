"""What happens to a site during a year: vendors deliver, the power fails, clocks are set, officers act."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from appliance.api import Appliance
from appliance.claims.views import Budget, ClaimKind, ClaimRequest, ClaimUnit, Neighbours
from appliance.designs import shelf
from appliance.designs.assignment import Arm
from appliance.designs.making import DesignRequest
from appliance.designs.revealing import RevealRequest
from appliance.runs.views import RunState
from simulated import site, vendors
from simulated.clock import SimulatedClock
from simulated.story import DAY, Event

CLAIMED = {
    "sprig": Budget(0.5, 1e-5, 0.6, 0.01, 10_000, ClaimUnit.PATIENT, neighbours=Neighbours.ADD_REMOVE),
    "veil": Budget(1.0, 1e-5, 4.0, 0.01, 1000, ClaimUnit.PATIENT, neighbours=Neighbours.ADD_REMOVE),
}
"""Of `sprig` the vendor's own parameters give more than is claimed; of `veil` an audit does."""
DESIGN = "trial"


class Happenings:
    """Handlers of a story's events, by name.

    Attributes:
        veiled: patients whose records left for the training of `veil`.
        claimed: line -> since when its vendor's claim is known.
        leaked: when the leak lay on the disk.
        answered: versions that an officer has answered.
        stricter_from: when the stricter version of a policy comes into force.
        by_hand: audits that no schedule asked for.
    """

    folder: Path
    root: Path
    clock: SimulatedClock
    lines: dict[str, vendors.Line]
    site: Appliance

    def __init__(self) -> None:
        self.up = True
        self.veiled: frozenset[str] = frozenset()
        self.claimed: set[str] = set()
        self.leaked = self.cut_off = None
        self.answered: set[str] = set()
        self.by_hand: set[str] = set()
        self.stricter_from = datetime.max.replace(tzinfo=UTC)
        self._later: list[Callable[[], None]] = []

    def happen(self, event: Event) -> None:
        """Let it happen; what people do at the machine waits until it is on."""
        name = f"on_{event.what}"
        if name in ("on_off", "on_on", "on_set_clock", "on_mount", "on_deliver") or self.up:
            getattr(self, name)(*event.given)
        else:
            self._later.append(lambda: getattr(self, name)(*event.given))

    def afterwards(self) -> None:
        """What waited for the machine, once its daemon has looked."""
        later, self._later = self._later, []
        for one in later:
            one()

    def look(self, due: list[object]) -> None:
        """See `year.Year`."""

    def wrong(self, kind: str, what: str) -> None:
        """See `year.Year`."""

    # -- the machine -----------------------------------------------------------------------------------

    def on_off(self) -> None:
        """The machine goes off."""
        self.up = False
        self.site.close()

    def on_on(self) -> None:
        """And on."""
        self.up = True
        self.clock.switch_on()
        self.site = Appliance.unlock(self.root, site.PASSPHRASE)

    def on_set_clock(self, by: timedelta) -> None:
        """Somebody sets the machine's clock."""
        self.clock.off_by += by

    # -- vendors ---------------------------------------------------------------------------------------

    def on_announce(self, name: str) -> None:
        """A vendor says that something will come."""
        self.site.announce_change(name, "the vendor has written that a release comes")
        self.lines[name].announced = True

    def on_deliver(self, name: str, part: str) -> None:
        """A vendor changes a folder, which may lie on a disk that is away."""
        line = self.lines[name]
        line.deliver(part)
        if name == vendors.LEAKY and line.disk == vendors.LEAK:
            self.leaked = self.clock.true

    def on_mount(self, name: str, mounted: bool) -> None:
        """A vendor's disk comes or goes."""
        self.lines[name].mount(mounted)

    def on_commit(self, name: str) -> None:
        """Coins are thrown: who leaves for the training of a model."""
        self.site.new_design(DesignRequest(DESIGN, "all", 0, "0.5"), self.folder / "leaving", lambda _: None)

    def on_claim(self, name: str) -> None:
        """A vendor claims a small epsilon; of `veil` together with the model."""
        if name == "veil":
            drawn = shelf.named(self.site._workspace, self.site._log, DESIGN).assignment
            self.veiled = frozenset(one.patient for one in drawn.patients if one.arm is Arm.RELEASED)
            self.lines[name].register(self.site)
        source = "the vendor's model card"
        self.site.add_claim(ClaimRequest(name, ClaimKind.PRIVATE, source, later=True, budget=CLAIMED[name]))
        self.claimed.add(name)

    # -- officers --------------------------------------------------------------------------------------

    def on_reveal(self, name: str) -> None:
        """The coins are opened, and the model is audited against them."""
        view = self.site.reveal_design(RevealRequest(DESIGN, name, "further"), lambda _: None)
        self.by_hand.add(view.row.audit_id)

    def on_tighten(self) -> None:
        """A stricter policy is approved, to come into force two weeks later; once the clock is right."""
        if self.clock.off_by:
            self._later.append(self.on_tighten)
            return
        day = (self.clock.shown + 14 * DAY).date().isoformat()
        self.approve(site.policy(self.folder, "sundays", "2", alpha_review=0.1), day)
        self.stricter_from = datetime.fromisoformat(f"{day}T00:00:00+00:00")

    def approve(self, file: Path, day: str = "") -> None:
        """Propose and approve."""
        row = self.site.propose_policy(file)
        self.site.approve_policy(f"{row.name}@{row.version}", day, site.PASSPHRASE)

    def on_look(self) -> None:
        """An officer reads the overview, answers what nobody announced, and resumes what was cut off."""
        self.look([])
        needs = " ".join(self.site.overview().needs_me)
        for row in self.site.model_changes():
            if row.waits:
                if row.model not in needs:
                    self.wrong("needs", f"the overview does not say that {row.model} was not announced")
                self.site.answer_change(row.model, "the vendor was asked and has explained it")
                self.answered.add(row.model)
        for run in self.site.runs():
            if run.state is RunState.INTERRUPTED:
                self.site.resume_run(run.run_id)
        self.cut_off = None
        self.look([])
