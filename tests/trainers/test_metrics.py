"""Every metric against numbers worked out by hand, and the test of equal accuracy against its promised error rate."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.metrics import Metrics, diebold_mariano, sample_quantiles, student_t_pvalue

# two windows: last values 10 and 100
CONTEXT = np.array([[8.0, 9.0, 10.0], [104.0, 96.0, 100.0]])
TARGET = np.array([[11.0, 12.0], [90.0, 100.0]])
POINT = np.array([[11.0, 11.0], [95.0, 98.0]])


def scored(**more) -> Metrics:
    metrics = Metrics(("A", "B"), more.pop("levels", ()), cost=more.pop("cost", 0.001))
    metrics.update(
        **{"context": CONTEXT, "target": TARGET, "point": POINT, "symbols": [0, 1], "origins": [0, 1], **more}
    )
    return metrics


def test_by_hand():
    v = scored().values()
    # relative errors 0, .1, .05, .02; naive .1, .2, .1, 0
    assert v["pct_mae"] == pytest.approx(100 * 0.17 / 4)
    assert v["naive_pct_mae"] == pytest.approx(100 * 0.4 / 4)
    assert v["skill"] == pytest.approx(1 - 0.17 / 0.4)
    assert v["pct_rmse"] == pytest.approx(100 * math.sqrt((0.01 + 0.0025 + 0.0004) / 4))
    assert v["pct_mape"] == pytest.approx(100 * (0 + 1 / 12 + 5 / 90 + 2 / 100) / 4)
    assert v["price_mae"] == pytest.approx((0 + 1 + 5 + 2) / 4)
    assert v["naive_price_mae"] == pytest.approx((1 + 2 + 10 + 0) / 4)
    assert v["price_rmse"] == pytest.approx(math.sqrt((0 + 1 + 25 + 4) / 4))
    # returns .1, .2, -.1, 0: mean .05, sum of squares .06 - 4 * .0025
    assert v["pct_r2"] == pytest.approx(1 - 0.0129 / 0.05)
    assert v["naive_pct_r2"] == pytest.approx(1 - 0.06 / 0.05)
    # one-step changes in the contexts: 1 and 6
    assert v["mase"] == pytest.approx((0.5 / 1 + 3.5 / 6) / 2)
    assert v["naive_mase"] == pytest.approx((1.5 / 1 + 5 / 6) / 2)
    # the last target does not move and is no direction; the other three are right
    assert v["dir_acc"] == 1.0
    # date 0: long, +.2 less cost; date 1: short, 0 less cost
    earned = np.array([0.2 - 0.001, 0.0 - 0.001])
    assert v["sharpe"] == pytest.approx(earned.mean() / earned.std(ddof=1))
    # loss less naive loss: .05 - .15, .035 - .05
    d = np.array([-0.1, -0.015])
    stat = d.mean() / math.sqrt(d.var() / 2) * math.sqrt((2 + 1 - 2) / 2)
    assert v["dm_stat"] == pytest.approx(stat)
    assert v["dm_pvalue"] == pytest.approx(2 * (0.5 - math.atan(abs(stat)) / math.pi))  # t with 1 degree is Cauchy


def test_by_symbol_and_report():
    report = scored().report("val", step=30, horizon=2)
    assert (report["split"], report["step"], report["horizon"], report["windows"], report["origins"]) == (
        "val",
        30,
        2,
        2,
        2,
    )
    assert report["metrics"]["val_pct_mae"] == pytest.approx(4.25)
    assert report["metrics"]["val_naive_pct_mae"] == pytest.approx(10)
    a = report["symbols"]["A"]
    assert (a["pct_mae"], a["naive_pct_mae"], a["windows"]) == (pytest.approx(5), pytest.approx(15), 1)
    assert a["skill"] == pytest.approx(2 / 3)
    assert "cost = 0.001" in report["definitions"]["sharpe"]
    json.dumps(report, allow_nan=False)


def test_quantile_metrics_by_hand():
    levels = (0.1, 0.5, 0.9)
    quantiles = np.stack([POINT - 2, POINT, POINT + 2], -1)
    v = scored(levels=levels, quantiles=quantiles).values()
    loss = np.zeros((2, 2, 3))
    for i, q in enumerate(levels):
        miss = TARGET - quantiles[..., i]
        loss[..., i] = np.where(miss > 0, q * miss, (q - 1) * miss) / np.array([[10.0], [100.0]])
    assert v["pinball"] == pytest.approx(100 * loss.mean())
    assert v["crps"] == pytest.approx(100 * 2 * (loss * np.array([0.3, 0.4, 0.3])).sum(-1).mean())
    assert v["coverage"] == pytest.approx(3 / 4)  # 90 lies below 93


def test_a_point_as_a_distribution_has_crps_equal_to_mae():
    v = scored(levels=(0.1, 0.5, 0.9), quantiles=np.repeat(POINT[..., None], 3, -1)).values()
    assert v["crps"] == pytest.approx(v["pct_mae"])


def test_crps_of_a_normal_forecast_meets_its_formula():
    rng = np.random.default_rng(0)
    n, levels = 4000, tuple(np.arange(1, 100) / 100)
    samples = rng.standard_normal((1, 1, 200_000))
    quantiles = np.repeat(sample_quantiles(samples, levels), n, 0)
    metrics = Metrics(("A",), levels)
    zeros = np.zeros((n, 1))
    metrics.update(
        context=np.ones((n, 2)), target=rng.standard_normal((n, 1)), point=zeros, quantiles=quantiles,
        symbols=np.zeros(n), origins=np.arange(n),
    )  # fmt: skip
    v = metrics.values()
    assert v["crps"] == pytest.approx(100 / math.sqrt(math.pi), rel=0.03)
    assert v["coverage"] == pytest.approx(0.8, abs=0.02)


def test_masked_points_do_not_count():
    target = TARGET.copy()
    target[0, 1] = np.nan
    v = scored(target=target).values()
    assert v["pct_mae"] == pytest.approx(100 * (0 + 0.05 + 0.02) / 3)
    by_mask = scored(target_mask=np.array([[True, False], [True, True]])).values()
    assert by_mask == pytest.approx(v)


def test_the_last_observed_value_is_c():
    mask = np.array([[True, True, False], [True, True, True]])
    v = scored(context_mask=mask).values()
    assert v["naive_price_mae"] == pytest.approx((2 + 3 + 10 + 0) / 4)


def test_windows_without_a_base_are_left_out_and_counted():
    context = CONTEXT.copy()
    context[0] = [1, 1, 0]
    metrics = scored(context=context)
    assert metrics.left_out == 1
    assert list(metrics.by_symbol()) == ["B"]
    nothing = scored(target=np.full((2, 2), np.nan))
    assert nothing.left_out == 2
    assert nothing.report("test", 0, 2)["metrics"]["test_pct_mae"] is None


def test_a_forecast_that_is_not_a_number_is_an_error():
    with pytest.raises(ValueError, match="not finite at 1 of 4"):
        scored(point=np.where(POINT == 98, np.nan, POINT))
    with pytest.raises(ValueError, match="quantile is not finite"):
        scored(levels=(0.5,), quantiles=np.full((2, 2, 1), np.inf))
    with pytest.raises(ValueError, match="if and only if"):
        scored(levels=(0.5,))
    with pytest.raises(ValueError, match="ascending"):
        Metrics(("A",), (0.9, 0.1))


def test_the_naive_forecast_against_itself():
    v = scored(point=np.repeat(CONTEXT[:, -1:], 2, 1)).values()
    assert (v["skill"], v["dm_stat"], v["dm_pvalue"], v["dir_acc"]) == (0, 0, 1, 0)
    assert math.isnan(v["sharpe"])


def test_tensors_of_any_type():
    t = torch.tensor
    v = scored(
        context=t(CONTEXT).bfloat16(), target=t(TARGET).float(), point=t(POINT, requires_grad=True), symbols=t([0, 1])
    ).values()
    assert v["price_mae"] == pytest.approx(2)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_batches_of_any_size_give_the_same(windows, size, seed):
    rng = np.random.default_rng(seed)
    full = {
        "context": rng.lognormal(3, 1, (windows, 6)), "target": rng.lognormal(3, 1, (windows, 4)),
        "point": rng.lognormal(3, 1, (windows, 4)), "quantiles": rng.lognormal(3, 1, (windows, 4, 2)),
        "symbols": rng.integers(0, 3, windows), "origins": rng.integers(0, 5, windows),
        "target_mask": rng.random((windows, 4)) > 0.2,
    }  # fmt: skip
    whole, parts = Metrics("ABC", (0.1, 0.9)), Metrics("ABC", (0.1, 0.9))
    whole.update(**full)
    for at in range(0, windows, size):
        parts.update(**{k: v[at : at + size] for k, v in full.items()})
    assert parts.values() == pytest.approx(whole.values(), nan_ok=True)
    assert parts.left_out == whole.left_out


@pytest.mark.parametrize(
    ("t", "degrees", "p"),
    [
        (0.0, 5, 1.0), (1.0, 1, 0.5), (12.706204736432095, 1, 0.05), (2.2281388519649385, 10, 0.05),
        (3.169272667175838, 10, 0.01), (1.9839715185235556, 100, 0.05), (-1.9839715185235556, 100, 0.05),
        (1.959963984540054, 10**9, 0.05), (math.sqrt(2), 2, 1 - math.sqrt(0.5)),
    ],
)  # fmt: skip
def test_student_t(t, degrees, p):
    assert student_t_pvalue(t, degrees) == pytest.approx(p, rel=1e-6)


def test_student_t_far_out():
    assert 0 < student_t_pvalue(50, 3) < 1e-4
    assert student_t_pvalue(1e200, 3) == 0
    assert student_t_pvalue(-1e-9, 3) == pytest.approx(1)


def test_diebold_mariano_by_hand():
    d = [1.0, -2.0, 3.0, 0.0]  # mean .5, deviations .5, -2.5, 2.5, -.5
    variance0, covariance1 = 13 / 4, (-1.25 - 6.25 - 1.25) / 4
    stat, p = diebold_mariano(d)
    assert stat == pytest.approx(0.5 / math.sqrt(variance0 / 4) * math.sqrt(3 / 4))
    assert p == pytest.approx(student_t_pvalue(stat, 3))
    assert math.isnan(diebold_mariano(d, lags=1)[0])  # 13/4 - 2 * 35/16 is negative
    up = [1.0, 2.0, 3.0, 4.0]
    covariance1 = (1.5 * 0.5 - 0.5 * 0.5 + 0.5 * 1.5) / 4
    assert diebold_mariano(up, lags=1)[0] == pytest.approx(
        2.5 / math.sqrt((5 / 4 + 2 * covariance1) / 4) * math.sqrt((4 + 1 - 4 + 2 / 4) / 4)
    )
    assert diebold_mariano(-np.array(up))[0] < 0  # the model's loss is lower


def test_diebold_mariano_edges():
    assert diebold_mariano([0.0, 0.0, 0.0]) == (0.0, 1.0)
    assert all(map(math.isnan, diebold_mariano([1.0])))
    assert all(map(math.isnan, diebold_mariano([1.0, 2.0], lags=5)))
    assert all(map(math.isnan, diebold_mariano([0.0, 0.0, 0.0, 1.0, 0.0, 0.0], lags=2)))  # nothing is left but rounding
    assert all(map(math.isnan, diebold_mariano([0.1] * 7)))


def test_equal_forecasters_are_rejected_at_the_promised_rate():
    """5 % for dates that do not overlap; about that with overlapping horizons when the lags are told."""
    rng = np.random.default_rng(0)
    n, trials = 40, 3000
    noise = rng.standard_normal((trials, n))
    assert np.mean([diebold_mariano(d)[1] < 0.05 for d in noise]) == pytest.approx(0.05, abs=0.012)
    overlapping = noise[:, 1:] + noise[:, :-1]
    told = np.mean([diebold_mariano(d, lags=1)[1] < 0.05 for d in overlapping])
    untold = np.mean([diebold_mariano(d)[1] < 0.05 for d in overlapping])
    assert told < 0.09 < untold


def test_symbols_of_one_date_are_not_independent():
    """Ten symbols that move as one tell no more than one: pooling them would reject three times too often."""
    rng = np.random.default_rng(1)
    rejected = 0
    for _ in range(400):
        metrics = Metrics([str(i) for i in range(10)])
        shock = np.repeat(rng.standard_normal((20, 1)), 10, 0)  # 20 dates, the same for 10 symbols
        target = 100 + shock + 0.1 * rng.standard_normal((200, 1))
        lean = np.repeat(rng.choice([-0.5, 0.5], (20, 1)), 10, 0)
        metrics.update(
            context=np.full((200, 2), 100.5), target=target, point=100 + lean, symbols=np.tile(np.arange(10), 20),
            origins=np.repeat(np.arange(20), 10),
        )  # fmt: skip
        # both are half a unit off the middle, on a side chosen by lot: equally good
        rejected += metrics.values()["dm_pvalue"] < 0.05
    assert rejected / 400 < 0.09
