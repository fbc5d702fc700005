"""`engine evaluate`: how good a finished model is on data of any kind, beside the forecasts that cost nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import lazy, talk

if TYPE_CHECKING:
    from engine.records import RunRow

SHOWN = (
    ("pct_mae", "{:.4g}"), ("pct_rmse", "{:.4g}"), ("skill", "{:+.3f}"), ("dir_acc", "{:.3f}"), ("mase", "{:.3f}"),
)  # fmt: skip


@lazy.mutation
def evaluate(
    model: Annotated[str, typer.Argument(help="A run, `best`, or a checkpoint folder; else the exported model.")] = "",
    data: Annotated[str, typer.Option(help="File or folder; else the data that the model was trained on.")] = "",
    symbol: Annotated[list[str] | None, typer.Option(help="A series; may be given several times. Else all.")] = None,
    unseen: Annotated[bool, typer.Option("--unseen", help="Only symbols that the model was not trained on.")] = False,
    since: Annotated[str, typer.Option("--from", help="The first date to forecast, such as 2025-01-31.")] = "",
    horizon: Annotated[int, typer.Option(help="Steps ahead; else as it was trained.")] = 0,
    stride: Annotated[int, typer.Option(help="Rows between origins; else the horizon.")] = 0,
    cost_bps: Annotated[float, typer.Option(help="Cost of the strategy check, basis points of what is traded.")] = 10.0,
    name: Annotated[str, typer.Option(help="What you call the run.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be given several times.")] = None,
    gpus: Annotated[int | None, typer.Option(help="GPUs; 0 is a CPU slot.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Only queue it; print its id.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Score a finished model walking forward over data, per symbol, beside naive, seasonal naive and drift.

    It is a run of its own: `engine ls` and the database hold it, the model's run stays as it is.
    """
    from engine.cli import follow
    from engine.cli.database import up_to_date
    from engine.evaluation import find_model, submit_evaluation
    from engine.submit import Wishes

    workspace = talk.workspace()
    asked: dict[str, Any] = {
        "data": str(Path(data).expanduser().absolute()) if data else "",
        "symbols": symbol or [],
        "unseen": unseen,
        "since": since,
        "horizon": horizon,
        "stride": stride,
    }
    asked = {key: value for key, value in asked.items() if value}
    if cost_bps != 10.0:
        asked["cost_bps"] = cost_bps
    if gpus == 0:
        asked["device"] = "cpu"
    if model == "best":
        up_to_date()
    with talk.engine() as client:
        found = find_model(workspace, model, client)
        row = submit_evaluation(client, workspace, found, asked, Wishes(name=name, tags=tuple(tag or ()), gpus=gpus))
    if detach or talk.rehearsing():
        talk.json_out(row) if as_json else talk.out(row.id)
        return
    code, rows = follow.follow([row.id])
    if code:
        talk.say(f"{row.id} {rows[0].state}: {rows[0].reason}. `engine logs {row.id}` shows what it wrote.")
        raise typer.Exit(code)
    report = json.loads((workspace.run(row.id) / "evaluation" / "holdout.json").read_text())
    if as_json:
        talk.json_out({"run": row.id, "model": str(found.path), "trained_by": found.run, **report})
    else:
        talk.out(render(report, row, found.run or str(found.path)))


def render(report: dict[str, Any], row: RunRow, model: str) -> str:
    """The report as text: pooled beside the baselines, then every symbol, the worst skill last."""
    from tabulate import tabulate

    from engine.board import dm_words

    pooled = {name.removeprefix("holdout_"): value for name, value in report["metrics"].items()}
    naive = {key: pooled.get(f"naive_{key}") for key, _ in SHOWN}
    lines = [["model", *_cells(pooled)], ["naive", *_cells({**naive, "skill": 0.0})]]
    for baseline, values in report.get("baselines", {}).items():
        lines.append([baseline.replace("_", " "), *_cells(values)])
    heads = ["", *(key for key, _ in SHOWN)]
    text = tabulate(lines, heads, tablefmt="simple", disable_numparse=True, stralign="right")
    by_skill = sorted(report.get("symbols", {}).items(), key=lambda item: -(item[1].get("skill") or -1e9))
    each = [[symbol, *_cells(values), values.get("windows")] for symbol, values in by_skill]
    table = tabulate(
        each, ["symbol", *heads[1:], "windows"], tablefmt="simple", disable_numparse=True, stralign="right"
    )
    words = dm_words(pooled.get("dm_stat"), pooled.get("dm_pvalue"))
    said = [
        f"{model}: {words or 'no test: too few dates'}. {report['windows']:,} windows, {report['origins']} dates, "
        f"horizon {report['horizon']}. {row.id} holds it."
    ]
    if report.get("synthetic"):
        said.append("The data are synthetic.")
    strategy = {key.removeprefix("strategy_"): value for key, value in pooled.items() if key.startswith("strategy_")}
    if strategy:
        said.append(
            "STRATEGY CHECK, not a back-test: "
            + ", ".join(f"{key.replace('_', ' ')} {value:.3g}" for key, value in strategy.items() if value is not None)
        )
    said.append(str(report.get("strategy", "")))
    return "\n".join([text, "", table, "", *(line for line in said if line)])


def _cells(values: dict[str, Any]) -> list[str]:
    return ["" if values.get(key) is None else form.format(values[key]) for key, form in SHOWN]
