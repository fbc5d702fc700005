"""Large amounts are written by a process of its own: what DuckDB and numpy take for them goes when it ends.

An engine that has read a million points itself goes on to hold 120 MB more. The process ends when the engine that
started it closes its end of a pipe, or is killed: it begins no transaction after that.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.errors import StoreError
from engine.workspace import Workspace

if TYPE_CHECKING:
    from engine.store import Report, Store

LARGE = 8 << 20
"""Bytes of run folders that are new; so much is written apart."""
LAUNCH = f"import sys; sys.path.insert(0, {str(Path(__file__).parent.parent)!r}); "
LAUNCH += "from engine.store_apart import main; raise SystemExit(main())"
REBUILD = "rebuild"


class Apart:
    """A process that brings the database up to date, or makes it anew."""

    def __init__(self, workspace: Workspace, *, rebuild: bool = False) -> None:
        """Raises StoreError if it can't be started."""
        self.name = workspace.database.name
        command = [sys.executable, "-c", LAUNCH, str(workspace.root), *([REBUILD] if rebuild else [])]
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
        except OSError as error:
            raise StoreError(f"{self.name} was not written: {error.strerror}.") from None

    def hurry(self) -> None:
        """Let it begin no further transaction; from any thread."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    def report(self) -> Report:
        """Wait for its end. Raises StoreError if it did not come to one of its own."""
        from engine.store import Report

        assert self.process.stdout is not None
        with self.process.stdout as out:
            told = out.read()
        code = self.process.wait()
        self.hurry()
        try:
            return msgspec.json.decode(told, type=Report)
        except msgspec.DecodeError:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
            raise StoreError(
                f"{self.name} was not written: the process that did it {how}. It is tried again."
            ) from None


def main() -> int:
    """Write, and tell the report on stdout."""
    from engine.store import Report, Store

    root, *how = sys.argv[1:]
    store = Store(Workspace(Path(root)))
    threading.Thread(target=_hurry_at_the_end_of_stdin, args=(store,), daemon=True).start()
    try:
        report = store.rebuild() if REBUILD in how else store.catch_up(everything=True)
    except StoreError as error:
        report = Report(error=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(report))
    return 0


def _hurry_at_the_end_of_stdin(store: Store) -> None:
    sys.stdin.buffer.read()
    store.hurry(0)
