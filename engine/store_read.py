"""Run folders into rows: one function for each file, and all of it inside the one transaction of `ingest`.

The same code catches up after a second and rebuilds from nothing: it reads each file from the offset the database
has for it. A file that is another one than was read, or shrank, makes its run be read anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.rundir import ADOPTED, EVENTS, LIFECYCLE, METRICS, ORDERS, SPEC
from engine.series import pieces
from engine.store_facts import OUTCOME_SQL, Facts, Line, read_event, read_lifecycle, read_order, read_spec
from engine.store_marks import Changed, Mark, Marks, Passed, Take, objects, tail_of
from engine.store_points import Points
from engine.store_rows import INTEGER, Rows, number, text, whole
from engine.store_samples import sampler
from engine.store_scan import CLOSED, HOST, LINES, SPLITS, Files, News, Sign
from engine.store_schema import OF_HOST, OF_RUN, STANDS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BUDGET = 64 << 20
"""Bytes read in one transaction, a megabyte more or less."""
UNCOMMITTED = 1 << 50
"""The rowid from which DuckDB 2 numbers the rows of an open transaction (its MAX_ROW_ID is 3.6e16)."""


class Vanished(Exception):
    """The folder is gone, or is no run any more."""


@dataclass
class Done:
    rows: int = 0
    bytes: int = 0
    passed: int = 0
    ended: set[str] = field(default_factory=set)
    """Runs that have ended."""


class Ingest:
    """One transaction's worth of reading. Takes what it has dealt with out of news.todo and news.gone."""

    def __init__(self, con: DuckDBPyConnection, runs: Path) -> None:
        self.con = con
        self.runs = runs
        self.budget = BUDGET
        self.rows = Rows(con)
        self.done = Done()
        self.marks = Marks(con, runs)
        self.facts = Facts()
        self.ids: dict[str, int] = {}
        self.next_run = 0
        self.points: Points

    def ingest(self, news: News) -> Done:
        """Read what is new, up to the budget, and write it; the caller commits."""
        con = self.con
        of, names = "", []
        if news.present is None:  # a few of ten thousand
            of, names = "WHERE id IN (SELECT unnest(?::VARCHAR[]))", [[*news.todo, *news.gone]]
        for name, run_id, ended, promoted in con.execute(
            f"SELECT id, run_id, ended IS NOT NULL, coalesce(promoted, false) FROM runs {of}", names
        ).fetchall():
            self.ids[name] = run_id
            self.facts.ended |= {run_id} if ended else set()
            self.facts.promoted |= {run_id} if promoted else set()
        # fetchall: after fetchone DuckDB 2.0 holds the result open and refuses what needs the connection next.
        self.next_run = con.execute("SELECT coalesce(max(run_id), 0) + 1 FROM runs").fetchall()[0][0]
        self.marks.begin()
        metric_ids = {name: metric_id for metric_id, name in con.execute("FROM metric_names").fetchall()}
        self.points = Points(con, metric_ids)
        try:
            for name in news.gone if news.present is None else (self.ids.keys() - news.present) | news.gone:
                self._forget_run(name)
            news.gone.clear()
            self.marks.load([self.ids[name] for name in news.todo if name in self.ids])
            for name in list(news.todo):
                if self.done.bytes >= self.budget:
                    break
                complete = self._host(news.todo[name]) if name == HOST else self._run(name, news.todo[name])
                if complete:
                    del news.todo[name]
            self._write()
            self._curves()
        finally:
            self.points.close()
        if self.facts.unsettled:
            con.execute(OUTCOME_SQL, [list(self.facts.unsettled)])
        self.done.rows = self.rows.written + self.points.written
        self.done.ended = {name for name, run_id in self.ids.items() if run_id in self.facts.ended}
        return self.done

    # -- files ---------------------------------------------------------------------------------------------------

    def _read(self, path: str, fd: int, run_id: int | None, take: Take) -> bool:
        """Hand on the new lines of a file; False when the budget ran out."""
        mark = self.marks.of(path, run_id, os.fstat(fd).st_ino)

        def passed(count: int) -> None:
            mark.passed += count
            self.done.passed += count

        for piece in pieces(fd, mark.size):
            passed(piece.passed)
            take(piece.data, passed)
            self.done.bytes += piece.end - mark.size
            mark.size = piece.end
            if self.rows.full:
                self.points.wait()
                self.rows.flush()
            if self.done.bytes >= self.budget:
                break
        mark.tail = tail_of(fd, mark.size)
        return mark.size >= os.fstat(fd).st_size or self.done.bytes < self.budget

    # -- runs ----------------------------------------------------------------------------------------------------

    def _run(self, name: str, files: Files) -> bool:
        """Read one run as far as the budget goes; tells whether that was all."""
        try:
            try:
                return self._read_run(name, files)
            except Changed:
                self._forget_run(name)
                return self._read_run(name, files)
        except (Changed, Vanished):
            self._forget_run(name)  # it changes under our hands: the next look shows what became of it
            return True

    def _read_run(self, name: str, files: Files) -> bool:
        with ExitStack() as stack:
            # All files are looked at before anything of the run is gathered: a run is read anew as a whole.
            opened = {file: self.marks.open(f"{name}/{file}", stack) for file in LINES}
            spec = files.get(SPEC)
            if self.marks.differs(f"{name}/{SPEC}", spec):
                raise Changed(SPEC)
            gone = [split for split in SPLITS if self._split_gone(name, split, files)]
            if name not in self.ids:
                self._begin(name, spec)
            run_id = self.ids[name]
            for split in gone:
                self._drop_split(name, run_id, split)
            complete = True
            for file, take in self._takers(run_id).items():
                if (fd := opened[file]) is not None:
                    complete = self._read(f"{name}/{file}", fd, run_id, take) and complete
        for split in SPLITS:
            signed = files.get(f"evaluation/{split}.json")
            if signed and (split not in CLOSED or run_id in self.facts.promoted):
                self._evaluation(name, run_id, split, signed)
        return complete

    def _takers(self, run_id: int) -> dict[str, Take]:
        def lines(read: Callable[[Rows, Facts, int, Line], None]) -> Take:
            def take(data: bytes, passed: Passed) -> None:
                found, count = objects(data)
                for line in found:
                    read(self.rows, self.facts, run_id, line)
                passed(count)

            return take

        return {
            LIFECYCLE: lines(read_lifecycle),
            ORDERS: lines(read_order),
            EVENTS: lines(read_event),
            METRICS: lambda data, passed: self.points.take(run_id, data, passed),
            ADOPTED: lambda data, passed: self._adopted(run_id, data, passed),
        }

    def _adopted(self, run_id: int, data: bytes, passed: Passed) -> None:
        """Numbers and a few events of a foreign program; where the engine found each is nobody else's matter."""
        found, count = objects(data)
        rows = bytearray()
        for line in found:
            line.pop("from", None)
            if "event" not in line:
                rows += msgspec.json.encode(line) + b"\n"
            elif line["event"] not in ("adopt", "adopted"):
                read_event(self.rows, self.facts, run_id, line)
        passed(count)
        if rows:
            self.points.take(run_id, bytes(rows), passed)

    def _begin(self, name: str, spec: Sign | None) -> None:
        """Write the row of a run from its spec. Raises Vanished when there is none that can be read."""
        found = self.marks.whole(f"{name}/{SPEC}")
        if spec is None or found is None:
            raise Vanished(name)
        run_id, self.next_run = self.next_run, self.next_run + 1
        self.ids[name] = run_id
        read_spec(self.rows, self.facts, run_id, name, found)
        self._took_whole(f"{name}/{SPEC}", run_id, spec)

    def _forget_run(self, name: str) -> None:
        """Delete everything of a run that was written or gathered."""
        run_id = self.ids.pop(name, None)
        if run_id is not None:
            self._write()
            for table in OF_RUN:
                self.con.execute(f'DELETE FROM "{table}" WHERE run_id = ?', [run_id])
            self.facts.forget(run_id)
        for path in self.marks.below(name):
            self.marks.drop(path)

    # -- files that are written as a whole -----------------------------------------------------------------------

    def _took_whole(self, path: str, run_id: int, signed: Sign) -> Mark:
        mark = self.marks.of(path, run_id, signed[0])
        mark.inode, mark.size, mark.mtime = signed
        self.done.bytes += signed[1]
        return mark

    def _split_gone(self, name: str, split: str, files: Files) -> bool:
        path = f"evaluation/{split}.json"
        return f"{name}/{path}" in self.marks.known and path not in files

    def _drop_split(self, name: str, run_id: int, split: str) -> None:
        self._write()
        self.con.execute("DELETE FROM evaluations WHERE run_id = ? AND split = ?", [run_id, split])
        self.con.execute("DELETE FROM files WHERE path = ?", [f"{name}/evaluation/{split}.json"])
        self.marks.drop(f"{name}/evaluation/{split}.json")

    def _evaluation(self, name: str, run_id: int, split: str, signed: Sign) -> None:
        path = f"{name}/evaluation/{split}.json"
        if path in self.marks.known:
            if not self.marks.differs(path, signed):
                return
            self._drop_split(name, run_id, split)
        found = self.marks.whole(path)
        mark = self._took_whole(path, run_id, signed)
        if found is None or not isinstance(found.get("metrics"), dict):
            mark.passed += 1
            self.done.passed += 1
            return
        step, horizon = whole(found.get("step")), whole(found.get("horizon"), INTEGER)
        parts = {"": found["metrics"]}
        if isinstance(symbols := found.get("symbols"), dict):
            parts |= {symbol: metrics for symbol, metrics in symbols.items() if symbol and isinstance(metrics, dict)}
        for symbol, metrics in parts.items():
            windows = whole((found if symbol == "" else metrics).get("windows"))
            for metric, value in metrics.items():
                if metric == "windows" or not (value is None or number(value) is not None):
                    continue
                short = text(metric.removeprefix(f"{split}_"))
                self.rows.add("evaluations", run_id, split, text(symbol), short, number(value), step, horizon, windows)

    # -- samples -------------------------------------------------------------------------------------------------

    def _host(self, files: Files) -> bool:
        complete = True
        for path in self.marks.below(HOST):
            if path.removeprefix(f"{HOST}/") not in files:
                self._forget_samples(path)
        for file in files:
            path = f"{HOST}/{file}"
            with ExitStack() as stack:
                try:
                    fd = self.marks.open(path, stack)
                except Changed:
                    self._forget_samples(path)
                    fd = self.marks.open(path, stack)
                if fd is not None:
                    source = self.marks.of(path, None, os.fstat(fd).st_ino).file_id
                    complete = self._read(path, fd, None, sampler(self.rows, source)) and complete
        return complete

    def _forget_samples(self, path: str) -> None:
        self._write()
        mark = self.marks.known[path]
        self.marks.drop(path)
        for table in OF_HOST:
            self.con.execute(f'DELETE FROM "{table}" WHERE source = ?', [mark.file_id])
        self.con.execute("DELETE FROM files WHERE file_id = ?", [mark.file_id])

    # -- writing -------------------------------------------------------------------------------------------------

    def _curves(self) -> None:
        """Bring `curves` up to the points this transaction has added."""
        if not self.points.written:
            return
        con = self.con
        # One look at what was added, however it came. Rows that are not committed yet have the highest numbers.
        con.execute(f"CREATE OR REPLACE TEMP TABLE fresh AS {STANDS.format(where=f'WHERE rowid >= {UNCOMMITTED}')}")
        con.execute(
            "UPDATE curves SET points = curves.points + f.points, step = greatest(curves.step, f.step), "
            "value = CASE WHEN f.step > curves.step THEN f.value ELSE curves.value END, "
            "least = least(curves.least, f.least), most = greatest(curves.most, f.most), t = greatest(curves.t, f.t) "
            "FROM fresh f WHERE f.run_id = curves.run_id AND f.metric_id = curves.metric_id"
        )
        con.execute("INSERT INTO curves SELECT f.* FROM fresh f ANTI JOIN curves USING (run_id, metric_id)")
        con.execute("DROP TABLE fresh")

    def _write(self) -> None:
        """Put everything gathered into the tables, and the offsets with it."""
        self.points.flush()
        for metric_id, name in self.points.fresh:
            self.rows.add("metric_names", metric_id, name)
        self.points.fresh.clear()
        self.marks.write(self.rows)
        self.rows.flush()
        self.facts.write(self.rows)
