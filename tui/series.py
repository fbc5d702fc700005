"""What screens make of logged curves before they are drawn: a smooth mean, and how much had been seen at a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.braille import Floats

BLOCK = 64
"""Values whose means come from one product of matrices: 0.9 ** -64 still leaves 13 digits."""
PACES = 200
"""Places between which a pace is told: fewer than lines, for many come in one second."""
TOKENS = "tokens"
"""The name under which a trainer logs how many it has seen."""
SEEN = "values seen"
"""What is counted where no tokens are logged: values of windows, from points_per_s and steps_per_s."""


def mean(ys: Sequence[float], weight: float = 0.9) -> Floats:
    """Exponential mean without a bias at the start; gaps stay gaps. weight: how much of the past is kept."""
    import numpy as np

    y = np.asarray(ys, dtype=np.float64)
    known = np.isfinite(y)
    values = y[known]
    blocks = -(-len(values) // BLOCK)
    padded = np.zeros(blocks * BLOCK)
    padded[: len(values)] = values
    at = np.arange(BLOCK)
    back = at[:, None] - at
    of_block = np.where(back >= 0, (1 - weight) * weight ** np.maximum(back, 0), 0.0)
    within = padded.reshape(blocks, BLOCK) @ of_block.T
    total = 0.0
    for block in within:  # what the blocks before leave behind
        block += total * weight ** (at + 1)
        total = block[-1]
    found = np.full(len(y), np.nan)
    found[known] = within.reshape(-1)[: len(values)] / (1 - weight ** (np.arange(len(values)) + 1))
    return found


def pace(xs: Sequence[float], steps: Sequence[float], times: Sequence[float]) -> tuple[Floats, Floats]:
    """Steps a second along the x axis, from when each step was logged: the mean between every two of PACES places.

    Where a run began anew, or the clock was set back, it is a gap.
    """
    import numpy as np

    x, step, t = (np.asarray(one, dtype=np.float64) for one in (xs, steps, times))
    good = np.isfinite(step) & np.isfinite(t)
    x, step, t = x[good], step[good], t[good]
    if len(x) < 2:
        return np.empty(0), np.empty(0)
    at = np.unique(np.linspace(0, len(x) - 1, min(len(x), PACES)).astype(int))
    done, took = np.diff(step[at]), np.diff(t[at])
    found = np.full(len(done), np.nan)
    np.divide(done, took, out=found, where=(done > 0) & (took > 0))
    return x[at[1:]], found


def unit(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> str:
    """What tokens() counts of these: TOKENS or SEEN."""
    return TOKENS if len(curves.get(TOKENS, ((), ()))[0]) else SEEN


def placed(xs: Sequence[float]) -> bool:
    """Whether any point has a place on its x axis: a run may log no epochs."""
    return any(x == x for x in xs)


def tokens(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Callable[[Sequence[float]], Floats] | None:
    """Give a function from steps to what had been seen by then, or None where that can't be told.

    curves: by step. As `tokens` where a trainer logs that; else values of windows, by points_per_s and steps_per_s.
    """
    import numpy as np

    if unit(curves) == TOKENS:
        steps, seen = (np.asarray(one, dtype=np.float64) for one in curves[TOKENS])
        good = np.isfinite(seen)
        steps, seen = steps[good], seen[good]
    elif "points_per_s" in curves and "steps_per_s" in curves:
        steps, points = (np.asarray(one, dtype=np.float64) for one in curves["points_per_s"])
        at, rate = (np.asarray(one, dtype=np.float64) for one in curves["steps_per_s"])
        if not np.array_equal(at, steps):  # of long curves not the same points are kept
            known = np.isfinite(rate)
            rate = np.interp(steps, at[known], rate[known]) if known.any() else np.full(len(steps), np.nan)
        good = np.isfinite(points) & np.isfinite(rate) & (rate > 0)
        steps = steps[good]
        seen = np.cumsum(points[good] / rate[good] * np.diff(steps, prepend=0.0))
    else:
        return None
    if not len(steps):
        return None
    steps, seen = np.concatenate(((0.0,), steps)), np.concatenate(((0.0,), seen))

    def total(at: Sequence[float]) -> Floats:
        """Beyond the last known step it goes on as it went."""
        x = np.asarray(at, dtype=np.float64)
        more = (seen[-1] / steps[-1] if steps[-1] > 0 else 0.0) * np.maximum(x - steps[-1], 0.0)
        found: Floats = np.interp(x, steps, seen) + more
        return found

    return total
