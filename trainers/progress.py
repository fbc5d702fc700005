"""All of the training loop's state that is not a tensor: state.json of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Progress:
    """Where a loop is; what decides its next step, beside the tensors."""

    step: int = 0
    position: int = 0
    averaged: int = 0
    evaluated: int = -1  # the step of the last finished validation
    without_gain: int = 0  # validations since the best
    flat: int = 0  # validations since the best or the last cut of the rate
    cuts: int = 0  # of the rate, by the plateau schedule
    seconds: float = 0.0
    best: list[dict[str, Any]] = field(default_factory=list)  # {"step", "value", "name"}, best first
    metrics: dict[str, float] = field(default_factory=dict)  # of the last validation
    windows: int = 0

    def scored(self, metrics: Mapping[str, float], value: float, keep: int, *, higher: bool) -> bool:
        """Take in a validation of this step; whether it is the best so far.

        value: of the metric that ranks. keep: how many of the best are remembered. higher: whether more is better.
        """
        self.evaluated = self.step
        self.metrics = {k: float(v) for k, v in metrics.items()}
        entry = {"step": self.step, "value": value, "name": f"step-{self.step:06d}"}
        ranked = sorted([*self.best, entry], key=lambda e: -e["value"] if higher else e["value"])
        self.best = ranked[:keep]  # sorted() is stable: of equals the earlier stays ahead
        is_best = self.best[0] is entry
        self.without_gain = 0 if is_best else self.without_gain + 1
        self.flat = 0 if is_best else self.flat + 1
        return is_best
