"""Curves become dots: connected, clipped, with gaps, at a cost that depends on the width."""

from __future__ import annotations

import calendar
import math
from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import braille, ticks
from engine.thinning import decimate
from tui import pictures
from tui.charts import lay_out
from tui.reader import Reading, Wish
from tui.theme import DARK, Palette, run_roles
from tui.widgets.chart import Band, Curve, Picture, View, draw


def text(lines):
    return ["".join(part for part, _ in line) for line in lines]


def listed(spans):
    return [(int(a), int(b)) if a <= b else None for a, b in zip(spans.first, spans.last, strict=True)]


def test_a_falling_line_is_one_connected_diagonal():
    spans = braille.spans([0, 7], [7, 0], (0, 7), (0, 7), 4, 2)
    assert listed(spans) == [(i, i) for i in range(8)]
    canvas = braille.Canvas(4, 2)
    canvas.draw(spans, "ours")
    first, second = canvas.lines()
    assert first[0][0][:2] == "⠑⢄"
    assert second[-1][1] == "ours"


def test_a_gap_stays_a_gap():
    spans = braille.spans([0, 1, 2, 3, 4, 5], [1, 1, math.nan, math.nan, 1, 1], (0, 5), (0, 2), 3, 1)
    assert spans.there.tolist() == [True, True, False, False, True, True]


def test_what_lies_outside_is_clipped():
    spans = listed(braille.spans([0, 1, 2, 3], [0, 100, -100, 0], (0, 3), (0, 3), 2, 1))
    assert all(span is None or (0 <= span[0] <= span[1] <= 3) for span in spans)


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.just(math.nan) | st.floats(-1e9, 1e9)), min_size=1, max_size=80),
    st.integers(1, 30),
    st.integers(1, 10),
)
def test_spans_stay_on_the_canvas_and_neighbours_touch(points, columns, rows):
    points.sort(key=lambda p: p[0])
    xs, ys = [x for x, _ in points], [y for _, y in points]
    real = [y for y in ys if math.isfinite(y)]
    if not real:
        return
    box = (xs[0], xs[-1]), (min(real), max(real))
    spans = listed(braille.spans(xs, ys, *box, columns, rows))
    assert len(spans) == 2 * columns
    for span in spans:
        assert span is None or 0 <= span[0] <= span[1] < 4 * rows
    if len(real) == len(ys):
        seen = [span for span in spans if span is not None]
        for (a, b), (c, d) in pairwise(seen):
            assert max(a, c) <= min(b, d) + 1


@given(
    st.lists(st.floats(0.01, 100) | st.just(math.nan), min_size=2, max_size=4000),
    st.integers(1, 40),
    st.integers(1, 12),
    st.floats(0, 0.9),
    st.floats(0.05, 1),
    st.booleans(),
)
def test_every_column_keeps_its_least_and_its_greatest_value(ys, columns, rows, start, part, log):
    """Against each point by itself: the dots of a column reach from its greatest to its least value, no less.

    And no more than half a column's way along the lines that enter and leave it: never beyond the neighbours' values.
    """
    xs = list(range(len(ys)))
    low_x, high_x = start * xs[-1], (start + part * (1 - start)) * xs[-1]
    top, wide, high = (2.0 if log else 100.0), 2 * columns, 4 * rows
    bottom = -2.0 if log else 0.01
    spans = braille.spans(xs, ys, (low_x, high_x), (bottom, top), columns, rows, log=log)
    near = defaultdict(list)
    for x, y in zip(xs, ys, strict=True):
        if math.isfinite(y):
            place = (x - low_x) / (high_x - low_x) * (wide - 1)
            dot = (top - (math.log10(y) if log else y)) / (top - bottom) * (high - 1)
            if abs(place % 1 - 0.5) > 1e-6 and 0 <= round(place) < wide:  # on an edge it may be in either column
                assert spans.first[round(place)] <= dot + 0.501
                assert spans.last[round(place)] >= dot - 0.501
            near[round(min(max(place, -1), wide))].append(dot)
    every = [dot for dots in near.values() for dot in dots]
    for first, last in zip(spans.first, spans.last, strict=True):
        assert first > last or (first >= min(every) - 0.501 and last <= max(every) + 0.501)


def test_a_spike_in_a_hundred_thousand_points_is_seen():
    ys = [1.0] * 100_000
    ys[61_803], ys[31_415] = 9.0, -7.0
    lines = draw(Picture("loss", (Curve("a", range(100_000), ys, "ours"),)), 80, 23)
    rows = [[part for part, role in line if role == "ours"] for line in lines[1:-2]]
    assert rows[0] != []  # the air above is less than a row
    assert rows[-1] != []
    assert sum(len("".join(parts).strip()) for parts in rows[1:5]) <= 4  # the way up is one column of cells
    seen = draw(Picture("loss", (Curve("a", range(100_000), ys, "ours"),)), 80, 23, View(window=(31_000, 32_000)))
    assert "".join(text(seen)[1:-2]).count("⡇") + "".join(text(seen)[1:-2]).count("⢸") >= 15


