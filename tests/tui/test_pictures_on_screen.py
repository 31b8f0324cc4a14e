"""The pictures where people meet them: on the Result screen, after a resize, in ASCII, without colour."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.color import Color
from textual.pilot import Pilot

from appliance.charted import audit_point
from appliance.views import VerdictWord
from tests.tui.pilot import drive, glass, press, until
from tests.tui.simulator import Simulator, audit_view
from tui.app import GradAuditApp
from tui.glyphs import ASCII, UNICODE, Spell
from tui.widgets.calibration import CalibrationBin, CalibrationPlot
from tui.widgets.control_chart import ControlChart
from tui.widgets.drawing import Drawing
from tui.widgets.histogram import HistogramPlot
from tui.widgets.layers import LayersPlot
from tui.widgets.roc import RocPlot

FAIL = audit_view("a-0003", "lumen-vlm", VerdictWord.FAIL)
PICTURES = (HistogramPlot, RocPlot, LayersPlot, CalibrationPlot, ControlChart)
DIGITS = re.compile(r"\d[\d,.]*")


def test_result_says_which_layers_remember() -> None:
    """Share, kept of all and gap of every layer, and what a slice is."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "3")
        shown = " ".join(glass(app).split())
        for words in ("30 %", "614 of 2,048", "+0.41", "1,204 of 10,240 slices kept", "one row or column"):
            assert words in shown

    drive(steps, size=(80, 110))


def test_the_roc_begins_at_one_control() -> None:
    """Forty controls: the axis under the plot reaches from 2.5 % to 100 %."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "3")
        lines = [line.lstrip("▌|") for line in glass(app).splitlines()]  # the mark of the focus apart
        axis = next(line for line in lines if "100 %" in line and "2.5 %" in line)
        assert axis.split() == ["2.5", "%", "10", "%", "100", "%"]
        assert "resolve nothing below 2.5 %" in " ".join(" ".join(lines).split())

    drive(steps, size=(80, 110))


def test_result_says_how_right_the_probabilities_are() -> None:
    """Predicted beside observed with the count of each bin; a result without any says so."""
    backend = Simulator(audits_={"a-0003": replace(FAIL, result=replace(FAIL.result, reliability=()))})

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "3")
        shown = " ".join(glass(app).split())
        for words in ("predicted observed", "30 of 34", "Well calibrated"):
            assert words in shown

    async def none(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "3")
        assert "leak probabilities are not stated" in " ".join(glass(app).split())

    drive(steps, size=(80, 150))
    drive(none, size=(80, 150), backend=backend)


def test_result_charts_the_versions_of_its_model() -> None:
    """Every version in order with its count, a void one without a number, and what stands apart and why."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "3")
        shown = " ".join(glass(app).split())
        for words in (
            "0 of 46",
            "no number",
            "21 of 46, 36–61 %",
            "lumen-vlm 0.9, 2025-10-01: not on the chart",
        ):
            assert words in shown

    drive(steps, size=(80, 150))


def test_every_picture_is_drawn_anew_for_its_room() -> None:
    """Made narrower and wider again, each drawing has the lines of its present width."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "3")
        widths = set()
        for size in ((80, 24), (44, 24), (132, 40)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda size=size: app.screen.size.width == size[0])
            for kind in PICTURES:
                drawing = app.screen.query_one(kind)
                width = drawing.content_size.width
                assert drawing.content_size.height == len(drawing.lines(width))
                assert max(part.cell_length for part in drawing.draw(width)) <= width
                widths.add(width)
        assert len(widths) >= 3

    drive(steps)


@pytest.mark.parametrize("environ", [{"LC_ALL": "C"}, {"TERM": "linux"}], ids=["locale C", "console"])
def test_ascii_holds_the_same_numbers(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a bare console no picture holds a sign that it cannot show, and every number is there."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "3")
        for kind in PICTURES:
            drawing = app.screen.query_one(kind)
            (spelt,) = Spell().apply([Segment(drawing.render().plain)], Color(0, 0, 0))
            shown = spelt.text
            assert shown.isascii(), kind.__name__
            monkeypatch.setattr(app, "glyphs", UNICODE)
            blocks = drawing.render().plain
            monkeypatch.setattr(app, "glyphs", ASCII)
            assert not blocks.isascii(), kind.__name__
            shown = shown.replace("0 VOID", "VOID")  # a glyph, no number
            assert DIGITS.findall(shown) == DIGITS.findall(blocks)

    drive(steps, size=(80, 60))


def test_a_number_that_is_none_stops_the_picture_and_not_the_screen() -> None:
    """The rest of the result is still there."""
    broken = replace(FAIL.result, memory_by_layer=(("mlp", float("nan")),))
    backend = Simulator(audits_={"a-0003": replace(FAIL, result=broken)})

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "3")
        assert "✗ Not drawn: a value is not a number." in glass(app)
        assert "model digest" in glass(app)

    drive(steps, size=(80, 160), backend=backend)


class Frame(App[None]):
    """An app that shows one drawing."""

    def __init__(self, drawing: Drawing) -> None:
        super().__init__()
        self.drawing = drawing

    def compose(self) -> ComposeResult:
        """The drawing alone."""
        yield self.drawing


@pytest.mark.parametrize(
    "drawing",
    [
        lambda: CalibrationPlot((CalibrationBin(0.1, 1, 40, (0.0, 0.13)), CalibrationBin(0.9, 9, 10))),
        lambda: ControlChart((audit_point(FAIL), audit_point(FAIL)), 0.1),
    ],
    ids=["calibration", "control chart"],
)
async def test_pictures_of_other_screens_follow_a_resize(drawing: Any) -> None:
    """Their axis is as wide as there is room, and their text is whole, before and after."""
    app = Frame(drawing())
    async with app.run_test(size=(100, 24)) as pilot:
        for width in (100, 48, 80):
            await pilot.resize_terminal(width, 24)
            await until(pilot, lambda width=width: app.screen.size.width == width)
            expected = [part.plain.rstrip() for part in app.drawing.draw(width)]
            assert [line.rstrip() for line in glass(app).splitlines()][: len(expected)] == expected
