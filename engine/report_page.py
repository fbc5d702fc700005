"""A report as a document: the honest summary on top, then what was tried, what came of it, and how to do it again."""

from __future__ import annotations

import math
import shlex
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from engine import rundir
from engine.board import NAIVE, Board, dm_words, span
from engine.board_text import parts as columns
from engine.board_text import said
from engine.compare_page import spark, symbols_table
from engine.differ import shown
from engine.page import Code, Heading, Part, Picture, Table, Text
from engine.records import Spec
from engine.report import ENDS, Report
from engine.store_runs import Summary

PANELS = 6
"""Settings whose effect is drawn."""
VALUES = 8
"""Values of a setting that are listed one by one."""
LOG_LINES = 5
TAIL = 4000
"""Bytes of a log's end that are looked at."""


def parts(report: Report, runs: Path, *, pictures: bool) -> list[Part]:
    """runs: the folder of the run folders, for the logs of failed ones. pictures: draw them, which needs matplotlib."""
    title = f"Report: {report.choice.words}"
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime())
    count = "1 run" if len(report.runs) == 1 else f"{len(report.runs)} runs"
    out: list[Part] = [Heading(title, 1), Text(f"Made {made} from {count}.", "note")]
    out += _summary(report)
    out += _tried(report)
    for board in report.boards:
        out += _board(board, len(report.boards) > 1)
    if report.card is not None:
        out += _card(report, report.card)
    out += _curves(report, pictures)
    out += _impact(report, pictures)
    out += _symbols(report, pictures)
    out += _failures(report.runs, runs)
    out += _cost(report)
    if report.card is not None:
        out += _again(report, report.card)
    out += _list(report)
    return out


def _summary(report: Report) -> list[Part]:
    out: list[Part] = []
    for board in report.boards:
        where = f" On {board.data or 'unknown data'}:" if len(report.boards) > 1 else ""
        out.append(Text(f"{where} {board.sentence}".strip(), "lead"))
    told = []
    best = report.boards[0].best
    if any(run.synthetic for run in report.runs):
        told.append("Data of these runs are synthetic: nothing here says anything about a market.")
    if len(report.boards) > 1:
        told.append(f"The runs are on {len(report.boards)} data sets, each ranked by itself.")
    ranked = report.boards[0].runs
    if ranked > 1:
        told.append(
            f"The best of {ranked} runs was chosen by the validation windows that rank it, so its error there is "
            "flattered; only test data tell what it is worth."
        )
    if best is not None and best.test is not None:
        naive = report.results.get("test_naive_pct_mae")
        beside = "" if naive is None else f", the naive forecast {naive:.4g} %"
        words = dm_words(report.results.get("test_dm_stat"), report.results.get("test_dm_pvalue"))
        told.append(f"On test data it has an error of {best.test:.4g} %{beside}{f' ({words})' if words else ''}.")
    elif best is not None:
        told.append("It has not been exported, so its test results are still unseen: engine export " + best.id)
    states = Counter(run.state for run in report.runs)
    if states["failed"]:
        told.append(f"{states['failed']} of {len(report.runs)} runs failed; their causes are below.")
    return [*out, *(Text(line) for line in told)]


def _tried(report: Report) -> list[Part]:
    runs = report.runs
    rows = []
    for family in sorted({run.family for run in runs}):
        mine = [run for run in runs if run.family == family]
        states = Counter(run.state for run in mine)
        scored = sum(run.value is not None for run in mine)
        told = ", ".join(f"{count} {state}" for state, count in states.most_common())
        rows.append([family, str(len(mine)), told, str(scored)])
    out: list[Part] = [Heading("What was tried")]
    days = sorted(time.strftime("%Y-%m-%d", time.localtime(run.submitted)) for run in runs if run.submitted)
    if days:
        out.append(Text(f"Queued from {days[0]} to {days[-1]}." if days[0] != days[-1] else f"Queued on {days[0]}."))
    out.append(Table(["family", "runs", "how they ended", "with a result"], rows, frozenset({1, 3})))
    if report.varied:
        varied = [[name, _values(values)] for name, values in report.varied.items()]
        out += [Heading("Settings that were not the same everywhere", 3), Table(["setting", "values (runs)"], varied)]
    return out


def _values(values: Sequence[tuple[str, int]]) -> str:
    told = ", ".join(f"{_short(value)} ({count})" for value, count in values[:VALUES])
    return told + (f" and {len(values) - VALUES} more" if len(values) > VALUES else "")


def _short(value: str) -> str:
    return value if len(value) <= 40 else value[:39] + "…"


def _board(board: Board, several: bool) -> list[Part]:
    out: list[Part] = [Heading(f"Leaderboard{f' on {board.data or board.fingerprint[:12]}' if several else ''}")]
    if board.rows:
        wanted = columns(board)
        rows = [[part.cell(row) for part in wanted] for row in board.rows]
        right = frozenset(i for i, part in enumerate(wanted) if part.right)
        out.append(Table([part.head for part in wanted], rows, right))
    return [*out, *(Text(line, "note") for line in said(board)[1:])]


