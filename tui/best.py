"""The leaderboard as people read it: columns, the bar around naive, the sentence, and what was left out."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from engine.board import Board, BoardRow, direction_of
from engine.paired import SIGNIFICANT
from tui import present
from tui.columns import Column
from tui.keys import label
from tui.present import NONE, Cell, Part, cell

if TYPE_CHECKING:
    from engine.records import RunRow
    from tui.answers import Ranking

FARTHEST = 0.25
"""The skill from which a bar is cut, or one hopeless run would leave no room for the others."""
WIDE, MIDDLE, NARROW = 32, 20, 14
"""Cells of the bar."""
IN_USE = "in use"
"""What the run of .best_model_path itself is marked with."""


class Line(Struct, frozen=True):
    """A row of the leaderboard with what the screen knows besides."""

    row: BoardRow
    dirty: bool = False
    promoted: bool = False
    names: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.row.id


def lines(found: Ranking, rows: Mapping[str, RunRow]) -> list[Line]:
    """rows: the engine's, which know whether a run's code had uncommitted changes."""
    if found.board is None:
        return []
    return [
        Line(row, row.id in rows and rows[row.id].dirty, row.id in found.promoted, found.names.get(row.id, ()))
        for row in found.board.rows
    ]


def columns(found: Ranking, width: int) -> list[Column[Line]]:
    """Those of one board, which its rows have in common: the bar's scale, what was promoted. width: of the screen."""
    board = found.board
    assert board is not None
    scale = scale_of(board)
    size = WIDE if width >= 180 else MIDDLE if width >= 140 else NARROW
    longest = max((len(f"{row.id}  {row.name}".rstrip()) for row in board.rows), default=0)

    wide = min(max(12, longest), 16 if width < 140 else 34)

    def skill(line: Line, _: float) -> Cell:
        return bar(0.0 if line.row.is_naive else line.row.skill, scale, size)

    made = [
        Column[Line]("#", 3, lambda line, _: cell(place(line.row), "ours bold")),
        Column[Line]("RUN", wide, lambda line, _: _run(line.row, wide)),
        Column[Line]("FAMILY", 9, lambda line, _: cell(line.row.family or "baseline", "rest"), rank=6),
        Column[Line](board.metric.upper() if len(board.metric) < 6 else board.metric, max(13, len(board.metric)),
                     lambda line, _: value(line.row)),
        Column[Line]("SKILL", size, skill, rank=3),
        Column[Line]("vs NAIVE", 8, lambda line, _: _skill(line.row), right=True),
        Column[Line]("p (DM)", 7, lambda line, _: chance(line.row), rank=2, right=True),
        Column[Line]("SEEDS", 5, lambda line, _: seeds(line.row), rank=4, right=True),
        Column[Line]("TEST", 7, lambda line, _: kept_apart(line, line.row.test), rank=5, right=True),
        Column[Line]("UNSEEN", 7, lambda line, _: kept_apart(line, line.row.unseen), rank=8, right=True),
        Column[Line]("GPU-h", 7, lambda line, _: hours(line.row), rank=7, right=True),
        Column[Line]("kWh", 5, lambda line, _: _kwh(line.row), rank=11, right=True),
        Column[Line]("COMMIT", 8, lambda line, _: _commit(line), rank=10),
        Column[Line]("CHECKPOINT", 12, lambda line, _: _checkpoint(line.row), rank=9),
        Column[Line]("ALIAS", 9, lambda line, _: alias(line), rank=1, flex=1),
    ]  # fmt: skip
    unknown = {"SKILL", "vs NAIVE"} if board.naive is None else set()
    if not found.promoted:
        unknown.add("UNSEEN")
    return [one for one in made if one.title not in unknown]


# -- cells ------------------------------------------------------------------------------------------------------------


def place(row: BoardRow) -> str:
    """1, then 1= for what ties with it, then the rank."""
    if row.rank is None:
        return ""
    return "1=" if row.tie else str(row.rank)


def _run(row: BoardRow, room: int) -> Cell:
    """Its id, and its name where the whole of it has room, or most of it."""
    if row.is_naive:
        return (("naive", "attention"),)
    name = f"  {row.name}"
    fits = row.name and (len(row.id) + len(name) <= room or room - len(row.id) > 12)
    return ((row.id, "strong"), *([(name, "rest")] if fits else []))


def value(row: BoardRow) -> Cell:
    """0.571 ±.006: the spread over seeds where there are several."""
    text = present.metric(row.value) if abs(row.value) >= 0.01 or row.value == 0 else present.number(row.value)
    spread: Cell = ((f" ±{_short(row.spread)}", "rest"),) if row.spread is not None else ()
    return ((text, "attention" if row.is_naive else "strong"), *spread)


def _short(number: float) -> str:
    """Two digits without the nought before the point."""
    text = f"{number:.3f}" if 0.001 <= number < 1 else f"{number:.2g}"
    return text.removeprefix("0") if text.startswith("0.") else text


def _skill(row: BoardRow) -> Cell:
    return cell("0.0 %", "rest") if row.is_naive else present.skill_cell(row.skill)


def chance(row: BoardRow) -> Cell:
    """The p-value of the Diebold-Mariano test against naive, coloured where there is a difference."""
    if row.dm_p is None or row.is_naive:
        return cell("" if row.is_naive else NONE, "faint")
    text = "<.001" if row.dm_p < 0.001 else f"{row.dm_p:.3f}" if row.dm_p < 0.1 else f"{row.dm_p:.2f}"
    if row.dm_p >= SIGNIFICANT or row.dm_stat is None:
        return cell(text, "rest")
    return cell(text, "good" if row.dm_stat < 0 else "trouble")


def seeds(row: BoardRow) -> Cell:
    if row.is_naive:
        return ()
    return cell(str(row.seeds), "attention" if row.seeds == 1 else "text")


