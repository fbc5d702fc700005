"""How long a run will take, from finished runs like it: their folders' own times, nothing from the database. Pure."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from engine.records import Spec

KEPT = 25
"""Finished runs remembered of a kind; the latest count."""
FREE = frozenset({"seed", "steps", "epochs", "lr", "weight_decay", "warmup"})
"""Training settings that do not change how long a step takes."""


@dataclass(frozen=True)
class Estimate:
    """seconds: the median. runs: how many it rests on. rough: they have its preset, but differ from it otherwise."""

    seconds: float
    runs: int
    rough: bool = False

    def __str__(self) -> str:
        count = "1 run" if self.runs == 1 else f"{self.runs} runs"
        return f"from {count} {'of its preset' if self.rough else 'like it'}"


@dataclass
class Durations:
    """What finished runs took, by kind; the closest kind that is known tells."""

    known: dict[str, deque[tuple[float, float]]] = field(default_factory=dict)
    """Work and seconds of finished runs by kind, oldest first."""
    count: int = 0
    """Runs taken in: with another count an estimate may be another."""

    def add(self, spec: Spec, seconds: float, gpu: bool, of: Sequence[Kind] | None = None) -> None:
        """Take in a run that ended well after so many seconds, those in pause left out. of: its kinds, if known.

        A resumed run is left out: it did a part of the work only.
        """
        if seconds <= 0 or spec.resume_from:
            return
        self.count += 1
        for key, work, _ in of or kinds(spec, gpu):
            if key not in self.known:
                self.known[key] = deque(maxlen=KEPT)
            self.known[key].append((work, seconds))

    def predict(self, of: Sequence[Kind], share: float = 1.0) -> Estimate | None:
        """Say how long a run of these kinds will take, or None where none like it has ended well.

        share: of its work still to do.
        """
        for key, work, rough in of:
            if found := self.known.get(key):
                return Estimate(_seconds(found, work * share), len(found), rough)
        return None


def _seconds(known: Collection[tuple[float, float]], work: float) -> float:
    """What so much work takes: the median of runs of as much, or along a line through the medians of others.

    The line has a fixed part, for starting and the last evaluation take the same time for short runs and long ones.
    With one amount of work known, the time goes in proportion, which is too much for more work rather than too little.
    """
    by_work: dict[float, list[float]] = {}
    for amount, seconds in known:
        by_work.setdefault(amount, []).append(seconds)
    if work in by_work:
        return median(by_work[work])
    points = sorted((amount, median(seconds)) for amount, seconds in by_work.items())
    (low, first), (high, last) = points[0], points[-1]
    if len(points) > 1 and last >= first:
        rate = (last - first) / (high - low)
        fixed = first - rate * low
        if fixed >= 0:
            return fixed + rate * work
    return median(seconds / amount for amount, seconds in known) * work


class Kind(NamedTuple):
    """What a run is one of. work: how much of it is to do, in a unit that the key holds."""

    key: str
    work: float
    rough: bool


def kinds(spec: Spec, gpu: bool) -> list[Kind]:
    """Give the kinds a run is of, closest first.

    A command is like itself only. A run of a family is like those whose model, data and batch are the same, or else
    like those of its preset; what it takes then goes with its steps, or its epochs on the same data.
    """
    where = "gpu" if gpu else "cpu"
    if spec.family == "exec" or not spec.config:
        return [Kind(_key(where, spec.family, spec.command, (spec.code and spec.code.cwd) or spec.cwd), 1.0, False)]
    train = spec.config.get("train", {})
    steps, epochs = train.get("steps"), train.get("epochs")
    data = spec.data.fingerprint if spec.data else ""
    if isinstance(steps, int) and steps > 0:
        unit, work = "steps", float(steps)
    elif isinstance(epochs, int | float) and epochs > 0:
        unit, work = f"epochs of {data}", float(epochs)
    else:
        unit, work = f"whole on {data}", 1.0
    alike = {
        section: {name: value for name, value in values.items() if name not in FREE}
        for section, values in spec.config.items()
    }
    return [
        Kind(_key(where, spec.family, alike, data, unit), work, False),
        Kind(_key(where, spec.family, spec.preset, unit), work, True),
    ]


def _key(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def share_left(step: int | None, steps: int | None) -> float:
    """Give the part of its work that a resumed run has still to do, by how far the one before came."""
    return max(0.0, 1.0 - step / steps) if step and steps else 1.0
