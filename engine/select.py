"""Which run is best, by validation alone, with the naive forecast in its place among them.

Only runs that were scored on the same data, horizon and windows are compared; the note says what was left out and how
to choose. Test and unseen results never rank anything (DESIGN §6).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.errors import UnknownFamily, UsageError, did_you_mean
from engine.store_board import Scored, scored_runs

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

METRIC = "val_pct_mae"
Direction = Literal["min", "max"]
HIGHER_IS_BETTER = ("skill", "r2", "dir_acc", "sharpe", "accuracy", "acc", "f1", "auc", "per_s")
SIGNIFICANT = 0.05
NAIVE = "naive"
IMPORTED = "imported"
"""What data of imported runs are called: nobody knows what their numbers were measured on."""
Group = tuple[str, int | None, int | None, bool]
"""Data fingerprint, horizon, windows, and whether the value comes from an evaluation."""


@dataclass(frozen=True)
class BoardRow:
    """A run, or the naive forecast (rank None). Numbers are None where they are unknown."""

    rank: int | None
    id: str
    value: float
    name: str = ""
    family: str = ""
    state: str = ""
    naive: float | None = None
    """The naive forecast's value of the same metric on the same windows."""
    skill: float | None = None
    """1 - pct_mae / naive_pct_mae; positive is better than naive."""
    dm_stat: float | None = None
    dm_p: float | None = None
    words: str = ""
    """The Diebold-Mariano test in words."""
    steps: int | None = None
    hours: float | None = None
    checkpoint: str = ""
    """Relative to the workspace."""
    commit: str = ""

    @property
    def is_naive(self) -> bool:
        return self.rank is None


@dataclass(frozen=True)
class Board:
    metric: str
    direction: Direction
    rows: tuple[BoardRow, ...] = ()
    """Best first."""
    naive: float | None = None
    sentence: str = ""
    """What to think of it, in one sentence."""
    note: str = ""
    """What was left out, and how to choose; empty when nothing was."""
    fingerprint: str = ""
    horizon: int | None = None
    windows: int | None = None
    synthetic: bool = False
    """Whether the data are made up."""
    left_out: tuple[str, ...] = field(default=())
    """Runs without a rank."""

    @property
    def best(self) -> BoardRow | None:
        """The run of rank 1, None when there is none."""
        return next((row for row in self.rows if not row.is_naive), None)

    def as_json(self) -> dict[str, Any]:
        """Give what `--json` prints: plain lists, dicts, strings and numbers."""
        return asdict(self)


def direction_of(metric: str) -> Direction:
    """Tell which way is better: less, but for skill, R², accuracies, Sharpe ratio and rates."""
    short = metric.removeprefix("val_")
    return "max" if any(short == word or short.endswith(f"_{word}") for word in HIGHER_IS_BETTER) else "min"


