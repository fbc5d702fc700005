"""Forecasts of our Kronos beside those of the ordinary loop (bench/plain_kronos.py): Kronos-small, random weights.

    python bench/kronos.py [CASE ...] [--pairs 3] [--whole]

CASE is one, twenty or sliding: 100 bars after 400 of 512, one sample or twenty; 30 bars after 512 of 512, five samples.
Both sides have the same weights and history and draw with top_p 0.9, on one thread and by the process's own CPU time,
in pairs, one of each in turn, so that a busy machine slows both alike; the ratio is the median over the pairs.
Ours is timed whole. Of the plain side tokenising, the last decoding, and the steps whose places are told are timed:
its step costs what its window is long, so those in between are integrated along straight lines (where the window is
full all steps are alike). --whole times all of its steps instead. Before anything is timed, the steps that are
measured take, greedily, the ids of our forecast: each must choose the next as ours did.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"  # numpy's too, which reads it when it is loaded
    # the repository in place of bench/, whose queue.py would be taken for Python's own
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import statistics
import time
from dataclasses import fields
from typing import NamedTuple

import torch

from bench.plain_kronos import PlainKronos, PlainTokenizer, plain_copies, plain_forecast, plain_step
from trainers.kronos import bars, model, weights
from trainers.kronos.config import ModelConfig, small
from trainers.kronos.decode import forecast
from trainers.kronos.generate import Past, generate
from trainers.kronos.sampling import Sampling


class Case(NamedTuple):
    history: int
    horizon: int
    samples: int
    limit: float
    """How many times faster ours has to be."""


CONTEXT = 512
CASES = {"one": Case(400, 100, 1, 15.0), "twenty": Case(400, 100, 20, 40.0), "sliding": Case(512, 30, 5, 3.0)}


def ours() -> model.Kronos:
    names = {f.name for f in fields(ModelConfig)}
    given = {k.removeprefix("model."): v for k, v in small().items() if k.startswith("model.")}
    return model.build(ModelConfig(**{k: v for k, v in given.items() if k in names}), seed=0).eval()


def plain(kronos: model.Kronos) -> tuple[PlainTokenizer, PlainKronos]:
    made = []
    for kind, part in ((PlainTokenizer, kronos.tokenizer), (PlainKronos, kronos.predictor)):
        one = kind(vars(part.config)).eval()
        one.load_state_dict(weights.to_hub(part.state_dict(), part.config))
        made.append(one)
    return made[0], made[1]


def bars_of(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """A random walk [1,L,6] and five-minute stamps [1,L+H,5]."""
    walk = 100 + torch.randn(1, case.history, 6, generator=torch.Generator().manual_seed(0)).cumsum(1)
    bar = torch.arange(case.history + case.horizon)
    stamps = torch.stack([bar * 5 % 60, bar // 12 % 24, bar // 288 % 7, 1 + bar // 288, bar * 0 + 6], dim=-1)
    return walk, stamps.float().unsqueeze(0)


def our_seconds(kronos: model.Kronos, case: Case) -> float:
    x, stamps = bars_of(case)
    told = {"samples": case.samples, "sampling": Sampling(), "context": CONTEXT}
    begin = time.process_time()
    forecast(kronos, x, stamps[:, : case.history], stamps[:, case.history :],
             generator=torch.Generator().manual_seed(0), **told)  # fmt: skip
    return time.process_time() - begin


def places(case: Case) -> list[int]:
    """The steps that are measured: ends and middle while the window grows; any of those where it is full."""
    return [0, case.horizon // 2, case.horizon - 1]


@torch.no_grad()
def plain_seconds(sides: tuple[PlainTokenizer, PlainKronos], case: Case, ids: tuple[torch.Tensor, ...]) -> float:
    """ids: s1, s2 [1,L+H] of history and a forecast, which its steps are given."""
    tokenizer, predictor = sides
    x, stamps = bars_of(case)
    x = bars.normalise(x, bars.measure(x, [case.history]))
    begin = time.process_time()
    tokenizer.encode(plain_copies(x, case.samples))
    around = time.process_time() - begin
    took = []
    copies = [plain_copies(a, case.samples) for a in (*ids, stamps)]
    for i in places(case):
        end = case.history + i
        window = [a[:, max(0, end - CONTEXT) : end] for a in copies]
        begin = time.process_time()
        plain_step(predictor, *window)
        took.append(time.process_time() - begin)
    begin = time.process_time()
    tokenizer.decode(*(a[:, -CONTEXT:] for a in copies[:2]))
    around += time.process_time() - begin
    points = places(case)
    between = sum((b - a) * (s + t) / 2 for a, b, s, t in zip(points, points[1:], took, took[1:], strict=False))
    return around + between + (took[0] + took[-1]) / 2  # the trapezium counts half of the first and of the last


@torch.no_grad()
def whole_seconds(sides: tuple[PlainTokenizer, PlainKronos], case: Case) -> float:
    x, stamps = bars_of(case)
    x = bars.normalise(x, bars.measure(x, [case.history]))
    begin = time.process_time()
    plain_forecast(*sides, x, stamps, case.horizon, CONTEXT, case.samples)
    return time.process_time() - begin


@torch.inference_mode()
def greedy(kronos: model.Kronos, case: Case) -> tuple[torch.Tensor, ...]:
    """s1, s2 [1,L+H]: the history's and those of our greedy forecast."""
    x, stamps = bars_of(case)
    s1, s2 = kronos.tokenizer.encode(bars.normalise(x, bars.measure(x, [case.history])))
    past = Past(s1, s2, stamps[:, : case.history], [case.history])
    made = generate(kronos.predictor, past, stamps[:, case.history :], 1, CONTEXT, Sampling(top_k=1), None)
    return tuple(torch.cat([a, b[:, 0]], dim=1) for a, b in zip((s1, s2), made, strict=True))


@torch.no_grad()
def check(predictor: PlainKronos, case: Case, ids: tuple[torch.Tensor, ...]) -> None:
    _, stamps = bars_of(case)
    for i in places(case):
        end = case.history + i
        window = [a[:, max(0, end - CONTEXT) : end] for a in (*ids, stamps)]
        chosen = [a.item() for a in plain_step(predictor, *window, top_k=1)]
        if chosen != [a[0, end].item() for a in ids]:
            sys.exit(f"step {i}: the plain side chose {chosen}, ours {[a[0, end].item() for a in ids]}")


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ask.add_argument("cases", nargs="*", metavar="CASE", default=list(CASES))
    ask.add_argument("--pairs", type=int, default=3)
    ask.add_argument("--whole", action="store_true", help="time every step of the plain side; slow")
    given = ask.parse_args()
    torch.set_num_threads(1)
    kronos = ours()
    sides = plain(kronos)
    for name in given.cases:
        case = CASES[name]
        ids = greedy(kronos, case)
        check(sides[1], case, ids)
        pairs = []
        for _ in range(given.pairs):
            its = whole_seconds(sides, case) if given.whole else plain_seconds(sides, case, ids)
            pairs.append((our_seconds(kronos, case), its))
        fast, slow = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        how = "every step" if given.whole else f"from steps {', '.join(map(str, places(case)))}"
        print(
            f"{name:8} {case.horizon} bars after {case.history}, {case.samples} samples: ours {fast:.2f} s  "
            f"plain {slow:.1f} s ({how})  {ratio:.1f}x (limit {case.limit:g}x)  same greedy ids",
            flush=True,
        )


if __name__ == "__main__":
    main()
