"""The learning rate over a run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.schedule import scale


def test_the_first_step_runs_at_the_warm_up_rate() -> None:
    rates = [scale(step, 100, 0.1, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert max(rates) == 1.0
    assert rates.index(1.0) == 9
    assert rates[-1] == pytest.approx(0.1)


def test_without_warm_up_it_starts_at_the_peak() -> None:
    assert scale(0, 10, 0.0, 0.0) == 1.0
    assert scale(9, 10, 0.0, 0.0) == pytest.approx(0.0)


@given(st.integers(1, 400), st.floats(0, 0.9), st.floats(0, 1))
def test_it_rises_once_falls_once_and_keeps_the_floor(steps: int, warmup: float, floor: float) -> None:
    rates = [scale(step, steps, warmup, floor) for step in range(steps + 5)]
    rising = round(warmup * steps)
    assert all(0 < rate <= 1 or floor == 0 for rate in rates)
    assert rates[:rising] == sorted(rates[:rising])
    falling = rates[rising:]
    assert falling == sorted(falling, reverse=True)
    assert all(rate >= floor - 1e-12 for rate in falling)
    assert rates[-1] == pytest.approx(floor)