def test_a_later_curve_takes_the_cells_it_touches():
    canvas = braille.Canvas(2, 1)
    whole = braille.spans([0, 0, 1, 1], [0, 3, 3, 0], (0, 1), (0, 3), 2, 1)
    low = braille.spans([2, 3], [2, 2], (0, 3), (0, 3), 2, 1)
    canvas.draw(whole, "ours")
    assert canvas.lines() == [[("⣇⣸", "ours")]] or canvas.lines() == [[("⡏⢹", "ours")]]
    canvas.draw(low, "second")
    assert canvas.lines()[0][1] == ("⠒", "second")


@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=1, max_size=3000), st.integers(1, 100))
def test_thinning_out_keeps_the_extremes_of_each_stretch(ys, columns):
    xs = [float(i) for i in range(len(ys))]
    kept_x, kept_y = decimate(xs, ys, columns)
    assert len(kept_x) == len(kept_y) <= max(4 * columns, len(ys) if len(ys) <= 4 * columns else 0)
    assert list(kept_x) == sorted(kept_x)
    real = [y for y in ys if math.isfinite(y)]
    if real:
        assert min(y for y in kept_y if math.isfinite(y)) == min(real)
        assert max(y for y in kept_y if math.isfinite(y)) == max(real)


@pytest.mark.parametrize(
    ("low", "high", "most", "labels"),
    [(0, 1, 5, ["0.0", "0.5", "1.0"]), (0.009, 0.0165, 8, ["0.009", "0.010", "0.011", "0.012", "0.013", "0.014",
     "0.015", "0.016"]), (0, 9200, 4, ["0", "5k"]), (0, 9200, 5, ["0", "2k", "4k", "6k", "8k"]),
     (-3, 3, 3, ["-2", "0", "2"]), (1e6, 3e6, 3, ["1M", "2M", "3M"])],
)  # fmt: skip
def test_ticks_are_round_and_their_labels_differ(low, high, most, labels):
    assert ticks.tick_labels(ticks.ticks(low, high, most)) == labels


def test_a_chart_has_legend_axes_and_round_ticks():
    xs = list(range(0, 1001, 10))
    curve = Curve("train", xs, [1 + 9 * math.exp(-x / 200) for x in xs], "ours")
    naive = Curve("naive", [0, 1000], [5, 5], "attention", dotted=True)
    lines = text(draw(Picture("loss", (curve, naive)), 60, 15))
    assert lines[0].startswith("loss  ━ train 1.061  ╍ naive 5")
    assert len(lines) == 15
    assert any(line.startswith(" 4 ┤") for line in lines)
    assert lines[-1].rstrip().endswith("step")
    assert "500" in lines[-1]
    assert all(len(line) == 60 for line in lines[1:-1])


def test_log_axis_leaves_out_what_has_no_logarithm():
    lines = text(draw(Picture("loss", (Curve("a", [0, 1, 2, 3], [1000, 0, 10, 0.1], "ours"),), log=True), 50, 16))
    labels = {line.split("┤")[0].strip() for line in lines if "┤" in line}
    assert {"1000", "1.000", "0.1000"} <= labels


def test_nothing_to_show_says_so():
    lines = text(draw(Picture("val", (Curve("a", [1], [math.nan], "ours"),), empty="no validation yet"), 40, 9))
    assert any("no validation yet" in line for line in lines)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (5, 3), (16, 4), (200, 50)])
def test_any_size_can_be_drawn(width, height):
    draw(Picture("loss", (Curve("a", [0.0, 1.0], [2.0, 2.0], "ours"),)), width, height)


@given(st.lists(st.floats(), min_size=1, max_size=40), st.booleans())
def test_any_values_can_be_drawn(ys, log):
    xs = [float(i) for i in range(len(ys))]
    lines = draw(Picture("loss", (Curve("a", xs, ys, "ours"),), log=log), 60, 16)
    assert len(lines) <= 16


def plain(picture, width=70, height=16, view=None):
    return "\n".join(text(draw(picture, width, height, view or View())))


def test_a_window_shows_its_stretch_alone_and_scales_to_it():
    curve = Curve("train", range(1001), [x * 1.0 for x in range(1001)], "ours")
    lines = plain(Picture("loss", (curve,)), view=View(window=(400, 500)))
    labels = {line.split("┤")[0].strip() for line in lines.splitlines() if "┤" in line}
    assert "400" in labels
    assert "0" not in labels
    assert "450" in lines.splitlines()[-1]


def test_the_crosshair_gives_every_curve_its_value_there():
    curves = (
        Curve("train", [0, 10, 20], [5.0, 4.0, 3.0], "ours"),
        Curve("val", [12, 20], [7.0, 6.0], "second"),
        Curve("holed", [0, 10, 20], [1.0, math.nan, 2.0], "good"),
    )
    lines = plain(Picture("loss", curves), view=View(at=11))
    assert lines.startswith("loss  ━ train 4.000  ━ val –  ━ holed –")
    assert " 11 " in lines.splitlines()[-1]


