"""Queue a run that scores a finished model on any data; what it finds are rows of the database like any other's."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import EngineError, NothingToShow, UsageError
from engine.messages import RunDetail, ShowRun
from engine.records import RunRow, Spec
from engine.submit import Wishes, check, check_data, provenance_of, send

if TYPE_CHECKING:
    from engine.client import Client
    from engine.workspace import Workspace

FAMILY = "evaluate"


@dataclass(frozen=True)
class Model:
    """What is evaluated. run: the run that trained it, empty for a folder that nobody knows."""

    path: Path
    run: str = ""


def find_model(workspace: Workspace, word: str, client: Client) -> Model:
    """The checkpoint that a word means: a run's best, "best" by the leaderboard, a folder, or "" for the exported one.

    Raises NothingToShow when there is none, UnknownRun.
    """
    from engine.export import BEST, best_checkpoint, exported
    from engine.select import leaderboard

    if not word:
        if not workspace.best.exists():
            raise NothingToShow("No model has been exported: name a run, or `engine export best` first.")
        told = exported(workspace)
        return Model(Path(str(told["checkpoint"])), str(told.get("run") or ""))
    if word == BEST:
        board = leaderboard(workspace.database)
        if board.best is None:
            raise NothingToShow(f"No run has a validation result yet. {board.note}".rstrip())
        word = board.best.id
    elif (folder := Path(word).expanduser().absolute()).is_dir() and (folder / "config.json").is_file():
        return Model(folder)
    detail = client.call(ShowRun(word))
    if not isinstance(detail, RunDetail):
        raise EngineError(f"The engine answered {type(detail).__name__} about {word}.")
    run = detail.row.id
    return Model(best_checkpoint(workspace.run(run), run)[1], run)


def submit_evaluation(
    client: Client, workspace: Workspace, model: Model, asked: dict[str, object], wishes: Wishes | None = None
) -> RunRow:
    """Queue it. asked: the keys of config.evaluate that differ from their defaults, see trainers.holdout.

    Raises DataError where the data named are not there, and whatever the engine says.
    """
    wishes = check(wishes or Wishes())
    data = asked.get("data")
    paths = [str(data)] if isinstance(data, str) and data else []
    check_data(paths)
    stride = asked.get("stride")
    if isinstance(stride, int) and stride < 0:
        raise UsageError(f"--stride {stride}: expected 1 or more.")
    path = str(model.path.relative_to(workspace.root)) if model.path.is_relative_to(workspace.root) else str(model.path)
    spec = Spec(
        family=FAMILY,
        command=(sys.executable, "-m", "trainers", FAMILY, "{run}"),
        cwd=str(workspace.root),
        config={"evaluate": {"model": path, **asked}},
        changed={"model": model.run or path, **{name: value for name, value in asked.items() if name != "device"}},
    )
    return send(client, spec, provenance_of(workspace.root, workspace, wishes, [Path(p) for p in paths]), wishes)
