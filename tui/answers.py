"""What the screens Best and Compare ask runs.duckdb and the run folders, in workers: the functions that the CLI uses.

Each answer is frozen and holds all that a screen then shows, so that nothing is read while something is drawn.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field

from engine.board import METRIC, NAIVE, Board, BoardRow
from engine.errors import EngineError, NothingToShow
from engine.records import Spec
from engine.select import leaderboards
from engine.store_board import metrics_of
from engine.store_forecasts import Band, forecast
from engine.store_open import PATIENCE, reading
from engine.store_runs import BySymbol, by_symbol, known, results, summaries
from engine.workspace import Workspace
from tui import faults
from tui.feed import up_to_date

if TYPE_CHECKING:
    from engine.compare import Comparison
    from engine.differ import Difference

TOP = 200
"""Runs of a leaderboard that are shown; more say so."""
BESIDE = 4
"""Runs whose results by symbol stand beside each other."""

_turn = threading.Lock()
"""One worker at a time: or the engine, asked to write what is new, would find the database held by our own reading."""


class Wish(Struct, frozen=True):
    """What is ranked. family, dataset (a fingerprint): "" is all, and the one with the most runs."""

    metric: str = METRIC
    family: str = ""
    dataset: str = ""


class Ranking(Struct, frozen=True):
    """One leaderboard with what belongs to it. trouble: why there is none, in one line."""

    wish: Wish
    boards: tuple[Board, ...] = ()
    """Of each data set by itself, the one with the most runs first."""
    board: Board | None = None
    """The one that was wished for."""
    metrics: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    promoted: frozenset[str] = frozenset()
    """Runs whose test and unseen results may be seen."""
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Run -> the names it is exported under; "" is .best_model_path itself."""
    symbols: BySymbol = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    """The runs that `symbols` tells of."""
    behind: str = ""
    """Why the database may not be up to date."""
    empty: bool = False
    """There is nothing yet, which is no trouble."""
    trouble: str = ""


class Near(Struct, frozen=True):
    """What is told of one run of a leaderboard beside its row."""

    run: str
    rival: str = ""
    """The best of the others."""
    results: Mapping[str, float | None] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    """Of config and code, between the run and its rival."""
    symbol: str = ""
    band: Band | None = None
    trouble: str = ""
    no_forecast: str = ""
    """Why none can be shown, where that is known beforehand."""


def rank(workspace: Workspace, wish: Wish) -> Ranking:
    """Bring the database up to date and rank. Raises nothing that a person can cause: see Ranking.trouble."""
    with _turn:
        return _rank(workspace, wish)


def _rank(workspace: Workspace, wish: Wish) -> Ranking:
    behind = up_to_date(workspace)
    try:
        with reading(workspace.database, PATIENCE) as con:
            metrics, (families, _) = tuple(metrics_of(con)), known(con)
    except NothingToShow:
        return Ranking(wish, behind=behind, empty=True)
    except Exception as error:  # the edge of a worker
        return Ranking(wish, behind=behind, trouble=faults.said(error))
    shown = Ranking(wish, metrics=metrics, families=tuple(families), behind=behind)
    try:
        boards = leaderboards(workspace.database, wish.metric, None, wish.family or None, TOP)
        board = next((one for one in boards if wish.dataset and one.fingerprint == wish.dataset), boards[0])
        runs = [row.id for row in board.rows if not row.is_naive]
        with reading(workspace.database, PATIENCE) as con:
            promoted = frozenset(one.id for one in summaries(con, runs) if one.promoted)
            symbols = by_symbol(con, runs[:BESIDE])
    except Exception as error:  # the edge of a worker
        return Ranking(wish, metrics=metrics, families=tuple(families), behind=behind, trouble=faults.said(error))
    return Ranking(
        wish, boards, board, shown.metrics, shown.families, promoted, names(workspace), symbols,
        tuple(runs[:BESIDE]), behind, not board.rows,
    )  # fmt: skip


def names(workspace: Workspace) -> dict[str, tuple[str, ...]]:
    """Run -> the names it is exported under; files that can't be read name nothing."""
    from engine.pointer import pointers

    found: dict[str, tuple[str, ...]] = {}
    for one in pointers(workspace):
        try:
            run = str(one.read().get("run") or "")
        except EngineError:
            continue
        found[run] = (*found.get(run, ()), one.alias)
    return found


def look_near(workspace: Workspace, run: str, rival: str, symbols: Sequence[str]) -> Near:
    """Look at one run closely. symbols: whose forecast to give, the first that it has; see Near.trouble."""
    with _turn:
        return _look_near(workspace, run, rival, symbols)


def _look_near(workspace: Workspace, run: str, rival: str, symbols: Sequence[str]) -> Near:
    from engine.compare import compare

    symbol = symbols[0] if len(symbols) == 1 else ""
    try:
        with reading(workspace.database, PATIENCE) as con:
            found = results(con, [run])[run]
            band = forecast(con, workspace.runs, run, symbols)
        differ = compare(workspace, [run, rival]).differences if rival else ()
    except Exception as error:  # the edge of a worker
        return Near(run, rival, symbol=symbol, trouble=faults.said(error))
    symbol = band.symbol if band is not None else symbol
    kept = tuple(one for one in differ if one.part in ("settings", "code") and one.name not in ("train.seed", "seed"))
    return Near(run, rival, found, kept, symbol, band)


def rival_of(board: Board, run: str) -> str:
    """The best of the other runs, of another config where there is one: "" when it is alone."""
    others = [row for row in board.rows if not row.is_naive and row.id != run]
    mine = row_of(board, run)
    alike = (mine.mean, mine.spread) if mine is not None and mine.spread is not None else None
    other = next((row for row in others if alike is None or (row.mean, row.spread) != alike), None)
    return other.id if other is not None else others[0].id if others else ""


def row_of(board: Board | None, run: str | None) -> BoardRow | None:
    """The row of a run; None for the naive forecast's and where there is no such run."""
    if board is None or run is None or run == NAIVE:
        return None
    return next((row for row in board.rows if row.id == run), None)


# -- runs side by side ------------------------------------------------------------------------------------------------


class Compared(Struct, frozen=True):
    """Runs side by side, as engine.compare has them. trouble: why there is nothing, in one line."""

    runs: tuple[str, ...] = ()
    found: Comparison | None = None
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Every field of the config, of each run: field -> run -> value."""
    behind: str = ""
    trouble: str = ""


def put_beside(workspace: Workspace, runs: Sequence[str]) -> Compared:
    """Compare runs; the others are tested against the first. What is wrong stands in Compared.trouble."""
    with _turn:
        return _put_beside(workspace, runs)


def _put_beside(workspace: Workspace, runs: Sequence[str]) -> Compared:
    from engine.compare import compare, spec_of

    behind = up_to_date(workspace)
    try:
        found = compare(workspace, runs)
        specs = {run: spec_of(workspace, run) for run in found.runs}
    except Exception as error:  # the edge of a worker
        return Compared(tuple(runs), behind=behind, trouble=faults.said(error))
    return Compared(found.runs, found, settings_of(specs), behind)


def settings_of(specs: Mapping[str, Spec]) -> dict[str, dict[str, str]]:
    """Every field of the config of each run: field -> run -> value."""
    settings: dict[str, dict[str, str]] = {}
    for run, spec in specs.items():
        for section, values in spec.config.items():
            for name, value in values.items():
                settings.setdefault(f"{section}.{name}", {})[run] = _shown(value)
    return settings


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(map(_shown, value))
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
