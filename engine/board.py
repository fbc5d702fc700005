"""A leaderboard as it is told: its rows, the naive forecast among them, and how its numbers are put into words."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from engine.paired import p_words, verdict

METRIC = "val_pct_mae"
Direction = Literal["min", "max"]
HIGHER_IS_BETTER = ("skill", "r2", "dir_acc", "sharpe", "accuracy", "acc", "f1", "auc", "per_s")
NAIVE = "naive"


@dataclass(frozen=True)
class BoardRow:
    """A run, or the naive forecast (rank None). Numbers are None where they are unknown."""

    rank: int | None
    id: str
    value: float
    name: str = ""
    family: str = ""
    state: str = ""
    naive: float | None = None
    """The naive forecast's value of the same metric on the same windows."""
    skill: float | None = None
    """1 - pct_mae / naive_pct_mae; positive is better than naive."""
    dm_stat: float | None = None
    dm_p: float | None = None
    words: str = ""
    """The Diebold-Mariano test against naive in words."""
    steps: int | None = None
    hours: float | None = None
    checkpoint: str = ""
    """Relative to the workspace."""
    commit: str = ""
    seed: int | None = None
    seeds: int = 1
    """Seeds of this config, itself included: runs that differ in nothing else."""
    mean: float | None = None
    """Of the values of those seeds; None with a single one."""
    spread: float | None = None
    """Their standard deviation."""
    tie: bool = False
    """Whether nothing shows that it is worse than the best."""
    against_best: str = ""
    """What was found of that, in words."""
    device_hours: float | None = None
    """Hours times devices; None on the CPU, whose hours are `hours`."""
    kwh: float | None = None
    test: float | None = None
    """The metric on test data, and on unseen symbols: only of promoted runs."""
    unseen: float | None = None
    gap: float | None = None
    """Skill on test data less skill on validation: negative is worse on what it had not seen."""

    @property
    def is_naive(self) -> bool:
        return self.rank is None

    @property
    def cost(self) -> str:
        """`2.0 device h, 0.61 kWh`, `12 min of CPU`; kWh is n/a where no power was sampled."""
        if self.hours is None:
            return ""
        if self.device_hours is None:
            return f"{span(self.hours)} of CPU"
        return f"{span(self.device_hours)} of device, {'kWh n/a' if self.kwh is None else f'{self.kwh:.3g} kWh'}"


class Seeds(NamedTuple):
    """The values of one config's seeds: how many, their mean and standard deviation; None with a single one."""

    number: int = 1
    mean: float | None = None
    spread: float | None = None

    @staticmethod
    def of(values: Sequence[float]) -> Seeds:
        if len(values) < 2:
            return Seeds()
        return Seeds(len(values), statistics.fmean(values), statistics.stdev(values))


@dataclass(frozen=True)
class Board:
    metric: str
    direction: Direction
    rows: tuple[BoardRow, ...] = ()
    """Best first."""
    naive: float | None = None
    sentence: str = ""
    """What to think of it, in a sentence or two."""
    note: str = ""
    """What was left out, and how to choose; empty when nothing was."""
    fingerprint: str = ""
    data: str = ""
    """The path of the data as given."""
    horizon: int | None = None
    windows: int | None = None
    synthetic: bool = False
    """Whether the data are made up."""
    left_out: tuple[str, ...] = field(default=())
    """Runs without a rank."""
    runs: int = 0
    """How many have a rank, shown or not."""

    @property
    def best(self) -> BoardRow | None:
        """The run of rank 1, None when there is none."""
        return next((row for row in self.rows if not row.is_naive), None)

    @property
    def beats_naive(self) -> bool:
        """Whether the best one is better than the naive forecast, by chance or not."""
        best = self.best
        if best is None or self.naive is None:
            return False
        return best.value < self.naive if self.direction == "min" else best.value > self.naive

    def as_json(self) -> dict[str, Any]:
        """Give what `--json` prints: plain lists, dicts, strings and numbers."""
        return asdict(self) | {"rows": [asdict(row) | {"cost": row.cost} for row in self.rows]}


def direction_of(metric: str) -> Direction:
    """Tell which way is better: less, but for skill, R², accuracies, Sharpe ratio and rates."""
    short = metric.removeprefix("val_")
    return "max" if any(short == word or short.endswith(f"_{word}") for word in HIGHER_IS_BETTER) else "min"


def dm_words(stat: float | None, p: float | None) -> str:
    """Say what the Diebold-Mariano test against naive says; negative statistics are the model's."""
    if stat is None or p is None or not (math.isfinite(stat) and math.isfinite(p)):
        return ""
    how = {"better": "better than", "worse": "worse than"}.get(verdict(stat, p), "no different from")
    return f"{how} naive, {p_words(p)}"


def span(hours: float) -> str:
    """Hours as people say them: 45 s, 12 min, 3.4 h."""
    seconds = hours * 3600
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if hours < 2 else f"{hours:.1f} h"
