"""Rows on their way into the database, written by the column: a row at a time costs DuckDB half a millisecond."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING, Any

from engine.series import NAME_LIMIT, Row
from engine.store_schema import TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

AT_ONCE = 300_000
"""Points that are gathered before they are written: 12 MB."""
SMALLINT = (1 << 15) - 1
INTEGER = (1 << 31) - 1
BIGINT = (1 << 63) - 1
LATEST = 4102444800.0
"""2100; a later time is none of ours."""

# -- values that can't upset a column ---------------------------------------------------------------------------------


def number(value: object) -> float | None:
    """A finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def whole(value: object, most: int = BIGINT) -> int | None:
    """A whole number within ± most, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if value == int(value) and abs(int(value)) <= most else None


def moment(value: object) -> int | None:
    """Microseconds of a time in unix seconds, None for what is none (or not between 1970 and 2100)."""
    seconds = number(value)
    return int(seconds * 1e6) if seconds is not None and 0 <= seconds < LATEST else None


def text(value: object, most: int = 4000) -> str | None:
    """A string that DuckDB takes, cut to `most` characters; None for anything else."""
    return value[:most].encode("utf-8", "replace").decode() if isinstance(value, str) else None


def texts(value: object) -> list[str] | None:
    return [text(item) or "" for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else None


def flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


# -- small tables -----------------------------------------------------------------------------------------------------


def columns_sql(table: str, names: Iterable[str] | None = None) -> tuple[str, str]:
    """Give the column names, and the expressions that make rows of one list parameter for each."""
    columns = TABLES[table][1]
    wanted = list(columns if names is None else names)
    parts = []
    for i, name in enumerate(wanted, 1):
        kind = columns[name][0].removesuffix(" PRIMARY KEY")
        if kind == "TIMESTAMP":
            parts.append(f'make_timestamp(unnest(${i}::BIGINT[])) AS "{name}"')
        else:
            parts.append(f'unnest(${i}::{kind}[]) AS "{name}"')
    return ", ".join(f'"{name}"' for name in wanted), ", ".join(parts)


class Rows:
    """Gathers rows of all tables but metrics; values in the order of the schema."""

    def __init__(self, con: DuckDBPyConnection) -> None:
        self.con = con
        self.written = 0
        self._rows: defaultdict[str, list[tuple[object, ...]]] = defaultdict(list)
        self._count = 0

    def add(self, table: str, *values: object) -> None:
        self._rows[table].append(values)
        self._count += 1

    @property
    def full(self) -> bool:
        return self._count > 50_000

    def flush(self) -> None:
        for table, rows in self._rows.items():
            names, parts = columns_sql(table)
            self.con.execute(
                f'INSERT INTO "{table}" ({names}) SELECT {parts}', [list(c) for c in zip(*rows, strict=True)]
            )
            if table != "files":
                self.written += len(rows)
        self._rows.clear()
        self._count = 0

    def update_runs(self, facts: Mapping[int, Mapping[str, object]]) -> None:
        """Set the columns given of each run; the others stay as they are."""
        names = sorted({name for fact in facts.values() for name in fact})
        if not names:
            return
        _, parts = columns_sql("runs", ["run_id", *names])
        sets = ", ".join(f'"{name}" = coalesce(b."{name}", runs."{name}")' for name in names)
        values = [list(facts), *([fact.get(name) for fact in facts.values()] for name in names)]
        self.con.execute(f"UPDATE runs SET {sets} FROM (SELECT {parts}) b WHERE b.run_id = runs.run_id", values)


# -- metrics ----------------------------------------------------------------------------------------------------------


class Points:
    """Gathers rows of metrics.jsonl as columns. Full ones are written by a thread while the next are parsed."""

    def __init__(self, con: DuckDBPyConnection, metric_ids: dict[str, int]) -> None:
        self.con = con
        self.ids = metric_ids
        self.fresh: list[tuple[int, str]] = []
        """Metrics that metric_names does not hold yet."""
        self.written = 0
        self._blocks: list[tuple[Any, ...]] = []
        self._count = 0
        self._pool: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None

    def add(self, run_id: int, rows: list[Row]) -> None:
        """Take the rows of one piece; within it the points of a metric come together, as queries want them."""
        import numpy as np

        groups: defaultdict[tuple[str, ...], list[Iterable[float | None]]] = defaultdict(list)
        for row in rows:
            groups[tuple(row)].append(row.values())
        for keys, lines in groups.items():
            try:
                flat = np.fromiter(chain.from_iterable(lines), np.float64, len(keys) * len(lines))
                table = flat.reshape(len(lines), len(keys)).T
            except TypeError:  # a None somewhere, which becomes NaN here
                table = np.array([list(line) for line in lines], dtype=np.float64).T
            values = dict(zip(keys, table, strict=True))
            step = values.pop("step").astype(np.int64)
            blank = np.full(len(step), np.nan)
            t, epoch = values.pop("t", blank), values.pop("epoch", blank)
            t = np.where((t >= 0) & (t < LATEST), t * 1e6, -1).astype(np.int64)
            with np.errstate(over="ignore"):
                epoch = epoch.astype(np.float32)
            known = [
                (metric_id, column) for name, column in values.items() if (metric_id := self._id(name)) is not None
            ]
            if known:
                count = len(known)
                self._blocks.append((
                    np.full(len(step) * count, run_id, np.int32),
                    np.repeat(np.array([metric_id for metric_id, _ in known], np.int16), len(step)),
                    np.tile(step, count),
                    np.tile(epoch, count),
                    np.tile(t, count),
                    np.concatenate([column for _, column in known]),
                ))  # fmt: skip
                self._count += len(step) * count
        if self._count >= AT_ONCE:
            self._start()

    def _id(self, name: str) -> int | None:
        found = self.ids.get(name)
        if found is None and len(name) <= NAME_LIMIT and len(self.ids) < SMALLINT:
            found = self.ids[name] = len(self.ids) + 1
            self.fresh.append((found, text(name) or ""))
        return found

    def _start(self) -> None:
        self.wait()
        blocks, self._blocks, self._count = self._blocks, [], 0
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._pending = self._pool.submit(self._write, blocks)

    def wait(self) -> None:
        """Until the thread has written what it has; nobody else may use the connection before."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()

    def flush(self) -> None:
        self.wait()
        if self._blocks:
            blocks, self._blocks, self._count = self._blocks, [], 0
            self._write(blocks)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _write(self, blocks: list[tuple[Any, ...]]) -> None:
        import numpy as np

        names = ("run_id", "metric_id", "step", "epoch", "t", "value")
        columns = blocks[0] if len(blocks) == 1 else [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
        self.con.register("points", dict(zip(names, columns, strict=True)))
        try:
            self.con.execute(
                "INSERT INTO metrics SELECT run_id, metric_id, step, nullif(epoch, 'nan'::FLOAT), "
                "CASE WHEN t >= 0 THEN make_timestamp(t) END, "
                "CASE WHEN isfinite(value) THEN value END FROM points"
            )
        finally:
            self.con.unregister("points")
        self.written += len(columns[0])
