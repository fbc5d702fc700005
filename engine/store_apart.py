"""The database is written by a process of its own, which the engine starts when there is news and lets go when not.

DuckDB and numpy take 80 MB of an engine that needs as much for ten thousand runs, hold its event loop up while they
work, and could take it down with them. The process ends after a minute without news, after large amounts (what they
took is free again then), and when the engine that started it is gone.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.errors import StoreError
from engine.workspace import Workspace

if TYPE_CHECKING:
    from engine.store import Report, Store

IDLE = 60.0
"""Seconds without news after which the process ends."""
LARGE = 8 << 20
"""Bytes read in one burst after which it ends as well."""
LAUNCH = f"import sys; sys.path.insert(0, {str(Path(__file__).parent.parent)!r}); "
LAUNCH += "from engine.store_apart import main; raise SystemExit(main())"


class CatchUp(msgspec.Struct, frozen=True, tag="catch_up"):
    changed: tuple[str, ...] | None = None
    everything: bool = False


class Rebuild(msgspec.Struct, frozen=True, tag="rebuild"):
    pass


class Hurry(msgspec.Struct, frozen=True, tag="hurry"):
    seconds: float


Wish = CatchUp | Rebuild | Hurry


class StoreApart:
    """What engine.store.Store is to this process, with the work done in another one."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.process: subprocess.Popen[bytes] | None = None
        self._mutex = threading.Lock()
        self._until: float | None = None

    def catch_up(self, changed: Collection[str] | None = None, *, everything: bool = False) -> Report:
        """Write what is new, as Store.catch_up. Raises StoreError if the process died of it."""
        return self._ask(CatchUp(None if changed is None else tuple(changed), everything))

    def rebuild(self) -> Report:
        """Make the database anew. Raises StoreError."""
        return self._ask(Rebuild()).check()

    def hurry(self, seconds: float) -> None:
        """Let no transaction begin later than in so many seconds; from any thread, also while one is under way."""
        self._until = time.monotonic() + seconds
        if (process := self.process) is not None:
            self._hurry(process)

    def close(self) -> None:
        """Let the process end."""
        with self._mutex:
            self._let_go()

    def _ask(self, wish: Wish) -> Report:
        from engine.store import Report

        with self._mutex:
            for last in (False, True):
                process = self._running()
                told = _exchange(process, wish)
                if told.endswith(b"\n"):
                    report = msgspec.json.decode(told, type=Report)
                    if report.bytes >= LARGE:
                        self._let_go()
                    return report
                code = process.wait()
                self._let_go()
                if code or last:  # it had not just ended for want of news
                    how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
                    name = self.workspace.database.name
                    raise StoreError(f"{name} was not written: the process for that {how}. It is tried again.")
        raise AssertionError("unreachable")

    def _running(self) -> subprocess.Popen[bytes]:
        """Give the process; a new one if there is none. Raises StoreError if it can't be started."""
        if self.process is not None and self.process.poll() is None:
            return self.process
        self._let_go()
        command = [sys.executable, "-c", LAUNCH, str(self.workspace.root)]
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
        except OSError as error:
            raise StoreError(f"{self.workspace.database.name} was not written: {error.strerror}.") from None
        if self._until is not None:
            self._hurry(self.process)
        return self.process

    def _hurry(self, process: subprocess.Popen[bytes]) -> None:
        assert self._until is not None
        _send(process, Hurry(max(0.0, self._until - time.monotonic())))

    def _let_go(self) -> None:
        if (process := self.process) is None:
            return
        self.process = None
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:  # it has ended, with something unread
                pass
        process.wait()


def _send(process: subprocess.Popen[bytes], wish: Wish) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(msgspec.json.encode(wish) + b"\n")
        process.stdin.flush()
    except (OSError, ValueError):  # it has ended: there will be no answer
        pass


def _exchange(process: subprocess.Popen[bytes], wish: Wish) -> bytes:
    """Ask and give the answer; empty if there is none any more."""
    assert process.stdout is not None
    _send(process, wish)
    try:
        return process.stdout.readline()
    except (OSError, ValueError):
        return b""


# -- the other process -----------------------------------------------------------------------------------------------


def main() -> int:
    """Carry out wishes, one a line, until there are none."""
    from engine.store import Store

    store = Store(Workspace(Path(sys.argv[1])))
    told = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    wishes: queue.SimpleQueue[CatchUp | Rebuild | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(store, wishes), daemon=True).start()
    while True:
        try:
            wish = wishes.get(timeout=IDLE)
        except queue.Empty:
            return 0
        if wish is None:
            return 0
        report = _carry_out(store, wish)
        try:
            told.write(msgspec.json.encode(report) + b"\n")
            told.flush()
        except BrokenPipeError:  # the engine is gone
            return 0


def _listen(store: Store, wishes: queue.SimpleQueue[CatchUp | Rebuild | None]) -> None:
    """Hear what is asked beside the work: to hurry concerns what is under way."""
    decode = msgspec.json.Decoder(Wish).decode
    for line in sys.stdin.buffer:
        wish = decode(line)
        if isinstance(wish, Hurry):
            store.hurry(wish.seconds)
        else:
            wishes.put(wish)
    store.hurry(0)
    wishes.put(None)


def _carry_out(store: Store, wish: CatchUp | Rebuild) -> Report:
    from engine.store import Report

    begun = time.process_time()
    try:
        if isinstance(wish, Rebuild):
            report = store.rebuild()
        else:
            report = store.catch_up(wish.changed, everything=wish.everything)
    except StoreError as error:
        report = Report(error=str(error))
    return replace(report, cpu=time.process_time() - begun)
