"""From a moment to a line of the log, a place on the axis and the knob of the scrubber."""

from __future__ import annotations

import itertools
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui import travel
from tui.travel import Scrub

NOON = time.mktime((2026, 3, 3, 12, 0, 0, 0, 0, -1))


def test_a_place_has_its_moment_and_back():
    clock = ([10.0, 20.0, 30.0], [100.0, 200.0, 400.0])
    assert travel.moment_at(clock, 15) == 150
    assert travel.place_at(clock, 300) == 25
    assert travel.moment_at(clock, 99) == 400
    assert travel.moment_at(([math.nan], [5.0]), 1) is None


def test_stamps_without_a_date_go_back_over_midnight():
    lines = ["23:59:50 start", "a line", "00:00:10 step 1", "11:59:00 step 2"]
    found = travel.times(lines, ((), ()), NOON)
    assert found.at == (NOON - 12 * 3600 - 10, NOON - 12 * 3600 + 10, NOON - 60)
    assert found.line(NOON - 12 * 3600) == 1
    assert found.line(NOON) == 3
    assert found.line(NOON - 86400) == 0


def test_stamps_with_a_date_are_taken_at_their_word():
    found = travel.times(["2026-03-01 08:00:00 begin", "2026-03-02T09:30:00 end"], ((), ()), NOON)
    day = time.mktime((2026, 3, 1, 8, 0, 0, 0, 0, -1))
    assert found.at == (day, day + 86400 + 5400)


def test_a_log_without_stamps_goes_by_the_steps_it_speaks_of():
    clock = ([0.0, 100.0], [1000.0, 2000.0])
    found = travel.times(["hello", "step 50 loss 1", "warning", "step=1,00 x"], clock, 3000)
    assert found.at == (1500.0, 2000.0)
    assert found.line(1600) == 2
    assert travel.times(["hello"], clock, 3000).line(1600) is None


@given(st.lists(st.integers(0, 5 * 86400), min_size=1, max_size=40))
def test_stamps_of_a_log_that_never_slept_a_day_are_read_as_they_were_written(seconds):
    begin = NOON - 10 * 86400
    at = [begin + s for s in sorted(seconds)]
    if any(b - a > 80_000 for a, b in itertools.pairwise(at)):
        return
    lines = [time.strftime("%H:%M:%S x", time.localtime(t)) for t in at]
    assert travel.times(lines, ((), ()), at[-1]).at == pytest.approx(at)


def test_the_scrubber_goes_to_now_past_its_end_and_stays_at_its_start():
    scrub = Scrub(0.0, 1000.0, live=True)
    assert scrub.moved(-1) == 990
    assert Scrub(0.0, 1000.0, 990.0).moved(1) is None
    assert Scrub(0.0, 1000.0, 5.0).moved(-10) == 0
    assert Scrub(5.0, 5.0).moved(-1) is None


@pytest.mark.parametrize("width", [10, 40, 80, 200])
@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_the_scrubber_fits_and_its_knob_is_where_the_moment_is(width, part):
    parts, left, room = travel.track(Scrub(NOON, NOON + 3600, NOON + 3600 * part), width)
    text = "".join(text for text, _ in parts)
    assert len(text) <= width or room == 0
    if room:
        assert text.index("●") == left + round(part * (room - 1))