def kept_apart(line: Line, number: float | None) -> Cell:
    """A result on test data or unseen symbols: locked until the run is promoted."""
    if line.row.is_naive:
        return ()
    if number is not None:
        return cell(present.metric(number), "second bold")
    return cell("none", "faint") if line.promoted else cell("locked", "rest")


def hours(row: BoardRow) -> Cell:
    """Hours times devices; on the CPU its hours, marked so."""
    if row.is_naive:
        return ()
    if row.device_hours is not None:
        return cell(_hours(row.device_hours), "text")
    return cell(NONE if row.hours is None else f"{_hours(row.hours)} cpu", "rest")


def _hours(number: float) -> str:
    return f"{number:.1f}" if number >= 0.095 else "<.1"


def _kwh(row: BoardRow) -> Cell:
    return () if row.is_naive else cell(NONE if row.kwh is None else f"{row.kwh:.2f}", "rest")


def _commit(line: Line) -> Cell:
    return ((line.row.commit[:7], "rest"), ("*" if line.dirty else "", "attention"))


def _checkpoint(row: BoardRow) -> Cell:
    if row.is_naive:
        return cell("last price", "rest")
    return cell(row.checkpoint.rpartition("/")[2], "rest") if row.checkpoint else cell("none yet", "faint")


def alias(line: Line) -> Cell:
    return cell(", ".join(name or IN_USE for name in line.names), "good")


# -- the bar around naive ---------------------------------------------------------------------------------------------


def scale_of(board: Board) -> tuple[float, float]:
    """The least and the greatest skill that the bars of a board reach, 0 among them."""
    known = [max(-FARTHEST, min(FARTHEST, row.skill)) for row in board.rows if row.skill is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    return (low, high) if high - low > 1e-9 else (-0.01, 0.01)


def bar(skill: float | None, scale: tuple[float, float], width: int) -> Cell:
    """A bar from the zero line to the right, green, or to the left, red; a cut one ends in an arrow."""
    low, high = scale
    zero = min(max(2, round((width - 1) * -low / (high - low))), width - 3)
    left, right = zero, width - 1 - zero
    line: Part = ("│", "rest")
    if skill is None:
        return ((" " * left, "text"), line)
    size = min(FARTHEST, abs(skill))
    cut = abs(skill) > FARTHEST
    if skill >= 0:
        eighths = round(8 * right * size / high) if high > 0 else 0
        full, part = divmod(max(eighths, 1 if skill > 0.0005 else 0), 8)
        text = "█" * full + (present.EIGHTHS[part] if part else "")
        return ((" " * left, "text"), line, (text[: right - 1] + "▸" if cut else text, "good"))
    halves = max(round(2 * left * size / -low), 1)
    text = ("▐" if halves % 2 else "") + "█" * (halves // 2)
    return (((("◂" + text[1:]) if cut else text).rjust(left), "trouble"), line)


# -- lines around the table -------------------------------------------------------------------------------------------


def asked(found: Ranking) -> list[tuple[Cell, str]]:
    """What is ranked, in pieces with the action that changes each: rank on, data, family, what is kept apart."""
    wish, board = found.wish, found.board
    way = board.direction if board is not None else direction_of(wish.metric)
    arrow = "▼ lower is better" if way == "min" else "▲ higher is better"
    pieces: list[tuple[Cell, str]] = [
        (
            ((label("best.metric"), "key"), (" rank on ", "rest"), (wish.metric, "strong"), (f" {arrow}", "ours")),
            "screen.metric",
        ),
        (((label("best.family"), "key"), (" family ", "rest"), (wish.family or "all", "strong")), "screen.family"),
    ]
    if board is not None and (board.fingerprint or len(found.boards) > 1):
        several = f" of {len(found.boards)}" if len(found.boards) > 1 else ""
        parts: list[Part] = [(label("best.dataset"), "key"), (f" data{several} ", "rest")]
        parts += [(board.data or "unknown", "strong"), (f" {board.fingerprint[:8]}", "rest")]
        if board.synthetic:
            parts.append((" synthetic", "attention"))
        pieces.append((tuple(parts), "screen.dataset"))
    if board is not None and board.rows:
        of = [
            f"horizon {board.horizon}" if board.horizon else "",
            f"{board.windows:,} windows" if board.windows else "",
        ]
        pieces.append((cell(", ".join(filter(None, of)), "rest"), ""))
        pieces.append((cell("test is locked until promotion", "attention"), ""))
    return pieces


def said(found: Ranking, width: int) -> list[list[Part]]:
    """What to think of the leaderboard, wrapped: the sentence, then what was left out and what was kept apart."""
    board = found.board
    if board is None:
        return []
    role = "good" if board.beats_naive and not _by_chance(board) else "attention"
    made = [(board.sentence, f"{role} bold")] if board.rows else []  # else the table itself says so
    if len(found.boards) > 1:
        sets = "; ".join(
            f"{one.data or 'unknown data'} {one.fingerprint[:8]}".rstrip() + f" ({one.runs})" for one in found.boards
        )
        made.append((f"Results on different data can't be ranked together; each is ranked by itself: {sets}.", "rest"))
    shown = sum(not row.is_naive for row in board.rows)
    if shown < board.runs:
        made.append((f"The first {shown} of {board.runs:,} runs.", "rest"))
    made += [(text, "rest") for text in (board.note,) if text]
    if found.behind:
        made.append((f"The database may be behind: {found.behind}", "attention"))
    return [[(line, role)] for text, role in made for line in textwrap.wrap(text, max(20, width))]


def _by_chance(board: Board) -> bool:
    best = board.best
    return best is None or best.dm_p is None or best.dm_p >= SIGNIFICANT
