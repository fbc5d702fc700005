"""Columns of the lists about one run: its checkpoints, and its results by symbol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui import present
from tui.columns import Column
from tui.details import moment
from tui.present import Cell, cell

if TYPE_CHECKING:
    from engine.store_upclose import Scored
    from tui.upclose import Checkpoint


def _step(row: Checkpoint, _: float) -> Cell:
    return cell(f"{row.saved.step:,}", "strong")


def _when(row: Checkpoint, _: float) -> Cell:
    return cell(moment(row.saved.t), "rest")


def _value(row: Checkpoint, _: float) -> Cell:
    return cell(present.metric(row.saved.value), "good bold" if row.saved.best else "text")


def _best(row: Checkpoint, _: float) -> Cell:
    return cell("◆ best", "good") if row.saved.best else ()


def _size(row: Checkpoint, _: float) -> Cell:
    return cell(present.size(row.saved.bytes) if row.saved.bytes is not None else present.NONE)


def _kept(row: Checkpoint, _: float) -> Cell:
    return cell("kept", "ours") if row.kept else cell("deleted", "faint")


def _path(row: Checkpoint, _: float) -> Cell:
    return cell(row.saved.path, "rest")


CHECKPOINTS: tuple[Column[Checkpoint], ...] = (
    Column("STEP", 11, _step, right=True),
    Column("VAL PCT_MAE", 11, _value, right=True),
    Column("", 6, _best),
    Column("SIZE", 10, _size, rank=1, right=True),
    Column("KEPT", 7, _kept),
    Column("SAVED", 14, _when, rank=2),
    Column("FOLDER", 20, _path, rank=3, flex=1),
)


def _number(value: float | None, role: str = "text") -> Cell:
    return cell(present.metric(value), role)


def _symbol(row: Scored, _: float) -> Cell:
    return cell(row.symbol, "strong")


def _error(row: Scored, _: float) -> Cell:
    return _number(row.pct_mae)


def _naive(row: Scored, _: float) -> Cell:
    return _number(row.naive, "attention")


def _skill(row: Scored, _: float) -> Cell:
    return present.skill_cell(row.skill)


def _direction(row: Scored, _: float) -> Cell:
    return cell(f"{100 * row.dir_acc:.1f} %" if row.dir_acc is not None else present.NONE)


def _crps(row: Scored, _: float) -> Cell:
    return _number(row.crps)


def _windows(row: Scored, _: float) -> Cell:
    return cell(f"{row.windows:,}" if row.windows is not None else present.NONE, "rest")


SYMBOLS: tuple[Column[Scored], ...] = (
    Column("SYMBOL", 8, _symbol),
    Column("vs NAIVE", 8, _skill, right=True),
    Column("PCT_MAE", 7, _error, right=True),
    Column("NAIVE", 7, _naive, rank=1, right=True),
    Column("DIRECTION", 9, _direction, rank=3, right=True),
    Column("CRPS", 7, _crps, rank=4, right=True),
    Column("WINDOWS", 7, _windows, rank=2, right=True),
)
