"""What the tabs of one run show that is neither its row nor its curves: read in a worker, one answer for each tab."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from engine.errors import NothingToShow
from engine.store_forecasts import Band, forecast
from engine.store_open import reading
from engine.store_past import samples
from engine.store_upclose import Saved, Scored, Watched, saved, scored, watched
from engine.workspace import Workspace
from tui import faults
from tui.feed import up_to_date
from tui.travel import Past
from tui.world import KEPT_SAMPLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

T = TypeVar("T")

PATCH_LIMIT = 1 << 20
"""Bytes of a patch that are shown."""


class Devices(Struct, frozen=True):
    run: str
    watched: tuple[Watched, ...] = ()
    trouble: str = ""


class Checkpoint(Struct, frozen=True):
    """kept: whether its folder is still there."""

    saved: Saved
    kept: bool


class Checkpoints(Struct, frozen=True):
    run: str
    rows: tuple[Checkpoint, ...] = ()
    trouble: str = ""


class Evaluation(Struct, frozen=True):
    run: str
    rows: tuple[Scored, ...] = ()
    trouble: str = ""


class Forecast(Struct, frozen=True):
    run: str
    symbol: str
    band: Band | None = None
    trouble: str = ""


class Patch(Struct, frozen=True):
    """text: the uncommitted changes a run was queued with. left_out: bytes of it that are not shown."""

    run: str
    text: str = ""
    left_out: int = 0
    trouble: str = ""


def read_devices(workspace: Workspace, run: str) -> Devices:
    return Devices(run, *_found(workspace, lambda con: watched(con, run)))


def read_past(workspace: Workspace, moment: float) -> Past:
    """What all devices did in the two minutes until a moment."""
    try:
        with reading(workspace.database) as con:
            return Past(moment, samples(con, moment, KEPT_SAMPLES))
    except Exception as error:  # the edge of a worker
        return Past(moment, trouble=_said(error))


def read_checkpoints(workspace: Workspace, run: str) -> Checkpoints:
    folder = workspace.run(run)
    rows, trouble = _found(workspace, lambda con: saved(con, run))
    kept = tuple(Checkpoint(one, bool(one.path) and (folder / one.path).is_dir()) for one in rows)
    return Checkpoints(run, kept, trouble)


def read_evaluation(workspace: Workspace, run: str) -> Evaluation:
    return Evaluation(run, *_found(workspace, lambda con: scored(con, run)))


def _found(workspace: Workspace, rows: Callable[[DuckDBPyConnection], Iterable[T]]) -> tuple[tuple[T, ...], str]:
    """Ask the database for rows, and tell what kept it from giving them.

    It lags behind what the row of a run says already, so it is brought up to date before. Why it could not be is told
    where nothing is found, lest "nothing" be taken for the truth.
    """
    behind = up_to_date(workspace)
    try:
        with reading(workspace.database) as con:
            found = tuple(rows(con))
    except Exception as error:  # the edge of a worker
        return (), _said(error)
    return found, "" if found else behind


def read_forecast(workspace: Workspace, run: str, symbol: str) -> Forecast:
    """The last forecast of a symbol on validation data, with the prices that led there."""
    try:
        with reading(workspace.database) as con:
            return Forecast(run, symbol, forecast(con, workspace.runs, run, [symbol]))
    except Exception as error:  # the edge of a worker
        return Forecast(run, symbol, trouble=_said(error))


def read_patch(folder: Path, run: str) -> Patch:
    try:
        with open(folder / "code.patch", "rb") as file:
            data = file.read(PATCH_LIMIT)
            more = file.seek(0, 2) - len(data)
    except FileNotFoundError:
        return Patch(run)
    except OSError as error:
        return Patch(run, trouble=f"code.patch: {error.strerror}")
    return Patch(run, data.decode("utf-8", "replace"), more)


def _said(error: Exception) -> str:
    return "the database is not here yet" if isinstance(error, NothingToShow) else faults.said(error)
