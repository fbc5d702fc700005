"""Walk-forward cross-validation: the validation period in parts, each forecast by a model trained anew on its past.

The parts together are the run's own validation windows, so the mean over folds and the run's val_ metrics are about
the same days; what differs is that every fold trains up to its part (less the purge). The test period is never
touched. A fold is trained in folds/<number>/ of the run folder, with lines and evaluation of its own; its checkpoints
are dropped once it has been scored.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from engine import runlog
from trainers import evaluate
from trainers.data.dataset import Dataset
from trainers.loop import Loop
from trainers.resolve import RunConfig

SUMMARY = ("pct_mae", "naive_pct_mae", "skill")
"""The metrics whose mean and spread stand among the run's own, as val_folds_<name> and val_folds_<name>_std."""

Make = Callable[[Dataset, Path, Callable[[str], object]], Loop]
"""(a fold's data, its folder, where its lines go) -> a loop with a new model."""


def run(
    make: Make,
    parts: Sequence[Dataset],
    config: RunConfig,
    folder: Path,
    before: Path | None,
    stop: Callable[[], bool],
    say: Callable[[str], object],
) -> dict[str, float] | None:
    """Train and score every fold and write evaluation/folds.json; the summary, or None when asked to stop.

    parts: from `Dataset.folds`. before: the run folder that this one goes on from; folds finished there under the same
    config are taken over, one that was not finished begins anew (it would give the same numbers).
    """
    told = config.as_dict()
    rows = []
    for number, part in enumerate(parts, 1):
        own = folder / "folds" / str(number)
        if before is not None and not own.exists() and _config(before / "folds" / str(number)) == told:
            shutil.copytree(before / "folds" / str(number), own)
        if _config(own) != told:
            runlog.event("phase", name=f"fold {number}/{len(parts)}")
            own.mkdir(parents=True)
            runlog.open(own)
            torch.manual_seed(config.train.seed)  # the same numbers whichever folds were trained before in this process
            try:
                done = _fold(make, part, own, stop, lambda text, n=number: say(f"fold {n}/{len(parts)}: {text}"))  # type: ignore[misc]
            finally:
                runlog.open(folder)
            if not done:
                return None
            _write(own / "config.json", told)  # the mark of a finished fold
        rows.append({"fold": number, **_told(part), **_scores(own)})
    summary = _summary(rows)
    (folder / "evaluation").mkdir(exist_ok=True)
    _write(folder / "evaluation" / "folds.json", {"folds": rows, **summary})
    found = {f"val_folds_{name}": summary["mean"][f"val_{name}"] for name in SUMMARY}
    found |= {f"val_folds_{name}_std": summary["std"][f"val_{name}"] for name in SUMMARY}
    say(f"{len(rows)} folds: val_pct_mae {found['val_folds_pct_mae']:.5g} ± {found['val_folds_pct_mae_std']:.2g}, "
        f"skill {found['val_folds_skill']:+.4f} ± {found['val_folds_skill_std']:.2g}")  # fmt: skip
    return found


def _fold(make: Make, part: Dataset, own: Path, stop: Callable[[], bool], say: Callable[[str], object]) -> bool:
    """Train one, score its best weights, drop its checkpoints; False when asked to stop half-way."""
    loop = make(part, own, say)
    if loop.run() == "stopped":
        return False
    best = loop.progress.best[0]
    model = loop.family.load(own / "checkpoints" / best["name"], loop.placement.device).eval()
    if evaluate.write(loop.family, model, loop.config, part, "val", best["step"], own, stop) is None:
        return False
    shutil.rmtree(own / "checkpoints")
    return True


def _told(part: Dataset) -> dict[str, Any]:
    """What the fold trained on and was scored on: numbers of windows, and dates of its targets."""
    targets = part.panel.times[part.starts("val").cpu() + part.config.context]
    last = part.panel.times[part.starts("train").cpu() + part.length - 1]
    return {
        "train_windows": len(part.splits.train),
        "train_until": _day(int(last.max())),
        "val_from": _day(int(targets.min())),
        "val_last_origin": _day(int(part.origins(part.starts("val")).max())),
        "windows": len(part.splits.val),
    }


def _scores(own: Path) -> dict[str, Any]:
    report = json.loads((own / "evaluation" / "val.json").read_text())
    return {"step": report["step"], "metrics": report["metrics"], "symbols": report["symbols"]}


def _summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean and sample deviation over the folds of every metric that all of them have."""
    names = [n for n in rows[0]["metrics"] if all(row["metrics"].get(n) is not None for row in rows)]
    values = {name: [row["metrics"][name] for row in rows] for name in names}
    return {
        "mean": {name: statistics.fmean(v) for name, v in values.items()},
        "std": {name: statistics.stdev(v) for name, v in values.items()},
    }


def _config(own: Path) -> Any:
    path = own / "config.json"
    return json.loads(path.read_text()) if path.exists() else None


def _write(path: Path, value: object) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(value, indent=1))
    beside.rename(path)


def _day(ns: int) -> str:
    return pd.Timestamp(ns).isoformat()
