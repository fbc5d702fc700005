"""How much device memory a run will need, learnt from the peaks of earlier runs of the same shape.

A line of runs/memory.jsonl tells what one run needed at its most, on its fullest device, beside what decides that: the
family and the fields of its config that tensors are as large as. Predictions hold for one GPU and are peaks, not means.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.records import Spec

MARGIN = 1.1
"""What a run is counted with, over what runs like it needed: allocators fragment, and libraries change."""
KEPT = 64
"""Peaks remembered for each shape and micro-batch; of older ones the newest count."""
ALIKE = frozenset({"dropout", "lora_dropout", "lora_alpha", "huber_delta", "robust_delta", "nll_weight", "anchor"})
"""Fields of a model that change no tensor's size."""
DATA = ("path", "symbols", "context", "horizon", "target", "covariates", "known_future")
"""The panel lies on the device as a whole, so which one it is counts too."""
TRAIN = ("precision", "checkpointing", "offload", "optimizer", "compile", "device")
EVAL = ("batch", "samples", "levels")

Line = Mapping[str, object]


@dataclass(frozen=True)
class Shape:
    """What decides a run's memory: everything but the micro-batch as one key, and the micro-batch, 0 for none."""

    key: str
    micro: int = 0


@dataclass(frozen=True)
class Prediction:
    """bytes: on one device, with the margin. runs: how many peaks it rests on."""

    bytes: int
    runs: int

    def __str__(self) -> str:
        runs = "1 run" if self.runs == 1 else f"{self.runs} runs"
        return f"predicted {self.bytes / (1 << 30):.3g} GiB from {runs}"


def shape(spec: Spec) -> Shape:
    """Give the shape of a run; a command's is the command itself, in the folder it was queued in."""
    if spec.family == "exec" or not spec.config:
        return Shape(_digest([spec.family, spec.command, (spec.code and spec.code.cwd) or spec.cwd]))
    config = spec.config
    model = {name: value for name, value in config.get("model", {}).items() if name not in ALIKE}
    train = config.get("train", {})
    facts = {
        "family": spec.family,
        "model": model,
        "data": [config.get("data", {}).get(name) for name in DATA],
        "train": [train.get(name) for name in TRAIN],
        "ema": bool(train.get("ema")),
        "eval": [config.get("eval", {}).get(name) for name in EVAL],
    }
    return Shape(_digest(facts), micro_batch(spec) or 0)


def micro_batch(spec: Spec) -> int | None:
    """Windows that one device computes at once; None where the config does not say."""
    train = spec.config.get("train", {})
    batch, parts, ranks = train.get("batch"), train.get("accumulate", 1), train.get("processes") or spec.gpus or 1
    if not (isinstance(batch, int) and isinstance(parts, int) and isinstance(ranks, int)):
        return None
    return max(1, batch // max(1, parts) // max(1, ranks))


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def line(spec: Spec, t: float, peak: int, end: str, asked: int = 0, *, at_least: bool = False) -> dict[str, object]:
    """Give the line that remembers a run. end: how it ended; asked: bytes it asked for in vain when memory ran out.

    at_least: too much of its life was not watched for the peak to be more than a lower bound.
    """
    of = shape(spec)
    kept = {"t": t, "run": spec.id, "family": spec.family, "shape": of.key, "micro": of.micro, "peak": peak}
    return {**kept, "end": end, **({"asked": asked} if asked else {}), **({"at_least": True} if at_least else {})}


@dataclass
class Peaks:
    """All peaks that are known, by shape and micro-batch."""

    known: dict[str, dict[int, list[int]]] = field(default_factory=dict)
    count: int = 0
    """Lines taken in: with another count a prediction may be another."""

    def add(self, line: Line) -> None:
        """Take in a line; one that is not ours is passed over, and so is a lower bound: it would promise too little."""
        key, micro, peak, asked = line.get("shape"), line.get("micro"), line.get("peak"), line.get("asked", 0)
        if not (isinstance(key, str) and isinstance(micro, int) and isinstance(peak, int) and peak > 0):
            return
        if line.get("at_least"):
            return
        self.count += 1
        peaks = self.known.setdefault(key, {}).setdefault(micro, [])
        peaks.append(peak + (asked if isinstance(asked, int) else 0))
        del peaks[:-KEPT]

    def predict(self, spec: Spec) -> Prediction | None:
        """Say what a run will need, or None where no run of its shape is known.

        With the same micro-batch: the highest peak. Between two known ones: the larger one's. Beyond the largest: on
        the line through the two largest, or in proportion where there is one, which is too much rather than too little.
        """
        of = shape(spec)
        by_micro = self.known.get(of.key)
        if not by_micro:
            return None
        if exact := by_micro.get(of.micro):
            return Prediction(int(max(exact) * MARGIN), len(exact))
        runs = sum(map(len, by_micro.values()))
        tops = sorted((micro, max(peaks)) for micro, peaks in by_micro.items())
        above = [peak for micro, peak in tops if micro > of.micro]
        if above:
            return Prediction(int(min(above) * MARGIN), runs)
        last, peak = tops[-1]
        if len(tops) > 1:
            before, lower = tops[-2]
            peak += max(0, peak - lower) * (of.micro - last) // (last - before)
        else:
            peak = peak * of.micro // max(1, last)
        return Prediction(int(peak * MARGIN), runs)
