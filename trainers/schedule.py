"""The learning rate at each step: a linear rise, then half a cosine down to a floor."""

from __future__ import annotations

import math


def scale(step: int, steps: int, warmup: float, floor: float) -> float:
    """The factor on the peak rate for the step-th update, counted from 0, of `steps` in all.

    Warm-up covers round(warmup * steps) updates; the first runs at peak / that number, never at zero and never
    at the peak. The cosine ends at `floor` exactly on the last update; later updates stay there.
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    falling = max(steps - rising - 1, 1)
    done = min((step - rising) / falling, 1.0)
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * done))
