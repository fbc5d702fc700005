"""When runs.duckdb is brought up to date: by another process, when there is news, at most every second or two."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TypedDict

from engine.errors import EngineError
from engine.store_apart import StoreApart
from engine.workspace import Workspace

EVERY = 1.5
"""Seconds between two bursts while runs go on, at least."""
SHARE = 0.01
"""Part of a core that these may take: where one costs more, they become rarer."""
SOON = 0.5
"""The same when a run has ended: its end is written at once, but two hundred short runs do not make as many bursts."""
CALM = 4.0
"""The same after the engine's start: one that lives for a moment starts no other process that nobody needs."""
MOST = 30.0
"""Seconds between two at most, whatever they cost; who reads asks for what is new first."""
LAST = 3.0
"""Seconds for what is not written yet when the engine goes down."""
RETRY = 1.0
"""Seconds until the next try when somebody else holds the file."""
MEND = 3.0
"""The same when it can't be written: a full disk, a damaged file."""
READERS = 0.5
"""Seconds that who asks for what is new waits for another reader, which has the file for a fifth of one."""
log = logging.getLogger("engine")


class StoreStatus(TypedDict):
    store_backlog: int
    store_holder: str
    store_error: str
    store_at: float | None
    database: int


class Keeper:
    """Owns the store. Whatever happens to the database, runs and lists go on: it is only a reading of the folders."""

    def __init__(self, workspace: Workspace, told: Callable[[], None]) -> None:
        """told: called when the status changed."""
        self.workspace = workspace
        self.store = StoreApart(workspace)
        self.told = told
        self.state = StoreStatus(store_backlog=0, store_holder="", store_error="", store_at=None, database=self._size())
        self._wanted = asyncio.Event()
        self._busy = asyncio.Lock()
        self._last = time.monotonic() + CALM  # the first burst does not hold up the start: whoever reads asks for it
        self._cost = 0.0
        self._urgent = False
        self._changed: set[str] = set()
        """Runs that may have news for the database."""
        self._anything = True
        """Any run may."""
        self._task: asyncio.Task[None] | None = None

    def news(self, run: str | None = None, *, urgent: bool = False) -> None:
        """Say that something was written: to the folder of a run, or the samples. urgent: a run ended, write it now."""
        if run is not None:
            self._changed.add(run)
        self._urgent = self._urgent or urgent
        self._wanted.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._forever())

    def status(self) -> StoreStatus:
        return self.state

    async def sync(self) -> StoreStatus:
        """Bring the database up to date and say how that went."""
        give_up = time.monotonic() + READERS
        await self._burst(everything=True)
        while self.state["store_holder"] and time.monotonic() < give_up:
            await asyncio.sleep(0.02)
            await self._burst(everything=True)
        return self.state

    async def rebuild(self) -> int:
        """Make the database anew from the folders; the rows it has then. Raises StoreError."""
        async with self._busy:
            report = await asyncio.to_thread(self.store.rebuild)
        await self._burst()
        return report.rows

    async def stop(self) -> None:
        """Write what is new, but for a few seconds only: a run may have left more than can be read in an hour."""
        self.store.hurry(LAST)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._burst()
        await asyncio.to_thread(self.store.close)

    async def _forever(self) -> None:
        while True:
            await self._wanted.wait()
            while (pause := self._last + self._pause() - time.monotonic()) > 0:
                await asyncio.sleep(min(pause, 0.1))  # a run may end meanwhile
            self._wanted.clear()
            self._urgent = False
            await self._burst()
            if self.state["store_holder"] or self.state["store_error"]:
                self._wanted.set()  # there is still something to write
                await asyncio.sleep(MEND if self.state["store_error"] else RETRY)

    def _size(self) -> int:
        try:
            return self.workspace.database.stat().st_size
        except OSError:
            return 0

    def _pause(self) -> float:
        """Seconds between the last burst and the next."""
        return SOON if self._urgent else min(MOST, max(EVERY, self._cost / SHARE))

    async def _burst(self, *, everything: bool = False) -> None:
        before = dict(self.state)
        async with self._busy:
            self._last = time.monotonic()
            changed, self._changed = self._changed, set()
            anything, self._anything = self._anything, True  # until it is known that this went well
            try:
                which = None if anything else changed
                report = await asyncio.to_thread(self.store.catch_up, which, everything=everything)
            except EngineError as error:
                self.state["store_error"] = str(error)
            except OSError as error:
                self.state["store_error"] = f"{self.workspace.database}: {error.strerror}"
            else:
                self._anything = bool(report.holder or report.error)
                self._cost = report.cpu
                self.state["store_backlog"] = report.backlog
                self.state["store_holder"] = report.holder
                self.state["store_error"] = report.error
                if not report.holder and not report.error:
                    self.state["store_at"] = time.time()
            self.state["database"] = self._size()
        if self.state["store_error"] and self.state["store_error"] != before["store_error"]:
            log.warning("store: %s", self.state["store_error"])
        if self.state != before:
            self.told()