def _card(report: Report, spec: Spec) -> list[Part]:
    best = report.boards[0].best
    assert best is not None
    data = spec.data
    facts = [
        ("run", best.id + (f" ({best.name})" if best.name else "")),
        ("family", f"{spec.family}{f', preset {spec.preset}' if spec.preset else ''}"),
        ("set by hand", ", ".join(f"{name}={shown(value)}" for name, value in spec.changed.items())),
        ("seed", "" if spec.seed is None else str(spec.seed)),
        ("data", "" if data is None else f"{data.path}, {data.fingerprint[:12]}{', synthetic' * data.synthetic}"),
        ("context and horizon", _shape(spec)),
        ("validation windows", f"{report.boards[0].windows:,}" if report.boards[0].windows else ""),
        ("steps", "" if best.steps is None else f"{best.steps:,}"),
        ("checkpoint", best.checkpoint),
        ("against naive", best.words),
        ("over seeds", "" if best.spread is None else f"{best.mean:.4g} ± {best.spread:.2g}, {best.seeds} seeds"),
        ("cost", best.cost),
        ("code", "" if spec.git is None else f"{spec.git.commit[:12]}{', with changes' * spec.git.dirty}"),
    ]
    out: list[Part] = [Heading("The best model"), Table(["", ""], [[name, text] for name, text in facts if text])]
    splits = [
        split for split in ("val", "test", "unseen") if any(name.startswith(f"{split}_") for name in report.results)
    ]
    if splits:
        names = sorted({name.partition("_")[2] for name in report.results})
        rows = [[name, *(_number(report.results.get(f"{split}_{name}")) for split in splits)] for name in names]
        out.append(Table(["metric", *splits], rows, frozenset(range(1, len(splits) + 1))))
        if splits == ["val"]:
            out.append(Text("Results on test data and unseen symbols are shown once it is exported.", "note"))
    return out


def _shape(spec: Spec) -> str:
    data = spec.config.get("data", {})
    return f"{data.get('context', '?')} and {data.get('horizon', '?')}" if data else ""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _curves(report: Report, pictures: bool) -> list[Part]:
    out: list[Part] = []
    for metric, drawn in report.curves.items():
        if not any(len(points) > 1 for points in drawn.values()):
            continue  # one value each, which the leaderboard has told
        level = report.boards[0].naive if metric == report.boards[0].metric else None
        caption = f"{metric} by training step, the first {len(drawn)} of the leaderboard"
        if pictures:
            from engine.plots import NAMED, lines

            grey = f"; the first {NAMED} are named, the others grey" if len(drawn) > NAMED else ""
            out.append(Picture(lines(drawn, metric, level), caption + grey))
        else:
            rows = [[run, spark([y for _, y in points]), f"{points[-1][1]:.4g}"] for run, points in drawn.items()]
            out += [Text(f"{caption}:"), Table(["run", "curve", "last"], rows, frozenset({2}))]
    return [Heading("Curves"), *out] if out else []


def _impact(report: Report, pictures: bool) -> list[Part]:
    if not report.impact:
        return []
    metric = report.boards[0].metric
    rows = []
    for one in report.impact:
        rho = "" if one.rho is None else f"{one.rho:+.2f}"
        value, count, middle = one.middles[0]
        rows.append(
            [one.name, str(sum(n for _, n, _ in one.middles)), rho, f"{_short(value)} ({count})", f"{middle:.4g}"]
        )
    heads = ["setting", "runs", "rank correlation", "best value (runs)", f"its median {metric}"]
    out: list[Part] = [Heading("What the settings did"), Table(heads, rows, frozenset({1, 2, 4}))]
    drawn = {one.name: one for one in report.impact if one.points}
    panels = {name: (one.points, _logarithmic(one.points)) for name, one in list(drawn.items())[:PANELS]}
    if panels:
        svg = ""
        if pictures:
            from engine.plots import scatters

            svg = scatters(panels, metric, report.boards[0].naive)
        out.append(Picture(svg, f"{metric} against the {len(panels)} settings it goes with most"))
    out.append(Text(
        "Rank correlation with the error over the runs made: below 0, larger values were better. Other settings "
        "changed at the same time, so this is no proof of a cause.", "note",
    ))  # fmt: skip
    return out


def _logarithmic(points: Sequence[tuple[float, float]]) -> bool:
    xs = [x for x, _ in points]
    return min(xs) > 0 and max(xs) / min(xs) >= 20


