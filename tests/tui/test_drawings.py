"""The numbers behind the drawings: nothing is lost, nothing is wider than its room, words round honestly."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.pack.pages.wording import p_value, percent, percent_interval
from appliance.views import Interval, VerdictWord
from tests.tui.simulator import audit_view, histogram
from tui.faults import fault_line
from tui.glyphs import ASCII, UNICODE, choose
from tui.text import foreign, line
from tui.widgets.bars import Bars, bar
from tui.widgets.controls import ControlsTable, TierLines
from tui.widgets.drawing import Drawing
from tui.widgets.exposure import ExposureBlock, share_bar
from tui.widgets.histogram import HistogramPlot, band, resampled
from tui.widgets.roc import DetectorLines, RocPlot, area_rows, height_at, log_rates
from tui.widgets.rows import Column, fitted
from tui.widgets.verdict import VerdictStrip
from tui.words import duration

FAIL, CLEAN = (audit_view("a", "m", word) for word in (VerdictWord.FAIL, VerdictWord.INCONCLUSIVE))


@given(st.lists(st.integers(0, 500), min_size=1, max_size=60), st.integers(1, 120))
def test_resampling_keeps_every_count(counts: list[int], columns: int) -> None:
    """However many columns there are, the counts sum to the same number."""
    edges = tuple(float(place) for place in range(len(counts) + 1))
    assert sum(resampled(tuple(counts), edges, columns)) == pytest.approx(sum(counts))


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50), st.integers(1, 4))
def test_a_band_shows_every_count_and_nothing_else(values: list[float], height: int) -> None:
    """A column is blank exactly where its count is zero, and the peak fills the band."""
    rows = band(values, height, UNICODE)
    assert [len(row) for row in rows] == [len(values)] * height
    filled = [any(row[column] != " " for row in rows) for column in range(len(values))]
    assert filled == [value > 0 for value in values]
    if max(values) > 0:
        assert rows[0][values.index(max(values))] == "█"


def test_the_threshold_line_separates_flagged_from_not() -> None:
    """The line stands where the threshold lies between the lowest and the highest score."""
    plot = HistogramPlot(histogram(leaky=True), "fused")
    lines = [content.plain for content in plot.draw(96)]
    column = lines[0].index("┆")
    assert all(text[column] == "┆" for text in lines[:6])
    assert (column - 9) / 80 == pytest.approx((1.87 + 4) / 10, abs=0.02)


def test_without_threshold_there_is_no_line() -> None:
    """Nobody flagged: no line is drawn, and that is said."""
    text = "\n".join(content.plain for content in HistogramPlot(histogram(leaky=False), "fused").draw(80))
    assert "┆" not in text
    assert "Nobody is flagged" in text


def test_a_roc_step_is_reached_at_its_false_positive_rate() -> None:
    """The curve holds its last value until the next point."""
    points = ((0.0, 0.0), (0.2, 0.5), (0.6, 1.0))
    assert [height_at(points, fpr) for fpr in (0.1, 0.2, 0.59, 0.6, 1.0)] == [0.0, 0.5, 0.5, 1.0, 1.0]


@pytest.mark.parametrize(("height", "solid"), [(1.0, True), (0.0, False)])
def test_above_chance_is_solid_and_nowhere_else(height: float, solid: bool) -> None:
    """A perfect curve fills all above the diagonal with the solid sign; a useless one none of it."""
    cells = [
        cell
        for row in area_rows(((0.0, height), (1.0, height)), log_rates(0.02, 40), 8, UNICODE)
        for cell in row
    ]
    above = [sign for sign, over in cells if over]
    assert all((sign == "█") is solid for sign in above)
    assert "█" not in [sign for sign, over in cells if not over]


def drawings() -> list[Drawing]:
    """Every drawing of a result, leaky and clean."""
    made: list[Drawing] = []
    for view in (FAIL, CLEAN):
        result = view.result
        made += [
            VerdictStrip(view.verdict),
            ExposureBlock(result, view.verdict.word),
            ExposureBlock(replace(result, exposure=None), view.verdict.word),
            HistogramPlot(result.histogram, "fused"),
            HistogramPlot(None, "fused"),
            RocPlot(result.detectors[0]),
            RocPlot(None),
            DetectorLines(result.detectors),
            ControlsTable(result.controls),
            TierLines(result.tier, result.design.value, result.references.value),
            Bars(result.memory_by_layer, "none"),
            Bars(result.decision_weights, "none"),
        ]
    return made


@settings(max_examples=30, deadline=None)
@given(st.integers(36, 200))
def test_no_drawing_is_wider_than_its_room(width: int) -> None:
    """At any width from 36 cells on, no line sticks out."""
    for drawing in drawings():
        too_wide = [content.plain for content in drawing.draw(width) if content.cell_length > width]
        assert too_wide == [], type(drawing).__name__


@given(st.floats(0, 1), st.integers(10, 60))
def test_the_share_bar_is_as_long_as_its_share(share: float, width: int) -> None:
    """The bar fills its width, and its filled part is the share to an eighth of a cell."""
    drawn = share_bar(share, width, UNICODE).plain
    assert len(drawn) == width
    filled = drawn.rstrip(UNICODE.empty)
    eighths = sum(UNICODE.parts.index(sign) for sign in filled)
    assert abs(eighths - share * width * 8) <= 0.5


@given(st.floats(-9, 9), st.integers(4, 40))
def test_a_bar_is_as_long_as_its_value(value: float, cells: int) -> None:
    """Length is proportional to magnitude, to an eighth of a cell."""
    drawn = bar(value, 9, cells, UNICODE)
    eighths = sum(UNICODE.parts.index(sign) for sign in drawn)
    assert abs(eighths - abs(value) / 9 * cells * 8) <= 0.5


COLUMNS = (Column("a", 10), Column("b", 10, flex=True), Column("c", 10, drop=1), Column("d", 10, drop=2))


@pytest.mark.parametrize(
    ("width", "kept"), [(80, [0, 1, 2, 3]), (46, [0, 1, 2, 3]), (45, [0, 1, 2]), (33, [0, 1]), (5, [0, 1])]
)
def test_columns_go_in_their_order(width: int, kept: list[int]) -> None:
    """The column with the highest drop number goes first; those without one stay."""
    assert [index for index, _ in fitted(COLUMNS, width)] == kept


def test_a_flexible_column_takes_the_rest() -> None:
    """Widths and gaps fill the table exactly."""
    sizes = fitted(COLUMNS, 80)
    assert sum(size for _, size in sizes) + 2 * 3 == 80


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.004, "0.4 %"), (0.077, "7.7 %"), (0.456, "46 %"), (0.996, "99.6 %"), (1, "100 %")],
)
def test_percent(share: float, text: str) -> None:
    """Small and nearly whole shares keep a decimal; nothing but 0 is printed as 0 unless it rounds there."""
    assert percent(share) == text


def test_intervals_p_values_and_durations_in_words() -> None:
    """The wording of numbers, one example each side of every border."""
    assert percent_interval(Interval(0.309, 0.61)) == "95 % CI 31–61 %"
    assert [p_value(p) for p in (0.0004, 0.0005, 0.0123)] == ["p < 0.001", "p = 0.001", "p = 0.012"]
    spans = {0.4: "0 s", 59.4: "59 s", 60: "1 min 00 s", 3599: "59 min 59 s", 11220: "3 h 07 min"}
    assert {seconds: duration(seconds) for seconds in spans} == spans


def test_equal_faults_have_equal_ids_and_no_values() -> None:
    """The id depends on kind and place, never on what was in the message."""

    def fail(value: str) -> str:
        try:
            raise ValueError(value)
        except ValueError as error:
            return fault_line(error)

    lines = {fail(value) for value in ("DOE^JANE", "ROE^RICHARD")}
    assert len(lines) == 1
    assert "DOE" not in lines.pop()


def test_foreign_text_is_one_line_of_content() -> None:
    """Line breaks become blanks, and markup stays text without a single span."""
    assert line("a\r\n\tb") == "a b"
    assert foreign("[bold]x[/bold]").spans == []


@pytest.mark.parametrize(
    ("environ", "glyphs"),
    [
        ({"LANG": "de_DE.UTF-8"}, UNICODE),
        ({}, ASCII),
        ({"LANG": "C"}, ASCII),
        ({"LC_ALL": "POSIX", "LANG": "C.UTF-8"}, ASCII),
        ({"LANG": "C.UTF-8", "TERM": "linux"}, ASCII),
    ],
)
def test_glyphs_follow_the_terminal(environ: dict[str, str], glyphs: object) -> None:
    """Block glyphs in UTF-8 terminals, ASCII on bare consoles and in other locales."""
    assert choose(environ) is glyphs
