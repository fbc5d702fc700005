"""What runs.duckdb knows of one run up close: its devices while it ran, its checkpoints, its results by symbol."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

HOLE = 60.0
"""Seconds without a sample after which a curve has a gap: while runs train there is one a second."""
MOST = 20_000
"""Samples of a device at most; of a run that took longer, each is that of its stretch of time with the most memory."""


@dataclass
class Watched:
    """A device while a run had it, or the machine itself: columns of equal length, NaN where nothing was told."""

    name: str
    t: list[float] = field(default_factory=list)
    """Unix seconds."""
    utilisation: list[float] = field(default_factory=list)
    """Per cent."""
    memory: list[float] = field(default_factory=list)
    """Bytes, of all processes."""
    own: list[float] = field(default_factory=list)
    """Bytes of the run's own processes; of a machine always NaN."""
    power: list[float] = field(default_factory=list)
    """Watts."""
    temperature: list[float] = field(default_factory=list)
    total: float = math.nan
    """Bytes it has."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint as the trainer told of it; it may be deleted by now."""

    step: int
    t: float
    path: str
    """Relative to the run folder."""
    bytes: int | None
    value: float | None
    """Its validation error, where it was scored."""
    best: bool


@dataclass(frozen=True)
class Scored:
    """The result of a run on one series; None where it can't be told."""

    symbol: str
    pct_mae: float | None
    naive: float | None
    skill: float | None
    dir_acc: float | None
    crps: float | None
    windows: int | None


_DEVICES = """
WITH r AS (SELECT id, unnest(devices) AS uuid, started, coalesce(ended, now()::TIMESTAMP) AS ended FROM runs
           WHERE id = ?),
s AS (SELECT d.*, r.id, greatest(1, ceil(epoch(r.ended - r.started) / ?))::BIGINT AS wide
      FROM device_samples d JOIN r USING (uuid) WHERE d.t BETWEEN r.started AND r.ended),
o AS (SELECT p.t, p.uuid, sum(p.memory) AS memory FROM process_samples p JOIN r USING (id, uuid)
      WHERE p.t BETWEEN r.started AND r.ended GROUP BY ALL)
SELECT 'GPU' || s.idx, epoch(s.t), s.utilisation, s.memory_used, o.memory, s.power, s.temperature, s.memory_total
FROM s LEFT JOIN o ON o.t = s.t AND o.uuid = s.uuid
QUALIFY row_number() OVER (PARTITION BY s.uuid, epoch(s.t)::BIGINT // s.wide ORDER BY s.memory_used DESC) = 1
ORDER BY s.idx, s.uuid, s.t
"""
_HOST = """
WITH r AS (SELECT started, coalesce(ended, now()::TIMESTAMP) AS ended FROM runs WHERE id = ?),
s AS (SELECT h.*, greatest(1, ceil(epoch(r.ended - r.started) / ?))::BIGINT AS wide
      FROM host_samples h JOIN r ON h.t BETWEEN r.started AND r.ended)
SELECT 'machine', epoch(t), cpu, memory_used, NULL, NULL, NULL, memory_total FROM s
QUALIFY row_number() OVER (PARTITION BY epoch(t)::BIGINT // wide ORDER BY memory_used DESC) = 1 ORDER BY t
"""


def watched(con: DuckDBPyConnection, run: str) -> list[Watched]:
    """Give the samples of each device of a run while it ran, by number, and of the machine last."""
    found: list[Watched] = []
    for query in (_DEVICES, _HOST):
        for name, t, *values, total in con.execute(query, [run, MOST]).fetchall():
            if not found or found[-1].name != name:
                found.append(Watched(name))
            one = found[-1]
            if one.t and t - one.t[-1] > max(HOLE, 3 * _step(one.t)):
                _add(one, one.t[-1] + 1, [None] * 5)
            _add(one, t, values)
            one.total = math.nan if total is None else float(total)
    return found


def _step(t: Sequence[float]) -> float:
    return (t[-1] - t[0]) / (len(t) - 1) if len(t) > 1 else 0.0


def _add(one: Watched, t: float, values: Sequence[float | None]) -> None:
    one.t.append(t)
    columns = (one.utilisation, one.memory, one.own, one.power, one.temperature)
    for column, value in zip(columns, values, strict=True):
        column.append(math.nan if value is None else float(value))


def saved(con: DuckDBPyConnection, run: str) -> list[Saved]:
    """Give the checkpoints of a run, the newest first."""
    return [Saved(*row) for row in con.execute(
        "SELECT c.step, epoch(c.t), coalesce(c.path, ''), c.bytes, c.val_pct_mae, "
        "coalesce(c.path = r.best_checkpoint, false) "
        "FROM checkpoints c JOIN runs r USING (run_id) WHERE r.id = ? ORDER BY c.step DESC, c.t DESC", [run],
    ).fetchall()]  # fmt: skip


def scored(con: DuckDBPyConnection, run: str, split: str = "val") -> list[Scored]:
    """Give the results of a run by symbol, the least skill first; what has none comes last."""
    parts = ", ".join(
        f"max(value) FILTER (metric = '{name}')" for name in ("pct_mae", "naive_pct_mae", "skill", "dir_acc", "crps")
    )
    rows = [Scored(*row) for row in con.execute(
        f"SELECT symbol, {parts}, max(windows) FROM evaluations JOIN runs USING (run_id) "
        "WHERE id = ? AND split = ? AND symbol <> '' GROUP BY symbol", [run, split],
    ).fetchall()]  # fmt: skip
    return sorted(rows, key=lambda one: (one.skill is None, one.skill or 0.0, one.symbol))
