"""How long the windows of each training step are, and how many fit into it.

Windows of one step are of one length, so nothing is padded. A pure function of seed and step: a resumed run takes the
lengths that it would have taken, and all ranks take the same.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainers.data.config import DataConfig
from trainers.errors import ConfigError
from trainers.train_config import TrainConfig

if TYPE_CHECKING:
    from trainers.resolve import RunConfig


@dataclass(frozen=True)
class Size:
    """Of the batch of one step: windows of context + horizon rows each."""

    windows: int
    context: int
    horizon: int

    @property
    def length(self) -> int:
        return self.context + self.horizon


class Lengths:
    """train.lookbacks, train.horizons and train.token_budget over the whole run.

    parts: what a step's windows must be a multiple of (processes times train.accumulate). Raises ConfigError for a
    length beyond the data section's.
    """

    def __init__(self, train: TrainConfig, data: DataConfig, parts: int = 1) -> None:
        check(train, data)
        self.train, self.parts = train, parts
        self.contexts = sorted(train.lookbacks) or [data.context]
        self.horizons = sorted(train.horizons) or [data.horizon]
        self.mean_windows = self._mean()
        """Windows of a step, averaged over a run."""

    @property
    def vary(self) -> bool:
        return len(self.contexts) * len(self.horizons) > 1

    def size(self, context: int, horizon: int) -> Size:
        """As many windows as the budget holds, and one for each part at the least."""
        budget = self.train.token_budget
        windows = budget // (context + horizon) // self.parts * self.parts if budget else self.train.batch
        return Size(max(windows, self.parts), context, horizon)

    def largest(self) -> Size:
        """The size with the longest windows."""
        return self.size(self.contexts[-1], self.horizons[-1])

    def at(self, step: int, steps: int) -> Size:
        """The size of the step-th batch of `steps`: a context and a horizon drawn from those admitted so far."""
        if not self.vary:
            return self.largest()
        contexts, horizons = self._admitted(step / max(1.0, self.train.length_warmup * steps))
        draw = random.Random(f"{self.train.seed} {step}")
        return self.size(contexts[draw.randrange(len(contexts))], horizons[draw.randrange(len(horizons))])

    def between(self, first: int, last: int, steps: int) -> int:
        """Windows that the steps from first to before last take."""
        return sum(self.at(step, steps).windows for step in range(first, last))

    def told(self) -> dict[str, object]:
        """For the `used` event; empty for windows of one length, train.batch at a time."""
        if not self.vary and not self.train.token_budget:
            return {}
        sizes = [self.size(c, h).windows for c in self.contexts for h in self.horizons]
        return {"lookbacks": self.contexts, "horizons": self.horizons, "batch": sorted(set(sizes))}

    def _admitted(self, share: float) -> tuple[list[int], list[int]]:
        """The shortest of each at the beginning of the warm-up (share 0), all from its end (share 1) on."""
        if not self.train.length_warmup or share >= 1.0:
            return self.contexts, self.horizons
        return tuple(some[: 1 + int(share * len(some))] for some in (self.contexts, self.horizons))  # type: ignore[return-value]

    def _mean(self) -> float:
        grid, warmup = 100, self.train.length_warmup
        total = 0.0
        for i in range(grid):
            contexts, horizons = self._admitted((i + 0.5) / grid / warmup if warmup else 1.0)
            sizes = [self.size(c, h).windows for c in contexts for h in horizons]
            total += sum(sizes) / len(sizes)
        return total / grid


def check(train: TrainConfig, data: DataConfig) -> None:
    """ConfigError for a length that data.context or data.horizon does not hold."""
    for name, lengths, most in (("lookbacks", train.lookbacks, "context"), ("horizons", train.horizons, "horizon")):
        limit = getattr(data, most)
        if lengths and max(lengths) > limit:
            raise ConfigError(
                f"train.{name} holds {max(lengths)}, but data.{most} = {limit}: windows are cut for the latter; "
                f"raise it, or leave out what is longer."
            )


def total_steps(config: RunConfig, windows: int, lengths: Lengths) -> int:
    """Optimizer steps of the whole run: train.steps, or what train.epochs over these windows make, rounded up."""
    return config.train.steps or max(1, math.ceil(config.train.epochs * windows / lengths.mean_windows))
