"""Points on their way into `metrics`: what is large and plain by DuckDB's JSON reader, all else by Python and numpy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING, Any

from engine.series import NAME_LIMIT, Row, parse
from engine.store_bulk import AXES, COLUMNS, WORTHWHILE, Plain, write
from engine.store_rows import LATEST, text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

AT_ONCE = 300_000
"""Points that are gathered before they are written: 12 MB."""
BULK_AT_ONCE = 32 << 20
"""Bytes of plain lines that are gathered, in files of memory."""
SMALLINT = (1 << 15) - 1
Gathered = tuple[int, Plain, Callable[[int], None]]
"""Run, lines, and who is told of lines passed over."""


class Points:
    """Gathers rows of metrics.jsonl; `flush` writes what is left."""

    def __init__(self, con: DuckDBPyConnection, metric_ids: dict[str, int]) -> None:
        self.con = con
        self.ids = metric_ids
        self.fresh: list[tuple[int, str]] = []
        """Metrics that metric_names does not hold yet."""
        self.written = 0
        self._blocks: list[tuple[Any, ...]] = []
        self._count = 0
        self._plain: list[Gathered] = []
        self._bytes = 0
        self._pool: ThreadPoolExecutor | None = None
        self._writing: tuple[list[Gathered], Future[int | None]] | None = None

    def take(self, run_id: int, data: bytes, passed: Callable[[int], None]) -> None:
        """Take finished lines of a run. passed: called with the number of lines passed over, now or at the flush."""
        plain = Plain.of(data) if len(data) >= WORTHWHILE else None
        if plain is None:
            rows, count = parse(data)
            self._add(run_id, rows)
            passed(count)
        else:
            self._plain.append((run_id, plain, passed))
            self._bytes += len(data)
            names = frozenset().union(*(piece.names for _, piece, _ in self._plain))
            if self._bytes >= BULK_AT_ONCE or len(names) > COLUMNS:
                self._start_plain()

    def _add(self, run_id: int, rows: list[Row]) -> None:
        import numpy as np

        groups: defaultdict[tuple[str, ...], list[Iterable[float | None]]] = defaultdict(list)
        for row in rows:
            groups[tuple(row)].append(row.values())
        for keys, lines in groups.items():
            try:
                flat: Any = chain.from_iterable(lines)
                table = np.fromiter(flat, np.float64, len(keys) * len(lines)).reshape(len(lines), len(keys)).T
            except TypeError:  # a None somewhere, which becomes NaN here
                table = np.array([list(line) for line in lines], dtype=np.float64).T
            values = dict(zip(keys, table, strict=True))
            step = values.pop("step").astype(np.int64)
            blank = np.full(len(step), np.nan)
            t, epoch = values.pop("t", blank), values.pop("epoch", blank)
            t = np.where((t >= 0) & (t < LATEST), t, -1)
            known = [(found, column) for name, column in values.items() if (found := self._id(name)) is not None]
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
            self._flush_blocks()

    def _id(self, name: str) -> int | None:
        found = self.ids.get(name)
        if found is None and len(name) <= NAME_LIMIT and len(self.ids) < SMALLINT:
            found = self.ids[name] = len(self.ids) + 1
            self.fresh.append((found, text(name) or ""))
        return found

    def flush(self) -> None:
        self._start_plain()
        self.wait()
        self._flush_blocks()

    def close(self) -> None:
        """Let go of the thread and of the files of memory, whatever they hold."""
        if self._pool is not None:
            self._pool.shutdown()
        if self._writing is not None:
            self._plain += self._writing[0]
        for _, piece, _ in self._plain:
            piece.close()
        self._plain = []

    def _start_plain(self) -> None:
        """Hand what is gathered to a thread: DuckDB reads and writes it while Python looks at the next."""
        self.wait()
        gathered, self._plain, self._bytes = self._plain, [], 0
        if not gathered:
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="store")
        pieces, runs = [piece for _, piece, _ in gathered], [run_id for run_id, _, _ in gathered]
        # Metrics get their numbers here: the thread shares nothing with this one but the connection.
        ids = {
            name: self._id(name) for name in sorted(frozenset().union(*(piece.names for piece in pieces)) - set(AXES))
        }
        self._writing = gathered, self._pool.submit(write, self.con, pieces, runs, ids, LATEST)

    def wait(self) -> None:
        """Until the thread is done; the connection is its own until then."""
        if self._writing is None:
            return
        (gathered, writing), self._writing = self._writing, None
        try:
            rows = writing.result()
            self.written += rows or 0
            for run_id, piece, passed in gathered:
                if rows is None:
                    found, count = parse(piece.data())
                    self._add(run_id, found)
                    passed(count)
        finally:
            for _, piece, _ in gathered:
                piece.close()

    def _flush_blocks(self) -> None:
        self.wait()
        if not self._blocks:
            return
        import numpy as np

        blocks, self._blocks, self._count = self._blocks, [], 0
        names = ("run_id", "metric_id", "step", "epoch", "t", "value")
        columns = blocks[0] if len(blocks) == 1 else [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
        self.con.register("points", dict(zip(names, columns, strict=True)))
        try:
            self.con.execute(
                "INSERT INTO metrics SELECT run_id, metric_id, step, "
                "CASE WHEN isfinite(epoch) THEN TRY_CAST(epoch AS FLOAT) END, "
                "CASE WHEN t >= 0 THEN make_timestamp((t * 1e6)::BIGINT) END, "
                "CASE WHEN isfinite(value) THEN value END FROM points"
            )
        finally:
            self.con.unregister("points")
        self.written += len(columns[0])
