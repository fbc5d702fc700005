"""The learning rate at each step: a rise, then one of five ways down to a floor, as factors on the peak rate.

Pure functions of the step, but for plateau, which is told how often the metric has cut the rate so far. The first
update runs at the first rate of the rise, never at zero and never at the peak; where a schedule comes down, it
reaches its floor exactly on the last update, and later updates stay there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainers.train_config import TrainConfig


def factor(train: TrainConfig, step: int, steps: int, cuts: int = 0) -> float:
    """The factor on train.lr for the step-th update, counted from 0, of `steps` in all. cuts: see `plateau`."""
    if train.schedule == "onecycle":
        return one_cycle(step, steps, train.rise_share, train.start_ratio, train.min_lr_ratio)
    rising = round(train.warmup * steps)
    if step < rising:
        return (step + 1) / rising
    step, steps = step - rising, steps - rising
    if train.schedule == "restarts":
        return restarts(step, steps, train.cycles, train.cycle_growth, train.min_lr_ratio)
    if train.schedule == "wsd":
        return stable_then_decay(step, steps, round(train.decay_share * (steps + rising)), train.min_lr_ratio)
    if train.schedule == "plateau":
        return max(train.min_lr_ratio, train.plateau_factor**cuts)
    return cosine(step, steps, train.min_lr_ratio)


def cosine(step: int, steps: int, floor: float) -> float:
    """Half a cosine from 1 on the first of `steps` updates to the floor on the last."""
    return floor + (1.0 - floor) * _half_cosine(step, steps)


def restarts(step: int, steps: int, cycles: int, growth: float, floor: float) -> float:
    """`cycles` half cosines, each `growth` times as long as the one before; the last ends with the run.

    Source: Loshchilov & Hutter 2017 (arXiv:1608.03983), with the first cycle's length set so that none is cut short.
    """
    whole = sum(growth**i for i in range(cycles))
    begin, grown = 0, 0.0
    for i in range(cycles):
        grown += growth**i
        end = round(steps * grown / whole)
        if step < end:
            return cosine(step - begin, end - begin, floor)
        begin = end
    return floor


def one_cycle(step: int, steps: int, rise_share: float, start: float, floor: float) -> float:
    """From `start` up to 1 and down to the floor, each by half a cosine. See `beta1` for what goes with it.

    Source: Smith & Topin 2018 (arXiv:1708.07120).
    """
    rising = round(rise_share * steps)
    if step < rising:
        return start + (1.0 - start) * (1.0 - _half_cosine(step, rising))
    return cosine(step - rising, steps - rising, floor)


def beta1(train: TrainConfig, step: int, steps: int) -> float:
    """AdamW's first decay rate at the step-th update: train.betas[0], or under onecycle what beta1_at_peak asks for.

    Then it falls from betas[0] to beta1_at_peak while the rate rises, and comes back while it falls, by the same half
    cosines; torch's OneCycleLR does so unless told otherwise.
    """
    if train.schedule != "onecycle" or not train.beta1_at_peak:
        return train.betas[0]
    high = one_cycle(step, steps, train.rise_share, 0.0, 0.0)
    return train.betas[0] + (train.beta1_at_peak - train.betas[0]) * high


def stable_then_decay(step: int, steps: int, falling: int, floor: float) -> float:
    """1, and over the last `falling` of `steps` updates down to the floor with one minus a square root.

    Source: Hägele et al. 2024 (arXiv:2405.18392), where this shape ends lower than a straight line.
    """
    done = step - (steps - falling) + 1
    return 1.0 if done <= 0 or not falling else floor + (1.0 - floor) * (1.0 - math.sqrt(min(done / falling, 1.0)))


def _half_cosine(step: int, steps: int) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * min(step / max(steps - 1, 1), 1.0)))
