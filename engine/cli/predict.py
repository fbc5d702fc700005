"""`engine predict`: forecasts of the exported model as a table, a file, a picture in the terminal, or a measurement."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import talk

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS = 14
"""Height of a picture."""


def predict(
    symbol: Annotated[list[str] | None, typer.Option(help="A series; may be given several times. Else all.")] = None,
    data: Annotated[str, typer.Option(help="File or folder; else the data that the model was trained on.")] = "",
    horizon: Annotated[int, typer.Option(help="Steps ahead.")] = 64,
    levels: Annotated[str, typer.Option(help="Quantile levels, with commas.")] = ".1,.5,.9",
    model: Annotated[str, typer.Option(help="A checkpoint folder; else the exported one.")] = "",
    alias: Annotated[str, typer.Option(help="The model that `engine export --alias` gave this name.")] = "",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    out: Annotated[str, typer.Option(help="Write the forecasts to this .csv or .parquet file.")] = "",
    plot: Annotated[bool, typer.Option("--plot", help="Draw each series with its forecast.")] = False,
    bench: Annotated[
        bool, typer.Option("--bench", help="Tell how fast the model answers, and in what memory.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Forecast with the exported model (.best_model_path), in original prices."""
    from engine.cli.data import captured, trainers
    from engine.errors import NothingToShow, UsageError
    from engine.pointer import pointer

    if model and alias:
        raise UsageError(f"--model {model} and --alias {alias}: give one of them.")
    best = pointer(talk.workspace(), alias).path
    if not model and not best.exists():
        how = f"`engine export RUN --alias {alias}`" if alias else "`engine export best` exports the best one,"
        raise NothingToShow(f"No model has been exported{f' as {alias}' if alias else ''}: {how} or give --model.")
    if plot and (as_json or bench):
        raise UsageError("--plot draws; leave --json and --bench out.")
    args = ["forecast", "--model", model or str(best), "--horizon", str(horizon), "--levels", levels]
    args += ["--device", device]
    args += [part for name in symbol or () for part in ("--symbol", name)]
    args += ["--data", data] if data else []
    args += ["--out", str(Path(out).expanduser().absolute())] if out else []
    args += ["--bench"] if bench else []
    if not plot:
        raise typer.Exit(trainers([*args, "--json"] if as_json else args))
    columns = shutil.get_terminal_size((100, 40)).columns
    code, said = captured([*args, "--json", "--history", str(2 * horizon)])
    if code:
        raise typer.Exit(code)
    told = json.loads(said)
    if told["synthetic"]:
        talk.out("The data are synthetic.")
    for name, past in told["history"].items():
        rows = [row for row in told["forecast"] if row["symbol"] == name]
        talk.out("\n".join(picture(name, past, rows, min(columns, 160), ROWS)))


def picture(
    symbol: str, past: Sequence[float | None], rows: Sequence[dict[str, Any]], columns: int, high: int
) -> list[str]:
    """Lines that show a series, its forecast and the outermost levels; the past ends at the bar.

    rows: of one series, as `python -m trainers forecast --json` gives them.
    """
    from engine import braille, ticks

    names = [name for name in rows[0] if name not in ("symbol", "timestamp", "step", "mean")]
    middle = min(names, key=lambda name: abs(float(name) - 0.5))
    curves = [[float(row[name]) for row in rows] for name in dict.fromkeys((names[0], names[-1], middle))]
    known = [value for value in past if value is not None]
    every = [*known, *(value for curve in curves for value in curve)]
    low, top = min(every), max(every)
    marks = ticks.ticks(low, top, max(2, high // 3)) or [low]
    words = ticks.tick_labels(marks)
    left = max(map(len, words)) + 1
    wide = max(10, columns - left - 1)
    span = (0.0, float(len(past) + len(rows) - 1))
    canvas = braille.Canvas(wide, high)
    later = [float(len(past) + i) for i in range(len(rows))]
    ends = (low, top)
    for i, curve in enumerate(curves):
        canvas.draw(braille.spans(later, curve, span, ends, wide, high), "line", dotted=i < len(curves) - 1)
    now = [float("nan") if value is None else value for value in past]
    canvas.draw(braille.spans([float(i) for i in range(len(now))], now, span, ends, wide, high), "line")
    labels = {
        round((top - mark) / (top - low) * (high - 1)) if top > low else 0: word
        for mark, word in zip(marks, words, strict=True)
    }
    at = round((len(past) - 0.5) / max(span[1], 1.0) * (wide - 1))
    lines = []
    for row, parts in enumerate(canvas.lines()):
        cells = list("".join(text for text, _ in parts))
        if 0 <= at < len(cells) and cells[at] == " ":
            cells[at] = "┊"
        lines.append(f"{labels.get(row, ''):>{left - 1}} │{''.join(cells)}")
    begin, end = rows[0]["timestamp"][:16], rows[-1]["timestamp"][:16]
    head = (
        f"{symbol}: {len(rows)} steps, {begin.removesuffix('T00:00')} to {end.removesuffix('T00:00')}, level {middle}"
    )
    return [f"{head}, dotted {names[0]} and {names[-1]}" if len(names) > 1 else head, *lines, ""]
