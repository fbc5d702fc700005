"""Why a run stands where it does: one panel of lines, and the question before it is promoted."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.board import Board, BoardRow
from engine.differ import short
from engine.paired import SIGNIFICANT
from tui import present
from tui.best import value
from tui.keys import offer
from tui.present import Cell, Part

if TYPE_CHECKING:
    from engine.export import Ready
    from tui.answers import Near, Ranking


def verdict(board: Board, row: BoardRow) -> Cell:
    """What to think of one run, in half a sentence."""
    mine: Part = (row.id, "strong")
    better = row.skill is not None and row.skill > 0
    sure = row.dm_p is not None and row.dm_p < SIGNIFICANT
    if row.rank == 1 and better and sure:
        return (mine, (" is the best honest choice", "good"))
    if row.rank == 1 and better:
        return (mine, (" is first, maybe by chance", "attention"))
    if row.rank == 1:
        return (mine, (" is the least bad", "attention"))
    if row.tie:
        return (mine, (" ties with the first", "good" if better and sure else "attention"))
    return (mine, (f" is number {row.rank} of {board.runs:,}", "text"))


def why(found: Ranking, row: BoardRow, near: Near | None, width: int) -> list[list[Part]]:
    """The panel of one run: validation, naive, tests, calibration, what is locked, cost, and the config."""
    board = found.board
    assert board is not None
    promoted = row.id in found.promoted
    out: list[list[Part]] = [list(verdict(board, row)), []]
    told: list[tuple[str, str, str]] = [("validation", _validated(row), "text")]
    if row.naive is not None:
        told.append(
            ("naive", f"{present.metric(row.naive)}   skill {present.plain(present.skill_cell(row.skill))}", "text")
        )
    test_role = (
        "rest" if row.dm_p is None or row.dm_p >= SIGNIFICANT else "good" if (row.dm_stat or 0) < 0 else "trouble"
    )
    told.append(("DM test", row.words or "not possible: too few windows", test_role))
    if row.against_best:
        told.append(("the first", row.against_best, "text"))
    results = near.results if near is not None and near.run == row.id else {}
    if (share := results.get("val_coverage")) is not None:
        off = abs(share - 0.8) > 0.1
        told.append(("calibration", f"80 % band covers {100 * share:.1f} %", "attention" if off else "text"))
    for split, number in (("test", row.test), ("unseen", row.unseen)):
        told.append((split, *_locked(split, number, results, promoted)))
    if row.gap is not None:
        told.append(
            (
                "gap",
                f"{present.plain(present.skill_cell(row.gap))} of skill on test",
                "attention" if row.gap < -0.01 else "text",
            )
        )
    told.append(("cost", row.cost or "unknown", "text"))
    for name, text, role in told:
        for i, piece in enumerate(textwrap.wrap(text, max(10, width - 13))):
            out.append([(f"{name if i == 0 else '':<13}", "rest"), (piece, role)])
    out += _differs(near, row.id, width) if near is not None and near.run == row.id else []
    in_use = "" in found.names.get(row.id, ())
    promote = (
        offer("best.undo", " goes back to the model before")
        if in_use
        else offer("best.promote", " promotes it and reveals test and unseen")
    )
    more = offer("best.replicate", " queues more seeds of it") if row.seeds == 1 else []
    return [*out, *([[], promote] if promote else []), *([more] if more else [])]


def _validated(row: BoardRow) -> str:
    text = present.plain(value(row))
    return f"{text} over {row.seeds} seeds" if row.seeds > 1 else f"{text}, one seed only"


def _locked(split: str, number: float | None, results: Mapping[str, float | None], promoted: bool) -> tuple[str, str]:
    if number is None:
        return ("not evaluated", "faint") if promoted else ("locked until promotion", "rest")
    skill = results.get(f"{split}_skill")
    more = f"   skill {present.plain(present.skill_cell(skill))}" if skill is not None else ""
    return f"{present.metric(number)}{more}", "second bold"


def _differs(near: Near, run: str, width: int) -> list[list[Part]]:
    if not near.rival:
        return []
    if near.trouble:
        return [[], [(near.trouble, "attention")]]
    if not near.differences:
        return [[], [(f"same config and code as {near.rival}, but for the seed", "rest")]]
    out: list[list[Part]] = [[], [("differs from ", "rest"), (near.rival, "text")]]
    size = min(max(len(one.name) for one in near.differences), max(8, width // 2))
    for one in near.differences:
        mine, other = map(short, one.values)
        name = one.name if len(one.name) <= size else f"…{one.name[1 - size :]}"  # of a path the end tells most
        out.append([(f"  {name:<{size}}  ", "text"), (mine, "good"), (f"  {other}", "rest")])
    return out


def question(found: Ready, alias: str) -> list[list[Part]]:
    """Exactly what a promotion would write: the file, its line, the hash that was checked, and what it names now."""
    before = str(found.now.get("run") or "")
    when = f" at step {found.step:,}" if found.step is not None else ""
    told = [
        ("writes", str(found.path), "strong"),
        ("with", str(found.checkpoint), "text"),
        ("weights", f"sha256 {found.sha256[:16]}…, checked just now{when}", "good"),
        ("beside", f"{found.path.name}.json: run, metrics, commit, data, forecast defaults", "rest"),
        ("now", f"{before}, kept for u" if before else "nothing", "text"),
        ("reveals", f"test and unseen results of {found.run}, for good", "attention"),
        ("as typed", f"engine export {found.run}" + (f" --alias {alias}" if alias else ""), "rest"),
    ]
    return [[(f" {name:<9}", "rest"), (text, role)] for name, text, role in told]