def leaderboard(
    database: Path | DuckDBPyConnection,
    metric: str = METRIC,
    direction: Direction | None = None,
    family: str | None = None,
    top_k: int | None = None,
    fingerprint: str | None = None,
) -> Board:
    """Rank the runs by a validation metric, or by the best value logged of any other.

    direction: "min" or "max"; None goes by the metric's name. top_k: how many runs to give. fingerprint: of the
    data, its beginning is enough; None takes the data, horizon and windows most runs have in common (of equals the
    latest). A run without a finite value is in left_out, never among the rows.
    Raises UsageError for a test or unseen metric, one that nobody has, an unknown direction or fingerprint,
    UnknownFamily, NothingToShow when there is no database.
    """
    if metric.startswith(("test_", "unseen_")):
        raise UsageError(
            f"'{metric}' can't rank runs: selection is on validation only. Try val_{metric.split('_', 1)[1]}."
        )
    if direction not in (None, "min", "max"):
        raise UsageError(f"'{direction}' is no direction: expected min or max.")
    if top_k is not None and top_k < 1:
        raise UsageError(f"top-k = {top_k}: expected at least 1.")
    way: Direction = direction or direction_of(metric)
    runs = scored_runs(database, metric, lower=way == "min")
    if family is not None:
        families = {run.family for run in runs}
        if runs and family not in families:
            raise UnknownFamily(f"No run is of the family '{family}'.{did_you_mean(family, families)}")
        runs = [run for run in runs if run.family == family]
    if fingerprint is not None:
        known = {run.fingerprint for run in runs if run.fingerprint}
        if runs and not any(print_.startswith(fingerprint) for print_ in known):
            raise UsageError(
                f"No run is on data '{fingerprint}'. There are: {', '.join(p[:12] for p in sorted(known))}."
            )
        runs = [run for run in runs if run.fingerprint.startswith(fingerprint)]
    groups: defaultdict[Group, list[Scored]] = defaultdict(list)
    without = []
    for run in runs:
        if _value(run) is None:
            without.append(run)
        else:
            groups[_group(run)].append(run)
    if not groups:
        return Board(
            metric, way, sentence="No run has a result yet.", note=_missing(without, metric), left_out=_ids(without)
        )
    chosen = max(
        groups,
        key=lambda key: (key[0] != IMPORTED, key[3], len(groups[key]), max(run.submitted for run in groups[key])),
    )
    others = {key: found for key, found in groups.items() if key != chosen}
    return _board(metric, way, chosen, groups[chosen], others, without, top_k)


def _value(run: Scored) -> float | None:
    found = run.value if run.scored else run.logged
    return found if found is not None and math.isfinite(found) else None


def _group(run: Scored) -> Group:
    return run.fingerprint, run.horizon, run.windows if run.scored else None, run.scored


def _ids(runs: Sequence[Scored]) -> tuple[str, ...]:
    return tuple(run.id for run in runs)


def _board(
    metric: str,
    way: Direction,
    chosen: Group,
    runs: list[Scored],
    others: dict[Group, list[Scored]],
    without: list[Scored],
    top_k: int | None,
) -> Board:
    sign = 1.0 if way == "min" else -1.0
    ranked = sorted(runs, key=lambda run: sign * (_value(run) or 0.0))  # sorted keeps the earlier of equals first
    naives = [run.naive for run in runs if run.naive is not None and math.isfinite(run.naive)]
    naive = 0.0 if metric.removeprefix("val_") == "skill" else (naives[0] if naives else None)
    rows = [_row(run, rank) for rank, run in enumerate(ranked, 1)]
    best = rows[0]
    shown = rows[:top_k]
    if naive is not None:
        place = sum(sign * row.value <= sign * naive for row in shown)
        shown.insert(place, BoardRow(None, NAIVE, naive, naive=naive, words="the last price, repeated"))
    notes = [_apart(others, chosen), _missing(without, metric)]
    if naives and max(naives) - min(naives) > 1e-3 * abs(max(naives)):
        notes.append(f"The naive forecast's value differs between these runs ({min(naives):.4g} to {max(naives):.4g}): "
                     "they were not scored on the same windows.")  # fmt: skip
    if not chosen[3]:
        notes.append(f"These are the best values logged while training; no evaluation holds {metric}.")
    return Board(
        metric,
        way,
        tuple(shown),
        naive,
        _sentence(best, naive, sign),
        " ".join(note for note in notes if note),
        chosen[0],
        chosen[1],
        chosen[2],
        any(run.synthetic for run in runs),
        (*_ids(without), *(run.id for found in others.values() for run in found)),
    )


def _row(run: Scored, rank: int) -> BoardRow:
    value = _value(run)
    assert value is not None
    return BoardRow(
        rank, run.id, value, run.name, run.family, run.state, run.naive, run.skill, run.dm_stat, run.dm_p,
        dm_words(run.dm_stat, run.dm_p), run.steps, run.hours,
        f"runs/{run.id}/{run.checkpoint}" if run.checkpoint else "", run.commit,
    )  # fmt: skip