def _symbols(report: Report, pictures: bool) -> list[Part]:
    if not report.symbols:
        return []
    runs = list(dict.fromkeys(run for row in report.symbols.values() for run in row))
    order = [row.id for row in report.boards[0].rows if row.id in runs]
    out: list[Part] = [Heading("Symbol by symbol"), symbols_table(report.symbols, order)]
    out.append(Text("Skill on validation: above 0 is better than repeating the last price.", "note"))
    if report.bands:
        best = order[0]
        caption = (
            f"The last validation forecast of {best} for the symbols it is best at, then worst (up to {ENDS} each)"
        )
        svg = ""
        if pictures:
            from engine.plots import bands

            svg = bands(report.bands)
        out.append(Picture(svg, caption))
    return out


def _failures(runs: Sequence[Summary], folder: Path) -> list[Part]:
    causes: defaultdict[str, list[str]] = defaultdict(list)
    for run in runs:
        if run.state == "failed":
            causes[run.cause or "no cause told"].append(run.id)
    if not causes:
        return []
    out: list[Part] = [Heading("Failures")]
    ranked = sorted(causes.items(), key=lambda item: -len(item[1]))
    rows = [[cause, str(len(ids)), ", ".join(ids)] for cause, ids in ranked]
    out.append(Table(["cause", "runs", "which"], rows, frozenset({1})))
    for _, ids in ranked:
        if lines := _last_lines(folder / ids[-1] / rundir.LOG):
            out += [Text(f"The last lines of {ids[-1]}:", "note"), Code(lines)]
    return out


def _last_lines(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line[:300] for line in text.replace("\r", "\n").splitlines() if line.strip()]
    return "\n".join(lines[-LOG_LINES:])


def _cost(report: Report) -> list[Part]:
    rows = []
    for family in sorted({run.family for run in report.runs}):
        mine = [run for run in report.runs if run.family == family]
        gpu = [run for run in mine if run.devices and run.hours is not None]
        devices = math.fsum((run.hours or 0) * run.devices for run in gpu)
        cpu = math.fsum(run.hours or 0 for run in mine if not run.devices)
        told = [report.kwh[run.id] for run in gpu if run.id in report.kwh]
        kwh = f"{math.fsum(told):.3g}" if gpu and len(told) == len(gpu) else "n/a"
        if told and len(told) < len(gpu):
            kwh = f"{math.fsum(told):.3g} ({len(gpu) - len(told)} runs n/a)"
        rows.append([family, str(len(mine)), span(devices), span(cpu), kwh])
    heads = ["family", "runs", "device time", "time on the CPU", "kWh"]
    note = "kWh is the mean power sampled on the devices while a run had them, times its time; n/a where none was."
    return [Heading("What it cost"), Table(heads, rows, frozenset({1, 2, 3, 4})), Text(note, "note")]


def _again(report: Report, spec: Spec) -> list[Part]:
    best = report.boards[0].best
    assert best is not None
    lines = []
    if spec.git is not None and spec.git.commit:
        lines.append(f"git checkout {spec.git.commit}")
        if spec.git.dirty:
            lines.append(f"git apply {shlex.quote(f'runs/{best.id}/code.patch')}")
    if spec.packages:
        pins = [f"{name}=={version}" for name, version in spec.packages.items() if name != "paddock"]
        lines.append("pip install " + shlex.join(pins))
    lines.append(command(spec))
    out: list[Part] = [Heading("How to make the best model again"), Code("\n".join(lines))]
    if spec.data is not None:
        out.append(Text(
            f"The data: {spec.data.path}, {spec.data.files} files, fingerprint {spec.data.fingerprint}. "
            "The new run is on the same data if engine best shows the same fingerprint.", "note",
        ))  # fmt: skip
    if spec.python:
        out.append(Text(f"Python {spec.python} on {spec.host or 'an unknown machine'}.", "note"))
    return out


def command(spec: Spec) -> str:
    """The command line that queues the same run."""
    if not spec.config:
        return shlex.join(["engine", "exec", *_gpus(spec), "--", *spec.command])
    words = ["engine", "run", spec.family, *(["--preset", spec.preset] if spec.preset else []), *_gpus(spec)]
    for name, value in spec.changed.items():
        words += ["--set", f"{name}={shown(value)}"]
    if spec.seed is not None and "train.seed" not in spec.changed and "seed" in spec.config.get("train", {}):
        words += ["--set", f"train.seed={spec.seed}"]
    return shlex.join(words)


def _gpus(spec: Spec) -> list[str]:
    return [] if spec.gpus is None else ["--gpus", str(spec.gpus)]


def _list(report: Report) -> list[Part]:
    places = {row.id: str(row.rank) for board in report.boards for row in board.rows if row.id != NAIVE}
    rows = [
        [run.id, run.name, run.state, places.get(run.id, ""), "" if run.value is None else f"{run.value:.4g}",
         "" if run.hours is None else span(run.hours), "yes" if run.promoted else ""]
        for run in report.runs
    ]  # fmt: skip
    heads = ["run", "name", "state", "place", "val_pct_mae", "time", "exported"]
    return [Heading("All runs"), Table(heads, rows, frozenset({3, 4, 5}))]
