"""The drawings against slow oracles and hand-counted cases; what is no number is never drawn as one."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.charted import AuditPoint, audit_point
from appliance.views import AuditResult, Histogram, Interval, VerdictWord
from tests.tui.simulator import audit_view
from tui.glyphs import ASCII, UNICODE, Glyphs
from tui.widgets.bars import Bars
from tui.widgets.calibration import CalibrationBin, CalibrationPlot
from tui.widgets.control_chart import ControlChart, top_of
from tui.widgets.drawing import Drawing
from tui.widgets.histogram import HistogramPlot, resampled
from tui.widgets.layers import LayersPlot
from tui.widgets.roc import RocPlot, area_rows, log_rates, lowest_rate, rate_in_words, tick_line
from tui.widgets.scale import NotDrawable
from tui.widgets.whisker import whisker

NAN, INF = math.nan, math.inf
SETS = pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["blocks", "ascii"])
LEAKY = audit_view("a", "lumen-vlm", VerdictWord.FAIL)
SLICES = (("mlp 3", 612, 2048), ("projector", 50, 1024), ("vision 2", 0, 512))


def text(drawing: Drawing, width: int = 78) -> str:
    """What a drawing shows, line by line."""
    return "\n".join(content.plain for content in drawing.lines(width))


def with_layers(slices: object, gaps: object = ()) -> AuditResult:
    """A result with these layers."""
    return replace(LEAKY.result, slices_by_layer=slices, memory_by_layer=gaps)


# -- histogram ---------------------------------------------------------------------------------------------


def exactly_resampled(counts: list[int], edges: list[int], columns: int) -> list[Fraction]:
    """Slow oracle: every bin cut at every column's border, in whole fractions."""
    span = Fraction(edges[-1] - edges[0], columns)
    found = []
    for column in range(columns):
        left, right = edges[0] + column * span, edges[0] + (column + 1) * span
        share = [
            count * max(Fraction(0), min(right, high) - max(left, low)) / (high - low)
            for count, (low, high) in zip(counts, pairwise(edges), strict=True)
        ]
        found.append(sum(share, Fraction(0)))
    return found


@given(
    st.lists(st.tuples(st.integers(0, 900), st.integers(1, 7)), min_size=1, max_size=40), st.integers(1, 90)
)
def test_columns_hold_what_the_oracle_counts(bins: list[tuple[int, int]], columns: int) -> None:
    """Each column to rounding, and one that no count reaches is exactly empty."""
    edges = [0]
    for _, size in bins:
        edges.append(edges[-1] + size)
    counts = [count for count, _ in bins]
    expected = exactly_resampled(counts, edges, columns)
    drawn = resampled(tuple(counts), tuple(float(edge) for edge in edges), columns)
    assert drawn == pytest.approx([float(value) for value in expected])
    assert [value == 0 for value in drawn] == [value == 0 for value in expected]


def test_a_count_does_not_spill_over_its_edge() -> None:
    """Forty bins of a tenth over forty columns: rounding of the edges leaves every other column empty."""
    edges = tuple(-4 + 0.1 * step for step in range(41))
    counts = tuple(step % 2 for step in range(40))
    assert [value > 0.5 for value in resampled(counts, edges, 40)] == [bool(count) for count in counts]
    assert resampled(counts, edges, 40).count(0.0) == 20


def test_a_bin_narrower_than_numbers_can_tell_keeps_its_count() -> None:
    """One of the smallest bins there are lands in one column."""
    assert resampled((3, 4), (0.0, 5e-324, 1.0), 10)[0] == pytest.approx(3.4)


@pytest.mark.parametrize(
    ("counts", "edges"),
    [
        ((1,), (0.0, NAN)),
        ((1,), (-INF, 0.0)),
        ((1,), (-1e308, 1e308)),
        ((1,), (1.0, 1.0)),
        ((1, 2), (0.0, 1.0)),
        ((-1,), (0.0, 1.0)),
    ],
)
def test_a_histogram_that_is_none_is_refused(counts: tuple[int, ...], edges: tuple[float, ...]) -> None:
    """No edge that is not finite, no edges out of order, no count below zero: a sentence stands instead."""
    with pytest.raises(NotDrawable):
        resampled(counts, edges, 10)
    assert "✗ Not drawn:" in text(HistogramPlot(Histogram(edges, {"target": counts}, None), "fused"))


