"""A training that comes before a run's own, in a folder of its own: the run begins with what it learned.

Its folder within the run folder holds its metrics and events, its checkpoints while it trains, and when it is done
the best of them with the mark `config.json`. A run that resumes another takes it over, finished or not.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from engine import runlog
from trainers import checkpoint
from trainers.loop import Loop
from trainers.resolve import RunConfig


def run(
    make: Callable[[RunConfig, Path, Callable[[str], object]], Loop],
    name: str,
    config: RunConfig,
    folder: Path,
    before: Path | None,
    say: Callable[[str], object],
) -> nn.Module | None:
    """The model that the training of `config` ends with, its best by eval.metric; None when asked to stop half-way.

    make: (config, its folder, where its lines go) -> a loop. name: of the folder, and before each line. before: the run
    folder that this one goes on from.
    """
    own, told = folder / name, config.as_dict()
    loop = make(config, own, lambda text: say(f"{name}: {text}"))
    ranks = loop.ranks
    runlog.event("phase", name=name)
    if ranks.first:
        if before is not None and not own.exists():
            _take_over(before / name, own, told)
        own.mkdir(exist_ok=True)
    ranks.wait()
    if (done := _mark(own)) is None:
        if ranks.first:
            runlog.open(own)
        ranks.wait()
        if found := checkpoint.newest_with_state(own):
            loop.resume(found)
            say(f"{name}: resumed at step {loop.progress.step}")
        try:
            why = loop.run()
        finally:
            if ranks.first:
                runlog.open(folder)
        if why == "stopped":
            return None
        best = loop.progress.best[0]
        done = {"config": told, "best": best["name"], "step": best["step"], config.eval.metric: best["value"]}
        if ranks.first:
            _finish(own, done)
        ranks.wait()
    say(f"{name}: {config.eval.metric} {done[config.eval.metric]:.5g} at step {done['step']}; it stays so from now on")
    return loop.family.load(own / "checkpoints" / done["best"], loop.placement.device)


def _take_over(old: Path, own: Path, told: dict[str, Any]) -> None:
    """What an earlier attempt of the same config did of it, into this run's own folder."""
    done, newest = _mark(old), checkpoint.newest_with_state(old)
    if done is not None and done["config"] == told:
        shutil.copytree(old, own)
    elif newest is not None and checkpoint.about(newest)["config"] == told:
        checkpoint.adopt(old, own)


def _finish(own: Path, done: dict[str, Any]) -> None:
    """Only the best is kept, without what it takes to train on."""
    best = own / "checkpoints" / str(done["best"])
    checkpoint.retain(own, [], best)
    for name in checkpoint.STATE:
        (best / name).unlink(missing_ok=True)
    beside = own / f".config.json.{os.getpid()}"
    beside.write_text(json.dumps(done, indent=1))
    beside.rename(own / "config.json")


def _mark(own: Path) -> dict[str, Any] | None:
    path = own / "config.json"
    return json.loads(path.read_text()) if path.exists() else None
