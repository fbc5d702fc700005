"""What the training loop costs on top of the model: a step of the loop beside a bare forward, backward and update.

    python bench/loop.py [BLOCKS]

Both run the default Toto on the same synthetic windows, a block of steps each in turn, in one process and on one
thread; on a CPU the clock is the process's own time, so that a busy machine changes both alike. The bare step has
its batch ready; the loop's draws and gathers windows, clips, sets the rate, and flushes a metric line every 10 steps.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # the repository in place of bench/, whose queue.py would be taken for Python's own
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import statistics
import tempfile
import time
from collections.abc import Callable

import torch

from engine import runlog
from trainers import family as families
from trainers import optim
from trainers.data import synth
from trainers.data.dataset import load
from trainers.device import place
from trainers.evaluate import TrainWindows
from trainers.loop import Loop
from trainers.resolve import resolve

STEPS = 10
LIMIT = 1.03


def main(blocks: int = 40) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synth.write(folder / "data", 12, 1500, 7)
        config = resolve("toto", None, {"data.path": "data", "train.steps": 10**6, "train.clip": 1.0})
        dataset = load(config.data, folder)
        family = families.load("toto")
        runlog.open(folder)
        placement = place("auto", "fp32")
        dataset = dataset.to(placement.device)

        model = family.build(config, len(dataset.variates), 0).to(placement.device)
        windows = TrainWindows(dataset)
        loop = Loop(family, model, config, windows, lambda *_: None, folder, {}, placement, say=lambda _: None)
        bare = family.build(config, len(dataset.variates), 0).to(placement.device)
        optimizer = optim.adamw(family.parameter_groups(bare, 0.01), 1e-4, (0.9, 0.95))
        batch = windows.gather(torch.arange(config.train.batch))

        def floor() -> None:
            family.loss(bare, batch, config.data.horizon).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        def ours() -> None:
            loop.take_step()
            if loop.progress.step % config.train.log_every == 0:
                loop.flush()

        gpu = placement.device.type == "cuda"
        clock = time.perf_counter if gpu else time.process_time

        def block(step: Callable[[], None]) -> float:
            """Seconds of one step, in the mean of a block."""
            begin = clock()
            for _ in range(STEPS):
                step()
            if gpu:
                torch.cuda.synchronize()
            return (clock() - begin) / STEPS

        model.train()
        bare.train()
        block(floor)
        block(ours)
        pairs = []
        for turn in range(blocks):  # the one that goes first changes, so that a drift of the machine favours neither
            first, second = (floor, ours) if turn % 2 else (ours, floor)
            a, b = block(first), block(second)
            pairs.append((b, a) if turn % 2 else (a, b))
    ratio = statistics.median(one / other for one, other in pairs)
    mine, least = (1000 * statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"a step of the loop        {mine:8.3f} ms   batch {config.train.batch}, context {config.data.context}")
    print(f"bare forward/backward/step{least:8.3f} ms   ratio {ratio:.3f}x   limit {LIMIT}x")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
