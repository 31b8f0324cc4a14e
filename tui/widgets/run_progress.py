"""How far a run is: finished phases in one line each, the present one with bar, count and rate, time left."""

from __future__ import annotations

from textual.content import Content

from appliance.runs.views import PhaseView, RunState, RunView
from tui.text import foreign, line
from tui.widgets.drawing import Drawing
from tui.words import duration

_SHOWN = 6  # finished phases
_AT_REST = {
    RunState.WAITING: "waits for its turn",
    RunState.PAUSED: "paused: what it has measured is kept, and it holds no memory",
    RunState.INTERRUPTED: "cut off: what it has measured is kept",
    RunState.REFUSED: "could not begin",
}


def summary(run: RunView) -> str:
    """One short line for the top of every screen."""
    if run.state is not RunState.RUNNING:
        return f"audit: {run.state}"
    if not run.phases:
        return "audit: starting"
    left = f", {duration(run.left_s)} left" if run.left_s is not None else ""
    return f"audit: {run.phases[-1].name} {run.phases[-1].share * 100:.0f} %{left}"


def left(run: RunView) -> str:
    """How long a run still takes, in words."""
    return f"about {duration(run.left_s)} left" if run.left_s is not None else "time left not known yet"


class RunProgress(Drawing):
    """The lines of one run; nothing without one."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.run: RunView | None = None

    def show(self, run: RunView | None) -> None:
        """Another run, or the same one further on."""
        self.run = run
        self.refresh(layout=True)

    def draw(self, width: int) -> list[Content]:
        """Phases from the first to the present one, or why it does not run."""
        run = self.run
        if run is None:
            return []
        if not run.at_work:
            return self._at_rest(run, width)
        before = [self._finished(phase) for phase in run.phases[:-1][-_SHOWN:]]
        present = self._present(run.phases[-1], width) if run.phases else [self._starting()]
        since = f"{duration(run.elapsed_s or 0)} since the start, {left(run)}"
        if run.state is not RunState.RUNNING:
            since = f"{run.state} … {since}"
        return [*before, *present, *Content.styled(since, "bold").wrap(width)]

    def _starting(self) -> Content:
        return Content.styled("starting the worker …", "$muted")

    def _at_rest(self, run: RunView, width: int) -> list[Content]:
        where = f", {run.place} in the queue" if run.place else ""
        lines = Content(f"{_AT_REST[run.state]}{where}").wrap(width)
        if run.why:
            lines += Content.assemble(("Why: ", "$muted"), foreign(run.why)).wrap(width)
        return list(lines)

    def _finished(self, phase: PhaseView) -> Content:
        return Content.assemble(
            (f"{self.glyphs.passed} ", "bold $pass"),
            line(phase.name),
            (f"  {phase.done:,} {line(phase.unit)}, {duration(phase.took_s)}", "$muted"),
        )

    def _present(self, phase: PhaseView, width: int) -> list[Content]:
        cells = max(10, width - 8)
        full, part = divmod(round(phase.share * cells * 8), 8)
        bar = self.glyphs.parts[8] * full + (self.glyphs.parts[part] if part and full < cells else "")
        rate = f"{phase.rate:.1f} {line(phase.unit)}/s" if phase.rate else "rate not known yet"
        return [
            Content.assemble((f"{self.glyphs.point} ", "bold $accent"), (line(phase.name), "bold")),
            Content.assemble(
                (bar, "$accent"),
                (self.glyphs.empty * (cells - len(bar)), "$rule"),
                f" {phase.share * 100:>4.0f} %",
            ),
            *Content(f"{phase.done:,} of {phase.total:,} {line(phase.unit)}, {rate}").wrap(width),
        ]
