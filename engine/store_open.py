"""Opening runs.duckdb for a moment, and saying in one line who holds it or what is wrong with it.

DuckDB lets one process write or many read, so being refused is a normal state (`Held`), not an error.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import NothingToShow, StoreError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, Error

# duckdb is imported where it is used: 0.1 s that most commands do not need.

PATIENCE = 3.0
"""Seconds a reader waits for the engine, whose bursts take a few hundredths of one."""
REBUILD = "`engine db rebuild` makes it anew from the run folders."
_DAMAGED = (
    "not a valid duckdb", "corrupt", "checksum", "version number", "serialization", "internal error", "fatal error",
    "deserialize", "failed to load", "newer version", "unexpected end of", "could not read enough bytes", "wal file",
)  # fmt: skip


class Held(Exception):
    """Another process has the database open; the text says who."""


def writer(folder: Path) -> DuckDBPyConnection:
    """A DuckDB that holds no file. Attaching runs.duckdb to it takes a fifth of what opening the file afresh does."""
    import duckdb

    con = duckdb.connect(
        ":memory:",
        config={
            "threads": min(2, os.cpu_count() or 1),
            "memory_limit": "2GB",
            "temp_directory": str(folder / ".duckdb.tmp"),
            "autoinstall_known_extensions": False,
        },
    )
    con.execute("SET enable_progress_bar = false")  # it is drawn into the terminal, or the pipe, of whoever asks
    return con


@contextmanager
def attached(con: DuckDBPyConnection, path: Path) -> Iterator[None]:
    """Hold the database for writing inside the block; created if it is not there.

    What is not committed when the block ends is rolled back. Raises Held, or StoreError with its one line.
    """
    import duckdb

    try:
        con.execute(f"ATTACH '{_quoted(path)}' AS runs")
    except duckdb.Error as error:
        raise trouble(path, error) from None
    try:
        con.execute("USE runs")
        yield
    except duckdb.Error as error:
        raise trouble(path, error) from None
    finally:
        try:
            _leave(con)
        except duckdb.Error as error:
            raise trouble(path, error) from None


def _leave(con: DuckDBPyConnection) -> None:
    import duckdb

    try:
        con.execute("ROLLBACK")
    except duckdb.TransactionException:  # nothing was open
        pass
    con.execute("USE memory")
    con.execute("DETACH runs")


@contextmanager
def reading(path: Path, patience: float = PATIENCE, *, apart: bool = False) -> Iterator[DuckDBPyConnection]:
    """Give a read-only connection; closed when the block ends.

    apart: in an instance of its own. All other connections of a process to one file share one, with its settings: what
    one of them forbids or locks, holds for the others too.
    Raises NothingToShow when there is no database yet, StoreError when it is damaged (also inside the block) or
    somebody else goes on writing for `patience` seconds.
    """
    import duckdb

    con = _opened(path, patience, _attached if apart else _read_only)
    try:
        yield con
    except duckdb.Error as error:  # damage is often met only where a table is read
        if isinstance(reason := trouble(path, error), StoreError) and REBUILD in str(reason):
            raise reason from None
        raise
    finally:
        con.close()


@contextmanager
def writing(path: Path, patience: float) -> Iterator[DuckDBPyConnection]:
    """Give a connection that may write, for who asked to; raises what reading() does, but for the damage inside."""
    con = _opened(path, patience, _writable)
    try:
        yield con
    finally:
        con.close()


def _opened(path: Path, patience: float, connect: Callable[[Path], DuckDBPyConnection]) -> DuckDBPyConnection:
    """Connect as soon as nobody else holds the file."""
    import duckdb

    give_up = time.monotonic() + patience
    while True:
        if not path.exists():
            raise NothingToShow(f"There is no {path.name} yet. It comes with the first run: `engine run`.")
        try:
            return connect(path)
        except duckdb.Error as error:
            reason = trouble(path, error)
            if not isinstance(reason, Held):
                raise reason from None
            if time.monotonic() >= give_up:
                raise StoreError(f"{path.name} is held by {reason}. Close it there, or try again.") from None
            time.sleep(0.02)


def _read_only(path: Path) -> DuckDBPyConnection:
    import duckdb

    return duckdb.connect(str(path), read_only=True)


def _writable(path: Path) -> DuckDBPyConnection:
    import duckdb

    return duckdb.connect(str(path))


def _attached(path: Path) -> DuckDBPyConnection:
    import duckdb

    con = duckdb.connect(":memory:")
    try:
        file, name = str(path).replace("'", "''"), path.stem.replace('"', '""')
        con.execute(f'ATTACH \'{file}\' AS "{name}" (READ_ONLY); USE "{name}"')
    except BaseException:
        con.close()
        raise
    return con


def trouble(path: Path, error: Error) -> Held | StoreError:
    """Turn what DuckDB said into who holds the file, or one line that says what to do."""
    words = str(error).strip().split("\n")[0]
    low = words.lower()
    if ("lock" in low and "conflicting" in low) or "could not set lock" in low:
        pid = re.search(r"PID (\d+)", words)
        return Held(who(int(pid.group(1))) if pid else holder(path))
    if "different configuration" in low or "already attached" in low or "file handle conflict" in low:
        return Held(who(os.getpid()))
    if "no space left" in low:
        return StoreError(f"{path.name} was not written: the disk is full. Nothing is lost; free some space.")
    if "permission denied" in low or "read-only file system" in low:
        return StoreError(f"{path} can't be opened: permission denied. Make it and its folder writable.")
    if any(word in low for word in _DAMAGED):
        return StoreError(f"{path.name} can't be read ({words[:160]}). {REBUILD}")
    return StoreError(f"{path.name}: {words[:240]}")


def who(pid: int) -> str:
    """Name a process: program, pid and user."""
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return f"{process.name()} (pid {pid}, user {process.username()})"
    except psutil.Error:
        return f"pid {pid}"


def holder(path: Path) -> str:
    """Name the processes that hold a lock on the file, from /proc/locks; "another process" where that can't be told."""
    return ", ".join(who(pid) for pid, _ in locks(path)) or "another process"


def locks(path: Path) -> list[tuple[int, str]]:
    """Give pid and READ or WRITE of each POSIX lock on the file; empty where there is no /proc/locks."""
    try:
        inode = path.stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        words = line.split()
        if len(words) >= 6 and words[1] == "POSIX" and words[5].rpartition(":")[2] == str(inode) and words[4] != "-1":
            found.append((int(words[4]), words[3]))
    return list(dict.fromkeys(found))


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
