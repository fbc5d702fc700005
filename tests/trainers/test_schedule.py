"""The learning rate over a run, for every schedule."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.config import build
from trainers.errors import ConfigError
from trainers.schedule import beta1, factor
from trainers.train_config import TrainConfig

LINEAR = ("cosine", "restarts", "plateau", "wsd")
DOWN = ("cosine", "restarts", "onecycle", "wsd")


def rates(steps: int, more: int = 0, **fields: Any) -> list[float]:
    return [factor(TrainConfig(**fields), step, steps) for step in range(steps + more)]


@pytest.mark.parametrize("schedule", LINEAR)
def test_the_first_step_runs_at_the_warm_up_rate(schedule: str) -> None:
    found = rates(100, schedule=schedule, warmup=0.1, min_lr_ratio=0.1)
    assert found[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert max(found) == found[9] == 1.0


def test_one_cycle_starts_where_it_is_told_and_rises_by_a_cosine() -> None:
    found = rates(101, schedule="onecycle", rise_share=0.3, start_ratio=0.05, min_lr_ratio=0.01)
    assert found[0] == pytest.approx(0.05)
    assert max(found) == found[29] == found[30] == pytest.approx(1.0)
    assert found[:30] == sorted(found[:30])
    assert found[30:] == sorted(found[30:], reverse=True)
    assert found[15] - found[14] > 5 * (found[1] - found[0])
    assert found[-1] == pytest.approx(0.01)


def test_beta1_mirrors_the_rate_of_one_cycle_and_stays_elsewhere() -> None:
    train = TrainConfig(schedule="onecycle", rise_share=0.3, betas=(0.95, 0.99), beta1_at_peak=0.85)
    found = [beta1(train, step, 101) for step in range(101)]
    assert (found[0], found[-1]) == pytest.approx((0.95, 0.95))
    assert min(found) == found[29] == found[30] == pytest.approx(0.85)
    assert found[15] - found[14] < 5 * (found[1] - found[0]) < 0
    assert {beta1(TrainConfig(schedule="onecycle"), step, 101) for step in range(101)} == {0.9}
    assert {beta1(TrainConfig(), step, 101) for step in range(101)} == {0.9}


@pytest.mark.parametrize("schedule", DOWN)
def test_the_floor_is_reached_on_the_last_update_and_kept(schedule: str) -> None:
    found = rates(100, more=7, schedule=schedule, min_lr_ratio=0.1)
    assert found[98] > 0.1 + 1e-6
    assert found[99:] == pytest.approx([0.1] * 8)


def test_without_warm_up_it_starts_at_the_peak() -> None:
    found = rates(10, warmup=0.0, min_lr_ratio=0.0)
    assert found[0] == 1.0
    assert found[-1] == pytest.approx(0.0)


def test_every_cycle_starts_at_the_peak_and_is_longer_than_the_one_before() -> None:
    found = rates(140, schedule="restarts", warmup=0.0, cycles=3, cycle_growth=2.0, min_lr_ratio=0.1)
    assert [step for step, rate in enumerate(found) if rate == 1.0] == [0, 20, 60]
    assert [step for step, rate in enumerate(found) if rate == pytest.approx(0.1)] == [19, 59, 139]


def test_wsd_is_stable_and_then_falls_over_its_share() -> None:
    found = rates(100, schedule="wsd", warmup=0.1, decay_share=0.25, min_lr_ratio=0.0)
    assert set(found[9:75]) == {1.0}
    assert found[75] == pytest.approx(1 - (1 / 25) ** 0.5)
    assert found[75:] == sorted(found[75:], reverse=True)


def test_a_plateau_is_cut_as_often_as_the_metric_says_down_to_the_floor() -> None:
    train = TrainConfig(schedule="plateau", plateau_factor=0.5, min_lr_ratio=0.2)
    assert [factor(train, 50, 100, cuts) for cuts in range(4)] == [1.0, 0.5, 0.25, 0.2]


@given(
    st.sampled_from((*LINEAR, "onecycle")), st.integers(1, 400), st.floats(0, 0.8), st.floats(0, 1), st.integers(2, 9)
)
def test_every_rate_lies_between_zero_and_the_peak(
    schedule: str, steps: int, share: float, floor: float, cycles: int
) -> None:
    fields: dict[str, Any] = {"rise_share": share} if schedule == "onecycle" else {"warmup": share}
    found = rates(steps, more=5, schedule=schedule, min_lr_ratio=floor, cycles=cycles, **fields)
    assert all(0 <= rate <= 1 + 1e-12 for rate in found)
    assert found[0] > 0 or floor == 0
    if schedule in DOWN and not (schedule == "wsd" and round(0.2 * steps) == 0):
        assert found[-1] == pytest.approx(floor)
    if schedule in ("cosine", "wsd", "onecycle"):
        rising = round(share * steps)
        assert found[:rising] == sorted(found[:rising])
        assert found[rising:] == sorted(found[rising:], reverse=True)


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ({"cycles": 4}, "train.cycles has no meaning with train.schedule=cosine"),
        ({"schedule": "onecycle", "warmup": 0.1}, "train.warmup has no meaning with train.schedule=onecycle"),
        ({"schedule": "wsd", "plateau_factor": 0.3}, "set train.schedule=plateau"),
        ({"schedule": "wsd", "warmup": 0.5, "decay_share": 0.6}, "choose at most 0.5"),
        ({"schedule": "cosin"}, "Did you mean 'cosine'?"),
    ],
)
def test_a_field_of_another_schedule_is_refused(sets: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        build(TrainConfig, sets, "train")
