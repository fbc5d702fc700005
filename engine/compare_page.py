"""A comparison as a document: what differs, what each run reached, who is better by the test, symbol by symbol."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.compare import Comparison
from engine.differ import PARTS, short
from engine.page import Heading, Part, Picture, Table, Text
from engine.paired import Paired
from engine.store_runs import BySymbol, Curves

SHADES = 0.1
"""The skill that has the full colour."""
BARS = "▁▂▃▄▅▆▇█"
LOGGED = "None of these runs has been evaluated: these are the best values logged while training."
WIDE = 40
"""Characters of a curve in a line of text."""


def parts(found: Comparison, *, pictures: bool) -> list[Part]:
    """pictures: draw the curves, which needs matplotlib."""
    heads = [f"{run} ({name})" if name else run for run, name in zip(found.runs, found.names, strict=True)]
    out: list[Part] = [Heading(f"Comparison of {', '.join(found.runs)}", 1)]
    if found.note:
        out.append(Text(found.note, "lead"))
    out += _differences(found, heads)
    out += _metrics(found, heads)
    if not found.note:
        out += _tests(found.runs[0], found.tests)
    for metric, drawn in found.curves.items():
        out += _curves(metric, drawn, found, pictures)
    if found.symbols:
        out += [Heading("Skill by symbol, on validation"), symbols_table(found.symbols, found.runs)]
        out.append(Text("Skill is 1 - error / naive's error: above 0 is better than repeating the last price.", "note"))
    return out


def symbols_table(symbols: BySymbol, runs: Sequence[str]) -> Table:
    """A row a symbol and a column a run, shaded by skill."""
    rows, shades = [], []
    for symbol, row in symbols.items():
        skills = [row.get(run, (None, None))[0] for run in runs]
        rows.append([symbol, *("-" if skill is None else f"{skill:+.3f}" for skill in skills)])
        shades.append([None, *(None if skill is None else max(-1.0, min(1.0, skill / SHADES)) for skill in skills)])
    return Table(["symbol", *runs], rows, frozenset(range(1, len(runs) + 1)), shades)


def spark(values: Sequence[float], wide: int = WIDE) -> str:
    """A curve in one line: the mean of each stretch, from the least to the greatest."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return ""
    wide = min(wide, len(known))
    means = []
    for i in range(wide):
        piece = known[i * len(known) // wide : (i + 1) * len(known) // wide]
        means.append(math.fsum(piece) / len(piece))
    low, high = min(means), max(means)
    size = high - low
    return "".join(BARS[min(7, int((mean - low) / size * 8))] if size > 0 else BARS[0] for mean in means)


def _differences(found: Comparison, heads: Sequence[str]) -> list[Part]:
    out: list[Part] = [Heading("What differs")]
    if not found.differences:
        return [*out, Text("Nothing in settings, code, packages, environment and data.")]
    rows = [[one.part, one.name, *map(short, one.values)] for one in found.differences]
    same = [part for part in PARTS if part != "run" and all(row[0] != part for row in rows)]
    out.append(Table(["", "", *heads], rows))
    if same:
        out.append(Text(f"No difference in {', '.join(same)}.", "note"))
    return out


def _metrics(found: Comparison, heads: Sequence[str]) -> list[Part]:
    rows = []
    for metric in found.metrics:
        cells = [
            "-" if value is None else f"{value:.4g}{' *' if metric.best == i else ''}"
            for i, value in enumerate(metric.values)
        ]
        rows.append([metric.name, *cells])
    if not rows:
        return [Heading("Results"), Text("None of these runs has been evaluated yet.")]
    table = Table(["metric", *heads], rows, frozenset(range(1, len(heads) + 1)))
    note = "* is best. " + (
        LOGGED if found.logged else "Results on test data and unseen symbols are shown of exported runs only."
    )
    return [Heading("Results"), table, Text(note, "note")]


def _tests(first: str, tests: dict[str, Paired]) -> list[Part]:
    out: list[Part] = [Heading(f"Against {first}, window by window")]
    if not tests:
        return [*out, Text(f"No forecasts of {first} and another run were kept, so nothing can be tested.")]
    rows = []
    for run, test in tests.items():
        size = "" if test.difference is None else f"{test.difference:+.4g}"
        words = test.words or "can't be told"
        rows.append([run, size, words, f"{test.windows:,}", str(test.origins)])
    heads = ["run", "pct_mae less", "Diebold-Mariano", "common windows", "origins"]
    return [*out, Table(heads, rows, frozenset({1, 3, 4}))]


def _curves(metric: str, drawn: Curves, found: Comparison, pictures: bool) -> list[Part]:
    rows = []
    for run in found.runs:
        values = [value for _, value in drawn.get(run, [])]
        if values:
            rows.append([run, f"{values[0]:.4g}", f"{min(values):.4g}", f"{values[-1]:.4g}", spark(values)])
    out: list[Part] = [Heading(f"{metric} by step")]
    if pictures and any(len(points) > 1 for points in drawn.values()):
        from engine.plots import lines

        out.append(Picture(lines(drawn, metric), f"{metric} by training step"))
    return [*out, Table(["run", "first", "least", "last", "curve"], rows, frozenset({1, 2, 3}))]
