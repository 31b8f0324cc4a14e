"""Result: one audit, from the verdict in words down to the digests it rests on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget

from appliance.views import AuditResult, AuditView, DetectorReport
from appliance.words.table import tell
from tui.screens.export import Export, ExportDialog
from tui.screens.section import DEMO_NOTE, Section, navigation
from tui.text import foreign, line
from tui.widgets.bars import Bars
from tui.widgets.calibration import CalibrationPlot, bins_of
from tui.widgets.chrome import Banner, Notice
from tui.widgets.claim_checks import ClaimChecks
from tui.widgets.control_chart import ControlChart
from tui.widgets.controls import ControlsTable, TierLines
from tui.widgets.drawing import Facts, Heading, Lines
from tui.widgets.exposure import ExposureBlock
from tui.widgets.histogram import HistogramPlot
from tui.widgets.layers import LayersPlot
from tui.widgets.limits import Limits
from tui.widgets.roc import DetectorLines, RocPlot
from tui.widgets.verdict import VerdictStrip
from tui.words import ROLE, duration, moment

if TYPE_CHECKING:
    from appliance.charted import SeriesView


def deciding(view: AuditView) -> DetectorReport | None:
    """The report of the detector the policy registered."""
    return next((report for report in view.result.detectors if report.decides), None)


def _carried(result: AuditResult) -> Iterable[Widget]:
    """What set targets apart by signal; the plain weights in results that do not hold that."""
    if result.decision_carried:
        some = result.exposure is not None and result.exposure.flagged > 0
        yield Heading(tell("result.carried.flagged") if some else tell("result.carried.targets"))
        yield Bars(result.decision_carried, "")
    else:
        yield Heading(tell("result.weighed"))
        yield Bars(result.decision_weights, tell("result.no_weights"))


def _calibration(result: AuditResult) -> Iterable[Widget]:
    yield Heading(tell("series.calibration"))
    if result.reliability:
        yield CalibrationPlot(bins_of(result))
    else:
        yield Lines(Content.styled(tell("series.no_calibration"), "$muted"))


def _over_versions(charted: SeriesView) -> Iterable[Widget]:
    yield Heading(tell("series.title"))
    yield ControlChart(charted.points, charted.limit)
    if charted.apart:
        told = (
            tell("series.apart", name=line(one.name), day=line(one.day), why=one.why) for one in charted.apart
        )
        yield Lines(*(Content.styled(one, "$muted") for one in told))


class ResultScreen(Section):
    """One audit whole."""

    TITLE = "Result"
    HELP_TEXT = (
        "The verdict stands boxed among the five, always in the same order. Below it: reasons, what the "
        "vendor claimed and what the numbers say of it, how many patients, the scores with the threshold, "
        "the ROC, every control, the layers that remember, and what the evidence does not prove. Arrows and "
        "page keys scroll; e writes the evidence pack."
    )
    BINDINGS = navigation("result", Binding("e,f6", "export", "Export"))

    def __init__(self, audit_id: str) -> None:
        super().__init__()
        self.audit_id = audit_id
        self.view: AuditView | None = None

    def body(self) -> ComposeResult:
        """A page that scrolls."""
        with VerticalScroll(id="page"):
            yield Lines(Content.styled(tell("result.reading"), "$muted"), id="wait")

    async def load(self) -> None:
        """Read the audit and build the page."""
        self.view = view = await self.ask(self.app.backend.audit, self.audit_id)
        demo = bool(self.app.known and self.app.known.demo)
        if demo or view.sample_note:
            note = view.sample_note.removeprefix("DEMO. ") or DEMO_NOTE
            word = tell("banner.published") if view.result.as_published else tell("banner.small")
            self.query_one(Banner).say("DEMO" if demo else word, note)
        charted = await self.ask(self.app.backend.audit_series, self.audit_id)
        page = self.query_one("#page", VerticalScroll)
        await page.remove_children()
        await page.mount_all([*self._page(view, charted)])
        page.focus()

    def _page(self, view: AuditView, charted: SeriesView) -> Iterable[Widget]:
        result, row = view.result, view.row
        begun = moment(line(row.started_utc))
        made = tell("result.made", cohort=line(row.cohort), policy=line(view.policy), moment=begun)
        subject = Content.assemble(foreign(row.model, "bold"), "  ", (made, "$muted"))
        yield Lines(subject)
        yield VerdictStrip(view.verdict)
        if result.claims:
            yield Heading(tell("report.claims"))
            yield ClaimChecks(result, view.verdict.word)
        yield Horizontal(
            Vertical(
                Heading(tell("result.exposure")),
                ExposureBlock(result, view.verdict.word),
                Heading(tell("report.scores")),
                HistogramPlot(result.histogram, result.deciding_detector),
            ),
            Vertical(
                Heading(tell("result.roc")),
                RocPlot(deciding(view)),
                Heading(tell("result.tier")),
                TierLines(result.tier, result.design.value, result.references.value),
            ),
            classes="pair",
        )
        yield Heading(tell("result.controls"))
        yield ControlsTable(result.controls)
        if result.limits:
            yield Heading(tell("report.limits"))
            yield Limits(result.limits)
        yield Horizontal(
            Vertical(
                Heading(tell("result.layers")),
                LayersPlot(result),
            ),
            Vertical(
                Heading(tell("result.detectors")),
                DetectorLines(result.detectors),
                *_carried(result),
            ),
            classes="pair",
        )
        yield from _calibration(result)
        yield from _over_versions(charted)
        yield Heading(tell("result.rests"))
        yield self._provenance(view)

    def _provenance(self, view: AuditView) -> Facts:
        result = view.result
        counts = ", ".join(f"{number} {ROLE.get(role, line(role))}" for role, number in result.counts.items())
        seconds = sum(timing.seconds for timing in result.timings)
        slow = max(result.timings, key=lambda timing: timing.seconds, default=None)
        spent = duration(seconds)
        if slow:
            longest = {"phase": line(slow.phase), "longest": duration(slow.seconds)}
            spent = tell("result.time", spent=spent, **longest)
        facts = ", ".join(f"{line(name)} {line(value)}" for name, value in result.model_facts.items())
        layers = ", ".join(f"{line(layer)} {line(state)}" for layer, state in view.isolation)
        rests = Facts(15)
        rests.show(
            (tell("report.patients"), Content(counts)),
            (tell("text.model"), Content(facts)),
            (tell("report.isolation"), Content(layers)),
            (tell("result.spent"), Content(spent)),
            (tell("report.model_digest"), foreign(view.model_digest)),
            (tell("report.cohort_digest"), foreign(view.cohort_digest)),
            (tell("report.policy_digest"), foreign(view.policy_digest)),
            (tell("text.audit"), foreign(view.row.audit_id)),
        )
        return rests

    def action_export(self) -> None:
        """Ask where the evidence pack goes, then write it."""
        if self.view is not None:
            suggestion = f"evidence-{line(self.audit_id)}.zip"
            self.app.push_screen(ExportDialog(suggestion), self._export)

    def _export(self, wanted: Export | None) -> None:
        if wanted:
            self.run_worker(self._write(wanted), group="export")

    async def _write(self, wanted: Export) -> None:
        from appliance.errors import ApplianceError

        self.query_one(Notice).confirm(tell("result.writing"))
        try:
            path, write = Path(wanted.path).expanduser(), self.app.backend.export_pack
            written = await self.ask(write, self.audit_id, path, wanted.edition, wanted.withhold)
        except ApplianceError as error:
            self.complain(error)
        else:
            self.query_one(Notice).confirm(
                tell("result.written", file=written), f"python3 verify_evidence.py {written}"
            )
