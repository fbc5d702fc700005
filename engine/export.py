"""Name a run's best checkpoint as the model to use: .best_model_path, or an alias, written beside and renamed.

The promote order, which reveals the run's test results, and the notes of what was exported when are lines, and the
engine's to write: engine.cli.promote.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from engine import rundir, whole
from engine.board import METRIC, Board, Direction
from engine.errors import EngineError, NothingToShow, UnknownRun, did_you_mean
from engine.pointer import pointer, read_object
from engine.select import leaderboard
from engine.workspace import Workspace

BEST = "best"
LEVELS = (0.1, 0.5, 0.9)
"""Quantiles that a forecast gives unless asked for others."""
CARD = "export.json"
"""What a copy made by --to tells of itself: the twin, as it was."""
Results = dict[str, float | None]


@dataclass(frozen=True)
class Export:
    """What was exported; `revealed` are the results that nobody has seen before."""

    run: str
    family: str
    checkpoint: Path
    path: Path
    """The file that names it."""
    previous: str = ""
    """The checkpoint that was named before; empty when there was none."""
    step: int | None = None
    sha256: str = ""
    """Of model.safetensors."""
    metrics: Results = field(default_factory=dict)
    """Pooled validation metrics."""
    revealed: dict[str, Results] = field(default_factory=dict)
    """Pooled metrics of the splits test and unseen, as far as they were evaluated; none in a rehearsal."""
    board: Board | None = None
    """The leaderboard it was chosen from, for "best"."""
    alias: str = ""
    copy: Path | None = None
    """The self-contained copy, if one was made."""


class How(TypedDict, total=False):
    """What `export` takes beside the run, for those who pass it on."""

    metric: str
    direction: Direction | None
    family: str | None
    dataset: str | None
    alias: str
    to: Path | None


@dataclass(frozen=True)
class Ready:
    """What an export of a run would write, and where: its checkpoint is whole."""

    run: str
    step: int | None
    checkpoint: Path
    sha256: str
    """Of its model.safetensors, taken just now."""
    path: Path
    """The file that will name it."""
    now: dict[str, Any]
    """What the JSON twin there says now; empty when nothing was exported."""


def ready(workspace: Workspace, run: str, alias: str = "") -> Ready:
    """Look at everything that an export needs, without writing anything; raises what `export` does."""
    named = pointer(workspace, alias)
    folder = workspace.run(run)
    if "/" in run or run.startswith(".") or not (folder / rundir.SPEC).is_file():
        known = [entry.name for entry in workspace.runs.iterdir()] if workspace.runs.is_dir() else []
        raise UnknownRun(f"There is no run '{run}'.{did_you_mean(run, known)} `engine ls` shows all.")
    step, checkpoint = best_checkpoint(folder, run)
    sha256 = whole.check(checkpoint, run)
    return Ready(run, step, checkpoint, sha256, named.path, read_object(named.twin, missing_ok=True))


def export(
    workspace: Workspace,
    run: str = BEST,
    *,
    metric: str = METRIC,
    direction: Direction | None = None,
    family: str | None = None,
    dataset: str | None = None,
    alias: str = "",
    to: Path | None = None,
    rehearse: bool = False,
) -> Export:
    """Write .best_model_path and .best_model_path.json for a run, or for the best one by the leaderboard.

    run: a whole run id, or "best", which the other arguments tell how to choose. alias: write .best_model_path.<alias>
    instead. to: also copy what forecasting needs into this new folder, which load_forecaster takes too. The files
    before are kept as .previous. rehearse: look at everything, write and reveal nothing.

    Raises NothingToShow when no run is finished with a result, UnknownRun, EngineError when the checkpoint is not there
    or not whole, WorkspaceError when the files can't be written, UsageError for an alias that can't be one or a folder
    that is taken.
    """
    named = pointer(workspace, alias)
    board = None
    if run == BEST:
        board = leaderboard(workspace.database, metric, direction, family, dataset=dataset)
        if board.best is None:
            raise NothingToShow(f"There is nothing to export: no run has a {metric} yet. {board.note}".rstrip())
        run = board.best.id
    there = ready(workspace, run, alias)
    step, checkpoint, sha256 = there.step, there.checkpoint, there.sha256
    folder = workspace.run(run)
    spec = read_object(folder / rundir.SPEC)
    if rehearse:
        named.check()
        if to is not None:
            whole.check_copy(to)
        scored = evaluation(folder, "val") or {}
        family, previous = str(spec.get("family") or ""), str(there.now.get("checkpoint") or "")
        return Export(run, family, checkpoint, named.path, previous, step, sha256, scored, {}, board, alias, to)
    results = {split: found for split in ("val", "test", "unseen") if (found := evaluation(folder, split)) is not None}
    data = _get(spec, "config", "data")
    asked: dict[str, Any] = data if isinstance(data, dict) else {}
    twin = {
        "run": run,
        "name": spec.get("name") or "",
        "family": spec.get("family") or "",
        "checkpoint": str(checkpoint),
        "step": step,
        "sha256": sha256,
        "metrics": {f"{split}_{name}": value for split, found in results.items() for name, value in found.items()},
        "commit": _get(spec, "git", "commit"),
        "dirty": _get(spec, "git", "dirty"),
        "data": {key: _get(spec, "data", key) for key in ("path", "fingerprint", "synthetic")},
        "forecast": {"context": asked.get("context"), "horizon": asked.get("horizon"), "levels": LEVELS},
        "exported": time.time(),
    }
    if to is not None:
        card = msgspec.json.format(msgspec.json.encode(twin)) + b"\n"
        whole.copy(checkpoint, to, {CARD: card}, sha256)
    previous = named.write(checkpoint, twin)
    return Export(
        run,
        str(twin["family"]),
        checkpoint,
        named.path,
        previous,
        step,
        sha256,
        results.get("val", {}),
        {split: found for split, found in results.items() if split != "val"},
        board,
        alias,
        to,
    )


def undo(workspace: Workspace, alias: str = "", *, rehearse: bool = False) -> dict[str, Any]:
    """Go back to the model that was named before, once it is found to be whole; what its JSON twin says.

    After the first export that is none: the files go away, and {} is given. The one that is left becomes the one
    before. rehearse: look at everything, change nothing. Raises NothingToShow when nothing was ever exported,
    EngineError when the checkpoint of the one before is gone or its weights have changed.
    """
    named = pointer(workspace, alias)
    before = named.before()
    if before:
        whole.check(Path(str(before.get("checkpoint"))), str(before.get("run")), str(before.get("sha256") or ""))
    named.check()
    if not rehearse:
        named.undo()
    return before


def evaluation(folder: Path, split: str) -> Results | None:
    """Give the pooled metrics of evaluation/<split>.json without their prefix; None when there is no such result."""
    found = read_object(folder / "evaluation" / f"{split}.json", missing_ok=True).get("metrics")
    if not isinstance(found, dict):
        return None
    return {
        str(name).removeprefix(f"{split}_"): None if value is None else float(value)
        for name, value in found.items()
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    }


def exported(workspace: Workspace, alias: str = "") -> dict[str, Any]:
    """Give what the JSON twin says of the model in use. Raises NothingToShow when nothing was exported."""
    return pointer(workspace, alias).read()


def best_checkpoint(folder: Path, run: str) -> tuple[int | None, Path]:
    """Find the best checkpoint as the events tell it. Raises NothingToShow or EngineError."""
    best = [line for line in rundir.read(folder / rundir.EVENTS) if line.get("event") == "best"]
    saved = [line for line in rundir.read(folder / rundir.EVENTS) if line.get("event") == "checkpoint"]
    told = (best or saved)[-1:]
    if not told or not isinstance(told[0].get("path"), str):
        raise NothingToShow(f"{run} has saved no checkpoint yet; `engine show {run}` says how far it is.")
    path = (folder / str(told[0]["path"])).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise EngineError(f"{run}: its checkpoint {path} is outside its folder; it is not exported.")
    whole.present(path, run)
    step = told[0].get("step")
    return (step if isinstance(step, int) else None), path


def _get(spec: dict[str, Any], part: str, key: str) -> Any:
    found = spec.get(part)
    return found.get(key) if isinstance(found, dict) else None
