"""What the tabs of one run show that is neither its row nor its curves: read in a worker, one answer for each tab."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.errors import EngineError, NothingToShow
from engine.store_forecasts import Band, forecast
from engine.store_open import reading
from engine.store_past import samples
from engine.store_upclose import Saved, Scored, Watched, saved, scored, watched
from engine.workspace import Workspace
from tui.feed import up_to_date
from tui.travel import Past
from tui.world import KEPT_SAMPLES

PATCH_LIMIT = 1 << 20
"""Bytes of a patch that are shown."""


@dataclass(frozen=True)
class Devices:
    run: str
    watched: tuple[Watched, ...] = ()
    trouble: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """kept: whether its folder is still there."""

    saved: Saved
    kept: bool


@dataclass(frozen=True)
class Checkpoints:
    run: str
    rows: tuple[Checkpoint, ...] = ()
    trouble: str = ""


@dataclass(frozen=True)
class Evaluation:
    run: str
    rows: tuple[Scored, ...] = ()
    trouble: str = ""


@dataclass(frozen=True)
class Forecast:
    run: str
    symbol: str
    band: Band | None = None
    trouble: str = ""


@dataclass(frozen=True)
class Patch:
    """text: the uncommitted changes a run was queued with. left_out: bytes of it that are not shown."""

    run: str
    text: str = ""
    left_out: int = 0
    trouble: str = ""


# The database lags behind what the row of a run says already: so it is brought up to date before it is asked. Why it
# could not be is told where nothing is found, lest "nothing" be taken for the truth.


def read_devices(workspace: Workspace, run: str) -> Devices:
    behind = up_to_date(workspace)
    try:
        with reading(workspace.database) as con:
            found = tuple(watched(con, run))
    except EngineError as error:
        return Devices(run, trouble=_said(error))
    return Devices(run, found, "" if found else behind)


def read_past(workspace: Workspace, moment: float) -> Past:
    """What all devices did in the two minutes until a moment."""
    try:
        with reading(workspace.database) as con:
            return Past(moment, samples(con, moment, KEPT_SAMPLES))
    except EngineError as error:
        return Past(moment, trouble=_said(error))


def read_checkpoints(workspace: Workspace, run: str) -> Checkpoints:
    folder, behind = workspace.run(run), up_to_date(workspace)
    try:
        with reading(workspace.database) as con:
            rows = saved(con, run)
    except EngineError as error:
        return Checkpoints(run, trouble=_said(error))
    found = tuple(Checkpoint(one, bool(one.path) and (folder / one.path).is_dir()) for one in rows)
    return Checkpoints(run, found, "" if found else behind)


def read_evaluation(workspace: Workspace, run: str) -> Evaluation:
    behind = up_to_date(workspace)
    try:
        with reading(workspace.database) as con:
            found = tuple(scored(con, run))
    except EngineError as error:
        return Evaluation(run, trouble=_said(error))
    return Evaluation(run, found, "" if found else behind)


def read_forecast(workspace: Workspace, run: str, symbol: str) -> Forecast:
    """The last forecast of a symbol on validation data, with the prices that led there."""
    try:
        with reading(workspace.database) as con:
            return Forecast(run, symbol, forecast(con, workspace.runs, run, [symbol]))
    except EngineError as error:
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


def _said(error: EngineError) -> str:
    return "the database is not here yet" if isinstance(error, NothingToShow) else str(error)
