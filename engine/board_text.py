"""A leaderboard as text for the terminal, as Markdown and as CSV: a table, what to think of it, what was left out."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import NamedTuple

from engine.board import Board, BoardRow


class Part(NamedTuple):
    head: str
    cell: Callable[[BoardRow], str]
    right: bool = False


def parts(board: Board) -> list[Part]:
    """The columns that have anything in them."""
    every = [
        Part("", lambda row: "-" if row.is_naive else f"{row.rank}{' =' if row.tie else ''}", True),
        Part("run", lambda row: row.id + (f" ({row.name})" if row.name else "")),
        Part("family", lambda row: row.family),
        Part(board.metric, lambda row: f"{row.value:.4g}", True),
        Part("over seeds", lambda row: _seeds(row)),
        Part("skill", lambda row: "" if row.skill is None else f"{row.skill:+.3f}", True),
        Part("against naive", lambda row: row.words),
        Part("against the best", lambda row: row.against_best),
        Part("test", lambda row: "" if row.test is None else f"{row.test:.4g}", True),
        Part("unseen", lambda row: "" if row.unseen is None else f"{row.unseen:.4g}", True),
        Part("gap", lambda row: "" if row.gap is None else f"{row.gap:+.3f}", True),
        Part("cost", lambda row: row.cost),
    ]
    return [part for part in every if any(part.cell(row) for row in board.rows)]


def _seeds(row: BoardRow) -> str:
    return "" if row.spread is None else f"{row.mean:.4g} ± {row.spread:.2g} ({row.seeds} seeds)"


def said(board: Board) -> list[str]:
    """The sentences below the table."""
    path = f" ({board.data})" if board.data else ""
    data = f"Data {board.fingerprint[:12]}{path}, horizon {board.horizon}" if board.fingerprint else ""
    windows = f", {board.windows:,} validation windows" if board.windows and data else ""
    shown = sum(not row.is_naive for row in board.rows)
    foot = [
        f"{data}{windows}." if data else "",
        "The data are synthetic." if board.synthetic else "",
        f"The first {shown} of {board.runs} runs." if shown < board.runs else "",
        "= ties with the best." if any(row.tie for row in board.rows) else "",
        "gap = skill on test data less skill on validation." if any(row.gap is not None for row in board.rows) else "",
    ]
    return [line for line in (board.sentence, " ".join(filter(None, foot)), board.note) if line]


def render(board: Board, style: str = "simple") -> str:
    """Lay the board out. style: of tabulate, "simple" or "github"."""
    from tabulate import tabulate  # 80 ms, and only tables need it

    if not board.rows:
        return "\n".join(said(board))
    columns = parts(board)
    table = tabulate(
        [[part.cell(row) for part in columns] for row in board.rows],
        [part.head for part in columns],
        tablefmt=style,
        colalign=["right" if part.right else "left" for part in columns],
        disable_numparse=True,
    )
    between = "\n\n" if style == "github" else "\n"
    return f"{table}\n\n" + between.join(said(board))


FORMS = ("md", "csv")


def written(boards: Sequence[Board], form: str) -> str:
    """Give the leaderboards as a file of one of FORMS; CSV holds the rows of all, with their data set, and no words."""
    if form == "md":
        return "\n\n".join(f"# Best by {board.metric}\n\n{render(board, 'github')}" for board in boards) + "\n"
    file = io.StringIO()
    names = [field.name for field in fields(BoardRow)]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*names, "cost", "metric", "fingerprint", "horizon", "windows"])
    for board in boards:
        for row in board.rows:
            values = ["" if value is None else value for value in (getattr(row, name) for name in names)]
            writer.writerow([*values, row.cost, board.metric, board.fingerprint, board.horizon, board.windows])
    return file.getvalue()
