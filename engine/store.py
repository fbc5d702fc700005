"""runs.duckdb: a reading of the run folders that any DuckDB client can open, brought up to date in short bursts.

Nothing is decided from it, and it can be deleted: `rebuild` and `catch_up` are one function, from nothing or from the
offsets the database holds. Each burst is one transaction that holds rows and offsets, so a kill loses nothing.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import stat
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine import store_own
from engine.errors import StoreError
from engine.store_open import REBUILD, Held, attached, locks, reading, who, writer
from engine.store_read import Ingest
from engine.store_scan import News, Scan
from engine.store_schema import VERSION, migrate, version
from engine.workspace import Workspace

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger("engine")

__all__ = ["Report", "Store", "reading"]


@dataclass(frozen=True)
class Report:
    """What a burst did. An error or a holder means that nothing was written, and that nothing is lost."""

    rows: int = 0
    bytes: int = 0
    """Read from run folders."""
    backlog: int = 0
    """Bytes of run folders that are not in the database yet."""
    holder: str = ""
    """Who has the database open, when somebody has."""
    error: str = ""
    """One line that says what is wrong and what to do."""
    seconds: float = 0.0
    held: float = 0.0
    """Seconds that the file was open, at once, at most."""
    passed: int = 0
    """Lines passed over: torn, foreign, too long or of the wrong type."""
    cpu: float = 0.0
    """Seconds of processor it took, where another process did it."""

    def check(self) -> Report:
        """Give the report itself. Raises StoreError when the database could not be written."""
        if self.error:
            raise StoreError(self.error)
        if self.holder:
            raise StoreError(f"runs.duckdb is held by {self.holder}: {self.backlog} bytes behind. Close it there.")
        return self


class Store:
    """Writes runs.duckdb of one workspace; its methods may be called from any thread, one at a time takes effect."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.path = workspace.database
        self._scan = Scan(workspace.runs)
        self._seen: tuple[int, int] | None = None
        self._views: tuple[tuple[str, int, int], ...] | None = None
        """How the files of people's own views were when they were put in."""
        self._mutex = threading.Lock()
        self._con: DuckDBPyConnection | None = None
        self._until = math.inf

    def catch_up(self, changed: Collection[str] | None = None, *, everything: bool = False) -> Report:
        """Write what is new in the run folders; opens the database only when there is something.

        changed: the runs that may have news, where that is known; others are looked at now and then only.
        everything: look at all files of all runs at once.
        Never raises for the state of the file: a database that is damaged, newer than this program, read-only
        or full is told in `error`, one that somebody holds in `holder`.
        """
        with self._mutex:
            begun = time.monotonic()
            if self._inode() != self._seen:
                self._scan.forget()  # the database is another one, or not there
            trouble: Held | StoreError | None = None
            try:
                if self._scan.blank:
                    self._assume()
            except (Held, StoreError) as error:
                trouble = error
            try:
                news = self._scan.news(changed, everything=everything)
            except FileNotFoundError:
                return Report()
            except OSError as error:
                return Report(error=f"{self.workspace.runs} can't be read: {error.strerror}.")
            if not news and self._seen is not None and store_own.signature(self.workspace) == self._views:
                return Report()
            try:
                if trouble is not None:
                    raise trouble
                if not self.path.exists():
                    return self._anew(news, begun)
                return self._burst(news, self.path, begun)
            except Held as held:
                return Report(backlog=news.backlog, holder=str(held), seconds=time.monotonic() - begun)
            except StoreError as error:
                return Report(backlog=news.backlog, error=str(error), seconds=time.monotonic() - begun)

    def _assume(self) -> None:
        """Ask the database what it holds, where it can be asked: else every file of every run would be opened."""
        if not self.path.exists():
            return
        with attached(self._duck(), self.path):
            con = self._duck()
            if version(con) != VERSION:
                return
            con.execute(
                "SELECT split_part(path, '/', 1), list(path ORDER BY path), list(inode ORDER BY path), "
                "list(size ORDER BY path), list(f.mtime ORDER BY path), bool_or(ended IS NOT NULL), bool_or(promoted) "
                "FROM files f LEFT JOIN runs USING (run_id) GROUP BY 1"
            )
            folders = 0
            while rows := con.fetchmany(500):  # all at once, they would take more memory than the engine has else
                folders += len(rows)
                for name, paths, *signs, ended, promoted in rows:
                    signed = zip(*signs, strict=True)
                    files = {path.partition("/")[2]: sign for path, sign in zip(paths, signed, strict=True)}
                    self._scan.assume(name, files, ended=bool(ended), promoted=bool(promoted))
        if folders >= 500:
            self._close()  # what it took for that is not needed again; another DuckDB takes 0.04 s

    def rebuild(self) -> Report:
        """Make the database anew beside the old one, then put it in its place. Raises StoreError.

        Whoever reads the old one goes on reading it. Tables that somebody added to it are not in the new one.
        """
        with self._mutex:
            begun = time.monotonic()
            writers = [pid for pid, mode in locks(self.path) if mode == "WRITE"]
            if writers:
                raise StoreError(f"{self.path.name} is held for writing by {who(writers[0])}. Close it there first.")
            self._scan.forget()
            try:
                return self._anew(self._scan.news(), begun)
            except Held as held:
                raise StoreError(f"Another rebuild is under way: {held}.") from None
            except OSError as error:
                raise StoreError(f"{self.path.name} can't be made anew: {error.strerror}: {error.filename}.") from None

    def hurry(self, seconds: float) -> None:
        """Begin no transaction later than in so many seconds; what is left then is for the next engine to write."""
        self._until = time.monotonic() + seconds

    def close(self) -> None:
        """Let go of DuckDB; the next burst starts it again."""
        with self._mutex:
            self._close()

    def _close(self) -> None:
        if self._con is not None:
            self._con.close()
            self._con = None

    def _duck(self) -> DuckDBPyConnection:
        if self._con is None:
            self._con = writer(self.workspace.root)
        return self._con

    def _inode(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _anew(self, news: News, begun: float) -> Report:
        """Fill a new file, then rename it: a kill on the way leaves the old database, or none."""
        beside = self.path.with_name(self.path.name + ".new")
        mode = 0o600
        if any(mode == "WRITE" for _, mode in locks(beside)):
            raise Held(", ".join(who(pid) for pid, _ in locks(beside)))
        for name in (beside, _log(beside)):
            name.unlink(missing_ok=True)
        try:
            report = self._burst(news, beside, begun)
            # What the old log holds is in the folders too; a log beside a new database would be taken for its own.
            _log(self.path).unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                mode = stat.S_IMODE(self.path.stat().st_mode)  # whom somebody let read it still may
            os.chmod(beside, mode)
            os.rename(beside, self.path)
        except BaseException:
            self._scan.forget()
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
        self._seen = self._inode()
        return report

    def _burst(self, news: News, path: Path, begun: float) -> Report:
        """Write all news, in as many transactions as it takes; between two of them the file is let go."""
        rows = read = passed = 0
        held = 0.0
        signs = dict(news.todo)
        while True:
            opened = time.monotonic()
            todo = set(news.todo)
            dropped = set(news.gone)
            ingest = None
            with attached(self._duck(), path):
                con = self._duck()
                have = self._version(con, path)
                con.execute("BEGIN")
                if have < VERSION:
                    migrate(con, have)
                ingest = Ingest(con, self.workspace.runs)
                done = ingest.ingest(news)
                con.execute("COMMIT")
                self._put_views(con, path)
            held = max(held, time.monotonic() - opened)
            rows, read, passed = rows + done.rows, read + done.bytes, passed + done.passed
            for name in todo - news.todo.keys():
                self._scan.written(name, signs[name], ended=name in done.ended)
            for name in dropped:
                self._scan.dropped(name)
            if not news or time.monotonic() >= self._until:
                break
        if path == self.path:
            self._seen = self._inode()
        return Report(rows, read, seconds=time.monotonic() - begun, held=held, passed=passed)

    def _put_views(self, con: DuckDBPyConnection, path: Path) -> None:
        """Put people's own views in where they or the database are others than at the last time."""
        found = store_own.signature(self.workspace)
        if found == self._views and path == self.path and self._seen == self._inode():
            return
        for problem in store_own.put(con, self.workspace):
            log.warning("%s", problem)
        self._views = found

    def _version(self, con: DuckDBPyConnection, path: Path) -> int:
        """Give the version of the tables. Raises StoreError for what is not ours, or newer."""
        have = version(con)
        if have is None:
            raise StoreError(
                f"{path.name} is a DuckDB database but not an engine's. Move it away, or {REBUILD.removesuffix('.')}."
            )
        if have > VERSION:
            raise StoreError(
                f"{path.name} was written by a newer engine (version {have}, this one knows {VERSION}). "
                f"Upgrade, or {REBUILD.removesuffix('.')} for this one."
            )
        return have


def _log(path: Path) -> Path:
    return path.with_name(path.name + ".wal")
