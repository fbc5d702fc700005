"""Curves become dots: connected, clipped, with gaps, at a cost that depends on the width."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import braille
from tui.widgets.chart import Curve, Picture, draw


def text(lines):
    return ["".join(part for part, _ in line) for line in lines]


def test_a_falling_line_is_one_connected_diagonal():
    spans = braille.spans([0, 7], [7, 0], (0, 7), (0, 7), 4, 2)
    assert spans == [(i, i) for i in range(8)]
    canvas = braille.Canvas(4, 2)
    canvas.draw(spans, "ours")
    assert [canvas.line(0)[0][0][:2], canvas.line(1)[-1][1]] == ["⠑⢄", "ours"]


def test_a_gap_stays_a_gap():
    spans = braille.spans([0, 1, 2, 3, 4, 5], [1, 1, math.nan, math.nan, 1, 1], (0, 5), (0, 2), 3, 1)
    assert [span is None for span in spans] == [False, False, True, True, False, False]


def test_what_lies_outside_is_clipped():
    spans = braille.spans([0, 1, 2, 3], [0, 100, -100, 0], (0, 3), (0, 3), 2, 1)
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
    spans = braille.spans(xs, ys, *box, columns, rows)
    assert len(spans) == 2 * columns
    for span in spans:
        assert span is None or 0 <= span[0] <= span[1] < 4 * rows
    if len(real) == len(ys):
        seen = [span for span in spans if span is not None]
        for (a, b), (c, d) in pairwise(seen):
            assert max(a, c) <= min(b, d) + 1


def test_a_later_curve_takes_the_cells_it_touches():
    canvas = braille.Canvas(2, 1)
    canvas.draw([(0, 3)] * 4, "ours")
    canvas.draw([None, None, (1, 1), (1, 1)], "second")
    assert canvas.line(0) == [("⣿", "ours"), ("⠒", "second")]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3000), st.integers(1, 100))
def test_decimation_is_bounded_and_keeps_the_extremes(ys, buckets):
    xs = list(range(len(ys)))
    kept_x, kept_y = braille.decimate(xs, ys, buckets)
    assert len(kept_x) == len(kept_y) <= 2 * buckets
    assert min(kept_y) == min(ys)
    assert max(kept_y) == max(ys)
    assert kept_x == sorted(kept_x)


@pytest.mark.parametrize(
    ("low", "high", "most", "labels"),
    [(0, 1, 5, ["0.0", "0.5", "1.0"]), (0.009, 0.0165, 8, ["0.009", "0.010", "0.011", "0.012", "0.013", "0.014",
     "0.015", "0.016"]), (0, 9200, 4, ["0", "5k"]), (0, 9200, 5, ["0", "2k", "4k", "6k", "8k"]),
     (-3, 3, 3, ["-2", "0", "2"]), (1e6, 3e6, 3, ["1M", "2M", "3M"])],
)  # fmt: skip
def test_ticks_are_round_and_their_labels_differ(low, high, most, labels):
    assert braille.tick_labels(braille.ticks(low, high, most)) == labels


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
