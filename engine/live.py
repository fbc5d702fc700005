"""What a run's own lines say of its progress: a pure fold of metrics.jsonl and events.jsonl."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.curve import DRAWN, Curve, squeeze

LOSSES = ("loss", "train_loss", "train/loss")
"""What the loss of training is called, the first that is there counting."""
CONTEXT = 1 << 30
"""The most that CUDA and its libraries take of a device for one process; what is in use beyond is not the run's."""
RATE_WINDOW = 30.0
"""Seconds of late over which steps per second are taken."""


def number(value: object) -> float | None:
    """A finite number, or None for anything else a line may hold."""
    if value is None:  # most of what is asked for is not in a line: 8 questions a line, 60,000 lines at a start
        return None
    if type(value) is float:
        return value if math.isfinite(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an int that no float can hold
        return None


def whole(value: object) -> int | None:
    """A whole number of 64 bits, or None; True is none, and 3.0 is one."""
    if type(value) is int:
        return value if abs(value) < 1 << 63 else None
    found = number(value)
    if found is None or found != int(found) or abs(found) >= 1 << 63:
        return None
    return int(found)


def clean(value: object, longest: int = 500) -> str:
    """The text of a line, cut; "" for anything that is no text."""
    return value[:longest] if isinstance(value, str) else ""


@dataclass(slots=True)
class Progress:
    """How far a run is, from its own lines; every field may be missing, no line is trusted to be well typed."""

    phase: str = ""
    step: int | None = None
    steps: int | None = None
    epoch: float | None = None
    epochs: float | None = None
    loss: float | None = None
    bad_loss: int | None = None
    """The step since which every loss that it logged is no number."""
    metric: float | None = None
    naive: float | None = None
    skill: float | None = None
    best: float | None = None
    checkpoint: str = ""
    steps_per_s: float | None = None
    windows_per_s: float | None = None
    warning: str = ""
    failed: str = ""
    oom: Mapping[str, object] | None = None
    finished: str | None = None
    memory: int | None = None
    """Bytes of its device that it says it needed at most."""
    promised: float | None = None
    """Seconds within which it said that its next line comes."""
    last: float = 0.0
    spark: Curve | tuple[float, ...] = field(default_factory=Curve)
    """The loss from the first line to the last; once the run is settled DRAWN means of it."""
    _pace: deque[tuple[float, int]] | None = None

    def metrics(self, line: Mapping[str, object]) -> None:
        """Take in one line of metrics.jsonl."""
        t, step = number(line.get("t")), whole(line.get("step"))
        if t is not None and t > self.last:
            self.last = t
        if step is not None and (self.step is None or step > self.step):
            self.step = max(step, 0)
        if (loss := loss_in(line)) is not None:
            self.loss = loss
            if isinstance(self.spark, tuple):  # a settled run has told more
                self.spark = Curve(self.spark)
            self.spark.add(loss)
            self.bad_loss = None
        elif self.bad_loss is None and any(name in line and line[name] is None for name in LOSSES):
            self.bad_loss = whole(line.get("step"))
        if (epoch := number(line.get("epoch"))) is not None:
            self.epoch = epoch
        if (windows := number(line.get("windows_per_s"))) is not None:
            self.windows_per_s = windows
        if (metric := number(line.get("val_pct_mae"))) is not None:
            self.metric = metric
            self.best = metric if self.best is None else min(self.best, metric)
        if (naive := number(line.get("val_naive_pct_mae"))) is not None:
            self.naive = naive
        self._take_skill(line)
        if t is not None and step is not None:
            self._keep_pace(t, step)

    def settle(self) -> None:
        """Let go of what only a living run needs: 5 KB of its pace, and 1 KB of its losses."""
        self._pace = None
        if not isinstance(self.spark, tuple):
            self.spark = tuple(float(f"{mean:.6g}") for mean in squeeze(self.spark, DRAWN))

    def _keep_pace(self, t: float, step: int) -> None:
        if self._pace is None:
            self._pace = deque(maxlen=512)
        pace = self._pace
        if pace and (step < pace[-1][1] or t < pace[-1][0]):
            pace.clear()  # resumed, or the clock was moved
        pace.append((t, step))
        while len(pace) > 2 and t - pace[0][0] > RATE_WINDOW:
            pace.popleft()
        seconds = t - pace[0][0]
        if seconds > 0 and step > pace[0][1]:
            self.steps_per_s = (step - pace[0][1]) / seconds

    def event(self, line: Mapping[str, object]) -> None:
        """Take in one line of events.jsonl."""
        kind = line.get("event")
        if (t := number(line.get("t"))) is not None:
            self.last = max(self.last, t)
        if kind == "plan":
            self.steps = whole(line.get("steps"))
            self.epochs = number(line.get("epochs"))
        elif kind == "phase":
            self.phase = clean(line.get("name"), 40)
        elif kind == "best":
            self.checkpoint = clean(line.get("path"), 300)
            if line.get("metric") == "val_pct_mae":
                self.best = _or(number(line.get("value")), self.best)
        elif kind == "warning":
            self.warning = clean(line.get("text"), 300)
        elif kind == "memory":
            reserved, other = whole(line.get("reserved")) or 0, whole(line.get("other")) or 0
            if reserved > 0:
                self.memory = max(self.memory or 0, reserved + max(0, min(other, CONTEXT)))
        elif kind == "oom":
            self.oom = line
        elif kind == "failed":
            self.failed = clean(line.get("cause"))
        elif kind == "promise":
            self.promised = number(line.get("within"))
        elif kind == "finished":
            self.finished = clean(line.get("why"), 80)
        elif kind == "evaluation" and line.get("split") == "val" and isinstance(line.get("metrics"), dict):
            self._evaluated(line["metrics"])  # type: ignore[arg-type]

    def _evaluated(self, metrics: Mapping[str, object]) -> None:
        self.metric = _or(number(metrics.get("val_pct_mae")), self.metric)
        self.naive = _or(number(metrics.get("val_naive_pct_mae")), self.naive)
        self._take_skill(metrics)

    def _take_skill(self, told: Mapping[str, object]) -> None:
        """As it is told; else reckoned: a script of one's own may log its error and naive's, and no more."""
        if (skill := number(told.get("val_skill"))) is not None:
            self.skill = skill
        elif self.metric is not None and self.naive and ("val_pct_mae" in told or "val_naive_pct_mae" in told):
            self.skill = 1 - self.metric / self.naive

    @property
    def eta(self) -> float | None:
        """Seconds to the last step at the rate of late."""
        if self.step is None or self.steps is None or not self.steps_per_s:
            return None
        return max(0.0, (self.steps - self.step) / self.steps_per_s)


def loss_in(line: Mapping[str, object]) -> float | None:
    """The loss that a line of metrics.jsonl tells, if it does."""
    for name in LOSSES:
        if (found := number(line.get(name))) is not None:
            return found
    return None


def _or(value: float | None, otherwise: float | None) -> float | None:
    return otherwise if value is None else value
