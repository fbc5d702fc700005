"""The strategy check against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trainers.strategy import METRICS, check


def test_by_hand():
    # date 0: A long, +10 %; B short, +20 %.  date 1: A stays long, -10 %; B long, +10 %.
    found = check(
        symbols=["B", "A", "A", "B"],
        origins=[0, 0, 1, 1],
        last=[10.0, 100.0, 110.0, 12.0],
        target=[12.0, 110.0, 99.0, 13.2],
        point=[9.0, 101.0, 120.0, 12.5],
        cost_bps=50.0,
    )
    # A moves 1 and 0, B 1 and 2 units: turnover 1 on both dates
    returns = np.array([(0.1 - 0.2) / 2 - 0.005, (-0.1 + 0.1) / 2 - 0.005])
    assert found["sharpe"] == pytest.approx(returns.mean() / returns.std(ddof=1))
    assert found["turnover"] == pytest.approx(1.0)
    assert found["hit_rate"] == pytest.approx(2 / 4)
    assert found["total"] == pytest.approx(np.prod(1 + returns) - 1)
    assert found["drawdown"] == pytest.approx(1 - np.prod(1 + returns))
    assert found["hold_total"] == pytest.approx((1 + 0.15) * (1 + 0.0) - 1)
    assert found["periods"] == 2


def test_a_forecast_of_no_change_holds_nothing_and_costs_nothing():
    found = check([0, 0], [0, 1], [10.0, 11.0], [11.0, 12.0], [10.0, 11.0], 100.0)
    assert (found["turnover"], found["total"], found["drawdown"]) == (0.0, 0.0, 0.0)
    assert math.isnan(found["hit_rate"])
    assert math.isnan(found["sharpe"])


def test_prices_that_are_none_are_left_out_and_nothing_is_not_a_number_to_trade_on():
    found = check([0, 1], [0, 0], [10.0, -1.0], [math.nan, 1.0], [10.0, 2.0], 10.0)
    assert list(found) == list(METRICS)
    assert all(math.isnan(value) for value in found.values())
