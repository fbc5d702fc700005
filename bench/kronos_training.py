"""Training a Kronos predictor in our loop beside training it as the official recipe does (bench/plain_kronos.py).

    python bench/kronos_training.py [mini|small ...] [--context 90] [--horizon 11] [--batch N] [--pairs 5]

Both sides take the same synthetic daily bars from the start: ours through the loop of `engine run`, windows gathered,
normalised and tokenised, gradients clipped; the plain one through a dataset that gives item after item and tokenises
each batch anew. Same weights, recipe and float32; the losses of a batch are compared before anything is timed. Steps
are timed in turn, on one thread and by the process's own CPU time (on a GPU by the clock after a synchronisation), so
that a busy machine slows all alike; ratios are medians over the turns. Three figures, of a window with its loading:
  tokenised   ours tokenises each batch anew too: a first epoch, or the only one
  kept        ours takes tokens that are kept: every epoch once they are made
  30 epochs   the recipe's number of them: making the tokens once, then kept ones
With its two workers the recipe's own loader gives every batch twice; the last line tells what share of an epoch's
windows is not a repetition, and the first ratio per window that is not. The figures above make no use of that.
A step takes 50 windows as in the recipe, of small 20, so that it is done in a few minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # the repository in place of bench/, whose queue.py would be taken for Python's own
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset

from bench.plain_kronos import PlainKronos, PlainTokenizer, plain_loss
from engine import runlog
from trainers.config import build
from trainers.data import synth
from trainers.data.dataset import load
from trainers.device import place
from trainers.kronos import weights
from trainers.kronos.config import ModelConfig
from trainers.kronos.family import KronosFamily
from trainers.kronos.model import Kronos
from trainers.kronos.tokenizer import Tokenizer
from trainers.kronos.windows import FreshWindows, TokenWindows
from trainers.loop import Loop
from trainers.resolve import RunConfig, resolve

EPOCHS = 30
BARS = ["open", "high", "low", "close", "volume", "amount"]
STAMPS = ["minute", "hour", "weekday", "day", "month"]
LIMITS = {"mini": 2.0, "small": 1.3}
BATCH = {"mini": 50, "small": 20}
FAMILY = KronosFamily()
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class PlainBars(Dataset):
    """Windows of many symbols' frames, drawn by a generator of its own whatever index is asked for."""

    def __init__(self, folder: Path, context: int, length: int) -> None:
        self.context, self.length = context, length
        self.frames, self.places, self.random = {}, [], random.Random(100)
        for path in sorted(folder.glob("*.csv")):
            frame = pd.read_csv(path, index_col=0, parse_dates=True)
            frame["amount"] = frame[BARS[:4]].mean(axis=1) * frame["volume"]
            times = frame.index
            columns = (times.minute, times.hour, times.day_of_week, times.day, times.month)
            for name, values in zip(STAMPS, columns, strict=True):
                frame[name] = values
            self.frames[path.stem] = frame
            self.places += [(path.stem, first) for first in range(len(frame) - length + 1)]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, _: int) -> tuple[torch.Tensor, torch.Tensor]:
        symbol, first = self.places[self.random.randrange(len(self.places))]
        window = self.frames[symbol].iloc[first : first + self.length]
        x, stamps = window[BARS].values.astype(np.float32), window[STAMPS].values.astype(np.float32)
        mean, deviation = np.mean(x[: self.context], axis=0), np.std(x[: self.context], axis=0)
        x = np.clip((x - mean) / (deviation + 1e-5), -5, 5)
        return torch.from_numpy(x), torch.from_numpy(stamps)


def fresh_share(dataset: PlainBars, batch: int, steps: int) -> float:
    """Of the windows that two workers load, those that have not been loaded before."""
    loader = DataLoader(dataset, batch, num_workers=2, drop_last=True)
    seen = [x.numpy().tobytes() for (xs, _), _ in zip(loader, range(steps), strict=False) for x in xs]
    return len(set(seen)) / len(seen)


def plain_side(kronos: Kronos, dataset: PlainBars, config: RunConfig) -> tuple[PlainKronos, Callable[[], None]]:
    """The network, and a step of the recipe on the loader's next batch."""
    tokenizer, predictor = plain_models(kronos)
    train = config.train
    optimizer = torch.optim.AdamW(predictor.parameters(), lr=train.lr, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=train.lr, total_steps=10**6, pct_start=0.03, div_factor=10
    )
    batches = iter(DataLoader(dataset, train.batch, drop_last=True))

    def step() -> None:
        x, stamps = (part.to(DEVICE, non_blocking=True) for part in next(batches))
        with torch.no_grad():
            s1, s2 = tokenizer.encode(x)
        loss = plain_loss(predictor, s1, s2, stamps, teacher=False)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(predictor.parameters(), train.clip)
        optimizer.step()
        schedule.step()

    return predictor, step


def plain_models(kronos: Kronos) -> tuple[PlainTokenizer, PlainKronos]:
    parts = []
    for kind, part in ((PlainTokenizer, kronos.tokenizer), (PlainKronos, kronos.predictor)):
        made = kind(asdict(part.config)).to(DEVICE)
        made.load_state_dict(weights.to_hub(part.state_dict(), part.config))
        parts.append(made)
    return parts[0].eval(), parts[1].train()


