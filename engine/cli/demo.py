"""`engine demo`: sample data, four short trainings, a leaderboard, an export and a forecast. Safe to run again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.board_text import render
from engine.cli import talk
from engine.errors import EngineError
from engine.export import exported
from engine.fingerprint import MARKER
from engine.messages import ListRuns, Rows, RunDetail, ShowRun
from engine.records import ENDED
from engine.select import leaderboard
from engine.submit import Wishes, has_data, submit_family

if TYPE_CHECKING:
    from engine.client import Client
    from engine.families import Resolved
    from engine.workspace import Workspace

TAG = "demo"
COMMON: dict[str, object] = {"train.steps": 150, "train.time_limit": 0.75}
"""At most 45 s of training a run, so that the whole stays under five minutes on two busy cores."""
TRIALS: dict[str, tuple[str, dict[str, object]]] = {
    "demo kronos": ("kronos", {
        "data.context": 64, "train.lr": 2e-3, "model.tokenizer_lr": 3e-3, "model.tokenizer_d_model": 32,
        "model.tokenizer_n_heads": 1, "model.tokenizer_ff_dim": 64, "model.samples": 16,
    }),
    "demo lr 1e-3": ("toto", {"train.lr": 1e-3}),
    "demo lr 3e-3": ("toto", {"train.lr": 3e-3}),
    "demo short context": ("toto", {"train.lr": 1e-3, "data.context": 64}),
}  # fmt: skip
"""Family and settings by name. The longest first, so that the others share the second core meanwhile."""
TOKENIZER_STEPS = 150
HORIZON = 16
NEXT = """
What to try next:
  tui                                        watch and queue runs on one screen
  engine run toto --set train.lr=3e-4 -f     train another one (`engine families` shows what there is)
  engine best                                the leaderboard again
  engine sql "select * from leaderboard"     ask runs.duckdb anything
  engine data import FOLDER                  bring your own prices (CSV, Parquet, JSON)
  engine down                                end the engine, which stays up until then
"""


def demo(
    steps: Annotated[int | None, typer.Option(help="Optimizer steps of each run.", hidden=True)] = None,
) -> None:
    """From nothing to a forecast: sample data if there are none, four short runs, leaderboard, export, forecast.

    Small Totos and a small Kronos learn from the same data and are ranked together. Runs are tagged demo. One that was
    trained before with the same settings on the same data is used again.
    """
    workspace = talk.workspace()
    synthetic = _data(workspace)
    common = {**COMMON, **({"train.steps": steps} if steps else {})}
    of_kronos = {"model.tokenizer_steps": steps or TOKENIZER_STEPS}
    with talk.engine() as client:
        earlier = _earlier(client)
        ids = []
        for name, (family, sets) in TRIALS.items():
            asked = {**common, **sets, **(of_kronos if family == "kronos" else {})}
            ids.append(_run(client, workspace, family, name, asked, earlier))
        code = _follow(client, ids)
        if code:
            raise typer.Exit(code)
        fingerprint = _fingerprint(client, ids[0])
        model = _choose(client, workspace, fingerprint, ids)
    _forecast(model, synthetic)
    talk.out(NEXT)


def _data(workspace: Workspace) -> bool:
    """Make sample data where there are none; whether what is there is made up."""
    from engine.cli.data import trainers

    if workspace.data.is_dir() and has_data(workspace.data):
        talk.say(f"using the data in {workspace.data}.")
    else:
        talk.say("no data yet: sample data go to trainingdata/. They are SYNTHETIC: no market ever saw these prices.")
        if code := trainers(["data", "synth"]):
            raise typer.Exit(code)
    return (workspace.data / MARKER).exists()


def _earlier(client: Client) -> list[RunDetail]:
    """Demo runs that ended well, run, or wait."""
    rows = talk.expect(client.call(ListRuns()), Rows).rows
    useful = [row.id for row in rows if TAG in row.tags and (row.state == "ok" or row.state not in ENDED)]
    return [talk.expect(client.call(ShowRun(run_id)), RunDetail) for run_id in reversed(useful)]


def _run(
    client: Client, workspace: Workspace, family: str, name: str, sets: dict[str, object], earlier: list[RunDetail]
) -> str:
    """The id of a run with these settings: one from before if it fits, else a new one."""
    from engine import families
    from engine.fingerprint import fingerprint

    resolved: Resolved = families.resolve(workspace.root, family, None, sets)
    data = fingerprint([Path(path) for path in resolved.data_paths], workspace.private / "fingerprints.json")
    for detail in earlier:
        known = detail.spec.data.fingerprint if detail.spec.data else ""
        if detail.spec.family == family and detail.spec.config == resolved.config and known == data.fingerprint:
            how = "trained before" if detail.row.state == "ok" else detail.row.state
            talk.say(f"{detail.row.id} ({name}) is {how} with the same settings on the same data: used again.")
            return detail.row.id
    wishes = Wishes(name=name, tags=(TAG,))
    row = submit_family(client, workspace, family, sets=sets, wishes=wishes)
    talk.say(f"{row.id} ({name}) is queued.")
    return row.id


def _follow(client: Client, ids: list[str]) -> int:
    """Show progress until all have ended; a run that failed is explained."""
    from engine.cli import follow as following

    waiting = [i for i in ids if talk.expect(client.call(ShowRun(i)), RunDetail).row.state not in ENDED]
    code, rows = following.follow(waiting)
    for row in rows:
        if row.state != "ok":
            talk.say(f"{row.id} {row.state}: {row.reason}. `engine logs {row.id}` shows what it wrote.")
    return code


def _fingerprint(client: Client, run_id: str) -> str:
    data = talk.expect(client.call(ShowRun(run_id)), RunDetail).spec.data
    if data is None:
        raise EngineError(f"{run_id} says nothing of its data; `engine show {run_id}` tells more.")
    return data.fingerprint


def _choose(client: Client, workspace: Workspace, fingerprint: str, ids: list[str]) -> Path:
    """Print the leaderboard and export its best, unless the exported model is somebody's own; the model to use."""
    from engine.cli.database import up_to_date
    from engine.cli.promote import promote, told

    up_to_date()
    board = leaderboard(workspace.database, dataset=fingerprint)
    talk.out(f"\n{render(board)}\n")
    if board.best is None:
        raise EngineError(f"None of {', '.join(ids)} has a validation result; `engine show {ids[0]}` tells more.")
    if workspace.best.exists():
        mine = str(exported(workspace).get("run"))
        if TAG not in talk.expect(client.call(ShowRun(mine)), RunDetail).row.tags:
            talk.say(f"{workspace.best.name} names your {mine} and stays so; `engine export best` would change it.")
            return workspace.root / board.best.checkpoint
    found = promote(dataset=fingerprint)
    talk.say(told(found))
    return found.checkpoint


def _forecast(model: Path, synthetic: bool) -> None:
    """Forecast the first symbol of the model's validation."""
    from engine.cli.data import trainers

    results = json.loads((model.parents[1] / "evaluation" / "val.json").read_text())
    symbol = min(results.get("symbols", {}), default="")
    made_up = " (SYNTHETIC data)" if synthetic else ""
    talk.out(f"\nForecast of {symbol}, {HORIZON} steps, in prices{made_up}:")
    sys.stdout.flush()  # what follows is written by another process
    chosen = ["--symbol", symbol] if symbol else []
    if code := trainers(["forecast", "--model", str(model), *chosen, "--horizon", str(HORIZON)]):
        raise typer.Exit(code)
