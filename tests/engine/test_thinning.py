"""Curves in bounded memory: what is kept of a long one, and that a run of weeks takes no more than one of an hour."""

from __future__ import annotations

import json
import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.lineage import Lineage
from engine.series import Series
from engine.thinning import GROUP, decimate, kept, shortened

VALUE = st.one_of(st.floats(-1e6, 1e6), st.integers(-2, 2).map(float), st.sampled_from((math.nan, math.inf, -math.inf)))
MOST = 1000


@given(st.lists(VALUE, min_size=1, max_size=200))
def test_of_each_few_neighbours_the_ends_the_extremes_and_a_gap_stay(ys):
    places = kept(ys).tolist()
    assert places == sorted(set(places))
    for start in range(0, len(ys), GROUP):
        group = ys[start : start + GROUP]
        stay = [ys[place] for place in places if start <= place < start + GROUP]
        assert len(stay) <= 5
        assert (repr(stay[0]), repr(stay[-1])) == (repr(group[0]), repr(group[-1]))
        assert any(map(math.isnan, stay)) is any(map(math.isnan, group))
        for least in (min, max):
            fine = [y for y in group if math.isfinite(y)]
            assert least(filter(math.isfinite, stay), default=None) == least(fine, default=None)


def test_columns_stay_in_step():
    ys = array("d", (math.sin(x * x) for x in range(1000)))
    xs = array("d", range(1000))
    short_x, short_y = shortened([xs, ys], by=1)
    assert 200 < len(short_y) < 600
    assert all(ys[int(x)] == y for x, y in zip(short_x, short_y, strict=True))
    assert shortened([array("d"), array("d")], by=1) == [array("d"), array("d")]


def test_a_long_run_is_kept_in_bounded_memory_with_all_that_stands_out(tmp_path):
    """Spikes at its start, in its middle and at its end; looked at while it grows."""
    series, whole = Series(tmp_path, MOST), Series(tmp_path)
    spikes = {7: 50.0, 20_011: -40.0, 39_990: 60.0}
    with open(tmp_path / "metrics.jsonl", "w", buffering=1) as file:
        for start in range(0, 40_000, 700):
            lines = [
                {"step": step, "t": 2.0 * step, "epoch": step / 100, "loss": spikes.get(step, math.sin(step * step)),
                 "val": None if step == 15_000 else step}
                for step in range(start, min(40_000, start + 700))
            ]  # fmt: skip
            file.write("".join(json.dumps(line) + "\n" for line in lines))
            file.flush()
            series.refresh(seconds=60)
            assert all(len(curve.value) < MOST for curve in series.curves())
    whole.refresh(seconds=60)
    xs, ys = series.points("loss")
    points = dict(zip(xs, ys, strict=True))
    assert {step: points.get(step) for step in spikes} == spikes
    assert (xs[0], xs[-1]) == (0, 39_999)
    assert list(xs) == sorted(xs)
    # All its parts alike: each twentieth is there with its extremes, the first as well as the last.
    exact = dict(zip(*whole.points("loss"), strict=True))
    for part in range(20):
        here = [x for x in xs if part * 2000 <= x < part * 2000 + 2000]
        assert len(here) > 10
        assert all(points[x] == exact[x] for x in here)
        least = min(exact[x] for x in range(part * 2000, part * 2000 + 2000))
        assert min(points[x] for x in here) == pytest.approx(least, abs=0.01)
    curve = series.curve("loss")
    assert list(curve.t) == [2.0 * step for step in curve.step]
    assert list(curve.epoch) == [step / 100 for step in curve.step]
    assert any(map(math.isnan, series.points("val")[1]))
    assert series.last("val") == 39_999


def test_a_short_run_is_kept_whole_and_a_bound_too_small_is_refused(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("".join(f'{{"step":{i},"loss":{i % 7}}}\n' for i in range(MOST - 1)))
    lineage = Lineage([tmp_path], MOST)
    lineage.refresh()
    xs, ys = lineage.points("loss")
    assert list(ys) == [i % 7 for i in range(MOST - 1)]
    short_x, _ = lineage.points("loss", width=10)
    assert list(short_x) == list(decimate(xs, ys, 10)[0])
    with pytest.raises(ValueError, match="most = 8"):
        Series(tmp_path, 8)