def difference(kronos: Kronos, dataset: PlainBars, batch: int) -> float:
    """Relative, of the losses of one batch under teacher forcing and without dropout."""
    loader = DataLoader(dataset, batch)
    x, stamps = (part.to(DEVICE) for part in next(iter(loader)))
    tokenizer, predictor = plain_models(kronos)
    predictor.eval()
    predictor.dep_layer.train()  # whose attention is causal only then; it has no dropout
    with torch.no_grad():
        s1, s2 = kronos.tokenizer.encode(x)
        inputs, targets = (s1[:, :-1], s2[:, :-1], stamps[:, :-1]), (s1[:, 1:], s2[:, 1:])
        kronos.predictor.eval()
        ours = sum(kronos.predictor.losses(*inputs, *targets, given=targets[0])) / 2
        kronos.train()
        theirs = plain_loss(predictor, *tokenizer.encode(x), stamps, teacher=True)
    return abs((ours - theirs) / theirs).item()


def clock() -> float:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def timed(step: Callable[[], object]) -> float:
    begin = clock()
    step()
    return clock() - begin


def compare(size: str, folder: Path, given: argparse.Namespace) -> None:
    tokenizer = folder / f"tokenizer-{size}"
    config = settings(size, tokenizer, given)
    dataset = load(config.data, folder).with_stamps().to(DEVICE)
    placement = place("auto", "fp32")

    def loop(kept: bool) -> Loop:
        model = FAMILY.build(config, len(dataset.variates), 0).to(DEVICE)
        windows = FreshWindows(dataset, model.where, augmented=False, why="timed so")
        if kept:
            few = dataset.starts("train")[: 8 * given.batch]  # what making them costs is timed per window
            begin = clock()
            windows = TokenWindows(Few(dataset, few), model.tokenizer, model.where, Whole(config))
            making.append((clock() - begin) / len(few))
        about = {"variates": list(dataset.variates)}
        return Loop(FAMILY, model, config, windows, lambda *_: None, folder, about, placement, say=lambda _: None)

    making: list[float] = []
    loops = [loop(False), loop(True)]
    bars = PlainBars(folder / "data", config.data.context, config.data.context + config.data.horizon)
    off = difference(loops[0].model, bars, 8)
    _, plain = plain_side(loops[0].model, bars, config)
    steps = [loops[0].take_step, loops[1].take_step, plain]
    for one in loops:
        one.model.train()
    taken = []
    for turn in range(-1, given.pairs):
        order = [0, 1, 2] if turn % 2 else [2, 1, 0]  # so that a drift of the machine favours none
        times = dict(zip(order, [timed(steps[i]) / config.train.batch for i in order], strict=True))
        if turn >= 0:
            taken.append([times[i] for i in range(3)])
    mine, kept, theirs = (1000 * statistics.median(column) for column in zip(*taken, strict=True))
    print(f"{size}: windows of {config.data.context} + {config.data.horizon}, {config.train.batch} a step, loss off "
          f"{off:.0e}; plain {theirs:.1f} ms a window")  # fmt: skip
    made = making[0] / EPOCHS
    for name, each, ratio in (
        ("tokenised", mine, statistics.median(t[2] / t[0] for t in taken)),
        ("kept", kept, statistics.median(t[2] / t[1] for t in taken)),
        (f"{EPOCHS} epochs", kept + 1000 * made, statistics.median(t[2] / (t[1] + made) for t in taken)),
    ):
        limit = f"   limit {LIMITS[size]}x" if name == "tokenised" else ""
        print(f"  {name:<10} {each:7.1f} ms a window   {ratio:5.2f}x{limit}")
    fresh = fresh_share(bars, 5, 8)
    epoch = statistics.median(t[2] / t[0] for t in taken) / fresh
    print(f"  the recipe's two workers load {fresh:.0%} that is no repetition: {epoch:.2f}x per new window", flush=True)


class Few:
    """Some of a dataset's training windows."""

    def __init__(self, dataset, starts: torch.Tensor) -> None:
        self._starts, self.config, self.panel = starts, dataset.config, dataset.panel

    def starts(self, _: str) -> torch.Tensor:
        return self._starts


class Whole:
    """A training window's lengths."""

    def __init__(self, config: RunConfig) -> None:
        self.context, self.length = config.data.context, config.data.context + config.data.horizon


def settings(size: str, tokenizer: Path, given: argparse.Namespace) -> RunConfig:
    """Of a run over a frozen tokenizer with random weights, which is written to the folder first."""
    sets = {"data.path": "data", "data.context": given.context, "data.horizon": given.horizon,
            "train.batch": given.batch, "train.clip": 3.0, "train.lr": 4e-5, "train.steps": 10**6,
            "train.weight_decay": 0.1, "data.covariates": "open,high,low,volume", "model.pretokenise": "no",
           }  # fmt: skip
    values = {k.removeprefix("model."): v for k, v in resolve("kronos", size, sets).as_dict()["model"].items()}
    torch.manual_seed(0)
    weights.save(Tokenizer(build(ModelConfig, values, "model").for_tokenizer), tokenizer)
    return resolve("kronos", size, {**sets, "model.tokenizer": str(tokenizer), "model.phase": "predictor"})


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ask.add_argument("sizes", nargs="*", default=["mini", "small"], choices=("mini", "small"))
    ask.add_argument("--context", type=int, default=90)
    ask.add_argument("--horizon", type=int, default=11)
    ask.add_argument("--batch", type=int)
    ask.add_argument("--pairs", type=int, default=5)
    given = ask.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synth.write(folder / "data", 12, 1500, 7)
        runlog.open(folder)
        for size in given.sizes:
            compare(size, folder, argparse.Namespace(**{**vars(given), "batch": given.batch or BATCH[size]}))


if __name__ == "__main__":
    main()
