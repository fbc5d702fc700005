"""Everything a report tells of many runs, gathered in one look at the database and the folders of a few of them."""

from __future__ import annotations

import statistics
import time
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from engine.board import METRIC, Board
from engine.compare import spec_of
from engine.errors import NothingToShow, UnknownFamily, UsageError, did_you_mean
from engine.records import Spec
from engine.select import leaderboards
from engine.store_forecasts import Band, bands
from engine.store_open import PATIENCE, reading
from engine.store_runs import (
    BySymbol,
    Curves,
    Summary,
    by_symbol,
    choose,
    curves,
    energy_of,
    known,
    results,
    settings,
    summaries,
)
from engine.workspace import Workspace

CURVES = 12
"""Runs whose curves are drawn: the first of the leaderboard."""
COLUMNS = 6
"""Runs that are shown symbol by symbol."""
ENDS = 2
"""Best symbols whose forecasts are drawn, and as many worst."""
FEWEST = 4
"""Runs with a result that a setting needs before its effect is told."""


@dataclass(frozen=True)
class Choice:
    """Which runs; all of them when nothing is given."""

    runs: tuple[str, ...] = ()
    family: str = ""
    tag: str = ""
    since: float | None = None
    """Unix seconds."""

    @property
    def words(self) -> str:
        if self.runs:
            return ", ".join(self.runs) if len(self.runs) <= 4 else f"{len(self.runs)} chosen runs"
        when = f" since {time.strftime('%Y-%m-%d %H:%M', time.localtime(self.since))}" if self.since else ""
        what = [f"family {self.family}" if self.family else "", f"tag {self.tag}" if self.tag else ""]
        return ("runs of " + ", ".join(filter(None, what)) if any(what) else "all runs") + when


@dataclass(frozen=True)
class Impact:
    """A setting and what came of it, over the runs with a result on one data set."""

    name: str
    points: tuple[tuple[float, float], ...]
    """(number, val_pct_mae); empty for words."""
    middles: tuple[tuple[str, int, float], ...]
    """(value, runs, median val_pct_mae), the best first."""
    rho: float | None
    """Spearman's rank correlation with the error: negative = larger values were better. None for words."""


@dataclass(frozen=True)
class Report:
    choice: Choice
    runs: tuple[Summary, ...]
    boards: tuple[Board, ...]
    """One for each data set, that with the most runs first; all below is of the first."""
    varied: dict[str, tuple[tuple[str, int], ...]]
    """Setting -> (value, runs), of what was not the same everywhere."""
    card: Spec | None
    """Of the best run."""
    results: dict[str, float | None]
    """Of the best run, on test and unseen only if it was exported."""
    curves: dict[str, Curves]
    impact: tuple[Impact, ...]
    symbols: BySymbol
    bands: dict[str, Band]
    """By symbol with its skill in words: the best ones, then the worst."""
    kwh: dict[str, float]


def gather(workspace: Workspace, choice: Choice) -> Report:
    """Raises NothingToShow when no run is chosen, UnknownFamily, UsageError for a tag that nobody has."""
    with reading(workspace.database, PATIENCE) as con:
        families, tags = known(con)
        if choice.family and choice.family not in families:
            raise UnknownFamily(f"No run is of the family '{choice.family}'.{did_you_mean(choice.family, families)}")
        if choice.tag and choice.tag not in tags:
            raise UsageError(f"No run has the tag '{choice.tag}'.{did_you_mean(choice.tag, tags)}")
        wanted = list(choice.runs) or choose(con, family=choice.family, tag=choice.tag, since=choice.since)
        runs = summaries(con, wanted)
        if not runs:
            raise NothingToShow(f"There is nothing to report: {choice.words} are none. `engine ls --all` lists runs.")
        ids = [run.id for run in runs]
        values = settings(con, ids)
        kwh = energy_of(con, ids)
    # Asked by its path, so that the forecasts beside it are found for the paired tests.
    boards = leaderboards(workspace.database, METRIC, only=ids)
    first = [row.id for row in boards[0].rows if not row.is_naive]
    with reading(workspace.database, PATIENCE) as con:
        drawn = {name: found for name in ("val_pct_mae", "loss") if (found := curves(con, first[:CURVES], name))}
        symbols = by_symbol(con, first[:COLUMNS])
        told = results(con, first[:1]).get(first[0], {}) if first else {}
        shown = bands(con, workspace.runs, first[0], _ends(symbols, first[0])) if first else {}
    return Report(
        choice,
        tuple(runs),
        boards,
        {name: tuple(Counter(text for text, _ in of.values()).most_common()) for name, of in values.items()},
        spec_of(workspace, first[0]) if first else None,
        told,
        {name: {run: found[run] for run in first if run in found} for name, found in drawn.items()},
        _impact(values, {row.id: row.value for row in boards[0].rows if not row.is_naive}),
        symbols,
        {_title(symbol, symbols, first[0]): shown[symbol] for symbol in _ends(symbols, first[0]) if symbol in shown}
        if first
        else {},
        kwh,
    )


def _ends(symbols: BySymbol, run: str) -> list[str]:
    """The symbols the run is best at, then those it is worst at."""
    skills = {symbol: skill for symbol, row in symbols.items() if (skill := row.get(run, (None, None))[0]) is not None}
    ranked = sorted(skills, key=lambda symbol: -skills[symbol])
    return list(dict.fromkeys(ranked[:ENDS] + ranked[-ENDS:]))


def _title(symbol: str, symbols: BySymbol, run: str) -> str:
    return f"{symbol}: skill {symbols[symbol][run][0]:+.3f}"


def _impact(values: dict[str, dict[str, tuple[str, float | None]]], errors: dict[str, float]) -> tuple[Impact, ...]:
    """Settings by how strongly the error goes with them; those that too few runs tell about are left out."""
    found = []
    for name, of in values.items():
        runs = [run for run in errors if run in of]
        if len(runs) < FEWEST or len({of[run][0] for run in runs}) < 2:
            continue
        by_value: defaultdict[str, list[float]] = defaultdict(list)
        for run in runs:
            by_value[of[run][0]].append(errors[run])
        middles = sorted(((text, len(got), statistics.median(got)) for text, got in by_value.items()),
                         key=lambda row: row[2])  # fmt: skip
        numbers = [of[run][1] for run in runs]
        points: tuple[tuple[float, float], ...] = ()
        rho = None
        if all(number is not None for number in numbers):
            points = tuple(
                (number, errors[run]) for number, run in zip(numbers, runs, strict=True) if number is not None
            )
            rho = spearman(points)
        found.append(Impact(name, points, tuple(middles), rho))
    return tuple(sorted(found, key=lambda one: -abs(one.rho or 0.0)))


def spearman(points: Sequence[tuple[float, float]]) -> float | None:
    """Rank correlation, ties by their mean rank; None where one side is constant."""
    try:
        return statistics.correlation(_ranks([x for x, _ in points]), _ranks([y for _, y in points]))
    except statistics.StatisticsError:
        return None


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [(bisect_left(ordered, value) + bisect_right(ordered, value) + 1) / 2 for value in values]
