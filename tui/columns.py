"""Columns of lists: title, width and the function that fills the cell, side by side; and those of the run lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from engine.curve import DRAWN, squeeze
from engine.query_fields import best, skill, took
from engine.records import RunRow
from tui import present
from tui.present import Cell, cell

Row = TypeVar("Row")


class Column(Struct, Generic[Row], frozen=True):
    """rank: dropped first when it is highest and the place is narrow; 0 stays always.

    flex: how big a part of the spare width it takes; `width` is then the least it makes sense with.
    """

    title: str
    width: int
    fill: Callable[[Row, float], Cell]
    """The cell of a row at a moment, in unix seconds."""
    rank: int = 0
    right: bool = False
    flex: int = 0
    clock: bool = False
    """Its text changes with the clock alone."""
    moves: bool = False
    """A little picture that moves all the time: left out with --slow."""


def fit(columns: Sequence[Column[Row]], width: int, gap: int = 2) -> list[tuple[Column[Row], int]]:
    """Choose the columns that fit and give each its width; the sum with gaps is at most `width`."""
    kept = list(columns)
    while len(kept) > 1 and sum(c.width for c in kept) + gap * (len(kept) - 1) > width:
        worst = max(kept, key=lambda c: c.rank)
        if worst.rank == 0:
            break
        kept.remove(worst)
    spare = max(0, width - sum(c.width for c in kept) - gap * (len(kept) - 1))
    total = sum(c.flex for c in kept)
    widths = []
    for column in kept:
        extra = spare * column.flex // total if total else 0
        widths.append((column, column.width + extra))
    return widths


def _id(row: RunRow, _: float) -> Cell:
    return cell(row.id, "strong")


def _family(row: RunRow, _: float) -> Cell:
    return cell(row.family, "rest")


def _mark(row: RunRow, _: float) -> Cell:
    return present.mark(row)


def _progress(row: RunRow, _: float) -> Cell:
    done = present.progress(row)
    text = (("", "text"),) if done is None else ((f" {present.percent(row):>4}", "text"),)
    role = "bar attention" if row.state in ("paused", "stopping") else "bar"
    return (*present.bar(done, 14, role), *text)


def curve(row: RunRow, _: float) -> Cell:
    return cell(present.spark(squeeze(row.spark, DRAWN), DRAWN), "spark")


def _skill(row: RunRow, _: float) -> Cell:
    return present.skill_cell(row.skill)


def _memory(row: RunRow, _: float) -> Cell:
    return cell(present.size(row.device_memory if row.device_memory is not None else row.memory), "rest")


def _eta(row: RunRow, now: float) -> Cell:
    """By its own rate; where it tells no number of steps, ~ what runs like it took."""
    if row.eta is None and row.until is not None and row.until > now:
        return cell(f"~{present.duration(row.until - now)}", "rest")
    return cell(present.duration(row.eta), "strong" if row.eta is not None else "faint")


def _metric(value: float | None) -> Cell:
    return cell(present.metric(value), "text" if value is not None else "faint")


def _duration(row: RunRow, now: float) -> Cell:
    return cell(present.duration(took(row, now)), "rest")


RUNNING: tuple[Column[RunRow], ...] = (
    Column("", 1, _mark),
    Column("RUN", 11, _id),
    Column("FAMILY", 8, _family, rank=6),
    Column("ON", 5, lambda row, _: cell(present.where(row), "rest"), rank=7),
    Column("PROGRESS", 19, _progress, rank=1),
    Column("EPOCH", 7, lambda row, _: cell(present.epochs(row), "rest"), rank=8),
    Column("STEP", 11, lambda row, _: cell(present.steps(row), "rest"), rank=10, right=True),
    Column("", 10, curve, rank=5, moves=True),
    Column("LOSS", 7, lambda row, _: cell(present.number(row.loss)), rank=2, right=True),
    Column("VAL", 6, lambda row, _: _metric(row.metric), right=True),
    Column("vs NAIVE", 8, _skill, right=True),
    Column("STEP/S", 6, lambda row, _: cell(present.rate(row.steps_per_s), "rest"), rank=9, right=True),
    Column("MEMORY", 8, _memory, rank=11, right=True),
    Column("ELAPSED", 7, _duration, rank=4, right=True, clock=True),
    Column("ETA", 7, _eta, rank=0, right=True, clock=True),
    Column("", 12, lambda row, _: present.note(row), rank=3, flex=1),
)

QUEUE: tuple[Column[RunRow], ...] = (
    Column("#", 2, lambda row, _: cell("" if row.place is None else str(row.place), "rest"), right=True),
    Column("", 1, _mark),
    Column("RUN", 11, _id),
    Column("FAMILY", 8, _family, rank=4),
    Column("WHAT", 16, lambda row, _: present.what(row), rank=2, flex=1),
    Column("NEEDS", 6, lambda row, _: cell(present.needs(row), "rest"), rank=3),
    Column("WAITS BECAUSE", 20, lambda row, _: present.reason(row), flex=1),
)

FINISHED: tuple[Column[RunRow], ...] = (
    Column("", 1, _mark),
    Column("RUN", 11, _id),
    Column("FAMILY", 8, _family, rank=6),
    Column("BEST VAL", 8, lambda row, _: _metric(best(row)), right=True),
    Column("vs NAIVE", 8, lambda row, _: present.skill_cell(skill(row)), right=True),
    Column("STEPS", 6, lambda row, _: cell(present.steps(row), "rest"), rank=5, right=True),
    Column("TOOK", 7, _duration, rank=2, right=True),
    Column("AGO", 4, lambda row, now: cell(present.ago(None if row.ended is None else now - row.ended), "rest"),
           rank=3, right=True, clock=True),
    Column("HOW IT ENDED", 14, lambda row, _: present.cause(row), rank=1, flex=1),
)  # fmt: skip