def dm_words(stat: float | None, p: float | None) -> str:
    """Say what the Diebold-Mariano test against naive says; negative statistics are the model's."""
    if stat is None or p is None or not (math.isfinite(stat) and math.isfinite(p)):
        return ""
    how = "no different from" if p >= SIGNIFICANT else "better than" if stat < 0 else "worse than"
    return f"{how} naive, {_p(p)}"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _sentence(best: BoardRow, naive: float | None, sign: float) -> str:
    if naive is None:
        return f"The best is {best.id}."
    gap = sign * (best.value - naive)
    size = f"{abs(gap / naive) * 100:.1f} %" if naive else f"{abs(gap):.3g}"
    if gap >= 0:
        told = f"the best, {best.id}, is {size} worse" if gap > 0 else f"the best, {best.id}, is as good"
        return f"No run beats the naive forecast ({naive:.3g}); {told}."
    doubt = ""
    if best.dm_p is not None and best.dm_stat is not None:
        sure = best.dm_p < SIGNIFICANT and best.dm_stat < 0
        doubt = f" ({_p(best.dm_p)})" if sure else f", which may be chance ({_p(best.dm_p)})"
    return f"{best.id} beats the naive forecast ({naive:.3g}) by {size}{doubt}."


def _missing(without: Sequence[Scored], metric: str) -> str:
    if not without:
        return ""
    few = ", ".join(_ids(without[:3])) + (", ..." if len(without) > 3 else "")
    return f"{len(without)} without a {metric} left out: {few}."


def _apart(others: dict[Group, list[Scored]], chosen: Group) -> str:
    count = sum(map(len, others.values()))
    if not count:
        return ""
    told = []
    for key, found in sorted(others.items(), key=lambda item: -len(item[1]))[:4]:
        differs = []
        if key[0] != chosen[0]:
            differs.append(f"data {key[0][:12]}" if key[0] else "unknown data")
        if key[1] != chosen[1]:
            differs.append(f"horizon {key[1]}")
        if key[3] != chosen[3]:
            differs.append("no final evaluation")
        elif key[2] != chosen[2]:
            differs.append(f"{key[2]} windows")
        told.append(f"{len(found)} with {', '.join(differs)}")
    return f"{count} left out that can't be compared: {'; '.join(told)}. --fingerprint chooses the data."


def render(board: Board) -> str:
    """Lay the board out as text: a table, what to think of it, what was left out."""
    from tabulate import tabulate  # 80 ms, and only tables need it

    lines = [
        [
            "-" if row.is_naive else str(row.rank),
            row.id + (f" ({row.name})" if row.name else ""),
            row.family,
            f"{row.value:.4g}",
            "" if row.skill is None else f"{row.skill:+.3f}",
            row.words,
            "" if row.steps is None else f"{row.steps:,}",
            "" if row.hours is None else _span(row.hours),
            row.commit[:9],
        ]
        for row in board.rows
    ]
    heads = ["", "run", "family", board.metric, "skill", "Diebold-Mariano", "steps", "time", "commit"]
    right = ("right", "left", "left", "right", "right", "left", "right", "right", "left")
    table = tabulate(lines, heads, tablefmt="simple", colalign=right, disable_numparse=True) if lines else ""
    data = f"Data {board.fingerprint[:12]}, horizon {board.horizon}" if board.fingerprint else ""
    made_up = "The data are synthetic." if board.synthetic else ""
    windows = f", {board.windows:,} validation windows" if board.windows and data else ""
    foot = " ".join(part for part in (f"{data}{windows}." if data else "", made_up) if part)
    said = [line for line in (board.sentence, foot, board.note) if line]
    return "\n".join([table, "", *said] if table else said)


def _span(hours: float) -> str:
    seconds = hours * 3600
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if hours < 2 else f"{hours:.1f} h"