def test_a_legend_too_wide_says_how_many_curves_it_leaves_out():
    curves = tuple(Curve(f"toto-{i:04d}", [0, 1], [1, i], f"run {i}") for i in range(1, 9))
    first = text(draw(Picture("val", curves), 60, 12))[0]
    assert first.endswith("+6")
    assert len(first) <= 60


def test_a_band_is_a_ground_behind_the_curves_with_edges():
    xs = list(range(100))
    band = Band(xs, [10 - x / 20 for x in xs], [10 + x / 20 for x in xs], "faint", "10–90 %")
    lines = draw(Picture("AEM", (Curve("median", xs, [10.0] * 100, "good"),), bands=(band,)), 60, 20)
    roles = {role for line in lines for _, role in line}
    assert {"good on band", "faint on band"} <= roles
    assert Palette({**DARK.to_color_system().generate(), **DARK.variables})["good on band"].bgcolor is not None
    # To the right the band is wide, to the left it is nothing.
    grounds = [[role.endswith(" on band") for part, role in line for _ in part] for line in lines[1:-2]]
    assert sum(row[-1] for row in grounds) > 12 > 3 > sum(row[8] for row in grounds)


def test_dates_and_times_have_labels_of_their_own():
    day = calendar.timegm((2026, 2, 1, 0, 0, 0))
    xs = [day + 86400 * i for i in range(280)]
    dates = plain(Picture("close", (Curve("", xs, xs, "ours"),), x_name="", x_kind="date"), view=View(at=xs[3]))
    assert "2026-07" in dates.splitlines()[-1]
    assert " 2026-02-04 " in dates.splitlines()[-1]
    spans = plain(Picture("loss", (Curve("", [0, 7200], [1, 2], "ours"),), x_name="", x_kind="span"))
    assert spans.splitlines()[-1].split() == ["0", "30m", "1h", "1h", "30m", "2h"]


@given(st.floats(0, 4e9), st.floats(1e-3, 4e9), st.integers(1, 20))
def test_ticks_in_time_lie_in_their_range_and_ascend(low, length, most):
    for found in (
        ticks.dates(low, low + length, most, utc=True),
        ticks.dates(low, low + length, most, utc=False),
        ticks.spans(low, low + length, most),
    ):
        values = [value for value, _ in found]
        assert values == sorted(set(values))
        assert len(values) <= 2 * most + 2
        near = 1e-6 * length + 2 * math.ulp(low + length)  # seconds since 1970 are a quarter of a microsecond apart
        assert all(low - near <= value <= low + length + near for value in values)


def test_eight_runs_have_eight_colours_and_keep_them():
    runs = [f"toto-{i:04d}" for i in range(8)]
    roles = run_roles(runs)
    assert len(set(roles.values())) == 8
    assert run_roles(runs[:3]) == {run: roles[run] for run in runs[:3]}


def test_a_point_alone_is_seen_in_the_middle_and_its_level_from_end_to_end():
    """The only validation of a short run: a dot on the axis would look like an empty chart."""
    curves = (Curve("model", [150.0], [4.3], "good"), Curve("naive", [150.0], [4.4], "attention", dotted=True))
    lines = draw(Picture("val pct_mae", curves), 60, 14)[1:-2]
    inked = {role: [] for role in ("good", "attention")}
    for parts in lines:
        x = 0
        for text, role in parts:
            inked.get(role, []).extend(x + i for i, sign in enumerate(text) if sign not in " ⠀")
            x += len(text)
    assert 3 <= len(inked["good"]) <= 5
    assert abs(sum(inked["good"]) / len(inked["good"]) - 33) < 4
    assert max(inked["attention"]) - min(inked["attention"]) > 45


def test_the_charts_of_a_run_span_its_steps_together_and_naive_of_one_validation_spans_them_all():
    steps, nan = [float(step) for step in range(10, 501, 10)], math.nan
    curves = {"loss": (steps, [1 / step for step in steps]), "lr": (steps[3:], [1e-3] * len(steps[3:])),
              "val_pct_mae": ([500.0], [4.3]), "val_naive_pct_mae": ([500.0], [4.4]), "x": ([nan], [1.0])}  # fmt: skip
    reading = Reading(Wish("toto-0001"), 1, curves)
    made = [pictures.loss(reading, log=False), pictures.error(reading), pictures.rates(reading)]
    assert {picture.reach for picture in made} == {(10.0, 500.0)}
    drawn = [lay_out(picture, 60, 14) for picture in made]
    assert len({one.x_range for one in drawn}) == 1
    level = [text.strip(" ⠀") for line in drawn[1].lines[1:] for text, role in line if role == "attention"]
    assert len("".join(level)) > 20, "naive is drawn along the whole chart"
    assert made[1].curves[1].at(250.0) == 4.4
    zoomed = lay_out(made[1], 60, 14, View(window=(400.0, 500.0)))
    assert zoomed.x_range == (400.0, 500.0)
    assert pictures.error(Reading(Wish("toto-0001"), 1, {})).reach is None
