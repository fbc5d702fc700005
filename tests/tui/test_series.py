"""What is made of logged curves before they are drawn, against the plain way of working it out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.series import PACES, mean, pace, tokens


@given(st.lists(st.just(math.nan) | st.floats(-1e6, 1e6), max_size=300), st.floats(0.5, 0.95))
def test_the_smooth_mean_is_that_of_one_value_after_the_other(ys, weight):
    found = mean(ys, weight)
    total, weights = 0.0, 0.0
    for y, smooth in zip(ys, found, strict=True):
        if math.isnan(y):
            assert math.isnan(smooth)
            continue
        total = weight * total + (1 - weight) * y
        weights = weight * weights + (1 - weight)
        assert smooth == pytest.approx(total / weights, rel=1e-9, abs=1e-6)


def test_tokens_are_what_was_logged_and_go_on_beyond_it():
    total = tokens({"tokens": ([10.0, 20.0], [1000.0, 3000.0])})
    assert list(total([0, 5, 10, 15, 20, 40])) == [0, 500, 1000, 2000, 3000, 6000]


def test_values_seen_follow_from_what_a_second_and_what_a_step_is():
    curves = {"points_per_s": ([10.0, 20.0], [4000.0, 8000.0]), "steps_per_s": ([10.0, 20.0], [4.0, 4.0])}
    assert list(tokens(curves)([10, 20])) == [10_000, 30_000]


def test_values_seen_follow_where_other_points_are_kept_of_each():
    curves = {"points_per_s": ([10.0, 20.0], [4000.0, 8000.0]), "steps_per_s": ([5.0, 15.0, 25.0], [4.0, 4.0, 4.0])}
    assert list(tokens(curves)([10, 20])) == [10_000, 30_000]
    curves["steps_per_s"] = ([5.0], [math.nan])
    assert tokens(curves) is None


def test_without_either_nobody_can_tell():
    assert tokens({"loss": ([1.0], [2.0])}) is None


def test_the_pace_follows_from_when_steps_were_logged():
    xs, rate = pace([1.0, 2.0, 4.0, 8.0], [10, 20, 40, 80], [0.0, 5.0, 10.0, 10.0])
    assert list(xs) == [2.0, 4.0, 8.0]
    assert list(rate[:2]) == [2.0, 4.0]
    assert math.isnan(rate[2]), "many steps in no time"
    _, again = pace([1.0, 2.0, 3.0], [10, 5, 15], [0.0, 9.0, 19.0])
    assert math.isnan(again[0]), "it went back to a checkpoint"
    assert again[1] == 1.0
    assert len(pace([3.0], [3], [0.0])[0]) == len(pace([], [], [])[0]) == 0
    xs, rate = pace(*[[float(i) for i in range(9000)]] * 3)
    assert len(xs) == PACES - 1
    assert set(rate) == {1.0}