def test_a_threshold_that_is_no_number_is_refused() -> None:
    """It is not drawn at an end of the axis."""
    assert "✗ Not drawn" in text(HistogramPlot(Histogram((0.0, 1.0), {"target": (1,)}, NAN), "fused"))


@pytest.mark.parametrize("width", [36, 40, 80, 132])
def test_large_counts_and_small_scores_keep_their_digits(width: int) -> None:
    """A million scores of a ten-thousandth each: counts in full, the threshold is not rounded to 0."""
    data = Histogram((0.0, 0.0001, 0.0002), {"post_release": (1, 0), "target": (1, 1_234_567)}, 0.00015)
    shown = text(HistogramPlot(data, "fused"), width)
    assert "1,234,568" in shown
    assert "post-release" in shown
    assert "Flagged from 0.00015 on" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= width


# -- ROC ---------------------------------------------------------------------------------------------------

STEPS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30)), min_size=0, max_size=30)


def curve(steps: list[tuple[int, int]]) -> tuple[tuple[float, float], ...]:
    """A ROC of 40 controls and 30 targets that goes through (1/40, ·), so that the axis has two ends."""
    ups, rights = sorted(up for _, up in steps), sorted(right for right, _ in steps)
    points = list(zip(rights, ups, strict=True))
    first = max((up for right, up in points if right <= 1), default=0)
    return (
        (0.0, 0.0),
        *((right / 40, up / 30) for right, up in points if right == 0),
        (1 / 40, first / 30),
        *((right / 40, up / 30) for right, up in points if right > 1),
        (1.0, 1.0),
    )


@SETS
@given(steps=STEPS, columns=st.integers(10, 60), rows=st.integers(2, 9))
def test_each_cell_of_a_roc_is_what_its_rate_says(
    glyphs: Glyphs, steps: list[tuple[int, int]], columns: int, rows: int
) -> None:
    """Oracle: the highest TPR at or left of the column's rate, measured in eighths of a cell."""
    roc = curve(steps)
    cells = area_rows(roc, log_rates(lowest_rate(roc), columns), rows, glyphs)
    for column in range(columns):
        rate = math.exp(math.log(1 / 40) * (1 - (column + 0.5) / columns))
        height = max(tpr for fpr, tpr in roc if fpr <= rate)
        for row in range(rows):
            sign, above = cells[rows - 1 - row][column]
            eighths = math.ceil((height * rows - row) * 8 - 1e-9)  # of this cell, rounded up
            assert above == ((row + 0.5) / rows > rate)
            if eighths >= 8:
                assert sign == (glyphs.gain if above else glyphs.chance)
            elif eighths <= 0:
                assert sign == (glyphs.eighths[0] if above else glyphs.empty)
            else:
                assert sign == glyphs.eighths[eighths]


@pytest.mark.parametrize("controls", [2, 3, 40, 1_000, 100_000])
def test_the_axis_begins_at_one_control(controls: int) -> None:
    """The smallest rate is one control of all; it is said, and both ends stand under the plot."""
    roc = ((0.0, 0.0), (0.0, 0.4), (1 / controls, 0.5), (1.0, 1.0))
    assert lowest_rate(roc) == 1 / controls
    axis = tick_line(1 / controls, 48)
    assert len(axis) == 48
    assert axis.startswith(rate_in_words(1 / controls) + " ")
    assert axis.endswith(" 100 %")
    shown = " ".join(text(RocPlot(replace(LEAKY.result.detectors[0], roc=roc))).split())
    assert f"resolve nothing below {rate_in_words(1 / controls)}." in shown


def test_powers_of_ten_stand_where_the_log_axis_has_them() -> None:
    """0.1 % … 100 % over 60 columns: a third of the axis per power of ten, two ticks between the ends."""
    axis = tick_line(0.001, 60)
    assert (axis.index("1 %", 5), axis.index("10 %")) == (20 - 1, 40 - 2)
    assert rate_in_words(0.00002) == "0.002 %"


