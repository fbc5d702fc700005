"""Name a run's best checkpoint as the model to use: .best_model_path, written beside and renamed.

The promote order, which reveals the run's test results, is a line in its orders.jsonl and the engine's to write.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from engine import rundir
from engine.errors import EngineError, NothingToShow, UnknownRun, WorkspaceError, did_you_mean
from engine.select import METRIC, Board, Direction, leaderboard
from engine.workspace import Workspace

BEST = "best"
NEEDED = ("config.json", "model.safetensors")
LEVELS = (0.1, 0.5, 0.9)
"""Quantiles that a forecast gives unless asked for others."""
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
    """Pooled metrics of the splits test and unseen, as far as they were evaluated."""
    board: Board | None = None
    """The leaderboard it was chosen from, for "best"."""


def export(
    workspace: Workspace,
    run: str = BEST,
    *,
    metric: str = METRIC,
    direction: Direction | None = None,
    family: str | None = None,
    fingerprint: str | None = None,
) -> Export:
    """Write .best_model_path and .best_model_path.json for a run, or for the best one by the leaderboard.

    run: a whole run id, or "best", which the other arguments tell how to choose. The file before is kept as
    .best_model_path.previous (and .json). Raises NothingToShow when no run is finished with a result, UnknownRun,
    EngineError when the checkpoint is not there or not whole, WorkspaceError when the files can't be written.
    """
    board = None
    if run == BEST:
        board = leaderboard(workspace.database, metric, direction, family, fingerprint=fingerprint)
        if board.best is None:
            raise NothingToShow(f"There is nothing to export: no run has a {metric} yet. {board.note}".rstrip())
        run = board.best.id
    folder = workspace.run(run)
    if "/" in run or run.startswith(".") or not (folder / rundir.SPEC).is_file():
        known = [entry.name for entry in workspace.runs.iterdir()] if workspace.runs.is_dir() else []
        raise UnknownRun(f"There is no run '{run}'.{did_you_mean(run, known)} `engine ls` shows all.")
    spec = _object(folder / rundir.SPEC)
    step, checkpoint = best_checkpoint(folder, run)
    results = {split: found for split in ("val", "test", "unseen") if (found := evaluation(folder, split)) is not None}
    data = _get(spec, "config", "data")
    asked: dict[str, Any] = data if isinstance(data, dict) else {}
    twin = {
        "run": run,
        "name": spec.get("name") or "",
        "family": spec.get("family") or "",
        "checkpoint": str(checkpoint),
        "step": step,
        "sha256": _sha256(checkpoint / "model.safetensors"),
        "metrics": {f"{split}_{name}": value for split, found in results.items() for name, value in found.items()},
        "commit": _get(spec, "git", "commit"),
        "dirty": _get(spec, "git", "dirty"),
        "data": {key: _get(spec, "data", key) for key in ("path", "fingerprint", "synthetic")},
        "forecast": {"context": asked.get("context"), "horizon": asked.get("horizon"), "levels": LEVELS},
        "exported": time.time(),
    }
    previous = _write(workspace, checkpoint, twin)
    return Export(
        run,
        str(twin["family"]),
        checkpoint,
        workspace.best,
        previous,
        step,
        str(twin["sha256"]),
        results.get("val", {}),
        {split: found for split, found in results.items() if split != "val"},
        board,
    )


def evaluation(folder: Path, split: str) -> Results | None:
    """Give the pooled metrics of evaluation/<split>.json without their prefix; None when there is no such result."""
    found = _object(folder / "evaluation" / f"{split}.json", missing_ok=True).get("metrics")
    if not isinstance(found, dict):
        return None
    return {
        str(name).removeprefix(f"{split}_"): None if value is None else float(value)
        for name, value in found.items()
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    }


def exported(workspace: Workspace) -> dict[str, Any]:
    """Give what .best_model_path.json says of the model in use. Raises NothingToShow when nothing was exported."""
    path = _twin(workspace.best)
    if not path.is_file():
        raise NothingToShow("Nothing is exported yet: `engine export best` does it.")
    return _object(path)


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
    missing = [name for name in NEEDED if not (path / name).is_file()]
    if not path.is_dir() or missing:
        what = f"the folder {path}" if not path.is_dir() else f"{' and '.join(missing)} in {path}"
        raise EngineError(
            f"{run}: its best checkpoint is not there: {what} is missing. Export another run, or train again."
        )
    step = told[0].get("step")
    return (step if isinstance(step, int) else None), path


def _write(workspace: Workspace, checkpoint: Path, twin: dict[str, Any]) -> str:
    """Put both files in place and give the path that was named before."""
    best = workspace.best
    try:
        before = best.read_text().strip()
    except OSError:
        before = ""
    try:
        for path in (best, _twin(best)):
            if path.is_file():
                rundir.write_new(_previous(path), path.read_bytes())
            elif before:
                _previous(path).unlink(missing_ok=True)  # no twin of an older export beside this one
        # The twin first: whoever sees the new path finds what belongs to it.
        rundir.write_new(_twin(best), msgspec.json.format(msgspec.json.encode(twin)) + b"\n")
        rundir.write_new(best, os.fsencode(checkpoint) + b"\n")
    except OSError as error:
        raise WorkspaceError(
            f"{best} was not written: {error.strerror}. Make the workspace writable, or free space."
        ) from None
    return before


def _twin(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _previous(path: Path) -> Path:
    name = path.name.removesuffix(".json")
    return path.with_name(f"{name}.previous" + path.name[len(name) :])


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _object(path: Path, *, missing_ok: bool = False) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        if missing_ok:
            return {}
        raise EngineError(f"{path} is missing.") from None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        raise EngineError(f"{path} can't be read; the run folder is damaged.") from None
    return found if isinstance(found, dict) else {}


def _get(spec: dict[str, Any], part: str, key: str) -> Any:
    found = spec.get(part)
    return found.get(key) if isinstance(found, dict) else None