@pytest.mark.parametrize(
    "roc",
    [
        ((0.0, 0.0), (NAN, 0.5), (1.0, 1.0)),
        ((0.0, 0.0), (0.5, INF)),
        ((0.0, 0.0), (0.5, 1.2)),
        ((0.0, 0.0), (0.5, 0.7), (0.6, 0.2)),
        ((0.0, 0.0), (0.6, 0.2), (0.5, 0.3)),
        ((0.0, 0.0), (1.0, 1.0)),
    ],
)
def test_a_roc_that_is_none_is_refused(roc: tuple[tuple[float, float], ...]) -> None:
    """No number, more than all, falling, or without two controls that differ."""
    with pytest.raises(NotDrawable):
        lowest_rate(roc)
    assert "✗ Not drawn:" in text(RocPlot(replace(LEAKY.result.detectors[0], roc=roc)))


# -- whiskers ----------------------------------------------------------------------------------------------

SHARES = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)
MAYBE = st.none() | SHARES


@SETS
@given(
    at=MAYBE,
    ends=st.none() | st.tuples(SHARES, SHARES).map(lambda pair: tuple(sorted(pair))),
    rule=MAYBE,
    top=st.sampled_from([0.05, 0.1, 0.2, 0.5, 1.0]),
    cells=st.integers(1, 60),
)
def test_a_whisker_is_what_each_cell_holds(
    glyphs: Glyphs,
    at: float | None,
    ends: tuple[float, float] | None,
    rule: float | None,
    top: float,
    cells: int,
) -> None:
    """Oracle: cell by cell in whole numbers; the value covers the line, the line covers the interval."""

    def number(share: float | None) -> int | None:
        if share is None:
            return None
        return min(cells - 1, round(share * 1000) * cells // round(top * 1000))

    expected = ""
    for cell in range(cells):
        inside = ends is not None and number(ends[0]) <= cell <= number(ends[1])
        sign = glyphs.dash if inside else " "
        sign = glyphs.rule if cell == number(rule) else sign
        if cell == number(at):
            sign = glyphs.both if cell == number(rule) else glyphs.mark
        expected += sign
    assert whisker(at, ends, rule, top=top, cells=cells, glyphs=glyphs).plain == expected


@pytest.mark.parametrize(
    ("at", "ends", "rule"), [(NAN, None, None), (1.1, None, None), (None, (0.6, 0.4), None), (0.5, None, INF)]
)
def test_a_whisker_of_no_share_is_refused(
    at: float | None, ends: tuple[float, float] | None, rule: float | None
) -> None:
    """Not a number, more than all, an interval turned round."""
    with pytest.raises(NotDrawable):
        whisker(at, ends, rule, top=1.0, cells=10, glyphs=UNICODE)


# -- calibration -------------------------------------------------------------------------------------------


def test_calibration_says_predicted_observed_and_counts() -> None:
    """Three bins by hand: in the order of prediction, an empty one says so, and has no mark."""
    bins = (
        CalibrationBin(0.9, 9, 10, (0.55, 0.99)),
        CalibrationBin(0.1, 1, 40, (0.0, 0.13)),
        CalibrationBin(0.5, 0, 0),
    )
    header, *rows = text(CalibrationPlot(bins), 40).splitlines()[:4]
    assert header == "predicted observed  0 %    100 %"
    assert rows == [
        "     10 %    2.5 %  ●┆           1 of 40",
        "     50 %     none        ┆      0 of 0",
        "     90 %     90 %        ────◆─ 9 of 10",
    ]


def test_calibration_without_references_says_so() -> None:
    """No bin, or bins without a reference, are no empty plot."""
    for bins in ((), (CalibrationBin(0.5, 0, 0),)):
        assert text(CalibrationPlot(bins)) == "No calibration: no reference was given a probability."


@pytest.mark.parametrize(
    "wrong",
    [
        CalibrationBin(NAN, 1, 2),
        CalibrationBin(0.5, 3, 2),
        CalibrationBin(-0.1, 0, 2),
        CalibrationBin(0.5, -1, 2),
    ],
)
def test_calibration_refuses_what_is_no_bin(wrong: CalibrationBin) -> None:
    """A probability that is none, and members beyond the references."""
    with pytest.raises(NotDrawable):
        CalibrationPlot((wrong,)).draw(80)


# -- control chart -----------------------------------------------------------------------------------------


def point(name: str, flagged: int | None, patients: int, span: tuple[float, float] | None) -> AuditPoint:
    """An audit of a version on the first of May."""
    return AuditPoint(name, "2026-05-01", VerdictWord.REVIEW, flagged, patients, span)


def test_the_chart_shows_k_of_n_its_interval_and_the_limit() -> None:
    """Three audits by hand, limit 20 % of an axis to 50 %; one open above, one without a number."""
    points = (
        point("v1", 10, 40, (0.15, 0.4)),
        point("v2", 0, 40, (0.05, 1.0)),
        AuditPoint("v3", "2026-06-01", VerdictWord.VOID, None, 0, None),
    )
    shown = text(ControlChart(points, 0.2), 72).splitlines()
    plots = [row[18:] for row in shown[:4]]
    assert plots == [
        "0 %                         50 %",
        "         ───┆───●─────────       10 of 40, 15–40 %",
        "●  ─────────┆─────────────────── 0 of 40, at least 5 %",
        "            ┆                    no number",
    ]
    assert shown[3].startswith("v3 ⊘ VOID")
    assert "the policy's limit: 20 %" in " ".join(shown)


def test_a_limit_of_nobody_stands_at_zero() -> None:
    """An audit that flagged nobody stands on it, in one sign."""
    shown = text(ControlChart((point("v1", 0, 46, None),), 0.0), 72)
    assert "◆" in shown.splitlines()[1]
    assert "limit: no exposed patient" in shown


def test_without_a_common_limit_none_is_drawn() -> None:
    """That is said, rather than a line left out in silence."""
    shown = text(ControlChart((point("v1", 1, 46, None),), None), 72)
    assert "┆" not in shown
    assert "different policies" in shown


def test_a_void_audit_adds_no_number() -> None:
    """Whatever it counted."""
    assert audit_point(audit_view("a", "m", VerdictWord.VOID)).flagged is None
    assert audit_point(replace(LEAKY, result=replace(LEAKY.result, exposure=None))).flagged is None


def test_the_interval_is_that_of_the_exposed_share() -> None:
    """The estimate's interval, else from the lower bound on, else none: never that of a count of flags."""
    found = LEAKY.result.exposure
    assert found is not None

    def span(**changed: object) -> tuple[float, float] | None:
        exposure = replace(found, **changed)
        return audit_point(replace(LEAKY, result=replace(LEAKY.result, exposure=exposure))).span

    assert span() == (0.36, 0.61)
    assert span(prevalence_ci=None) == (0.348, 1.0)
    assert span(prevalence_ci=None, prevalence_lower=0.0) is None
    assert span(flagged_ci=Interval(0.2, 0.3)) == (0.36, 0.61)


@given(st.lists(st.tuples(st.integers(0, 46), SHARES, SHARES), min_size=1, max_size=9), st.none() | SHARES)
def test_the_axis_holds_every_value(rows: list[tuple[int, float, float]], limit: float | None) -> None:
    """Nothing but the open end of an interval lies beyond the axis, and no shorter axis would do."""
    points = tuple(point("v", k, 46, (min(a, b), max(a, b))) for k, a, b in rows)
    values = [limit or 0.0, *(k / 46 for k, _, _ in rows)]
    values += [min(a, b) if max(a, b) == 1 else max(a, b) for _, a, b in rows]
    tops = [top for top in (0.05, 0.1, 0.2, 0.5, 1.0) if top >= max(values)]
    assert top_of(points, limit) == tops[0]


@pytest.mark.parametrize(
    ("wrong", "limit"),
    [(point("v", 47, 46, None), 0.1), (point("v", 1, 46, (NAN, 0.5)), 0.1), (point("v", 1, 46, None), NAN)],
)
def test_the_chart_refuses_what_is_no_share(wrong: AuditPoint, limit: float) -> None:
    """More flagged than judged, an interval or a limit without a number."""
    with pytest.raises(NotDrawable):
        ControlChart((wrong,), limit).draw(80)


def test_no_audit_yet_names_the_next_key() -> None:
    """An empty chart is a sentence."""
    assert "press r" in text(ControlChart((), 0.1))


# -- layers ------------------------------------------------------------------------------------------------


def test_layers_say_share_kept_of_all_and_gap() -> None:
    """Three layers by hand, largest share first whatever the order; the longest bar is the largest share."""
    shown = text(LayersPlot(with_layers(SLICES[::-1], (("mlp 3", 0.41), ("projector", 0.2)))), 57)
    assert shown.splitlines()[:4] == [
        "layer       kept                            slices    gap",
        "mlp 3       30 % ████████████████████ 612 of 2,048  +0.41",
        "projector  4.9 % ███▎                  50 of 1,024  +0.20",
        "vision 2     0 %                          0 of 512      –",
    ]


def test_a_layer_without_slices_has_an_empty_bar() -> None:
    """No slice kept is 0 %, and a layer that has none does not divide by zero."""
    rows = text(LayersPlot(with_layers((("a", 1, 2), ("b", 0, 4), ("c", 0, 0))))).splitlines()
    assert [row.count("█") > 0 for row in rows[1:4]] == [True, False, False]


def test_no_slice_kept_is_a_sentence() -> None:
    """No bars of nothing."""
    for slices in ((), (("mlp 3", 0, 2048),)):
        assert text(LayersPlot(with_layers(slices))) == "No slice passed the mask: no layer stands out."


def test_older_results_show_their_gaps() -> None:
    """A result that holds no counts shows the mean gap per layer."""
    assert text(LayersPlot(with_layers((), (("projector", 0.2),)))).split()[:2] == ["projector", "+0.20"]


def test_what_is_left_out_is_counted() -> None:
    """Of twelve layers eight are drawn; the slices of the other four are said."""
    slices = tuple((f"layer {number}", 12 - number, 100) for number in range(12))
    assert "78 of 1,200 slices kept, 10 of them in 4 further layers." in text(LayersPlot(with_layers(slices)))


@pytest.mark.parametrize("width", [30, 40, 60, 80, 132])
def test_layers_can_be_told_apart_at_every_width(width: int) -> None:
    """Where there is no room beside the bars the whole name stands above its bar."""
    slices = tuple((f"language layer 3, {part}", 5, 1024) for part in ("mlp", "attention", "norm"))
    shown = text(LayersPlot(with_layers(slices)), width)
    assert all(name in shown for name, _, _ in slices)
    assert max(map(len, shown.splitlines())) <= width


@pytest.mark.parametrize(
    ("slices", "gaps"), [((("a", 3, 2),), ()), ((("a", -1, 2),), ()), (SLICES, (("mlp 3", NAN),))]
)
def test_layers_refuse_what_is_no_count(slices: object, gaps: object) -> None:
    """More kept than there are, fewer than none, a gap that is no number."""
    with pytest.raises(NotDrawable):
        LayersPlot(with_layers(slices, gaps)).draw(80)


# -- all of them -------------------------------------------------------------------------------------------


@given(width=st.integers(1, 200))
def test_no_picture_is_wider_than_its_room(width: int) -> None:
    """At any width from 40 cells on no line of the new drawings has to be cut; below that it is."""
    pictures: tuple[Drawing, ...] = (
        CalibrationPlot((CalibrationBin(0.3, 1, 4, (0.1, 0.6)), CalibrationBin(0.8, 900, 1_000))),
        ControlChart((audit_point(LEAKY), point("lumen-vlm 2.0", 0, 46, (0.05, 1.0))), 0.1),
        LayersPlot(with_layers(SLICES, (("mlp 3", 0.4),))),
    )
    for picture in pictures:
        shown = picture.draw(width) if width >= 40 else picture.lines(width)
        wide = [content.plain for content in shown if content.cell_length > width]
        assert wide == [], type(picture).__name__


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_bars_refuse_what_is_no_number(value: float) -> None:
    """A weight that is no number stops the drawing, not the screen."""
    shown = text(Bars((("loss", 1.0), ("gain", value)), "none"))
    assert shown == "✗ Not drawn: a value is not a number."
